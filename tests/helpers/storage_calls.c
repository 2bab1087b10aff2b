/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_calls ENDPOINT ARCHIVE CALL... -- what writes to an archive, by hand:
 *
 *     put LEVEL MIN MAX FILE SECONDS    remove LEVEL MIN MAX
 *     note NAME TEXT                    get-note NAME
 *
 * Exit 0 done, 3 there is none; else the status and its text on stderr, exit 1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/storage/location.h"

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

static enum status put(struct storage *storage, char **args, struct error *err)
{
	struct archive_file file = {.level = (unsigned)number(args[0]),
				    .min_txid = number(args[1]),
				    .max_txid = number(args[2]),
				    .time_ns = (int64_t)number(args[4]) * NS_PER_S};
	int fd = open(args[3], O_RDONLY | O_CLOEXEC);
	enum status status;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		return error_set(err, ST_IO, "%s cannot be opened", args[3]);
	}
	file.size = (uint64_t)st.st_size;
	status = storage_put(storage, &file, fd, err);
	(void)close(fd);
	return status;
}

static enum status remove_file(struct storage *storage, char **args, struct error *err)
{
	struct archive_file file = {.level = (unsigned)number(args[0]),
				    .min_txid = number(args[1]),
				    .max_txid = number(args[2])};

	return storage_remove(storage, &file, err);
}

static enum status get_note(struct storage *storage, char **args, struct error *err)
{
	char bytes[100];
	size_t len;
	enum status status =
	    storage_get_note(storage, args[0], bytes, sizeof bytes, &len, err);

	if (status == ST_OK) {
		(void)fwrite(bytes, 1, len, stdout);
	}
	return status;
}

static enum status run(struct storage *storage, int count, char **args,
		       struct error *err)
{
	if (count == 6 && strcmp(args[0], "put") == 0) {
		return put(storage, args + 1, err);
	}
	if (count == 4 && strcmp(args[0], "remove") == 0) {
		return remove_file(storage, args + 1, err);
	}
	if (count == 3 && strcmp(args[0], "note") == 0) {
		return storage_put_note(storage, args[1], args[2], strlen(args[2]),
					err);
	}
	if (count == 2 && strcmp(args[0], "get-note") == 0) {
		return get_note(storage, args + 1, err);
	}
	return error_set(err, ST_CONFIG, "wrong usage");
}

int main(int argc, char **argv)
{
	struct storage_settings settings = {.s3_timeout_ms = 2000};
	struct storage *storage;
	struct error err = {0};
	enum status status;

	if (argc < 4) {
		return 2;
	}
	settings.s3_endpoint = argv[1];
	status = location_open_to_write(argv[2], &settings, true, &storage, &err);
	if (status == ST_OK) {
		status = run(storage, argc - 3, argv + 3, &err);
		storage_close(storage);
	}
	if (status != ST_OK && status != ST_END) {
		(void)fprintf(stderr, "%s: %s\n", status_text(status), err.text);
	}
	return status == ST_OK ? 0 : status == ST_END ? 3 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/last_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/fault.h"
#include "src/base/file_io.h"

#define SETTINGS_FILE     "settings"
#define SETTINGS_NEW_FILE "settings.new"

#define HEAD       "rowtail settings 1 "
#define HEAD_BYTES (sizeof HEAD - 1 + 16 + 1) /* with the hash and the newline */
#define BYTES_MAX  (1 << 20)                  /* more is none of ours */

static bool read_all(int fd, struct buffer *text)
{
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)HEAD_BYTES || st.st_size > BYTES_MAX ||
	    !buffer_reserve(text, (size_t)st.st_size + 1)) {
		return false;
	}
	len = file_read_at(fd, text->bytes, (size_t)st.st_size, 0);
	if (len != st.st_size) {
		return false;
	}
	text->len = (size_t)len;
	buffer_add_char(text, '\0');
	return true;
}

bool last_settings_read(int dir_fd, struct buffer *text, uint64_t *hash)
{
	int fd = openat(dir_fd, SETTINGS_FILE,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool ok;
	char *end;

	if (fd < 0) {
		return false;
	}
	ok = read_all(fd, text);
	(void)close(fd);
	if (!ok || strlen(text->bytes) + 1 != text->len ||
	    strncmp(text->bytes, HEAD, sizeof HEAD - 1) != 0) {
		return false;
	}
	*hash = strtoull(text->bytes + sizeof HEAD - 1, &end, 16);
	if (end != text->bytes + HEAD_BYTES - 1 || *end != '\n') {
		return false;
	}
	text->len -= HEAD_BYTES;
	memmove(text->bytes, text->bytes + HEAD_BYTES, text->len);
	return XXH3_64bits(text->bytes, text->len - 1) == *hash;
}

static enum status file_error(const char *what, struct error *err)
{
	return error_set_errno(err, errno, "%s cannot be %s", SETTINGS_FILE, what);
}

static enum status write_new(int fd, const char *text, size_t len, struct error *err)
{
	char head[HEAD_BYTES + 1];

	(void)snprintf(head, sizeof head, HEAD "%016" PRIx64 "\n",
		       XXH3_64bits(text, len));
	if (!file_write_at(fd, head, HEAD_BYTES, 0) ||
	    !file_write_at(fd, text, len, HEAD_BYTES)) {
		return file_error("written", err);
	}
	return file_sync(fd) ? ST_OK : file_error("synced", err);
}

enum status last_settings_write(int dir_fd, const char *text, size_t len,
				struct error *err)
{
	enum status status;
	int fd;

	(void)unlinkat(dir_fd, SETTINGS_NEW_FILE, 0);
	fd = openat(dir_fd, SETTINGS_NEW_FILE,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return file_error("made", err);
	}
	status = fchmod(fd, 0600) == 0 ? write_new(fd, text, len, err)
				       : file_error("closed to others", err);
	(void)close(fd);
	FAULT_POINT("settings-new-synced");
	if (status != ST_OK) {
		(void)unlinkat(dir_fd, SETTINGS_NEW_FILE, 0);
		return status;
	}
	if (renameat(dir_fd, SETTINGS_NEW_FILE, dir_fd, SETTINGS_FILE) != 0) {
		return file_error("replaced", err);
	}
	FAULT_POINT("settings-renamed");
	return file_sync_all(dir_fd) ? ST_OK : file_error("synced", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"

#define NAME       "audit-key"
#define NEXT       NAME ".next"
#define PATH_BYTES (PATH_MAX + sizeof NEXT ".tmp" + 1)
#define OLD        NAME ".old-"
#define MOST_OLD   10000
#define FILE_BYTES 1024 /* at most */

static const char *const names[] = {[AUDIT_KEY_NOW] = NAME, [AUDIT_KEY_NEXT] = NEXT};

static void wipe(void *bytes, size_t len)
{
	explicit_bzero(bytes, len);
}

void audit_secrets_wipe(struct audit_secrets *secrets)
{
	wipe(secrets, sizeof *secrets);
}

static enum status open_folder(const char *state_path, int *fd, struct error *err)
{
	*fd = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd >= 0 ? ST_OK
			: error_set_errno(err, errno, "%s", quote(state_path).text);
}

static enum status is_no_key(const char *state_path, struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "%s/" NAME " is damaged: restore it from a backup; or start "
			 "once with --accept-gap, which goes on with a new key that "
			 "nobody can tell from a stranger's",
			 quote(state_path).text);
}

static enum status parse(const char *state_path, const char *text, size_t len,
			 struct audit_secrets *out, struct error *err)
{
	const char *end = memchr(text, '\n', len);
	size_t first = end ? (size_t)(end - text) : 0;
	struct error ignored;

	if (!end || len - first < 2 || text[len - 1] != '\n' ||
	    audit_key_parse(text, first, &out->key, &ignored) != ST_OK ||
	    !out->key.is_private ||
	    !audit_base64_read(end + 1, len - first - 2, out->salt, sizeof out->salt)) {
		audit_secrets_wipe(out);
		return is_no_key(state_path, err);
	}
	return ST_OK;
}

enum status audit_key_file_read(const char *state_path, enum audit_key_turn which,
				struct audit_secrets *out, struct error *err)
{
	struct owned_place place = {.name = names[which],
				    .instead = "use another --state",
				    .closed = OWNED_PRIVATE};
	char text[FILE_BYTES], path[PATH_BYTES];
	ssize_t len;
	int fd;
	enum status status;

	*out = (struct audit_secrets){0};
	(void)snprintf(path, sizeof path, "%s/%s", state_path, names[which]);
	place.path = path;
	if (open_folder(state_path, &place.dir_fd, err) != ST_OK) {
		return err->status;
	}
	status = owned_file_open(&place, O_RDONLY, &fd, NULL, err);
	(void)close(place.dir_fd);
	if (status != ST_OK) {
		return status == ST_IO && err->sys_errno == ENOENT ? ST_END : status;
	}
	len = file_read_at(fd, text, sizeof text, 0);
	(void)close(fd);
	status = len < 0 ? error_set_errno(err, errno, "%s/" NAME " cannot be read",
					   quote(state_path).text)
			 : parse(state_path, text, (size_t)len, out, err);
	wipe(text, sizeof text);
	return status;
}

/* A key that is there is another log's, or damaged: it is kept, under another name. */
static bool put_aside(int dir_fd)
{
	char old[sizeof OLD "4294967295"];

	if (faccessat(dir_fd, NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
		return errno == ENOENT;
	}
	for (unsigned n = 1; n < MOST_OLD; n++) {
		(void)snprintf(old, sizeof old, OLD "%u", n);
		if (file_rename_free(dir_fd, NAME, old)) {
			return true;
		}
		if (errno != EEXIST) {
			return false;
		}
	}
	return false;
}

/* Write, sync, rename, sync the folder. */
static enum status keep(const char *state_path, enum audit_key_turn which,
			const char *bytes, size_t len, struct error *err)
{
	struct owned_place place = {
	    .name = NAME ".tmp", .instead = "remove it", .closed = OWNED_PRIVATE};
	char path[PATH_BYTES];
	enum status status = open_folder(state_path, &place.dir_fd, err);
	bool is_kept = false;
	int fd;

	if (status != ST_OK) {
		return status;
	}
	(void)snprintf(path, sizeof path, "%s/" NAME ".tmp", state_path);
	place.path = path;
	status = owned_file_open(&place, O_WRONLY | O_CREAT, &fd, NULL, err);
	if (status == ST_OK) {
		is_kept = file_set_length(fd, 0) && file_write_at(fd, bytes, len, 0) &&
			  file_sync(fd);
		FAULT_POINT("audit-key-written");
		is_kept =
		    is_kept && (which != AUDIT_KEY_NOW || put_aside(place.dir_fd)) &&
		    renameat(place.dir_fd, NAME ".tmp", place.dir_fd, names[which]) ==
			0;
		FAULT_POINT("audit-key-renamed");
		is_kept = is_kept && file_sync_all(place.dir_fd);
		if (!is_kept) {
			status = error_set_errno(err, errno, "%s/%s cannot be written",
						 quote(state_path).text, names[which]);
		}
		(void)close(fd);
	}
	(void)close(place.dir_fd);
	return status;
}

enum status audit_key_file_turn(const char *state_path, struct error *err)
{
	int fd;
	enum status status = open_folder(state_path, &fd, err);

	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("audit-before-turn");
	if (renameat(fd, NEXT, fd, NAME) != 0 || !file_sync_all(fd)) {
		status = error_set_errno(err, errno, "%s/" NEXT " cannot be renamed",
					 quote(state_path).text);
	}
	FAULT_POINT("audit-turned");
	(void)close(fd);
	return status;
}

enum status audit_key_file_make(const char *state_path, enum audit_key_turn which,
				const char *name, struct audit_secrets *out,
				struct error *err)
{
	struct buffer text;
	enum status status;

	if (getrandom(out->salt, sizeof out->salt, 0) != (ssize_t)sizeof out->salt) {
		return error_set_errno(err, errno, "random bytes for a key");
	}
	status = audit_key_make(name, &out->key, err);
	if (status != ST_OK) {
		return status;
	}
	buffer_init(&text);
	/* At once: what grows leaves copies behind. */
	(void)buffer_reserve(&text, FILE_BYTES);
	audit_key_add(&text, &out->key, true);
	buffer_add_char(&text, '\n');
	audit_base64_add(&text, out->salt, sizeof out->salt);
	buffer_add_char(&text, '\n');
	status = buffer_ok(&text) ? keep(state_path, which, text.bytes, text.len, err)
				  : error_no_memory(err, "a key");
	if (text.bytes) {
		wipe(text.bytes, text.len);
	}
	buffer_clear(&text);
	return status;
}

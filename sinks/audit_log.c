/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sinks/audit_body.h"
#include "src/audit/line.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"

#define BATCH_BYTES 65536         /* so much is written at once */
#define KEYS_START  "{\"first\":" /* of a line of PATH.keys */
#define KEYS_BYTES  65536         /* at its end are looked at */

/* ---- lines ---- */

enum status audit_log_init(struct audit_log *log, struct error *err)
{
	enum status status;

	*log = (struct audit_log){.writer = {.fd = -1}};
	buffer_init(&log->lines);
	buffer_init(&log->hashed);
	status = audit_hasher_open(&log->hasher, err);
	return status == ST_OK ? audit_leaves_open(&log->tree, &log->leaves, err)
			       : status;
}

void audit_log_clear(struct audit_log *log)
{
	audit_leaves_close(log->leaves);
	audit_hasher_close(&log->hasher);
	buffer_clear(&log->lines);
	buffer_clear(&log->hashed);
	audit_secrets_wipe(&log->secrets);
	free(log->path);
	*log = (struct audit_log){.writer = {.fd = -1}};
}

/* One hash is the salts of two lines. */
static void add_salt(struct audit_log *log)
{
	uint64_t n = log->count, pair = n / 2;
	uint8_t number[8];

	if (!log->has_salts || log->salts_pair != pair) {
		for (unsigned i = 0; i < sizeof number; i++) {
			number[i] = (uint8_t)(pair >> (56 - 8 * i));
		}
		log->salts =
		    audit_hash_of(&log->hasher, log->secrets.salt,
				  sizeof log->secrets.salt, number, sizeof number);
		log->salts_pair = pair;
		log->has_salts = true;
	}
	buffer_add_str(&log->lines, "\"salt\":\"");
	audit_base64_add(&log->lines, log->salts.bytes + n % 2 * AUDIT_SALT_BYTES,
			 AUDIT_SALT_BYTES);
	buffer_add_str(&log->lines, "\",");
}

/* Lines are hashed while they are written, few of them here. */
static enum status write_lines(struct audit_log *log, struct error *err)
{
	struct buffer lines = log->lines;
	struct span span = {lines.bytes, lines.len};
	enum status status;

	if (!audit_leaves_wait(log->leaves)) {
		return error_no_memory(err, "hashing");
	}
	log->lines = log->hashed;
	log->hashed = lines;
	buffer_reset(&log->lines);
	if (span.len >= BATCH_BYTES) {
		audit_leaves_give(log->leaves, span);
	} else {
		audit_leaves_add(&log->tree, &log->hasher, span);
	}
	status = file_writer_put(&log->writer, span.bytes, span.len, err);
	if (status == ST_OK && log->hasher.failed) {
		status = error_no_memory(err, "hashing");
	}
	return status;
}

void audit_log_set(struct audit_log *log, const struct audit_tree *tree,
		   uint64_t file_bytes)
{
	log->tree = *tree;
	log->count = tree->count;
	log->start = file_bytes;
}

enum status audit_log_add(struct audit_log *log, struct span body, bool is_salted,
			  struct error *err)
{
	struct buffer *lines = &log->lines;

	buffer_add_str(lines, "{\"n\":");
	buffer_add_u64(lines, log->count);
	buffer_add_char(lines, ',');
	if (is_salted) {
		add_salt(log);
	}
	buffer_add(lines, body.bytes, body.len);
	buffer_add_char(lines, '\n');
	if (!buffer_ok(lines)) {
		return error_no_memory(err, "a line of the audit log");
	}
	log->count++;
	log->is_dirty = true;
	return lines->len >= BATCH_BYTES ? write_lines(log, err) : ST_OK;
}

enum status audit_log_sync(struct audit_log *log, struct error *err)
{
	enum status status = write_lines(log, err);

	if (status == ST_OK && !audit_leaves_wait(log->leaves)) {
		status = error_no_memory(err, "hashing");
	}
	assert(status != ST_OK || log->tree.count == log->count);
	if (status != ST_OK || !log->is_dirty) {
		return status;
	}
	FAULT_POINT("audit-written");
	/* Once it has failed nobody knows what is on disk: no second try. */
	if (!file_sync(log->writer.fd)) {
		return error_set_errno(err, errno, "%s cannot be synced",
				       quote(log->path).text);
	}
	FAULT_POINT("audit-synced");
	log->is_dirty = false;
	return ST_OK;
}

void audit_log_turn(struct audit_log *log, int fd, const char *file_path,
		    const struct audit_secrets *secrets)
{
	log->writer.fd = fd;
	log->writer.path = file_path;
	log->writer.written = 0;
	log->start = 0;
	audit_secrets_wipe(&log->secrets);
	log->secrets = *secrets;
	log->has_salts = false;
}

/* ---- files beside it ---- */

static char *beside(const char *log, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s%s", log, suffix) < 0 ? NULL : path;
}

/* A regular file that begins otherwise than `start`, as far as it goes? */
static bool is_theirs(const char *path, const char *start)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char bytes[32];
	ssize_t len = 0;

	if (fd < 0) {
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		len = file_read_at(fd, bytes, strlen(start), 0);
	}
	(void)close(fd);
	return len < 0 || memcmp(bytes, start, (size_t)len) != 0;
}

enum status audit_log_check_beside(const char *path, struct error *err)
{
	static const struct {
		const char *suffix, *start;
	} files[] = {{".checkpoint", AUDIT_NAME_START},
		     {".checkpoint.tmp", AUDIT_NAME_START},
		     {".keys", KEYS_START}};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < sizeof files / sizeof *files; i++) {
		char *name = beside(path, files[i].suffix);

		if (!name) {
			return error_no_memory(err, "a path");
		}
		if (is_theirs(name, files[i].start)) {
			status = error_set(
			    err, ST_CONFIG,
			    "%s is there and is not an audit log's, which keeps a file "
			    "of that name: move it away, or name another file with "
			    "--to audit:",
			    quote(name).text);
		}
		free(name);
	}
	return status;
}

/* What was there is replaced. It holds nothing that the log does not have, so that it
 * cannot be written is said and no more. */
static void publish(struct audit_log *log, const char *note, size_t len)
{
	char *path = beside(log->path, ".checkpoint");
	char *temp = beside(log->path, ".checkpoint.tmp");
	int fd = -1;
	bool is_there = false;

	if (path && temp) {
		(void)unlinkat(AT_FDCWD, temp, 0); /* whatever it is */
		fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			  0644);
	}
	if (fd >= 0) {
		is_there = fchmod(fd, 0644) == 0 && file_write_at(fd, note, len, 0) &&
			   file_sync(fd) &&
			   renameat(AT_FDCWD, temp, AT_FDCWD, path) == 0;
		(void)close(fd);
	}
	/* Said once, not at each head. */
	if (!is_there && !log->is_unpublished) {
		log_warn("%s.checkpoint cannot be written: %s; the log itself has its "
			 "heads all the same",
			 quote(log->path).text, strerror(errno));
	}
	log->is_unpublished = !is_there;
	free(path);
	free(temp);
}

/* One that is made is for all to read. */
static enum status open_keys(const char *path, int *fd, struct error *err)
{
	struct owned_place place = {.dir_fd = AT_FDCWD,
				    .name = path,
				    .path = path,
				    .instead = "move it away",
				    .closed = OWNED_READABLE};
	bool made;
	enum status status =
	    owned_file_open(&place, O_RDWR | O_APPEND | O_CREAT, fd, &made, err);

	if (status == ST_OK && made) {
		(void)fchmod(*fd, 0644);
	}
	return status;
}

/* Was the last line left without an end, as by a full disk? */
static bool ends_in_line(int fd)
{
	struct stat st;
	char last = '\n';

	return fstat(fd, &st) != 0 || st.st_size == 0 ||
	       file_read_at(fd, &last, 1, st.st_size - 1) != 1 || last == '\n';
}

/* Does one of the last lines have these bytes, and an end? */
static bool is_noted(int fd, const struct buffer *key)
{
	char *bytes = malloc(KEYS_BYTES);
	struct stat st;
	ssize_t len = -1;
	const char *at;
	bool is_there = false;

	if (bytes && fstat(fd, &st) == 0) {
		off_t from = st.st_size > KEYS_BYTES ? st.st_size - KEYS_BYTES : 0;

		len = file_read_at(fd, bytes, KEYS_BYTES, from);
	}
	if (len > 0) {
		at = memmem(bytes, (size_t)len, key->bytes, key->len);
		is_there = at && memchr(at, '\n', (size_t)(bytes + len - at)) != NULL;
	}
	free(bytes);
	return is_there;
}

enum status audit_log_note_key(const struct audit_log *log, uint64_t first,
			       const struct buffer *handover, struct error *err)
{
	char *path = beside(log->path, ".keys");
	struct buffer line, key;
	enum status status = path ? ST_OK : error_no_memory(err, "a path");
	int fd = -1;

	buffer_init(&line);
	buffer_init(&key);
	buffer_add_str(&key, "\"key\":\"");
	audit_key_add(&key, &log->secrets.key, false);
	buffer_add_char(&key, '"');
	buffer_add_str(&line, "\n" KEYS_START);
	buffer_add_u64(&line, first);
	buffer_add_char(&line, ',');
	buffer_add_buffer(&line, &key);
	if (handover) {
		audit_body_note(&line, handover);
	}
	buffer_add_str(&line, "}\n");
	if (status == ST_OK) {
		status = buffer_ok(&line) ? open_keys(path, &fd, err)
					  : error_no_memory(err, "a key");
	}
	if (status == ST_OK && !is_noted(fd, &key)) {
		struct file_writer keys = {.fd = fd,
					   .path = path,
					   .stop = log->writer.stop,
					   .patience_ns = log->writer.patience_ns,
					   .on_outage = log->writer.on_outage,
					   .context = log->writer.context};
		size_t from = ends_in_line(fd); /* the LF that it begins with */

		status =
		    file_writer_put(&keys, line.bytes + from, line.len - from, err);
	}
	if (status == ST_OK && !file_sync(fd)) {
		status = error_set_errno(err, errno, "%s cannot be synced",
					 quote(path).text);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	free(path);
	buffer_clear(&line);
	buffer_clear(&key);
	return status;
}

/* ---- heads ---- */

/* The file of that name, or PATH, which is it and gives it its name back. */
static bool has_its_name(const struct audit_log *log, const struct stat *own)
{
	struct stat st;

	if (stat(log->writer.path, &st) == 0) {
		return st.st_dev == own->st_dev && st.st_ino == own->st_ino;
	}
	return errno == ENOENT && lstat(log->path, &st) == 0 &&
	       st.st_dev == own->st_dev && st.st_ino == own->st_ino &&
	       linkat(AT_FDCWD, log->path, AT_FDCWD, log->writer.path, 0) == 0;
}

/* Nobody took it away while it was written, cut it or appended to it. */
static enum status check_file(const struct audit_log *log, struct error *err)
{
	uint64_t size = log->start + log->writer.written;
	struct stat st;

	if (fstat(log->writer.fd, &st) != 0) {
		return error_set_errno(err, errno, "%s cannot be examined",
				       quote(log->path).text);
	}
	if (!has_its_name(log, &st)) {
		return error_set(
		    err, ST_IO,
		    "%s was removed while it was written: restore it from "
		    "a backup; or begin a new one with --accept-gap, which "
		    "will tell of it",
		    quote(log->path).text);
	}
	return (uint64_t)st.st_size == size
		   ? ST_OK
		   : error_set(err, ST_IO,
			       "%s has %" PRIu64 " bytes and not the %" PRIu64
			       " that were written: another program cut it or wrote to "
			       "it. Keep a copy of it, see rowtail audit verify, and "
			       "restore it from a backup, or give another PATH with "
			       "--accept-gap",
			       quote(log->writer.path).text, (uint64_t)st.st_size,
			       size);
}

enum status audit_log_sign(struct audit_log *log, const char *position,
			   struct error *err)
{
	struct audit_head head = {.size = log->count,
				  .root = audit_tree_root(&log->tree, &log->hasher)};
	struct buffer note, body;
	enum status status = check_file(log, err);

	if (status != ST_OK) {
		return status;
	}
	buffer_init(&note);
	buffer_init(&body);
	status = log->hasher.failed
		     ? error_no_memory(err, "hashing")
		     : audit_note_add(&note, &log->secrets.key, &head, err);
	if (status == ST_OK) {
		audit_body_begin(&body, "checkpoint");
		audit_body_note(&body, &note);
		buffer_add_str(&body, ",\"position\":");
		buffer_add_str(&body, position);
		buffer_add_char(&body, '}');
		status = buffer_ok(&body)
			     ? audit_log_add(log, (struct span){body.bytes, body.len},
					     false, err)
			     : error_no_memory(err, "a checkpoint");
	}
	FAULT_POINT("audit-signed");
	if (status == ST_OK) {
		status = audit_log_sync(log, err);
	}
	if (status == ST_OK) {
		FAULT_POINT("audit-head-synced");
		publish(log, note.bytes, note.len);
		FAULT_POINT("audit-head-published");
	}
	buffer_clear(&note);
	buffer_clear(&body);
	return status;
}

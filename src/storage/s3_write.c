/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file_io.h"
#include "src/base/time_text.h"
#include "src/storage/s3_fault.h"
#include "src/storage/s3_parts.h"
#include "src/storage/s3_storage.h"

#define COMPARE_BYTES (1u << 20)
#define REPLY_BYTES   65536u /* of answers that say nothing */

static enum status fault(const struct s3_storage *s, const char *key, const char *what,
			 const char *permission, struct error *err)
{
	char text[STORAGE_NAME_BYTES + 64];

	(void)snprintf(text, sizeof text, "%s cannot be %s",
		       s3_storage_name(s, key).text, what);
	return s3_fault_set(s->client, s->answer, text, permission, err);
}

static enum status other_writer(const struct s3_storage *s, const char *key,
				struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s is there already, with another content: somebody else "
			 "writes to this archive; nothing is written over it: give "
			 "each database an archive of its own",
			 s3_storage_name(s, key).text);
}

/* The object is not written, and it is not said why; a server that cannot write without
 * writing over something is of no use here. */
static enum status write_fault(const struct s3_storage *s, const char *key,
			       struct error *err)
{
	if (s->answer->code == 501) {
		return error_set(
		    err, ST_CONFIG,
		    "%s cannot be written: %s does not know If-None-Match, "
		    "without which two writers could write over each "
		    "other: use a server that does",
		    s3_storage_name(s, key).text, s3_client_server(s->client));
	}
	return fault(s, key, "written", "s3:PutObject", err);
}

/* ---- files ---- */

/* The bytes of the object, which has as many, against those of `fd`. */
static enum status compare_bytes(struct s3_storage *s, const struct archive_file *file,
				 const char *key, int fd, struct error *err)
{
	char *theirs = malloc(COMPARE_BYTES);
	char *ours = malloc(COMPARE_BYTES);
	enum status status = theirs && ours ? ST_OK : error_no_memory(err, "an upload");
	uint64_t at = 0;

	while (status == ST_OK && at < file->size) {
		uint64_t rest = file->size - at;
		size_t len = rest < COMPARE_BYTES ? (size_t)rest : COMPARE_BYTES;

		status = s3_get_range(s, file, theirs, len, at, err);
		if (status == ST_OK && !file_read_exactly(fd, ours, len, (off_t)at)) {
			status = error_set_errno(err, errno,
						 "the file for %s cannot be read",
						 s3_storage_name(s, key).text);
		}
		if (status == ST_OK && memcmp(theirs, ours, len) != 0) {
			status = other_writer(s, key, err);
		}
		at += len;
	}
	free(theirs);
	free(ours);
	return status;
}

/* Is it there? ST_END: no. Else it is compared. */
static enum status compare(struct s3_storage *s, const struct archive_file *file,
			   const char *key, int fd, struct error *err)
{
	struct s3_request request = {.method = "HEAD", .key = key};
	enum status status = s3_client_send(s->client, &request, s->answer, err);

	if (status != ST_OK) {
		return status;
	}
	if (s->answer->code == 404) {
		return ST_END;
	}
	if (s->answer->code != 200) {
		return fault(s, key, "read", "s3:GetObject", err);
	}
	return s->answer->total == file->size ? compare_bytes(s, file, key, fd, err)
					      : other_writer(s, key, err);
}

/* At once. ST_END: something is there. */
static enum status put_whole(struct s3_storage *s, const char *key, const char *time,
			     int fd, const void *bytes, uint64_t size,
			     struct error *err)
{
	char reply[REPLY_BYTES];
	struct s3_request request = {
	    .method = "PUT",
	    .key = key,
	    .headers = {{"if-none-match", "*"},
			{"x-amz-meta-litestream-timestamp", time}},
	    .header_count = time ? 2 : 1,
	    .bytes = bytes,
	    .fd = fd,
	    .len = size,
	    .into = reply,
	    .room = sizeof reply};
	enum status status = s3_client_send(s->client, &request, s->answer, err);

	if (status != ST_OK) {
		return status;
	}
	if (s->answer->code == 412) {
		return ST_END;
	}
	return s->answer->code == 200 ? ST_OK : write_fault(s, key, err);
}

enum status s3_put(struct storage *storage, const struct archive_file *file, int fd,
		   struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	struct time_text time = time_text_ns(file->time_ns);
	char key[S3_KEY_BYTES];
	enum status status;

	s3_storage_key(s, file, key);
	if (file->size <= S3_WHOLE_MOST) {
		status = put_whole(s, key, time.text, fd, NULL, file->size, err);
	} else {
		/* Before all of it is sent for nothing. */
		status = compare(s, file, key, fd, err);
		if (status != ST_END) {
			return status;
		}
		status = s3_parts_put(s, key, time.text, fd, file->size, err);
	}
	if (status != ST_END) {
		return status;
	}
	status = compare(s, file, key, fd, err);
	return status == ST_END
		   ? error_set(err, ST_IO,
			       "%s is not there, nor its upload: somebody "
			       "else removes files of this archive; try again",
			       s3_storage_name(s, key).text)
		   : status;
}

enum status s3_remove(struct storage *storage, const struct archive_file *file,
		      struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	char key[S3_KEY_BYTES];
	char reply[REPLY_BYTES];
	struct s3_request request = {
	    .method = "DELETE", .key = key, .into = reply, .room = sizeof reply};
	enum status status;

	s3_storage_key(s, file, key);
	status = s3_client_send(s->client, &request, s->answer, err);
	if (status != ST_OK) {
		return status;
	}
	return s->answer->code == 204 || s->answer->code == 200 ||
		       s3_fault_is_missing(s->answer)
		   ? ST_OK
		   : fault(s, key, "removed", "s3:DeleteObject", err);
}

/* ---- notes ---- */

static enum status note_key(const struct s3_storage *s, const char *name,
			    char key[S3_KEY_BYTES], struct error *err)
{
	int len = snprintf(key, S3_KEY_BYTES, "%s/%s", s->prefix, name);

	return len > 0 && len < (int)S3_KEY_BYTES
		   ? ST_OK
		   : error_set(err, ST_CONFIG, "the prefix %s is too long", s->prefix);
}

enum status s3_get_note(struct storage *storage, const char *name, void *bytes,
			size_t cap, size_t *len, struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	char key[S3_KEY_BYTES];
	struct s3_request request = {
	    .method = "GET", .key = key, .into = bytes, .room = cap};
	enum status status = note_key(s, name, key, err);

	if (status == ST_OK) {
		status = s3_client_send(s->client, &request, s->answer, err);
	}
	if (status != ST_OK) {
		return status;
	}
	*len = s->answer->len;
	if (s3_fault_is_missing(s->answer)) {
		return ST_END;
	}
	return s->answer->code == 200 ? ST_OK
				      : fault(s, key, "read", "s3:GetObject", err);
}

enum status s3_put_note(struct storage *storage, const char *name, const void *bytes,
			size_t len, struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	char key[S3_KEY_BYTES];
	char there[REPLY_BYTES];
	enum status status = note_key(s, name, key, err);
	size_t got = 0;

	if (status == ST_OK) {
		status = put_whole(s, key, NULL, -1, bytes, len, err);
	}
	if (status != ST_END) {
		return status;
	}
	status = s3_get_note(storage, name, there, sizeof there, &got, err);
	return status == ST_END || (status == ST_OK &&
				    (got != len || memcmp(there, bytes, len) != 0))
		   ? other_writer(s, key, err)
		   : status;
}

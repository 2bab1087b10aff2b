/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/log.h"
#include "src/storage/file_name.h"
#include "src/storage/s3_fault.h"
#include "src/storage/s3_text.h"

#define PARTS_MOST  900u /* some servers take 1,000 */
#define REPLY_BYTES (1u << 20)
#define ROUNDS      20 /* of lists of what was left behind */
#define MIB         (1u << 20)

struct upload {
	struct s3_storage *s;
	const char *key;
	const char *time;
	int fd;
	uint64_t size;
	struct buffer id;    /* as it stands in a query: encoded */
	struct buffer query; /* of the request */
	struct buffer named; /* the parts, as the last request has them */
	char *reply;
};

static enum status fault(const struct upload *u, const char *what, struct error *err)
{
	char text[STORAGE_NAME_BYTES + 64];

	(void)snprintf(text, sizeof text, "%s cannot be %s",
		       s3_storage_name(u->s, u->key).text, what);
	return s3_fault_set(u->s->client, u->s->answer, text, "s3:PutObject", err);
}

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "an upload");
}

static enum status no_answer_of_s3(const struct upload *u, const char *what,
				   struct error *err)
{
	return error_set(err, ST_IO,
			 "%s cannot be written: %s sends no %s: is it a server of S3? "
			 "see archive.s3.endpoint",
			 s3_storage_name(u->s, u->key).text,
			 s3_client_server(u->s->client), what);
}

static struct s3_span reply_of(const struct upload *u)
{
	return (struct s3_span){u->reply, u->s->answer->len};
}

/* "uploadId=…", and what stands before it. */
static const char *make_query(struct upload *u, const char *before)
{
	buffer_reset(&u->query);
	buffer_add_str(&u->query, before);
	buffer_add_str(&u->query, "uploadId=");
	buffer_add_buffer(&u->query, &u->id);
	buffer_add_char(&u->query, '\0');
	return buffer_ok(&u->query) ? u->query.bytes : NULL;
}

/* ---- what was left behind ---- */

static enum status abort_upload(struct upload *u, struct error *err)
{
	struct s3_request request = {.method = "DELETE",
				     .key = u->key,
				     .query = make_query(u, ""),
				     .into = u->reply,
				     .room = REPLY_BYTES};
	enum status status =
	    request.query ? s3_client_send(u->s->client, &request, u->s->answer, err)
			  : out_of_memory(err);

	return status == ST_OK && u->s->answer->code >= 300 && u->s->answer->code != 404
		   ? s3_fault_set(u->s->client, u->s->answer,
				  "an unfinished upload cannot be given up",
				  "s3:AbortMultipartUpload", err)
		   : status;
}

static void set_id(struct upload *u, struct s3_span id)
{
	struct buffer plain;

	buffer_init(&plain);
	buffer_reset(&u->id);
	if (s3_add_unescaped(&plain, id) && buffer_ok(&plain)) {
		s3_add_encoded(&u->id, plain.bytes, plain.len, false);
	}
	buffer_clear(&plain);
}

/* Is it one of ours: PREFIX/LLLL/MIN-MAX.ltx? */
static bool is_ours(const struct s3_storage *s, const char *key)
{
	struct archive_file file;
	size_t len = strlen(s->prefix);

	return strncmp(key, s->prefix, len) == 0 &&
	       strncmp(key + len, "/000", 4) == 0 && strlen(key + len) > 6 &&
	       key[len + 5] == '/' && file_name_read(key + len + 6, &file);
}

/* One <Upload> of a list; `*count` is of those that were given up. */
static enum status abort_listed(const struct upload *u, struct s3_span row, int *count,
				struct error *err)
{
	struct upload old = {.s = u->s, .reply = u->reply};
	struct buffer key;
	enum status status = ST_OK;

	buffer_init(&key);
	buffer_init(&old.id);
	buffer_init(&old.query);
	if (s3_add_unescaped(&key, s3_xml_find(row, "Key"))) {
		set_id(&old, s3_xml_find(row, "UploadId"));
		buffer_add_char(&key, '\0');
		old.key = key.bytes;
	}
	if (buffer_ok(&key) && old.key && old.id.len > 0 && is_ours(u->s, old.key)) {
		log_debug("an unfinished upload of %s is given up",
			  s3_storage_name(u->s, old.key).text);
		status = abort_upload(&old, err);
		(*count)++;
	}
	buffer_clear(&old.query);
	buffer_clear(&old.id);
	buffer_clear(&key);
	return status;
}

/* Those of a list, which is copied, as answers come into the same memory. */
static enum status abort_page(struct upload *u, int *count, struct error *err)
{
	struct buffer page;
	struct s3_xml xml;
	struct s3_tag tag;
	const char *row = NULL;
	enum status status;

	*count = 0;
	buffer_init(&page);
	buffer_add(&page, u->reply, u->s->answer->len);
	status = buffer_ok(&page) ? ST_OK : out_of_memory(err);
	s3_xml_init(&xml, page.bytes, page.len);
	while (status == ST_OK && s3_xml_next(&xml, &tag)) {
		if (!s3_span_is(tag.name, "Upload")) {
			continue;
		}
		if (!tag.is_end) {
			row = tag.text.bytes;
		} else if (row) {
			status = abort_listed(
			    u, (struct s3_span){row, (size_t)(xml.at - row)}, count,
			    err);
			row = NULL;
		}
	}
	buffer_clear(&page);
	return status;
}

/* Of PREFIX/000L/...: a digit, as there are ten levels. */
static char level_of(const struct upload *u)
{
	return u->key[strlen(u->s->prefix) + 4];
}

/* Those of the same level only: others may be under way by who merges beside. A list of
 * unfinished uploads is no right that all have: without it they stay. */
static enum status abort_leftovers(struct upload *u, struct error *err)
{
	struct s3_request request = {
	    .method = "GET", .key = "", .into = u->reply, .room = REPLY_BYTES};
	enum status status = ST_OK;
	int count = 1;

	buffer_reset(&u->query);
	buffer_add_str(&u->query, "prefix=");
	s3_add_encoded(&u->query, u->s->prefix, strlen(u->s->prefix), false);
	buffer_add_str(&u->query, "%2F000");
	buffer_add_char(&u->query, level_of(u));
	buffer_add_str(&u->query, "%2F&uploads=");
	buffer_add_char(&u->query, '\0');
	if (!buffer_ok(&u->query)) {
		return out_of_memory(err);
	}
	request.query = u->query.bytes;
	for (int i = 0; status == ST_OK && count > 0 && i < ROUNDS; i++) {
		status = s3_client_send(u->s->client, &request, u->s->answer, err);
		if (status == ST_OK && u->s->answer->code != 200) {
			log_debug("unfinished uploads to %s cannot be listed",
				  s3_storage_name(u->s, u->s->prefix).text);
			return ST_OK;
		}
		if (status == ST_OK) {
			status = abort_page(u, &count, err);
		}
	}
	return status;
}

/* ---- an upload ---- */

static enum status begin(struct upload *u, struct error *err)
{
	struct s3_request request = {
	    .method = "POST",
	    .key = u->key,
	    .query = "uploads=",
	    .headers = {{"x-amz-meta-litestream-timestamp", u->time}},
	    .header_count = 1,
	    .into = u->reply,
	    .room = REPLY_BYTES};
	enum status status = s3_client_send(u->s->client, &request, u->s->answer, err);

	if (status != ST_OK) {
		return status;
	}
	if (u->s->answer->code != 200) {
		return fault(u, "written", err);
	}
	set_id(u, s3_xml_find(reply_of(u), "UploadId"));
	if (!buffer_ok(&u->id)) {
		return out_of_memory(err);
	}
	return u->id.len > 0 ? ST_OK : no_answer_of_s3(u, "number of an upload", err);
}

/* One that can stand in XML. */
static bool is_etag(const char *etag)
{
	return *etag && !strpbrk(etag, "<>&");
}

static void name_part(struct upload *u, unsigned number)
{
	char text[80];

	(void)snprintf(text, sizeof text, "<Part><PartNumber>%u</PartNumber><ETag>",
		       number);
	buffer_add_str(&u->named, text);
	for (const char *c = u->s->answer->etag; *c; c++) {
		if (*c == '"') {
			buffer_add_str(&u->named, "&quot;");
		} else {
			buffer_add_char(&u->named, *c);
		}
	}
	buffer_add_str(&u->named, "</ETag></Part>");
}

static enum status send_part(struct upload *u, unsigned number, uint64_t offset,
			     uint64_t len, struct error *err)
{
	struct s3_request request = {.method = "PUT",
				     .key = u->key,
				     .fd = u->fd,
				     .offset = offset,
				     .len = len,
				     .into = u->reply,
				     .room = REPLY_BYTES};
	char before[40];
	enum status status;

	(void)snprintf(before, sizeof before, "partNumber=%u&", number);
	request.query = make_query(u, before);
	if (!request.query) {
		return out_of_memory(err);
	}
	status = s3_client_send(u->s->client, &request, u->s->answer, err);
	if (status != ST_OK) {
		return status;
	}
	if (u->s->answer->code != 200) {
		return fault(u, "written", err);
	}
	if (!is_etag(u->s->answer->etag)) {
		return no_answer_of_s3(u, "ETag of a part", err);
	}
	name_part(u, number);
	return ST_OK;
}

static enum status send_parts(struct upload *u, struct error *err)
{
	uint64_t least = (u->size / PARTS_MOST + MIB) / MIB * MIB;
	uint64_t part = least > S3_WHOLE_MOST ? least : S3_WHOLE_MOST;
	enum status status = ST_OK;
	unsigned number = 1;

	buffer_add_str(&u->named, "<CompleteMultipartUpload>");
	for (uint64_t at = 0; status == ST_OK && at < u->size; at += part, number++) {
		status = send_part(u, number, at,
				   u->size - at < part ? u->size - at : part, err);
	}
	buffer_add_str(&u->named, "</CompleteMultipartUpload>");
	return status == ST_OK && !buffer_ok(&u->named) ? out_of_memory(err) : status;
}

/* The answer may be an error although its code is 200, as it begins before the server
 * is done. */
static enum status complete(struct upload *u, struct error *err)
{
	struct s3_request request = {.method = "POST",
				     .key = u->key,
				     .query = make_query(u, ""),
				     .headers = {{"if-none-match", "*"}},
				     .header_count = 1,
				     .bytes = u->named.bytes,
				     .len = u->named.len,
				     .into = u->reply,
				     .room = REPLY_BYTES};
	enum status status =
	    request.query ? s3_client_send(u->s->client, &request, u->s->answer, err)
			  : out_of_memory(err);
	struct s3_answer *a = u->s->answer;

	if (status != ST_OK) {
		return status;
	}
	/* An upload that is not there any more was completed by a try whose answer was
	 * lost, or given up by somebody. */
	if (a->code == 412 || s3_span_is(s3_fault_code(a), "NoSuchUpload")) {
		return ST_END;
	}
	if (a->code == 200 && s3_xml_find(reply_of(u), "Code").bytes) {
		a->code = 500;
		a->fault_len =
		    a->len < sizeof a->fault - 1 ? a->len : sizeof a->fault - 1;
		memcpy(a->fault, u->reply, a->fault_len);
		a->fault[a->fault_len] = '\0';
	}
	return a->code == 200 ? ST_OK : fault(u, "written", err);
}

/* After a failure, whose text is kept. */
static void give_up(struct upload *u)
{
	struct error ignored;

	if (u->id.len > 0 && abort_upload(u, &ignored) != ST_OK) {
		log_debug("%s", ignored.text);
	}
}

static enum status run(struct upload *u, struct error *err)
{
	unsigned level = 1u << (level_of(u) - '0');
	enum status status = ST_OK;

	if ((u->s->swept & level) == 0) {
		status = abort_leftovers(u, err);
		u->s->swept |= status == ST_OK ? level : 0;
	}
	if (status == ST_OK) {
		status = begin(u, err);
	}
	if (status == ST_OK) {
		status = send_parts(u, err);
	}
	if (status == ST_OK) {
		status = complete(u, err);
	}
	if (status != ST_OK) {
		give_up(u);
	}
	return status;
}

enum status s3_parts_put(struct s3_storage *s, const char *key, const char *time,
			 int fd, uint64_t size, struct error *err)
{
	struct upload u = {.s = s, .key = key, .time = time, .fd = fd, .size = size};
	enum status status;

	u.reply = malloc(REPLY_BYTES);
	buffer_init(&u.id);
	buffer_init(&u.query);
	buffer_init(&u.named);
	status = u.reply ? run(&u, err) : out_of_memory(err);
	buffer_clear(&u.named);
	buffer_clear(&u.query);
	buffer_clear(&u.id);
	free(u.reply);
	return status;
}

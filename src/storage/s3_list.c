/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_list.c -- the files of an archive in a bucket, by ListObjectsV2.
 *
 * Up to 1,000 objects come with one request, in the order of their keys. What a server
 * says is not trusted: a page has to go on behind the one before it, so that a list
 * ends, and what is no file of an archive is passed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"
#include "src/storage/file_name.h"
#include "src/storage/s3_fault.h"
#include "src/storage/s3_storage.h"
#include "src/storage/s3_text.h"

#define PAGE_ROOM   (8u << 20) /* 1,000 keys of 1,024 bytes, each escaped */
#define FILES_MAX   20000000u
#define LEVEL_TEXT  5u /* "0009/" */
#define LEVEL_ZEROS "000"

struct listing {
	struct s3_storage *s;
	struct archive_list *list;
	const char *below;
	const char *page;
	struct buffer key;   /* of the object that is read */
	struct buffer last;  /* the greatest one yet */
	struct buffer token; /* for the next page; empty: there is none */
	struct buffer query;
};

static enum status no_list(const struct listing *l, const char *why, struct error *err)
{
	return error_set(err, ST_IO,
			 "%s cannot be listed: %s (%s): is it a server of S3? see "
			 "archive.s3.endpoint",
			 s3_storage_name(l->s, l->s->prefix).text, why,
			 s3_client_server(l->s->client));
}

/* ---- an object ---- */

/* "LLLL/MIN-MAX.ltx" */
static bool read_file(const char *name, struct archive_file *file)
{
	if (strncmp(name, LEVEL_ZEROS, 3) != 0 || name[3] < '0' || name[3] > '9' ||
	    name[4] != '/') {
		return false;
	}
	file->level = (unsigned)(name[3] - '0');
	return file_name_read(name + LEVEL_TEXT, file);
}

/* 2026-11-28T10:00:00.000Z; one that is none is the beginning of time. */
static int64_t read_time(struct s3_span text)
{
	char copy[48];
	int64_t time_ns = 0;

	if (text.bytes && text.len < sizeof copy) {
		memcpy(copy, text.bytes, text.len);
		copy[text.len] = '\0';
		if (!time_text_read(copy, &time_ns)) {
			time_ns = 0;
		}
	}
	return time_ns;
}

/* What stands between <Contents> and its end. */
static enum status add_object(struct listing *l, struct s3_span object,
			      struct error *err)
{
	struct archive_file file = {.time_is_rough = true};
	size_t prefix_len = strlen(l->s->prefix);
	const char *key;

	buffer_reset(&l->key);
	if (!s3_add_unescaped(&l->key, s3_xml_find(object, "Key")) || l->key.len == 0) {
		return no_list(l, "the answer has an object without a key", err);
	}
	buffer_add_char(&l->key, '\0');
	if (!buffer_ok(&l->key)) {
		return error_no_memory(err, "the list of an archive");
	}
	key = l->key.bytes;
	if (l->last.len > 0 && strcmp(key, l->last.bytes) <= 0) {
		return no_list(l, "the answers are not in the order of keys", err);
	}
	buffer_reset(&l->last);
	buffer_add(&l->last, l->key.bytes, l->key.len);
	if (!buffer_ok(&l->last)) {
		return error_no_memory(err, "the list of an archive");
	}
	if (strncmp(key, l->s->prefix, prefix_len) != 0 || key[prefix_len] != '/' ||
	    !read_file(key + prefix_len + 1, &file)) {
		return ST_OK;
	}
	if (!s3_span_number(s3_xml_find(object, "Size"), &file.size)) {
		return no_list(l, "the answer has an object without a size", err);
	}
	file.time_ns = read_time(s3_xml_find(object, "LastModified"));
	file.stored_ns = file.time_ns;
	if (l->list->count >= FILES_MAX) {
		return no_list(l, "there is no end of objects", err);
	}
	return archive_list_add(l->list, &file, err);
}

/* ---- a page ---- */

/* Take `tag`, which begins an element of the page. `*count`: of objects. */
static enum status take_element(struct listing *l, struct s3_xml *xml,
				const struct s3_tag *tag, size_t *count,
				bool *is_truncated, struct error *err)
{
	struct s3_tag end;

	if (s3_span_is(tag->name, "IsTruncated")) {
		*is_truncated = s3_span_is(tag->text, "true");
	} else if (s3_span_is(tag->name, "NextContinuationToken")) {
		buffer_reset(&l->token);
		if (!s3_add_unescaped(&l->token, tag->text)) {
			return no_list(l, "the answer is no XML", err);
		}
	} else if (s3_span_is(tag->name, "Contents")) {
		do {
			if (!s3_xml_next(xml, &end)) {
				return no_list(l, "the answer is cut off", err);
			}
		} while (!end.is_end || !s3_span_is(end.name, "Contents"));
		(*count)++;
		return add_object(l,
				  (struct s3_span){tag->text.bytes,
						   (size_t)(xml->at - tag->text.bytes)},
				  err);
	}
	return ST_OK;
}

static enum status read_page(struct listing *l, size_t len, bool *goes_on,
			     struct error *err)
{
	bool is_list = false;
	bool is_whole = false;
	size_t count = 0;
	enum status status = ST_OK;
	struct s3_xml xml;
	struct s3_tag tag;

	*goes_on = false;
	buffer_reset(&l->token);
	s3_xml_init(&xml, l->page, len);
	while (status == ST_OK && s3_xml_next(&xml, &tag)) {
		if (s3_span_is(tag.name, "ListBucketResult")) {
			is_list = true;
			is_whole = tag.is_end;
		} else if (is_list && !tag.is_end) {
			status = take_element(l, &xml, &tag, &count, goes_on, err);
		}
	}
	if (status != ST_OK) {
		return status;
	}
	if (!is_whole) {
		return no_list(
		    l, is_list ? "the answer is cut off" : "the answer is no list",
		    err);
	}
	if (*goes_on && (l->token.len == 0 || count == 0)) {
		return no_list(l, "it says that more follows, but not what", err);
	}
	return buffer_ok(&l->token) ? ST_OK
				    : error_no_memory(err, "the list of an archive");
}

static enum status make_query(struct listing *l, struct error *err)
{
	struct buffer *q = &l->query;

	buffer_reset(q);
	if (l->token.len > 0) {
		buffer_add_str(q, "continuation-token=");
		s3_add_encoded(q, l->token.bytes, l->token.len, false);
		buffer_add_char(q, '&');
	}
	buffer_add_str(q, "list-type=2&prefix=");
	s3_add_encoded(q, l->s->prefix, strlen(l->s->prefix), false);
	buffer_add_str(q, "%2F");
	buffer_add_str(q, l->below);
	buffer_add_char(q, '\0');
	return buffer_ok(q) ? ST_OK : error_no_memory(err, "the list of an archive");
}

static enum status ask_page(struct listing *l, char *into, size_t *len,
			    struct error *err)
{
	struct s3_request request = {
	    .method = "GET", .key = "", .into = into, .room = PAGE_ROOM};
	char what[STORAGE_NAME_BYTES + 32];
	enum status status = make_query(l, err);

	if (status != ST_OK) {
		return status;
	}
	request.query = l->query.bytes;
	status = s3_client_send(l->s->client, &request, l->s->answer, err);
	if (status != ST_OK) {
		return status;
	}
	*len = l->s->answer->len;
	if (l->s->answer->code == 200) {
		return ST_OK;
	}
	(void)snprintf(what, sizeof what, "%s cannot be listed",
		       s3_storage_name(l->s, l->s->prefix).text);
	return s3_fault_set(l->s->client, l->s->answer, what, "s3:ListBucket", err);
}

static void listing_init(struct listing *l)
{
	buffer_init(&l->key);
	buffer_init(&l->last);
	buffer_init(&l->token);
	buffer_init(&l->query);
}

static void listing_clear(struct listing *l)
{
	buffer_clear(&l->query);
	buffer_clear(&l->token);
	buffer_clear(&l->last);
	buffer_clear(&l->key);
}

enum status s3_list_below(struct s3_storage *s, const char *below,
			  struct archive_list *list, struct error *err)
{
	struct listing l = {.s = s, .list = list, .below = below};
	char *page = malloc(PAGE_ROOM);
	bool goes_on = true;
	enum status status = ST_OK;
	size_t len;

	if (!page) {
		return error_no_memory(err, "the list of an archive");
	}
	l.page = page;
	listing_init(&l);
	while (status == ST_OK && goes_on) {
		status = ask_page(&l, page, &len, err);
		if (status == ST_OK) {
			status = read_page(&l, len, &goes_on, err);
		}
	}
	listing_clear(&l);
	free(page);
	return status;
}

enum status s3_list_page(struct s3_storage *s, const char *bytes, size_t len,
			 struct archive_list *list, struct error *err)
{
	struct listing l = {.s = s, .list = list, .below = "", .page = bytes};
	enum status status;
	bool goes_on;

	listing_init(&l);
	status = read_page(&l, len, &goes_on, err);
	listing_clear(&l);
	return status;
}

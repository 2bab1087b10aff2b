/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/reader.h"

#include <string.h>

#include "src/base/quote.h"

#define READ_BYTES ((size_t)1 << 20)

/* A compressed file that is as large is unpacked by a thread. */
#ifndef THREAD_BYTES
#define THREAD_BYTES 65536
#endif

void audit_reader_open(struct audit_reader *reader, int fd, const char *path)
{
	*reader = (struct audit_reader){.most = AUDIT_LONG_BYTES};
	audit_input_use(&reader->input, fd, path);
	buffer_init(&reader->bytes);
}

void audit_reader_open_files(struct audit_reader *reader,
			     const struct audit_files *files, size_t from)
{
	*reader = (struct audit_reader){.files = files->list + from,
					.file_count = files->count - from,
					.input = {.fd = -1},
					.at_end = true,
					.is_alone = true,
					.most = AUDIT_LONG_BYTES};
	buffer_init(&reader->bytes);
}

void audit_reader_close(struct audit_reader *reader)
{
	audit_ahead_close(reader->ahead);
	audit_input_close(&reader->input);
	buffer_clear(&reader->bytes);
	audit_hasher_close(&reader->hasher);
}

/* The one that was read is at its end. ST_END: it was the last one. */
static enum status next_file(struct audit_reader *r, struct error *err)
{
	enum status status;

	if (r->file_count == 0) {
		return ST_END;
	}
	audit_ahead_close(r->ahead);
	r->ahead = NULL;
	audit_input_close(&r->input);
	status = audit_input_open(&r->input, r->files, err);
	r->wants_ahead = status == ST_OK && r->is_alone && r->input.unpacker &&
			 r->files->bytes >= THREAD_BYTES;
	r->files++;
	r->file_count--;
	r->file_start = r->offset;
	r->at_end = false;
	return status;
}

/* More bytes behind those that are there. */
static enum status read_on(struct audit_reader *r, struct error *err)
{
	struct buffer *b = &r->bytes;
	size_t n;
	enum status status;

	if (!buffer_reserve(b, READ_BYTES)) {
		return error_no_memory(err, "a line of %s", quote(r->input.path).text);
	}
	/* Who wants one line needs no thread. */
	if (r->wants_ahead && r->input.at > 0) {
		r->ahead = audit_ahead_open(&r->input);
		r->wants_ahead = false;
	}
	status =
	    r->ahead
		? audit_ahead_read(r->ahead, b->bytes + b->len, READ_BYTES, &n, err)
		: audit_input_read(&r->input, b->bytes + b->len, READ_BYTES, &n, err);
	if (status == ST_CORRUPT) { /* what follows it can still be read */
		r->damaged++;
		r->at_end = true;
		return ST_OK;
	}
	if (status == ST_OK) {
		b->len += n;
		r->at_end = n == 0;
	}
	return status;
}

static enum status read_more(struct audit_reader *r, struct error *err)
{
	struct buffer *b = &r->bytes;

	if (r->from > 0) {
		memmove(b->bytes, b->bytes + r->from, b->len - r->from);
		b->len -= r->from;
		r->from = 0;
	}
	return read_on(r, err);
}

/* The buffer holds the beginning of a long line and nothing else. What follows is
 * hashed and forgotten, a piece at a time. */
static enum status read_long(struct audit_reader *r, struct span *line, bool *is_whole,
			     struct error *err)
{
	struct buffer *b = &r->bytes;
	size_t at = 0; /* of what is not hashed yet */
	const char *end = NULL;

	if (!r->hasher.state && audit_hasher_open(&r->hasher, err) != ST_OK) {
		return err->status;
	}
	audit_leaf_begin(&r->hasher);
	while (!end && !r->at_end) {
		audit_leaf_more(&r->hasher, b->bytes + at, b->len - at);
		r->offset += b->len - at;
		at = b->len = AUDIT_LONG_BYTES;
		if (read_on(r, err) != ST_OK) {
			return err->status;
		}
		end = memchr(b->bytes + at, '\n', b->len - at);
	}
	r->from = end ? (size_t)(end - b->bytes) : b->len;
	audit_leaf_more(&r->hasher, b->bytes + at, r->from - at);
	r->offset += r->from - at;
	r->leaf = audit_leaf_end(&r->hasher);
	if (r->hasher.failed) {
		return error_no_memory(err, "hashing");
	}
	r->from += end != NULL;
	r->offset += end != NULL;
	r->is_long = true;
	*is_whole = end != NULL;
	*line = (struct span){b->bytes, AUDIT_LONG_BYTES};
	return ST_OK;
}

enum status audit_reader_next(struct audit_reader *reader, struct span *line,
			      bool *is_whole, struct error *err)
{
	size_t searched = 0;

	reader->is_long = false;
	reader->is_first = reader->offset == reader->file_start;
	for (;;) {
		const char *start = reader->bytes.bytes + reader->from;
		size_t len = reader->bytes.len - reader->from;
		const char *end = len > searched
				      ? memchr(start + searched, '\n', len - searched)
				      : NULL;

		if (end || (reader->at_end && len > 0)) {
			*is_whole = end != NULL;
			*line = (struct span){start, end ? (size_t)(end - start) : len};
			reader->from += line->len + *is_whole;
			reader->offset += line->len + *is_whole;
			return ST_OK;
		}
		if (reader->at_end) {
			enum status status = next_file(reader, err);

			if (status != ST_OK) {
				return status;
			}
			reader->is_first = true;
			continue;
		}
		searched = len;
		if (reader->from == 0 && len >= reader->most) {
			return read_long(reader, line, is_whole, err);
		}
		if (read_more(reader, err) != ST_OK) {
			return err->status;
		}
	}
}

static void skip(struct audit_reader *r, size_t len)
{
	r->from += len;
	r->offset += len;
}

/* Where in the buffer the first of the needles begins; NULL: none of them does. Each
 * byte is looked at once for each, also where another one is in every line. */
static const char *first_hit(const struct audit_reader *r, struct audit_needle *needles,
			     size_t count)
{
	const char *start = r->bytes.bytes + r->from, *first = NULL;
	size_t len = r->bytes.len - r->from;

	for (size_t i = 0; i < count; i++) {
		struct audit_needle *needle = &needles[i];
		size_t done = needle->not_before > r->offset
				  ? (size_t)(needle->not_before - r->offset)
				  : 0;
		const char *hit;

		if (len < needle->bytes.len || done > len - needle->bytes.len) {
			continue;
		}
		hit = memmem(start + done, len - done, needle->bytes.bytes,
			     needle->bytes.len);
		needle->not_before = r->offset + (hit ? (size_t)(hit - start)
						      : len - needle->bytes.len + 1);
		first = hit && (!first || hit < first) ? hit : first;
	}
	return first;
}

enum status audit_reader_find(struct audit_reader *reader, struct audit_needle *needles,
			      size_t count, struct span *line, bool *is_whole,
			      struct error *err)
{
	while (count > 0) {
		const char *start = reader->bytes.bytes + reader->from;
		size_t len = reader->bytes.len - reader->from;
		const char *hit = first_hit(reader, needles, count);
		const char *end =
		    len > 0 ? memrchr(start, '\n', hit ? (size_t)(hit - start) : len)
			    : NULL;

		if (!hit && reader->at_end) {
			enum status status;

			skip(reader, len);
			status = next_file(reader, err);
			if (status != ST_OK) {
				return status;
			}
			continue;
		}
		if (end) {
			skip(reader, (size_t)(end + 1 - start));
			len -= (size_t)(end + 1 - start);
		}
		if (hit || (reader->from == 0 && len >= reader->most)) {
			break; /* of a long line the rest is not looked at */
		}
		if (read_more(reader, err) != ST_OK) {
			return err->status;
		}
	}
	return audit_reader_next(reader, line, is_whole, err);
}

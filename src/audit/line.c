/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/line.h"

#include <errno.h>
#include <string.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"

#define READ_BYTES ((size_t)1 << 20)

struct cursor {
	const char *at, *end;
};

static bool take(struct cursor *c, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0) {
		return false;
	}
	c->at += len;
	return true;
}

static bool take_number(struct cursor *c, uint64_t *out)
{
	const char *start = c->at;
	uint64_t number = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - start < 18) {
		number = number * 10 + (uint64_t)(*c->at++ - '0');
	}
	*out = number;
	return c->at > start && (*start != '0' || c->at == start + 1);
}

/* A string without escapes, and its closing quote. */
static bool take_text(struct cursor *c, struct span *out)
{
	const char *quote_mark = memchr(c->at, '"', (size_t)(c->end - c->at));

	if (!quote_mark || memchr(c->at, '\\', (size_t)(quote_mark - c->at))) {
		return false;
	}
	*out = (struct span){c->at, (size_t)(quote_mark - c->at)};
	c->at = quote_mark + 1;
	return true;
}

static enum audit_line_kind kind_of(struct span op)
{
	static const struct {
		const char *name;
		enum audit_line_kind kind;
	} kinds[] = {
	    {"file", AUDIT_LINE_FILE}, {"checkpoint", AUDIT_LINE_CHECKPOINT},
	    {"key", AUDIT_LINE_KEY},   {"start", AUDIT_LINE_START},
	    {"stop", AUDIT_LINE_STOP}, {"gap", AUDIT_LINE_GAP},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strlen(kinds[i].name) == op.len &&
		    memcmp(kinds[i].name, op.bytes, op.len) == 0) {
			return kinds[i].kind;
		}
	}
	return AUDIT_LINE_ROW;
}

void audit_line_read(const char *bytes, size_t len, struct audit_line *out)
{
	struct cursor c = {bytes, bytes + len};
	struct span salt, op;

	*out = (struct audit_line){.kind = AUDIT_LINE_ROW};
	if (!take(&c, "{\"n\":") || !take_number(&c, &out->number) || !take(&c, ",")) {
		return;
	}
	out->has_number = true;
	if ((take(&c, "\"salt\":\"") && (!take_text(&c, &salt) || !take(&c, ","))) ||
	    !take(&c, "\"time\":\"") || !take_text(&c, &out->time)) {
		return;
	}
	if (take(&c, ",\"op\":\"") && take_text(&c, &op)) {
		out->kind = kind_of(op);
	}
}

/* ---- lines of a file ---- */

void audit_reader_open(struct audit_reader *reader, int fd, const char *path)
{
	*reader =
	    (struct audit_reader){.fd = fd, .path = path, .most = AUDIT_LONG_BYTES};
	buffer_init(&reader->bytes);
}

void audit_reader_close(struct audit_reader *reader)
{
	buffer_clear(&reader->bytes);
	audit_hasher_close(&reader->hasher);
}

/* More bytes behind those that are there, from `offset` of the file. */
static enum status read_at(struct audit_reader *r, uint64_t offset, struct error *err)
{
	struct buffer *b = &r->bytes;
	ssize_t n;

	if (!buffer_reserve(b, READ_BYTES)) {
		return error_no_memory(err, "a line of %s", quote(r->path).text);
	}
	n = file_read_at(r->fd, b->bytes + b->len, READ_BYTES, (off_t)offset);
	if (n < 0) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(r->path).text);
	}
	b->len += (size_t)n;
	r->at_end = n == 0;
	return ST_OK;
}

static enum status read_more(struct audit_reader *r, struct error *err)
{
	struct buffer *b = &r->bytes;

	if (r->from > 0) {
		memmove(b->bytes, b->bytes + r->from, b->len - r->from);
		b->len -= r->from;
		r->from = 0;
	}
	return read_at(r, r->offset + b->len, err);
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
		if (read_at(r, r->offset, err) != ST_OK) {
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
			return ST_END;
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
			return ST_END;
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

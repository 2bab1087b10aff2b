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
	*reader = (struct audit_reader){.fd = fd, .path = path};
	buffer_init(&reader->bytes);
}

void audit_reader_close(struct audit_reader *reader)
{
	buffer_clear(&reader->bytes);
}

/* More bytes behind those that are there. */
static enum status read_more(struct audit_reader *r, struct error *err)
{
	struct buffer *b = &r->bytes;
	ssize_t n;

	if (r->from > 0) {
		memmove(b->bytes, b->bytes + r->from, b->len - r->from);
		b->len -= r->from;
		r->from = 0;
	}
	if (!buffer_reserve(b, READ_BYTES)) {
		return error_no_memory(err, "a line of %s", quote(r->path).text);
	}
	n = file_read_at(r->fd, b->bytes + b->len, READ_BYTES,
			 (off_t)(r->offset + b->len));
	if (n < 0) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(r->path).text);
	}
	b->len += (size_t)n;
	r->at_end = n == 0;
	return ST_OK;
}

enum status audit_reader_next(struct audit_reader *reader, struct span *line,
			      bool *is_whole, struct error *err)
{
	size_t searched = 0;

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
		if (read_more(reader, err) != ST_OK) {
			return err->status;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/line.h"

#include <string.h>

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
	    {"file", AUDIT_LINE_FILE},
	    {"checkpoint", AUDIT_LINE_CHECKPOINT},
	    {"key", AUDIT_LINE_KEY},
	    {"start", AUDIT_LINE_START},
	    {"stop", AUDIT_LINE_STOP},
	    {"gap", AUDIT_LINE_GAP},
	    {"retention", AUDIT_LINE_RETENTION},
	    {"redaction", AUDIT_LINE_REDACTION},
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
	if (take(&c, "\"op\":\"redacted\",\"leaf\":\"")) {
		if (take_text(&c, &out->leaf) && take(&c, "}") && c.at == c.end) {
			out->kind = AUDIT_LINE_REDACTED;
		}
		return;
	}
	if ((take(&c, "\"salt\":\"") && (!take_text(&c, &salt) || !take(&c, ","))) ||
	    !take(&c, "\"time\":\"") || !take_text(&c, &out->time)) {
		return;
	}
	if (take(&c, ",\"op\":\"") && take_text(&c, &op)) {
		out->kind = kind_of(op);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_text.h"

#include <ctype.h>
#include <string.h>

#define CODE_MAX      0x10ffffu
#define REFERENCE_MAX 12u /* bytes of one: &#x0010ffff; */

/* ---- percent ---- */

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c));
}

void s3_add_encoded(struct buffer *b, const char *bytes, size_t len, bool is_path)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (is_plain(c) || (is_path && c == '/')) {
			buffer_add_char(b, (char)c);
		} else {
			buffer_add_char(b, '%');
			buffer_add_char(b, hex[c >> 4]);
			buffer_add_char(b, hex[c & 15]);
		}
	}
}

/* ---- XML ---- */

void s3_xml_init(struct s3_xml *xml, const void *bytes, size_t len)
{
	*xml = (struct s3_xml){.at = bytes,
			       .end = len > 0 ? (const char *)bytes + len : bytes};
}

static size_t left(const struct s3_xml *xml)
{
	return (size_t)(xml->end - xml->at);
}

/* Move behind `text`; false: it is not there. */
static bool skip_behind(struct s3_xml *xml, const char *text)
{
	size_t len = strlen(text);
	const char *found =
	    left(xml) > 0 ? memmem(xml->at, left(xml), text, len) : NULL;

	xml->at = found ? found + len : xml->end;
	return found != NULL;
}

static bool starts_with(const struct s3_xml *xml, const char *text)
{
	size_t len = strlen(text);

	return left(xml) >= len && memcmp(xml->at, text, len) == 0;
}

/* The name at the beginning of what stands in a tag. */
static struct s3_span name_of(const char *at, const char *end)
{
	struct s3_span name = {.bytes = at};

	for (; at < end && !isspace((unsigned char)*at) && *at != '/'; at++) {
		if (*at == ':') {
			name.bytes = at + 1;
		}
	}
	name.len = (size_t)(at - name.bytes);
	return name;
}

static struct s3_span text_behind(const struct s3_xml *xml)
{
	const char *next = left(xml) > 0 ? memchr(xml->at, '<', left(xml)) : NULL;

	return (struct s3_span){.bytes = xml->at,
				.len = (size_t)((next ? next : xml->end) - xml->at)};
}

bool s3_xml_next(struct s3_xml *xml, struct s3_tag *tag)
{
	const char *start;

	*tag = (struct s3_tag){0};
	if (xml->empty.bytes) {
		tag->name = xml->empty;
		tag->is_end = true;
		tag->text = text_behind(xml);
		xml->empty = (struct s3_span){0};
		return true;
	}
	while (skip_behind(xml, "<")) {
		if (starts_with(xml, "!--")) {
			(void)skip_behind(xml, "-->");
			continue;
		}
		start = xml->at;
		if (!skip_behind(xml, ">")) {
			return false;
		}
		if (*start == '?' || *start == '!') {
			continue;
		}
		tag->is_end = *start == '/';
		tag->name = name_of(start + tag->is_end, xml->at - 1);
		if (!tag->is_end && xml->at - 2 >= start && xml->at[-2] == '/') {
			xml->empty = tag->name;
			tag->text = (struct s3_span){.bytes = xml->at};
		} else {
			tag->text = text_behind(xml);
		}
		return tag->name.len > 0;
	}
	return false;
}

bool s3_span_is(struct s3_span span, const char *text)
{
	return span.bytes && span.len == strlen(text) &&
	       memcmp(span.bytes, text, span.len) == 0;
}

struct s3_span s3_xml_find(struct s3_span bytes, const char *name)
{
	struct s3_xml xml;
	struct s3_tag tag;

	s3_xml_init(&xml, bytes.bytes, bytes.len);
	while (s3_xml_next(&xml, &tag)) {
		if (!tag.is_end && s3_span_is(tag.name, name)) {
			return tag.text;
		}
	}
	return (struct s3_span){0};
}

/* ---- references ---- */

static void add_utf8(struct buffer *b, uint32_t code)
{
	if (code < 0x80) {
		buffer_add_char(b, (char)code);
		return;
	}
	if (code < 0x800) {
		buffer_add_char(b, (char)(0xc0 | code >> 6));
	} else if (code < 0x10000) {
		buffer_add_char(b, (char)(0xe0 | code >> 12));
		buffer_add_char(b, (char)(0x80 | (code >> 6 & 63)));
	} else {
		buffer_add_char(b, (char)(0xf0 | code >> 18));
		buffer_add_char(b, (char)(0x80 | (code >> 12 & 63)));
		buffer_add_char(b, (char)(0x80 | (code >> 6 & 63)));
	}
	buffer_add_char(b, (char)(0x80 | (code & 63)));
}

/* "#x27" or "#39": a character. */
static bool read_code(struct s3_span digits, uint32_t *code)
{
	bool is_hex = digits.len > 0 && digits.bytes[0] == 'x';

	*code = 0;
	if (digits.len == (is_hex ? 1u : 0u)) {
		return false;
	}
	for (size_t i = is_hex; i < digits.len; i++) {
		unsigned char c = (unsigned char)digits.bytes[i];

		if (is_hex ? !isxdigit(c) : !isdigit(c)) {
			return false;
		}
		*code = *code * (is_hex ? 16 : 10) +
			(uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
		if (*code > CODE_MAX) {
			return false;
		}
	}
	return *code > 0 && (*code < 0xd800 || *code > 0xdfff);
}

static bool add_reference(struct buffer *b, struct s3_span name)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {
	    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	uint32_t code;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (s3_span_is(name, known[i].name)) {
			buffer_add_char(b, known[i].c);
			return true;
		}
	}
	if (name.len < 2 || name.bytes[0] != '#' ||
	    !read_code((struct s3_span){name.bytes + 1, name.len - 1}, &code)) {
		return false;
	}
	add_utf8(b, code);
	return true;
}

bool s3_add_unescaped(struct buffer *b, struct s3_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		size_t most =
		    text.len - i < REFERENCE_MAX ? text.len - i : REFERENCE_MAX;
		const char *end;

		if (text.bytes[i] != '&') {
			buffer_add_char(b, text.bytes[i]);
			continue;
		}
		end = memchr(text.bytes + i, ';', most);
		if (!end ||
		    !add_reference(
			b, (struct s3_span){text.bytes + i + 1,
					    (size_t)(end - text.bytes) - i - 1})) {
			return false;
		}
		i = (size_t)(end - text.bytes);
	}
	return true;
}

bool s3_span_number(struct s3_span text, uint64_t *n)
{
	*n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!isdigit((unsigned char)text.bytes[i]) ||
		    __builtin_mul_overflow(*n, 10u, n) ||
		    __builtin_add_overflow(*n, (uint64_t)(text.bytes[i] - '0'), n)) {
			return false;
		}
	}
	return text.len > 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/help_text.h"

#include <string.h>

#define LINE_COLUMNS 79 /* of --help */
#define MDOC_COLUMNS 78

size_t help_columns(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	}
	return n;
}

static void add_blanks(struct buffer *out, size_t count)
{
	while (count-- > 0) {
		buffer_add_char(out, ' ');
	}
}

void help_add_wrapped(struct buffer *out, const char *text, size_t column,
		      size_t text_column)
{
	while (*text) {
		size_t len = strcspn(text, " ");
		bool is_first = column <= text_column;

		if (column + !is_first + help_columns(text, len) > LINE_COLUMNS) {
			buffer_add_char(out, '\n');
			column = 0;
			is_first = true;
		}
		if (is_first) {
			add_blanks(out, text_column - column);
			column = text_column;
		} else {
			buffer_add_char(out, ' ');
			column++;
		}
		for (size_t i = 0; i < len; i++) {
			if (text[i] != '`') {
				buffer_add_char(out, text[i]);
			}
		}
		column += help_columns(text, len);
		text += len;
		text += strspn(text, " ");
	}
	buffer_add_char(out, '\n');
}

void help_add_roff(struct buffer *out, const char *text, size_t len, bool *is_bold)
{
	if (len > 0 && (text[0] == '.' || text[0] == '\'')) {
		buffer_add_str(out, "\\&");
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '`') {
			*is_bold = !*is_bold;
			buffer_add_str(out, *is_bold ? "\\fB" : "\\fR");
		} else if (text[i] == '\\') {
			buffer_add_str(out, "\\e");
		} else if (text[i] == '-' && *is_bold) {
			buffer_add_str(out, "\\-");
		} else {
			buffer_add_char(out, text[i]);
		}
	}
}

static void add_roff_text(struct buffer *out, const char *text)
{
	bool is_bold = false;
	size_t column = 0;
	bool is_end = false;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > 0 && (is_end || column + 1 + len > MDOC_COLUMNS)) {
			buffer_add_char(out, '\n');
			column = 0;
		} else if (column > 0) {
			buffer_add_char(out, ' ');
			column++;
		}
		help_add_roff(out, text, len, &is_bold);
		column += len;
		is_end = text[len - 1] == '.'; /* a sentence begins a line */
		text += len;
		text += strspn(text, " ");
	}
	buffer_add_char(out, '\n');
}

void help_add_sentence(struct buffer *out, const char *text)
{
	struct buffer b;

	buffer_init(&b);
	buffer_add_str(&b, text);
	buffer_add_str(&b, ".");
	buffer_add_char(&b, '\0');
	if (buffer_ok(&b)) {
		if (b.bytes[0] >= 'a' && b.bytes[0] <= 'z') {
			b.bytes[0] = (char)(b.bytes[0] - 'a' + 'A');
		}
		add_roff_text(out, b.bytes);
	}
	out->failed |= !buffer_ok(&b);
	buffer_clear(&b);
}

void help_add_link(struct buffer *out, const char *page)
{
	page += strlen("docs/"); /* beside it */
	buffer_add_str(out, ": [");
	buffer_add(out, page, strcspn(page, "#"));
	buffer_add_str(out, "](");
	buffer_add_str(out, page);
	buffer_add_char(out, ')');
}

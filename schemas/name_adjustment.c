/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/name_adjustment.h"

#include <stdio.h>

#include "schemas/value_json.h"

static bool is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_allowed(uint32_t unit, enum name_adjustment mode, bool is_first,
		       bool is_field)
{
	if (unit == '_') {
		return mode == NAMES_AVRO;
	}
	if ((unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z')) {
		return true;
	}
	return !is_first && (is_digit(unit) || (unit == '.' && !is_field));
}

static void add_unit(struct buffer *b, uint32_t unit, enum name_adjustment mode,
		     bool is_first, bool is_field)
{
	char text[16];

	if (is_allowed(unit, mode, is_first, is_field)) {
		buffer_add_char(b, (char)unit);
		return;
	}
	if (mode == NAMES_AVRO) {
		buffer_add_char(b, '_');
		if (is_digit(unit)) {
			buffer_add_char(b, (char)unit);
		}
		return;
	}
	(void)snprintf(text, sizeof text, unit < 0x100 ? "_u00%02x" : "_u%x",
		       (unsigned)unit);
	buffer_add_str(b, text);
}

void name_adjustment_add(struct buffer *b, const char *name, enum name_adjustment mode,
			 bool is_field)
{
	const uint8_t *s = (const uint8_t *)name;
	const uint8_t *end = s + strlen(name);
	bool is_first = true;

	if (mode == NAMES_AS_THEY_ARE) {
		buffer_add_str(b, name);
		return;
	}
	while (s < end) {
		bool valid;
		size_t len = utf8_step(s, end, &valid);
		uint32_t c = valid ? utf8_code_point(s, len) : UTF8_REPLACEMENT;

		if (c >= 0x10000) {
			c -= 0x10000;
			add_unit(b, 0xD800 + (c >> 10), mode, is_first, is_field);
			c = 0xDC00 + (c & 0x3FF);
			is_first = false;
		}
		add_unit(b, c, mode, is_first, is_field);
		is_first = false;
		s += len;
	}
}

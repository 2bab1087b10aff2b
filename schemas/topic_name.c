/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/topic_name.h"

#include <stdbool.h>
#include <string.h>

#include "schemas/value_json.h"

static bool is_topic_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* Append `text` sanitised, no further than `limit` bytes of the buffer. */
static void add_sanitised(struct buffer *b, const char *text, size_t limit)
{
	const uint8_t *s = (const uint8_t *)text;
	const uint8_t *end = s + strlen(text);

	while (s < end && b->len < limit && buffer_ok(b)) {
		bool valid;
		size_t len = utf8_step(s, end, &valid);

		if (is_topic_char(*s)) {
			buffer_add_char(b, (char)*s);
		} else {
			buffer_add_char(b, '_');
		}
		if (valid && len == 4 && b->len < limit) {
			buffer_add_char(b, '_'); /* the second surrogate */
		}
		s += len;
	}
}

void topic_name_add(struct buffer *b, const char *prefix, const char *delimiter,
		    const char *table)
{
	size_t start = b->len;
	size_t limit = start + TOPIC_NAME_MAX;
	size_t len;

	add_sanitised(b, prefix, limit);
	if (*prefix && *table) {
		add_sanitised(b, delimiter, limit);
	}
	add_sanitised(b, table, limit);
	len = b->len - start;
	if (buffer_ok(b) && len > 0 && len <= 2 && b->bytes[start] == '.' &&
	    b->bytes[start + len - 1] == '.') {
		memset(b->bytes + start, '_', len);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_body.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"
#include "src/base/utf8.h"

void audit_body_begin(struct buffer *body, const char *op)
{
	buffer_add_str(body, "\"time\":\"");
	buffer_add_str(body, time_text_ms(clock_wall_ns()).text);
	buffer_add_str(body, "\",\"op\":\"");
	buffer_add_str(body, op);
	buffer_add_char(body, '"');
}

static void add_name(struct buffer *body, const char *name)
{
	buffer_add_str(body, ",\"");
	buffer_add_str(body, name);
	buffer_add_str(body, "\":");
}

void audit_body_text(struct buffer *body, const char *name, const char *text)
{
	char *safe = strdup(text);

	add_name(body, name);
	buffer_add_char(body, '"');
	if (!safe) {
		body->failed = true;
		return;
	}
	utf8_make_safe(safe);
	for (const char *c = safe; *c; c++) {
		if (*c == '"' || *c == '\\') {
			buffer_add_char(body, '\\');
		}
		buffer_add_char(body, *c);
	}
	buffer_add_char(body, '"');
	free(safe);
}

void audit_body_number(struct buffer *body, const char *name, uint64_t number)
{
	add_name(body, name);
	buffer_add_u64(body, number);
}

/* "note":"…" with its line ends escaped; nothing else in it needs that. */
void audit_body_note(struct buffer *body, const struct buffer *note)
{
	buffer_add_str(body, ",\"note\":\"");
	for (size_t i = 0; i < note->len; i++) {
		if (note->bytes[i] == '\n') {
			buffer_add_str(body, "\\n");
		} else {
			buffer_add_char(body, note->bytes[i]);
		}
	}
	buffer_add_char(body, '"');
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/other_settings.h"

#include <string.h>

#include "schemas/audit_line.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/config/shaping.h"

/* A value of a setting as people read it: the whole, or so much of it. */
#define SHOWN_BYTES 60

static int shown_len(const char *text)
{
	size_t len = strnlen(text, SHOWN_BYTES + 1);

	if (len > SHOWN_BYTES) {
		for (len = SHOWN_BYTES; ((unsigned char)text[len] & 0xC0) == 0x80;) {
			len--;
		}
	}
	return (int)len;
}

static void add_value(struct buffer *line, const char *value)
{
	int len = shown_len(value ? value : "");

	if (!value) {
		buffer_add_str(line, "not set");
		return;
	}
	buffer_add(line, value, (size_t)len);
	buffer_add_str(line, value[len] ? "..." : "");
}

static void add_difference(void *context, const char *name, const char *was,
			   const char *is)
{
	struct buffer *line = context;

	buffer_add_str(line, line->len > 0 ? ", " : "");
	buffer_add_str(line, name);
	buffer_add_char(line, ' ');
	add_value(line, was);
	buffer_add_str(line, " -> ");
	add_value(line, is);
}

void other_settings_say(const char *path, const struct kept_position *kept,
			const char *is)
{
	const struct state_position *at = &kept->position;
	const char *was =
	    at->settings_hash == kept->last_hash ? kept->last_settings.bytes : NULL;
	const char *again =
	    at->messages == 0 ? ""
	    : at->in_snapshot ? "; the snapshot that it was in is sent again from its "
				"beginning"
			      : "; the transaction that it was in is sent again from "
				"its beginning";
	struct buffer line;

	if (!was) {
		/* Earlier versions did not keep them; or a kill came in between. */
		if (at->messages > 0) {
			log_warn("%s does not say which settings it was made with%s",
				 path, again);
		}
		return;
	}
	buffer_init(&line);
	if (shaping_compare(was, is, add_difference, &line) == 0) {
		buffer_add_str(&line, "the order of column.mask.* and "
				      "column.truncate.*");
	}
	buffer_add_char(&line, '\0');
	log_warn("%s: the settings differ from those of the last run: %s%s", path,
		 buffer_ok(&line) ? line.bytes : "", again);
	buffer_clear(&line);
}

static void add_setting(void *context, const char *name, const char *was,
			const char *is)
{
	audit_line_setting(context, name, was, is);
}

enum status other_settings_put(struct sink *sink, uint64_t lsn, const char *was,
			       const char *is, struct error *err)
{
	struct message message = {.lsn = lsn, .index = MESSAGE_NO_INDEX};
	struct buffer line;
	enum status status;
	bool ok;

	buffer_init(&line);
	audit_line_settings_begin(&line, clock_wall_ns());
	ok = shaping_compare(was ? was : "", is, add_setting, &line) != SIZE_MAX;
	audit_line_settings_end(&line);
	message.value = (struct span){line.bytes, line.len};
	status = ok && buffer_ok(&line) ? sink_put(sink, &message, err)
					: error_no_memory(err, "delivery");
	buffer_clear(&line);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_pattern.h"

#include "src/base/buffer.h"

/* In a list a comma would end it. */
static void add_escaped(struct buffer *list, const char *pattern)
{
	for (const char *p = pattern; *p; p++) {
		if (*p == ',') {
			buffer_add_char(list, '\\');
		} else if (*p == '\\' && p[1]) {
			buffer_add_char(list, *p++);
		}
		buffer_add_char(list, *p);
	}
	buffer_add_char(list, '\0');
}

enum status signal_pattern_open(const char *member, const char *pattern,
				struct name_patterns **out, struct error *err)
{
	struct buffer list;
	enum status status;

	buffer_init(&list);
	add_escaped(&list, pattern);
	status = buffer_ok(&list) ? name_patterns_open(member, list.bytes, out, err)
				  : error_no_memory(err, "a signal");
	buffer_clear(&list);
	if (status == ST_OK && name_patterns_count(*out) != 1) {
		name_patterns_close(*out);
		status = error_set(err, ST_CONFIG, "%s: a name is empty", member);
	}
	return status;
}

enum status signal_pattern_check(const char *member, const char *pattern,
				 struct error *err)
{
	struct name_patterns *patterns;
	enum status status = signal_pattern_open(member, pattern, &patterns, err);

	if (status == ST_OK) {
		name_patterns_close(patterns);
	}
	return status;
}

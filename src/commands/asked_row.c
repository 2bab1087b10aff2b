/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/asked_row.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/base/utf8.h"
#include "src/commands/audit_text.h"

static enum status ask_for_key(struct asked_row *row, const char *typed,
			       struct error *err)
{
	size_t len = strlen(typed);
	bool is_quoted = len >= 2 && typed[0] == typed[len - 1] &&
			 (typed[0] == '\'' || typed[0] == '"');
	char *end;

	if (typed[0] == '{') {
		row->columns = json_loads(typed, JSON_ALLOW_NUL, NULL);
		return json_is_object(row->columns)
			   ? ST_OK
			   : error_set(err, ST_CONFIG,
				       "%s: a key of several columns is a JSON object "
				       "like {\"order\":42,\"item\":1}",
				       SHORT_NAME(typed));
	}
	(void)strtod(typed, &end);
	if (!is_quoted && len > 0 && *end == '\0') {
		row->number = (struct span){typed, len};
	}
	json_add_string(&row->text, typed + is_quoted, len - 2 * (size_t)is_quoted);
	return buffer_ok(&row->text) ? ST_OK : error_no_memory(err, "the key");
}

enum status asked_row_open(struct asked_row *row, const char *table, const char *typed,
			   struct error *err)
{
	*row = (struct asked_row){.table = table, .typed = typed};
	buffer_init(&row->text);
	buffer_init(&row->needle);
	buffer_add_str(&row->needle, "\"table\":\"");
	audit_text_add_needle(&row->needle, table);
	buffer_add_str(&row->needle, "\",");
	return buffer_ok(&row->needle) ? ask_for_key(row, typed, err)
				       : error_no_memory(err, "the question");
}

void asked_row_close(struct asked_row *row)
{
	json_decref(row->columns);
	buffer_clear(&row->text);
	buffer_clear(&row->needle);
}

static bool begins(const char *at, const char *end, struct span with)
{
	return with.bytes && (size_t)(end - at) > with.len &&
	       memcmp(at, with.bytes, with.len) == 0 && at[with.len] == '}';
}

/* Is {"NAME":VALUE} at `at` the key, with VALUE as it was typed? */
static bool is_key_of_one(const struct asked_row *row, const char *at, const char *end)
{
	const char *name = at + 2;

	if (end - at < 2 || memcmp(at, "{\"", 2) != 0) {
		return false;
	}
	for (at = name; at < end && *at != '"'; at++) {
		at += *at == '\\';
	}
	if (end - at < 2 || at[1] != ':') {
		return false;
	}
	at += 2;
	return begins(at, end, row->number) ||
	       begins(at, end, (struct span){row->text.bytes, row->text.len});
}

static bool is_key(const struct asked_row *row, const char *at, const char *end)
{
	json_t *found;
	bool is_it;

	if (!row->columns) {
		return is_key_of_one(row, at, end);
	}
	found = json_loadb(at, (size_t)(end - at),
			   JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
	is_it = found && json_equal(found, row->columns);
	json_decref(found);
	return is_it;
}

enum asked_match asked_row_match(const struct asked_row *row, struct span line)
{
	static const char key[] = "\"key\":", type[] = "\"type\":";
	const char *end = line.bytes + line.len;
	const char *at =
	    memmem(line.bytes, line.len, row->needle.bytes, row->needle.len);

	if (!at) {
		return ASKED_NO;
	}
	at += row->needle.len;
	if ((size_t)(end - at) > strlen(key) && memcmp(at, key, strlen(key)) == 0) {
		return is_key(row, at + strlen(key), end) ? ASKED_ROW : ASKED_NO;
	}
	return (size_t)(end - at) > strlen(type) && memcmp(at, type, strlen(type)) == 0
		   ? ASKED_TABLE
		   : ASKED_NO;
}

struct span asked_row_needle(const struct asked_row *row)
{
	/* The key without its quotes; of several columns the table alone. */
	if (!row->columns && row->text.len > 4) {
		return (struct span){row->text.bytes + 1, row->text.len - 2};
	}
	return (struct span){row->needle.bytes, row->needle.len};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_told.c -- lines of an audit log from a stranger, as rowtail audit
 * verify --database takes them.
 *
 * A database that has just the rows of lines behind "DB" is compared with all others,
 * twice; what differs cannot be more than there are rows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/commands/audit_told.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(enum status status)
{
	if (status != ST_OK) {
		abort();
	}
}

static void tell(void *context, const struct audit_told_found *found)
{
	(void)context;
	if (!found->table || found->rows == 0 || found->finding == TOLD_EQUAL) {
		abort();
	}
}

static void take(struct audit_told *told, const char *line, size_t len, bool is_had)
{
	struct audit_event event;
	struct told_table *table;
	struct error err;

	if (!is_had) {
		must(audit_told_take(told, (struct span){line, len}, &err));
		return;
	}
	if (!audit_event_read((struct span){line, len}, &event)) {
		return;
	}
	table = event.table ? told_tables_find(&told->tables, event.table) : NULL;
	if (table && event.key && event.new_row) {
		table->is_compared = true;
		must(audit_told_compare(told, table, &event, &err));
	}
	audit_event_clear(&event);
}

/* Lines of the one kind or the other. */
static void each_line(struct audit_told *told, const char *bytes, size_t len,
		      bool is_had)
{
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t line_len = end ? (size_t)(end - bytes) : len;
		bool has_mark = line_len >= 2 && memcmp(bytes, "DB", 2) == 0;
		size_t skip = has_mark ? 2 : 0;

		if (has_mark == is_had) {
			char *line = malloc(line_len - skip + 1);

			if (!line) {
				abort();
			}
			memcpy(line, bytes + skip, line_len - skip);
			take(told, line, line_len - skip, is_had);
			free(line);
		}
		bytes += line_len + (end != NULL);
		len -= line_len + (end != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_told told;
	struct error err;
	uint64_t count;

	must(audit_told_open(&told, &err));
	each_line(&told, (const char *)data, size, false);
	for (int i = 0; i < 2; i++) {
		must(audit_told_begin(&told, &err));
		each_line(&told, (const char *)data, size, true);
		must(audit_told_end(&told, &err));
		must(audit_told_each(&told, tell, NULL, &count, &err));
		if (count > size || told.untold > told.rows) {
			abort();
		}
		told.is_settling = i == 0; /* the lines come again */
		each_line(&told, (const char *)data, i == 0 ? size : 0, false);
	}
	audit_told_close(&told);
	return 0;
}

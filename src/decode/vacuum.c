/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/vacuum.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* The next row at or after `i` that VACUUM carries over: it leaves an empty
 * sqlite_sequence out when no table is AUTOINCREMENT any more (seen). */
static size_t next_carried(const struct catalog *catalog, size_t i)
{
	while (i < catalog->row_count &&
	       strcmp(catalog->rows[i]->name, "sqlite_sequence") == 0) {
		i++;
	}
	return i;
}

static bool same_schema_row(const struct schema_row *a, const struct schema_row *b)
{
	return a == b ||
	       (same_text(a->type, b->type) && same_text(a->name, b->name) &&
		same_text(a->table_name, b->table_name) && same_text(a->sql, b->sql));
}

/* Schema rows equal as a set but for root pages (both lists are in one order). */
static bool same_schema_rows(const struct catalog *a, const struct catalog *b)
{
	size_t i = next_carried(a, 0);
	size_t j = next_carried(b, 0);

	while (i < a->row_count && j < b->row_count &&
	       same_schema_row(a->rows[i], b->rows[j])) {
		i = next_carried(a, i + 1);
		j = next_carried(b, j + 1);
	}
	return i == a->row_count && j == b->row_count;
}

bool vacuum_is_likely(const struct catalog *was, const struct catalog *is,
		      size_t written, uint32_t page_count,
		      const struct page_source *new)
{
	uint32_t expected = page_count;

	if (is->header.schema_cookie == was->header.schema_cookie ||
	    is->header.freelist_count != 0) {
		return false;
	}
	if (page_count >= db_lock_byte_page(new->page_size)) {
		expected--;
	}
	if (is->header.largest_root != 0 || was->header.largest_root != 0) {
		/* Pages at ptrmap places do not count, whichever view has them. */
		expected -= page_count / (new->usable_size / 5 + 1) + 1;
	}
	return written >= expected && same_schema_rows(was, is);
}

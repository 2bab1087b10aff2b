/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table_filter.h -- table.include.list and table.exclude.list.
 *
 * A list is as schemas/name_patterns.h has it. Tables whose name begins with
 * "sqlite_", and shadow tables of virtual tables, are left out unless the
 * include list names them with a pattern without metacharacters.
 *
 * The same goes for tables that belong to a program that copies the database, once
 * table_filter_leave_out has named them.
 *
 * OWNERSHIP  table_filter_open / table_filter_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: a pattern does not compile; the text has the property's
 *            name, the pattern and the place in it. Both lists given is ST_CONFIG.
 *            A name that a pattern gave up on: schemas/name_patterns.h.
 */
#ifndef SCHEMAS_TABLE_FILTER_H
#define SCHEMAS_TABLE_FILTER_H

#include <stdbool.h>

#include "src/base/status.h"

struct name_patterns; /* schemas/name_patterns.h */
struct table_filter;

/* `include` and `exclude` may be NULL: not given. */
enum status table_filter_open(const char *include, const char *exclude,
			      struct table_filter **out, struct error *err) MUST_CHECK;
void table_filter_close(struct table_filter *filter);

/* `names` (ASCII case is ignored) ends with NULL, `reason` is of table_filter_reason;
 * both are borrowed until the filter is closed. */
void table_filter_leave_out(struct table_filter *filter, const char *const *names,
			    const char *reason);

/* The table of that name (ASCII case is ignored; borrowed until the filter is closed)
 * is wanted, whatever the lists say; not a system table. So many at most: */
#define TABLE_FILTER_WANTED 3
void table_filter_want(struct table_filter *filter, const char *name);

/*
 * `*reason` is NULL when the table is wanted, else why not: a constant text such as
 * "not in table.include.list". `is_system`: name begins with sqlite_ or it is a
 * shadow table. A NULL filter wants every table that is not a system one.
 * ST_CONFIG: a pattern gave up on the name; the text names both, `*reason` is
 * untouched.
 */
enum status table_filter_reason(const struct table_filter *filter, const char *name,
				bool is_system, const char **reason,
				struct error *err) MUST_CHECK;

/* The list that was given; NULL: none. Borrowed. */
const struct name_patterns *table_filter_patterns(const struct table_filter *filter);
/* It is table.exclude.list. */
bool table_filter_excludes(const struct table_filter *filter);
/* A reason of table_filter_reason: one of the lists. */
bool table_filter_is_reason(const char *reason);
/* One of those: it is a system table that the lists do not name. */
bool table_filter_is_own(const char *reason);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/unmatched.h -- what filters and lists of columns name, and the database
 * does not have: mostly misspelt, and then more, or less, is captured than was meant.
 *
 * THREADS  The decoding thread.
 */
#ifndef UNMATCHED_H
#define UNMATCHED_H

#include "schemas/catalog.h"
#include "schemas/column_rules.h"
#include "schemas/table_filter.h"
#include "src/base/status.h"
#include "src/config/select_overrides.h"

struct unmatched {
	const struct catalog *catalog;
	const struct table_filter *filter;
	const struct column_rules *rules; /* NULL: none */
	const struct select_overrides *overrides;
	const char *context_table; /* transaction.context.table; NULL: none */
	const char *database_path; /* for messages */
};

/*
 * Warn of each entry that matches nothing that is there, with the nearest name if one
 * is near. ST_CONFIG, and no warning: the filter of tables leaves nothing to capture. A
 * database without tables is no error, unless table.include.list is given.
 */
enum status unmatched_check(const struct unmatched *u, struct error *err) MUST_CHECK;

#endif

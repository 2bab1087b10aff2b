/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/select_overrides.h -- SELECTs that give the rows of tables in a snapshot:
 * the list snapshot.select.statement.overrides, and for each table in it a property
 * with that beginning.
 *
 * OWNERSHIP  select_overrides_clear; all texts are its own.
 * ERRORS     ST_CONFIG: the list and the statements do not fit; names both. ST_NOMEM.
 */
#ifndef SELECT_OVERRIDES_H
#define SELECT_OVERRIDES_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

#define SELECT_OVERRIDES       "snapshot.select.statement.overrides"
#define SELECT_OVERRIDE_PREFIX SELECT_OVERRIDES "."

struct select_override {
	char *table;
	char *sql;
	int rank;       /* that it was set with */
	bool is_listed; /* in the list */
};

struct select_overrides {
	struct select_override *list; /* each table once, ASCII case ignored */
	size_t count;
};

void select_overrides_clear(struct select_overrides *overrides);

/* Note the statement of a table; of two the one of higher rank, else the later, counts.
 */
enum status select_overrides_set(struct select_overrides *overrides, int rank,
				 const char *table, const char *sql,
				 struct error *err) MUST_CHECK;

/* Has each table of `list` (NULL: none) a statement, and each statement its table? */
enum status select_overrides_check(struct select_overrides *overrides, const char *list,
				   struct error *err) MUST_CHECK;

#endif

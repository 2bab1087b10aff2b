/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/column_rules.h -- what the settings say of single columns.
 *
 *     column.include.list, column.exclude.list   which columns rows have; keys keep
 *                                                 theirs
 *     column.mask.*, column.truncate.*           schemas/column_mask.h; where several
 *                                                 name one column the first set counts
 *     message.key.columns                        "TABLES:COLUMN,COLUMN;TABLES:COLUMN"
 *
 * All but TABLES and COLUMN are lists as schemas/name_patterns.h has them, matched
 * against TABLE.COLUMN. TABLES and COLUMN are regular expressions of the same kind.
 *
 * OWNERSHIP  column_rules_open / column_rules_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: names the property; of a match that was given up the pattern
 *            and the column, too. ST_NOMEM.
 */
#ifndef SCHEMAS_COLUMN_RULES_H
#define SCHEMAS_COLUMN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/column_mask.h"
#include "src/base/status.h"

/* column.mask.with.4.chars and the list of columns; texts are borrowed for the call. */
struct column_mask_setting {
	const char *property;
	const char *columns;
};

struct column_rules_settings {
	const char *include_list; /* NULL: not given */
	const char *exclude_list;
	const char *key_columns;
	const struct column_mask_setting *masks;
	size_t mask_count;
};

struct name_patterns; /* schemas/name_patterns.h */
struct column_rules;

enum status column_rules_open(const struct column_rules_settings *settings,
			      struct column_rules **out, struct error *err) MUST_CHECK;
void column_rules_close(struct column_rules *rules);

struct column_rule {
	bool is_left_out;         /* of rows */
	bool is_key;              /* of messages, instead of the primary key */
	struct column_mask *mask; /* NULL: none; borrowed from the rules */
};

/*
 * `*rule` for a column; `rules` may be NULL: there are none. ST_CONFIG: a pattern gave
 * up on the column, and nothing is known of it: none of it may be shown.
 */
enum status column_rules_find(const struct column_rules *rules, const char *table,
			      const char *column, struct column_rule *rule,
			      struct error *err) MUST_CHECK;

/* The lists of patterns one by one, from 0; NULL: no more. Borrowed. Those of
 * message.key.columns are "(?:TABLES)\.(?:COLUMN)". */
const struct name_patterns *column_rules_list(const struct column_rules *rules,
					      size_t index);

#endif

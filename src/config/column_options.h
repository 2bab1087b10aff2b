/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/column_options.h -- what the user asked for of single columns, as given.
 *
 * The families column.mask.with.*, column.mask.hash.* and column.truncate.to.*, whose
 * names say what to do, and the lists beside them. schemas/column_rules.h checks them.
 *
 * OWNERSHIP  column_options_clear; all texts are its own.
 * ERRORS     ST_NOMEM; ST_CONFIG from column_options_open.
 */
#ifndef COLUMN_OPTIONS_H
#define COLUMN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/column_rules.h"
#include "src/base/status.h"

struct column_option {
	char *property;
	char *columns;
	int rank;
};

struct column_options {
	char *include_list; /* NULL: not given */
	char *exclude_list;
	char *key_columns;
	struct column_option *masks; /* in the order in which they were set first */
	size_t mask_count;
};

void column_options_clear(struct column_options *options);

/* Note one of a family; of two with the same key the one of higher rank, else the later
 * one, counts. */
enum status column_options_set(struct column_options *options, int rank,
			       const char *key, const char *value,
			       struct error *err) MUST_CHECK;

/* The rules that they make; NULL when nothing was set. */
enum status column_options_open(const struct column_options *options,
				struct column_rules **out,
				struct error *err) MUST_CHECK;

#endif

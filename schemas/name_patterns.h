/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/name_patterns.h -- lists of regular expressions for names.
 *
 * Comma-separated (PCRE2, anchored over the whole name, case-insensitive; "\," is a
 * comma inside one), as Debezium's include and exclude lists.
 *
 * OWNERSHIP  name_patterns_open / name_patterns_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: a pattern does not compile; the text has the property's
 *            name, the pattern and the place in it. ST_NOMEM.
 */
#ifndef SCHEMAS_NAME_PATTERNS_H
#define SCHEMAS_NAME_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

struct name_patterns;

enum status name_patterns_open(const char *property, const char *list,
			       struct name_patterns **out,
			       struct error *err) MUST_CHECK;
void name_patterns_close(struct name_patterns *patterns);

/* How many patterns the list has. */
size_t name_patterns_count(const struct name_patterns *patterns);

enum name_match {
	NAME_UNLISTED,
	NAME_LISTED, /* by an expression */
	NAME_NAMED,  /* by a pattern without metacharacters */
};

enum name_match name_patterns_match(const struct name_patterns *patterns,
				    const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/name_patterns.h -- lists of regular expressions for names.
 *
 * Comma-separated (PCRE2, anchored over the whole name, case-insensitive; "\," is a
 * comma inside one), as Debezium's include and exclude lists. A name is matched as it
 * stands in messages: what is no UTF-8 in it is U+FFFD. "." is any character of a name,
 * a line end too.
 *
 * Names are hostile, and a pattern may take longer than anybody waits. What is done for
 * one is limited (steps, memory); a match that was given up is an error and never an
 * answer. The patterns are interpreted: compiled ones (JIT) would count steps otherwise
 * and give up elsewhere.
 *
 * OWNERSHIP  name_patterns_open / name_patterns_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: a pattern does not compile; the text has the property's
 *            name, the pattern and the place in it; or a match was given up, and it
 *            has the property's name, the pattern and the name. ST_NOMEM.
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

/* The property that has the list, and its patterns, "\," being ","; borrowed. */
const char *name_patterns_property(const struct name_patterns *patterns);
const char *name_patterns_text(const struct name_patterns *patterns, size_t index);

enum name_match {
	NAME_UNLISTED,
	NAME_LISTED, /* by an expression */
	NAME_NAMED,  /* by a pattern without metacharacters */
};

/*
 * Which it is, in `*match`. ST_CONFIG: a pattern that could have listed the name gave
 * up, and no other lists it; `*match` is untouched.
 */
enum status name_patterns_match(const struct name_patterns *patterns, const char *name,
				enum name_match *match, struct error *err) MUST_CHECK;

/* Does that pattern alone match? Errors as above. */
enum status name_patterns_match_one(const struct name_patterns *patterns, size_t index,
				    const char *name, bool *matches,
				    struct error *err) MUST_CHECK;

#endif

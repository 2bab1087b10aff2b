/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/transform_options.h -- the single message transforms that were asked for:
 * the list `transforms`, and of each transform in it properties that begin with
 * transforms.NAME. (docs/transforms.md). What they do is in schemas/transforms.h.
 *
 * OWNERSHIP  transform_options_clear; all texts are its own.
 * ERRORS     ST_CONFIG: names the property; of a type or an option that is not there
 *            it says which are. ST_NOMEM.
 */
#ifndef TRANSFORM_OPTIONS_H
#define TRANSFORM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/transforms.h"
#include "src/base/status.h"

#define TRANSFORMS_PREFIX "transforms."

/* transforms.KEY=VALUE */
struct transform_option {
	char *where; /* in front of the property in messages */
	char *key;   /* NAME.OPTION */
	char *value;
	int rank;
};

struct transform_options {
	char *list;                       /* NULL: not given */
	struct transform_option *options; /* by key */
	size_t count;
};

void transform_options_clear(struct transform_options *options);

/* Note one, `key` with its beginning; of two with the same key the one of higher rank,
 * else the later one, counts. */
enum status transform_options_set(struct transform_options *options, int rank,
				  const char *where, const char *key, const char *value,
				  struct error *err) MUST_CHECK;

/* The transforms that they make; NULL when none was asked for. `flat_lines`: rows are
 * flat in lines (--lines=flat). */
enum status transform_options_open(const struct transform_options *options,
				   bool flat_lines, struct transforms **out,
				   struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/problems.h -- what is wrong with settings, gathered, so that all of it is
 * told at once.
 *
 * OWNERSHIP  The caller's struct, zeros before; problems_clear.
 * THREADS    No shared state.
 */
#ifndef PROBLEMS_H
#define PROBLEMS_H

#include <stddef.h>

#include "src/base/status.h"

struct problems {
	char **texts;
	size_t count;
};

/* ST_CONFIG is put there, and ST_OK comes back; anything else comes back as it is. */
enum status problems_take(struct problems *problems, enum status status,
			  struct error *err) MUST_CHECK;

/* None: ST_OK. One: that. More: how many there are; the texts are for the log. */
enum status problems_settle(const struct problems *problems,
			    struct error *err) MUST_CHECK;

void problems_clear(struct problems *problems);

#endif

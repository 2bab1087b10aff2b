/* SPDX-License-Identifier: Apache-2.0 */
/* tests/preload/slow.h -- what is made slow in a program that a library is loaded into.
 */
#ifndef SLOW_H
#define SLOW_H

#include <stdlib.h>
#include <time.h>

/* Sleep so many microseconds as the environment has in `variable`. */
static inline void slow_down(const char *variable)
{
	const char *us = getenv(variable);
	long wait = us ? atol(us) : 0;
	struct timespec t = {wait / 1000000, wait % 1000000 * 1000};

	while (wait > 0 && nanosleep(&t, &t) != 0) {
	}
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/random.h -- random bytes of the kernel's.
 *
 * THREADS  No shared state.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/random.h>

#include "src/base/status.h"

/* `len` is at most 256. False: there are none, see errno. */
static inline bool random_bytes(void *bytes, size_t len) MUST_CHECK;
static inline bool random_bytes(void *bytes, size_t len)
{
	ssize_t got;

	do {
		got = getrandom(bytes, len, 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)len;
}

#endif

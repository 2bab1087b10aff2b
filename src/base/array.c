/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 16

bool array_grow(void *list, size_t *cap, size_t need, size_t size)
{
	size_t want;
	void *old;
	void *grown;

	if (__builtin_mul_overflow(*cap, (size_t)2, &want) || want < need) {
		want = need;
	}
	want = want < FIRST_CAP ? FIRST_CAP : want;
	/* All pointers to objects look alike, but only a copy of their bytes may say
	 * so.
	 */
	memcpy(&old, list, sizeof old);
	/* More than an object can be: sanitizers end the program for asking. */
	if (want > PTRDIFF_MAX / size) {
		return false;
	}
	grown = realloc(old, want * size);
	if (!grown) {
		return false;
	}
	memcpy(list, &grown, sizeof grown);
	*cap = want;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/nearest_name.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_LEN 64 /* longer names are compared by their beginning */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* Insertions, deletions and replacements that make `b` of `a`. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t i;
	size_t j;

	for (j = 0; j <= b_len; j++) {
		row[j] = (unsigned)j;
	}
	for (i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[b_len];
}

void nearest_name_init(struct nearest_name *n, const char *wanted)
{
	*n = (struct nearest_name){.wanted = wanted, .distance = UINT32_MAX};
}

void nearest_name_offer(struct nearest_name *n, const char *name, unsigned handicap)
{
	size_t wanted_len = strnlen(n->wanted, NAME_MAX_LEN);
	size_t name_len = strnlen(name, NAME_MAX_LEN);
	size_t longer = wanted_len > name_len ? wanted_len : name_len;
	unsigned distance = edit_distance(n->wanted, wanted_len, name, name_len);

	if (distance > longer / 3 || distance + handicap >= n->distance) {
		return;
	}
	n->distance = distance + handicap;
	n->nearest = name;
}

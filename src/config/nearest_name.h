/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/nearest_name.h -- which name may have been meant.
 *
 * THREADS  No shared state.
 */
#ifndef NEAREST_NAME_H
#define NEAREST_NAME_H

#define NEAREST_NAME_BYTES \
	256 /* longer names are compared, and shown, by their beginning */

struct nearest_name {
	const char *wanted;  /* borrowed */
	const char *nearest; /* borrowed; NULL: none of those offered is near */
	unsigned distance;   /* of the nearest */
};

void nearest_name_init(struct nearest_name *n, const char *wanted);

/*
 * Take `name` if it is nearer than those before. Distance is the least number of
 * characters to be inserted, left out or replaced, case aside, and `handicap` more;
 * more than a third of the longer name is too far to be advice.
 */
void nearest_name_offer(struct nearest_name *n, const char *name, unsigned handicap);

#endif

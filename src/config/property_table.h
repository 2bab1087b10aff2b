/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property_table.h -- the names of all properties that are known.
 *
 * Debezium's that mean something here, rowtail's own, and Debezium's that have no
 * meaning here but are accepted, so that configurations can be carried over.
 *
 * THREADS  No shared state.
 */
#ifndef PROPERTY_TABLE_H
#define PROPERTY_TABLE_H

#include <stddef.h>

enum property_kind {
	PROPERTY_BUILT,
	PROPERTY_NOT_BUILT, /* only_default is accepted, nothing else */
	PROPERTY_IGNORED,   /* Debezium's, without a meaning here */
};

struct property {
	const char *name; /* one that ends in '*' stands for all with that beginning */
	enum property_kind kind;
	const char *only_default; /* NULL: no value is accepted */
};

size_t property_count(void);
const struct property *property_at(size_t index); /* below property_count() */

/* The index of the property that `key` belongs to; property_count() if there is none.
 */
size_t property_find(const char *key);

/* The known name with the least edit distance to `key`. */
const char *property_nearest(const char *key);

#endif

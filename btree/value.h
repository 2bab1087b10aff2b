/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/value.h -- one SQLite value by its storage class.
 *
 * OWNERSHIP  TEXT and BLOB bytes are borrowed from the payload they came from.
 */
#ifndef BTREE_VALUE_H
#define BTREE_VALUE_H

#include <stddef.h>
#include <stdint.h>

enum value_class { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
	enum value_class class;
	uint32_t len; /* bytes of TEXT (in the database's encoding) and BLOB */
	union {
		int64_t integer;
		double real;
		const uint8_t
		    *bytes; /* not NULL for TEXT and BLOB, even when len is 0 */
	};
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/column_mask.h -- values that are not to be seen as they are.
 *
 *     column.mask.with.N.chars                   N asterisks, whatever the value
 *     column.mask.hash.ALGORITHM.with.salt.SALT  hexadecimal digits of a hash; NULL
 *                                                stays NULL
 *     column.mask.hash.v2.…                      the same, of other bytes
 *     column.truncate.to.N.chars                 TEXT cut to N characters
 *
 * HASH  Of the salt and the value, byte for byte as Debezium's: the value as a
 *       serialised java.lang.String (stream header, TC_STRING, length, modified
 *       UTF-8), with v2 as UTF-8. Numbers count as their decimal text, a BLOB as its
 *       bytes. Algorithms have OpenSSL's names, Java's among them: MD5, SHA-256.
 *
 * OWNERSHIP  column_mask_open / column_mask_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG; the text never has the salt. ST_NOMEM.
 */
#ifndef SCHEMAS_COLUMN_MASK_H
#define SCHEMAS_COLUMN_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "btree/db_header.h"
#include "btree/value.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

enum mask_kind { MASK_CHARS, MASK_HASH, MASK_TRUNCATE };

struct column_mask;

/* The mask that a property's name says. */
enum status column_mask_open(const char *property, struct column_mask **out,
			     struct error *err) MUST_CHECK;
void column_mask_close(struct column_mask *mask);

enum mask_kind column_mask_kind(const struct column_mask *mask);
/* How many asterisks there are, or characters of the text that are left. */
size_t column_mask_chars(const struct column_mask *mask);

/* MASK_TRUNCATE: the part of the value that is left; its bytes are the value's. */
struct value column_mask_cut(const struct column_mask *mask, const struct value *value,
			     enum text_encoding encoding);

/*
 * MASK_CHARS and MASK_HASH: as json_put_value, what is to be seen of `value`. A hash
 * has `limit` digits at most; 0: all. NULL when memory ran out.
 */
char *column_mask_put(struct column_mask *mask, struct buffer *b, char *p,
		      const struct value *value, enum text_encoding encoding,
		      size_t limit, size_t slack);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/shaping.h -- the settings that shape the messages of a transaction, as a
 * text. A position inside a transaction holds only for the same text; a later run shows
 * what differs from it.
 *
 *     order.version=1
 *     --to=kafka
 *     table.include.list=orders,customers
 *     column.mask.hash.SHA-256.with.salt.*=customers\.mail (salt #5b0e7c…)
 *
 * One line for each that has a value, in the order of the table of properties, whether
 * it was set or not: '\' and line ends in values are escaped. Of a salt there is a
 * digest only.
 *
 * THREADS  No shared state.
 */
#ifndef SHAPING_H
#define SHAPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/config/config.h"

/* Append the text of a config that is finished. False when a digest could not be made;
 * when memory ran out see buffer_ok. */
bool shaping_add(const struct config *config, struct buffer *out) MUST_CHECK;

/* Equal for equal texts. */
uint64_t shaping_hash(const char *text, size_t len);

/* Append the value that a text has for `name`, as it stands there; false: it has none.
 */
bool shaping_find(const char *text, const char *name, struct buffer *value);

/* Called with a name and what it was and is, each NULL if it has no value. Texts are
 * borrowed for the call. */
typedef void shaping_tell(void *context, const char *name, const char *was,
			  const char *is);

/* Call `tell` for each difference, in order. The texts end with NUL; `was` may be of
 * another version of rowtail. Returns how many there are; SIZE_MAX when memory ran out.
 */
size_t shaping_compare(const char *was, const char *is, shaping_tell *tell,
		       void *context);

#endif

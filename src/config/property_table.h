/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property_table.h -- all properties, each of them once.
 *
 * Debezium's that mean something here and rowtail's own, with all that is known of
 * each: where its value goes, what it may be, what it is when nobody sets it, whether
 * it shapes the messages, and what people are told of it. Parsing (property_value.h),
 * the settings that a state directory remembers (shaping.h), --help (property_help.h),
 * the man page and the table of docs/options.md (make docs) are made of it. A new
 * property is one entry here, one field (of struct encoder_settings if it shapes
 * messages, else of struct config), and its use.
 *
 * Behind them stand those of Debezium and Kafka Connect that rowtail does not have
 * (others_properties.h).
 *
 * THREADS  No shared state.
 */
#ifndef PROPERTY_TABLE_H
#define PROPERTY_TABLE_H

#include <stddef.h>

#include "src/config/property.h"

size_t property_count(void);
const struct property *property_at(size_t index); /* below property_count() */

/* The index of the property that `key` belongs to; property_count() if there is none.
 */
size_t property_find(const char *key);

/* The known name that `key` may have been meant to be; NULL: none is near. */
const char *property_nearest(const char *key);

#endif

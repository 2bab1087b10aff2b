/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/others_properties.h -- properties of Debezium's connectors, and of Kafka
 * Connect, that rowtail knows and has not: a configuration of theirs may name them.
 *
 * Some cannot matter here and are passed over with a warning, so that configurations
 * can be carried over; those that would change the messages are errors that say what to
 * use, unless they ask for what is done anyway.
 *
 * THREADS  Constant.
 */
#ifndef OTHERS_PROPERTIES_H
#define OTHERS_PROPERTIES_H

#include "src/config/property.h"

extern const struct property others_properties[];
extern const size_t others_property_count;

#endif

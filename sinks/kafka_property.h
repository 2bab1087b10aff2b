/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_property.h -- a name and a value for Kafka, and where they come from.
 *
 * THREADS  No shared state.
 */
#ifndef SINKS_KAFKA_PROPERTY_H
#define SINKS_KAFKA_PROPERTY_H

struct kafka_property {
	const char *where; /* in front of the name in messages: "-D producer." */
	const char *name;  /* as Kafka has it */
	const char *value; /* never printed */
};

#endif

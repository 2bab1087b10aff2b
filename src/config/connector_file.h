/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/connector_file.h -- a connector as Kafka Connect takes it over REST, and
 * the names that Debezium Server gives its properties.
 *
 * FORMAT     {"name":…,"config":{"KEY":"VALUE",…}}, or the object of keys alone. A
 *            number or a boolean is its text, null is as if it were not there.
 * OWNERSHIP  Keys and values are borrowed for the length of the call.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG names the file (and the line where it is no JSON), ST_NOMEM;
 *            whatever `set` returns is handed on.
 */
#ifndef CONNECTOR_FILE_H
#define CONNECTOR_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/config/property_file.h"

/* Is it one, rather than a .properties file? */
bool connector_file_is(const char *text, size_t len);

/* Call `set` for each property, with line 0. `name` is for messages. */
enum status connector_file_parse(const char *name, const char *text, size_t len,
				 property_set *set, void *context,
				 struct error *err) MUST_CHECK;

/* What Debezium Server calls `key` here: debezium.source.KEY, debezium.sink.kafka.KEY,
 * debezium.transforms…. Borrowed. */
const char *connector_plain_key(const char *key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property_value.h -- values of properties: from text into their field of
 * struct config, and back.
 *
 * OWNERSHIP  Texts in fields are the config's.
 * THREADS    One thread at a time for each config.
 * ERRORS     ST_CONFIG: "WHERE KEY=VALUE: must be …". ST_NOMEM.
 */
#ifndef PROPERTY_VALUE_H
#define PROPERTY_VALUE_H

#include <stdbool.h>

#include "src/base/buffer.h"
#include "src/base/status.h"
#include "src/config/property_table.h"

struct config;

/* A value as somebody gave it; texts are borrowed. */
struct given_value {
	const char *where; /* stands in front of the key: "-D ", "FILE:12: " */
	const char *key;
	const char *value;
};

/* Check `given` and put it into the field of `property`, which has one. */
enum status property_value_set(struct config *config, const struct property *property,
			       const struct given_value *given,
			       struct error *err) MUST_CHECK;

/* Give the field the fallback of `property`, if it has one; a text only if it is NULL.
 */
enum status property_value_fall_back(struct config *config,
				     const struct property *property,
				     struct error *err) MUST_CHECK;

/* Append the value of the field, in one form whatever the form that was given; false:
 * it has none. */
bool property_value_add(const struct config *config, const struct property *property,
			struct buffer *out);

/* Its field is a text: char *. */
bool property_is_text(const struct property *property);

/* Free what the field has. */
void property_value_clear(struct config *config, const struct property *property);

#endif

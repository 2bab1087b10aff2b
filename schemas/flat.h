/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/flat.h -- how events are made flat, as ExtractNewRecordState does it: the row
 * alone. schemas/flat_value.h does it.
 *
 *     {"id":1,"name":"x"                             table, after, of a delete before
 *     ,"__deleted":"false"                           where deletes are rewritten
 *     ,"__op":"c","__source_ts_ms":7}                add.fields
 *
 * What becomes of a delete and its tombstone:
 *
 *     drop                     nothing        nothing
 *     tombstone                a tombstone    nothing
 *     rewrite                  the old row    nothing
 *     rewrite-with-tombstone   the old row    the tombstone
 *
 * A list of fields has, with commas between, NAME or PARENT.NAME (schemas/event_field.h
 * has which there are), each with :OTHER behind it if it shall be called so. What has
 * no other name is called PREFIX NAME, or PREFIX PARENT _ NAME.
 *
 * OWNERSHIP  flat_open / flat_close (takes NULL).
 * THREADS    Read-only once open.
 * ERRORS     ST_CONFIG: names the option and the field. ST_NOMEM; out of memory shows
 *            in buffer_ok.
 */
#ifndef SCHEMAS_FLAT_H
#define SCHEMAS_FLAT_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/event_field.h"
#include "schemas/transform_setting.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

#define FLAT_HEADERS_MAX 32
#define FLAT_DELETED     "__deleted" /* the field of deletes that are rows */

/* One that is added. */
struct flat_field {
	enum event_field field;
	char *name;
	struct buffer piece; /* ,"__op": */
};

struct flat {
	enum flat_deletes deletes;
	struct flat_field *fields;
	size_t field_count;
	struct flat_field *headers;
	size_t header_count;
	struct buffer members; /* the added fields of the schema, each behind a comma */
};

enum status flat_open(const struct transform_setting *setting, struct flat **out,
		      struct error *err) MUST_CHECK;
void flat_close(struct flat *flat);

/* Deletes are rows, and have the field __deleted. */
bool flat_rewrites(const struct flat *flat);

/* Is a field of the context among those added? */
bool flat_has_context(const struct flat *flat);

/* Has it a field of that name, besides those of the row? */
bool flat_has_field(const struct flat *flat, struct span name);

#endif

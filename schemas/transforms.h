/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/transforms.h -- the single message transforms that are built in, as Kafka
 * Connect would run them behind a connector (docs/transforms.md).
 *
 *     ExtractNewRecordState   the value is the row alone; headers and fields are added:
 *                             schemas/flat_value.h
 *     RegexRouter             another topic
 *     ByLogicalTableRouter    another topic, keys that say where they are from, and
 *                             schemas with the new topic's name
 *
 * They are no steps behind the encoder but part of how it encodes: what becomes of a
 * topic is found once for each table and each kind of control message.
 *
 * OWNERSHIP  transforms_open / transforms_close (takes NULL); route_clear.
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: names the property; or a topic would have a name that no topic
 *            can have. ST_NOMEM.
 */
#ifndef SCHEMAS_TRANSFORMS_H
#define SCHEMAS_TRANSFORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/encoder_settings.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

enum transform_kind {
	TRANSFORM_FLAT,          /* ExtractNewRecordState */
	TRANSFORM_REGEX,         /* RegexRouter */
	TRANSFORM_LOGICAL_TABLE, /* ByLogicalTableRouter */
};

/* delete.tombstone.handling.mode */
enum flat_deletes {
	FLAT_DROP,
	FLAT_TOMBSTONE, /* delete-to-tombstone, too */
	FLAT_REWRITE,
	FLAT_REWRITE_WITH_TOMBSTONE,
};

/* One transform; texts may be NULL where nothing is said. */
struct transform_setting {
	enum transform_kind kind;
	const char *where; /* in front of an option's name in messages */

	/* Of TRANSFORM_FLAT: */
	enum flat_deletes deletes;
	const char *add_fields, *fields_prefix;
	const char *add_headers, *headers_prefix;

	/* Of the routers: */
	const char *regex, *replacement;

	/* Of TRANSFORM_LOGICAL_TABLE: */
	bool key_unique;
	const char *key_field;
	const char *key_regex, *key_replacement; /* NULL: the topic as it was */
	enum name_adjustment schema_names;
};

struct transforms;
struct flat; /* schemas/flat_value.h */

enum status transforms_open(const struct transform_setting *settings, size_t count,
			    struct transforms **out, struct error *err) MUST_CHECK;
void transforms_close(struct transforms *transforms);

/* How values become flat; NULL: they do not. Borrowed. */
const struct flat *transforms_flat(const struct transforms *transforms);

/* A delete is a tombstone and nothing else; `transforms` may be NULL. */
bool transforms_hide_deletes(const struct transforms *transforms);

/* What becomes of the messages of one topic. */
struct route {
	struct buffer topic; /* of the messages, with a NUL that is not counted */
	bool is_other;       /* than it was */

	/* Of their schemas, each with its NUL; empty: as without transforms. */
	struct buffer key_name;     /* TOPIC.Key */
	struct buffer value_prefix; /* of TOPIC.Value and TOPIC.Envelope */

	/* Fields behind those of the key: */
	struct buffer key_end;    /* ,"field":"value" */
	struct buffer key_fields; /* ,{"type":"string",…,"field":"field"} */
};

/* Fill `*out`, which is all zero. `transforms` may be NULL. */
enum status transforms_route(const struct transforms *transforms, struct span topic,
			     struct route *out, struct error *err) MUST_CHECK;
void route_clear(struct route *route);

/* `key`, an object, gets the fields behind its own. */
void route_end_key(const struct route *route, struct buffer *key);

static inline struct span route_topic(const struct route *route)
{
	return (struct span){route->topic.bytes, route->topic.len};
}

#endif

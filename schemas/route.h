/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/route.h -- what transforms make of the messages of one topic: where they go,
 * and what that changes of their keys and schemas (schemas/transforms.h).
 *
 * OWNERSHIP  route_clear; the storage of the struct is the caller's, all zero.
 * THREADS    Read-only once made.
 */
#ifndef SCHEMAS_ROUTE_H
#define SCHEMAS_ROUTE_H

#include <stdbool.h>

#include "src/base/buffer.h"
#include "src/base/message.h"

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

void route_clear(struct route *route);

/* `key`, an object, gets the fields behind its own. */
void route_end_key(const struct route *route, struct buffer *key);

static inline struct span route_topic(const struct route *route)
{
	return (struct span){route->topic.bytes, route->topic.len};
}

#endif

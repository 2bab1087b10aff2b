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
 * OWNERSHIP  transforms_open / transforms_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG: names the property; or a topic would have a name that no topic
 *            can have. ST_NOMEM.
 */
#ifndef SCHEMAS_TRANSFORMS_H
#define SCHEMAS_TRANSFORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/flat.h"
#include "schemas/route.h"
#include "schemas/transform_setting.h"
#include "src/base/message.h"
#include "src/base/status.h"

struct transforms;

enum status transforms_open(const struct transform_setting *settings, size_t count,
			    struct transforms **out, struct error *err) MUST_CHECK;
void transforms_close(struct transforms *transforms);

/* How values become flat; NULL: they do not. Borrowed. */
const struct flat *transforms_flat(const struct transforms *transforms);

/* A delete is a tombstone and nothing else; `transforms` may be NULL. */
bool transforms_hide_deletes(const struct transforms *transforms);

/* Fill `*out`, which is all zero. `transforms` may be NULL. */
enum status transforms_route(const struct transforms *transforms, struct span topic,
			     struct route *out, struct error *err) MUST_CHECK;

#endif

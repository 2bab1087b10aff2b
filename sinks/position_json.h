/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/position_json.h -- a position as the records of sinks have it that keep one.
 *
 * FORMAT  Members of a JSON object: "lsn":…,"chain":"…","snapshot":false,"messages":…,
 *         "change_id":…,"txn_change_id":…,"previous_lsn":…|null,"settings":"…"; with
 *         snapshots on demand also "chunks":…,"chunk":false. Numbers of 64 bits without
 * a meaning as numbers are 16 hexadecimal digits. THREADS No shared state.
 */
#ifndef SINKS_POSITION_JSON_H
#define SINKS_POSITION_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "sinks/sink.h"

/* The members as an object, which is the caller's; NULL: no memory. */
json_t *position_json(const struct sink_position *position);
/* Read them from an object; false: they are not there, or are something else. */
bool position_json_take(const json_t *json, struct sink_position *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table_heads.h -- what stands before the payload of a table's messages with
 * schemas.enable: {"schema":S,"payload":
 *
 * THREADS  No shared state.
 */
#ifndef SCHEMAS_TABLE_HEADS_H
#define SCHEMAS_TABLE_HEADS_H

#include <stdbool.h>

#include "schemas/table_plan.h"
#include "src/base/status.h"

/* Fill those of the plan if they are not there: of events, of keys, and of keys as no
 * transform has them, in headers that name another key. False when memory ran out. */
bool table_heads_make(struct table_plan *plan) MUST_CHECK;

#endif

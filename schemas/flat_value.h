/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/flat_value.h -- the value of an event, flat (schemas/flat.h).
 *
 * THREADS  One thread at a time.
 */
#ifndef SCHEMAS_FLAT_VALUE_H
#define SCHEMAS_FLAT_VALUE_H

#include <stdbool.h>

#include "schemas/flat.h"
#include "schemas/table_plan.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/* The value of an event of which `row` is shown, as the whole of `b`. False when memory
 * ran out. */
bool flat_build(const struct flat *flat, const struct table_plan *plan,
		const struct value *row, const struct event_facts *facts,
		struct buffer *b) MUST_CHECK;

#endif

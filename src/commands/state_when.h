/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/state_when.h -- a moment of a state directory as a person gives it, as
 * src/archive/when.h has it for archives; TXID is LSN + 1.
 *
 * THREADS  No shared state.
 * ERRORS   ST_CONFIG: it is none.
 */
#ifndef STATE_WHEN_H
#define STATE_WHEN_H

#include "src/state/state_moment.h"

/* `now_ns`: what "ago" is counted from. */
enum status state_when_parse(const char *text, int64_t now_ns, struct state_when *when,
			     struct error *err) MUST_CHECK;

#endif

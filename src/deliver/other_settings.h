/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/other_settings.h -- which settings differ from those that the position
 * was made with: a line for people, and one for an audit log.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    The one of the sink.
 * ERRORS     Those of sink_put; ST_NOMEM.
 */
#ifndef OTHER_SETTINGS_H
#define OTHER_SETTINGS_H

#include "sinks/sink.h"
#include "src/state/kept_position.h"

/* Of a position with another settings_hash. `path` of the state directory; `is` as
 * src/config/shaping.h has it. */
void other_settings_say(const char *path, const struct kept_position *kept,
			const char *is);
/* `was` is NULL if it is not known. */
enum status other_settings_put(struct sink *sink, uint64_t lsn, const char *was,
			       const char *is, struct error *err) MUST_CHECK;

#endif

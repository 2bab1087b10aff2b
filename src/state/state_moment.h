/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_moment.h -- which moments a state directory has: S, the state of the
 * shadow, and the end of each record that the journal has behind it.
 *
 * A record tells when it was captured. S tells nothing; it was there when meta was
 * written, and before the next record, so the earlier of these is taken for its time.
 *
 * THREADS  No shared state.
 * ERRORS   ST_CONFIG: it does not have that moment; the text names the nearest ones.
 *          Those of src/state/known_journal.h.
 */
#ifndef STATE_MOMENT_H
#define STATE_MOMENT_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/state/state_dir.h"

enum state_when_kind {
	STATE_AT_LATEST,
	STATE_AT_FIRST,
	STATE_AT_LSN,
	STATE_AT_TIME, /* the newest at or before it */
};

struct state_when {
	enum state_when_kind kind;
	uint64_t lsn;
	int64_t time_ns; /* since 1970 */
};

struct state_moment {
	uint64_t lsn;
	int64_t time_ns;
};

/* `dir` has a meta. */
enum status state_moment_find(const struct state_dir *dir,
			      const struct state_when *when, struct state_moment *found,
			      struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/known_journal.h -- the journal of a state directory that is looked at, as
 * the next start will find it.
 *
 * THREADS  No shared state.
 * ERRORS   As src/state/journal_reader.h and state_dir_check_end.
 */
#ifndef KNOWN_JOURNAL_H
#define KNOWN_JOURNAL_H

#include <stdbool.h>

#include "src/state/journal_reader.h"
#include "src/state/state_dir.h"

/* The next start puts a shadow with pages of another size in place
 * (src/state/rebuilt.h): nothing of the journal counts, and the shadow is not the one
 * that meta speaks of. */
bool known_is_rebuilt(const struct state_dir *dir);

/* Read the journal; how->start is set here. `dir` has a meta. */
enum status known_journal_read(const struct state_dir *dir, struct journal_reading *how,
			       struct journal_end *end, struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/rebuild.h -- the shadow with pages of another size.
 *
 * A database gets another page size by VACUUM outside of WAL mode, or when another file
 * takes its place. Pages of two sizes cannot be compared. So SQLite makes a database of
 * the shadow's rows with pages of the new size, and a catch-up compares with that. How
 * it takes the shadow's place: src/state/rebuilt.h.
 *
 * THREADS  Before there are threads.
 */
#ifndef REBUILD_H
#define REBUILD_H

#include "src/state/state.h"

/* All of the journal is folded. ST_CONFIG: SQLite could not, the text says why. After
 * it the state can only be closed. */
enum status rebuild_shadow(struct state *state, uint32_t page_size,
			   const _Atomic int *stop, struct error *err) MUST_CHECK;

#endif

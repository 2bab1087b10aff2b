/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/kept_look.h -- the position that is kept in a state directory, for who only
 * looks: what a run would go on from, or why it could not. Nothing is made, changed or
 * taken, and nothing can be put.
 *
 * OWNERSHIP  kept_look_open gives the caller a struct kept_position, whose close frees
 *            it. Paths are borrowed for the call.
 * THREADS    One.
 * ERRORS     As state_dir_look and known_journal_read.
 */
#ifndef KEPT_LOOK_H
#define KEPT_LOOK_H

#include "src/state/kept_position.h"
#include "src/state/state_dir.h"

/* `database_path` is real. A journal that a process writes to is not read: nothing is
 * known of its transactions then. */
enum status kept_look_open(const char *path, const char *database_path,
			   struct kept_position **out, struct error *err) MUST_CHECK;

/* The directory; NULL: there is none yet. Borrowed. */
const struct state_dir *kept_look_dir(const struct kept_position *kept);

#endif

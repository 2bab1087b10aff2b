/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/snapshot_file.h -- DIR/snapshots: how far snapshots on demand were at each
 * position that a later run may go on from.
 *
 * A position names a moment by two numbers that only grow, its LSN and how many chunks
 * were delivered. A record says what was asked for and not yet delivered at such a
 * moment; it is written before a position may stand there. What holds at a position is
 * the last record that is not after it. Another kind of record says at which LSN a
 * chunk was begun, before anything of it is handed over: what a run has done behind its
 * last position is done again in the same order, so that its messages get the same
 * numbers.
 *
 * FORMAT     docs/state.md. Records one behind the other; one that a kill has torn ends
 *            the file. Now and then those that no position can need are left out, in a
 *            new file that is renamed.
 * OWNERSHIP  snapshot_file_open / snapshot_file_close; the folder is borrowed.
 * THREADS    snapshot_file_sync: any; the rest: the decoding thread.
 * ERRORS     ST_IO, ST_NOMEM. Each text begins with the file's name.
 */
#ifndef SNAPSHOT_FILE_H
#define SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

#define STATE_SNAPSHOTS_FILE "snapshots"

struct snapshot_file;

struct snapshot_moment {
	uint64_t lsn;    /* all of the transactions up to here were delivered */
	uint64_t chunks; /* and so many chunks */
};

/* The file is not made before there is something to write. */
enum status snapshot_file_open(int dir_fd, struct snapshot_file **out,
			       struct error *err) MUST_CHECK;
void snapshot_file_close(struct snapshot_file *file); /* takes NULL */

struct snapshot_found {
	bool is_found;             /* else nothing was asked for */
	struct snapshot_moment at; /* chunks less than were asked for: a power cut has
				    * taken the right one */
	struct buffer text;
	struct buffer
	    begun; /* uint64_t: LSNs of the chunks that were begun behind it */
};

void snapshot_found_init(struct snapshot_found *found);
void snapshot_found_clear(struct snapshot_found *found);

/* What holds at `at`. Without `keeps_later` what was done behind it counts no more. */
enum status snapshot_file_find(struct snapshot_file *file, struct snapshot_moment at,
			       bool keeps_later, struct snapshot_found *found,
			       struct error *err) MUST_CHECK;

/* The same without a struct snapshot_file, for who only looks: nothing is written, and
 * what follows `at` is left out. No such file: nothing is found. */
enum status snapshot_file_peek(int dir_fd, struct snapshot_moment at,
			       struct snapshot_found *found,
			       struct error *err) MUST_CHECK;

/*
 * What holds from `at` on; or, without a text (NULL), chunk at.chunks is begun at
 * at.lsn. A state that is there already, of what is done again, is not written twice;
 * one that `is_new` instead ends what was done behind it. It survives kill -9 when this
 * returns, a power cut after snapshot_file_sync. No position before `least` will be
 * asked for.
 */
enum status snapshot_file_put(struct snapshot_file *file, struct snapshot_moment at,
			      struct span text, bool is_new,
			      struct snapshot_moment least,
			      struct error *err) MUST_CHECK;
enum status snapshot_file_sync(struct snapshot_file *file,
			       struct error *err) MUST_CHECK;

/* Nothing was ever asked for. */
enum status snapshot_file_forget(struct snapshot_file *file,
				 struct error *err) MUST_CHECK;

#endif

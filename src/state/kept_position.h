/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/kept_position.h -- where A is kept: in a state directory
 * (src/state/state.h), for a later run to go on from, or nowhere.
 *
 * Who delivers cannot tell which. One that is kept nowhere begins anew with each run.
 *
 * OWNERSHIP  Whoever opened it calls close.
 * THREADS    The decoding thread.
 * ERRORS     Those of the state directory.
 */
#ifndef KEPT_POSITION_H
#define KEPT_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"
#include "src/state/position_record.h"
#include "src/state/snapshot_file.h"

#define KEPT_UUID_BYTES 33

struct kept_position {
	bool is_new; /* nothing is kept; in a directory until the first view */
	char uuid[KEPT_UUID_BYTES]; /* 32 hexadecimal digits; "" while it is new */
	const char *database;       /* real path of the one that it is of; "": any */
	uint32_t page_size;         /* of that; 0: any */

	/* A: what was put last. Of a new one what it begins with, but for its LSN: who
	 * delivers fills that in. */
	struct state_position position;
	/* The last transaction that earlier runs have captured; 0: none. */
	uint64_t found_lsn;

	/* The settings that made the positions of the last run, as a text for people
	 * with a NUL behind it, and their hash; empty: they are not known. Until this
	 * run has put one. */
	struct buffer last_settings;
	uint64_t last_hash;

	/* Does the history have this transaction, with this checksum of the journal? */
	bool (*has)(const struct kept_position *kept, uint64_t lsn, uint64_t chain);
	/*
	 * Set A to `position`. It survives kill -9 when this returns; with `durable` a
	 * power cut, too. `settings`: those of this run, if it made the position; else
	 * NULL.
	 */
	enum status (*put)(struct kept_position *kept,
			   const struct state_position *position,
			   const struct span *settings, bool durable,
			   struct error *err);
	/* What was asked for of snapshots (src/state/snapshot_file.h); one that
	 * `is_new` survives a power cut. */
	enum status (*put_snapshots)(struct kept_position *kept,
				     struct snapshot_moment at, struct span text,
				     bool is_new, struct error *err);
	enum status (*find_snapshots)(struct kept_position *kept,
				      struct snapshot_moment at, bool keeps_later,
				      struct snapshot_found *found, struct error *err);
	/* For rowtail status: why the run ended; NULL: it has begun well. */
	void (*note)(struct kept_position *kept, const char *why);
	/* The same: why the sink takes nothing now; NULL: it does. */
	void (*note_outage)(struct kept_position *kept, const char *why);
	void (*close)(struct kept_position *kept);
};

enum status kept_nowhere_open(struct kept_position **out, struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/archived.h -- an archive as a source of transactions: what happened after
 * one of its states, file by file (src/archive/way.h), on a machine that has never seen
 * the database.
 *
 * Pages of the database as of the state at FROM are read as they are asked for
 * (src/archive/archive_base.h). A history that copies the database has it put together
 * first, in an unlinked temporary file; so has one of which all rows are read, where
 * each read is a request, or where events are made of them. Where an earlier run has
 * come to an end, the history has it.
 *
 * LSN  That of a state is its TXID - 1.
 *
 * A whole database with pages of another size ends the transactions of one source: the
 * `next` of that gives ST_RETRY. Who goes on compares the states before and after it.
 *
 * A thread of its own reads ahead of who decodes, some files or 64 MiB. What is removed
 * meanwhile by who writes the archive is looked for in merged files. To follow it lists
 * level 0 now and then, and all levels where that does not lead on. An archive that is
 * out of reach is said once and tried again.
 *
 * OWNERSHIP  src/history/source.h.
 * THREADS    src/history/source.h; the history's capture calls are this thread's.
 * ERRORS     ST_CONFIG: the archive has no such state, or is not the one that the
 *            history is of. ST_CORRUPT: damage, or a gap; what comes before it is given
 *            first. ST_IO, ST_NOMEM, ST_STOPPED.
 */
#ifndef ARCHIVED_H
#define ARCHIVED_H

#include <stdbool.h>
#include <stdint.h>

#include "src/archive/when.h"
#include "src/history/history.h"
#include "src/history/source.h"
#include "src/storage/storage_settings.h"

struct archived_settings {
	const char *location; /* as the user gave it; all is borrowed until close */
	const struct storage_settings *storage;
	struct when from;        /* where a new history begins */
	struct when until;       /* not with `follows` */
	bool follows;            /* wait for more at the end */
	int64_t poll_ns;         /* between two looks for more */
	struct history *history; /* closed after the source */
	uint32_t page_size;      /* that the history has; 0: none yet */
	bool reads_all;          /* all rows of the first state are wanted */
	/* Another one ended at a turn, and this one goes on there. It has said where
	 * the events end; events come of the first state, so its files are verified. */
	bool is_after_turn;
	const _Atomic int *stop;
	/* While the first state is put together; may be NULL. */
	struct progress *progress;
};

/* `*first`: as capture_open (src/capture/capture.h). */
enum status archived_open(const struct archived_settings *settings, struct source **out,
			  struct captured_txn **first, struct error *err) MUST_CHECK;

#endif

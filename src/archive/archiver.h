/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/archiver.h -- what a state directory captures is written to an archive.
 *
 *     journal ─ add ─► gathered ─ cut ─► outbox ─► archive
 *              (told)  (a thread)        (another: src/archive/uploader.h,
 *                                         one more: src/archive/keeper.h)
 *
 * It listens to a durable history (src/history/listener.h). What is durable gathers,
 * and becomes a file, its net effect, after the interval, or sooner where it is much,
 * or where the history needs the images no more; an archiver that falls behind makes
 * fewer and larger files. The file is synced in the outbox before the history lets go
 * of what it is made of. Nobody who writes to the database waits for any of this.
 *
 * TXID = LSN + 1. The first file of an archive is the whole database, out of the
 * history's copy and what has come since.
 *
 * OWNERSHIP  archiver_open / archiver_close; texts and descriptor are borrowed. Closed
 *            after the history and before its state.
 * THREADS    The decoding thread; the calls of the listener: as that says.
 * ERRORS     ST_CONFIG: the archive is another's (src/archive/owner.h), or ahead of the
 *            state directory. ST_IO, ST_NOMEM. Once it runs: by the history.
 */
#ifndef ARCHIVER_H
#define ARCHIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/archive/policy_settings.h"
#include "src/base/status.h"
#include "src/history/listener.h"
#include "src/storage/storage_settings.h"

struct archiver;

struct archiver_settings {
	const char *location;
	const struct storage_settings *storage;
	const char *database;   /* its name, for people */
	int state_fd;           /* the state directory */
	const char *state_path; /* the same, for messages */
	bool is_new;     /* it has nothing: the archive must be in reach, which says
			  * where LSNs have to begin */
	bool takes_over; /* archive.take.over */
	int interval_ms; /* archive.interval.ms */
	const struct policy_settings *policy;
	const _Atomic int *stop;
};

enum status archiver_open(const struct archiver_settings *settings,
			  struct archiver **out, struct error *err) MUST_CHECK;
/* What was not finished waits in the state directory. Takes NULL. */
void archiver_close(struct archiver *archiver);

/* LSNs of a history that begins now have to begin here at least, so that its files come
 * behind those that the archive has. */
uint64_t archiver_least_lsn(const struct archiver *archiver);
struct listener *archiver_listener(struct archiver *archiver);

/* All that was added becomes files, and they are uploaded; the history adds no more.
 * `patient` and ST_RETRY as uploader_finish. */
enum status archiver_finish(struct archiver *archiver, bool patient,
			    struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/keeper.h -- does in an archive what is due (src/archive/upkeep.h) while a
 * run writes to it.
 *
 * A thread of its own does it, with a connection of its own, so that no upload waits
 * for a merge, however large. The archive is listed once, by who connects to it; from
 * then on the list is kept: what is uploaded is told, and what is merged or removed is
 * known. Where somebody else has removed a file it is listed again. Errors are said
 * once and tried again, less and less often; they stop no upload.
 *
 * OWNERSHIP  keeper_open / keeper_close; texts are borrowed.
 * THREADS    open, start, finish and close: one; the others: any.
 * ERRORS     ST_NOMEM, ST_IO: no thread. Once it runs `fail` is told ST_CONFIG: the
 *            archive is no longer ours.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "src/archive/policy.h"
#include "src/storage/storage_settings.h"

struct keeper;

struct keeper_settings {
	const char *location;
	const struct storage_settings *storage;
	const char *writer; /* as of struct owner */
	struct policy policy;
	const _Atomic int *stop; /* a patient end is ended by it */
	void (*fail)(void *context, const struct error *err); /* THREAD: its own */
	void *context;
};

enum status keeper_open(const struct keeper_settings *settings, struct keeper **out,
			struct error *err) MUST_CHECK;
/* What is being merged is given up. Takes NULL. */
void keeper_close(struct keeper *keeper);

enum status keeper_start(struct keeper *keeper, struct error *err) MUST_CHECK;

/* That is what the archive has: `list` is taken, and the caller's is empty then.
 * `note`: the number of ours, as of struct owner. Nothing is done before. */
void keeper_take_list(struct keeper *keeper, struct archive_list *list, unsigned note);
/* A file was put there. */
void keeper_add(struct keeper *keeper, const struct archive_file *file);
/* The archive is out of reach, or is so no more; that is said by who found it. */
void keeper_hold(struct keeper *keeper, bool holds);

/* No more is added. `patient`: all that is due is done first; else what is being merged
 * is given up, and made by the next run. */
void keeper_finish(struct keeper *keeper, bool patient);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/uploader.h -- puts what waits in the outbox into the archive, in order.
 *
 * A thread of its own does it, the next file only after the one before is acknowledged:
 * so the archive has no gap, whenever it ends. An archive that is out of reach, or
 * full, is said once, and tried again, less and less often; files wait meanwhile. What
 * it lists at first, and puts, is what src/archive/keeper.h works on.
 *
 * OWNERSHIP  uploader_open / uploader_close; outbox and texts are borrowed.
 * THREADS    The one that opened it; wake: any.
 * ERRORS     ST_CONFIG: the archive is not ours, or another one writes to it.
 *            ST_CORRUPT, ST_NOMEM. Once the thread runs they are told by `fail`.
 */
#ifndef UPLOADER_H
#define UPLOADER_H

#include "src/archive/archive_resume.h"
#include "src/archive/outbox.h"
#include "src/archive/policy.h"
#include "src/storage/storage_settings.h"

struct uploader;

struct uploader_settings {
	const char *location;
	const struct storage_settings *storage;
	const char *database; /* its name, for the note */
	bool takes_over;      /* archive.take.over */
	bool must_reach;      /* one that is out of reach is an error */
	struct policy policy; /* what is due in it (src/archive/keeper.h) */
	const _Atomic int *stop;
	struct outbox *outbox;
	void (*fail)(void *context, const struct error *err); /* THREAD: its own */
	void *context;
};

/* Open the archive, and say what it has; where it is out of reach `known` says so. */
enum status uploader_open(const struct uploader_settings *settings,
			  struct archive_known *known, struct uploader **out,
			  struct error *err) MUST_CHECK;
/* An upload that is under way ends first. Takes NULL. */
void uploader_close(struct uploader *uploader);

enum status uploader_start(struct uploader *uploader, struct error *err) MUST_CHECK;
/* More may wait. */
void uploader_wake(struct uploader *uploader);

/* Put what waits. `patient`: an archive that is out of reach is tried for a minute;
 * else not again, and what takes longer than 2 s is left; and then what is due in it is
 * done. ST_RETRY: files wait still, the text says how many and why. */
enum status uploader_finish(struct uploader *uploader, bool patient,
			    struct error *err) MUST_CHECK;

#endif

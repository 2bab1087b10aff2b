/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/catch_up.h -- what changed while nobody followed, as one transaction.
 *
 * Where it cannot be proven that the WAL goes on from where the journal ends, the
 * source is compared with what the journal says that it was: every page by its hash,
 * read once, in order. The pages that differ are one transaction.
 *
 * The hold keeps a mark at the header that is compared, so that the file stands still
 * but for backfill of frames up to there; of pages that have such a frame the newest
 * one is compared instead.
 *
 * THREADS  The thread that opens, before the capture thread runs.
 */
#ifndef CATCH_UP_H
#define CATCH_UP_H

#include <stdint.h>

#include "src/capture/txn_builder.h"
#include "src/history/history.h"

struct catch_up {
	const struct history *history;
	int database_fd;
	const volatile int *stop; /* may be NULL */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;       /* of `progress`, which may be NULL */
	uint32_t page_count; /* of the source, as of the header */
	uint32_t differ;     /* result: pages */
};

/* Turn the one draft that `builder` has read from the WAL into what differs. */
enum status catch_up_compare(struct catch_up *catch_up, struct txn_builder *builder,
			     struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/archive_resume.h -- where a run goes on with an archive.
 *
 * It decides from what the archive has, what waits for it and what the state directory
 * has; no I/O is done here. The rule: what is written next must lead on from what is
 * there, and must be in the state directory's journal, or be the whole database.
 *
 * THREADS  No shared state.
 * ERRORS   ST_CONFIG: the archive is ahead of the state directory.
 */
#ifndef ARCHIVE_RESUME_H
#define ARCHIVE_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "src/archive/outbox.h"

/* What the archive has. */
struct archive_known {
	bool is_known; /* it could be reached; else the rest is zeros */
	bool has_files;
	uint64_t max_txid;   /* of all files */
	uint64_t reach_txid; /* the newest state that can be restored; 0: none */
	int64_t time_ns;     /* of the newest file */
	uint32_t page_size;  /* the same; 0: not known */
};

/* What the state directory has. */
struct archived_state {
	uint64_t lsn;     /* S */
	uint64_t end_lsn; /* D */
	uint32_t page_size;
};

enum archive_step {
	ARCHIVE_GOES_ON,  /* what came behind `txid` */
	ARCHIVE_ALL,      /* the same with all pages: what came in between is lost */
	ARCHIVE_SNAPSHOT, /* a file that begins at TXID 1 */
};

struct archive_resume {
	enum archive_step next;
	uint64_t txid;     /* the last one that is there; 0: none */
	int64_t time_ns;   /* of it; times do not go back */
	bool drops_outbox; /* what waits does not lead on from what is there */
};

enum status archive_resume(const struct archive_known *known,
			   const struct outbox_content *outbox,
			   const struct archived_state *base,
			   struct archive_resume *out, struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/archive_model.h -- what a described archive comes to, told the plain way:
 * states of the database, and one file after the other laid over them.
 *
 * OWNERSHIP  Every state that a call gives is the caller's: model_state_free. Pages are
 *            borrowed from the archive.
 * THREADS    No shared state.
 * ERRORS     Fails (assert) where there is no memory.
 */
#ifndef TESTS_LIB_ARCHIVE_MODEL_H
#define TESTS_LIB_ARCHIVE_MODEL_H

#include "src/archive/plan.h"
#include "tests/lib/described_archive.h"

struct model_state {
	uint64_t txid;
	uint32_t page_size;
	uint32_t page_count;
	uint32_t most_pages;   /* that it had since the first state */
	const uint8_t **pages; /* page n at n - 1; NULL: zeros */
};

void model_state_free(struct model_state *state); /* takes NULL */

/* What the files of a plan give, merged. NULL: they give no database. */
struct model_state *model_merged(const struct described_archive *archive,
				 const struct plan *plan);

/* The same of the files of level 0 up to `txid`, in an honest archive. */
struct model_state *model_honest(const struct described_archive *archive,
				 uint64_t txid);

/* The file that leads on from `txid` with the nearest end, `until` at most; of those
 * the one that begins last, of these that of the lowest level. NULL: none does. */
const struct described_file *model_next(const struct described_archive *archive,
					uint64_t txid, uint64_t until);

/* `file` laid over `state`: ST_OK, and the state is the next one; ST_RETRY: it is a
 * whole database with pages of another size; ST_CORRUPT: it is damaged, or not all that
 * it must have. */
enum status model_step(struct model_state *state, const struct described_file *file);

#endif

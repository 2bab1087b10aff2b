/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/source_state.h -- what the followed database is at a moment, and whether
 * it is the one that we left.
 *
 * THREADS  The thread that uses the connections.
 */
#ifndef SOURCE_STATE_H
#define SOURCE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_index.h"
#include "src/history/transaction.h"

/*
 * The frame after which the WAL has what came after `end`: that of `end` itself, if it
 * still stands there; or 0, if all of the WAL came after a clean stop and the database
 * file `is_untouched` since then (src/state/meta_record.h). False: neither is proven.
 * `page` is page_size bytes of scratch.
 */
bool source_find_end(const struct db_handles *db, const struct wal_index_header *header,
		     const struct wal_place *end, bool is_untouched, uint8_t *page,
		     uint32_t *frame);

/* The size of a database in pages where no frame tells it, from page 1, which begins
 * with `head`, and the `len` bytes of its file; `path` is for messages. ST_UNFIT:
 * corrupt or cut off. */
enum status source_count_pages(const char *path, const uint8_t *head,
			       uint32_t page_size, uint64_t len, uint32_t *pages,
			       struct error *err) MUST_CHECK;
/* The same of the one that is open. */
enum status source_page_count(const struct db_handles *db, uint32_t *pages,
			      struct error *err) MUST_CHECK;

#endif

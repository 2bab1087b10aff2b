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

/* The WAL goes on from `end`: the same frame stands there. `page` is page_size bytes of
 * scratch. */
bool source_continues(const struct db_handles *db,
		      const struct wal_index_header *header,
		      const struct wal_place *end, uint8_t *page);

/* The size of the database in pages where no frame tells it, from page 1 and the file.
 * ST_UNFIT: corrupt or cut off. */
enum status source_page_count(const struct db_handles *db, uint32_t *pages,
			      struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/source_state.h -- what the followed database is at a moment, and whether it is
 * the one that we left.
 *
 * THREADS  The thread that uses the connections.
 */
#ifndef SOURCE_STATE_H
#define SOURCE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/base/status.h"
#include "src/capture.h"
#include "src/db_open.h"
#include "src/state_dir.h"
#include "src/wal_index.h"

/* The WAL goes on from `end`: the same frame stands there. `page` is page_size bytes of
 * scratch. */
bool source_continues(const struct db_handles *db,
		      const struct wal_index_header *header,
		      const struct wal_place *end, uint8_t *page);

/* The database file is as it was at the clean stop at `lsn` (src/state_dir.h). */
bool source_is_untouched(const struct state_meta *meta, uint64_t lsn,
			 const struct stat *database);

/* The page size of the database file at `path`; 0: it cannot be told. Nothing of this
 * process may be open on the file. */
uint32_t source_page_size(const char *path);

/* The size of the database in pages where no frame tells it, from page 1 and the file.
 * ST_UNFIT: corrupt or cut off. */
enum status source_page_count(const struct db_handles *db, uint32_t *pages,
			      struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/page_size_change.h -- the state directory of a database that has another page
 * size now.
 *
 * The rest of the journal has pages of the old size: it is handed over first.
 * Then the shadow gets the new size (src/state/rebuild.h), and the next opening
 * compares.
 *
 * THREADS  The decoding thread, while nothing of the state directory is open.
 * ERRORS   ST_CONFIG: SQLite cannot make such a copy, the text says why. Those of
 *          delivering what is left.
 */
#ifndef PAGE_SIZE_CHANGE_H
#define PAGE_SIZE_CHANGE_H

#include "src/config/config.h"

enum status page_size_change(const struct config *config, uint32_t page_size,
			     struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/convert.h -- the shadow with pages of another size.
 *
 * A database gets another page size by VACUUM out of WAL mode, or another file takes
 * its place. Pages of two sizes cannot be compared. So SQLite makes of the shadow a
 * database of the same rows with pages of the new size, and a catch-up compares with
 * that.
 *
 * It is made in DIR/convert: `copy`, what SQLite wrote, and of that `shadow` and
 * `hashes`. When both are durable, meta gets the new page size. What then stands in
 * DIR/convert counts, and the next opening of the store puts it in its place; with any
 * other page size it is left over from a kill, and removed.
 *
 * THREADS  Before there are threads.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include "src/store.h"

/* All of the journal is folded. ST_CONFIG: SQLite could not, the text says why. After
 * it the store can only be closed. */
enum status convert_shadow(struct store *store, uint32_t page_size,
			   const volatile int *stop, struct error *err) MUST_CHECK;

/* For store_open, before anything but meta is opened. */
enum status convert_finish(int dir_fd, const char *folder, uint32_t page_size,
			   struct error *err) MUST_CHECK;

#endif

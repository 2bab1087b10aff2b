/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/file_pair.h -- which pages of two database files differ.
 *
 * Both are read once, from the front to the end. Of databases with pages of different
 * size, or with different reserved bytes, each page counts as one that differs.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    One thread at a time.
 * ERRORS     ST_STOPPED; those of src/capture/database_file.h; ST_NOMEM.
 */
#ifndef FILE_PAIR_H
#define FILE_PAIR_H

#include "src/capture/database_file.h"
#include "src/history/transaction.h"

struct file_pair {
	struct database_file *old_file;
	struct database_file *new_file;
	const _Atomic int *stop;
	/* Now and then. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;
};

/* `*out`: the pages that differ, without slots, and both page counts, as of a catch-up.
 * captured_txn_free. */
enum status file_pair_compare(const struct file_pair *pair, struct captured_txn **out,
			      struct error *err) MUST_CHECK;

#endif

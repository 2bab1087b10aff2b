/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/changed_pages.h"

#include <inttypes.h>
#include <stdlib.h>

#include "src/archive/ltx_index.h"
#include "src/archive/plan.h"
#include "src/base/stop.h"

static void add(struct changed_pages *changed, uint32_t page_no)
{
	if (page_no - 1 < changed->limit) {
		changed->bits[(page_no - 1) / 64] |= UINT64_C(1)
						     << ((page_no - 1) % 64);
	}
}

/* The file that leads farthest on from `txid`, to `newer` at most. A whole database
 * names every page: it is taken only where nothing else leads on. */
static const struct archive_file *next_file(const struct archive_list *list,
					    uint64_t txid, uint64_t newer)
{
	const struct archive_file *best = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *file = &list->files[i];
		bool is_whole = file->min_txid == 1;

		if (file->max_txid <= txid || file->max_txid > newer ||
		    file->min_txid > txid + 1 || (best && is_whole)) {
			continue;
		}
		if (!best || best->min_txid == 1 || file->max_txid > best->max_txid) {
			best = file;
		}
	}
	return best;
}

static enum status take_file(struct changed_pages *changed, struct storage *storage,
			     const struct archive_file *file, struct error *err)
{
	struct storage_file *opened;
	struct ltx_index *index = NULL;
	struct ltx_entry entry;
	enum status status = storage_file_open(storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	status = ltx_index_open(opened, file, &index, err);
	if (status == ST_OK) {
		/* What is cut off, and inside again later, need not be named. */
		for (uint32_t page_no = ltx_index_header(index)->page_count + 1;
		     page_no > 0 && page_no <= changed->limit; page_no++) {
			add(changed, page_no);
		}
		while ((status = ltx_index_next(index, &entry, err)) == ST_OK) {
			add(changed, entry.page_no);
		}
		status = status == ST_END ? ST_OK : status;
	}
	ltx_index_close(index);
	storage_file_close(opened);
	return status;
}

/* All of them in turn. */
static void expect_files(struct storage *storage, const struct archive_list *list,
			 uint64_t older, uint64_t newer)
{
	const struct archive_file **files = calloc(list->count + 1, sizeof *files);
	size_t count = 0;

	while (files && (files[count] = next_file(list, older, newer))) {
		older = files[count++]->max_txid;
	}
	if (files) {
		storage_expect(storage, files, count, STORAGE_INDEXES);
	}
	free(files);
}

enum status changed_pages_find(struct changed_pages *changed, struct storage *storage,
			       const struct archive_list *list, uint64_t older,
			       uint64_t newer, uint32_t limit, struct error *err)
{
	enum status status = ST_OK;

	*changed = (struct changed_pages){
	    .bits = calloc((size_t)limit / 64 + 1, sizeof *changed->bits),
	    .limit = limit};
	if (!changed->bits) {
		return error_no_memory(err, "the pages between two states");
	}
	expect_files(storage, list, older, newer);
	for (uint64_t txid = older; status == ST_OK && txid < newer;) {
		const struct archive_file *file = next_file(list, txid, newer);

		if (stop_requested) {
			return error_set(err, ST_STOPPED, "interrupted");
		}
		if (!file) {
			return error_set(err, ST_CORRUPT,
					 "no file leads from txid:%" PRIx64
					 " to txid:%" PRIx64
					 "; rowtail archive list shows the files",
					 txid, newer);
		}
		status = take_file(changed, storage, file, err);
		txid = file->max_txid;
	}
	return status;
}

void changed_pages_clear(struct changed_pages *changed)
{
	free(changed->bits);
	*changed = (struct changed_pages){0};
}

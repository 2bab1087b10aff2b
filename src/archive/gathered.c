/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/gathered.h"

#include <stdlib.h>

#include "btree/db_header.h"
#include "src/archive/ltx_writer.h"

#define READ_BYTES (256u << 10) /* of the base, at once */
#define ASK_PAGES  64u          /* between two questions whether to give up */

void gathered_init(struct gathered *gathered)
{
	*gathered = (struct gathered){0};
	page_versions_init(&gathered->pages);
}

void gathered_clear(struct gathered *gathered)
{
	page_versions_clear(&gathered->pages);
	*gathered = (struct gathered){0};
}

void gathered_begin(struct gathered *gathered, uint32_t page_count)
{
	gathered_clear(gathered);
	gathered->has_size = true;
	gathered->low_pages = page_count;
	gathered->page_count = page_count;
}

/* ---- gathering ---- */

/* Pages above `low_pages` are cut off. */
static enum status cut_off(struct gathered *gathered, uint32_t low_pages,
			   struct error *err)
{
	struct page_versions kept;
	enum status status;

	if (gathered->page_count - low_pages <= gathered->pages.total) {
		for (uint32_t p = gathered->page_count; p > low_pages; p--) {
			page_versions_remove(&gathered->pages, p);
		}
		return ST_OK;
	}
	page_versions_init(&kept);
	status = page_versions_reserve(&kept, gathered->pages.total, err);
	for (size_t i = 0; status == ST_OK && i < gathered->pages.cap; i++) {
		const struct page_version *entry = &gathered->pages.entries[i];

		if (entry->page_no != 0 && entry->page_no <= low_pages) {
			page_versions_put(&kept, entry);
		}
	}
	if (status == ST_OK) {
		page_versions_clear(&gathered->pages);
		gathered->pages = kept;
	}
	return status;
}

enum status gathered_add(struct gathered *gathered, const struct captured_txn *txn,
			 struct error *err)
{
	uint32_t low_pages = txn->page_count;
	enum status status = ST_OK;

	if (txn->merged > 0 && txn->low_pages < low_pages) {
		low_pages = txn->low_pages;
	}
	if (!gathered->has_size) {
		gathered_begin(gathered, txn->page_count_before);
	}
	if (low_pages < gathered->page_count) {
		status = cut_off(gathered, low_pages, err);
	}
	if (status == ST_OK) {
		status = page_versions_reserve(&gathered->pages, txn->page_total, err);
	}
	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		struct page_version entry = {.page_no = txn->pages[i].page_no,
					     .slot = txn->pages[i].slot};

		if (entry.page_no != 0 && entry.page_no <= txn->page_count) {
			page_versions_put(&gathered->pages, &entry);
		}
	}
	if (low_pages < gathered->low_pages) {
		gathered->low_pages = low_pages;
	}
	gathered->page_count = txn->page_count;
	gathered->lsn = txn->lsn;
	gathered->time_ns = txn->captured_ns;
	gathered->total++;
	gathered->transactions += txn->merged > 0 ? txn->merged : 1;
	gathered->has_catch_up |= txn->is_catch_up;
	return status;
}

/* ---- writing ---- */

struct writing {
	const struct gathered *gathered;
	struct gathered_file *file;
	struct ltx_writer *writer;
	struct captured_page *pages; /* with an image, by page number */
	size_t total;
	size_t at;           /* the next one */
	uint32_t lock_page;  /* never written */
	uint8_t *base;       /* pages of it, */
	uint32_t base_first; /* from here on, */
	uint32_t base_count; /* so many */
};

static int by_page_no(const void *a, const void *b)
{
	uint32_t left = ((const struct captured_page *)a)->page_no;
	uint32_t right = ((const struct captured_page *)b)->page_no;

	return left < right ? -1 : left > right;
}

static enum status sort_pages(struct writing *w, struct error *err)
{
	const struct page_versions *versions = &w->gathered->pages;

	w->pages = calloc(versions->total + 1, sizeof *w->pages);
	if (!w->pages) {
		return error_no_memory(err, "%zu pages", versions->total);
	}
	for (size_t i = 0; i < versions->cap; i++) {
		const struct page_version *entry = &versions->entries[i];

		if (entry->page_no != 0 && entry->page_no != w->lock_page) {
			w->pages[w->total++] =
			    (struct captured_page){entry->page_no, entry->slot};
		}
	}
	qsort(w->pages, w->total, sizeof *w->pages, by_page_no);
	return ST_OK;
}

static enum status put(struct writing *w, uint32_t page_no, const uint8_t *bytes,
		       struct error *err)
{
	struct gathered_file *file = w->file;

	if (file->pages++ % ASK_PAGES == 0 && file->gives_up &&
	    file->gives_up(file->context)) {
		return error_set(err, ST_STOPPED, "stopped");
	}
	return ltx_writer_page(w->writer, page_no, bytes, err);
}

static bool is_next(const struct writing *w, uint32_t page_no)
{
	return w->at < w->total && w->pages[w->at].page_no == page_no;
}

static enum status put_image(struct writing *w, struct error *err)
{
	const struct captured_page *page = &w->pages[w->at++];

	return put(w, page->page_no, spool_bytes(w->file->spool, page->slot), err);
}

/* Read the base from `page_no` on, as far as nothing is newer, up to `end`. */
static enum status read_base(struct writing *w, uint32_t page_no, uint32_t end,
			     struct error *err)
{
	const struct listener_base *base = w->file->base;
	uint32_t most = READ_BYTES / base->page_size;

	if (w->at < w->total && w->pages[w->at].page_no <= end) {
		end = w->pages[w->at].page_no - 1;
	}
	if (w->lock_page > page_no && w->lock_page <= end) {
		end = w->lock_page - 1;
	}
	w->base_first = page_no;
	w->base_count = end - page_no + 1 < most ? end - page_no + 1 : most;
	return base->read(base->context, w->base_first, w->base_count, w->base, err);
}

/* Pages that the database has had all the time, and that nothing has written. */
static enum status put_base(struct writing *w, uint32_t page_no, uint32_t end,
			    struct error *err)
{
	enum status status = ST_OK;

	if (page_no < w->base_first || page_no - w->base_first >= w->base_count) {
		status = read_base(w, page_no, end, err);
	}
	return status == ST_OK ? put(w, page_no,
				     w->base + (size_t)(page_no - w->base_first) *
						   w->file->base->page_size,
				     err)
			       : status;
}

static enum status put_pages(struct writing *w, struct error *err)
{
	const struct gathered *gathered = w->gathered;
	uint32_t low = gathered->low_pages;
	enum status status = ST_OK;

	if (!w->file->base) {
		while (status == ST_OK && w->at < w->total &&
		       w->pages[w->at].page_no <= low) {
			status = put_image(w, err);
		}
	}
	for (uint32_t p = w->file->base ? 1 : low + 1;
	     status == ST_OK && p <= gathered->page_count && p != 0; p++) {
		if (p == w->lock_page) {
			continue;
		}
		if (is_next(w, p)) {
			status = put_image(w, err);
		} else if (p <= low) {
			status = put_base(w, p, low, err);
		} else {
			status = put(w, p, NULL, err);
		}
	}
	return status;
}

enum status gathered_write(const struct gathered *gathered, struct gathered_file *file,
			   struct error *err)
{
	struct writing w = {.gathered = gathered,
			    .file = file,
			    .lock_page = db_lock_byte_page(file->header.page_size)};
	enum status status = sort_pages(&w, err);

	file->pages = 0;
	file->header.page_count = gathered->page_count;
	if (status == ST_OK && file->base) {
		w.base = malloc(READ_BYTES);
		status = w.base ? ST_OK : error_no_memory(err, "reading the copy");
	}
	if (status == ST_OK) {
		status = ltx_writer_open(file->fd, file->path, &file->header, &w.writer,
					 err);
	}
	if (status == ST_OK) {
		status = put_pages(&w, err);
	}
	if (status == ST_OK) {
		status = ltx_writer_finish(w.writer, &file->size, err);
	}
	ltx_writer_close(w.writer);
	free(w.pages);
	free(w.base);
	return status;
}

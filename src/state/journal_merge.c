/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/fault.h"
#include "src/state/journal_reader.h"

/* An image of one of the transactions. */
struct merge_page {
	uint32_t page_no;
	uint32_t order; /* of its transaction */
	struct journal_entry entry;
};

struct merge {
	const struct journal_files *files;
	struct journal_record record; /* that comes of it */
	uint64_t start_chain;
	struct buffer bytes; /* the record */
	struct merge_page *pages;
	size_t page_total;
	size_t page_cap;
	uint32_t *sizes; /* of the database, after each transaction */
	size_t size_total;
	size_t size_cap;
};

void journal_merge_clear(struct journal_merge *merge)
{
	free((void *)(uintptr_t)merge->record.pages);
	free(merge->freed);
	*merge = (struct journal_merge){0};
}

/* ---- reading ---- */

/* Add the head of a transaction to what the merged record says. */
static void note_head(struct merge *m, const struct journal_record *one, uint64_t chain)
{
	struct journal_record *all = &m->record;

	if (m->size_total == 0) {
		*all =
		    (struct journal_record){.kind = JOURNAL_MERGED,
					    .page_count_before = one->page_count_before,
					    .low_pages = one->page_count};
	}
	all->lsn = one->lsn;
	all->captured_ns = one->captured_ns;
	all->page_count = one->page_count;
	memcpy(all->salt, one->salt, sizeof all->salt);
	all->last_frame = one->last_frame;
	all->proof = one->proof;
	all->chain = chain;
	all->merged += one->kind == JOURNAL_MERGED ? one->merged : 1;
	all->has_catch_up |= one->has_catch_up || one->kind == JOURNAL_CATCH_UP;
	if (one->kind == JOURNAL_MERGED && one->low_pages < all->low_pages) {
		all->low_pages = one->low_pages;
	}
	if (one->page_count < all->low_pages) {
		all->low_pages = one->page_count;
	}
}

/* journal_read's visit. */
static enum status add_record(void *context, const struct journal_found *found,
			      struct error *err)
{
	struct merge *m = context;
	const struct journal_record *one = &found->record;

	if (!array_room(&m->pages, &m->page_cap, m->page_total + one->page_total,
			sizeof *m->pages) ||
	    !array_room(&m->sizes, &m->size_cap, m->size_total + 1, sizeof *m->sizes)) {
		return journal_no_memory(err);
	}
	note_head(m, one, found->chain);
	for (size_t i = 0; i < one->page_total; i++) {
		m->pages[m->page_total++] =
		    (struct merge_page){.page_no = one->pages[i].page_no,
					.order = (uint32_t)m->size_total,
					.entry = journal_entry_get(found->bytes, i)};
	}
	m->sizes[m->size_total++] = one->page_count;
	return ST_OK;
}

/* All of these segments are durable, so what is torn is damaged. */
static enum status read_all(struct merge *m, struct journal_files *part,
			    uint64_t end_lsn, struct error *err)
{
	const struct journal_reading how = {
	    .start = {part->segments[0].start_lsn, part->segments[0].start_chain},
	    .visit = add_record,
	    .context = m};
	struct journal_end end;
	enum status status = journal_read(part, &how, &end, err);

	if (status == ST_OK && (end.torn || end.lsn != end_lsn)) {
		size_t last = 0;

		while (last + 1 < part->total &&
		       part->segments[last + 1].start_lsn <= end.lsn) {
			last++;
		}
		return journal_file_damaged(
		    part, part->segments[last].start_lsn, part->segments[last].length,
		    end.torn ? end.torn : "records are missing", err);
	}
	return status;
}

/* ---- the net effect ---- */

/* By page; of one page the newest first. */
static int compare_pages(const void *a, const void *b)
{
	const struct merge_page *x = a;
	const struct merge_page *y = b;

	if (x->page_no != y->page_no) {
		return x->page_no < y->page_no ? -1 : 1;
	}
	return (x->order < y->order) - (x->order > y->order);
}

/* sizes[i] becomes the smallest size from transaction i on: images of pages past it
 * were cut off. */
static void find_lowest(struct merge *m)
{
	for (size_t i = m->size_total - 1; i > 0; i--) {
		if (m->sizes[i] < m->sizes[i - 1]) {
			m->sizes[i - 1] = m->sizes[i];
		}
	}
}

/* Put what stays to the front of m->pages, and the slots of the others into `out`. */
static enum status reduce(struct merge *m, struct journal_merge *out, struct error *err)
{
	size_t kept = 0;

	out->freed = malloc((m->page_total + 1) * sizeof *out->freed);
	if (!out->freed) {
		return journal_no_memory(err);
	}
	if (m->page_total > 1) {
		qsort(m->pages, m->page_total, sizeof *m->pages, compare_pages);
	}
	find_lowest(m);
	for (size_t i = 0; i < m->page_total; i++) {
		const struct merge_page *page = &m->pages[i];

		if ((kept > 0 && m->pages[kept - 1].page_no == page->page_no) ||
		    page->page_no > m->sizes[page->order]) {
			out->freed[out->freed_total++] = page->entry.page.slot;
		} else {
			m->pages[kept++] = *page;
		}
	}
	m->page_total = kept;
	m->record.page_total = kept;
	return ST_OK;
}

static enum status take_pages(const struct merge *m, struct journal_merge *out,
			      struct error *err)
{
	struct journal_page *pages = malloc((m->page_total + 1) * sizeof *pages);

	if (!pages) {
		return journal_no_memory(err);
	}
	for (size_t i = 0; i < m->page_total; i++) {
		pages[i] = m->pages[i].entry.page;
	}
	out->record = m->record;
	out->record.pages = pages;
	return ST_OK;
}

/* ---- writing ---- */

static enum status put_record(struct merge *m, struct error *err)
{
	/* All of it is durable: nothing that follows was written before. */
	if (!journal_merged_begin(&m->bytes, &m->record, m->record.lsn,
				  m->start_chain)) {
		return journal_no_memory(err);
	}
	for (size_t i = 0; i < m->page_total; i++) {
		journal_merged_entry(&m->bytes, &m->pages[i].entry);
	}
	journal_merged_end(&m->bytes);
	return ST_OK;
}

static enum status write_file(const struct merge *m, uint64_t start_lsn,
			      struct error *err)
{
	const struct journal_header header = {.page_size = m->files->page_size,
					      .start_lsn = start_lsn,
					      .start_chain = m->start_chain};
	uint8_t head[JOURNAL_HEADER_BYTES];
	int fd;
	int rc;

	journal_header_put(head, &header);
	fd = journal_file_create_new(m->files);
	rc = fd < 0 ? errno : journal_file_write(fd, head, sizeof head, 0);
	FAULT_POINT("merge-head");
	if (rc == 0) {
		rc = journal_file_write(fd, m->bytes.bytes, m->bytes.len, sizeof head);
	}
	FAULT_POINT("merge-record");
	if (rc == 0) {
		rc = journal_file_sync(fd);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	if (rc != 0) {
		journal_file_remove_new(m->files);
		return error_set_errno(err, rc, "cannot write %s/" JOURNAL_NEW_NAME,
				       m->files->folder);
	}
	return ST_OK;
}

enum status journal_merge_write(struct journal_files *part, uint64_t end_lsn,
				struct journal_merge *out, struct error *err)
{
	const struct journal_segment *first = &part->segments[0];
	struct merge m = {.files = part, .start_chain = first->start_chain};
	enum status status;

	*out = (struct journal_merge){.start_lsn = first->start_lsn};
	buffer_init(&m.bytes);
	status = read_all(&m, part, end_lsn, err);
	if (status == ST_OK) {
		status = reduce(&m, out, err);
	}
	if (status == ST_OK) {
		status = take_pages(&m, out, err);
	}
	if (status == ST_OK) {
		status = put_record(&m, err);
	}
	if (status == ST_OK) {
		status = write_file(&m, first->start_lsn, err);
	}
	buffer_clear(&m.bytes);
	free(m.pages);
	free(m.sizes);
	if (status != ST_OK) {
		journal_merge_clear(out);
	}
	return status;
}

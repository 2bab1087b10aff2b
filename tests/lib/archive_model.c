/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/archive_model.h"

#include <assert.h>
#include <stdlib.h>

#include "btree/db_header.h"

static const uint8_t **new_pages(uint32_t page_count)
{
	const uint8_t **pages = calloc((size_t)page_count + 1, sizeof *pages);

	assert(pages);
	return pages;
}

static struct model_state *new_state(uint64_t txid, uint32_t page_size,
				     uint32_t page_count)
{
	struct model_state *s = calloc(1, sizeof *s);

	assert(s);
	*s = (struct model_state){.txid = txid,
				  .page_size = page_size,
				  .page_count = page_count,
				  .most_pages = page_count,
				  .pages = new_pages(page_count)};
	return s;
}

void model_state_free(struct model_state *state)
{
	if (state) {
		free(state->pages);
		free(state);
	}
}

static const struct described_file *described(const struct described_archive *a,
					      const struct archive_file *file)
{
	for (size_t i = 0; i < a->count; i++) {
		if (archive_file_is(&a->files[i].file, file)) {
			return &a->files[i];
		}
	}
	assert(false);
	return NULL;
}

/* Page `page_no` of the newest of the files that has it, zeros if it was cut off
 * meanwhile. False: none has it. */
static bool find_page(const struct described_file *const *files, size_t count,
		      uint32_t page_no, const uint8_t **page)
{
	bool is_cut_off = false;

	for (size_t i = count; i > 0; i--) {
		const struct described_file *f = files[i - 1];
		const uint8_t *bytes = described_file_page(f, page_no);

		is_cut_off = is_cut_off || f->page_count < page_no;
		if (bytes) {
			*page = is_cut_off ? NULL : bytes;
			return true;
		}
	}
	return false;
}

struct model_state *model_merged(const struct described_archive *archive,
				 const struct plan *plan)
{
	const struct described_file *files[DESCRIBED_FILES];
	struct model_state *s;

	assert(plan->count > 0 && plan->count <= DESCRIBED_FILES);
	for (size_t i = 0; i < plan->count; i++) {
		files[i] = described(archive, plan->files[i]);
		if (!files[i]->is_sound || files[i]->page_size != files[0]->page_size) {
			return NULL;
		}
	}
	s = new_state(plan->txid, files[0]->page_size,
		      files[plan->count - 1]->page_count);
	for (uint32_t n = 1; n <= s->page_count; n++) {
		if (!find_page(files, plan->count, n, &s->pages[n - 1]) &&
		    n != db_lock_byte_page(s->page_size)) {
			model_state_free(s);
			return NULL;
		}
	}
	return s;
}

struct model_state *model_honest(const struct described_archive *archive, uint64_t txid)
{
	const struct described_file *files[DESCRIBED_FILES] = {NULL};
	struct model_state *s;

	for (size_t i = 0; i < archive->count; i++) {
		const struct described_file *f = &archive->files[i];

		if (f->file.level == 0) {
			files[f->file.max_txid - 1] = f;
		}
	}
	assert(txid > 0 && txid <= DESCRIBED_FILES && files[txid - 1]);
	s = new_state(txid, files[0]->page_size, files[txid - 1]->page_count);
	for (uint32_t n = 1; n <= s->page_count; n++) {
		bool is_there = find_page(files, (size_t)txid, n, &s->pages[n - 1]);

		assert(is_there);
	}
	return s;
}

const struct described_file *model_next(const struct described_archive *archive,
					uint64_t txid, uint64_t until)
{
	const struct described_file *best = NULL;

	for (size_t i = 0; i < archive->count; i++) {
		const struct described_file *f = &archive->files[i];
		const struct archive_file *name = &f->file;

		if (name->min_txid > txid + 1 || name->max_txid <= txid ||
		    name->max_txid > until) {
			continue;
		}
		if (!best || name->max_txid < best->file.max_txid ||
		    (name->max_txid == best->file.max_txid &&
		     (name->min_txid > best->file.min_txid ||
		      (name->min_txid == best->file.min_txid &&
		       name->level < best->file.level)))) {
			best = f;
		}
	}
	return best;
}

/* The page after the file. False: it should be there. */
static bool step_page(const struct model_state *state,
		      const struct described_file *file, uint32_t page_no,
		      const uint8_t **page)
{
	const uint8_t *bytes = described_file_page(file, page_no);

	if (bytes || page_no == db_lock_byte_page(state->page_size)) {
		*page = bytes;
		return true;
	}
	if (file->file.min_txid == 1) { /* a whole database */
		return false;
	}
	*page = page_no <= state->page_count ? state->pages[page_no - 1] : NULL;
	return page_no <= state->most_pages;
}

enum status model_step(struct model_state *state, const struct described_file *file)
{
	const uint8_t **pages;

	if (file->page_size != state->page_size) {
		return file->file.min_txid == 1 ? ST_RETRY : ST_CORRUPT;
	}
	if (!file->is_sound) {
		return ST_CORRUPT;
	}
	pages = new_pages(file->page_count);
	for (uint32_t n = 1; n <= file->page_count; n++) {
		if (!step_page(state, file, n, &pages[n - 1])) {
			free(pages);
			return ST_CORRUPT;
		}
	}
	free(state->pages);
	state->pages = pages;
	state->txid = file->file.max_txid;
	state->page_count = file->page_count;
	if (state->most_pages < state->page_count) {
		state->most_pages = state->page_count;
	}
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/known_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/state/known_journal.h"
#include "src/state/shadow.h"
#include "src/state/state_dir.h"

#define CHUNK_BYTES (1u << 20)
#define START_AGAIN "move %s away and " STATE_BEGIN_ANEW

void page_list_add(struct page_list *list, uint32_t page_no)
{
	if (list->total < PAGE_LIST_MOST) {
		list->first[list->total] = page_no;
	}
	list->total++;
}

void page_list_text(const struct page_list *list, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < list->total && i < PAGE_LIST_MOST && len < size; i++) {
		int more = snprintf(text + len, size - len, "%s%" PRIu32,
				    i > 0 ? ", " : "", list->first[i]);

		len += more > 0 ? (size_t)more : 0;
	}
	if (list->total > PAGE_LIST_MOST && len < size) {
		(void)snprintf(text + len, size - len, ", ...");
	}
}

/* ---- the journal over the shadow ---- */

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "comparing pages");
}

static enum status reserve(struct known_pages *known, uint32_t page_count,
			   struct error *err)
{
	uint64_t *hashes;
	uint8_t *origins;
	uint32_t *slots;

	if (page_count <= known->cap) {
		return ST_OK;
	}
	hashes = reallocarray(known->hashes, page_count, sizeof *hashes);
	if (!hashes) {
		return no_memory(err);
	}
	known->hashes = hashes;
	origins = realloc(known->origins, page_count);
	if (!origins) {
		return no_memory(err);
	}
	known->origins = origins;
	slots = reallocarray(known->slots, page_count, sizeof *slots);
	if (!slots) {
		return no_memory(err);
	}
	known->slots = slots;
	memset(origins + known->cap, KNOWN_NOT, page_count - known->cap);
	known->cap = page_count;
	return ST_OK;
}

/* A page that was cut off and comes again is not known. */
static enum status resize(struct known_pages *known, uint32_t page_count,
			  struct error *err)
{
	enum status status = reserve(known, page_count, err);

	if (status == ST_OK && page_count < known->page_count) {
		memset(known->origins + page_count, KNOWN_NOT,
		       known->page_count - page_count);
	}
	if (status == ST_OK) {
		known->page_count = page_count;
	}
	return status;
}

static uint32_t low_pages(const struct journal_record *r)
{
	return r->kind == JOURNAL_MERGED ? r->low_pages : r->page_count;
}

/*
 * A record behind what was asked for. The shadow may have its images already, and their
 * hashes: then the page is the one of that record. A page whose hash is another one is
 * still as it was, or else it is found not to be what its hash says.
 */
static void look_at_later(struct known_pages *known, const struct journal_found *found)
{
	const struct journal_record *r = &found->record;

	if (low_pages(r) < known->low_pages) {
		known->low_pages = low_pages(r);
	}
	for (size_t i = 0; i < r->page_total; i++) {
		struct journal_entry entry = journal_entry_get(found->bytes, i);
		uint32_t page_no = entry.page.page_no;

		if (page_no <= known->page_count &&
		    known->origins[page_no - 1] == KNOWN_SHADOW &&
		    known->hashes[page_no - 1] == entry.hash) {
			known->unsure = page_no;
		}
	}
}

/* journal_read's visit. */
static enum status lay_over(void *context, const struct journal_found *found,
			    struct error *err)
{
	struct known_pages *known = context;
	const struct journal_record *r = &found->record;
	enum status status;

	if (r->lsn > known->most_lsn) {
		look_at_later(known, found);
		return ST_OK;
	}
	status = resize(known, low_pages(r), err);
	if (status == ST_OK) {
		status = resize(known, r->page_count, err);
	}
	if (status != ST_OK) {
		return status;
	}
	for (size_t i = 0; i < r->page_total; i++) {
		struct journal_entry entry = journal_entry_get(found->bytes, i);

		known->hashes[entry.page.page_no - 1] = entry.hash;
		known->origins[entry.page.page_no - 1] = KNOWN_JOURNAL;
		known->slots[entry.page.page_no - 1] = entry.page.slot;
	}
	known->place = (struct wal_place){.frame = r->last_frame, .proof = r->proof};
	memcpy(known->place.salt, r->salt, sizeof r->salt);
	known->captured_ns = r->captured_ns;
	known->lsn = r->lsn;
	return ST_OK;
}

/* What was cut off, and has grown again without an image, is zeros in the shadow. */
static enum status look_for_zeros(struct known_pages *known, struct error *err)
{
	uint8_t *zeros = calloc(1, known->page_size);

	if (!zeros) {
		return no_memory(err);
	}
	for (uint32_t i = known->low_pages; i < known->page_count; i++) {
		if (known->origins[i] == KNOWN_SHADOW &&
		    known->hashes[i] ==
			shadow_hash_of(i + 1, zeros, known->page_size)) {
			known->unsure = i + 1;
		}
	}
	free(zeros);
	return ST_OK;
}

static enum status check_sure(struct known_pages *known, const struct state_dir *dir,
			      struct error *err)
{
	enum status status = look_for_zeros(known, err);

	return status == ST_OK && known->unsure != 0
		   ? error_set(err, ST_RETRY,
			       "%s: page %" PRIu32 " as of LSN %" PRIu64
			       " may have been overwritten by what came later; give "
			       "a later moment, or try again",
			       quote(state_dir_path(dir)).text, known->unsure,
			       known->lsn)
		   : status;
}

static enum status read_journal(struct known_pages *known, const struct state_dir *dir,
				bool checks_images, struct error *err)
{
	struct journal_reading how = {
	    .checks_images = checks_images, .visit = lay_over, .context = known};
	struct journal_end end;
	enum status status = known_journal_read(dir, &how, &end, err);

	known->torn = end.torn;
	if (known->most_lsn == UINT64_MAX) {
		known->lsn = end.lsn;
		return status;
	}
	if (status == ST_OK && known->lsn != known->most_lsn) {
		return error_set(err, ST_RETRY,
				 "%s has no state lsn:%" PRIu64
				 " any more; give a later moment",
				 quote(state_dir_path(dir)).text, known->most_lsn);
	}
	return status == ST_OK ? check_sure(known, dir, err) : status;
}

static enum status read_hashes(struct known_pages *known, const struct shadow *shadow,
			       struct error *err)
{
	uint32_t page_count = shadow_page_count(shadow);
	enum status status = resize(known, page_count, err);

	for (uint32_t page_no = 1; status == ST_OK && page_no <= page_count;
	     page_no++) {
		known->hashes[page_no - 1] = shadow_hash(shadow, page_no);
		known->origins[page_no - 1] = KNOWN_SHADOW;
	}
	return status;
}

static enum status open_shadow(const struct state_dir *dir, struct shadow **shadow,
			       struct error *err)
{
	const struct state_meta *meta = state_dir_meta(dir);
	enum status status = shadow_open_read(state_dir_fd(dir), meta->page_size,
					      meta->base_pages, shadow, err);

	return status == ST_OK ? ST_OK : error_wrap(err, "%s", state_dir_path(dir));
}

static enum status init(struct known_pages *known, const struct state_dir *dir,
			uint64_t lsn, bool checks_images, struct error *err)
{
	const struct state_meta *meta = state_dir_meta(dir);
	struct shadow *shadow;
	enum status status;

	if (known_is_rebuilt(dir)) {
		return error_set(err, ST_CONFIG,
				 "%s: its next start has to end what a change of the "
				 "page size has begun; start rowtail with it, then "
				 "try again",
				 quote(state_dir_path(dir)).text);
	}
	*known = (struct known_pages){
	    .page_size = meta->page_size,
	    .lsn = meta->base_lsn,
	    .most_lsn = lsn,
	    .low_pages = UINT32_MAX,
	    .place = {.frame = meta->base_frame, .proof = meta->base_proof},
	};
	memcpy(known->place.salt, meta->base_salt, sizeof known->place.salt);
	status = open_shadow(dir, &shadow, err);
	if (status != ST_OK) {
		return status;
	}
	status = read_hashes(known, shadow, err);
	shadow_close(shadow);
	if (status == ST_OK) {
		status = read_journal(known, dir, checks_images, err);
	}
	if (status != ST_OK) {
		known_pages_clear(known);
	}
	return status;
}

enum status known_pages_init(struct known_pages *known, const struct state_dir *dir,
			     bool checks_images, struct error *err)
{
	return init(known, dir, UINT64_MAX, checks_images, err);
}

enum status known_pages_init_at(struct known_pages *known, const struct state_dir *dir,
				uint64_t lsn, struct error *err)
{
	return init(known, dir, lsn, false, err);
}

void known_pages_clear(struct known_pages *known)
{
	free(known->hashes);
	free(known->origins);
	free(known->slots);
	*known = (struct known_pages){0};
}

/* ---- the shadow ---- */

/* All of `len` bytes; what lies past the end is zeros. */
static enum status read_all(int fd, uint8_t *bytes, size_t len, off_t offset,
			    const char *folder, struct error *err)
{
	if (!file_read_padded(fd, bytes, len, offset)) {
		return error_set_errno(err, errno, "%s/shadow cannot be read", folder);
	}
	return ST_OK;
}

static void check_chunk(const struct known_pages *known, uint32_t first, uint32_t total,
			const uint8_t *bytes, struct page_list *wrong)
{
	for (uint32_t i = 0; i < total; i++) {
		uint32_t page_no = first + i;

		/* A fold that was cut short has written what the journal has. */
		if (known->origins[page_no - 1] == KNOWN_SHADOW &&
		    shadow_hash_of(page_no, bytes + (size_t)i * known->page_size,
				   known->page_size) != known->hashes[page_no - 1]) {
			page_list_add(wrong, page_no);
		}
	}
}

static enum status check_pages(const struct known_pages *known, int fd,
			       const char *folder, const _Atomic int *stop,
			       struct page_list *wrong, struct error *err)
{
	uint32_t at_once = CHUNK_BYTES / known->page_size;
	uint8_t *bytes = malloc(CHUNK_BYTES);
	enum status status = bytes ? ST_OK : no_memory(err);

	for (uint64_t first = 1; status == ST_OK && first <= known->page_count;
	     first += at_once) {
		uint64_t left = known->page_count - first + 1;
		uint32_t total = left < at_once ? (uint32_t)left : at_once;

		if (*stop) {
			status = error_set(err, ST_STOPPED, "stopped");
			break;
		}
		status = read_all(fd, bytes, (size_t)total * known->page_size,
				  (off_t)((first - 1) * known->page_size), folder, err);
		if (status == ST_OK) {
			check_chunk(known, (uint32_t)first, total, bytes, wrong);
		}
	}
	free(bytes);
	return status;
}

enum status known_pages_check_shadow(const struct known_pages *known,
				     const struct state_dir *dir,
				     const _Atomic int *stop, struct error *err)
{
	struct page_list wrong = {0};
	struct shadow *shadow;
	enum status status = open_shadow(dir, &shadow, err);
	char text[160];

	if (status != ST_OK) {
		return status;
	}
	status = check_pages(known, shadow_fd(shadow), state_dir_path(dir), stop,
			     &wrong, err);
	shadow_close(shadow);
	if (status != ST_OK || wrong.total == 0) {
		return status;
	}
	page_list_text(&wrong, text, sizeof text);
	return error_set(err, ST_DAMAGED,
			 "%s/shadow is damaged: %" PRIu32
			 " pages are not what their hashes say (%s); " START_AGAIN,
			 state_dir_path(dir), wrong.total, text,
			 quote(state_dir_path(dir)).text);
}

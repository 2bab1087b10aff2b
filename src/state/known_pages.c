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

/* journal_read's visit. */
static enum status lay_over(void *context, const struct journal_found *found,
			    struct error *err)
{
	struct known_pages *known = context;
	const struct journal_record *r = &found->record;
	enum status status = ST_OK;

	if (r->kind == JOURNAL_MERGED) {
		status = resize(known, r->low_pages, err);
	}
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
	return ST_OK;
}

static enum status read_journal(struct known_pages *known, const struct state_dir *dir,
				bool checks_images, struct error *err)
{
	struct journal_reading how = {
	    .checks_images = checks_images, .visit = lay_over, .context = known};
	struct journal_end end;
	enum status status = known_journal_read(dir, &how, &end, err);

	known->lsn = end.lsn;
	known->torn = end.torn;
	return status;
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

enum status known_pages_init(struct known_pages *known, const struct state_dir *dir,
			     bool checks_images, struct error *err)
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

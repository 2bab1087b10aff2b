/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/history/page_versions.h"
#include "src/state/fold.h"
#include "src/state/journal.h"
#include "src/state/last_error.h"
#include "src/state/rebuilt.h"
#include "src/state/shadow.h"

#define FREE_AT_ONCE 1024 /* slots, under one lock */

struct store {
	struct state_dir *dir;
	struct spool *spool;
	struct shadow *shadow;
	char *base_path; /* of the shadow */
	struct journal *journal;
	struct state_meta meta;
	struct state_position position;
	bool is_new;

	/* Found by open; later: absorbed. */
	struct history_end end;
	struct page_versions versions; /* of what was found, the newest of each page */
	struct captured_txn *recovered;
	struct captured_txn **recovered_end;

	struct journal_page *pages; /* scratch of append */
	size_t page_cap;

	struct fold *fold; /* of a store that is not new */
};

/* --- opening ------------------------------------------------------------------------
 */

/* A transaction as the journal has it; NULL: no memory. */
static struct captured_txn *new_txn(const struct journal_record *record, uint64_t chain,
				    uint32_t page_size)
{
	struct captured_txn *txn =
	    malloc(sizeof *txn + record->page_total * sizeof *txn->pages);

	if (!txn) {
		return NULL;
	}
	*txn = (struct captured_txn){
	    .lsn = record->lsn,
	    .captured_ns = record->captured_ns,
	    .page_count_before = record->page_count_before,
	    .page_count = record->page_count,
	    .pages = (struct captured_page *)(void *)(txn + 1),
	    .page_total = record->page_total,
	    .is_catch_up = record->kind == JOURNAL_CATCH_UP || record->has_catch_up,
	    .merged = record->merged,
	    .low_pages = record->low_pages,
	    .bytes = (uint64_t)record->page_total * page_size,
	    .place = {.frame = record->last_frame, .proof = record->proof},
	    .chain = chain,
	};
	memcpy(txn->place.salt, record->salt, sizeof txn->place.salt);
	for (size_t i = 0; i < record->page_total; i++) {
		txn->pages[i] = (struct captured_page){record->pages[i].page_no,
						       record->pages[i].slot};
	}
	return txn;
}

/* journal_open's replay: a transaction of the journal. */
static enum status recover(void *context, const struct journal_record *record,
			   uint64_t chain, struct error *err)
{
	struct store *store = context;
	struct captured_txn *txn = new_txn(record, chain, store->meta.page_size);
	enum status status =
	    page_versions_reserve(&store->versions, record->page_total, err);

	if (!txn || status != ST_OK) {
		free(txn);
		return error_set(err, ST_NOMEM, "out of memory for the journal");
	}
	for (size_t i = 0; i < record->page_total; i++) {
		struct page_version version = {.page_no = record->pages[i].page_no,
					       .slot = record->pages[i].slot};

		page_versions_put(&store->versions, &version);
	}
	*store->recovered_end = txn;
	store->recovered_end = &txn->next;
	store->end = (struct history_end){
	    .lsn = txn->lsn, .page_count = txn->page_count, .place = txn->place};
	return ST_OK;
}

/* What the shadow says of its files, with the folder that they are in. */
static enum status of_shadow(const struct store *store, enum status status,
			     struct error *err)
{
	return status == ST_OK || status == ST_STOPPED
		   ? status
		   : error_wrap(err, "%s", quote(state_dir_path(store->dir)).text);
}

/* S <= A <= D, whatever happened. */
static enum status check_position(const struct store *store, struct error *err)
{
	uint64_t lsn = store->position.lsn;

	if (lsn < store->meta.base_lsn || lsn > store->end.lsn) {
		return error_set(err, ST_DAMAGED,
				 "%s/%s is damaged (position %" PRIu64
				 ", shadow and journal have %" PRIu64 " to %" PRIu64
				 "): " STATE_MOVE_AWAY,
				 state_dir_path(store->dir),
				 lsn < store->meta.base_lsn ? "position" : "log", lsn,
				 store->meta.base_lsn, store->end.lsn);
	}
	return ST_OK;
}

static enum status open_fold(struct store *store, struct error *err)
{
	struct fold_settings settings = {.dir = store->dir,
					 .shadow = store->shadow,
					 .spool = store->spool,
					 .journal = store->journal,
					 .meta = &store->meta,
					 .page_size = store->meta.page_size};

	return fold_open(&settings, &store->fold, err);
}

/* Spool, shadow and journal of a directory that has been in use. */
static enum status open_contents(struct store *store, struct error *err)
{
	const struct state_meta *meta = &store->meta;
	struct journal_start start = {.lsn = meta->base_lsn, .chain = meta->base_chain};
	int fd = state_dir_fd(store->dir);
	enum status status;

	store->end = (struct history_end){
	    .lsn = meta->base_lsn,
	    .page_count = meta->base_pages,
	    .place = {.frame = meta->base_frame, .proof = meta->base_proof},
	};
	memcpy(store->end.place.salt, meta->base_salt, sizeof meta->base_salt);
	status = of_shadow(
	    store,
	    rebuilt_install(fd, state_dir_path(store->dir), meta->page_size, err), err);
	if (status == ST_OK) {
		status = spool_open_at(fd, meta->page_size, true, &store->spool, err);
	}
	if (status == ST_OK) {
		status = of_shadow(store,
				   shadow_open(fd, meta->page_size, meta->base_pages,
					       &store->shadow, err),
				   err);
	}
	if (status == ST_OK) {
		status = journal_open(fd, meta->page_size, store->spool, &start,
				      recover, store, &store->journal, err);
	}
	if (status == ST_OK) {
		status = check_position(store, err);
	}
	return status == ST_OK ? open_fold(store, err) : status;
}

enum status store_open(const char *path, const char *database_path, bool follows_path,
		       struct store **out, struct error *err)
{
	struct store *store = calloc(1, sizeof *store);
	enum status status;

	if (!store) {
		return error_set(err, ST_NOMEM, "out of memory for the state");
	}
	page_versions_init(&store->versions);
	store->recovered_end = &store->recovered;
	if (asprintf(&store->base_path, "%s/shadow", path) < 0) {
		store->base_path = NULL;
		store_close(store);
		return error_set(err, ST_NOMEM, "out of memory for the state");
	}
	status = state_dir_open_for(path, database_path, follows_path, &store->dir,
				    &store->is_new, err);
	if (status == ST_OK && !store->is_new) {
		store->meta = *state_dir_meta(store->dir);
		store->position = *state_dir_position(store->dir);
		status = open_contents(store, err);
	}
	if (status != ST_OK) {
		if (store->dir) {
			last_error_write(state_dir_fd(store->dir), err->text);
		}
		store_close(store);
		return status;
	}
	*out = store;
	return ST_OK;
}

void store_close(struct store *store)
{
	if (!store) {
		return;
	}
	fold_close(store->fold);
	captured_txn_free(store->recovered);
	free(store->pages);
	free(store->base_path);
	page_versions_clear(&store->versions);
	journal_close(store->journal);
	shadow_close(store->shadow);
	spool_close(store->spool);
	state_dir_close(store->dir);
	free(store);
}

int store_folder(const struct store *store)
{
	return state_dir_fd(store->dir);
}

const char *store_path(const struct store *store)
{
	return state_dir_path(store->dir);
}

void store_uuid(const struct store *store, char text[STORE_UUID_BYTES])
{
	for (size_t i = 0; i < STATE_UUID_BYTES; i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", store->meta.uuid[i]);
	}
}

const char *store_database(const struct store *store)
{
	return state_dir_database(store->dir);
}

bool store_chain_at(const struct store *store, uint64_t lsn, uint64_t *chain)
{
	*chain = store->meta.base_chain;
	if (store->is_new) {
		return false;
	}
	if (lsn == store->meta.base_lsn) {
		return true;
	}
	for (const struct captured_txn *txn = store->recovered; txn; txn = txn->next) {
		if (txn->lsn == lsn) {
			*chain = txn->chain;
			return true;
		}
	}
	return fold_chain_at(store->fold, lsn, chain);
}

enum status store_forget(struct store *store, struct error *err)
{
	return state_dir_forget(store->dir, err);
}

bool store_is_new(const struct store *store)
{
	return store->is_new;
}

/* A directory for a database that was never followed. */
static enum status make_contents(struct store *store, uint32_t page_size,
				 struct error *err)
{
	struct journal_start start = {0};
	int fd = state_dir_fd(store->dir);
	enum status status;

	store->meta.page_size = page_size;
	status = spool_open_at(fd, page_size, false, &store->spool, err);
	if (status == ST_OK) {
		status = journal_open(fd, page_size, store->spool, &start, NULL, NULL,
				      &store->journal, err);
	}
	return status;
}

uint32_t store_page_size(const struct store *store)
{
	return store->meta.page_size;
}

enum status store_put_rebuilt(struct store *store, uint32_t page_size, uint32_t pages,
			      struct error *err)
{
	struct state_meta *meta = &store->meta;

	assert(meta->base_lsn == store->end.lsn);
	meta->page_size = page_size;
	meta->base_pages = pages;
	meta->base_frame = 0;
	meta->base_proof = 0;
	meta->is_clean = false;
	meta->epoch = 0;
	return state_dir_put_meta(store->dir, meta, err);
}

enum status store_prepare(struct store *store, uint32_t page_size, struct error *err)
{
	if (store->is_new) {
		return make_contents(store, page_size, err);
	}
	if (page_size != store->meta.page_size) {
		return error_set(err, ST_CONFIG,
				 "%s: is of a database with pages of %u bytes, this "
				 "one has %u; move it away and " STATE_BEGIN_ANEW,
				 quote(state_dir_path(store->dir)).text,
				 (unsigned)store->meta.page_size, (unsigned)page_size);
	}
	return ST_OK;
}

struct spool *store_spool(const struct store *store)
{
	return store->spool;
}

struct history_end store_end(const struct store *store)
{
	return store->end;
}

bool store_hash_at_end(const struct store *store, uint32_t page_no, uint64_t *hash)
{
	const struct page_version *version;

	if (page_no == 0 || page_no > store->end.page_count) {
		return false;
	}
	version = page_versions_find(&store->versions, page_no);
	if (version) {
		*hash =
		    shadow_hash_of(page_no, spool_bytes(store->spool, version->slot),
				   store->meta.page_size);
		return true;
	}
	if (page_no > shadow_page_count(store->shadow)) {
		return false;
	}
	*hash = shadow_hash(store->shadow, page_no);
	return true;
}

/* --- clean stops --------------------------------------------------------------------
 */

bool store_is_untouched(const struct store *store, const struct stat *database)
{
	return meta_is_untouched(&store->meta, store->end.lsn, database);
}

enum status store_put_clean(struct store *store, const struct stat *database,
			    uint64_t lsn, struct error *err)
{
	if (store->is_new) {
		return ST_OK;
	}
	(void)fold_wait(store->fold);
	meta_set_clean(&store->meta, lsn, database);
	return state_dir_put_meta(store->dir, &store->meta, err);
}

/* --- journalling --------------------------------------------------------------------
 */

enum status store_append(struct store *store, struct captured_txn *txn,
			 struct error *err)
{
	struct journal_record record = {
	    .kind = txn->is_catch_up ? JOURNAL_CATCH_UP : JOURNAL_COMMIT,
	    .lsn = txn->lsn,
	    .captured_ns = txn->captured_ns,
	    .page_count_before = txn->page_count_before,
	    .page_count = txn->page_count,
	    .last_frame = txn->place.frame,
	    .proof = txn->place.proof,
	    .page_total = txn->page_total,
	};

	if (!array_room(&store->pages, &store->page_cap, txn->page_total,
			sizeof *store->pages)) {
		return error_no_memory(err, "the journal");
	}
	memcpy(record.salt, txn->place.salt, sizeof record.salt);
	for (size_t i = 0; i < txn->page_total; i++) {
		store->pages[i] =
		    (struct journal_page){txn->pages[i].page_no, txn->pages[i].slot};
	}
	record.pages = store->pages;
	return journal_append(store->journal, &record, &txn->chain, err);
}

enum status store_sync(struct store *store, struct error *err)
{
	return journal_sync(store->journal, err);
}

/* --- the queue -----------------------------------------------------------------------
 */

uint64_t store_unhanded(const struct store *store)
{
	return state_dir_position(store->dir)->unhanded_lsn;
}

enum status store_put_unhanded(struct store *store, uint64_t lsn, struct error *err)
{
	return state_dir_put_unhanded(store->dir, lsn, err);
}

enum status store_merge(struct store *store, uint64_t from_lsn, uint64_t end_lsn,
			struct store_merged *merged, struct error *err)
{
	struct journal_merge merge;
	enum status status =
	    journal_merge(store->journal, from_lsn, end_lsn, &merge, err);
	struct captured_txn *txn;

	if (status != ST_OK) {
		return status;
	}
	txn = new_txn(&merge.record, merge.record.chain, store->meta.page_size);
	if (!txn) {
		journal_merge_clear(&merge);
		return error_set(err, ST_NOMEM, "out of memory for the journal");
	}
	*merged = (struct store_merged){.start_lsn = merge.start_lsn,
					.txn = txn,
					.freed = merge.freed,
					.freed_total = merge.freed_total};
	merge.freed = NULL;
	journal_merge_clear(&merge);
	return ST_OK;
}

void store_merged_done(struct store *store, struct store_merged *merged)
{
	/* In pieces: capture allocates slots under the same lock. */
	for (size_t i = 0; i < merged->freed_total; i += FREE_AT_ONCE) {
		size_t left = merged->freed_total - i;

		spool_free(store->spool, merged->freed + i,
			   left < FREE_AT_ONCE ? left : FREE_AT_ONCE);
	}
	free(merged->freed);
	*merged = (struct store_merged){0};
}

void store_limit_segments(struct store *store, uint64_t bytes)
{
	journal_limit_segments(store->journal, bytes);
}

/* --- the first start ----------------------------------------------------------------
 */

enum status store_copy_base(struct store *store, const struct store_copy *copy,
			    struct error *err)
{
	struct shadow_copy settings = {
	    .source_fd = copy->source_fd,
	    .page_size = store->meta.page_size,
	    .page_count = copy->first->page_count,
	    .stop = copy->stop,
	    .progress = copy->progress,
	    .context = copy->context,
	};

	return of_shadow(
	    store,
	    shadow_create(state_dir_fd(store->dir), &settings, &store->shadow, err),
	    err);
}

static void free_slots(struct store *store, const struct captured_txn *txn)
{
	for (size_t i = 0; i < txn->page_total; i++) {
		spool_free(store->spool, &txn->pages[i].slot, 1);
	}
}

enum status store_absorb(struct store *store, struct captured_txn *txn,
			 struct error *err)
{
	enum status status = fold_cut(store->shadow, txn, err);

	if (status == ST_OK) {
		status = shadow_resize(store->shadow, txn->page_count, err);
	}
	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		const struct captured_page *page = &txn->pages[i];

		if (page->page_no <= txn->page_count) {
			status =
			    shadow_write(store->shadow, page->page_no,
					 spool_bytes(store->spool, page->slot), err);
		}
	}
	fold_set_base(&store->meta, txn);
	FAULT_POINT("start-absorbed");
	free_slots(store, txn);
	free(txn);
	return of_shadow(store, status, err);
}

enum status store_begin(struct store *store, const struct state_position *position,
			struct error *err)
{
	enum status status = of_shadow(store, shadow_sync(store->shadow, err), err);

	if (status == ST_OK) {
		FAULT_POINT("start-base-synced");
		status = store_put_position(store, position, err);
	}
	if (status == ST_OK) {
		status = state_dir_sync_position(store->dir, err);
	}
	if (status == ST_OK) {
		store->meta.begun_ns = clock_wall_ns();
		status = state_dir_put_meta(store->dir, &store->meta, err);
	}
	if (status == ST_OK) {
		store->meta = *state_dir_meta(store->dir);
		store->is_new = false;
		FAULT_POINT("start-begun");
		status = journal_trim(store->journal, store->meta.base_lsn, err);
	}
	return status == ST_OK ? open_fold(store, err) : status;
}

/* --- following ----------------------------------------------------------------------
 */

enum status store_check_page(void *context, uint32_t page_no, const uint8_t *bytes,
			     struct error *err)
{
	const struct store *store = context;

	if (page_no <= fold_base_pages(store->fold) &&
	    shadow_known_hash(store->shadow, page_no) !=
		shadow_hash_of(page_no, bytes, store->meta.page_size)) {
		if (fold_wait(store->fold)) {
			/* A page that nothing has written since it was cut off may have
			 * been cleared meanwhile. */
			return error_set(err, ST_RETRY, "the shadow was written");
		}
		return error_set(err, ST_DAMAGED,
				 "%s: shadow or hashes is damaged (page %" PRIu32
				 " is not what its hash says): " STATE_MOVE_AWAY,
				 state_dir_path(store->dir), page_no);
	}
	return ST_OK;
}

const char *store_base_path(const struct store *store)
{
	return store->base_path;
}

int store_base_fd(const struct store *store)
{
	return shadow_fd(store->shadow);
}

uint32_t store_base_pages(const struct store *store)
{
	return store->meta.base_pages;
}

uint64_t store_base_lsn(const struct store *store)
{
	return store->meta.base_lsn;
}

struct captured_txn *store_next_recovered(struct store *store)
{
	struct captured_txn *txn = store->recovered;

	if (txn) {
		store->recovered = txn->next;
		txn->next = NULL;
	} else {
		page_versions_clear(&store->versions);
	}
	return txn;
}

int64_t store_begun_ns(const struct store *store)
{
	return store->meta.begun_ns;
}

const struct state_position *store_position(const struct store *store)
{
	return &store->position;
}

enum status store_put_position(struct store *store,
			       const struct state_position *position, struct error *err)
{
	store->position = *position;
	return state_dir_put_position(store->dir, position, err);
}

enum status store_sync_position(struct store *store, struct error *err)
{
	return state_dir_sync_position(store->dir, err);
}

void store_keep(struct store *store, struct captured_txn *txn)
{
	fold_keep(store->fold, txn);
}

bool store_wants_fold(const struct store *store)
{
	return fold_is_due(store->fold);
}

int store_fold_fd(const struct store *store)
{
	return fold_fd(store->fold);
}

enum status store_fold_end(struct store *store, struct view *view, struct error *err)
{
	return fold_end(store->fold, view, err);
}

enum status store_fold_finish(struct store *store, struct view *view, struct error *err)
{
	(void)fold_wait(store->fold);
	return fold_end(store->fold, view, err);
}

enum status store_fold(struct store *store, struct view *view, bool now,
		       struct error *err)
{
	return fold_begin(store->fold, view, now, err);
}

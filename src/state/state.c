/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/last_error.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/state/journal_writers.h"
#include "src/state/last_settings.h"
#include "src/state/rebuilt.h"

#define FREE_AT_ONCE 1024 /* slots, under one lock */

struct state *state_of(struct kept_position *kept)
{
	return (struct state *)kept;
}

/* ---- opening ---- */

/* A transaction as the journal has it; NULL: no memory. */
static struct captured_txn *new_txn(const struct journal_record *record, uint64_t chain,
				    uint32_t page_size)
{
	struct captured_txn *txn = captured_txn_alloc(record->page_total, 0);

	if (!txn) {
		return NULL;
	}
	txn->lsn = record->lsn;
	txn->captured_ns = record->captured_ns;
	txn->page_count_before = record->page_count_before;
	txn->page_count = record->page_count;
	txn->is_catch_up = record->kind == JOURNAL_CATCH_UP || record->has_catch_up;
	txn->merged = record->merged;
	txn->low_pages = record->low_pages;
	txn->bytes = (uint64_t)record->page_total * page_size;
	txn->place.frame = record->last_frame;
	txn->place.proof = record->proof;
	txn->chain = chain;
	memcpy(txn->place.salt, record->salt, sizeof txn->place.salt);
	for (size_t i = 0; i < record->page_total; i++) {
		txn->pages[i] = (struct captured_page){record->pages[i].page_no,
						       record->pages[i].slot};
	}
	return txn;
}

/* journal_open's replay: a transaction of the journal. */
static enum status recover(void *context, const struct journal_found *found,
			   struct error *err)
{
	struct state *state = context;
	const struct journal_record *record = &found->record;
	struct captured_txn *txn = new_txn(record, found->chain, state->meta.page_size);
	enum status status =
	    page_versions_reserve(&state->versions, record->page_total, err);

	if (!txn || status != ST_OK) {
		captured_txn_free_one(txn);
		return error_no_memory(err, "the journal");
	}
	for (size_t i = 0; i < record->page_total; i++) {
		struct page_version version = {.page_no = record->pages[i].page_no,
					       .slot = record->pages[i].slot};

		page_versions_put(&state->versions, &version);
	}
	if (txn->captured_ns > state->known_ns) {
		state->known_ns = txn->captured_ns;
	}
	txn->writers = journal_record_writers(found->bytes, found->length);
	*state->recovered_end = txn;
	state->recovered_end = &txn->next;
	state->end = (struct history_end){
	    .lsn = txn->lsn, .page_count = txn->page_count, .place = txn->place};
	return ST_OK;
}

/* Put the folder before what the shadow says of its files. */
static enum status of_shadow(const struct state *state, enum status status,
			     struct error *err)
{
	return status == ST_OK || status == ST_STOPPED
		   ? status
		   : error_wrap(err, "%s", quote(state_dir_path(state->dir)).text);
}

static enum status open_fold(struct state *state, struct error *err)
{
	struct fold_settings settings = {.dir = state->dir,
					 .shadow = state->shadow,
					 .spool = state->spool,
					 .journal = state->journal,
					 .meta = &state->meta,
					 .listener = &state->listener,
					 .page_size = state->meta.page_size};

	return fold_open(&settings, &state->fold, err);
}

/* Spool, shadow and journal of a directory that has been in use. */
static enum status open_contents(struct state *state, struct error *err)
{
	const struct state_meta *meta = &state->meta;
	struct journal_start start = {.lsn = meta->base_lsn, .chain = meta->base_chain};
	int fd = state_dir_fd(state->dir);
	enum status status;

	state->known_ns = meta->is_clean ? meta->clean_mtime_ns : 0;
	state->end = (struct history_end){
	    .lsn = meta->base_lsn,
	    .page_count = meta->base_pages,
	    .place = {.frame = meta->base_frame, .proof = meta->base_proof},
	};
	memcpy(state->end.place.salt, meta->base_salt, sizeof meta->base_salt);
	status = of_shadow(
	    state,
	    rebuilt_install(fd, state_dir_path(state->dir), meta->page_size, err), err);
	if (status == ST_OK) {
		status = spool_open_at(fd, meta->page_size, true, &state->spool, err);
	}
	if (status == ST_OK) {
		status = of_shadow(state,
				   shadow_open(fd, meta->page_size, meta->base_pages,
					       &state->shadow, err),
				   err);
	}
	if (status == ST_OK) {
		status = journal_open(fd, meta->page_size, state->spool, &start,
				      recover, state, &state->journal, err);
	}
	if (status == ST_OK) {
		status = state_dir_check_end(state->dir, state->end.lsn, NULL, err);
	}
	return status == ST_OK ? open_fold(state, err) : status;
}

/* ---- A ---- */

static bool has(const struct kept_position *kept, uint64_t lsn, uint64_t chain)
{
	uint64_t ours;

	return state_chain_at((const struct state *)kept, lsn, &ours) && ours == chain;
}

/* Before the first position that was made with them. Nothing depends on it. */
static void keep_settings(const struct state *state, const struct span *settings)
{
	struct error failure;

	if (last_settings_write(state_dir_fd(state->dir), settings->bytes,
				settings->len, &failure) != ST_OK) {
		log_warn("%s/%s; a later run cannot show which settings differ",
			 state_dir_path(state->dir), failure.text);
	}
}

static enum status put(struct kept_position *kept,
		       const struct state_position *position,
		       const struct span *settings, bool durable, struct error *err)
{
	struct state *state = state_of(kept);
	enum status status;

	if (settings && kept->last_hash != position->settings_hash) {
		keep_settings(state, settings);
		kept->last_hash = position->settings_hash;
	}
	kept->position = *position;
	status = state_dir_put_position(state->dir, position, err);
	return status == ST_OK && durable ? state_dir_sync_position(state->dir, err)
					  : status;
}

static enum status put_snapshots(struct kept_position *kept, struct snapshot_moment at,
				 struct span text, bool is_new, struct error *err)
{
	struct state_dir *dir = state_of(kept)->dir;
	struct snapshot_moment least = state_dir_least(dir);
	enum status status =
	    snapshot_file_put(state_dir_snapshots(dir), at, text, is_new, least, err);

	if (status != ST_OK) {
		return error_wrap(err, "%s", quote(state_dir_path(dir)).text);
	}
	return is_new ? state_dir_sync_position(dir, err) : ST_OK;
}

static enum status find_snapshots(struct kept_position *kept, struct snapshot_moment at,
				  bool keeps_later, struct snapshot_found *found,
				  struct error *err)
{
	struct state_dir *dir = state_of(kept)->dir;
	enum status status =
	    snapshot_file_find(state_dir_snapshots(dir), at, keeps_later, found, err);

	return status == ST_OK ? ST_OK
			       : error_wrap(err, "%s", quote(state_dir_path(dir)).text);
}

static void note_as(struct kept_position *kept, const char *name, const char *why)
{
	int dir_fd = state_dir_fd(state_of(kept)->dir);

	if (why) {
		last_error_write(dir_fd, name, why);
	} else {
		last_error_remove(dir_fd, name);
	}
}

static void note_outage(struct kept_position *kept, const char *why)
{
	note_as(kept, LAST_OUTAGE, why);
}

static void note(struct kept_position *kept, const char *why)
{
	note_as(kept, LAST_ERROR, why);
	if (!why) {
		note_outage(kept, NULL); /* of a run that was killed */
		state_dir_note_following(state_of(kept)->dir);
	}
}

static void close_kept(struct kept_position *kept)
{
	state_close(state_of(kept));
}

static void init_kept(struct state *state)
{
	struct kept_position *kept = &state->kept;

	kept->database = state_dir_database(state->dir);
	kept->has = has;
	kept->put = put;
	kept->put_snapshots = put_snapshots;
	kept->find_snapshots = find_snapshots;
	kept->note = note;
	kept->note_outage = note_outage;
	kept->close = close_kept;
	if (!last_settings_read(state_dir_fd(state->dir), &kept->last_settings,
				&kept->last_hash)) {
		buffer_clear(&kept->last_settings);
		kept->last_hash = 0;
	}
}

/* What is in the directory once it has been made. */
static void take_meta(struct state *state)
{
	state->meta = *state_dir_meta(state->dir);
	state->kept.page_size = state->meta.page_size;
	for (size_t i = 0; i < STATE_UUID_BYTES; i++) {
		(void)snprintf(state->kept.uuid + 2 * i, 3, "%02x",
			       state->meta.uuid[i]);
	}
}

enum status state_open(const char *path, const char *database_path, bool follows_path,
		       struct state **out, struct error *err)
{
	struct state *state = calloc(1, sizeof *state);
	enum status status;

	if (!state) {
		return error_no_memory(err, "the state");
	}
	buffer_init(&state->kept.last_settings);
	page_versions_init(&state->versions);
	state->recovered_end = &state->recovered;
	if (asprintf(&state->base_path, "%s/shadow", path) < 0) {
		state->base_path = NULL;
		state_close(state);
		return error_no_memory(err, "the state");
	}
	status = state_dir_open_for(path, database_path, follows_path, &state->dir,
				    &state->kept.is_new, err);
	if (status == ST_OK) {
		init_kept(state);
	}
	if (status == ST_OK && !state->kept.is_new) {
		take_meta(state);
		state->kept.position = *state_dir_position(state->dir);
		status = open_contents(state, err);
		state->kept.found_lsn = state->end.lsn;
	}
	if (status != ST_OK) {
		if (state->dir) {
			last_error_write(state_dir_fd(state->dir), LAST_ERROR,
					 err->text);
		}
		state_close(state);
		return status;
	}
	*out = state;
	return ST_OK;
}

void state_close(struct state *state)
{
	if (!state) {
		return;
	}
	fold_close(state->fold);
	captured_txn_free(state->recovered);
	free(state->pages);
	free(state->base_path);
	buffer_clear(&state->kept.last_settings);
	page_versions_clear(&state->versions);
	journal_close(state->journal);
	shadow_close(state->shadow);
	spool_close(state->spool);
	state_dir_close(state->dir);
	free(state);
}

bool state_chain_at(const struct state *state, uint64_t lsn, uint64_t *chain)
{
	*chain = state->meta.base_chain;
	if (state->kept.is_new) {
		return false;
	}
	if (lsn == state->meta.base_lsn) {
		return true;
	}
	for (const struct captured_txn *txn = state->recovered; txn; txn = txn->next) {
		if (txn->lsn == lsn) {
			*chain = txn->chain;
			return true;
		}
	}
	return fold_chain_at(state->fold, lsn, chain);
}

/* A directory for a database that was never followed. */
static enum status make_contents(struct state *state, uint32_t page_size,
				 struct error *err)
{
	struct journal_start start = {0};
	int fd = state_dir_fd(state->dir);
	enum status status;

	state->meta.page_size = page_size;
	status = spool_open_at(fd, page_size, false, &state->spool, err);
	if (status == ST_OK) {
		status = journal_open(fd, page_size, state->spool, &start, NULL, NULL,
				      &state->journal, err);
	}
	return status;
}

enum status state_put_rebuilt(struct state *state, uint32_t page_size, uint32_t pages,
			      struct error *err)
{
	struct state_meta *meta = &state->meta;

	assert(meta->base_lsn == state->end.lsn);
	meta->page_size = page_size;
	meta->base_pages = pages;
	meta->base_frame = 0;
	meta->base_proof = 0;
	meta->is_clean = false;
	meta->epoch = 0;
	return state_dir_put_meta(state->dir, meta, err);
}

enum status state_prepare(struct state *state, uint32_t page_size, struct error *err)
{
	if (state->kept.is_new) {
		return make_contents(state, page_size, err);
	}
	if (page_size != state->meta.page_size) {
		return error_set(err, ST_CONFIG,
				 "%s: is of a database with pages of %u bytes, this "
				 "one has %u; move it away and " STATE_BEGIN_ANEW,
				 quote(state_dir_path(state->dir)).text,
				 (unsigned)state->meta.page_size, (unsigned)page_size);
	}
	return ST_OK;
}

bool state_is_same_at_end(const struct state *state, uint32_t page_no,
			  const uint8_t *bytes)
{
	uint32_t page_size = state->meta.page_size;
	const struct page_version *version;

	if (page_no == 0 || page_no > state->end.page_count) {
		return false;
	}
	version = page_versions_find(&state->versions, page_no);
	if (version) {
		return memcmp(spool_bytes(state->spool, version->slot), bytes,
			      page_size) == 0;
	}
	return page_no <= shadow_page_count(state->shadow) &&
	       shadow_hash(state->shadow, page_no) ==
		   shadow_hash_of(page_no, bytes, page_size);
}

/* ---- clean stops ---- */

enum status state_put_clean(struct state *state, const struct stat *database,
			    uint64_t lsn, struct error *err)
{
	if (state->kept.is_new) {
		return ST_OK;
	}
	(void)fold_wait(state->fold);
	meta_set_clean(&state->meta, lsn, database);
	return state_dir_put_meta(state->dir, &state->meta, err);
}

/* ---- journalling ---- */

static bool is_named(const struct captured_txn *txn)
{
	return txn->writers &&
	       journal_writers_bytes(txn->writers) <= JOURNAL_WRITERS_MOST;
}

/* One that comes merged is of an archive. */
static enum journal_kind kind_of(const struct captured_txn *txn)
{
	return txn->merged > 0    ? JOURNAL_MERGED
	       : txn->is_catch_up ? JOURNAL_CATCH_UP
	       : is_named(txn)    ? JOURNAL_NAMED
				  : JOURNAL_COMMIT;
}

enum status state_append(struct state *state, struct captured_txn *txn,
			 struct error *err)
{
	struct journal_record record = {
	    .kind = kind_of(txn),
	    .lsn = txn->lsn,
	    .captured_ns = txn->captured_ns,
	    .page_count_before = txn->page_count_before,
	    .page_count = txn->page_count,
	    .last_frame = txn->place.frame,
	    .proof = txn->place.proof,
	    .page_total = txn->page_total,
	    .writers = txn->writers,
	    .merged = txn->merged,
	    .low_pages = txn->merged > 0 ? txn->low_pages : 0,
	    .has_catch_up = txn->merged > 0 && txn->is_catch_up,
	};

	if (!array_room(&state->pages, &state->page_cap, txn->page_total,
			sizeof *state->pages)) {
		return error_no_memory(err, "the journal");
	}
	memcpy(record.salt, txn->place.salt, sizeof record.salt);
	for (size_t i = 0; i < txn->page_total; i++) {
		state->pages[i] =
		    (struct journal_page){txn->pages[i].page_no, txn->pages[i].slot};
	}
	record.pages = state->pages;
	return journal_append(state->journal, &record, &txn->chain, err);
}

/* ---- merging ---- */

enum status state_merge(struct state *state, uint64_t from_lsn, uint64_t end_lsn,
			struct state_merged *merged, struct error *err)
{
	struct journal_merge merge;
	enum status status =
	    journal_merge(state->journal, from_lsn, end_lsn, &merge, err);
	struct captured_txn *txn;

	if (status != ST_OK) {
		return status;
	}
	txn = new_txn(&merge.record, merge.record.chain, state->meta.page_size);
	if (!txn) {
		journal_merge_clear(&merge);
		return error_no_memory(err, "the journal");
	}
	*merged = (struct state_merged){.start_lsn = merge.start_lsn,
					.txn = txn,
					.freed = merge.freed,
					.freed_total = merge.freed_total};
	merge.freed = NULL;
	journal_merge_clear(&merge);
	return ST_OK;
}

void state_merged_done(struct state *state, struct state_merged *merged)
{
	/* In pieces: capture allocates slots under the same lock. */
	for (size_t i = 0; i < merged->freed_total; i += FREE_AT_ONCE) {
		size_t left = merged->freed_total - i;

		spool_free(state->spool, merged->freed + i,
			   left < FREE_AT_ONCE ? left : FREE_AT_ONCE);
	}
	free(merged->freed);
	*merged = (struct state_merged){0};
}

/* ---- the first start ---- */

enum status state_copy_base(struct state *state, struct shadow_copy *copy,
			    struct error *err)
{
	copy->page_size = state->meta.page_size;
	return of_shadow(
	    state, shadow_create(state_dir_fd(state->dir), copy, &state->shadow, err),
	    err);
}

enum status state_absorb(struct state *state, struct captured_txn *txn,
			 struct error *err)
{
	enum status status = fold_cut(state->shadow, txn, err);

	if (status == ST_OK) {
		status = shadow_resize(state->shadow, txn->page_count, err);
	}
	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		const struct captured_page *page = &txn->pages[i];

		if (page->page_no <= txn->page_count) {
			status =
			    shadow_write(state->shadow, page->page_no,
					 spool_bytes(state->spool, page->slot), err);
		}
	}
	fold_set_base(&state->meta, txn);
	FAULT_POINT("start-absorbed");
	captured_pages_drop(txn->pages, txn->page_total, state->spool);
	captured_txn_free_one(txn);
	return of_shadow(state, status, err);
}

enum status state_begin(struct state *state, struct error *err)
{
	struct state_position position = state->kept.position;
	enum status status = of_shadow(state, shadow_sync(state->shadow, err), err);

	if (status == ST_OK) {
		FAULT_POINT("start-base-synced");
		position.lsn = state->meta.base_lsn;
		status = put(&state->kept, &position, NULL, true, err);
	}
	if (status == ST_OK) {
		if (state->meta.begun_ns == 0) {
			state->meta.begun_ns = clock_wall_ns();
		}
		status = state_dir_put_meta(state->dir, &state->meta, err);
	}
	if (status == ST_OK) {
		take_meta(state);
		state->kept.is_new = false;
		FAULT_POINT("start-begun");
		status = journal_trim(state->journal, state->meta.base_lsn, err);
	}
	return status == ST_OK ? open_fold(state, err) : status;
}

/* ---- decoding ---- */

enum status state_check_page(void *context, uint32_t page_no, const uint8_t *bytes,
			     struct error *err)
{
	const struct state *state = context;

	if (page_no <= fold_base_pages(state->fold) &&
	    shadow_known_hash(state->shadow, page_no) !=
		shadow_hash_of(page_no, bytes, state->meta.page_size)) {
		if (fold_wait(state->fold)) {
			/* A page that nothing has written since it was cut off may have
			 * been cleared meanwhile. */
			return error_set(err, ST_RETRY, "the shadow was written");
		}
		return error_set(err, ST_DAMAGED,
				 "%s: shadow or hashes is damaged (page %" PRIu32
				 " is not what its hash says): " STATE_MOVE_AWAY,
				 state_dir_path(state->dir), page_no);
	}
	return ST_OK;
}

struct captured_txn *state_next_recovered(struct state *state)
{
	struct captured_txn *txn = state->recovered;

	if (txn) {
		state->recovered = txn->next;
		txn->next = NULL;
	} else {
		page_versions_clear(&state->versions);
	}
	return txn;
}

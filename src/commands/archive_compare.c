/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/archive_compare.h"

#include <inttypes.h>
#include <stdio.h>

#include "src/archive/merge.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/state/known_pages.h"
#include "src/state/shadow.h"

struct comparing {
	const struct known_pages *known;
	uint32_t same;
	struct page_list differ;
};

static enum status compare_page(void *context, uint32_t page_no, const uint8_t *bytes,
				struct error *err)
{
	struct comparing *c = context;
	const struct known_pages *known = c->known;

	(void)err;
	if (page_no > known->page_count || known->origins[page_no - 1] == KNOWN_NOT) {
		return ST_OK;
	}
	if (shadow_hash_of(page_no, bytes, known->page_size) ==
	    known->hashes[page_no - 1]) {
		c->same++;
	} else {
		page_list_add(&c->differ, page_no);
	}
	return ST_OK;
}

/* The newest end of a file. */
static uint64_t latest_txid(const struct archive_list *list)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (list->files[i].max_txid > latest) {
			latest = list->files[i].max_txid;
		}
	}
	return latest;
}

static enum status make_plan(const struct known_pages *known, const char *state_path,
			     const struct archive_list *list, struct plan *plan,
			     struct error *err)
{
	struct when when = {.kind = WHEN_TXID, .txid = known->lsn + 1};
	uint64_t latest = latest_txid(list);

	if (latest < when.txid) {
		return error_set(err, ST_CONFIG,
				 "%s is at txid:%" PRIx64
				 ", and the archive ends at txid:%" PRIx64
				 ": rowtail DATABASE --state … --archive … --once "
				 "uploads what waits, then verify again",
				 quote(state_path).text, when.txid, latest);
	}
	return plan_init(plan, list, &when, err);
}

static enum status judge(const struct comparing *c, const struct merge *merge,
			 const char *state_path, struct error *err)
{
	const struct known_pages *known = c->known;
	char text[160];

	if (merge->page_size != known->page_size ||
	    merge->page_count != known->page_count) {
		return error_set(
		    err, ST_DAMAGED,
		    "the archive has %" PRIu32 " pages of %" PRIu32
		    " bytes at txid:%" PRIx64 ", %s has %" PRIu32 " of %" PRIu32
		    ": begin a new archive, and keep both for a look",
		    merge->page_count, merge->page_size, known->lsn + 1,
		    quote(state_path).text, known->page_count, known->page_size);
	}
	if (c->differ.total == 0) {
		return ST_OK;
	}
	page_list_text(&c->differ, text, sizeof text);
	return error_set(
	    err, ST_DAMAGED,
	    "%" PRIu32 " of %" PRIu32 " pages of the archive at txid:%" PRIx64
	    " are not those of %s (%s): begin a new archive, and keep both "
	    "for a look",
	    c->differ.total, known->page_count, known->lsn + 1, quote(state_path).text,
	    text);
}

static enum status compare(const struct known_pages *known, const char *state_path,
			   struct storage *storage, const struct archive_list *list,
			   struct archive_compared *out, struct error *err)
{
	struct comparing c = {.known = known};
	struct plan plan;
	struct merge merge = {.storage = storage,
			      .plan = &plan,
			      .fd = -1,
			      .stop = &stop_requested,
			      .page = compare_page,
			      .context = &c};
	enum status status = make_plan(known, state_path, list, &plan, err);

	if (status != ST_OK) {
		return status;
	}
	status = merge_run(&merge, err);
	plan_clear(&plan);
	if (status == ST_OK) {
		status = judge(&c, &merge, state_path, err);
	}
	*out = (struct archive_compared){.lsn = known->lsn, .pages = c.same};
	return status;
}

enum status archive_compare(const char *state_path, struct storage *storage,
			    const struct archive_list *list,
			    struct archive_compared *out, struct error *err)
{
	struct known_pages known;
	struct state_dir *dir;
	bool is_new;
	enum status status = state_dir_read(state_path, true, &dir, &is_new, err);

	if (status != ST_OK) {
		return status;
	}
	if (is_new) {
		status = error_set(err, ST_CONFIG,
				   "%s has no state yet: its first start has not got "
				   "that far; start rowtail with it",
				   quote(state_path).text);
	}
	if (status == ST_OK) {
		status = known_pages_init(&known, dir, true, err);
		if (status == ST_OK) {
			status = compare(&known, state_path, storage, list, out, err);
			known_pages_clear(&known);
		}
	}
	state_dir_close(dir);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/diff_moments.h"

#include <stdlib.h>

#include "btree/db_header.h"
#include "src/archive/changed_pages.h"
#include "src/archive/pages.h"
#include "src/base/clock.h"
#include "src/history/view.h"
#include "src/storage/location.h"

#define TRIES 5 /* while files are compacted or removed by others */

/* One of the two. */
struct side {
	struct plan plan;
	struct archive_pages *pages;
	struct view *view; /* keeps some of the pages, and pins them */
};

struct diff_moments {
	struct storage *storage;
	struct archive_list list;
	struct side old_side, new_side;
	struct spool *spool; /* stays empty: nothing lies over the archive's pages */
};

static enum status read_page(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	return archive_pages_read(context, page_no, bytes, err);
}

static enum status open_side(struct diff_moments *m, struct side *side,
			     struct error *err)
{
	struct view_base base = {.read = read_page};
	struct captured_txn state = {0};
	enum status status =
	    archive_pages_open(m->storage, &side->plan, &side->pages, err);

	if (status != ST_OK) {
		return status;
	}
	base.context = side->pages;
	state.page_count = archive_pages_count(side->pages);
	if (state.page_count == 0) {
		return error_set(err, ST_CONFIG,
				 "the database has no page at one of the two states; "
				 "give a later one");
	}
	if (!m->spool) {
		status = spool_open(archive_pages_size(side->pages), &m->spool, err);
	}
	return status == ST_OK
		   ? view_open(m->spool, &base, archive_pages_size(side->pages), &state,
			       &side->view, err)
		   : status;
}

struct page_source *diff_moments_old(struct diff_moments *moments)
{
	return view_old(moments->old_side.view);
}

struct page_source *diff_moments_new(struct diff_moments *moments)
{
	return view_old(moments->new_side.view);
}

/* ---- which pages differ ---- */

static bool same_geometry(const struct page_source *a, const struct page_source *b)
{
	return a->page_size == b->page_size && a->usable_size == b->usable_size;
}

/* Pages of the new state that may differ: those that `changed` has, and what the old
 * state does not have; NULL: all. */
static struct captured_txn *make_txn(struct diff_moments *m,
				     const struct changed_pages *changed)
{
	struct page_source *was = diff_moments_old(m);
	struct page_source *is = diff_moments_new(m);
	uint32_t lock_page = db_lock_byte_page(is->page_size);
	struct captured_txn *txn = captured_txn_alloc(is->page_count, 0);
	size_t total = 0;

	for (uint32_t page_no = 1; txn && page_no <= is->page_count; page_no++) {
		if (page_no != lock_page && (!changed || page_no > was->page_count ||
					     changed_pages_has(changed, page_no))) {
			txn->pages[total++] =
			    (struct captured_page){.page_no = page_no};
		}
	}
	if (txn) {
		txn->page_total = total;
		txn->page_count_before = was->page_count;
		txn->page_count = is->page_count;
		txn->is_catch_up = true;
		txn->lsn = m->new_side.plan.txid - 1;
		txn->captured_ns = m->new_side.plan.time_ns;
	}
	return txn;
}

static enum status compare(struct diff_moments *m, struct captured_txn **txn,
			   struct error *err)
{
	uint64_t a = m->old_side.plan.txid;
	uint64_t b = m->new_side.plan.txid;
	struct changed_pages changed = {0};
	enum status status = ST_OK;

	if (!same_geometry(diff_moments_old(m), diff_moments_new(m))) {
		*txn = make_txn(m, NULL);
	} else {
		status = changed_pages_find(&changed, m->storage, &m->list,
					    a < b ? a : b, a < b ? b : a,
					    diff_moments_new(m)->page_count, err);
		*txn = status == ST_OK ? make_txn(m, &changed) : NULL;
		changed_pages_clear(&changed);
	}
	return status == ST_OK && !*txn ? error_no_memory(err, "a comparison") : status;
}

/* ---- opening ---- */

static void forget(struct diff_moments *m)
{
	struct side *sides[] = {&m->old_side, &m->new_side};

	for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
		view_close(sides[i]->view);
		archive_pages_close(sides[i]->pages);
		plan_clear(&sides[i]->plan);
		*sides[i] = (struct side){0};
	}
	spool_close(m->spool);
	m->spool = NULL;
	archive_list_clear(&m->list);
	m->list = (struct archive_list){0};
}

static enum status try_once(struct diff_moments *m, const struct when *from,
			    const struct when *to, struct captured_txn **txn,
			    struct error *err)
{
	enum status status;

	forget(m);
	status = storage_list(m->storage, &m->list, err);
	if (status == ST_OK) {
		status = plan_init(&m->old_side.plan, &m->list, from, err);
	}
	if (status == ST_OK) {
		status = plan_init(&m->new_side.plan, &m->list, to, err);
	}
	if (status == ST_OK) {
		status = open_side(m, &m->old_side, err);
	}
	if (status == ST_OK) {
		status = open_side(m, &m->new_side, err);
	}
	return status == ST_OK ? compare(m, txn, err) : status;
}

enum status diff_moments_open(const struct config *config, const char *location,
			      const char *from, const char *to,
			      struct diff_moments **out, struct captured_txn **txn,
			      struct error *err)
{
	struct diff_moments *m = calloc(1, sizeof *m);
	int64_t now_ns = clock_wall_ns();
	struct when old_when, new_when;
	enum status status;

	*out = m;
	if (!m) {
		return error_no_memory(err, "an archive");
	}
	status = when_parse(from, now_ns, &old_when, err);
	if (status == ST_OK) {
		status = when_parse(to, now_ns, &new_when, err);
	}
	if (status == ST_OK) {
		status = location_open(location, &config->storage, &m->storage, err);
	}
	for (int i = 0; status == ST_OK && i < TRIES; i++) {
		status = try_once(m, &old_when, &new_when, txn, err);
		if (status != ST_LOST || i + 1 == TRIES) {
			break;
		}
		status = ST_OK;
	}
	return status;
}

void diff_moments_close(struct diff_moments *moments)
{
	if (moments) {
		forget(moments);
		storage_close(moments->storage);
		free(moments);
	}
}

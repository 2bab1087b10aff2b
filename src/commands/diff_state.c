/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/diff_state.h"

#include <stdlib.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/commands/state_when.h"
#include "src/history/view.h"
#include "src/state/state_pages.h"

/* One of the two. */
struct side {
	struct state_pages *pages;
	struct view *view; /* keeps some of the pages, and pins them */
};

struct diff_state {
	struct side old_side, new_side;
	struct spool *spool; /* stays empty: nothing lies over the pages */
};

/* To a view ST_RETRY means to read again: what is overwritten stays so. */
static enum status read_page(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	enum status status = state_pages_read(context, page_no, bytes, err);

	if (status == ST_RETRY) {
		err->status = ST_IO;
		return ST_IO;
	}
	return status;
}

static enum status open_side(struct diff_state *s, struct side *side, const char *path,
			     const struct state_when *when, struct error *err)
{
	struct view_base base = {.read = read_page};
	struct captured_txn state = {0};
	enum status status = state_pages_open(path, when, &side->pages, err);

	if (status != ST_OK) {
		return status;
	}
	base.context = side->pages;
	state.page_count = state_pages_count(side->pages);
	if (state.page_count == 0) {
		return error_set(err, ST_CONFIG,
				 "the database has no page at one of the two states; "
				 "give a later one");
	}
	if (!s->spool) {
		status = spool_open(state_pages_size(side->pages), &s->spool, err);
	}
	return status == ST_OK
		   ? view_open(s->spool, &base, state_pages_size(side->pages), &state,
			       &side->view, err)
		   : status;
}

static enum status check_sizes(const struct diff_state *s, const char *path,
			       struct error *err)
{
	return state_pages_size(s->old_side.pages) ==
		       state_pages_size(s->new_side.pages)
		   ? ST_OK
		   : error_set(err, ST_IO,
			       "%s: the page size was changed while it was read; try "
			       "again",
			       quote(path).text);
}

struct page_source *diff_state_old(struct diff_state *state)
{
	return view_old(state->old_side.view);
}

struct page_source *diff_state_new(struct diff_state *state)
{
	return view_old(state->new_side.view);
}

/* Pages of the new state that are not those of the old one. */
static enum status compare(struct diff_state *s, struct captured_txn **txn,
			   struct error *err)
{
	const struct page_source *was = diff_state_old(s);
	const struct page_source *is = diff_state_new(s);
	bool all = was->usable_size != is->usable_size;
	uint32_t lock_page = db_lock_byte_page(is->page_size);
	struct state_moment moment = state_pages_moment(s->new_side.pages);
	struct captured_txn *t = captured_txn_alloc(is->page_count, 0);
	size_t total = 0;

	if (!t) {
		return error_no_memory(err, "a comparison");
	}
	for (uint32_t page_no = 1; page_no <= is->page_count; page_no++) {
		if (page_no != lock_page &&
		    (all || page_no > was->page_count ||
		     !state_pages_have_same(s->old_side.pages, s->new_side.pages,
					    page_no))) {
			t->pages[total++] = (struct captured_page){.page_no = page_no};
		}
	}
	t->page_total = total;
	t->page_count_before = was->page_count;
	t->page_count = is->page_count;
	t->is_catch_up = true;
	t->lsn = moment.lsn;
	t->captured_ns = moment.time_ns;
	*txn = t;
	return ST_OK;
}

enum status diff_state_open(const char *path, const char *from, const char *to,
			    struct diff_state **out, struct captured_txn **txn,
			    struct error *err)
{
	struct diff_state *s = calloc(1, sizeof *s);
	int64_t now_ns = clock_wall_ns();
	struct state_when old_when, new_when;
	enum status status;

	*out = s;
	if (!s) {
		return error_no_memory(err, "a state directory");
	}
	status = state_when_parse(from, now_ns, &old_when, err);
	if (status == ST_OK) {
		status = state_when_parse(to, now_ns, &new_when, err);
	}
	if (status == ST_OK) {
		status = open_side(s, &s->old_side, path, &old_when, err);
	}
	if (status == ST_OK) {
		status = open_side(s, &s->new_side, path, &new_when, err);
	}
	if (status == ST_OK) {
		status = check_sizes(s, path, err);
	}
	return status == ST_OK ? compare(s, txn, err) : status;
}

void diff_state_close(struct diff_state *s)
{
	if (s) {
		view_close(s->old_side.view);
		view_close(s->new_side.view);
		state_pages_close(s->old_side.pages);
		state_pages_close(s->new_side.pages);
		spool_close(s->spool);
		free(s);
	}
}

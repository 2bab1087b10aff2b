/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/view.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define CACHE_WAYS  4
#define CACHE_BYTES (4u << 20)

/* A page of the base. */
struct cached_page {
	uint32_t page_no; /* 0: empty */
	uint32_t pins;
	uint32_t used; /* clock of the last get */
	bool is_spare; /* outside the cache: freed with its last pin */
	uint8_t *bytes;
};

/*
 * versions[page_no]: 0 nothing in the spool; slot + 1; or, for a page of the current
 * transaction, IN_TXN | index into its pages (whose former entry is in `before`).
 */
#define IN_TXN 0x80000000u

struct view_side {
	struct page_source source; /* first member: the vtable's object */
	struct view *view;
	bool is_new;
};

struct view {
	struct view_side old_side;
	struct view_side new_side;
	struct page_source
	    *old_state; /* of a pair, which has nothing else; else NULL */
	struct page_source *new_state;
	struct spool *spool;
	struct view_base base;
	uint64_t moved_bytes; /* laid over the base since it was asked to move */
	bool keeps_slots;
	view_check check; /* of pages of the base; NULL: none */
	void *check_context;

	uint32_t *versions;
	size_t version_limit;           /* page numbers below it have an entry */
	const struct captured_txn *txn; /* between begin and end */
	uint32_t *before;               /* former entries of its pages */
	size_t before_cap;
	uint32_t *freed; /* scratch: slots to give back */
	size_t freed_cap;

	struct cached_page *cache;
	uint32_t cache_sets;
	uint32_t clock;
};

/* ---- a file as the base ---- */

static enum status read_file(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	const struct view_file *file = context;
	off_t at = (off_t)(page_no - 1) * file->page_size;

	if (!file_read_padded(file->fd, bytes, file->page_size, at)) {
		return error_set_errno(err, errno, "%s: page %u cannot be read",
				       quote(file->path).text, (unsigned)page_no);
	}
	return ST_OK;
}

struct view_base view_base_of_file(struct view_file *file)
{
	return (struct view_base){.read = read_file, .context = file};
}

/* ---- the cache of pages of the base ---- */

static struct cached_page *cache_set(struct view *view, uint32_t page_no)
{
	return &view->cache[(size_t)(page_no % view->cache_sets) * CACHE_WAYS];
}

static struct cached_page *cache_find(struct view *view, uint32_t page_no)
{
	struct cached_page *set = cache_set(view, page_no);

	for (unsigned i = 0; i < CACHE_WAYS; i++) {
		if (set[i].page_no == page_no) {
			return &set[i];
		}
	}
	return NULL;
}

/* An entry to read into: the least recently used unpinned one of the set, else a spare.
 */
static struct cached_page *cache_take(struct view *view, uint32_t page_no)
{
	struct cached_page *set = cache_set(view, page_no);
	struct cached_page *best = NULL;

	for (unsigned i = 0; i < CACHE_WAYS; i++) {
		if (set[i].pins == 0 &&
		    (!best || set[i].page_no == 0 ||
		     (best->page_no != 0 &&
		      view->clock - set[i].used > view->clock - best->used))) {
			best = &set[i];
		}
	}
	if (!best) {
		best = calloc(1, sizeof *best);
		if (!best) {
			return NULL;
		}
		best->is_spare = true;
	}
	if (!best->bytes) {
		best->bytes = malloc(view->old_side.source.page_size);
		if (!best->bytes) {
			if (best->is_spare) {
				free(best);
			}
			return NULL;
		}
	}
	best->page_no = 0;
	return best;
}

static void cache_unpin(struct cached_page *entry)
{
	assert(entry->pins > 0);
	entry->pins--;
	if (entry->pins == 0 && entry->is_spare) {
		free(entry->bytes);
		free(entry);
	}
}

static void cache_forget(struct view *view, uint32_t page_no)
{
	struct cached_page *entry = cache_find(view, page_no);

	if (entry) {
		assert(entry->pins == 0);
		entry->page_no = 0;
	}
}

/* The page from the base, by way of the cache. */
static enum status cache_get(struct view *view, uint32_t page_no,
			     struct cached_page **out, struct error *err)
{
	struct cached_page *entry = cache_find(view, page_no);

	if (!entry) {
		enum status status;

		entry = cache_take(view, page_no);
		if (!entry) {
			return error_no_memory(err, "page %u", page_no);
		}
		do {
			status = view->base.read(view->base.context, page_no,
						 entry->bytes, err);
			if (status == ST_OK && view->check) {
				status = view->check(view->check_context, page_no,
						     entry->bytes, err);
			}
		} while (status == ST_RETRY);
		if (status != ST_OK) {
			if (entry->is_spare) {
				entry->pins = 1;
				cache_unpin(entry);
			}
			return status;
		}
		entry->page_no = page_no;
	}
	entry->used = ++view->clock;
	entry->pins++;
	*out = entry;
	return ST_OK;
}

/* ---- pages ---- */

/* The entry of `page_no` as of the old view: 0 or slot + 1. */
static uint32_t old_version(const struct view *view, uint32_t page_no)
{
	uint32_t entry = page_no < view->version_limit ? view->versions[page_no] : 0;

	return entry & IN_TXN ? view->before[entry & ~IN_TXN] : entry;
}

static enum status get_base(struct view *view, uint32_t page_no, struct page_ref *ref,
			    struct error *err)
{
	uint32_t slot = spool_preimage_find(view->spool, page_no);
	struct cached_page *entry = NULL;
	enum status status;

	if (slot == SPOOL_NO_SLOT) {
		status = cache_get(view, page_no, &entry, err);
		if (status != ST_OK) {
			return status;
		}
		slot = spool_preimage_find(view->spool, page_no);
		if (slot == SPOOL_NO_SLOT) {
			ref->bytes = entry->bytes;
			ref->pin = entry;
			return ST_OK;
		}
		if (!entry->is_spare) {
			entry->page_no = entry->pins > 1 ? entry->page_no : 0;
		}
		cache_unpin(entry);
	}
	ref->bytes = spool_bytes(view->spool, slot);
	ref->pin = NULL;
	return ST_OK;
}

static enum status view_get(struct page_source *source, uint32_t page_no,
			    struct page_ref *ref, struct error *err)
{
	struct view_side *side = (struct view_side *)source;
	struct view *view = side->view;
	uint32_t entry;

	if (page_no == 0 || page_no > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %u is asked for in a database of %u pages",
				 page_no, source->page_count);
	}
	entry = page_no < view->version_limit ? view->versions[page_no] : 0;
	if (side->is_new && (entry & IN_TXN)) {
		ref->bytes =
		    spool_bytes(view->spool, view->txn->pages[entry & ~IN_TXN].slot);
		ref->pin = NULL;
		return ST_OK;
	}
	entry = old_version(view, page_no);
	if (entry) {
		ref->bytes = spool_bytes(view->spool, entry - 1);
		ref->pin = NULL;
		return ST_OK;
	}
	return get_base(view, page_no, ref, err);
}

static void view_put(struct page_source *source, struct page_ref *ref)
{
	(void)source;
	if (ref->pin) {
		cache_unpin(ref->pin);
	}
}

/* ---- transactions ---- */

static enum status grow_versions(struct view *view, uint32_t page_count,
				 struct error *err)
{
	size_t limit = (size_t)page_count + 1;
	void *mapped;

	if (limit <= view->version_limit) {
		return ST_OK;
	}
	limit += limit / 4 + 1024;
	/* Anonymous memory that nobody touched costs nothing, so room is cheap. */
	if (view->versions) {
		mapped =
		    mremap(view->versions, view->version_limit * sizeof *view->versions,
			   limit * sizeof *view->versions, MREMAP_MAYMOVE);
	} else {
		mapped =
		    mmap(NULL, limit * sizeof *view->versions, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	if (mapped == MAP_FAILED) {
		return error_no_memory(err, "a database of %u pages", page_count);
	}
	view->versions = mapped;
	view->version_limit = limit;
	return ST_OK;
}

static enum status grow_list(uint32_t **list, size_t *cap, size_t need,
			     struct error *err)
{
	return array_room(list, cap, need, sizeof **list)
		   ? ST_OK
		   : error_no_memory(err, "the pages of a transaction");
}

static void forget_retired(struct view *view, const struct captured_txn *txn)
{
	size_t n = 0;

	for (size_t i = 0; i < txn->retired_total; i++) {
		uint32_t page_no = txn->retired[i].page_no;

		if (page_no < view->version_limit &&
		    view->versions[page_no] == txn->retired[i].slot + 1) {
			view->versions[page_no] = 0;
			cache_forget(view, page_no);
			view->freed[n++] = txn->retired[i].slot;
		}
	}
	spool_free(view->spool, view->freed, n);
}

/* From byte 20 of page 1. It never changes while a database has content; an empty one
 * gets it with its first transaction. */
static void set_usable_size(struct page_source *source)
{
	struct page_ref ref = {0};
	struct error ignored;

	if (source->page_count > 0 && page_get(source, 1, &ref, &ignored) == ST_OK) {
		uint32_t reserved = ref.bytes[20];

		source->usable_size = source->page_size - reserved;
		if (source->usable_size < 480) {
			source->usable_size = source->page_size;
		}
		page_put(source, &ref);
	}
}

void view_use_copy(struct view *view, view_check check, void *context)
{
	view->keeps_slots = true;
	view->check = check;
	view->check_context = context;
}

bool view_is_newest(const struct view *view, uint32_t page_no, uint32_t slot)
{
	return page_no < view->version_limit && view->versions[page_no] == slot + 1;
}

void view_forget(struct view *view, uint32_t page_no, uint32_t slot)
{
	if (view_is_newest(view, page_no, slot)) {
		view->versions[page_no] = 0;
		cache_forget(view, page_no);
	}
}

/* Slots that no view can ask for any more. */
static void give_back(struct view *view, size_t count)
{
	if (!view->keeps_slots) {
		spool_free(view->spool, view->freed, count);
	}
}

static enum status lay_over(struct view *view, const struct captured_txn *txn,
			    struct error *err)
{
	uint32_t most = txn->page_count > txn->page_count_before
			    ? txn->page_count
			    : txn->page_count_before;
	enum status status = grow_versions(view, most, err);
	size_t cut_off = most - txn->page_count;

	assert(!view->txn);
	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		if (txn->pages[i].page_no > most) {
			most = txn->pages[i].page_no;
		}
	}
	if (status == ST_OK) {
		status = grow_versions(view, most, err);
	}
	if (status == ST_OK) {
		status =
		    grow_list(&view->before, &view->before_cap, txn->page_total, err);
	}
	if (status == ST_OK) {
		status = grow_list(&view->freed, &view->freed_cap,
				   (txn->page_total > txn->retired_total
					? txn->page_total
					: txn->retired_total) +
				       cut_off + 1,
				   err);
	}
	if (status != ST_OK) {
		return status;
	}
	forget_retired(view, txn);
	for (size_t i = 0; i < txn->page_total; i++) {
		uint32_t page_no = txn->pages[i].page_no;

		view->before[i] = view->versions[page_no];
		view->versions[page_no] = IN_TXN | (uint32_t)i;
	}
	view->txn = txn;
	view->new_side.source.page_count = txn->page_count;
	if (view->versions[1] & IN_TXN) {
		set_usable_size(&view->new_side.source);
	}
	return ST_OK;
}

enum status view_begin(struct view *view, const struct captured_txn *txn,
		       struct error *err)
{
	return view->new_state ? ST_OK : lay_over(view, txn, err);
}

/* Pages past the new end: whatever was kept of them is out of reach from now on. */
static size_t drop_cut_off(struct view *view, size_t n)
{
	uint32_t before = view->old_side.source.page_count;
	uint32_t chunk[256];
	size_t in_chunk = 0;

	for (uint32_t page_no = view->txn->page_count + 1; page_no <= before;
	     page_no++) {
		if (view->versions[page_no]) {
			view->freed[n++] = view->versions[page_no] - 1;
			view->versions[page_no] = 0;
		}
		cache_forget(view, page_no);
		chunk[in_chunk++] = page_no;
		if (in_chunk == sizeof chunk / sizeof *chunk) {
			spool_preimage_drop(view->spool, chunk, in_chunk);
			in_chunk = 0;
		}
	}
	spool_preimage_drop(view->spool, chunk, in_chunk);
	return n;
}

/* Nothing lies over the base any more. */
static void forget_versions(struct view *view)
{
	uint32_t chunk[256];
	size_t in_chunk = 0;

	for (size_t page_no = 1; page_no < view->version_limit; page_no++) {
		if (!view->versions[page_no]) {
			continue;
		}
		chunk[in_chunk++] = view->versions[page_no] - 1;
		view->versions[page_no] = 0;
		if (in_chunk == sizeof chunk / sizeof *chunk) {
			spool_free(view->spool, chunk, in_chunk);
			in_chunk = 0;
		}
	}
	spool_free(view->spool, chunk, in_chunk);
}

/* The base may have what was laid over it. */
static void move_base(struct view *view, const struct captured_txn *txn)
{
	const struct view_base *base = &view->base;

	view->moved_bytes +=
	    (uint64_t)txn->page_total * view->old_side.source.page_size;
	if (base->move && !view->keeps_slots && view->moved_bytes >= base->move_bytes) {
		view->moved_bytes = 0;
		if (base->move(base->context, txn->lsn)) {
			forget_versions(view);
		}
	}
}

void view_end(struct view *view)
{
	const struct captured_txn *txn = view->txn;
	size_t n = 0, without = 0;

	if (view->new_state) {
		return;
	}
	for (size_t i = 0; i < txn->page_total; i++) {
		uint32_t page_no = txn->pages[i].page_no;

		if (view->before[i]) {
			view->freed[n++] = view->before[i] - 1;
		} else {
			/* It had only a pre-image; `before` becomes the list of these.
			 */
			view->before[without++] = page_no;
		}
		view->versions[page_no] = txn->pages[i].slot + 1;
		cache_forget(view, page_no);
	}
	give_back(view, n);
	spool_preimage_drop(view->spool, view->before, without);
	n = 0;
	for (size_t i = txn->page_total;
	     i > 0 && txn->pages[i - 1].page_no > txn->page_count; i--) {
		/* Written and cut off in one transaction. */
		view->freed[n++] = txn->pages[i - 1].slot;
		view->versions[txn->pages[i - 1].page_no] = 0;
	}
	n = drop_cut_off(view, n);
	give_back(view, n);
	view->old_side.source.page_count = txn->page_count;
	view->old_side.source.usable_size = view->new_side.source.usable_size;
	view->txn = NULL;
	move_base(view, txn);
}

/* ---- open and close ---- */

static void side_setup(struct view *view, struct view_side *side, bool is_new,
		       uint32_t page_size, uint32_t page_count)
{
	side->view = view;
	side->is_new = is_new;
	side->source = (struct page_source){.get = view_get,
					    .put = view_put,
					    .page_count = page_count,
					    .page_size = page_size,
					    .usable_size = page_size};
}

enum status view_open(struct spool *spool, const struct view_base *base,
		      uint32_t page_size, const struct captured_txn *first,
		      struct view **out, struct error *err)
{
	struct view *view = calloc(1, sizeof *view);
	enum status status;

	if (!view) {
		return error_no_memory(err, "a view");
	}
	view->spool = spool;
	view->base = *base;
	side_setup(view, &view->old_side, false, page_size, first->page_count);
	side_setup(view, &view->new_side, true, page_size, first->page_count);
	view->cache_sets = CACHE_BYTES / page_size / CACHE_WAYS;
	view->cache =
	    calloc((size_t)view->cache_sets * CACHE_WAYS, sizeof *view->cache);
	if (!view->cache) {
		view_close(view);
		return error_no_memory(err, "the page cache");
	}
	status = grow_versions(view, first->page_count, err);
	for (size_t i = 0; status == ST_OK && i < first->page_total; i++) {
		/* Frames of pages that a later commit cut off again stand past the end.
		 */
		if (first->pages[i].page_no <= first->page_count) {
			view->versions[first->pages[i].page_no] =
			    first->pages[i].slot + 1;
		} else {
			spool_free(spool, &first->pages[i].slot, 1);
		}
	}
	if (status != ST_OK) {
		view_close(view);
		return status;
	}
	set_usable_size(&view->old_side.source);
	view->new_side.source.usable_size = view->old_side.source.usable_size;
	*out = view;
	return ST_OK;
}

enum status view_open_pair(struct page_source *old_state, struct page_source *new_state,
			   struct view **out, struct error *err)
{
	*out = calloc(1, sizeof **out);
	if (!*out) {
		return error_no_memory(err, "a view");
	}
	(*out)->old_state = old_state;
	(*out)->new_state = new_state;
	return ST_OK;
}

void view_close(struct view *view)
{
	if (!view) {
		return;
	}
	for (size_t i = 0; view->cache && i < (size_t)view->cache_sets * CACHE_WAYS;
	     i++) {
		free(view->cache[i].bytes);
	}
	free(view->cache);
	if (view->versions) {
		(void)munmap(view->versions,
			     view->version_limit * sizeof *view->versions);
	}
	free(view->before);
	free(view->freed);
	free(view);
}

struct page_source *view_old(struct view *view)
{
	return view->old_state ? view->old_state : &view->old_side.source;
}

struct page_source *view_new(struct view *view)
{
	return view->new_state ? view->new_state : &view->new_side.source;
}

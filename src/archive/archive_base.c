/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/archive_base.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "src/archive/pages.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"

#define TRIES 5 /* while files are compacted or removed by others */
#define MOVE_BYTES                                                        \
	(256u << 20) /* of pages that a view may keep: some seconds' work \
		      */

struct archive_base {
	struct archive_base_settings settings;
	struct archive_pages *pages; /* NULL: to be opened again */
	uint64_t txid;               /* of the state whose pages they are, or were */
	uint32_t page_size;
	uint32_t page_count; /* of the first state */
};

static void forget(struct archive_base *b)
{
	archive_pages_close(b->pages);
	b->pages = NULL;
}

/* ---- another state ---- */

/* The newest that can be reached, from `low` to `high`; 0: there is none. */
static uint64_t newest_within(const struct moments *moments, uint64_t low,
			      uint64_t high)
{
	for (size_t i = moments->count; i > 0; i--) {
		const struct moment *moment = &moments->all[i - 1];

		if (moment->is_reachable && moment->txid >= low &&
		    moment->txid <= high) {
			return moment->txid;
		}
	}
	return 0;
}

static enum status find_state(struct archive_base *b, const struct archive_list *list,
			      uint64_t low, uint64_t high, struct when *when,
			      struct error *err)
{
	struct moments moments;
	enum status status = moments_init(&moments, list, err);

	if (status != ST_OK) {
		return status;
	}
	*when = (struct when){.kind = WHEN_TXID,
			      .txid = newest_within(&moments, low, high)};
	moments_clear(&moments);
	if (when->txid == 0) {
		return error_set(
		    err, ST_LOST,
		    "%s has no state from txid:%" PRIx64 " to txid:%" PRIx64
		    " any more: its files were removed while they were "
		    "read; begin anew with a later --from (rowtail archive "
		    "list shows what there is), or with --state",
		    quote(b->settings.location).text, low, high);
	}
	return ST_OK;
}

static enum status try_open(struct archive_base *b, uint64_t low, uint64_t high,
			    struct error *err)
{
	struct archive_list list = {0};
	struct plan plan = {0};
	struct when when;
	enum status status = storage_list(b->settings.storage, &list, err);

	if (status == ST_OK) {
		status = find_state(b, &list, low, high, &when, err);
	}
	if (status == ST_OK) {
		status = plan_init(&plan, &list, &when, err);
	}
	if (status == ST_OK) {
		status = archive_pages_open(b->settings.storage, &plan, &b->pages, err);
		plan_clear(&plan);
	}
	if (status == ST_OK && archive_pages_size(b->pages) != b->page_size) {
		forget(b);
		status = error_set(err, ST_CORRUPT,
				   "%s has another page size at txid:%" PRIx64
				   " than before; begin anew there with --from",
				   quote(b->settings.location).text, when.txid);
	}
	if (status == ST_OK) {
		b->txid = when.txid;
	}
	archive_list_clear(&list);
	return status;
}

/* The newest state from `low` to `high`, which are TXIDs. */
static enum status open_state(struct archive_base *b, uint64_t low, uint64_t high,
			      struct error *err)
{
	enum status status = ST_LOST;

	forget(b);
	for (int i = 0; status == ST_LOST && i < TRIES; i++) {
		status = try_open(b, low, high, err);
	}
	return status;
}

/* ---- pages ---- */

/* Files of the state may have gone, or it is damaged: another one may have the page. */
static bool may_have_moved(enum status status)
{
	return status == ST_CONFIG || status == ST_LOST || status == ST_CORRUPT;
}

static enum status read_once(struct archive_base *b, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	uint64_t decoded =
	    atomic_load_explicit(b->settings.decoded_lsn, memory_order_relaxed) + 1;
	enum status first = ST_LOST, status;
	struct error again;

	if (b->pages) {
		first = archive_pages_read(b->pages, page_no, bytes, err);
		if (!may_have_moved(first)) {
			return first;
		}
	}
	status = open_state(b, b->txid, decoded > b->txid ? decoded : b->txid, &again);
	if (status == ST_OK) {
		status = archive_pages_read(b->pages, page_no, bytes, &again);
	}
	if (status == ST_OK || first == ST_CORRUPT) {
		return status == ST_OK ? status : first;
	}
	*err = again;
	return status;
}

/* Sleep before the next try. False: nobody waits for an archive that is out of reach.
 */
static bool rest(const struct archive_base *b)
{
	struct pollfd fd = {.fd = stop_fd(), .events = POLLIN};

	if (b->settings.retry_ns > 0) {
		(void)poll(&fd, 1, (int)(b->settings.retry_ns / NS_PER_MS));
	}
	return b->settings.retry_ns > 0;
}

static enum status read_page(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	struct archive_base *b = context;
	enum status status = read_once(b, page_no, bytes, err);

	/* Who reads what comes next says that it is out of reach. */
	while (status == ST_IO && rest(b)) {
		if (*b->settings.stop) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		status = read_once(b, page_no, bytes, err);
	}
	return status;
}

static bool move(void *context, uint64_t lsn)
{
	struct archive_base *b = context;
	struct error err;

	if (open_state(b, lsn + 1, lsn + 1, &err) != ST_OK) {
		log_debug("the first state stays at txid:%" PRIx64 ": %s", b->txid,
			  err.text);
		return false;
	}
	log_debug("the first state is that of txid:%" PRIx64 " now", b->txid);
	return true;
}

struct view_base archive_base_view(struct archive_base *base)
{
	return (struct view_base){
	    .read = read_page, .move = move, .move_bytes = MOVE_BYTES, .context = base};
}

/* ---- open and close ---- */

enum status archive_base_open(const struct archive_base_settings *settings,
			      const struct plan *plan, struct archive_base **out,
			      struct error *err)
{
	struct archive_base *b = calloc(1, sizeof *b);
	enum status status;

	if (!b) {
		return error_no_memory(err, "pages of an archive");
	}
	b->settings = *settings;
	b->txid = plan->txid;
	status = archive_pages_open(settings->storage, plan, &b->pages, err);
	if (status != ST_OK) {
		archive_base_close(b);
		return status;
	}
	b->page_size = archive_pages_size(b->pages);
	b->page_count = archive_pages_count(b->pages);
	*out = b;
	return ST_OK;
}

void archive_base_close(struct archive_base *base)
{
	if (base) {
		forget(base);
		free(base);
	}
}

uint32_t archive_base_page_size(const struct archive_base *base)
{
	return base->page_size;
}

uint32_t archive_base_page_count(const struct archive_base *base)
{
	return base->page_count;
}

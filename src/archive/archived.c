/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/archived.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "src/archive/archive_base.h"
#include "src/archive/file_transaction.h"
#include "src/archive/ltx.h"
#include "src/archive/merge.h"
#include "src/archive/plan.h"
#include "src/archive/way.h"
#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/file_io.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/temp_file.h"
#include "src/base/thread.h"
#include "src/storage/location.h"

#define TRIES       5               /* while files are compacted or removed by others */
#define AHEAD_TXNS  1024u           /* that are read before they are decoded */
#define AHEAD_BYTES (64u << 20)     /* ... of page images */
#define ROOM_NS     (2 * NS_PER_MS) /* between two looks at what is decoded */
#define EXPECTED    256u            /* files that the storage is told of */
#define ALL_LEVELS  60              /* looks at level 0 alone between two at all */

/* A transaction that was appended. */
struct ahead {
	uint64_t lsn;
	uint64_t bytes;
};

struct archived {
	struct source source; /* first member */
	struct archived_settings settings;
	struct history *history;
	struct storage *storage;
	struct archive_list list;
	struct way way;
	struct storage *base_storage; /* the same, for who decodes; or NULL */
	struct archive_base *base;    /* pages of the first state, or NULL: */
	struct view_file file;        /* ... they lie there, or the history has them */
	struct file_state state;      /* as of what was appended last */
	uint64_t first_lsn;           /* of the state at the start */
	uint64_t until_txid;          /* UINT64_MAX: no end */

	/* The thread's own. */
	struct ahead ahead[AHEAD_TXNS]; /* a ring, oldest at ahead_first */
	size_t ahead_first;
	size_t ahead_total;
	uint64_t ahead_bytes;
	struct captured_txn *unappended; /* read, but the disk was full */
	uint64_t expected_txid;          /* up to here the storage knows what comes */
	unsigned tries;                  /* since the last file that was read */
	unsigned looks;                  /* at level 0 since the last at all */
	bool is_out_of_reach;            /* said so */
	pthread_t thread;
	bool is_started;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t woken;
	_Atomic int stops;
	bool has_failed;
	struct error failure;
	uint64_t appended_lsn;
};

static struct archived *archived_of(struct source *source)
{
	return (struct archived *)source;
}

static const char *name_of(const struct archived *a, struct quoted *quoted)
{
	*quoted = quote(a->settings.location);
	return quoted->text;
}

/* ---- the list ---- */

static enum status take_list(struct archived *a, struct archive_list *list,
			     struct error *err)
{
	struct way way;
	enum status status;

	archive_list_sort(list);
	status = way_init(&way, list, err);
	if (status != ST_OK) {
		archive_list_clear(list);
		return status;
	}
	way_clear(&a->way);
	archive_list_clear(&a->list);
	a->list = *list;
	a->way = way;
	/* It borrows from an array, which has not moved. */
	return ST_OK;
}

/* Who follows would look at a folder that was moved away for ever. What is in its place
 * is proven at a start, not here. */
static enum status check_place(struct archived *a, struct error *err)
{
	enum status status =
	    a->settings.follows ? storage_check(a->storage, err) : ST_OK;

	return status == ST_LOST ? error_add(err, "; start again to read that one")
				 : status;
}

static enum status look_at_all(struct archived *a, struct error *err)
{
	struct archive_list list = {0};
	enum status status = check_place(a, err);

	if (status == ST_OK) {
		status = storage_list(a->storage, &list, err);
	}
	a->looks = 0;
	if (status != ST_OK) {
		archive_list_clear(&list);
		return status;
	}
	return take_list(a, &list, err);
}

/* New files come to level 0 first. */
static enum status look_at_new(struct archived *a, struct error *err)
{
	struct archive_list list = {0};
	enum status status = check_place(a, err);

	if (status == ST_OK) {
		status = a->storage->calls->list(a->storage, 0, &list, err);
	}
	a->looks++;
	if (status != ST_OK) {
		archive_list_clear(&list);
		return status;
	}
	return take_list(a, &list, err);
}

/* ---- the state at the start ---- */

static void take_state(struct archived *a, const struct plan *plan,
		       struct view_base pages, uint32_t page_size, uint32_t page_count)
{
	a->source.pages = pages;
	a->source.page_size = page_size;
	a->state = (struct file_state){.txid = plan->txid,
				       .page_size = page_size,
				       .page_count = page_count,
				       .most_pages = page_count,
				       .time_ns = plan->time_ns};
}

static enum status make_file(struct archived *a, const struct plan *plan,
			     struct error *err)
{
	struct merge merge = {.storage = a->storage,
			      .plan = plan,
			      .path = temp_file_folder(),
			      .stop = a->settings.stop,
			      .progress = a->settings.progress};
	enum status status = a->file.fd < 0 ? temp_file_open(&a->file.fd, err) : ST_OK;

	if (status != ST_OK) {
		return status;
	}
	merge.fd = a->file.fd;
	if (!file_set_length(merge.fd, 0)) {
		return error_set_errno(err, errno, "%s cannot be written",
				       quote(merge.path).text);
	}
	status = merge_run(&merge, err);
	if (status == ST_OK) {
		a->source.fd = merge.fd;
		a->file.page_size = merge.page_size;
		take_state(a, plan, view_base_of_file(&a->file), merge.page_size,
			   merge.page_count);
	}
	return status;
}

static enum status open_base(struct archived *a, const struct plan *plan,
			     struct error *err)
{
	struct archive_base_settings settings = {
	    .location = a->settings.location,
	    .decoded_lsn = &a->history->decoded_lsn,
	    .stop = a->settings.stop,
	    .retry_ns = a->settings.follows ? a->settings.poll_ns : 0,
	};
	enum status status = ST_OK;

	archive_base_close(a->base);
	a->base = NULL;
	if (!a->base_storage) {
		status = location_open(a->settings.location, a->settings.storage,
				       &a->base_storage, err);
	}
	if (status != ST_OK) {
		return status;
	}
	settings.storage = a->base_storage;
	status = archive_base_open(&settings, plan, &a->base, err);
	if (status == ST_OK) {
		take_state(a, plan, archive_base_view(a->base),
			   archive_base_page_size(a->base),
			   archive_base_page_count(a->base));
	}
	return status;
}

static bool wants_file(const struct archived *a)
{
	return a->history->copies ||
	       (a->settings.reads_all && a->storage->calls->is_far) ||
	       a->settings.is_after_turn;
}

/* List, plan, and open the state at FROM, or put it together. */
static enum status try_first(struct archived *a, struct when *from, struct error *err)
{
	struct plan plan = {0};
	enum status status = look_at_all(a, err);

	if (status == ST_OK) {
		status = plan_init(&plan, &a->list, from, err);
	}
	if (status == ST_OK) {
		/* That one again, if a file vanishes. */
		*from = (struct when){
		    .kind = WHEN_TXID, .txid = plan.txid, .option = from->option};
		status =
		    wants_file(a) ? make_file(a, &plan, err) : open_base(a, &plan, err);
	}
	plan_clear(&plan);
	return status;
}

static enum status begin(struct archived *a, struct captured_txn **first,
			 struct error *err)
{
	struct captured_txn *txn;
	enum status status = a->history->prepare(a->history, a->state.page_size, err);

	if (status != ST_OK) {
		return status;
	}
	txn = captured_txn_alloc(0, 0);
	if (!txn) {
		return error_no_memory(err, "the state at the start");
	}
	txn->lsn = a->first_lsn = a->state.txid - 1;
	a->source.begun_ns = a->state.time_ns;
	txn->captured_ns = a->state.time_ns;
	txn->page_count = a->state.page_count;
	txn->page_count_before = a->state.page_count;
	status = a->history->begin(a->history, txn, err);
	if (status != ST_OK) {
		captured_txn_free(txn);
		return status;
	}
	*first = txn;
	return ST_OK;
}

static enum status open_new(struct archived *a, struct captured_txn **first,
			    struct error *err)
{
	struct when from = a->settings.from;
	enum status status = ST_OK;

	for (int i = 0; status == ST_OK && i < TRIES; i++) {
		status = try_first(a, &from, err);
		if (status != ST_LOST) {
			break;
		}
		status = i + 1 < TRIES ? ST_OK : status;
	}
	return status == ST_OK ? begin(a, first, err) : status;
}

/* ---- where an earlier run has come to an end ---- */

/* Does a whole database with pages as the history has them come next? Then it was
 * brought to their size, and has no pages of the last file. */
static bool is_turned(struct archived *a)
{
	const struct archive_file *file = way_next(&a->way, a->state.txid, UINT64_MAX);
	struct storage_file *opened;
	struct ltx_reader *reader;
	struct error unused;
	bool is_turned = false;

	if (!file || file->min_txid != 1 ||
	    storage_file_open(a->storage, file, &opened, &unused) != ST_OK) {
		return false;
	}
	if (ltx_reader_open(opened, file, &reader, &unused) == ST_OK) {
		is_turned =
		    ltx_reader_header(reader)->page_size == a->settings.page_size;
		ltx_reader_close(reader);
	}
	storage_file_close(opened);
	return is_turned;
}

/* The file that led to the state must have the pages that the history has. */
static enum status compare_last(struct archived *a, const struct archive_file *file,
				struct error *err)
{
	struct storage_file *opened;
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	bool is_same = true;
	enum status status = storage_file_open(a->storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	status = ltx_reader_open(opened, file, &reader, err);
	if (status == ST_OK &&
	    ltx_reader_header(reader)->page_size != a->settings.page_size) {
		is_same = is_turned(a);
		status = ST_END;
	}
	while (status == ST_OK && is_same) {
		status = ltx_reader_next(reader, &page, err);
		if (status == ST_OK) {
			is_same = a->history->is_same_at_end(a->history, page.page_no,
							     page.bytes);
		}
	}
	ltx_reader_close(reader);
	storage_file_close(opened);
	if (!is_same) {
		struct quoted name;

		return error_set(err, ST_CONFIG,
				 "%s: %s is not what the state directory has of that "
				 "moment, so that is of another archive; use another "
				 "--state",
				 name_of(a, &name), archive_name(file).text);
	}
	return status == ST_END ? ST_OK : status;
}

static enum status open_again(struct archived *a, const struct history_end *end,
			      struct error *err)
{
	enum status status =
	    a->history->prepare(a->history, a->settings.page_size, err);
	const struct archive_file *last;
	struct quoted name;

	if (status == ST_OK) {
		status = look_at_all(a, err);
	}
	if (status != ST_OK) {
		return status;
	}
	a->state = (struct file_state){.txid = end->lsn + 1,
				       .page_size = a->settings.page_size,
				       .page_count = end->page_count,
				       .most_pages = end->page_count};
	if (way_newest(&a->way) < a->state.txid) {
		return error_set(
		    err, ST_CONFIG,
		    "%s ends at txid:%" PRIx64 ", but the state directory is at "
		    "txid:%" PRIx64 ": it is not that archive, or has lost its last "
		    "files; give the archive that the state directory is of, or use "
		    "another --state",
		    name_of(a, &name), way_newest(&a->way), a->state.txid);
	}
	last = way_last(&a->way, a->state.txid);
	status = last ? compare_last(a, last, err) : ST_OK;
	return status == ST_LOST ? ST_OK : status;
}

/* ---- the end ---- */

static enum status find_until(struct archived *a, bool is_new, struct error *err)
{
	struct plan plan;
	enum status status;

	a->until_txid = UINT64_MAX;
	if (a->settings.follows) {
		return ST_OK;
	}
	if (!is_new && a->settings.until.kind == WHEN_LATEST) {
		a->until_txid = way_newest(&a->way);
		return ST_OK;
	}
	status = plan_init(&plan, &a->list, &a->settings.until, err);
	if (status != ST_OK) {
		return status;
	}
	a->until_txid = plan.txid;
	plan_clear(&plan);
	if (is_new && a->until_txid < a->state.txid) {
		return error_set(err, ST_CONFIG,
				 "--until txid:%" PRIx64 " is before --from "
				 "txid:%" PRIx64 ": exchange them",
				 a->until_txid, a->state.txid);
	}
	return ST_OK;
}

/* ---- the thread ---- */

static bool wants_stop(const struct archived *a)
{
	return a->stops || *a->settings.stop;
}

static void fail(struct archived *a, const struct error *err)
{
	(void)pthread_mutex_lock(&a->lock);
	a->has_failed = true;
	a->failure = *err;
	(void)pthread_mutex_unlock(&a->lock);
	if (err->status != ST_RETRY) { /* Who decodes may come to it later. */
		health_say(HEALTH_CAPTURE, err->text);
	}
	event_fd_wake(a->history->wake_fd);
}

/* Sleep, or until it is asked to stop. */
static void rest(struct archived *a, int64_t ns)
{
	struct timespec until = clock_timespec(clock_mono_ns() + ns);

	(void)pthread_mutex_lock(&a->lock);
	if (!wants_stop(a)) {
		(void)pthread_cond_timedwait(&a->woken, &a->lock, &until);
	}
	(void)pthread_mutex_unlock(&a->lock);
}

static bool has_room(struct archived *a)
{
	uint64_t decoded =
	    atomic_load_explicit(&a->history->decoded_lsn, memory_order_acquire);

	while (a->ahead_total > 0 && a->ahead[a->ahead_first].lsn <= decoded) {
		a->ahead_bytes -= a->ahead[a->ahead_first].bytes;
		a->ahead_first = (a->ahead_first + 1) % AHEAD_TXNS;
		a->ahead_total--;
	}
	return a->ahead_total < AHEAD_TXNS && a->ahead_bytes < AHEAD_BYTES &&
	       a->history->has_room(a->history);
}

/* Append what was read; when the disk is full it stays, to be tried again. */
static enum status append(struct archived *a, struct error *err)
{
	struct ahead *last = &a->ahead[(a->ahead_first + a->ahead_total) % AHEAD_TXNS];
	uint64_t lsn = a->unappended->lsn;
	enum status status;

	*last = (struct ahead){.lsn = lsn, .bytes = a->unappended->bytes};
	status = a->history->append(a->history, a->unappended, err);
	if (status != ST_OK) {
		return status;
	}
	a->unappended = NULL;
	a->ahead_total++;
	a->ahead_bytes += last->bytes;
	(void)pthread_mutex_lock(&a->lock);
	a->appended_lsn = lsn;
	(void)pthread_mutex_unlock(&a->lock);
	event_fd_wake(a->history->wake_fd);
	return ST_OK;
}

/* No file leads on; `beyond` is behind a gap, or NULL. */
static enum status gap(const struct archived *a, const struct archive_file *beyond,
		       struct error *err)
{
	struct quoted name;

	if (!beyond) {
		return error_set(err, ST_LOST,
				 "%s: the files that lead from txid:%" PRIx64
				 " to txid:%" PRIx64 " were removed meanwhile; give "
				 "another --until (rowtail archive list shows what "
				 "there is)",
				 name_of(a, &name), a->state.txid, a->until_txid);
	}
	return error_set(err, ST_CORRUPT,
			 "%s: files are missing between txid:%" PRIx64 " and %s; "
			 "what comes behind the gap can be told with another --state "
			 "and --from (rowtail archive list shows what there is)",
			 name_of(a, &name), a->state.txid, archive_name(beyond).text);
}

/* No file leads on in the list at hand: ST_RETRY, there is another; ST_END, wait. */
static enum status look_again(struct archived *a, struct error *err)
{
	const struct archive_file *beyond = way_beyond(&a->way, a->state.txid);
	bool is_whole = a->looks == 0; /* the list has all levels */
	enum status status;

	if (is_whole && (beyond || !a->settings.follows) && a->tries++ >= TRIES) {
		return gap(a, beyond, err);
	}
	if (beyond || a->looks >= ALL_LEVELS || !a->settings.follows) {
		status = look_at_all(a, err);
	} else {
		status = look_at_new(a, err);
	}
	if (status == ST_OK && way_newest(&a->way) > a->state.txid && !is_whole) {
		return error_set(err, ST_RETRY, "there is more");
	}
	return status == ST_OK ? error_set(err, ST_END, "no more yet") : status;
}

/* The files from the next one on may be fetched ahead. */
static void expect_more(struct archived *a)
{
	const struct archive_file *files[EXPECTED];
	struct way way = a->way; /* its place is what changes */
	uint64_t txid = a->state.txid;
	size_t count = 0;

	while (count < EXPECTED &&
	       (files[count] = way_next(&way, txid, a->until_txid))) {
		txid = files[count++]->max_txid;
	}
	if (count > 1) {
		storage_expect(a->storage, files, count, STORAGE_WHOLE);
	}
	a->expected_txid = txid;
}

/* One file, if there is one. ST_END: none yet. ST_RETRY: look again at once. */
static enum status step(struct archived *a, struct error *err)
{
	const struct archive_file *file;
	enum status status;

	if (a->unappended) {
		return append(a, err);
	}
	file = way_next(&a->way, a->state.txid, a->until_txid);
	if (!file) {
		return look_again(a, err);
	}
	if (file->max_txid > a->expected_txid) {
		expect_more(a);
	}
	status = file_transaction_read(a->storage, file, &a->state, a->history->spool,
				       &a->stops, &a->unappended, err);
	if (status == ST_LOST && a->tries < TRIES) {
		a->tries++;
		a->expected_txid = 0;
		status = look_at_all(a, err);
		return status == ST_OK ? error_set(err, ST_RETRY, "listed anew")
				       : status;
	}
	if (status != ST_OK) {
		return status;
	}
	a->tries = 0;
	return append(a, err);
}

static void say_well(void)
{
	health_say(HEALTH_ARCHIVE, NULL);
	health_say(HEALTH_CAPTURE, NULL);
}

/* What may pass by itself is waited for, by who follows: the archive, and room on the
 * disk of what it is read into. */
static bool waits(struct archived *a, enum status status, const struct error *err)
{
	bool is_ours = a->unappended || a->state.spool_failed;

	/* That there is nothing new was read, too. */
	if (status == ST_OK || status == ST_END) {
		if (a->is_out_of_reach) {
			log_warn("the archive can be read again");
		}
		a->is_out_of_reach = false;
		say_well();
		return status == ST_END;
	}
	if (!a->settings.follows || status != ST_IO ||
	    (is_ours && !error_is_full(err))) {
		return false;
	}
	if (!a->is_out_of_reach) {
		log_warn("%s; trying again%s", err->text,
			 is_ours ? "" : " until it can be read");
		a->is_out_of_reach = true;
	}
	health_say(is_ours ? HEALTH_CAPTURE : HEALTH_ARCHIVE, err->text);
	return true;
}

static void *run(void *context)
{
	struct archived *a = context;

	(void)prctl(PR_SET_NAME, "archive");
	while (!wants_stop(a) && a->state.txid < a->until_txid) {
		struct error err;
		enum status status;

		if (!has_room(a)) {
			rest(a, ROOM_NS);
			continue;
		}
		status = step(a, &err);
		if (status == ST_RETRY && a->state.turn.txid == 0) {
			continue;
		}
		if (waits(a, status, &err)) {
			rest(a, a->settings.poll_ns);
		} else if (status != ST_OK) {
			if (!wants_stop(a)) {
				fail(a, &err);
			}
			break;
		}
	}
	return NULL;
}

/* ---- the source ---- */

static enum status start(struct source *source, struct error *err)
{
	struct archived *a = archived_of(source);
	enum status status = a->history->start(a->history, err);

	if (status == ST_OK) {
		status = thread_start(&a->thread, run, a, "archive", err);
		a->is_started = status == ST_OK;
	}
	return status;
}

/* What was read before a failure is given first. */
static enum status next(struct source *source, struct captured_txn **txn,
			struct error *err)
{
	struct archived *a = archived_of(source);
	enum status status = a->history->next(a->history, txn, err);
	uint64_t decoded;

	if (status != ST_END) {
		return status;
	}
	decoded = atomic_load_explicit(&a->history->decoded_lsn, memory_order_acquire);
	(void)pthread_mutex_lock(&a->lock);
	if (a->has_failed && decoded >= a->appended_lsn) {
		*err = a->failure;
		status = err->status;
		source->turn = a->state.turn;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return status;
}

static enum status reach_now(struct source *source, const _Atomic int *stop,
			     uint64_t *lsn, struct error *err)
{
	const struct archived *a = archived_of(source);

	(void)stop;
	(void)err;
	*lsn = a->until_txid - 1;
	return ST_OK;
}

/* The file never changes. */
static enum status reach_copied(struct source *source, const _Atomic int *stop,
				uint64_t *lsn, struct error *err)
{
	(void)stop;
	(void)err;
	*lsn = archived_of(source)->first_lsn;
	return ST_OK;
}

static void stop_thread(struct archived *a)
{
	if (a->is_started) {
		(void)pthread_mutex_lock(&a->lock);
		a->stops = true;
		(void)pthread_cond_signal(&a->woken);
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL);
		a->is_started = false;
	}
}

/* Nothing of an archive is ours. */
static void stop_clean(struct source *source)
{
	stop_thread(archived_of(source));
}

static void close_archived(struct source *source)
{
	struct archived *a = archived_of(source);

	stop_thread(a);
	captured_txn_free(a->unappended);
	say_well();
	a->history->stop(a->history);
	archive_base_close(a->base);
	storage_close(a->base_storage);
	if (a->file.fd >= 0) {
		(void)close(a->file.fd);
	}
	way_clear(&a->way);
	archive_list_clear(&a->list);
	storage_close(a->storage);
	(void)pthread_cond_destroy(&a->woken);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

static void say_range(const struct archived *a)
{
	struct quoted name;

	if (!a->settings.follows && !a->settings.is_after_turn) {
		log_info("events of %s from txid:%" PRIx64 " to txid:%" PRIx64,
			 name_of(a, &name), a->state.txid, a->until_txid);
	}
}

enum status archived_open(const struct archived_settings *settings, struct source **out,
			  struct captured_txn **first, struct error *err)
{
	struct archived *a = calloc(1, sizeof *a);
	struct history_end end;
	enum status status;
	bool is_new;

	*first = NULL;
	if (!a) {
		return error_no_memory(err, "the archive");
	}
	a->file = (struct view_file){.fd = -1, .path = settings->location};
	a->source = (struct source){.fd = -1,
				    .start = start,
				    .next = next,
				    .reach_now = reach_now,
				    .reach_copied = reach_copied,
				    .stop_clean = stop_clean,
				    .close = close_archived};
	a->settings = *settings;
	a->history = settings->history;
	(void)pthread_mutex_init(&a->lock, NULL);
	thread_cond_init(&a->woken);
	is_new = !a->history->find_end(a->history, &end);
	status = location_open(settings->location, settings->storage, &a->storage, err);
	if (status == ST_OK) {
		status = is_new ? open_new(a, first, err) : open_again(a, &end, err);
	}
	if (status == ST_OK) {
		status = find_until(a, is_new, err);
	}
	if (status != ST_OK) {
		captured_txn_free(*first);
		*first = NULL;
		close_archived(&a->source);
		return status;
	}
	say_range(a);
	*out = &a->source;
	return ST_OK;
}

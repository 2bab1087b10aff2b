/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/capture.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/capture/catch_up.h"
#include "src/capture/db_open.h"
#include "src/capture/db_users.h"
#include "src/capture/source_state.h"
#include "src/capture/txn_builder.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_hold.h"
#include "src/capture/wal_watch.h"
#include "src/history/history.h"

#define STEP_EVENT     (10 * NS_PER_US)  /* first look after a file was written */
#define STEP_NEWS      (100 * NS_PER_US) /* between looks while commits flow, and */
#define STEP_FLOOD     (200 * NS_PER_US) /* ... after one that saw some */
#define FLOW_NS        (500 * NS_PER_US) /* they flow: this long after the last one */
#define STEP_BLIND     (100 * NS_PER_US) /* shorter sleeps do not listen to inotify */
#define MISFIT_NS      (200 * NS_PER_MS) /* frames that differ from the wal-index: LOST */
#define STOP_NS        (500 * NS_PER_MS) /* for a clean stop */
#define SETTLE_NS      (1 * NS_PER_S)    /* ... and for the disk then */
#define STAT_NS        (20 * NS_PER_MS)  /* a file's times tell changes so far apart */
#define STAT_COARSE_NS (2 * NS_PER_S)    /* ... where they have no nanoseconds */
#define REACH_LOOK_NS  (20 * NS_PER_MS)  /* between two looks at `*stop` */

struct capture {
	struct capture_settings settings; /* but `path` */
	struct db_handles db;
	struct history *history;
	struct wal_watch *watch;
	struct wal_hold *hold;
	bool is_started;
	pthread_t thread;

	/* The capture thread's own (capture_open's, before there is one). */
	struct txn_builder builder;
	bool has_builder;
	struct captured_txn *first; /* until capture_open gives it away */
	bool is_following;          /* that is done */
	bool is_stalled;            /* no room: said so */
	bool disk_is_full;          /* that was why */
	bool has_left;              /* the database file was made complete */
	bool has_events;            /* of writes that looks without inotify have seen */
	int64_t misfit_ns;          /* since when frames differ from the wal-index; 0 */
	uint8_t *proof_page;        /* scratch */
	struct captured_txn *unappended; /* made, but the disk was full */

	atomic_bool stop;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t reached;
	bool has_failed;
	struct error failure;
	uint64_t reach_asked; /* numbers of requests */
	uint64_t reach_answered;
	uint64_t reach_lsn;
};

/* --- capturing ----------------------------------------------------------------------
 */

/* No room for more: the hold stays, up to its own limit. */
static enum status stall(struct capture *c, const struct wal_index_header *header,
			 uint32_t from, const char *why, struct error *err)
{
	uint64_t frame_bytes = c->db.page_size + WAL_FRAME_HEADER_BYTES;
	uint64_t behind = (uint64_t)(header->frame_count - from) * frame_bytes;

	if (behind > c->settings.hold_max_wal_bytes) {
		return error_set(
		    err, ST_LOST,
		    "%s: %" PRIu64 " bytes of its WAL wait (hold.max.wal.bytes) "
		    "while %s%s",
		    quote(c->db.path).text, behind, why, c->history->slow_advice);
	}
	if (!c->is_stalled) {
		log_warn("%s: %s; commits wait in the WAL", quote(c->db.path).text,
			 why);
		c->is_stalled = true;
	}
	return error_set(err, ST_RETRY, "%s", why);
}

static void go_on(struct capture *c)
{
	if (c->disk_is_full) {
		log_warn("%s: there is room on the disk again, commits are captured",
			 quote(c->db.path).text);
	}
	c->is_stalled = false;
	c->disk_is_full = false;
}

/* Frames that are not what the header says, for longer than a restart takes. */
static enum status misfit(struct capture *c, struct error *err)
{
	int64_t now = clock_mono_ns();
	struct error inner = *err;

	if (c->misfit_ns == 0) {
		c->misfit_ns = now;
	}
	if (now - c->misfit_ns < MISFIT_NS) {
		return ST_RETRY;
	}
	return error_set(err, ST_LOST, "%s: %.512s", quote(c->db.path).text,
			 inner.text);
}

static enum status failed(struct capture *c, enum status status,
			  const struct wal_index_header *header, uint32_t from,
			  struct error *err)
{
	if (status == ST_RETRY) {
		return misfit(c, err);
	}
	if (error_is_full(err)) {
		struct error full = *err; /* names the file or the folder */

		c->disk_is_full = true;
		return stall(c, header, from, full.text, err);
	}
	return status;
}

static void fail(struct capture *c, const struct error *err)
{
	(void)pthread_mutex_lock(&c->lock);
	c->has_failed = true;
	c->failure = *err;
	(void)pthread_cond_broadcast(&c->reached);
	(void)pthread_mutex_unlock(&c->lock);
	history_wake(c->history);
}

/* Where the transaction stands in the WAL, by which it is known again. */
static struct wal_place place_of(const struct capture *c,
				 const struct wal_index_header *header, uint32_t frame)
{
	struct wal_place place = {.frame = frame};

	memcpy(place.salt, header->salt, sizeof place.salt);
	if (!wal_frame_proof(c->db.wal_fd, c->db.page_size, frame, c->proof_page,
			     &place.proof)) {
		place.proof = 0;
	}
	return place;
}

/* Hand the transaction over that has been made; when the disk is full it stays, to be
 * tried again. */
static enum status append(struct capture *c, struct error *err)
{
	struct captured_txn *txn = c->unappended;
	enum status status;

	if (!txn) {
		return ST_OK;
	}
	FAULT_POINT("capture-made");
	status = c->history->append(c->history, txn, err);
	if (status == ST_OK) {
		c->unappended = NULL;
	}
	return status;
}

/* Until something was reached, or a time of clock_mono_ns. The lock is held. */
static void wait_reached(struct capture *c, int64_t until_ns)
{
	struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
				 .tv_nsec = (long)(until_ns % NS_PER_S)};

	(void)pthread_cond_timedwait(&c->reached, &c->lock, &until);
}

/* wal_hold's settle: everything that was made is durable, or, where the disk is too
 * slow for writers to wait for it, in the journal at least. */
static enum status settle(void *context, int64_t until_ns, bool may_outrun,
			  struct error *err)
{
	struct capture *c = context;

	if (c->unappended) {
		return error_set(err, ST_RETRY, "the journal has no room");
	}
	return c->history->settle(c->history, c->builder.lsn, until_ns, may_outrun,
				  err);
}

/* Make a transaction of each draft and hand it over, while there is room. */
static enum status accept_drafts(struct capture *c,
				 const struct wal_index_header *header,
				 struct hold_taken *taken, struct error *err)
{
	const struct draft *draft;

	while ((draft = txn_builder_draft(&c->builder)) != NULL) {
		struct captured_txn *txn;
		uint64_t preimage_bytes;
		uint32_t commit_frames = draft->commit_total;
		enum status status;

		if (!c->history->has_room(c->history)) {
			return stall(c, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		status = txn_builder_accept(&c->builder, &txn, &preimage_bytes, err);
		if (status != ST_OK) {
			return failed(c, status, header, taken->last_frame, err);
		}
		taken->commits++;
		taken->commit_frames += commit_frames;
		txn->bytes =
		    (uint64_t)txn->page_total * c->db.page_size + preimage_bytes;
		if (c->history->keeps_places) {
			txn->place = place_of(c, header, c->builder.last_frame);
		}
		c->unappended = txn;
		status = append(c, err);
		if (status != ST_OK) {
			return failed(c, status, header, taken->last_frame, err);
		}
		taken->last_frame = c->builder.last_frame;
	}
	go_on(c);
	return ST_OK;
}

/* wal_hold_take while following. */
static enum status take_news(struct capture *c, const struct wal_index_header *header,
			     uint32_t generation, uint32_t from,
			     struct hold_taken *taken, struct error *err)
{
	enum status status = ST_OK;

	if (c->builder.generation != generation) {
		c->builder.generation = generation;
		c->builder.last_frame = from;
	}
	taken->last_frame = from;
	if (c->unappended) {
		status = append(c, err);
		if (status != ST_OK) {
			return failed(c, status, header, from, err);
		}
		taken->last_frame = c->builder.last_frame;
	}
	while (status == ST_OK && taken->last_frame < header->frame_count) {
		if (!c->history->has_room(c->history)) {
			return stall(c, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		status = txn_builder_read(&c->builder, header, taken->last_frame,
					  c->history->read_bytes, false, err);
		if (status != ST_OK) {
			status = failed(c, status, header, taken->last_frame, err);
			break;
		}
		c->misfit_ns = 0;
		status = accept_drafts(c, header, taken, err);
		txn_builder_discard(&c->builder);
		history_wake(c->history);
	}
	if (status == ST_OK && c->history->saves_preimages) {
		txn_builder_retire(&c->builder, wal_hold_backfilled(c->hold),
				   atomic_load_explicit(&c->history->decoded_lsn,
							memory_order_acquire));
	}
	return status;
}

/* Without frames the header knows no page count: the file's. ST_RETRY: the WAL is not
 * of this file as it was opened. */
static enum status complete_header(const struct capture *c,
				   struct wal_index_header *header, struct error *err)
{
	if (header->frame_count == 0) {
		return source_page_count(&c->db, &header->page_count, err);
	}
	if (header->page_size != c->db.page_size) {
		return error_set(err, ST_RETRY, "%s: its WAL has another page size",
				 quote(c->db.path).text);
	}
	return ST_OK;
}

/* wal_hold_take at the start: the last frame of each page, as one transaction. */
static enum status take_first(struct capture *c, const struct wal_index_header *header,
			      struct hold_taken *taken, struct error *err)
{
	struct wal_index_header from_file = *header;
	struct wal_index_header now;
	uint64_t preimage_bytes;
	enum status status = complete_header(c, &from_file, err);

	if (status == ST_RETRY) {
		return status;
	}
	if (status == ST_OK) {
		status =
		    txn_builder_read(&c->builder, &from_file, 0, UINT64_MAX, true, err);
	}
	/* In slot 0 the WAL may have been restarted under the reading. */
	if (status == ST_OK && (!wal_index_read(&c->db.index, &now) ||
				!wal_index_same_salt(&now, header))) {
		txn_builder_discard(&c->builder);
		status = error_set(err, ST_RETRY, "the WAL was restarted");
	}
	if (status == ST_OK) {
		c->builder.page_count = 0; /* nothing is before it: no pre-images */
		status =
		    txn_builder_accept(&c->builder, &c->first, &preimage_bytes, err);
		txn_builder_discard(&c->builder);
	}
	if (status == ST_OK) {
		c->first->page_count_before = c->first->page_count;
		c->first->place = place_of(c, header, header->frame_count);
		taken->last_frame = header->frame_count;
		c->is_following = true;
	}
	if (status == ST_OK) {
		status = c->history->begin(c->history, c->first, err);
	}
	return status;
}

static bool is_same_life(const struct wal_index_header *header,
			 const struct wal_place *place)
{
	return place->frame > 0 &&
	       memcmp(header->salt, place->salt, sizeof place->salt) == 0;
}

/* The file changes only where a checkpoint has something to bring into it. */
static bool may_change(const struct capture *c, const struct wal_index_header *header)
{
	return wal_index_backfilled(&c->db.index) < header->frame_count;
}

/* What was written past SQLite while the file was compared is half of something. */
static enum status check_still(const struct capture *c, const struct stat *before,
			       struct error *err)
{
	struct stat now;

	if (fstat(c->db.db_fd, &now) == 0 && now.st_size == before->st_size &&
	    now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == before->st_mtim.tv_nsec) {
		return ST_OK;
	}
	return error_set(err, ST_RETRY, "%s: was written to while it was compared",
			 quote(c->db.path).text);
}

/* Compare with the source; what differs is a transaction. */
static enum status take_difference(struct capture *c,
				   const struct wal_index_header *header,
				   struct hold_taken *taken, struct error *err)
{
	struct wal_index_header from_file = *header;
	struct wal_index_header now;
	struct catch_up catch_up = {.history = c->history,
				    .database_fd = c->db.db_fd,
				    .stop = c->settings.stop,
				    .progress = c->settings.progress,
				    .context = c->settings.context};
	struct captured_txn *txn = NULL;
	struct stat before = {0};
	bool is_still = !may_change(c, header) && fstat(c->db.db_fd, &before) == 0;
	uint64_t unused;
	enum status status = complete_header(c, &from_file, err);

	if (status == ST_RETRY) {
		return status;
	}
	catch_up.page_count = from_file.page_count;
	if (status == ST_OK) {
		log_info("comparing %" PRIu32 " pages with the state of the last run, "
			 "as the WAL has begun anew since then",
			 catch_up.page_count);
		status =
		    txn_builder_read(&c->builder, &from_file, 0, UINT64_MAX, true, err);
	}
	if (status == ST_OK) {
		status = catch_up_compare(&catch_up, &c->builder, err);
	}
	if (status == ST_OK && is_still) {
		status = check_still(c, &before, err);
	}
	if (status == ST_OK && (!wal_index_read(&c->db.index, &now) ||
				!wal_index_same_salt(&now, header))) {
		status = error_set(err, ST_RETRY, "the WAL was restarted");
	}
	if (status != ST_OK) {
		txn_builder_discard(&c->builder);
		return status;
	}
	c->builder.lsn += header->frame_count == 0;
	status = txn_builder_accept(&c->builder, &txn, &unused, err);
	txn_builder_discard(&c->builder);
	if (status != ST_OK) {
		return status;
	}
	log_info("%" PRIu32 " %s", catch_up.differ,
		 catch_up.differ == 1 ? "page differs" : "pages differ");
	txn->is_catch_up = true;
	txn->bytes = (uint64_t)txn->page_total * c->db.page_size;
	txn->place = place_of(c, header, header->frame_count);
	FAULT_POINT("catch-up-made");
	c->unappended = txn;
	c->is_following = true;
	taken->last_frame = header->frame_count;
	status = append(c, err);
	FAULT_POINT("catch-up-journalled");
	return status;
}

/* wal_hold_take at the start, where an earlier run has come to `end`. */
static enum status take_resumed(struct capture *c,
				const struct wal_index_header *header,
				struct history_end end, struct hold_taken *taken,
				struct error *err)
{
	struct stat st;
	enum status status;

	c->builder.lsn = end.lsn;
	c->builder.page_count = end.page_count;
	c->builder.last_frame = 0;
	if (!source_continues(&c->db, header, &end.place, c->proof_page)) {
		/* All that is in the WAL came after a clean stop, if the file is as it
		 * was then. */
		if (fstat(c->db.db_fd, &st) == 0 &&
		    c->history->is_untouched(c->history, &st) &&
		    !is_same_life(header, &end.place)) {
			end.place.frame = 0;
		} else {
			return take_difference(c, header, taken, err);
		}
	}
	c->builder.last_frame = end.place.frame;
	/* What is journalled now must not be taken a second time: where not all of it
	 * could be, the hold goes on from there. */
	c->is_following = true;
	status = take_news(c, header, 0, end.place.frame, taken, err);
	return status == ST_RETRY ? ST_OK : status;
}

static enum status take(void *context, const struct wal_index_header *header,
			uint32_t generation, uint32_t from, struct hold_taken *taken,
			struct error *err)
{
	struct capture *c = context;
	struct history_end end;

	if (c->is_following) {
		return take_news(c, header, generation, from, taken, err);
	}
	return c->history->find_end(c->history, &end)
		   ? take_resumed(c, header, end, taken, err)
		   : take_first(c, header, taken, err);
}

/* --- the thread ---------------------------------------------------------------------
 */

/* Answer requests that were made before the turn that has just ended. */
static void answer(struct capture *c, uint64_t asked)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->reach_answered < asked) {
		c->reach_answered = asked;
		c->reach_lsn = c->builder.lsn + wal_hold_waiting(c->hold);
		(void)pthread_cond_broadcast(&c->reached);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

static uint64_t requests(struct capture *c)
{
	uint64_t asked;

	(void)pthread_mutex_lock(&c->lock);
	asked = c->reach_asked;
	(void)pthread_mutex_unlock(&c->lock);
	return asked;
}

/*
 * Sleep until the next look; gives the step after that. While commits flow, looks at a
 * steady pace cost less than being told of each write. Otherwise: a little longer each
 * time, until a file is written, which comes before the commit is to be seen. Events of
 * writes that were seen are thrown away in between, with one more look after that.
 */
static int64_t rest(struct capture *c, int64_t step, bool news, bool is_flowing)
{
	int64_t idle = wal_hold_idle_ns(c->hold);

	c->has_events = c->has_events || news;
	if (is_flowing || c->has_events) {
		if (!is_flowing) {
			wal_watch_drain(c->watch);
			c->has_events = false;
		}
		wal_watch_sleep(c->watch, news ? STEP_FLOOD : STEP_NEWS);
		return 2 * STEP_NEWS;
	}
	if (step > idle) {
		step = idle;
	}
	if (step <= STEP_BLIND) {
		wal_watch_sleep(c->watch, step);
	} else if (wal_watch_wait(c->watch, step)) {
		return STEP_EVENT;
	}
	return 2 * step;
}

/* This thread holds locks that writers wait for: started with nice, it would make them
 * wait for whatever else the machine does. The others stay as nice as they are. */
static void be_prompt(const struct capture *c)
{
	int nice;

	errno = 0;
	nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	if (errno == 0 && nice > 0 &&
	    setpriority(PRIO_PROCESS, (id_t)gettid(), 0) != 0) {
		log_warn(
		    "%s: rowtail runs with a nice level of %d, and commits may wait "
		    "for it on a busy machine; start it without nice, or allow it "
		    "to take that back (CAP_SYS_NICE, ulimit -e)",
		    c->db.path, nice);
	}
}

static void *run(void *context)
{
	struct capture *c = context;
	int64_t step = STEP_NEWS;
	int64_t news_ns = 0;

	(void)prctl(PR_SET_NAME, "capture");
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	be_prompt(c);
	while (!atomic_load_explicit(&c->stop, memory_order_acquire)) {
		uint64_t asked = requests(c);
		uint64_t looks = wal_hold_looks(c->hold);
		struct error err;
		bool news;

		if (wal_watch_names_changed(c->watch)) {
			wal_hold_suspect_names(c->hold);
		}
		if (wal_watch_was_closed(c->watch)) {
			wal_hold_note_close(c->hold);
		}
		if (wal_hold_turn(c->hold, &news, &err) != ST_OK) {
			fail(c, &err);
			break;
		}
		if (wal_hold_looks(c->hold) != looks) {
			answer(c, asked);
		}
		if (news) {
			news_ns = clock_mono_ns();
		}
		step = rest(c, step, news, clock_mono_ns() - news_ns < FLOW_NS);
	}
	return NULL;
}

/* --- calls of the decoding thread
 * ----------------------------------------------------- */

static enum status open_parts(struct capture *c, const char *path, struct error *err)
{
	struct wal_hold_settings hold = {.escalate = c->settings.escalate,
					 .take = take,
					 .settle = settle,
					 .context = c};
	struct db_patience patience = {.stop = c->settings.stop,
				       .is_short = c->settings.is_once};
	enum status status = db_open(path, &patience, &c->db, err);

	if (status != ST_OK) {
		return status;
	}
	c->proof_page = malloc(c->db.page_size);
	if (!c->proof_page) {
		return error_set(err, ST_NOMEM, "out of memory");
	}
	status = c->history->prepare(c->history, c->db.page_size, err);
	if (status == ST_OK) {
		c->has_builder = true;
		status =
		    txn_builder_init(&c->builder, c->history->spool, &c->db.index,
				     c->db.page_size, c->db.wal_fd, c->db.db_fd, err);
		c->builder.saves_preimages = c->history->saves_preimages;
		c->builder.lsn = c->settings.least_lsn;
	}
	if (status == ST_OK) {
		status = wal_watch_open(c->db.path, c->db.wal_path,
					c->db.names.shm_path, &c->watch, err);
	}
	if (status == ST_OK) {
		status = wal_hold_open(&c->db, &hold, &c->hold, err);
	}
	return status;
}

enum status capture_open(const struct capture_settings *settings, struct capture **out,
			 struct captured_txn **first, struct error *err)
{
	struct capture *c = calloc(1, sizeof *c);
	pthread_condattr_t monotonic;
	enum status status;

	if (!c) {
		return error_set(err, ST_NOMEM, "out of memory");
	}
	c->settings = *settings;
	c->settings.path = NULL;
	c->db.db_fd = -1;
	c->db.wal_fd = -1;
	c->db.shm_fd = -1;
	c->history = settings->history;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->reached, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	status = open_parts(c, settings->path, err);
	if (status != ST_OK) {
		capture_close(c);
		return status;
	}
	*first = c->first;
	c->first = NULL;
	*out = c;
	return ST_OK;
}

enum status capture_start(struct capture *capture, struct error *err)
{
	enum status status = capture->history->start(capture->history, err);

	if (status == ST_OK) {
		status = thread_start(&capture->thread, run, capture, "capture", err);
		capture->is_started = status == ST_OK;
	}
	return status;
}

/* Long enough after its last change that another one would show in its times. */
static bool await_settled_stat(int fd, struct stat *st)
{
	if (fdatasync(fd) != 0 || fstat(fd, st) != 0) {
		return false;
	}
	for (int i = 0; i < 100; i++) {
		int64_t changed =
		    (int64_t)st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;
		int64_t margin = st->st_ctim.tv_nsec ? STAT_NS : STAT_COARSE_NS;

		if (clock_wall_ns() > changed + margin) {
			return true;
		}
		clock_sleep_ns(STAT_NS);
	}
	return false;
}

static bool names_are_right(const struct capture *c)
{
	int64_t unused;

	return db_names_look(&c->db.names, &unused) == NAMES_RIGHT;
}

/* In ZERO nobody can change the file; everything that is committed is in it then, or
 * in frames that no one may backfill. */
static void note_clean_stop(struct capture *c)
{
	struct stat st;
	struct stat again;
	struct error err;

	if (c->unappended || wal_hold_waiting(c->hold) > 0 ||
	    settle(c, clock_mono_ns() + SETTLE_NS, false, &err) != ST_OK ||
	    !await_settled_stat(c->db.db_fd, &st) ||
	    wal_hold_state(c->hold) != HOLD_ZERO || !names_are_right(c) ||
	    fstat(c->db.db_fd, &again) != 0 || again.st_size != st.st_size ||
	    again.st_mtim.tv_nsec != st.st_mtim.tv_nsec) {
		return;
	}
	FAULT_POINT("stop-before-note");
	if (c->history->put_clean(c->history, &st, c->builder.lsn, &err) != ST_OK) {
		log_debug("no clean stop: %s", err.text);
	}
	FAULT_POINT("stop-noted");
}

static void stop_capturing(struct capture *c)
{
	if (c->is_started) {
		atomic_store_explicit(&c->stop, true, memory_order_release);
		wal_watch_wake(c->watch);
		(void)pthread_join(c->thread, NULL);
		c->is_started = false;
	}
}

/* Everything that is committed is captured, and in the database file. Where others have
 * that open, a run that nobody goes on from leaves it to them. */
static bool reach_zero(struct capture *c, struct error *err)
{
	int64_t until = clock_mono_ns() + STOP_NS;
	bool news;

	while (c->history->check(c->history, err) == ST_OK && clock_mono_ns() < until) {
		if (wal_hold_turn(c->hold, &news, err) != ST_OK) {
			return false;
		}
		if (wal_hold_state(c->hold) == HOLD_ZERO && !news) {
			return true;
		}
		if (!c->history->goes_on && db_file_is_used(c->db.db_fd)) {
			return false;
		}
		clock_sleep_ns(STEP_NEWS);
	}
	return false;
}

/* What SQLite's own last close would have done for those who copy the file. */
static void leave(struct capture *c, bool is_clean)
{
	struct error err;

	if (c->has_left || !c->hold || c->db.degraded ||
	    wal_hold_state(c->hold) == HOLD_LOST) {
		return;
	}
	c->has_left = true;
	if (!c->history->goes_on) {
		wal_hold_end_taking(c->hold);
	}
	if (!reach_zero(c, &err)) {
		return;
	}
	if (c->history->goes_on && is_clean) {
		note_clean_stop(c);
	}
	FAULT_POINT("stop-before-cut");
	if (wal_hold_cut(c->hold, &err) != ST_OK) {
		log_debug("the WAL stays: %s", err.text);
	}
}

void capture_stop_clean(struct capture *capture)
{
	if (capture && capture->is_started) {
		stop_capturing(capture);
		leave(capture, true);
	}
}

static void stop_threads(struct capture *c)
{
	stop_capturing(c);
	c->history->stop(c->history);
}

void capture_close(struct capture *capture)
{
	if (!capture) {
		return;
	}
	stop_threads(capture);
	leave(capture, false);
	wal_hold_close(capture->hold);
	FAULT_POINT("stop-hold-let-go");
	wal_watch_close(capture->watch);
	db_close(&capture->db);
	FAULT_POINT("stop-closed");
	if (capture->has_builder) {
		txn_builder_clear(&capture->builder);
	}
	captured_txn_free(capture->first);
	free(capture->proof_page);
	captured_txn_free(capture->unappended);
	(void)pthread_cond_destroy(&capture->reached);
	(void)pthread_mutex_destroy(&capture->lock);
	free(capture);
}

enum status capture_next(struct capture *capture, struct captured_txn **txn,
			 struct error *err)
{
	enum status status = capture->history->next(capture->history, txn, err);

	if (status != ST_END) {
		return status;
	}
	(void)pthread_mutex_lock(&capture->lock);
	if (capture->has_failed) {
		*err = capture->failure;
		status = err->status;
	}
	(void)pthread_mutex_unlock(&capture->lock);
	return status;
}

enum status capture_reach_now(struct capture *capture, const volatile int *stop,
			      uint64_t *lsn, struct error *err)
{
	enum status status = ST_OK;
	uint64_t mine;

	if (!capture->is_started) {
		return error_set(err, ST_IO, "capture is not running");
	}
	(void)pthread_mutex_lock(&capture->lock);
	mine = ++capture->reach_asked;
	wal_watch_wake(capture->watch);
	while (capture->reach_answered < mine && status == ST_OK) {
		if (capture->has_failed) {
			*err = capture->failure;
			status = err->status;
		} else if (*stop) {
			status = error_set(err, ST_STOPPED, "stopped");
		} else {
			wait_reached(capture, clock_mono_ns() + REACH_LOOK_NS);
		}
	}
	*lsn = capture->reach_lsn;
	(void)pthread_mutex_unlock(&capture->lock);
	return status;
}

int capture_database_fd(const struct capture *capture)
{
	return capture->db.db_fd;
}

uint32_t capture_page_size(const struct capture *capture)
{
	return capture->db.page_size;
}

struct source_left capture_left(const struct capture *capture)
{
	const struct db_names *names = &capture->db.names;
	struct source_left left = source_left_none();
	struct stat st;
	int64_t unused;

	if (fstat(capture->db.wal_fd, &st) == 0) {
		left.wal_device = st.st_dev;
		left.wal_inode = st.st_ino;
		left.had_frames = st.st_size > 0;
	}
	left.was_replaced = db_names_look(names, &unused) == NAMES_DB;
	left.db_fd = fcntl(capture->db.db_fd, F_DUPFD_CLOEXEC, 3);
	left.shm_fd =
	    names->shm_fd >= 0 ? fcntl(names->shm_fd, F_DUPFD_CLOEXEC, 3) : -1;
	return left;
}

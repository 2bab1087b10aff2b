/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/db_open.h"
#include "src/txn_builder.h"
#include "src/wal_frame.h"
#include "src/wal_hold.h"
#include "src/wal_watch.h"

#define READ_BYTES    (64u << 20) /* images that are read before any is published */
#define STEP_EVENT    (10 * NS_PER_US)  /* first look after a file was written */
#define STEP_NEWS     (100 * NS_PER_US) /* between looks while commits flow, and */
#define STEP_FLOOD    (200 * NS_PER_US) /* ... after one that saw some */
#define FLOW_NS       (500 * NS_PER_US) /* they flow: this long after the last one */
#define STEP_BLIND    (100 * NS_PER_US) /* shorter sleeps do not listen to inotify */
#define MISFIT_NS     (200 * NS_PER_MS) /* frames that differ from the wal-index: LOST */
#define REACH_LOOK_NS (20 * NS_PER_MS)  /* between two looks at `*stop` */

/* A transaction that capture_done has not been called for, in commit order. */
struct unfinished {
	struct unfinished *next;
	const struct captured_txn *txn;
	uint64_t bytes; /* in the spool, pre-images too */
};

struct capture {
	struct capture_settings settings; /* but `path` */
	struct db_handles db;
	struct spool *spool;
	struct wal_watch *watch;
	struct wal_hold *hold;
	int wake_fd;
	bool is_started;
	pthread_t thread;

	/* The capture thread's own (capture_open's, before there is one). */
	struct txn_builder builder;
	bool has_builder;
	struct captured_txn *first; /* until capture_open gives it away */
	bool is_following;          /* that is done */
	bool is_stalled;            /* no room: said so */
	bool has_events;            /* of writes that looks without inotify have seen */
	int64_t misfit_ns;          /* since when frames differ from the wal-index; 0 */

	atomic_bool stop;
	_Atomic uint64_t decoded_lsn;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t reached;
	struct captured_txn *queue; /* not taken */
	struct captured_txn **queue_end;
	struct unfinished *unfinished;
	struct unfinished **unfinished_end;
	uint64_t unfinished_bytes;
	bool has_failed;
	struct error failure;
	uint64_t reach_asked; /* numbers of requests */
	uint64_t reach_answered;
	uint64_t reach_lsn;
};

/* --- handing over -------------------------------------------------------------------
 */

static void wake_taker(struct capture *c)
{
	uint64_t one = 1;

	(void)!write(c->wake_fd, &one, sizeof one);
}

static void enqueue(struct capture *c, struct captured_txn *txn,
		    struct unfinished *entry)
{
	(void)pthread_mutex_lock(&c->lock);
	*c->queue_end = txn;
	c->queue_end = &txn->next;
	*c->unfinished_end = entry;
	c->unfinished_end = &entry->next;
	c->unfinished_bytes += entry->bytes;
	(void)pthread_mutex_unlock(&c->lock);
}

/* Bytes that wait behind the oldest unfinished transaction. */
static uint64_t waiting_bytes(struct capture *c)
{
	uint64_t bytes;

	(void)pthread_mutex_lock(&c->lock);
	bytes = c->unfinished_bytes - (c->unfinished ? c->unfinished->bytes : 0);
	(void)pthread_mutex_unlock(&c->lock);
	return bytes;
}

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
		    "while %s; start rowtail again, with --state DIR if the "
		    "output can be slow",
		    c->db.path, behind, why);
	}
	if (!c->is_stalled) {
		log_warn("%s: %s; commits wait in the WAL", c->db.path, why);
		c->is_stalled = true;
	}
	return error_set(err, ST_RETRY, "%s", why);
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
	return error_set(err, ST_LOST, "%s: %.512s; start rowtail again", c->db.path,
			 inner.text);
}

static enum status failed(struct capture *c, enum status status,
			  const struct wal_index_header *header, uint32_t from,
			  struct error *err)
{
	if (status == ST_RETRY) {
		return misfit(c, err);
	}
	if (status == ST_IO && (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT ||
				err->sys_errno == EFBIG)) {
		return stall(c, header, from, "the disk of the spool is full", err);
	}
	return status;
}

/* Make a transaction of each draft and hand it over, while there is room. */
static enum status accept_drafts(struct capture *c,
				 const struct wal_index_header *header,
				 struct hold_taken *taken, struct error *err)
{
	const struct draft *draft;

	while ((draft = txn_builder_draft(&c->builder)) != NULL) {
		struct unfinished *entry;
		struct captured_txn *txn;
		uint64_t preimage_bytes;
		uint32_t commit_frames = draft->commit_total;
		enum status status;

		if (waiting_bytes(c) > c->settings.journal_max_bytes) {
			return stall(c, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		entry = malloc(sizeof *entry);
		if (!entry) {
			return error_set(err, ST_NOMEM, "out of memory");
		}
		status = txn_builder_accept(&c->builder, &txn, &preimage_bytes, err);
		if (status != ST_OK) {
			free(entry);
			return failed(c, status, header, taken->last_frame, err);
		}
		taken->last_frame = c->builder.last_frame;
		taken->commits++;
		taken->commit_frames += commit_frames;
		*entry = (struct unfinished){
		    .txn = txn,
		    .bytes =
			(uint64_t)txn->page_total * c->db.page_size + preimage_bytes};
		enqueue(c, txn, entry);
	}
	c->is_stalled = false;
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
	while (status == ST_OK && taken->last_frame < header->frame_count) {
		if (waiting_bytes(c) > c->settings.journal_max_bytes) {
			return stall(c, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		status = txn_builder_read(&c->builder, header, taken->last_frame,
					  READ_BYTES, false, err);
		if (status != ST_OK) {
			status = failed(c, status, header, taken->last_frame, err);
			break;
		}
		c->misfit_ns = 0;
		status = accept_drafts(c, header, taken, err);
		txn_builder_discard(&c->builder);
		wake_taker(c);
	}
	if (status == ST_OK) {
		txn_builder_retire(
		    &c->builder, wal_hold_backfilled(c->hold),
		    atomic_load_explicit(&c->decoded_lsn, memory_order_acquire));
	}
	return status;
}

/* The size of the database where no frame tells it, from page 1 and the file. */
static enum status count_pages(const struct capture *c, uint32_t *pages,
			       struct error *err)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct stat st;
	uint64_t in_file;

	if (fstat(c->db.db_fd, &st) != 0 ||
	    pread(c->db.db_fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
		return error_set_errno(err, errno, "%s: cannot be read", c->db.path);
	}
	if (db_header_read(bytes, &header, err) != ST_OK) {
		(void)error_wrap(err, "%s: is corrupt, restore it from a backup",
				 c->db.path);
		return err->status = ST_UNFIT;
	}
	in_file = ((uint64_t)st.st_size + c->db.page_size - 1) / c->db.page_size;
	*pages = in_file > UINT32_MAX ? UINT32_MAX : (uint32_t)in_file;
	/* The count in page 1 holds if the same writer wrote both. */
	if (header.page_count == 0 || memcmp(bytes + 24, bytes + 92, 4) != 0) {
		return ST_OK;
	}
	if (header.page_count > in_file) {
		return error_set(err, ST_UNFIT,
				 "%s: is cut off, it should have %" PRIu32
				 " pages and has %" PRIu64 "; restore it from a backup",
				 c->db.path, header.page_count, in_file);
	}
	*pages = header.page_count;
	return ST_OK;
}

/* wal_hold_take at the start: the last frame of each page, as one transaction. */
static enum status take_first(struct capture *c, const struct wal_index_header *header,
			      struct hold_taken *taken, struct error *err)
{
	struct wal_index_header from_file = *header;
	struct wal_index_header now;
	uint64_t preimage_bytes;
	enum status status = ST_OK;

	if (header->frame_count == 0) {
		status = count_pages(c, &from_file.page_count, err);
	} else if (header->page_size != c->db.page_size) {
		return error_set(err, ST_RETRY, "%s: its WAL has another page size",
				 c->db.path);
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
		taken->last_frame = header->frame_count;
		c->is_following = true;
	}
	return status;
}

static enum status take(void *context, const struct wal_index_header *header,
			uint32_t generation, uint32_t from, struct hold_taken *taken,
			struct error *err)
{
	struct capture *c = context;

	return c->is_following ? take_news(c, header, generation, from, taken, err)
			       : take_first(c, header, taken, err);
}

/* --- the thread ---------------------------------------------------------------------
 */

static void fail(struct capture *c, const struct error *err)
{
	(void)pthread_mutex_lock(&c->lock);
	c->has_failed = true;
	c->failure = *err;
	(void)pthread_cond_broadcast(&c->reached);
	(void)pthread_mutex_unlock(&c->lock);
	wake_taker(c);
}

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

static void *run(void *context)
{
	struct capture *c = context;
	int64_t step = STEP_NEWS;
	int64_t news_ns = 0;

	(void)prctl(PR_SET_NAME, "capture");
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	while (!atomic_load_explicit(&c->stop, memory_order_acquire)) {
		uint64_t asked = requests(c);
		uint64_t looks = wal_hold_looks(c->hold);
		struct error err;
		bool news;

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
	struct wal_hold_settings hold = {
	    .escalate = c->settings.escalate, .take = take, .context = c};
	enum status status = db_open(path, c->settings.stop, &c->db, err);

	if (status != ST_OK) {
		return status;
	}
	c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->wake_fd < 0) {
		return error_set_errno(err, errno, "cannot make an event descriptor");
	}
	status = spool_open(c->db.page_size, &c->spool, err);
	if (status == ST_OK) {
		c->has_builder = true;
		status =
		    txn_builder_init(&c->builder, c->spool, &c->db.index,
				     c->db.page_size, c->db.wal_fd, c->db.db_fd, err);
	}
	if (status == ST_OK) {
		status = wal_watch_open(c->db.path, c->db.wal_path, &c->watch, err);
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
	enum status status;

	if (!c) {
		return error_set(err, ST_NOMEM, "out of memory");
	}
	c->settings = *settings;
	c->settings.path = NULL;
	c->db.db_fd = -1;
	c->db.wal_fd = -1;
	c->wake_fd = -1;
	c->queue_end = &c->queue;
	c->unfinished_end = &c->unfinished;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->reached, NULL);
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
	sigset_t all;
	sigset_t before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&capture->thread, NULL, run, capture);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		return error_set_errno(err, rc, "cannot start the capture thread");
	}
	capture->is_started = true;
	return ST_OK;
}

static void stop_thread(struct capture *c)
{
	if (c->is_started) {
		atomic_store_explicit(&c->stop, true, memory_order_release);
		wal_watch_wake(c->watch);
		(void)pthread_join(c->thread, NULL);
		c->is_started = false;
	}
}

void capture_close(struct capture *capture)
{
	if (!capture) {
		return;
	}
	stop_thread(capture);
	wal_hold_close(capture->hold);
	wal_watch_close(capture->watch);
	db_close(&capture->db);
	if (capture->has_builder) {
		txn_builder_clear(&capture->builder);
	}
	while (capture->queue) {
		struct captured_txn *txn = capture->queue;

		capture->queue = txn->next;
		free(txn);
	}
	while (capture->unfinished) {
		struct unfinished *entry = capture->unfinished;

		capture->unfinished = entry->next;
		free(entry);
	}
	free(capture->first);
	spool_close(capture->spool);
	if (capture->wake_fd >= 0) {
		(void)close(capture->wake_fd);
	}
	(void)pthread_cond_destroy(&capture->reached);
	(void)pthread_mutex_destroy(&capture->lock);
	free(capture);
}

enum status capture_next(struct capture *capture, struct captured_txn **txn,
			 struct error *err)
{
	enum status status = ST_OK;
	struct captured_txn *taken;
	uint64_t count;

	(void)pthread_mutex_lock(&capture->lock);
	taken = capture->queue;
	if (taken) {
		capture->queue = taken->next;
		if (!capture->queue) {
			capture->queue_end = &capture->queue;
		}
		taken->next = NULL;
		*txn = taken;
	} else if (capture->has_failed) {
		*err = capture->failure;
		status = err->status;
	} else {
		status = error_set(err, ST_END, "nothing committed");
		(void)!read(capture->wake_fd, &count, sizeof count);
	}
	(void)pthread_mutex_unlock(&capture->lock);
	return status;
}

void capture_done(struct capture *capture, struct captured_txn *txn)
{
	struct unfinished *entry = NULL;

	(void)pthread_mutex_lock(&capture->lock);
	for (struct unfinished **at = &capture->unfinished; *at; at = &(*at)->next) {
		if ((*at)->txn == txn) {
			entry = *at;
			*at = entry->next;
			if (!*at) {
				capture->unfinished_end = at;
			}
			capture->unfinished_bytes -= entry->bytes;
			break;
		}
	}
	(void)pthread_mutex_unlock(&capture->lock);
	atomic_store_explicit(&capture->decoded_lsn, txn->lsn, memory_order_release);
	free(entry);
	free(txn);
}

int capture_wake_fd(const struct capture *capture)
{
	return capture->wake_fd;
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
		struct timespec until;
		int64_t at = clock_wall_ns() + REACH_LOOK_NS;

		until.tv_sec = (time_t)(at / NS_PER_S);
		until.tv_nsec = (long)(at % NS_PER_S);
		if (capture->has_failed) {
			*err = capture->failure;
			status = err->status;
		} else if (*stop) {
			status = error_set(err, ST_STOPPED, "stopped");
		} else {
			(void)pthread_cond_timedwait(&capture->reached, &capture->lock,
						     &until);
		}
	}
	*lsn = capture->reach_lsn;
	(void)pthread_mutex_unlock(&capture->lock);
	return status;
}

struct spool *capture_spool(const struct capture *capture)
{
	return capture->spool;
}

int capture_database_fd(const struct capture *capture)
{
	return capture->db.db_fd;
}

uint32_t capture_page_size(const struct capture *capture)
{
	return capture->db.page_size;
}

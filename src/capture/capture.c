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
#include "src/base/event_fd.h"
#include "src/base/fault.h"
#include "src/base/file_time.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/capture/db_open.h"
#include "src/capture/db_users.h"
#include "src/capture/taker.h"
#include "src/capture/wal_events.h"
#include "src/capture/wal_hold.h"
#include "src/capture/wal_watch.h"
#include "src/history/history.h"

#define STEP_EVENT    (10 * NS_PER_US)  /* first look after a file was written */
#define STEP_NEWS     (100 * NS_PER_US) /* between looks while commits flow, and */
#define STEP_FLOOD    (200 * NS_PER_US) /* ... after one that saw some */
#define FLOW_NS       (500 * NS_PER_US) /* they flow: not longer apart than this */
#define STEP_QUIET    (300 * NS_PER_US) /* where they do not: first look after one */
#define STEP_PAUSE    (4 * STEP_QUIET)  /* ... if nobody has begun another, that is */
#define STEP_BLIND    (100 * NS_PER_US) /* shorter sleeps do not listen to inotify */
#define STOP_NS       (500 * NS_PER_MS) /* for a clean stop */
#define SETTLE_NS     (1 * NS_PER_S)    /* ... and for the disk then */
#define STAT_NS       (20 * NS_PER_MS)  /* between two looks at a file's times */
#define REACH_LOOK_NS (20 * NS_PER_MS)  /* between two looks at `*stop` */

struct capture {
	struct source source;             /* first member */
	struct view_file file;            /* under it */
	struct capture_settings settings; /* but `path` */
	struct db_handles db;
	struct history *history;
	struct wal_watch *watch;
	struct wal_events *events; /* NULL: nobody asks who writes */
	struct wal_hold *hold;
	bool is_started;
	pthread_t thread;

	/* The capture thread's own (capture_open's, before there is one). */
	struct taker taker;
	bool has_left; /* the database file was made complete */

	atomic_bool stop;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t reached;
	bool has_failed;
	struct error failure;
	uint64_t reach_asked; /* numbers of requests */
	uint64_t reach_answered;
	uint64_t reach_lsn;
};

static void fail(struct capture *c, const struct error *err)
{
	(void)pthread_mutex_lock(&c->lock);
	c->has_failed = true;
	c->failure = *err;
	(void)pthread_cond_broadcast(&c->reached);
	(void)pthread_mutex_unlock(&c->lock);
	/* Who decodes may come to it later. */
	health_say(HEALTH_CAPTURE, err->text);
	event_fd_wake(c->history->wake_fd);
}

/* Wait until something was reached, or until a time of clock_mono_ns. The lock is
 * held. */
static void wait_reached(struct capture *c, int64_t until_ns)
{
	struct timespec until = clock_timespec(until_ns);

	(void)pthread_cond_timedwait(&c->reached, &c->lock, &until);
}

/* ---- the thread ---- */

/* Answer requests that were made before the turn that has just ended. */
static void answer(struct capture *c, uint64_t asked)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->reach_answered < asked) {
		c->reach_answered = asked;
		c->reach_lsn = c->taker.builder.lsn + wal_hold_waiting(c->hold);
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
 * steady pace cost less than being told of each write. Otherwise it sleeps a little
 * longer each time, until a file is written, which is before the commit can be seen. A
 * write that was told of before the last commit was seen may be the beginning of the
 * next one: then there is one more look, and another soon after.
 */
static int64_t rest(struct capture *c, int64_t step, bool news, bool is_flowing)
{
	int64_t idle;

	if (is_flowing) {
		wal_watch_sleep(c->watch, news ? STEP_FLOOD : STEP_NEWS);
		return STEP_QUIET;
	}
	if (news) {
		if (wal_watch_has_drained(c->watch) || wal_watch_is_blind(c->watch)) {
			return STEP_QUIET;
		}
		step = STEP_PAUSE;
	}
	idle = wal_hold_idle_ns(c->hold, clock_mono_ns());
	if (step > idle) {
		step = idle;
	}
	if (step <= STEP_BLIND) {
		wal_watch_sleep(c->watch, step);
		return 2 * step;
	}
	if (wal_watch_wait(c->watch, step)) {
		return STEP_EVENT;
	}
	return step == STEP_QUIET ? STEP_PAUSE : 2 * step;
}

/* Do commits come so fast that each look sees some? */
static bool is_flow(const struct capture *c, int64_t news_ns)
{
	return wal_hold_gap_ns(c->hold) < FLOW_NS &&
	       clock_mono_ns() - news_ns < FLOW_NS;
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

		health_beat();
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
		step = rest(c, step, news, is_flow(c, news_ns));
	}
	health_no_beat();
	return NULL;
}

/* ---- calls of the decoding thread ---- */

static enum status open_parts(struct capture *c, const char *path, struct error *err)
{
	struct taker_settings taker = {.history = c->settings.history,
				       .stop = c->settings.stop,
				       .hold_max_wal_bytes =
					   c->settings.hold_max_wal_bytes,
				       .least_lsn = c->settings.least_lsn,
				       .progress = c->settings.progress,
				       .context = c->settings.context};
	struct wal_hold_settings hold = {.escalate = c->settings.escalate,
					 .take = taker_take,
					 .settle = taker_settle,
					 .context = &c->taker};
	struct db_patience patience = {.stop = c->settings.stop,
				       .is_short = c->settings.is_once};
	enum status status = db_open(path, &patience, &c->db, err);

	if (status == ST_OK && c->settings.names_writers) {
		status = wal_events_open(&c->db, &c->events, err);
	}
	if (status == ST_OK) {
		taker.writers = hold.writers = wal_events_writers(c->events);
		status = taker_init(&c->taker, &taker, &c->db, err);
	}
	if (status == ST_OK) {
		status = wal_watch_open(c->db.path, c->db.wal_path,
					c->db.names.shm_path, &c->watch, err);
	}
	if (status == ST_OK) {
		hold.watch = c->watch;
		status = wal_hold_open(&c->db, &hold, &c->hold, err);
		c->taker.hold = c->hold;
	}
	return status;
}

static enum status source_start(struct source *source, struct error *err)
{
	return capture_start((struct capture *)source, err);
}

static enum status source_next(struct source *source, struct captured_txn **txn,
			       struct error *err)
{
	return capture_next((struct capture *)source, txn, err);
}

static enum status source_reach_now(struct source *source, const _Atomic int *stop,
				    uint64_t *lsn, struct error *err)
{
	return capture_reach_now((struct capture *)source, stop, lsn, err);
}

static void source_ask_reach(struct source *source)
{
	struct capture *c = (struct capture *)source;

	(void)pthread_mutex_lock(&c->lock);
	c->reach_asked++;
	(void)pthread_mutex_unlock(&c->lock);
	wal_watch_wake(c->watch);
}

static bool source_is_reached(struct source *source, uint64_t *lsn)
{
	struct capture *c = (struct capture *)source;
	bool is_reached;

	(void)pthread_mutex_lock(&c->lock);
	is_reached = c->reach_answered == c->reach_asked;
	*lsn = c->reach_lsn;
	(void)pthread_mutex_unlock(&c->lock);
	return is_reached;
}

static void source_stop_clean(struct source *source)
{
	capture_stop_clean((struct capture *)source);
}

static void source_close(struct source *source)
{
	capture_close((struct capture *)source);
}

static void init_source(struct capture *c, const char *path)
{
	c->file = (struct view_file){
	    .fd = c->db.db_fd, .path = path, .page_size = c->db.page_size};
	c->source = (struct source){.pages = view_base_of_file(&c->file),
				    .page_size = c->db.page_size,
				    .fd = c->db.db_fd,
				    .start = source_start,
				    .next = source_next,
				    .reach_now = source_reach_now,
				    .ask_reach = source_ask_reach,
				    .is_reached = source_is_reached,
				    .reach_copied = source_reach_now,
				    .stop_clean = source_stop_clean,
				    .close = source_close};
}

struct source *capture_source(struct capture *capture)
{
	return &capture->source;
}

enum status capture_open(const struct capture_settings *settings, struct capture **out,
			 struct captured_txn **first, struct error *err)
{
	struct capture *c = calloc(1, sizeof *c);
	enum status status;

	if (!c) {
		return error_no_memory(err, "the capture");
	}
	c->settings = *settings;
	c->settings.path = NULL;
	c->db.db_fd = -1;
	c->db.wal_fd = -1;
	c->db.shm_fd = -1;
	c->history = settings->history;
	(void)pthread_mutex_init(&c->lock, NULL);
	thread_cond_init(&c->reached);
	status = open_parts(c, settings->path, err);
	if (status != ST_OK) {
		capture_close(c);
		return status;
	}
	init_source(c, settings->path);
	*first = c->taker.first;
	c->taker.first = NULL;
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

/* Wait until the file's last change is so long ago that another one would show in its
 * times. */
static bool await_settled_stat(int fd, struct stat *st)
{
	if (fdatasync(fd) != 0 || fstat(fd, st) != 0) {
		return false;
	}
	for (int i = 0; i < 100; i++) {
		int64_t age_ns = clock_wall_ns() - clock_ns_of(st->st_ctim);

		if (age_ns > file_time_tick_ns(&st->st_ctim)) {
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

	if (c->taker.unappended || wal_hold_waiting(c->hold) > 0 ||
	    taker_settle(&c->taker, clock_mono_ns() + SETTLE_NS, false, &err) !=
		ST_OK ||
	    !await_settled_stat(c->db.db_fd, &st) ||
	    wal_hold_state(c->hold) != HOLD_ZERO || !names_are_right(c) ||
	    fstat(c->db.db_fd, &again) != 0 || again.st_size != st.st_size ||
	    !file_time_same(&again.st_mtim, &st.st_mtim)) {
		return;
	}
	FAULT_POINT("stop-before-note");
	if (c->history->put_clean(c->history, &st, c->taker.builder.lsn, &err) !=
	    ST_OK) {
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

/* Get to where everything that is committed is captured, and in the database file.
 * Where others have that open, a run that nobody goes on from leaves it to them. */
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

/* Do what SQLite's own last close would have done for those who copy the file. */
static void leave(struct capture *c, bool is_clean)
{
	struct error err;

	if (c->has_left || !c->hold || c->db.degraded ||
	    wal_hold_state(c->hold) == HOLD_LOST) {
		return;
	}
	c->has_left = true;
	wal_hold_ends_soon(c->hold, c->history->goes_on);
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
	wal_events_close(capture->events);
	db_close(&capture->db);
	FAULT_POINT("stop-closed");
	taker_clear(&capture->taker);
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

enum status capture_reach_now(struct capture *capture, const _Atomic int *stop,
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

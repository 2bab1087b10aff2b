/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/archiver.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/archive/archive_resume.h"
#include "src/archive/gathered.h"
#include "src/archive/uploader.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/thread.h"

#define FILE_BYTES   (1u << 20) /* of images: a file is due */
#define AGAIN_NS     NS_PER_S   /* after a full disk */
#define STOP_NS      NS_PER_S   /* a whole database gets so long after a stop */
#define ARCHIVE_NICE 5          /* what is captured and decoded comes first */

struct archiver {
	struct listener listener; /* first member */
	struct archiver_settings settings;
	int64_t opened_ns; /* wall clock */
	struct outbox *outbox;
	struct uploader *uploader;
	struct archive_known known;
	struct listener_base base;
	bool has_base; /* read has been called, and read_done not */
	bool is_started;
	pthread_t thread;

	/* The thread's, until it has ended. */
	struct gathered cut; /* becomes a file now; kept if that fails */
	bool has_cut;
	int64_t cut_ns;      /* begun, monotonic */
	_Atomic bool closes; /* whatever is unfinished */

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	struct gathered gathered;
	int64_t due_ns; /* of what is gathered, monotonic */
	enum archive_step next;
	uint64_t txid;        /* of the last file; 0: none */
	int64_t time_ns;      /* of it */
	uint64_t settled_lsn; /* files up to there are in the outbox, or further */
	uint64_t wanted_lsn;  /* somebody waits for that */
	uint64_t failures;    /* tries that met a full disk */
	int64_t not_before;   /* the next one, monotonic */
	bool is_full;         /* that is said */
	bool finishes;
	bool has_ended;
	bool has_failed;
	struct error failure; /* also of a full disk */
};

static struct archiver *archiver_of(struct listener *listener)
{
	return (struct archiver *)listener;
}

/* With the lock. The thread tells the history, which may be calling just now. */
static void fail(struct archiver *a, const struct error *err)
{
	if (!a->has_failed) {
		a->has_failed = true;
		a->failure = *err;
		(void)pthread_cond_broadcast(&a->changed);
	}
}

static void upload_failed(void *context, const struct error *err)
{
	struct archiver *a = context;

	(void)pthread_mutex_lock(&a->lock);
	fail(a, err);
	(void)pthread_mutex_unlock(&a->lock);
}

/* ---- a file ---- */

/* With the lock: what would be in the next file leads on from the last one. */
static uint64_t next_lsn(const struct archiver *a)
{
	const struct gathered *gathered = a->has_cut ? &a->cut : &a->gathered;

	return gathered->total > 0 ? gathered->lsn : a->base.lsn;
}

/* With the lock. */
static bool has_something(const struct archiver *a)
{
	return a->has_cut || a->gathered.total > 0 ||
	       (a->next != ARCHIVE_GOES_ON && next_lsn(a) + 1 > a->txid);
}

/* With the lock. */
static bool is_much(const struct archiver *a)
{
	return a->gathered.pages.total * (uint64_t)a->base.page_size >= FILE_BYTES;
}

/* With the lock. */
static bool is_due(const struct archiver *a)
{
	int64_t now = clock_mono_ns();

	return has_something(a) && now >= a->not_before &&
	       (a->has_cut || a->next != ARCHIVE_GOES_ON || a->finishes ||
		a->wanted_lsn > a->settled_lsn || now >= a->due_ns || is_much(a));
}

static bool gives_up(void *context)
{
	const struct archiver *a = context;

	return a->closes ||
	       (*a->settings.stop && clock_mono_ns() > a->cut_ns + STOP_NS);
}

/* The file that `cut` becomes. */
static struct archive_file file_of(const struct archiver *a)
{
	int64_t time_ns = a->cut.total > 0      ? a->cut.time_ns
			  : a->base.time_ns > 0 ? a->base.time_ns
						: a->opened_ns;
	bool is_snapshot = a->next == ARCHIVE_SNAPSHOT;

	if (time_ns < a->time_ns) {
		time_ns = a->time_ns;
	}
	return (struct archive_file){
	    .level = is_snapshot ? ARCHIVE_SNAPSHOT_LEVEL : 0,
	    .min_txid = is_snapshot ? 1 : a->txid + 1,
	    .max_txid = next_lsn(a) + 1,
	    .time_ns = time_ns,
	};
}

/* How many transactions a whole database holds says nothing. */
static uint32_t transactions_of(const struct archiver *a)
{
	uint64_t n = a->cut.transactions;

	return a->next != ARCHIVE_GOES_ON  ? 0
	       : n > LTX_TRANSACTIONS_MOST ? LTX_TRANSACTIONS_MOST
					   : (uint32_t)n;
}

static enum status write_file(struct archiver *a, struct archive_file *file,
			      struct error *err)
{
	struct gathered_file writing = {
	    .header = {.page_size = a->base.page_size,
		       .min_txid = file->min_txid,
		       .max_txid = file->max_txid,
		       .time_ms = file->time_ns / NS_PER_MS,
		       .has_note = true,
		       .rest_ns = (uint32_t)(file->time_ns % NS_PER_MS),
		       .transactions = transactions_of(a),
		       .has_catch_up =
			   a->next == ARCHIVE_GOES_ON && a->cut.has_catch_up},
	    .spool = a->base.spool,
	    .base = a->next == ARCHIVE_GOES_ON ? NULL : &a->base,
	    .gives_up = a->next == ARCHIVE_GOES_ON ? NULL : gives_up,
	    .context = a,
	};
	enum status status = outbox_create(a->outbox, &writing.fd, &writing.path, err);

	if (status != ST_OK) {
		return status;
	}
	a->has_base = a->has_base || writing.base;
	status = gathered_write(&a->cut, &writing, err);
	FAULT_POINT("archive-written");
	if (status == ST_OK) {
		file->size = writing.size;
		status =
		    outbox_keep(a->outbox, file, writing.fd, a->base.page_size, err);
	}
	(void)close(writing.fd);
	if (status == ST_OK) {
		log_debug("archive: level %u, %u pages, %llu bytes up to %llu",
			  file->level, (unsigned)writing.pages,
			  (unsigned long long)file->size,
			  (unsigned long long)(file->max_txid - 1));
	}
	return status;
}

/* With the lock: what was gathered is what the file is made of. */
static void begin_cut(struct archiver *a)
{
	if (!a->has_cut) {
		a->cut = a->gathered;
		gathered_init(&a->gathered);
		gathered_begin(&a->gathered, a->cut.page_count);
		a->has_cut = true;
	}
	a->cut_ns = clock_mono_ns();
}

/* With the lock. */
static void end_cut(struct archiver *a, const struct archive_file *file)
{
	a->txid = file->max_txid;
	a->time_ns = file->time_ns;
	a->settled_lsn = file->max_txid - 1;
	a->next = ARCHIVE_GOES_ON;
	a->is_full = false;
	gathered_clear(&a->cut);
	a->has_cut = false;
	(void)pthread_cond_broadcast(&a->changed);
}

/* With the lock. */
static void say_full(struct archiver *a, const struct error *err)
{
	if (!a->is_full) {
		log_warn("%s; trying again", err->text);
		a->is_full = true;
	}
	a->failure = *err;
	a->failures++;
	a->not_before = clock_mono_ns() + AGAIN_NS;
	(void)pthread_cond_broadcast(&a->changed);
}

/* With the lock, which is let go of meanwhile. False: no more. */
static bool cut(struct archiver *a)
{
	struct archive_file file;
	struct error err;
	enum status status;

	begin_cut(a);
	file = file_of(a);
	(void)pthread_mutex_unlock(&a->lock);
	status = write_file(a, &file, &err);
	if (a->has_base) {
		a->base.read_done(a->base.context);
		a->has_base = false;
	}
	if (status == ST_OK) {
		uploader_wake(a->uploader);
	}
	(void)pthread_mutex_lock(&a->lock);
	if (status == ST_OK) {
		end_cut(a, &file);
	} else if (status == ST_STOPPED) {
		log_info("the whole database was being archived: the next run begins "
			 "anew with it");
		return false;
	} else if (error_is_full(&err)) {
		say_full(a, &err);
	} else {
		fail(a, &err);
	}
	return true;
}

/* With the lock. */
static void wait_for_more(struct archiver *a)
{
	int64_t until = a->due_ns > a->not_before ? a->due_ns : a->not_before;
	struct timespec t = clock_timespec(until);

	if (has_something(a)) {
		(void)pthread_cond_timedwait(&a->changed, &a->lock, &t);
	} else {
		(void)pthread_cond_wait(&a->changed, &a->lock);
	}
}

static void *run_archiver(void *context)
{
	struct archiver *a = context;
	struct error err;
	bool has_failed;

	(void)prctl(PR_SET_NAME, "archive");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), ARCHIVE_NICE);
	(void)pthread_mutex_lock(&a->lock);
	while (!a->has_failed && !a->closes) {
		if (is_due(a)) {
			if (!cut(a)) {
				break;
			}
		} else if (a->finishes && (!has_something(a) || a->is_full)) {
			break;
		} else {
			wait_for_more(a);
		}
	}
	a->has_ended = true;
	err = a->failure;
	has_failed = a->has_failed;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	if (has_failed) {
		a->base.fail(a->base.context, &err);
	}
	return NULL;
}

/* ---- the listener ---- */

static enum status begin(struct listener *listener, const struct listener_base *base,
			 struct error *err)
{
	struct archiver *a = archiver_of(listener);
	struct archived_state ours = {
	    .lsn = base->lsn,
	    .end_lsn = base->end_lsn > base->lsn ? base->end_lsn : base->lsn,
	    .page_size = base->page_size};
	struct outbox_content content;
	struct archive_resume resume;
	enum status status;

	a->base = *base;
	outbox_look(a->outbox, &content);
	status = archive_resume(&a->known, &content, &ours, &resume, err);
	if (status == ST_OK && resume.drops_outbox && content.count > 0) {
		status = outbox_drop(a->outbox, err);
	}
	if (status != ST_OK) {
		return status;
	}
	a->next = resume.next;
	a->txid = resume.txid;
	a->time_ns = resume.time_ns;
	if (resume.next == ARCHIVE_GOES_ON) {
		a->settled_lsn = resume.txid - 1;
	} else {
		gathered_begin(&a->gathered, base->page_count);
	}
	if (resume.next != ARCHIVE_GOES_ON && resume.txid > 0) {
		log_warn(
		    "the archive %s lacks what came behind txid:%llx, or cannot go "
		    "on from there: the whole database is archived",
		    a->settings.location, (unsigned long long)resume.txid);
	}
	return ST_OK;
}

static void add(struct listener *listener, const struct captured_txn *txn)
{
	struct archiver *a = archiver_of(listener);
	bool is_first;
	struct error err;

	(void)pthread_mutex_lock(&a->lock);
	if (a->next == ARCHIVE_GOES_ON && txn->lsn < a->txid) {
		(void)pthread_mutex_unlock(&a->lock); /* the archive has it */
		return;
	}
	is_first = a->gathered.total == 0;
	if (is_first) {
		a->due_ns = clock_mono_ns() + a->settings.interval_ms * NS_PER_MS;
	}
	if (gathered_add(&a->gathered, txn, &err) != ST_OK) {
		fail(a, &err);
	}
	if (is_first || is_much(a)) {
		(void)pthread_cond_broadcast(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->lock);
}

static enum status run(struct listener *listener, struct error *err)
{
	struct archiver *a = archiver_of(listener);
	enum status status = uploader_start(a->uploader, err);

	if (status == ST_OK) {
		status = thread_start(&a->thread, run_archiver, a, "archive", err);
		a->is_started = status == ST_OK;
	}
	if (status != ST_OK) { /* nobody waits for what nobody makes */
		(void)pthread_mutex_lock(&a->lock);
		a->has_ended = true;
		(void)pthread_cond_broadcast(&a->changed);
		(void)pthread_mutex_unlock(&a->lock);
	}
	return status;
}

static enum status settle(struct listener *listener, uint64_t lsn, struct error *err)
{
	struct archiver *a = archiver_of(listener);
	enum status status = ST_OK;
	uint64_t failures;

	(void)pthread_mutex_lock(&a->lock);
	failures = a->failures;
	if (lsn > a->wanted_lsn) {
		a->wanted_lsn = lsn;
		(void)pthread_cond_broadcast(&a->changed);
	}
	while (a->settled_lsn < lsn && !a->has_failed && !a->has_ended &&
	       a->failures == failures) {
		(void)pthread_cond_wait(&a->changed, &a->lock);
	}
	if (a->settled_lsn >= lsn) {
		status = ST_OK;
	} else if (a->has_failed || a->failures != failures) {
		*err = a->failure;
		status = err->status;
	} else {
		status = error_set(err, ST_STOPPED, "the archive is closed");
	}
	(void)pthread_mutex_unlock(&a->lock);
	return status;
}

struct listener *archiver_listener(struct archiver *archiver)
{
	return &archiver->listener;
}

/* ---- open and close ---- */

uint64_t archiver_least_lsn(const struct archiver *archiver)
{
	struct outbox_content content;

	outbox_look(archiver->outbox, &content);
	return archiver->known.max_txid > content.max_txid ? archiver->known.max_txid
							   : content.max_txid;
}

enum status archiver_open(const struct archiver_settings *settings,
			  struct archiver **out, struct error *err)
{
	struct archiver *a = calloc(1, sizeof *a);
	struct uploader_settings uploads = {.location = settings->location,
					    .storage = settings->storage,
					    .database = settings->database,
					    .takes_over = settings->takes_over,
					    .must_reach = settings->is_new,
					    .stop = settings->stop,
					    .fail = upload_failed,
					    .context = a};
	enum status status;

	if (!a) {
		return error_no_memory(err, "the archive");
	}
	a->settings = *settings;
	a->opened_ns = clock_wall_ns();
	a->listener =
	    (struct listener){.begin = begin, .add = add, .run = run, .settle = settle};
	gathered_init(&a->gathered);
	gathered_init(&a->cut);
	(void)pthread_mutex_init(&a->lock, NULL);
	thread_cond_init(&a->changed);
	status = policy_settings_read(settings->policy, &uploads.policy, err);
	if (status == ST_OK) {
		status = outbox_open(settings->state_fd, settings->state_path,
				     &a->outbox, err);
	}
	if (status == ST_OK) {
		uploads.outbox = a->outbox;
		status = uploader_open(&uploads, &a->known, &a->uploader, err);
	}
	if (status != ST_OK) {
		archiver_close(a);
		return status;
	}
	*out = a;
	return ST_OK;
}

static void end_thread(struct archiver *a)
{
	if (a->is_started) {
		(void)pthread_mutex_lock(&a->lock);
		a->finishes = true;
		(void)pthread_cond_broadcast(&a->changed);
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL);
		a->is_started = false;
	}
}

/* ST_OK, or why it cannot go on. */
static enum status look_at_failure(struct archiver *a, struct error *err)
{
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&a->lock);
	if (a->has_failed) {
		*err = a->failure;
		status = err->status;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return status;
}

enum status archiver_finish(struct archiver *archiver, bool patient, struct error *err)
{
	struct error failure;
	enum status status;

	end_thread(archiver);
	status = look_at_failure(archiver, err);
	if (status != ST_OK) {
		return status;
	}
	status = uploader_finish(archiver->uploader, patient, err);
	/* What waits still does not say why it will never be uploaded. */
	if (look_at_failure(archiver, &failure) != ST_OK) {
		*err = failure;
		status = failure.status;
	}
	return status;
}

void archiver_close(struct archiver *archiver)
{
	if (!archiver) {
		return;
	}
	archiver->closes = true;
	end_thread(archiver);
	uploader_close(archiver->uploader);
	outbox_close(archiver->outbox);
	gathered_clear(&archiver->gathered);
	gathered_clear(&archiver->cut);
	(void)pthread_cond_destroy(&archiver->changed);
	(void)pthread_mutex_destroy(&archiver->lock);
	free(archiver);
}

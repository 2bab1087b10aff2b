/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/uploader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/archive_look.h"
#include "src/archive/keeper.h"
#include "src/archive/owner.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/storage/location.h"

#define FIRST_PAUSE_NS NS_PER_S        /* after a failure; doubled, up to */
#define LAST_PAUSE_NS  (60 * NS_PER_S) /* this */
#define CHECK_NS       (60 * NS_PER_S) /* between two looks at our note */
#define PATIENCE_NS    (60 * NS_PER_S) /* of --once, with an archive that is away */
#define STOP_MS        2000            /* of a stop, which has more to do */
#define UPLOAD_NICE    5

#ifndef LEAST_BYTES            /* tests have a smaller one */
#define LEAST_BYTES (1u << 20) /* wait as they are, however small the database is */
#endif

struct uploader {
	struct uploader_settings settings;
	struct storage_settings requests; /* of the same, with the grace of a stop */
	struct owner owner;
	struct storage *storage; /* NULL: out of reach so far */
	struct keeper *keeper;
	int64_t checked_ns; /* the note, monotonic */
	bool is_unbound;    /* what waits cannot be merged, and that is said */
	bool is_started;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	bool finishes;
	bool is_patient;
	int64_t until_ns; /* it finishes, monotonic */
	bool ends;        /* now */
	bool is_away;     /* the last try failed, and that is said, */
	bool has_tried;   /* and it was made to finish */
	int64_t pause_ns;
	struct error failure; /* of the last try */
};

/* ---- what the archive has ---- */

static enum status list_all(struct uploader *u, struct archive_list *list,
			    struct archive_known *known, struct error *err)
{
	enum status status;

	*known = (struct archive_known){0};
	archive_list_clear(list);
	status = storage_list(u->storage, list, err);
	return status == ST_OK ? archive_known_read(u->storage, list, known, err)
			       : status;
}

/* It becomes ours. What waits was not made for one that was another's. Who wrote there
 * before may have put a file since the list was made, and does not any more. */
static enum status take(struct uploader *u, struct archive_list *list,
			struct archive_known *known, struct error *err)
{
	bool was_others = !u->owner.is_ours && known->has_files;
	enum status status = was_others ? outbox_drop(u->settings.outbox, err) : ST_OK;

	if (status == ST_OK) {
		status = owner_take(&u->owner, err);
	}
	return status == ST_OK && was_others ? list_all(u, list, known, err) : status;
}

/* One that was there before, and is not now, may be a disk that is not mounted: nothing
 * is made in the place of its folder. */
static bool may_make(const struct uploader *u)
{
	const char *path = storage_folder(u->settings.location);
	struct outbox_content content;
	struct stat st;

	outbox_look(u->settings.outbox, &content);
	return content.done_txid == 0 || !path || stat(path, &st) == 0;
}

/* List it, and see whose it is. */
static enum status connect(struct uploader *u, struct archive_known *known,
			   struct error *err)
{
	struct archive_list list = {0};
	bool makes = may_make(u);
	enum status status = location_open_to_write(u->settings.location, &u->requests,
						    makes, &u->storage, err);

	if (status != ST_OK) {
		*known = (struct archive_known){0};
		u->storage = NULL;
		return status == ST_CONFIG && !makes ? ST_RETRY : status;
	}
	status = list_all(u, &list, known, err);
	u->owner.storage = u->storage;
	if (status == ST_OK) {
		status = owner_find(&u->owner, known->has_files, err);
	}
	if (status == ST_OK) {
		status = take(u, &list, known, err);
	}
	if (status != ST_OK) {
		archive_list_clear(&list);
		storage_close(u->storage);
		u->storage = NULL;
		return status;
	}
	keeper_take_list(u->keeper, &list, u->owner.number);
	known->is_known = true;
	u->checked_ns = clock_mono_ns();
	return ST_OK;
}

static void say_away(struct uploader *u, const struct error *err)
{
	u->failure = *err;
	metrics_count(METRIC_ARCHIVE_RETRIES, 1);
	health_say(HEALTH_ARCHIVE, err->text);
	if (!u->is_away) {
		log_warn("the archive %s takes no files: %s; they wait in the state "
			 "directory",
			 quote(u->settings.location).text, err->text);
		u->is_away = true;
		keeper_hold(u->keeper, true);
		outbox_away(u->settings.outbox, err->text);
	}
}

static void say_back(struct uploader *u)
{
	if (u->is_away) {
		log_info("the archive %s takes files again",
			 quote(u->settings.location).text);
		keeper_hold(u->keeper, false);
		outbox_back(u->settings.outbox);
	}
	health_say(HEALTH_ARCHIVE, NULL);
	u->is_away = false;
	u->pause_ns = 0;
}

/* ---- uploading ---- */

/* It was out of reach when it was decided what to write next. */
static enum status connect_late(struct uploader *u, struct error *err)
{
	struct outbox_content content;
	struct archive_known known;
	enum status status = connect(u, &known, err);

	if (status != ST_OK) {
		return status;
	}
	outbox_look(u->settings.outbox, &content);
	if (known.max_txid == content.done_txid ||
	    (!known.has_files && content.min_txid == 1) ||
	    (content.count > 0 && known.reach_txid == known.max_txid &&
	     known.max_txid + 1 >= content.min_txid &&
	     known.max_txid <= content.max_txid)) {
		return ST_OK;
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s does not end where it did, and what waits does not lead on "
	    "from there: start rowtail again, which then archives what is "
	    "missing",
	    quote(u->settings.location).text);
}

static enum status put(struct uploader *u, const struct archive_file *file,
		       struct error *err)
{
	int fd;
	enum status status = outbox_read(u->settings.outbox, file, &fd, err);

	if (status == ST_OK) {
		status = storage_put(u->storage, file, fd, err);
		(void)close(fd);
	}
	if (status == ST_OK) {
		FAULT_POINT("archive-put");
		keeper_add(u->keeper, file);
		status = outbox_done(u->settings.outbox, file, err);
	}
	return status;
}

static enum status upload(struct uploader *u, const struct archive_file *file,
			  struct error *err)
{
	enum status status;

	if (u->storage && storage_check(u->storage, err) != ST_OK) {
		storage_close(u->storage);
		u->storage = NULL;
	}
	status = u->storage ? ST_OK : connect_late(u, err);

	if (status == ST_OK && clock_mono_ns() - u->checked_ns > CHECK_NS) {
		status = owner_check(&u->owner, err);
		u->checked_ns = status == ST_OK ? clock_mono_ns() : u->checked_ns;
	} else if (status == ST_OK) {
		status = owner_check_next(&u->owner, err);
	}
	return status == ST_OK ? put(u, file, err) : status;
}

static bool is_ending(void *context)
{
	struct uploader *u = context;
	bool ends;

	(void)pthread_mutex_lock(&u->lock);
	ends = u->ends || (u->finishes && !u->is_patient);
	(void)pthread_mutex_unlock(&u->lock);
	return ends;
}

/* With the lock, which is let go of meanwhile. */
static void bound(struct uploader *u)
{
	struct error err;
	enum status status;

	(void)pthread_mutex_unlock(&u->lock);
	status = outbox_bound(u->settings.outbox, LEAST_BYTES, is_ending, u, &err);
	if (status != ST_OK && status != ST_STOPPED && !u->is_unbound) {
		log_warn("files that wait for the archive %s cannot be merged: %s; all "
			 "of them wait",
			 quote(u->settings.location).text, err.text);
		u->is_unbound = true;
	}
	(void)pthread_mutex_lock(&u->lock);
}

/* With the lock: after a failure, until the next try. */
static void pause_a_while(struct uploader *u)
{
	bool finished = u->finishes;
	int64_t until;
	struct timespec t;

	u->pause_ns = u->pause_ns == 0 ? FIRST_PAUSE_NS : 2 * u->pause_ns;
	if (u->pause_ns > LAST_PAUSE_NS) {
		u->pause_ns = LAST_PAUSE_NS;
	}
	if (u->finishes && u->pause_ns > FIRST_PAUSE_NS) {
		u->pause_ns = FIRST_PAUSE_NS;
	}
	until = clock_mono_ns() + u->pause_ns;
	t = clock_timespec(until);
	while (!u->ends && u->finishes == finished && clock_mono_ns() < until) {
		(void)pthread_cond_timedwait(&u->changed, &u->lock, &t);
		bound(u);
	}
}

/* With the lock: what waits is left where it is. */
static bool gives_up(const struct uploader *u)
{
	bool is_late = u->finishes && clock_mono_ns() > u->until_ns;

	if (u->ends || !u->finishes) {
		return u->ends;
	}
	return u->is_patient ? u->is_away && is_late
			     : (u->is_away && u->has_tried) || is_late;
}

/* With the lock, which is let go of meanwhile. False: it has failed for good. */
static bool try_next(struct uploader *u, const struct archive_file *file)
{
	bool finishes = u->finishes;
	struct error err;
	enum status status;

	(void)pthread_mutex_unlock(&u->lock);
	status = upload(u, file, &err);
	if (status != ST_OK && status != ST_STOPPED && !archive_may_pass(status)) {
		u->settings.fail(u->settings.context, &err);
	}
	(void)pthread_mutex_lock(&u->lock);
	if (status == ST_OK) {
		say_back(u);
		return true;
	}
	if (status == ST_STOPPED) { /* nothing is wrong but the time */
		u->failure = err;
		u->ends = true;
		return false;
	}
	if (!archive_may_pass(status)) {
		return false;
	}
	say_away(u, &err);
	u->has_tried = finishes;
	if (!gives_up(u)) {
		pause_a_while(u);
	}
	return true;
}

static void *run(void *context)
{
	struct uploader *u = context;
	struct archive_file file;

	(void)prctl(PR_SET_NAME, "upload");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), UPLOAD_NICE);
	(void)pthread_mutex_lock(&u->lock);
	while (!gives_up(u)) {
		if (outbox_first(u->settings.outbox, &file)) {
			if (!try_next(u, &file)) {
				break;
			}
			bound(u);
		} else if (u->finishes) {
			break;
		} else {
			(void)pthread_cond_wait(&u->changed, &u->lock);
		}
	}
	(void)pthread_mutex_unlock(&u->lock);
	return NULL;
}

/* ---- open and close ---- */

static enum status open_keeper(struct uploader *u, struct error *err)
{
	const struct keeper_settings keeps = {.location = u->settings.location,
					      .storage = u->settings.storage,
					      .writer = u->owner.writer,
					      .policy = u->settings.policy,
					      .stop = u->settings.stop,
					      .fail = u->settings.fail,
					      .context = u->settings.context};

	return keeper_open(&keeps, &u->keeper, err);
}

enum status uploader_open(const struct uploader_settings *settings,
			  struct archive_known *known, struct uploader **out,
			  struct error *err)
{
	struct uploader *u = calloc(1, sizeof *u);
	enum status status;

	if (!u) {
		return error_no_memory(err, "the archive");
	}
	u->settings = *settings;
	u->requests = *settings->storage;
	u->requests.stop_grace_ms = STOP_MS;
	u->owner = (struct owner){.writer = outbox_writer(settings->outbox),
				  .database = settings->database,
				  .location = settings->location,
				  .takes_over = settings->takes_over};
	(void)pthread_mutex_init(&u->lock, NULL);
	thread_cond_init(&u->changed);
	status = open_keeper(u, err);
	if (status == ST_OK) {
		status = connect(u, known, err);
	}
	if (status == ST_OK) {
		outbox_back(settings->outbox); /* what an earlier run has left */
	}
	if (status != ST_OK && archive_may_pass(status) && !settings->must_reach) {
		*known = (struct archive_known){0};
		say_away(u, err);
		status = ST_OK;
	}
	if (status != ST_OK) {
		uploader_close(u);
		return status;
	}
	*out = u;
	return ST_OK;
}

enum status uploader_start(struct uploader *uploader, struct error *err)
{
	enum status status =
	    thread_start(&uploader->thread, run, uploader, "upload", err);

	uploader->is_started = status == ST_OK;
	return status == ST_OK ? keeper_start(uploader->keeper, err) : status;
}

void uploader_wake(struct uploader *uploader)
{
	(void)pthread_mutex_lock(&uploader->lock);
	(void)pthread_cond_signal(&uploader->changed);
	(void)pthread_mutex_unlock(&uploader->lock);
}

static void join(struct uploader *u)
{
	if (u->is_started) {
		(void)pthread_join(u->thread, NULL);
		u->is_started = false;
	}
}

enum status uploader_finish(struct uploader *uploader, bool patient, struct error *err)
{
	struct outbox_content content;

	(void)pthread_mutex_lock(&uploader->lock);
	uploader->finishes = true;
	uploader->is_patient = patient;
	uploader->until_ns =
	    clock_mono_ns() + (patient ? PATIENCE_NS : STOP_MS * NS_PER_MS);
	(void)pthread_cond_signal(&uploader->changed);
	(void)pthread_mutex_unlock(&uploader->lock);
	if (!patient) {
		keeper_finish(uploader->keeper, false);
	}
	join(uploader);
	outbox_look(uploader->settings.outbox, &content);
	keeper_finish(uploader->keeper, content.count == 0);
	if (content.count == 0) {
		return ST_OK;
	}
	return error_set(
	    err, ST_RETRY,
	    "%zu file%s for the archive %s wait%s in the state directory, "
	    "and the next run uploads them: %s",
	    content.count, content.count == 1 ? "" : "s",
	    quote(uploader->settings.location).text, content.count == 1 ? "s" : "",
	    *uploader->failure.text ? uploader->failure.text : "it is slow");
}

void uploader_close(struct uploader *uploader)
{
	if (!uploader) {
		return;
	}
	(void)pthread_mutex_lock(&uploader->lock);
	uploader->ends = true;
	(void)pthread_cond_signal(&uploader->changed);
	(void)pthread_mutex_unlock(&uploader->lock);
	join(uploader);
	health_say(HEALTH_ARCHIVE, NULL);
	keeper_close(uploader->keeper);
	if (uploader->storage) {
		storage_close(uploader->storage);
	}
	(void)pthread_cond_destroy(&uploader->changed);
	(void)pthread_mutex_destroy(&uploader->lock);
	free(uploader);
}

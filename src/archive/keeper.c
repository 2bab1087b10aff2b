/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/archive/owner.h"
#include "src/archive/upkeep.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/storage/location.h"

#define ROUND_NS       (60 * NS_PER_S) /* between two looks at the most */
#define FIRST_PAUSE_NS NS_PER_S        /* after a failure; doubled, up to */
#define LAST_PAUSE_NS  (60 * NS_PER_S) /* this; after damage, which is read again, */
#define DAMAGE_NS      (3600 * NS_PER_S)
#define QUIET_FAILURES 2 /* that may pass before anybody has to know */
#define WATCH_NS       (100 * NS_PER_MS)
#define KEEPER_NICE    19

/* No reader of the tests needs as long. */
#ifdef KEEPER_GRACE_NS
#define GRACE_NS KEEPER_GRACE_NS
#else
#define GRACE_NS POLICY_GRACE_MIN
#endif

struct keeper {
	struct keeper_settings settings;
	bool is_started;
	pthread_t thread;

	/* The thread's. */
	struct storage *storage; /* NULL: not open */
	struct owner owner;
	struct archive_list list;
	bool is_settled;    /* its times are good enough: upkeep_settle */
	int64_t checked_ns; /* the note, monotonic */
	unsigned failures;  /* in a row */
	bool is_said;
	_Atomic bool gives_up; /* what is under way; set by any */

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	bool has_list;
	struct archive_list given; /* a new list */
	struct archive_list added; /* since the list */
	unsigned note;
	bool lists; /* again */
	bool is_held;
	bool finishes;
	bool is_patient;
	bool has_ended;
	int64_t due_ns; /* monotonic */
};

/* ---- the list ---- */

static bool is_there(const struct archive_list *list, const struct archive_file *file)
{
	for (size_t i = list->count; i > 0; i--) {
		if (archive_file_is(&list->files[i - 1], file)) {
			return true;
		}
	}
	return false;
}

/* With the lock: what was added since the last time. An upload may be in a list that
 * was made meanwhile. */
static enum status take_added(struct keeper *k, struct error *err)
{
	enum status status = ST_OK;
	size_t before = k->list.count;

	for (size_t i = 0; status == ST_OK && i < k->added.count; i++) {
		if (!is_there(&k->list, &k->added.files[i])) {
			status = archive_list_add(&k->list, &k->added.files[i], err);
		}
	}
	if (status == ST_OK) {
		k->added.count = 0;
	}
	if (k->list.count > before) {
		archive_list_sort(&k->list);
	}
	return status;
}

/* With the lock. */
static void take_given(struct keeper *k)
{
	archive_list_clear(&k->list);
	k->list = k->given;
	k->list.storage = k->storage;
	k->given = (struct archive_list){0};
	k->is_settled = false;
}

static void let_go(struct keeper *k)
{
	storage_close(k->storage);
	k->storage = NULL;
	(void)pthread_mutex_lock(&k->lock);
	k->lists = true;
	(void)pthread_mutex_unlock(&k->lock);
}

static enum status connect(struct keeper *k, struct error *err)
{
	enum status status;

	if (k->storage && storage_check(k->storage, err) != ST_OK) {
		let_go(k);
	}
	status = k->storage
		     ? ST_OK
		     : location_open_to_write(k->settings.location, k->settings.storage,
					      false, &k->storage, err);

	if (status != ST_OK) {
		k->storage = NULL;
		return status;
	}
	k->list.storage = k->storage;
	k->owner.storage = k->storage;
	return ST_OK;
}

/* The list is what the archive has. */
static enum status know(struct keeper *k, struct error *err)
{
	bool lists;
	enum status status = connect(k, err);

	if (status != ST_OK) {
		return status;
	}
	(void)pthread_mutex_lock(&k->lock);
	if (k->given.files) {
		take_given(k);
	}
	k->owner.number = k->note;
	lists = k->lists;
	(void)pthread_mutex_unlock(&k->lock);
	if (lists) {
		archive_list_clear(&k->list);
		k->is_settled = false;
		status = storage_list(k->storage, &k->list, err);
	}
	(void)pthread_mutex_lock(&k->lock);
	k->lists = k->lists && status != ST_OK;
	if (status == ST_OK) {
		status = take_added(k, err);
	}
	(void)pthread_mutex_unlock(&k->lock);
	return status;
}

static enum status check_owner(struct keeper *k, struct error *err)
{
	enum status status = ST_OK;

	if (k->checked_ns == 0 || clock_mono_ns() - k->checked_ns > ROUND_NS) {
		status = owner_check(&k->owner, err);
		k->checked_ns = status == ST_OK ? clock_mono_ns() : k->checked_ns;
	}
	if (status == ST_CONFIG) {
		k->settings.fail(k->settings.context, err);
		return ST_STOPPED;
	}
	return status;
}

/* ---- what is due ---- */

static void tell(void *context, const struct archive_file *file, bool is_removed)
{
	(void)context;
	FAULT_POINT("keeper-told");
	log_debug("archive: %s was %s, %llu bytes", archive_name(file).text,
		  is_removed ? "removed" : "made", (unsigned long long)file->size);
}

static bool gives_up(void *context)
{
	const struct keeper *k = context;

	return k->gives_up;
}

/* The next thing that is to be made. ST_END: nothing is. */
static enum status make_next(struct keeper *k, struct upkeep *upkeep, struct error *err)
{
	enum status status = know(k, err);

	if (status == ST_OK && !k->is_settled) {
		status = upkeep_settle(upkeep, err);
		k->is_settled = status == ST_OK;
	}
	if (status == ST_OK && k->gives_up) {
		return error_set(err, ST_STOPPED, "interrupted");
	}
	return status == ST_OK ? upkeep_compact(upkeep, clock_wall_ns(), err) : status;
}

/* All that is due. What is damaged stops no removal of what others have. */
static enum status work(struct keeper *k, struct error *err)
{
	struct upkeep upkeep = {.list = &k->list,
				.policy = &k->settings.policy,
				.stops = gives_up,
				.told = tell,
				.context = k};
	struct error other;
	enum status removed;
	enum status status = know(k, err);

	upkeep.storage = k->storage;
	if (status == ST_OK) {
		status = check_owner(k, err);
	}
	while (status == ST_OK) {
		status = make_next(k, &upkeep, err);
	}
	if (status != ST_END && status != ST_CORRUPT) {
		return status;
	}
	removed = upkeep_remove(&upkeep, clock_wall_ns(), &other);
	if (status == ST_CORRUPT) {
		return status;
	}
	*err = other;
	return removed;
}

/* ---- when ---- */

/* When the wall clock passes the next multiple of the shortest interval. */
static int64_t next_round(const struct policy *policy)
{
	int64_t round_ns = policy->level_count > 0   ? policy->level_ns[0]
			   : policy->snapshot_ns > 0 ? policy->snapshot_ns
						     : ROUND_NS;

	round_ns = round_ns < ROUND_NS ? round_ns : ROUND_NS;
	return clock_mono_ns() + round_ns - clock_wall_ns() % round_ns;
}

static int64_t pause_after(enum status status, unsigned failures)
{
	int64_t most = status == ST_CORRUPT ? DAMAGE_NS : LAST_PAUSE_NS;
	int64_t pause = FIRST_PAUSE_NS;

	for (unsigned i = 1; i < failures && pause < most; i++) {
		pause *= 2;
	}
	return pause < most ? pause : most;
}

static void say(struct keeper *k, enum status status, const struct error *err,
		bool is_last)
{
	/* What the archive lacks may just be on its way there. */
	bool may_pass = status != ST_CONFIG && status != ST_NOMEM;

	if (k->is_said || (may_pass && !is_last && k->failures <= QUIET_FAILURES)) {
		return;
	}
	log_warn("files of the archive %s are not merged or removed as is due: %s; %s",
		 quote(k->settings.location).text, err->text,
		 is_last ? "the next run tries it" : "it is tried again");
	k->is_said = true;
}

/* A round has ended: what is said of it, and when the next one is. */
static void end_round(struct keeper *k, enum status status, const struct error *err)
{
	bool has_failed = status != ST_OK && status != ST_STOPPED;
	bool is_last;

	(void)pthread_mutex_lock(&k->lock);
	is_last = k->finishes;
	k->failures = has_failed ? k->failures + 1 : 0;
	k->due_ns = has_failed ? clock_mono_ns() + pause_after(status, k->failures)
			       : next_round(&k->settings.policy);
	k->lists = k->lists || status == ST_LOST || status == ST_CONFIG;
	(void)pthread_mutex_unlock(&k->lock);
	if (has_failed) {
		say(k, status, err, is_last);
	} else if (status == ST_OK && k->is_said) {
		log_info("files of the archive %s are merged and removed again",
			 quote(k->settings.location).text);
		k->is_said = false;
	}
}

/* With the lock: is something to be looked at now? */
static bool is_due(const struct keeper *k)
{
	if (!k->has_list || k->is_held) {
		return false;
	}
	return clock_mono_ns() >= k->due_ns ||
	       (k->failures == 0 && k->added.count >= POLICY_FILES);
}

/* With the lock. */
static void wait_until_due(struct keeper *k)
{
	struct timespec t = clock_timespec(k->due_ns);

	if (!k->has_list || k->is_held) {
		(void)pthread_cond_wait(&k->changed, &k->lock);
	} else {
		(void)pthread_cond_timedwait(&k->changed, &k->lock, &t);
	}
}

static void *run(void *context)
{
	struct keeper *k = context;

	(void)prctl(PR_SET_NAME, "upkeep");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), KEEPER_NICE);
	(void)pthread_mutex_lock(&k->lock);
	while (!k->gives_up) {
		bool is_last = k->finishes;

		if (is_last ? k->has_list && !k->is_held : is_due(k)) {
			struct error err;
			enum status status;

			(void)pthread_mutex_unlock(&k->lock);
			status = work(k, &err);
			end_round(k, status, &err);
			(void)pthread_mutex_lock(&k->lock);
		}
		if (is_last) {
			break;
		}
		if (!k->finishes && !is_due(k)) {
			wait_until_due(k);
		}
	}
	k->has_ended = true;
	(void)pthread_cond_broadcast(&k->changed);
	(void)pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* ---- open and close ---- */

enum status keeper_open(const struct keeper_settings *settings, struct keeper **out,
			struct error *err)
{
	struct keeper *k = calloc(1, sizeof *k);

	if (!k) {
		return error_no_memory(err, "the archive");
	}
	k->settings = *settings;
	k->settings.policy.grace_ns = GRACE_NS;
	k->owner = (struct owner){.writer = settings->writer,
				  .location = settings->location,
				  .is_ours = true};
	(void)pthread_mutex_init(&k->lock, NULL);
	thread_cond_init(&k->changed);
	*out = k;
	return ST_OK;
}

enum status keeper_start(struct keeper *keeper, struct error *err)
{
	enum status status = thread_start(&keeper->thread, run, keeper, "upkeep", err);

	keeper->is_started = status == ST_OK;
	return status;
}

void keeper_take_list(struct keeper *keeper, struct archive_list *list, unsigned note)
{
	(void)pthread_mutex_lock(&keeper->lock);
	archive_list_clear(&keeper->given);
	keeper->given = *list;
	keeper->added.count = 0;
	keeper->has_list = true;
	keeper->note = note;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	*list = (struct archive_list){0};
}

void keeper_add(struct keeper *keeper, const struct archive_file *file)
{
	struct archive_file added = *file;
	struct error ignored;

	added.stored_ns = clock_wall_ns();
	added.time_is_rough = false;
	(void)pthread_mutex_lock(&keeper->lock);
	if (archive_list_add(&keeper->added, &added, &ignored) != ST_OK) {
		keeper->lists = true;
	}
	if (keeper->added.count >= POLICY_FILES) {
		(void)pthread_cond_broadcast(&keeper->changed);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
}

void keeper_hold(struct keeper *keeper, bool holds)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->is_held = holds;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

/* With the lock: until the thread has ended, or a stop. */
static void wait_patiently(struct keeper *k)
{
	while (!k->has_ended && !*k->settings.stop) {
		struct timespec t = clock_timespec(clock_mono_ns() + WATCH_NS);

		(void)pthread_cond_timedwait(&k->changed, &k->lock, &t);
	}
}

void keeper_finish(struct keeper *keeper, bool patient)
{
	if (!keeper->is_started) {
		return;
	}
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->finishes = true;
	keeper->gives_up = !patient;
	(void)pthread_cond_broadcast(&keeper->changed);
	if (patient) {
		wait_patiently(keeper);
		keeper->gives_up = true;
	}
	(void)pthread_mutex_unlock(&keeper->lock);
	(void)pthread_join(keeper->thread, NULL);
	keeper->is_started = false;
}

void keeper_close(struct keeper *keeper)
{
	if (!keeper) {
		return;
	}
	keeper_finish(keeper, false);
	if (keeper->storage) {
		storage_close(keeper->storage);
	}
	archive_list_clear(&keeper->list);
	archive_list_clear(&keeper->given);
	archive_list_clear(&keeper->added);
	(void)pthread_cond_destroy(&keeper->changed);
	(void)pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

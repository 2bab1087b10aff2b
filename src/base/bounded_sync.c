/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/bounded_sync.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/thread.h"

struct bounded_sync {
	pthread_t thread;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	int fd; /* to be synced; -1: nothing to do */
	bool has_failed;
	bool stops;
};

static void *run(void *context)
{
	struct bounded_sync *sync = context;

	(void)prctl(PR_SET_NAME, "sync");
	(void)pthread_mutex_lock(&sync->lock);
	for (;;) {
		bool is_synced;

		while (sync->fd < 0 && !sync->stops) {
			(void)pthread_cond_wait(&sync->changed, &sync->lock);
		}
		if (sync->fd < 0) {
			break;
		}
		(void)pthread_mutex_unlock(&sync->lock);
		is_synced = fdatasync(sync->fd) == 0;
		(void)pthread_mutex_lock(&sync->lock);
		sync->has_failed = sync->has_failed || !is_synced;
		sync->fd = -1;
		(void)pthread_cond_broadcast(&sync->changed);
	}
	(void)pthread_mutex_unlock(&sync->lock);
	return NULL;
}

enum status bounded_sync_open(struct bounded_sync **out, struct error *err)
{
	struct bounded_sync *sync = calloc(1, sizeof *sync);
	enum status status;

	if (!sync) {
		return error_no_memory(err, "syncs");
	}
	sync->fd = -1;
	(void)pthread_mutex_init(&sync->lock, NULL);
	thread_cond_init(&sync->changed);
	status = thread_start(&sync->thread, run, sync, "sync", err);
	if (status != ST_OK) {
		(void)pthread_cond_destroy(&sync->changed);
		(void)pthread_mutex_destroy(&sync->lock);
		free(sync);
		return status;
	}
	*out = sync;
	return ST_OK;
}

void bounded_sync_close(struct bounded_sync *sync)
{
	if (!sync) {
		return;
	}
	(void)pthread_mutex_lock(&sync->lock);
	sync->stops = true;
	(void)pthread_cond_broadcast(&sync->changed);
	(void)pthread_mutex_unlock(&sync->lock);
	(void)pthread_join(sync->thread, NULL);
	(void)pthread_cond_destroy(&sync->changed);
	(void)pthread_mutex_destroy(&sync->lock);
	free(sync);
}

/* Wait until the thread has nothing to do; false: not by `until_ns`. The lock is held.
 */
static bool await_idle(struct bounded_sync *sync, int64_t until_ns)
{
	struct timespec until = clock_timespec(until_ns);

	while (sync->fd >= 0 && clock_mono_ns() < until_ns) {
		(void)pthread_cond_timedwait(&sync->changed, &sync->lock, &until);
	}
	return sync->fd < 0;
}

enum sync_result bounded_sync_run(struct bounded_sync *sync, int fd, int64_t until_ns,
				  int64_t *took_ns)
{
	enum sync_result result = SYNC_LATE;

	*took_ns = 0;
	(void)pthread_mutex_lock(&sync->lock);
	if (await_idle(sync, until_ns)) {
		int64_t start = clock_mono_ns();

		sync->fd = fd;
		(void)pthread_cond_broadcast(&sync->changed);
		if (await_idle(sync, until_ns)) {
			result = sync->has_failed ? SYNC_FAILED : SYNC_DONE;
		}
		*took_ns = clock_mono_ns() - start;
	}
	(void)pthread_mutex_unlock(&sync->lock);
	return result;
}

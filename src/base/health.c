/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/utf8.h"

#define WHY_BYTES 1024

struct trouble {
	int64_t since_ns; /* monotonic; 0: there is none */
	char why[WHY_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the troubles */
static struct trouble troubles[HEALTH_PARTS];
static _Atomic int64_t beat_ns;
/* Monotonic; 0: there is nothing. */
static _Atomic int64_t oldest_ns;
static _Atomic int64_t snapshot_ns; /* when it went on last */

void health_say(enum health_part part, const char *why)
{
	struct trouble *t = &troubles[part];

	(void)pthread_mutex_lock(&lock);
	if (!why) {
		t->since_ns = 0;
	} else {
		t->since_ns = t->since_ns > 0 ? t->since_ns : clock_mono_ns();
		(void)snprintf(t->why, sizeof t->why, "%s", why);
		utf8_make_safe(t->why);
	}
	(void)pthread_mutex_unlock(&lock);
}

void health_beat(void)
{
	atomic_store_explicit(&beat_ns, clock_mono_ns(), memory_order_relaxed);
}

void health_beat_on(void)
{
	if (atomic_load_explicit(&beat_ns, memory_order_relaxed) > 0) {
		health_beat();
	}
}

void health_no_beat(void)
{
	atomic_store_explicit(&beat_ns, 0, memory_order_relaxed);
}

/* It may be older than the machine's run, of which 0 is the begin. */
void health_oldest(int64_t captured_ns)
{
	int64_t since_ns = 0;

	if (captured_ns != 0) {
		int64_t age_ns = clock_wall_ns() - captured_ns;

		since_ns = clock_mono_ns() - (age_ns > 0 ? age_ns : 0);
		since_ns = since_ns == 0 ? 1 : since_ns;
	}
	atomic_store_explicit(&oldest_ns, since_ns, memory_order_relaxed);
}

void health_snapshot(bool is_going)
{
	atomic_store_explicit(&snapshot_ns, is_going ? clock_mono_ns() : 0,
			      memory_order_relaxed);
}

void health_goes_on(void)
{
	if (atomic_load_explicit(&snapshot_ns, memory_order_relaxed) != 0) {
		health_snapshot(true);
	}
}

/* Since a time that may be 0: not at all. */
static int64_t age_ns(const _Atomic int64_t *since_ns)
{
	int64_t since = atomic_load_explicit(since_ns, memory_order_relaxed);
	int64_t now_ns = clock_mono_ns();

	return since != 0 && now_ns > since ? now_ns - since : 0;
}

int64_t health_beat_age_ns(void)
{
	return age_ns(&beat_ns);
}

int64_t health_lag_ns(void)
{
	return age_ns(&oldest_ns);
}

/* The lock is held. */
static bool is_too_long(const struct trouble *t, int64_t most_ns)
{
	return t->since_ns > 0 && clock_mono_ns() - t->since_ns >= most_ns;
}

static bool has_trouble(int64_t most_ns, char *why, size_t why_size)
{
	static const char *const names[HEALTH_PARTS] = {
	    [HEALTH_RUN] = "not following",
	    [HEALTH_CAPTURE] = "nothing is captured",
	    [HEALTH_SINK] = "the sink takes nothing",
	    [HEALTH_ARCHIVE] = "the archive is away"};
	bool is_found = false;

	(void)pthread_mutex_lock(&lock);
	for (int i = 0; !is_found && i < HEALTH_PARTS; i++) {
		const struct trouble *t = &troubles[i];

		is_found = is_too_long(t, i == HEALTH_RUN ? 0 : most_ns);
		if (is_found) {
			(void)snprintf(why, why_size, "%s for %.1f s: %s", names[i],
				       (double)(clock_mono_ns() - t->since_ns) /
					   (double)NS_PER_S,
				       t->why);
		}
	}
	(void)pthread_mutex_unlock(&lock);
	return is_found;
}

bool health_is_well(int64_t most_ns, char *why, size_t why_size)
{
	const struct {
		const char *what;
		int64_t age_ns;
	} ages[] = {
	    {"the capture thread has not looked at the WAL", health_beat_age_ns()},
	    {"the snapshot has not gone on", age_ns(&snapshot_ns)},
	    {"the oldest transaction has waited for the sink", health_lag_ns()},
	};

	if (has_trouble(most_ns, why, why_size)) {
		return false;
	}
	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
		if (ages[i].age_ns >= most_ns) {
			(void)snprintf(why, why_size, "%s for %.1f s", ages[i].what,
				       (double)ages[i].age_ns / (double)NS_PER_S);
			return false;
		}
	}
	return true;
}

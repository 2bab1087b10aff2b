/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/log.h"
#include "src/base/quote.h"

#define BLIND_NS (2 * NS_PER_MS) /* longest sleep without inotify */

struct wal_watch {
	int wake_fd;
	int inotify_fd; /* -1: no inotify */
	int shm_watch;  /* its number; nobody writes to that file but through memory */
	bool names_changed; /* since it was asked for */
	bool was_closed;    /* likewise */
	bool has_drained;   /* since the last wait */
	int64_t heard_ns;   /* when something was last told */
};

/* A name that is removed changes the count of links, which is an attribute. */
#define NAME_EVENTS (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)

static void add_watches(struct wal_watch *watch, const char *db_path,
			const char *wal_path, const char *shm_path)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int reason;

	if (fd >= 0) {
		watch->shm_watch =
		    inotify_add_watch(fd, shm_path, IN_MODIFY | NAME_EVENTS);
	}
	if (fd >= 0 &&
	    (watch->shm_watch < 0 ||
	     inotify_add_watch(fd, wal_path, IN_MODIFY | NAME_EVENTS) < 0 ||
	     inotify_add_watch(fd, db_path, IN_MODIFY | IN_CLOSE_WRITE | NAME_EVENTS) <
		 0)) {
		reason = errno;
		(void)close(fd);
		fd = -1;
		errno = reason;
	}
	if (fd < 0) {
		log_warn("no inotify watch on %s (%s): looking every %d ms instead",
			 quote(wal_path).text,
			 errno == EMFILE   ? "too many open files: ulimit -n, or the "
					     "sysctl fs.inotify.max_user_instances"
			 : errno == ENOSPC ? "the sysctl fs.inotify.max_user_watches "
					     "is reached"
					   : error_reason(errno).text,
			 (int)(BLIND_NS / NS_PER_MS));
	}
	watch->inotify_fd = fd;
}

enum status wal_watch_open(const char *db_path, const char *wal_path,
			   const char *shm_path, struct wal_watch **out,
			   struct error *err)
{
	struct wal_watch *watch = calloc(1, sizeof *watch);
	enum status status;

	if (!watch) {
		return error_no_memory(err, "watching the WAL");
	}
	status = event_fd_open(&watch->wake_fd, err);
	if (status != ST_OK) {
		free(watch);
		return status;
	}
	add_watches(watch, db_path, wal_path, shm_path);
	watch->heard_ns = clock_mono_ns();
	*out = watch;
	return ST_OK;
}

void wal_watch_close(struct wal_watch *watch)
{
	if (watch) {
		event_fd_close(watch->wake_fd);
		if (watch->inotify_fd >= 0) {
			(void)close(watch->inotify_fd);
		}
		free(watch);
	}
}

/* Poll the first `total` of wake and inotify; true when the latter is readable. */
static bool sleep_on(struct wal_watch *watch, nfds_t total, int64_t ns)
{
	struct pollfd fds[2] = {{.fd = watch->wake_fd, .events = POLLIN},
				{.fd = watch->inotify_fd, .events = POLLIN}};
	struct timespec t = clock_timespec(ns);
	int ready = ppoll(fds, total, &t, NULL);

	if (ready < 0 && errno != EINTR) { /* too few descriptors are allowed */
		clock_sleep_ns(ns < BLIND_NS ? ns : BLIND_NS);
	}
	if (ready <= 0) {
		return false;
	}
	if (fds[0].revents != 0) {
		event_fd_clear(watch->wake_fd);
	}
	return fds[1].revents != 0;
}

void wal_watch_sleep(struct wal_watch *watch, int64_t ns)
{
	(void)sleep_on(watch, 1, ns);
}

bool wal_watch_wait(struct wal_watch *watch, int64_t ns)
{
	if (watch->inotify_fd < 0) {
		(void)sleep_on(watch, 1, ns < BLIND_NS ? ns : BLIND_NS);
		return false;
	}
	watch->has_drained = false;
	if (!sleep_on(watch, 2, ns)) {
		return false;
	}
	wal_watch_drain(watch);
	watch->has_drained = false; /* there is a look after this */
	return true;
}

static void note_events(struct wal_watch *watch, const char *events, size_t len)
{
	struct inotify_event event;

	for (size_t at = 0; at + sizeof event <= len; at += sizeof event + event.len) {
		memcpy(&event, events + at, sizeof event);
		if (event.mask & (NAME_EVENTS | IN_Q_OVERFLOW) ||
		    event.wd == watch->shm_watch) {
			watch->names_changed = true;
		}
		if (event.mask & IN_CLOSE_WRITE) {
			watch->was_closed = true;
		}
	}
}

void wal_watch_drain(struct wal_watch *watch)
{
	char events[4096];
	ssize_t len = watch->inotify_fd >= 0 ? (ssize_t)sizeof events : 0;

	while (len == (ssize_t)sizeof events) {
		len = read(watch->inotify_fd, events, sizeof events);
		if (len > 0) {
			watch->has_drained = true;
			watch->heard_ns = clock_mono_ns();
			note_events(watch, events, (size_t)len);
		}
	}
}

bool wal_watch_has_drained(const struct wal_watch *watch)
{
	return watch->has_drained;
}

bool wal_watch_was_closed(struct wal_watch *watch)
{
	bool was_closed = watch->was_closed;

	watch->was_closed = false;
	return was_closed;
}

bool wal_watch_names_changed(struct wal_watch *watch)
{
	bool have_changed = watch->names_changed;

	watch->names_changed = false;
	return have_changed;
}

int64_t wal_watch_heard_ns(const struct wal_watch *watch)
{
	return watch->heard_ns;
}

bool wal_watch_is_blind(const struct wal_watch *watch)
{
	return watch->inotify_fd < 0;
}

void wal_watch_wake(struct wal_watch *watch)
{
	event_fd_wake(watch->wake_fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "src/base/quote.h"
#include "src/capture/db_users.h"
#include "src/capture/process_book.h"

/* Of linux/fanotify.h, where that is older. */
#ifndef FAN_REPORT_PIDFD
#define FAN_REPORT_PIDFD          0x00000080
#define FAN_EVENT_INFO_TYPE_PIDFD 4
#endif

/* struct fanotify_event_info_pidfd behind the event. */
struct pidfd_info {
	uint8_t type;
	uint8_t pad;
	uint16_t len;
	int32_t pidfd;
};

/*
 * One event a read: of a later one for which no descriptor can be had, the kernel would
 * not say that it is lost.
 */
struct one_event {
	struct fanotify_event_metadata metadata;
	struct pidfd_info info;
};

struct wal_events {
	int fd;
	uint32_t self;
	int shm_fd;             /* borrowed */
	struct wal_index index; /* borrowed */
	struct process_book book;
	struct wal_writers_source source;
	struct wal_writers writers;
};

/* ---- opening ---- */

static enum status refuse(int reason, struct error *err)
{
	switch (reason) {
	case EPERM:
		return error_set(
		    err, ST_CONFIG,
		    "audit.process=true needs CAP_SYS_ADMIN: start as root, give it "
		    "with "
		    "AmbientCapabilities=CAP_SYS_ADMIN in the unit or setcap "
		    "cap_sys_admin+ep on the program, outside of containers; or leave "
		    "it out");
	case EINVAL:
	case ENOSYS:
		return error_set(err, ST_CONFIG,
				 "audit.process=true needs a kernel with fanotify and "
				 "FAN_REPORT_PIDFD (Linux 5.15); leave it out");
	case EMFILE:
		return error_set(err, ST_CONFIG,
				 "audit.process=true: no more fanotify groups or open "
				 "files are allowed: raise ulimit -n, or the sysctl "
				 "fs.fanotify.max_user_groups");
	default:
		return error_set(err, ST_CONFIG,
				 "audit.process=true: the kernel gives no fanotify: "
				 "%s; leave it out",
				 error_reason(reason).text);
	}
}

static int open_group(void)
{
	return fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK |
				 FAN_REPORT_PIDFD,
			     O_RDONLY | O_CLOEXEC);
}

enum status wal_events_check(struct error *err)
{
	int fd = open_group();

	if (fd < 0) {
		return refuse(errno, err);
	}
	(void)close(fd);
	return ST_OK;
}

/* ---- the source ---- */

static bool may_go_on(const struct one_event *event, ssize_t len)
{
	return len >= (ssize_t)sizeof event->metadata &&
	       event->metadata.vers == FANOTIFY_METADATA_VERSION;
}

/* The pidfd that came with it; below 0: the process has ended, or there is none. */
static int pidfd_of(const struct one_event *event, ssize_t len)
{
	return len == (ssize_t)sizeof *event &&
		       event->info.type == FAN_EVENT_INFO_TYPE_PIDFD
		   ? event->info.pidfd
		   : -1;
}

static void note(struct wal_events *e, const struct one_event *event, ssize_t len,
		 struct wal_writers *into)
{
	uint32_t pid = event->metadata.pid > 0 ? (uint32_t)event->metadata.pid : 0;
	int pidfd = pidfd_of(event, len);
	struct writer *writer = NULL;

	if (event->metadata.fd >= 0) {
		(void)close(event->metadata.fd);
	}
	if (event->metadata.mask & FAN_Q_OVERFLOW) {
		wal_writers_miss(into);
		return;
	}
	if (pid == e->self) { /* our checkpoints cut it, but commit nothing */
		if (pidfd >= 0) {
			(void)close(pidfd);
		}
		return;
	}
	writer = process_book_find(&e->book, pid, pidfd);
	if (writer) {
		wal_writers_add(into, writer);
	} else {
		wal_writers_miss(into);
	}
	writer_drop(writer);
}

static void drain(void *context, struct wal_writers *into)
{
	struct wal_events *e = context;

	for (;;) {
		struct one_event event;
		ssize_t len = read(e->fd, &event, sizeof event);

		if (len < 0 && errno == EINTR) {
			continue;
		}
		if (len < 0 && errno == EAGAIN) {
			return;
		}
		if (!may_go_on(&event, len)) {
			wal_writers_miss(into);
			return;
		}
		note(e, &event, len, into);
	}
}

static bool is_writing(void *context)
{
	return db_is_written(((struct wal_events *)context)->shm_fd);
}

static bool look(void *context, struct wal_index_header *out)
{
	return wal_index_read(&((struct wal_events *)context)->index, out);
}

enum status wal_events_open(const struct db_handles *db, struct wal_events **out,
			    struct error *err)
{
	struct wal_events *e = calloc(1, sizeof *e);
	int reason;

	if (!e) {
		return error_no_memory(err, "watching who writes");
	}
	e->fd = open_group();
	if (e->fd < 0 ||
	    fanotify_mark(e->fd, FAN_MARK_ADD, FAN_MODIFY, db->wal_fd, NULL) != 0) {
		reason = errno;
		if (e->fd >= 0) {
			(void)close(e->fd);
		}
		free(e);
		(void)refuse(reason, err);
		return error_wrap(err, "%s", quote(db->wal_path).text);
	}
	e->self = (uint32_t)getpid();
	e->shm_fd = db->shm_fd >= 0 ? db->shm_fd : db->names.shm_fd;
	e->index = db->index;
	process_book_init(&e->book);
	e->source = (struct wal_writers_source){
	    .drain = drain, .is_writing = is_writing, .look = look, .context = e};
	wal_writers_init(&e->writers, &e->source);
	*out = e;
	return ST_OK;
}

void wal_events_close(struct wal_events *events)
{
	if (events) {
		wal_writers_clear(&events->writers);
		process_book_clear(&events->book);
		(void)close(events->fd);
		free(events);
	}
}

struct wal_writers *wal_events_writers(struct wal_events *events)
{
	return events ? &events->writers : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/stdout_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/line_batch.h"
#include "sinks/sink_settings.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/standard_fds.h"

/* A signal may come just before poll(2); the stop flag is seen this much later. */
#define STOP_POLL_MS 200

enum outlet {
	OUTLET_FILE,     /* never waits for a reader: files, devices */
	OUTLET_NONBLOCK, /* write says EAGAIN */
	OUTLET_SOCKET,   /* send with MSG_DONTWAIT */
	OUTLET_BLOCKING, /* poll, then no more than fits for certain */
};

struct stdout_sink {
	struct sink sink; /* first */
	int fd;           /* what is written to */
	int given_fd;
	enum outlet outlet;
	bool has_reader; /* that can go away */
	bool is_terminal;
	bool has_begun;        /* something was written */
	bool is_inside_line;   /* what was written last has no line end */
	uint64_t inside_bytes; /* of that line, of those that were written */
	const _Atomic int *stop;
	bool has_state; /* a later run goes on */
	enum status (*acknowledged)(void *context, bool durable, struct error *err);
	void *context;
	int64_t deadline_ns; /* monotonic; 0: no stop seen yet */
	struct line_batch batch;
};

/* ---- writing ---- */

/* ST_STOPPED once the time for finishing is over. */
static enum status stop_check(struct stdout_sink *s, struct error *err)
{
	int64_t now_ns;

	if (!s->stop || !*s->stop) {
		return ST_OK;
	}
	now_ns = clock_mono_ns();
	if (s->deadline_ns == 0) {
		s->deadline_ns = now_ns + STDOUT_STOP_TIMEOUT_NS;
	}
	if (now_ns < s->deadline_ns) {
		return ST_OK;
	}
	return error_set(err, ST_STOPPED,
			 "stopped while the reader of standard output took nothing");
}

/* Wait until the reader takes something or has gone. */
static enum status wait_writable(struct stdout_sink *s, struct error *err)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	int n;

	do {
		enum status status = stop_check(s, err);

		if (status != ST_OK) {
			return status;
		}
		n = poll(&p, 1, STOP_POLL_MS);
		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			return error_set_errno(err, errno, "standard output: poll");
		}
	} while (n <= 0);
	return ST_OK;
}

/* The place, for messages about a write that ended inside a line. */
struct cut_text {
	char text[80];
};

static struct cut_text describe_cut(const struct stdout_sink *s)
{
	struct cut_text out = {""};

	if (s->is_inside_line) {
		(void)snprintf(out.text, sizeof out.text,
			       ", inside a line of which %" PRIu64 " bytes are written",
			       s->inside_bytes);
	}
	return out;
}

static enum status write_failed(const struct stdout_sink *s, int sys_errno,
				struct error *err)
{
	if (sys_errno == EPIPE || sys_errno == ECONNRESET ||
	    (sys_errno == EIO && s->is_terminal)) {
		return error_set(err, ST_CLOSED,
				 "the reader of standard output went away");
	}
	if (s->is_inside_line) {
		return error_set_errno(err, sys_errno, "standard output%s",
				       describe_cut(s).text);
	}
	return error_set_errno(err, sys_errno, "standard output");
}

static ssize_t write_some(const struct stdout_sink *s, const char *bytes, size_t len)
{
	if (s->outlet == OUTLET_SOCKET) {
		return send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	/* A pipe that polls as writable takes PIPE_BUF bytes without blocking. */
	if (s->outlet == OUTLET_BLOCKING && len > PIPE_BUF) {
		len = PIPE_BUF;
	}
	return write(s->fd, bytes, len);
}

/* Count what was written, and where its last line stands. */
static void note_written(struct stdout_sink *s, const char *bytes, size_t len)
{
	const char *last = len > 0 ? memrchr(bytes, '\n', len) : NULL;
	size_t behind = last ? (size_t)(bytes + len - last) - 1 : len;

	s->inside_bytes = last ? behind : s->inside_bytes + behind;
	s->is_inside_line = s->inside_bytes > 0;
}

static enum status write_all(struct stdout_sink *s, const char *bytes, size_t len,
			     size_t *done, struct error *err)
{
	enum status status = ST_OK;
	bool must_wait = s->outlet == OUTLET_BLOCKING;

	while (len > 0) {
		ssize_t n;

		status = must_wait ? wait_writable(s, err) : ST_OK;
		if (status != ST_OK) {
			return status;
		}
		must_wait = s->outlet == OUTLET_BLOCKING;
		n = write_some(s, bytes, len);
		if (n >= 0) {
			FAULT_POINT("stdout-written");
			note_written(s, bytes, (size_t)n);
			bytes += n;
			len -= (size_t)n;
			*done += (size_t)n;
		} else if (errno == EAGAIN) {
			must_wait = true;
		} else if (errno != EINTR) {
			return write_failed(s, errno, err);
		}
	}
	return ST_OK;
}

/* Whole lines in what was written of a batch that was not. */
static uint64_t count_lines(const char *bytes, size_t len)
{
	uint64_t lines = 0;
	const char *end;

	while ((end = memchr(bytes, '\n', len)) != NULL) {
		len -= (size_t)(end + 1 - bytes);
		bytes = end + 1;
		lines++;
	}
	return lines;
}

/* Does what is in the file, up to where writing goes on, end inside a line? What cannot
 * be read is taken to be whole. */
static bool file_ends_inside_line(int fd)
{
	char path[64];
	char last = '\n';
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	off_t end;
	int again;

	if (flags < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		return false;
	}
	end = flags & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = end > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (again >= 0) {
		(void)!file_read_at(again, &last, 1, end - 1);
		(void)close(again);
	}
	return last != '\n';
}

/* What is written first begins a line. */
static enum status begin_line(struct stdout_sink *s, struct error *err)
{
	size_t done = 0;
	enum status status;

	if (s->outlet == OUTLET_FILE) {
		s->is_inside_line = file_ends_inside_line(s->fd);
	}
	if (!s->is_inside_line) {
		s->has_begun = true;
		return ST_OK;
	}
	status = write_all(s, "\n", 1, &done, err);
	if (status == ST_OK) {
		s->has_begun = true;
		log_warn("standard output ended inside a line, which an earlier run "
			 "left; goes on with a new one");
	}
	return status;
}

/* A reader that went away needs no word. */
static void say_cut(const struct stdout_sink *s, enum status status)
{
	if (status == ST_STOPPED && s->has_begun && s->is_inside_line) {
		log_warn("stopped while the reader of standard output took nothing%s; "
			 "%s",
			 describe_cut(s).text,
			 s->has_state ? "it comes again, whole, at the next start"
				      : "drop what has no line end");
	}
}

static enum status write_lines(void *context, const char *bytes, size_t len,
			       struct error *err)
{
	struct stdout_sink *s = context;
	size_t done = 0;
	enum status status = s->has_begun ? ST_OK : begin_line(s, err);

	if (status == ST_OK) {
		status = write_all(s, bytes, len, &done, err);
	}
	if (status != ST_OK) {
		s->batch.written += count_lines(bytes, done);
		say_cut(s, status);
	}
	return status;
}

/* Tell the owner when more lines were written. */
static enum status tell(struct stdout_sink *s, uint64_t before, enum status status,
			struct error *err)
{
	if (status == ST_OK && s->has_state && s->batch.written != before) {
		return s->acknowledged(s->context, false, err);
	}
	return status;
}

static enum status stdout_flush(struct sink *sink, struct error *err)
{
	struct stdout_sink *s = (struct stdout_sink *)sink;
	uint64_t before = s->batch.written;

	return tell(s, before, line_batch_flush(&s->batch, err), err);
}

static enum status stdout_put(struct sink *sink, const struct message *message,
			      struct error *err)
{
	struct stdout_sink *s = (struct stdout_sink *)sink;
	uint64_t before = s->batch.written;

	return tell(s, before, line_batch_put(&s->batch, message, err), err);
}

/* A line is a message, as tombstones come with records only. */
static struct sink_count stdout_count(const struct sink *sink)
{
	const struct line_batch *batch = &((const struct stdout_sink *)sink)->batch;

	return (struct sink_count){.put = batch->written + batch->lines,
				   .acknowledged = batch->written};
}

bool stdout_sink_is_inside_line(const struct sink *sink)
{
	return ((const struct stdout_sink *)sink)->is_inside_line;
}

/* ---- open and close ---- */

static int stdout_watch_fd(const struct sink *sink)
{
	const struct stdout_sink *s = (const struct stdout_sink *)sink;

	return s->has_reader ? s->fd : -1;
}

static void stdout_close(struct sink *sink)
{
	struct stdout_sink *s = (struct stdout_sink *)sink;

	if (s->fd != s->given_fd) {
		(void)close(s->fd);
	}
	free(s);
}

/* The same pipe or terminal with flags of our own; -1 if that cannot be had. */
static int open_again(int fd, const struct stat *given)
{
	char path[64];
	struct stat st;
	int again;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again >= 0 && (fstat(again, &st) != 0 || st.st_dev != given->st_dev ||
			   st.st_ino != given->st_ino)) {
		(void)close(again);
		again = -1;
	}
	return again;
}

static enum status choose_outlet(struct stdout_sink *s, struct error *err)
{
	struct stat st;
	int flags = fcntl(s->fd, F_GETFL);
	int again;

	if (flags < 0 || fstat(s->fd, &st) != 0) {
		return error_set_errno(err, errno, "standard output");
	}
	if (standard_fds_no_output(s->fd)) {
		return error_set(
		    err, ST_IO,
		    "standard output is closed; redirect it to a file or a "
		    "program, or use --to");
	}
	s->is_terminal = S_ISCHR(st.st_mode) && isatty(s->fd);
	s->has_reader = s->is_terminal || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
	if (!s->has_reader) {
		s->outlet = OUTLET_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		s->outlet = OUTLET_SOCKET;
	} else if (flags & O_NONBLOCK) {
		s->outlet = OUTLET_NONBLOCK;
	} else {
		again = open_again(s->fd, &st);
		s->outlet = again >= 0 ? OUTLET_NONBLOCK : OUTLET_BLOCKING;
		s->fd = again >= 0 ? again : s->fd;
	}
	return ST_OK;
}

static enum status stdout_open(const struct sink_settings *settings, struct sink **out,
			       struct error *err)
{
	struct stdout_sink *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "the output buffer");
	}
	s->sink.kind = &stdout_kind;
	s->batch.write = write_lines;
	s->batch.context = s;
	s->batch.record_lines = settings->record_lines;
	s->stop = settings->stop;
	s->has_state = settings->state_path != NULL;
	s->acknowledged = settings->acknowledged;
	s->context = settings->context;
	s->fd = s->given_fd = settings->output_fd;
	status = choose_outlet(s, err);
	if (status != ST_OK) {
		free(s);
		return status;
	}
	*out = &s->sink;
	return ST_OK;
}

const struct sink_kind stdout_kind = {
    .name = "stdout",
    .title = "standard output",
    .scheme = "stdout",
    .help = "where events go; the default\n",
    .open = stdout_open,
    .close = stdout_close,
    .put = stdout_put,
    .flush = stdout_flush,
    .count = stdout_count,
    .watch_fd = stdout_watch_fd,
};

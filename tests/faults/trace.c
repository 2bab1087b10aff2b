/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The one trace of this process. */
static struct {
	pthread_mutex_t lock;
	FILE *out;
	char folder[PATH_MAX];
	int kept_errno;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};
static __thread sigset_t kept_signals;

/* Handlers of signals write, too: one that came meanwhile would wait for its own
 * thread. */
static void lock(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &kept_signals);
	(void)pthread_mutex_lock(&trace.lock);
}

static void unlock(void)
{
	(void)pthread_mutex_unlock(&trace.lock);
	(void)pthread_sigmask(SIG_SETMASK, &kept_signals, NULL);
}

static bool is_on(void)
{
	const char *order = getenv("ROWTAIL_TRACE");
	char path[PATH_MAX];

	if (trace.out || !order) {
		return trace.out != NULL;
	}
	if (sscanf(order, "%4095s %4095s", trace.folder, path) != 2 ||
	    !(trace.out = fopen(path, "a"))) {
		abort();
	}
	return true;
}

static bool is_in_folder(const char *path)
{
	size_t len = strlen(trace.folder);

	return strncmp(path, trace.folder, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0') && !strstr(path, ".db");
}

bool trace_begin(const char *path)
{
	lock();
	trace.kept_errno = errno;
	if (is_on() && is_in_folder(path)) {
		errno = trace.kept_errno;
		return true;
	}
	errno = trace.kept_errno;
	unlock();
	return false;
}

void trace_end(void)
{
	int kept = errno;

	if (fflush(trace.out) != 0) {
		abort();
	}
	errno = kept;
	unlock();
}

static void put_bytes(char kind, const char *path, off_t offset, const void *bytes,
		      size_t len)
{
	if (fprintf(trace.out, "%c %lld %zu %s\n", kind, (long long)offset, len, path) <
		0 ||
	    fwrite(bytes, 1, len, trace.out) != len || fputc('\n', trace.out) == EOF) {
		abort();
	}
}

void trace_bytes(const char *path, off_t offset, const void *bytes, size_t len)
{
	int kept = errno;

	put_bytes('W', path, offset, bytes, len);
	errno = kept;
}

void trace_put(char kind, off_t first, off_t second, const char *path,
	       const char *other)
{
	int kept = errno;

	if (fprintf(trace.out, "%c %lld %lld %s%s%s\n", kind, (long long)first,
		    (long long)second, path, other ? " " : "",
		    other ? other : "") < 0) {
		abort();
	}
	errno = kept;
}

void trace_sync_begins(const char *path)
{
	if (trace_begin(path)) {
		trace_put('B', gettid(), 0, path, NULL);
		trace_end();
	}
}

void trace_sync_ended(const char *path, bool ok)
{
	if (trace_begin(path)) {
		trace_put('S', gettid(), ok, path, NULL);
		trace_end();
	}
}

void trace_stop(void)
{
	lock();
}

void trace_output(const void *bytes, size_t len)
{
	lock();
	trace.kept_errno = errno;
	if (is_on()) {
		put_bytes('O', "-", 0, bytes, len);
		(void)fflush(trace.out);
	}
	errno = trace.kept_errno;
	unlock();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the C library on files, as the program of tests/faults makes them: linked
 * with -Wl,--wrap, so that those of rowtail come here and those of its libraries do not
 * (what SQLite does to the database is not in question). Each may fail (failing.h) and
 * is recorded (trace.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/failing.h"
#include "tests/faults/trace.h"

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* The path of an open file; empty for what has none. */
static void path_of(int fd, char path[PATH_MAX])
{
	int kept = errno;
	char link[32];
	ssize_t len;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	path[len > 0 ? len : 0] = '\0';
	errno = kept;
}

/* The same of a name in a folder. */
static void path_at(int dir_fd, const char *name, char path[PATH_MAX])
{
	size_t len;

	path[0] = '\0';
	if (name[0] != '/' && dir_fd != AT_FDCWD) {
		path_of(dir_fd, path);
	}
	len = strlen(path);
	(void)snprintf(path + len, PATH_MAX - len, "%s%s", len > 0 ? "/" : "", name);
}

/* -1 with errno set, or 0: the call is made. */
static int ask(const char *call, const char *path)
{
	int sys_errno = 0;
	enum failing_how how = failing_ask(call, path, &sys_errno);

	if (how == FAILING_KILL) {
		(void)kill(getpid(), SIGKILL);
	}
	if (how != FAILING_NOT) {
		errno = sys_errno ? sys_errno : EIO;
		return -1;
	}
	return 0;
}

static int ask_fd(const char *call, int fd)
{
	char path[PATH_MAX];

	path_of(fd, path);
	return ask(call, path);
}

/* Of `len` bytes, how many to write or read; -1 with errno set. *how: what is done. */
static ssize_t ask_bytes(const char *call, int fd, size_t len, enum failing_how *how)
{
	int sys_errno = 0;
	char path[PATH_MAX];

	path_of(fd, path);
	*how = failing_ask(call, path, &sys_errno);
	if (*how == FAILING_ERRNO) {
		errno = sys_errno;
		return -1;
	}
	return (ssize_t)(*how == FAILING_NOT || len < 2 ? len : len / 2);
}

static ssize_t after_bytes(ssize_t done, enum failing_how how)
{
	if (how == FAILING_KILL) {
		(void)kill(getpid(), SIGKILL);
	}
	return done;
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t len)
{
	enum failing_how how;
	ssize_t want = ask_bytes("write", fd, len, &how);
	char path[PATH_MAX];
	ssize_t done;

	if (want < 0) {
		return -1;
	}
	path_of(fd, path);
	if (trace_begin(path)) {
		done = __real_write(fd, bytes, (size_t)want);
		if (done > 0) {
			trace_bytes(path, lseek(fd, 0, SEEK_CUR) - done, bytes,
				    (size_t)done);
		}
		trace_end();
	} else {
		done = __real_write(fd, bytes, (size_t)want);
		if (done > 0 && fd != STDERR_FILENO && strncmp(path, "pipe:", 5) == 0) {
			trace_output(bytes, (size_t)done);
		}
	}
	return after_bytes(done, how);
}

WRAP(ssize_t, pwrite, int fd, const void *bytes, size_t len, off_t offset)
{
	enum failing_how how;
	ssize_t want = ask_bytes("write", fd, len, &how);
	char path[PATH_MAX];
	ssize_t done;

	if (want < 0) {
		return -1;
	}
	path_of(fd, path);
	if (!trace_begin(path)) {
		return after_bytes(__real_pwrite(fd, bytes, (size_t)want, offset), how);
	}
	done = __real_pwrite(fd, bytes, (size_t)want, offset);
	if (done > 0) {
		trace_bytes(path, offset, bytes, (size_t)done);
	}
	trace_end();
	return after_bytes(done, how);
}

WRAP(ssize_t, read, int fd, void *bytes, size_t len)
{
	enum failing_how how;
	ssize_t want = ask_bytes("read", fd, len, &how);

	return want < 0 ? -1 : after_bytes(__real_read(fd, bytes, (size_t)want), how);
}

WRAP(ssize_t, pread, int fd, void *bytes, size_t len, off_t offset)
{
	enum failing_how how;
	ssize_t want = ask_bytes("read", fd, len, &how);

	return want < 0
		   ? -1
		   : after_bytes(__real_pread(fd, bytes, (size_t)want, offset), how);
}

/* fsync or fdatasync. A sync that fails has written nothing. */
static int do_sync(int fd, int (*sync)(int fd))
{
	char path[PATH_MAX];
	int rc;

	path_of(fd, path);
	trace_sync_begins(path);
	rc = ask("sync", path) != 0 ? -1 : sync(fd);
	trace_sync_ended(path, rc == 0);
	return rc;
}

WRAP(int, fsync, int fd)
{
	return do_sync(fd, __real_fsync);
}

WRAP(int, fdatasync, int fd)
{
	return do_sync(fd, __real_fdatasync);
}

/* Proves nothing: it is not recorded. */
WRAP(int, sync_file_range, int fd, off_t offset, off_t len, unsigned flags)
{
	return ask_fd("sync", fd) != 0 ? -1
				       : __real_sync_file_range(fd, offset, len, flags);
}

WRAP(int, ftruncate, int fd, off_t length)
{
	char path[PATH_MAX];
	int rc;

	path_of(fd, path);
	if (ask("cut", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_ftruncate(fd, length);
	}
	rc = __real_ftruncate(fd, length);
	if (rc == 0) {
		trace_put('T', length, 0, path, NULL);
	}
	trace_end();
	return rc;
}

WRAP(int, fallocate, int fd, int mode, off_t offset, off_t len)
{
	char path[PATH_MAX];
	int rc;

	path_of(fd, path);
	if (ask("grow", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_fallocate(fd, mode, offset, len);
	}
	rc = __real_fallocate(fd, mode, offset, len);
	if (rc == 0) {
		trace_put(mode & FALLOC_FL_PUNCH_HOLE ? 'P' : 'G', offset, len, path,
			  NULL);
	}
	trace_end();
	return rc;
}

/* Gives the number of the error and leaves errno alone. */
WRAP(int, posix_fallocate, int fd, off_t offset, off_t len)
{
	char path[PATH_MAX];
	int kept = errno;
	int rc;

	path_of(fd, path);
	if (ask("grow", path) != 0) {
		rc = errno;
	} else if (trace_begin(path)) {
		rc = __real_posix_fallocate(fd, offset, len);
		if (rc == 0) {
			trace_put('G', offset, len, path, NULL);
		}
		trace_end();
	} else {
		rc = __real_posix_fallocate(fd, offset, len);
	}
	errno = kept;
	return rc;
}

WRAP(int, renameat, int old_fd, const char *old_name, int new_fd, const char *new_name)
{
	char old_path[PATH_MAX];
	char path[PATH_MAX];
	int rc;

	path_at(old_fd, old_name, old_path);
	path_at(new_fd, new_name, path);
	if (ask("rename", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_renameat(old_fd, old_name, new_fd, new_name);
	}
	rc = __real_renameat(old_fd, old_name, new_fd, new_name);
	if (rc == 0) {
		trace_put('R', 0, 0, old_path, path);
	}
	trace_end();
	return rc;
}

WRAP(int, linkat, int old_fd, const char *old_name, int new_fd, const char *new_name,
     int flags)
{
	char old_path[PATH_MAX];
	char path[PATH_MAX];
	int rc;

	path_at(old_fd, old_name, old_path);
	path_at(new_fd, new_name, path);
	if (ask("make", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_linkat(old_fd, old_name, new_fd, new_name, flags);
	}
	rc = __real_linkat(old_fd, old_name, new_fd, new_name, flags);
	if (rc == 0) {
		trace_put('L', 0, 0, old_path, path);
	}
	trace_end();
	return rc;
}

WRAP(int, unlinkat, int dir_fd, const char *name, int flags)
{
	char path[PATH_MAX];
	int rc;

	path_at(dir_fd, name, path);
	if (ask("remove", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_unlinkat(dir_fd, name, flags);
	}
	rc = __real_unlinkat(dir_fd, name, flags);
	if (rc == 0) {
		trace_put('U', 0, 0, path, NULL);
	}
	trace_end();
	return rc;
}

int __real_openat(int dir_fd, const char *name, int flags, ...);

/* An openat that may make the file. */
static int do_make(int dir_fd, const char *name, int flags, mode_t mode,
		   const char *path)
{
	bool was_there;
	int fd;

	if (!trace_begin(path)) {
		return __real_openat(dir_fd, name, flags, mode);
	}
	was_there = faccessat(dir_fd, name, F_OK, 0) == 0;
	fd = __real_openat(dir_fd, name, flags, mode);
	if (fd >= 0 && !was_there) {
		trace_put('C', 0, 0, path, NULL);
	}
	trace_end();
	return fd;
}

int __wrap_openat(int dir_fd, const char *name, int flags, ...);
int __wrap_openat(int dir_fd, const char *name, int flags, ...)
{
	bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
	char path[PATH_MAX];
	mode_t mode = 0;
	va_list more;

	path_at(dir_fd, name, path);
	if (ask(makes ? "make" : "open", path) != 0) {
		return -1;
	}
	if (!makes) {
		return __real_openat(dir_fd, name, flags);
	}
	va_start(more, flags);
	mode = va_arg(more, mode_t);
	va_end(more);
	return do_make(dir_fd, name, flags, mode, path);
}

int __wrap_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list more;

	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {
		va_start(more, flags);
		mode = va_arg(more, mode_t);
		va_end(more);
	}
	return __wrap_openat(AT_FDCWD, name, flags, mode);
}

/* What _FORTIFY_SOURCE makes of an openat whose flags are not constant. */
int __wrap___openat_2(int dir_fd, const char *name, int flags);
int __wrap___openat_2(int dir_fd, const char *name, int flags)
{
	return __wrap_openat(dir_fd, name, flags);
}

WRAP(int, mkdirat, int dir_fd, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int rc;

	path_at(dir_fd, name, path);
	if (ask("make", path) != 0) {
		return -1;
	}
	if (!trace_begin(path)) {
		return __real_mkdirat(dir_fd, name, mode);
	}
	rc = __real_mkdirat(dir_fd, name, mode);
	if (rc == 0) {
		trace_put('M', 0, 0, path, NULL);
	}
	trace_end();
	return rc;
}

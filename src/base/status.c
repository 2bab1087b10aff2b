/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "src/base/utf8.h"

#define PREFIX_SIZE 256 /* bytes of what error_wrap puts before a text, at most */

const char *status_text(enum status status)
{
#define STATUS_CASE(name, text) \
	case name:              \
		return text;
	switch (status) {
		STATUS_MAP(STATUS_CASE)
	}
#undef STATUS_CASE
	return "unknown status";
}

/* Where the text did not fit, no half of a character stays at its end. */
static void trim(char *text, size_t size, int len)
{
	if (len >= (int)size) {
		text[utf8_cut(text, size - 1, size - 1)] = '\0';
	}
}

/* Print into the text from `at` on. */
static void print(struct error *err, size_t at, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void print(struct error *err, size_t at, const char *fmt, va_list args)
{
	size_t size = sizeof err->text - at;

	trim(err->text + at, size, vsnprintf(err->text + at, size, fmt, args));
}

static void append(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void append(struct error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(err, strlen(err->text), fmt, args);
	va_end(args);
}

enum status error_set(struct error *err, enum status status, const char *fmt, ...)
{
	va_list args;

	err->status = status;
	err->sys_errno = 0;
	va_start(args, fmt);
	print(err, 0, fmt, args);
	va_end(args);
	return status;
}

enum status error_no_memory(struct error *err, const char *fmt, ...)
{
	va_list args;

	(void)error_set(err, ST_NOMEM, "out of memory for ");
	va_start(args, fmt);
	print(err, strlen(err->text), fmt, args);
	va_end(args);
	return ST_NOMEM;
}

/* The limit of this process, in `text`. */
static const char *limit_of(__rlimit_resource_t resource, char text[32])
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
		return "?";
	}
	(void)snprintf(text, 32, "%llu", (unsigned long long)limit.rlim_cur);
	return text;
}

/* What strerror does not say of a resource: whose limit it is, and how it is raised. */
struct error_reason error_reason(int sys_errno)
{
	struct error_reason reason;
	char name[128];
	char limit[32];
	char *text = reason.text;
	const char *plain = strerror_r(sys_errno, name, sizeof name);

	switch (sys_errno) {
	case EMFILE:
		(void)snprintf(text, sizeof reason.text,
			       "%s (the limit of this process is %s: raise it with "
			       "ulimit -n, or LimitNOFILE= of a systemd unit)",
			       plain, limit_of(RLIMIT_NOFILE, limit));
		break;
	case ENFILE:
		(void)snprintf(text, sizeof reason.text,
			       "%s (of all processes together: raise the sysctl "
			       "fs.file-max)",
			       plain);
		break;
	case EFBIG:
		(void)snprintf(text, sizeof reason.text,
			       "%s (more than the file system takes, or than the limit "
			       "of this process, %s bytes: ulimit -f, or LimitFSIZE= "
			       "of a systemd unit)",
			       plain, limit_of(RLIMIT_FSIZE, limit));
		break;
	case ENOMEM:
		(void)snprintf(text, sizeof reason.text,
			       "%s (limits: ulimit -v, MemoryMax= of a systemd unit or "
			       "its container, the sysctl vm.max_map_count)",
			       plain);
		break;
	case EAGAIN: /* of fork and of threads; elsewhere callers handle it */
		(void)snprintf(text, sizeof reason.text,
			       "no more threads or processes are allowed, or there is "
			       "no memory for one (limits: ulimit -u, TasksMax= of a "
			       "systemd unit, pids of a container, ulimit -v)");
		break;
	case EROFS:
		(void)snprintf(text, sizeof reason.text,
			       "%s (mounted so, or the kernel did it as the disk "
			       "failed: dmesg says more)",
			       plain);
		break;
	case EIO:
		(void)snprintf(text, sizeof reason.text,
			       "%s (the disk failed: dmesg says more)", plain);
		break;
	default:
		(void)snprintf(text, sizeof reason.text, "%s", plain);
	}
	return reason;
}

enum status error_set_errno(struct error *err, int sys_errno, const char *fmt, ...)
{
	va_list args;

	err->status = ST_IO;
	err->sys_errno = sys_errno;
	va_start(args, fmt);
	print(err, 0, fmt, args);
	va_end(args);
	append(err, ": %s", error_reason(sys_errno).text);
	return ST_IO;
}

enum status error_wrap(struct error *err, const char *fmt, ...)
{
	va_list args;
	char prefix[PREFIX_SIZE];
	char inner[sizeof err->text];

	va_start(args, fmt);
	trim(prefix, sizeof prefix, vsnprintf(prefix, sizeof prefix, fmt, args));
	va_end(args);
	memcpy(inner, err->text, sizeof inner);
	err->text[0] = '\0';
	append(err, "%s: %s", prefix, inner);
	return err->status;
}

bool errno_is_limit(int sys_errno)
{
	static const int all[] = {EMFILE, ENFILE, ENOMEM, EAGAIN,
				  ENOSPC, EDQUOT, EFBIG};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (all[i] == sys_errno) {
			return true;
		}
	}
	return false;
}

bool error_is_full(const struct error *err)
{
	return err->status == ST_IO &&
	       (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT ||
		err->sys_errno == EFBIG);
}

enum status error_add(struct error *err, const char *text)
{
	append(err, "%s", text);
	return err->status;
}

void error_name_limits(struct error *err)
{
	if (err->status == ST_NOMEM && !strstr(err->text, "limits: ")) {
		append(err, ": %s", error_reason(ENOMEM).text);
	}
}

int status_exit_code(enum status status)
{
	switch (status) {
	case ST_OK:
	case ST_STOPPED:
	case ST_CLOSED:
		return 0;
	case ST_CONFIG:
		return 2;
	case ST_UNFIT:
		return 3;
	default:
		return 1;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/status.h -- what every call that can fail returns.
 *
 * A status tells the caller what to do next; the text for people goes into a
 * caller-owned struct error, so that even ST_NOMEM can carry one.
 *
 * THREADS  No shared state.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>

#define STATUS_MAP(X)                                                              \
	X(ST_OK, "ok")                                                             \
	X(ST_END, "nothing more for now")       /* wait, then ask again      */    \
	X(ST_RETRY, "busy or unreachable")      /* same call may succeed     */    \
	X(ST_STOPPED, "stop requested")         /* leave quietly             */    \
	X(ST_CLOSED, "reader went away")        /* leave quietly             */    \
	X(ST_LOST, "continuity lost")           /* a new start is due        */    \
	X(ST_CORRUPT, "bytes break the format") /* stop, report where        */    \
	X(ST_IO, "system call failed")          /* see error.sys_errno       */    \
	X(ST_NOMEM, "out of memory")                                               \
	X(ST_CONVERT, "a value does not fit")      /* stop, report where        */ \
	X(ST_DAMAGED, "state directory damaged")   /* stop, report what         */ \
	X(ST_CONFIG, "setting not usable")         /* exit 2                    */ \
	X(ST_UNFIT, "database cannot be followed") /* exit 3                  */

#define STATUS_NAME(name, text) name,
enum status { STATUS_MAP(STATUS_NAME) };
#undef STATUS_NAME

struct error {
	enum status status;
	int sys_errno;   /* 0 unless a system call failed */
	char text[1024]; /* one line; names the thing and says what to do */
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Fill `*err` and return `status`, so that `return error_set(...)` reads well. */
enum status error_set(struct error *err, enum status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ST_NOMEM, with the text "out of memory for <fmt>": what the memory was for. */
enum status error_no_memory(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The text of an errno; where a limit is behind it, which one and how it is raised.
 * EAGAIN is taken for that of threads and processes. */
struct error_reason {
	char text[256];
};
struct error_reason error_reason(int sys_errno);

/* As error_set with ST_IO, ": " and the reason appended. */
enum status error_set_errno(struct error *err, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prefix the text that is there with "<fmt>: "; returns err->status. */
enum status error_wrap(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A disk, a quota or a limit is reached: the same call may succeed later. */
bool error_is_full(const struct error *err);

/* A limit of this process or machine, or a full disk: whatever the call was about has
 * nothing wrong with it. */
bool errno_is_limit(int sys_errno);

/* Append to the text that is there; returns err->status. */
enum status error_add(struct error *err, const char *text);

/* Append to an ST_NOMEM which limits there are, and how they are raised, unless it says
 * so. */
void error_name_limits(struct error *err);

const char *status_text(enum status status);

/* What the process exits with: docs/options.md. */
int status_exit_code(enum status status);

#endif

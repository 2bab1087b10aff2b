/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/log.h -- lines for people, on stderr.
 *
 * A line is "rowtail: <text>\n" (--log-format=text) or a JSON object
 * {"ts":"…Z","level":"…","msg":"…"} (json), written with one write(2). What could
 * forge a line, steer a terminal or break JSON is replaced by '?' (src/base/utf8.h),
 * and of a text longer than 2 KiB the beginning is written. Levels: error and warn are
 * always written; info not with --quiet; debug only with --verbose. log_always writes
 * an info also with --quiet (the line "following …" that other programs wait for).
 *
 * THREADS  Any, after log_setup.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Call once, before any thread. `most` is the most detailed level written. */
void log_setup(enum log_level most, bool as_json);

/* Lines of this thread, but those of LOG_DEBUG, are given to `take` instead, which may
 * not log; until it is NULL. The text is borrowed for the call. */
typedef void log_taker(void *context, enum log_level level, const char *text);
void log_divert(log_taker *take, void *context);

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_always(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif

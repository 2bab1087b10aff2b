/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/log.h -- lines for people, on stderr.
 *
 * A line is "rowtail: <text>\n" (--log-format=text) or a JSON object
 * {"ts":"…Z","level":"…","msg":"…"} (json), written with one write(2). With
 * log_setup_times a line of text begins with its time, "2026-11-30T12:34:56.789Z
 * rowtail: <text>\n". What could forge a line, steer a terminal or break JSON is
 * replaced by '?' (src/base/utf8.h), and of a text longer than 2 KiB the beginning is
 * written. Levels: error and warn are always written; info not with --quiet; debug only
 * with --verbose. log_always writes an info also with --quiet, and never with a time:
 * the line "following …", whose beginning other programs wait for.
 *
 * What repeats fills no disk: of the lines of one place in the sources LOG_PLACE_LINES
 * are written in LOG_PLACE_NS. The last of them says so, and the next one after that
 * time how many were left out. log_line has no such limit: it is for what comes once,
 * or was asked for.
 *
 * THREADS  Any, after log_setup.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Call once, before any thread. `most` is the most detailed level written. */
void log_setup(enum log_level most, bool as_json);

/* Lines of this thread, but those of LOG_DEBUG, are given to `take` instead, which may
 * not log; until it is NULL. The text is borrowed for the call. */
typedef void log_taker(void *context, enum log_level level, const char *text);
void log_divert(log_taker *take, void *context);

/* From now on lines of text have a time, unless stderr is a terminal, or the journal of
 * systemd, which has its own. Call before any thread, too. */
void log_setup_times(void);

#define LOG_PLACE_LINES 20
#define LOG_PLACE_NS    INT64_C(60000000000)

/* A place in the sources that writes lines; zeroed. */
struct log_place {
	int64_t since_ns;  /* monotonic; 0: never */
	unsigned lines;    /* written since then */
	unsigned left_out; /* not written since then */
};

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_from(struct log_place *place, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_always(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define LOG_HERE(level, ...)                             \
	do {                                             \
		static struct log_place log_here;        \
		log_from(&log_here, level, __VA_ARGS__); \
	} while (0)

#define log_error(...) LOG_HERE(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  LOG_HERE(LOG_WARN, __VA_ARGS__)
#define log_info(...)  LOG_HERE(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_HERE(LOG_DEBUG, __VA_ARGS__)

#endif

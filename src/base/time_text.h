/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/time_text.h -- times as RFC 3339 writes them.
 *
 * Nanoseconds since 1970, UTC.
 *
 * OWNERSHIP  Values only.
 * THREADS    Any.
 */
#ifndef TIME_TEXT_H
#define TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* A time of RFC 3339 that is all of the text; false: it is none. */
bool time_text_read(const char *text, int64_t *time_ns);

/* A time as RFC 3339 in UTC, with milliseconds; with nanoseconds. */
struct time_text {
	char text[40];
};
struct time_text time_text_ms(int64_t time_ns);
struct time_text time_text_ns(int64_t time_ns);

#endif

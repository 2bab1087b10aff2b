/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/last_error.h -- DIR/error: why the last run of a state directory ended, or,
 * in STATE/archive, since when files wait there, and why; and DIR/outage: since when
 * the sink takes nothing.
 *
 * One line: the time (UTC, ISO 8601), a space, the text of the error. Written by the
 * process that has the directory in use, removed by the next one that starts well.
 * Only told to people: what goes wrong with it is no error.
 *
 * THREADS  One at a time.
 */
#ifndef LAST_ERROR_H
#define LAST_ERROR_H

#include <stdbool.h>

#include "src/base/status.h"

#define LAST_ERROR_TIME_BYTES 21   /* with the NUL */
#define LAST_ERROR_TEXT_BYTES 1024 /* the same */

struct last_error {
	char time[LAST_ERROR_TIME_BYTES];
	char text[LAST_ERROR_TEXT_BYTES];
};

/* Their names. */
#define LAST_ERROR  "error"
#define LAST_OUTAGE "outage"

void last_error_write(int dir_fd, const char *name, const char *text);
void last_error_remove(int dir_fd, const char *name);
/* False: there is none. */
bool last_error_read(int dir_fd, const char *name, struct last_error *out) MUST_CHECK;

#endif

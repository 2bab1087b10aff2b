/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/supervisor.h -- tell who has started us how it goes, as sd_notify(3) has it.
 *
 * A service manager that wants to know gives $NOTIFY_SOCKET, and for its watchdog
 * $WATCHDOG_USEC: it then ends us when it has not heard for so long. It hears from a
 * thread of its own, as long as the thread that must not stand still does not
 * (src/base/health.h). Whoever waits for a sink does not matter: that may take days.
 *
 * Without these variables nothing is done. They are taken out of the environment.
 *
 * OWNERSHIP  supervisor_open / supervisor_close.
 * THREADS    supervisor_open and _close: one, the first before others are started; the
 *            rest: any.
 * ERRORS     None: what cannot be told is not told.
 */
#ifndef BASE_SUPERVISOR_H
#define BASE_SUPERVISOR_H

#include "src/base/status.h"

struct supervisor;

/* NULL in `*out`: there is none. ST_NOMEM, ST_IO: the thread cannot be started. */
enum status supervisor_open(struct supervisor **out, struct error *err) MUST_CHECK;

/* All of these take NULL. */
void supervisor_close(struct supervisor *supervisor);
/* It does what it is there for. */
void supervisor_ready(struct supervisor *supervisor, const char *text);
/* A line for people. */
void supervisor_status(struct supervisor *supervisor, const char *text);
/* Told once; one thread. */
void supervisor_stopping(struct supervisor *supervisor);

#endif

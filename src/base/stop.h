/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/stop.h -- signals become flags and readable descriptors: SIGINT and SIGTERM
 * a stop, SIGHUP a wish to reopen.
 *
 * A stop has five seconds: at four, whatever still waits (a reader that takes nothing,
 * a checkpoint on a slow disk) is left where it is and the process ends with
 * exit code 0; nothing that was written is undone by that.
 *
 * THREADS  stop_setup once, before any thread; the flags may be read from any.
 */
#ifndef STOP_H
#define STOP_H

#include "src/base/status.h"

/* Install the handlers; SIGPIPE and SIGXFSZ are ignored, and of SIGBUS
 * src/base/bus_error.h tells. */
enum status stop_setup(struct error *err) MUST_CHECK;

/* For who has nothing to show for exit code 0 when it is interrupted: it ends by
 * itself, as soon as it can, and not by the deadline. */
enum status stop_without_deadline(struct error *err) MUST_CHECK;

/* 0 until a signal came. This and reopen_requested are the only globals. */
extern _Atomic int stop_requested;

/* Readable once a signal came. */
int stop_fd(void);

/* SIGHUP means nothing: of a service it is a wish to reopen, and not of all sinks. */
enum status stop_ignore_hangup(struct error *err) MUST_CHECK;

/* From now on SIGHUP does not end the program, but sets a flag, which whoever reopens
 * sets back, and makes reopen_fd readable. */
enum status stop_catch_hangup(struct error *err) MUST_CHECK;
extern _Atomic int reopen_requested;

/* For poll; -1 before stop_catch_hangup. Readable until reopen_seen. */
int reopen_fd(void);
void reopen_seen(void);

#endif

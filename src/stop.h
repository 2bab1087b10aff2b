/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/stop.h -- SIGINT and SIGTERM become a flag and a readable descriptor.
 *
 * A stop has five seconds: at four, whatever still waits (a reader that takes nothing,
 * a checkpoint on a slow disk) is left where it is and the process ends with
 * exit code 0; nothing that was written is undone by that.
 *
 * THREADS  stop_setup once, before any thread; the flag may be read from any.
 */
#ifndef STOP_H
#define STOP_H

#include "src/base/status.h"

/* Install the handlers; SIGPIPE is ignored, a SIGBUS on a mapped file becomes one line
 * and exit code 1. */
enum status stop_setup(struct error *err) MUST_CHECK;

/* 0 until a signal came. The sole global of the program. */
extern volatile int stop_requested;

/* Readable once a signal came. */
int stop_fd(void);

#endif

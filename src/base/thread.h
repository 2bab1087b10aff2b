/* SPDX-License-Identifier: Apache-2.0 */
/* src/base/thread.h -- start a thread that no signal is delivered to. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>

#include "src/base/status.h"

/* Run `body`, as pthread_create, with all signals but SIGBUS blocked in it. ST_IO:
 * "cannot start the `what` thread". THREAD: any. */
enum status thread_start(pthread_t *thread, void *(*body)(void *), void *context,
			 const char *what, struct error *err) MUST_CHECK;

/* A condition that pthread_cond_timedwait waits for by the clock of clock_mono_ns. */
void thread_cond_init(pthread_cond_t *condition);

#endif

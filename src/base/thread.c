/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/thread.h"

#include <signal.h>
#include <time.h>

enum status thread_start(pthread_t *thread, void *(*body)(void *), void *context,
			 const char *what, struct error *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	(void)sigfillset(&all);
	(void)sigdelset(&all,
			SIGBUS); /* the thread itself raises it: blocked, it kills */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, body, context);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? ST_OK
		       : error_set_errno(err, rc, "cannot start the %s thread", what);
}

void thread_cond_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(condition, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

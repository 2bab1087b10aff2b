/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/stop.h"
#include "src/base/event_fd.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "src/base/bus_error.h"

#define STOP_SECONDS 4

_Atomic int stop_requested;
_Atomic int reopen_requested;
static int wake_fd = -1;
static int hangup_fd = -1;

static void on_stop(int signal_no)
{
	int saved = errno;

	(void)signal_no;
	if (!stop_requested) {
		stop_requested = 1;
		(void)alarm(STOP_SECONDS);
	}
	event_fd_wake(wake_fd);
	errno = saved;
}

static void on_hangup(int signal_no)
{
	int saved = errno;

	(void)signal_no;
	reopen_requested = 1;
	event_fd_wake(hangup_fd);
	errno = saved;
}

static void on_deadline(int signal_no)
{
	(void)signal_no;
	_exit(0);
}

static enum status install(int signal_no, void (*handler)(int), struct error *err)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(signal_no, &action, NULL) != 0) {
		return error_set_errno(err, errno, "cannot install a signal handler");
	}
	return ST_OK;
}

enum status stop_setup(struct error *err)
{
	enum status status = event_fd_open(&wake_fd, err);

	if (status == ST_OK) {
		status = install(SIGINT, on_stop, err);
	}
	if (status == ST_OK) {
		status = install(SIGTERM, on_stop, err);
	}
	if (status == ST_OK) {
		status = install(SIGALRM, on_deadline, err);
	}
	if (status == ST_OK) {
		status = bus_error_setup(err);
	}
	if (status == ST_OK) {
		status = install(SIGPIPE, SIG_IGN, err);
	}
	if (status == ST_OK) { /* who ignores it does not learn how a child ended */
		status = install(SIGCHLD, SIG_DFL, err);
	}
	if (status == ST_OK) { /* a file's limit is an error of write */
		status = install(SIGXFSZ, SIG_IGN, err);
	}
	return status;
}

enum status stop_without_deadline(struct error *err)
{
	return install(SIGALRM, SIG_IGN, err);
}

int stop_fd(void)
{
	return wake_fd;
}

enum status stop_ignore_hangup(struct error *err)
{
	return install(SIGHUP, SIG_IGN, err);
}

enum status stop_catch_hangup(struct error *err)
{
	enum status status = hangup_fd >= 0 ? ST_OK : event_fd_open(&hangup_fd, err);

	return status == ST_OK ? install(SIGHUP, on_hangup, err) : status;
}

int reopen_fd(void)
{
	return hangup_fd;
}

void reopen_seen(void)
{
	event_fd_clear(hangup_fd);
}

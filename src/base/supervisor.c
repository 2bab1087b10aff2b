/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/supervisor.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/thread.h"
#include "src/base/utf8.h"

#define TEXT_BYTES 1024
#define LEAST_NS   (100 * NS_PER_MS) /* of the watchdog's time */

struct supervisor {
	struct sockaddr_un address;
	socklen_t address_len;
	int fd;
	int64_t watchdog_ns; /* 0: none */
	bool is_stopping;    /* that was told */
	pthread_t thread;
	bool is_started;
	pthread_mutex_t lock; /* of is_closing */
	pthread_cond_t closing;
	bool is_closing;
};

static void tell(const struct supervisor *s, const char *text)
{
	(void)sendto(s->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&s->address, s->address_len);
}

/* `state` and a status of one line that steers no terminal. */
static void tell_status(const struct supervisor *s, const char *state, const char *text)
{
	char line[TEXT_BYTES], safe[TEXT_BYTES - 64];

	(void)snprintf(safe, sizeof safe, "%s", text);
	utf8_make_safe(safe);
	(void)snprintf(line, sizeof line, "%sSTATUS=%s", state, safe);
	tell(s, line);
}

/* ---- the watchdog ---- */

static bool is_fresh(const struct supervisor *s)
{
	return health_beat_age_ns() < s->watchdog_ns / 2;
}

static void *watch(void *context)
{
	struct supervisor *s = context;
	int64_t next;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->is_closing) {
		struct timespec until;

		if (is_fresh(s)) {
			tell(s, "WATCHDOG=1");
		}
		next = clock_mono_ns() + s->watchdog_ns / 4;
		until = (struct timespec){next / NS_PER_S, next % NS_PER_S};
		while (!s->is_closing && clock_mono_ns() < next) {
			(void)pthread_cond_timedwait(&s->closing, &s->lock, &until);
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- opening ---- */

/* A path, or behind @ a name of the abstract kind. */
static bool take_address(struct supervisor *s, const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof s->address.sun_path) {
		return false;
	}
	s->address.sun_family = AF_UNIX;
	memcpy(s->address.sun_path, name, len);
	if (name[0] == '@') {
		s->address.sun_path[0] = '\0';
	}
	s->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

/* For this process, in nanoseconds. */
static int64_t read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	long long value = usec ? strtoll(usec, NULL, 10) : 0;

	if (pid && strtoll(pid, NULL, 10) != (long long)getpid()) {
		return 0;
	}
	if (value <= 0 || value > INT64_MAX / 1000) {
		return 0;
	}
	return value * 1000 > LEAST_NS ? value * 1000 : LEAST_NS;
}

enum status supervisor_open(struct supervisor **out, struct error *err)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct supervisor *s;
	enum status status = ST_OK;

	*out = NULL;
	if (!name) {
		return ST_OK;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		return error_no_memory(err, "the service manager");
	}
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)pthread_mutex_init(&s->lock, NULL);
	thread_cond_init(&s->closing);
	if (s->fd < 0 || !take_address(s, name)) {
		supervisor_close(s);
		return ST_OK;
	}
	s->watchdog_ns = read_watchdog();
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (s->watchdog_ns > 0) {
		status = thread_start(&s->thread, watch, s, "watchdog", err);
		s->is_started = status == ST_OK;
	}
	if (status != ST_OK) {
		supervisor_close(s);
		return status;
	}
	*out = s;
	return ST_OK;
}

void supervisor_close(struct supervisor *s)
{
	if (!s) {
		return;
	}
	if (s->is_started) {
		(void)pthread_mutex_lock(&s->lock);
		s->is_closing = true;
		(void)pthread_cond_signal(&s->closing);
		(void)pthread_mutex_unlock(&s->lock);
		(void)pthread_join(s->thread, NULL);
	}
	(void)pthread_cond_destroy(&s->closing);
	(void)pthread_mutex_destroy(&s->lock);
	if (s->fd >= 0) {
		(void)close(s->fd);
	}
	free(s);
}

/* ---- what is told ---- */

void supervisor_ready(struct supervisor *s, const char *text)
{
	if (s) {
		tell_status(s, "READY=1\n", text);
	}
}

void supervisor_status(struct supervisor *s, const char *text)
{
	if (s) {
		tell_status(s, "", text);
	}
}

void supervisor_stopping(struct supervisor *s)
{
	if (s && !s->is_stopping) {
		s->is_stopping = true;
		tell_status(s, "STOPPING=1\n", "stopping");
	}
}

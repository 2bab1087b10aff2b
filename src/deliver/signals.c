/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signals.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sinks/output_path.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/deliver/signal_file.h"
#include "src/deliver/signal_kafka.h"
#include "src/deliver/signal_socket.h"

struct signals {
	struct signal_file *file;     /* NULL: none */
	struct signal_socket *socket; /* NULL: none */
	struct signal_kafka *kafka;   /* NULL: none */
	int both_fd;                  /* of socket and topic; -1: not both are there */

	enum { GIVEN_NONE, GIVEN_SOCKET, GIVEN_FILE, GIVEN_KAFKA } given;
};

/* ---- all channels ---- */

struct signal *signals_next(struct signals *s)
{
	struct signal *signal;

	if (s->given != GIVEN_NONE) {
		return NULL;
	}
	signal = s->socket ? signal_socket_next(s->socket) : NULL;
	if (signal) {
		s->given = GIVEN_SOCKET;
		return signal;
	}
	signal = s->file ? signal_file_next(s->file) : NULL;
	if (signal) {
		s->given = GIVEN_FILE;
		return signal;
	}
	signal = s->kafka ? signal_kafka_next(s->kafka) : NULL;
	if (signal) {
		s->given = GIVEN_KAFKA;
	}
	return signal;
}

void signals_taken(struct signals *s, struct signal *signal,
		   const struct error *refused)
{
	if (refused && s->given != GIVEN_SOCKET) {
		log_warn("the signal %s is refused: %s", signal->id, refused->text);
	}
	switch (s->given) {
	case GIVEN_SOCKET:
		signal_socket_taken(s->socket, signal, refused);
		break;
	case GIVEN_FILE:
		signal_file_taken(s->file);
		break;
	case GIVEN_KAFKA:
		signal_kafka_taken(s->kafka);
		break;
	case GIVEN_NONE:
		assert(false && "no signal was given");
	}
	s->given = GIVEN_NONE;
	signal_free(signal);
}

int signals_fd(const struct signals *s)
{
	if (s->socket && s->kafka) {
		return s->both_fd;
	}
	if (s->kafka) {
		return signal_kafka_fd(s->kafka);
	}
	return s->socket ? signal_socket_fd(s->socket) : -1;
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

int signals_wake_ms(const struct signals *s)
{
	int64_t due_ns = s->file ? signal_file_due_ns(s->file) : INT64_MAX;
	int64_t socket_ns = s->socket ? signal_socket_due_ns(s->socket) : INT64_MAX;
	int64_t now_ns = clock_mono_ns();

	due_ns = earlier(due_ns, socket_ns);
	due_ns = s->kafka ? earlier(due_ns, signal_kafka_due_ns(s->kafka)) : due_ns;
	if (s->given != GIVEN_NONE || due_ns == INT64_MAX) {
		return -1;
	}
	if (due_ns <= now_ns) {
		return 0;
	}
	due_ns = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return due_ns < INT_MAX ? (int)due_ns : INT_MAX;
}

void signals_places(const struct signals *s, struct signal_places *places)
{
	if (s->file) {
		places->file = signal_file_place(s->file);
	}
	if (s->kafka) {
		places->kafka = signal_kafka_place(s->kafka);
	}
}

/* ---- open and close ---- */

static enum status open_file(const struct signals_settings *settings,
			     struct signal_file **out, struct error *err)
{
	const struct signal_file_settings file = {
	    .path = settings->file,
	    .database_path = settings->database_path,
	    .poll_ns = settings->poll_ns,
	    .is_kept = settings->state_path != NULL,
	    .taken = settings->taken.file};

	return signal_file_open(&file, out, err);
}

static enum status check_file(const struct signals_settings *settings,
			      struct error *err)
{
	const struct output_path place = {.setting = "signal.file=",
					  .path = settings->file,
					  .database_path = settings->database_path,
					  .state_path = settings->state_path,
					  .output = settings->output,
					  .notifications = settings->notifications};
	struct signal_file *file;
	enum status status;
	struct stat st;
	bool exists;
	char *real;

	status = output_path_find(&place, &real, &exists, &st, err);
	if (status == ST_OK) {
		free(real);
		status = open_file(settings, &file, err);
	}
	if (status == ST_OK) {
		signal_file_close(file);
	}
	return status;
}

enum status signals_check(const struct signals_settings *settings, struct error *err)
{
	enum status status = settings->file ? check_file(settings, err) : ST_OK;

	return status == ST_OK && settings->kafka.topic
		   ? kafka_signals_check(&settings->kafka, err)
		   : status;
}

static enum status open_kafka(const struct signals_settings *settings,
			      struct signal_kafka **out, struct error *err)
{
	struct kafka_signals_settings kafka = settings->kafka;

	kafka.taken = settings->taken.kafka;
	return signal_kafka_open(&kafka, out, err);
}

static bool watch(int both_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(both_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* One descriptor for two. */
static enum status join_fds(struct signals *s, struct error *err)
{
	s->both_fd = epoll_create1(EPOLL_CLOEXEC);
	return s->both_fd >= 0 && watch(s->both_fd, signal_socket_fd(s->socket)) &&
		       watch(s->both_fd, signal_kafka_fd(s->kafka))
		   ? ST_OK
		   : error_set_errno(err, errno, "waiting for signals");
}

enum status signals_open(const struct signals_settings *settings, struct signals **out,
			 struct error *err)
{
	struct signals *s = calloc(1, sizeof *s);
	enum status status = ST_OK;
	struct error why;

	if (!s) {
		return error_no_memory(err, "signals");
	}
	s->both_fd = -1;
	if (settings->file) {
		status = open_file(settings, &s->file, err);
	}
	if (status == ST_OK && settings->kafka.topic) {
		status = open_kafka(settings, &s->kafka, err);
	}
	if (status != ST_OK) {
		signals_close(s);
		return status;
	}
	if (settings->state_path &&
	    signal_socket_open(settings->state_path, &s->socket, &why) != ST_OK) {
		log_warn("%s; rowtail signal has nobody to talk to", why.text);
	}
	if (s->socket && s->kafka && join_fds(s, err) != ST_OK) {
		signals_close(s);
		return err->status;
	}
	*out = s;
	return ST_OK;
}

void signals_close(struct signals *s)
{
	if (!s) {
		return;
	}
	signal_kafka_close(s->kafka);
	if (s->both_fd >= 0) {
		(void)close(s->both_fd);
	}
	signal_socket_close(s->socket);
	signal_file_close(s->file);
	free(s);
}

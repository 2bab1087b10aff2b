/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signals.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "sinks/output_path.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/deliver/signal_file.h"
#include "src/deliver/signal_socket.h"

struct signals {
	struct signal_file *file;     /* NULL: none */
	struct signal_socket *socket; /* NULL: none */

	enum { GIVEN_NONE, GIVEN_SOCKET, GIVEN_FILE } given;
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
	case GIVEN_NONE:
		assert(false && "no signal was given");
	}
	s->given = GIVEN_NONE;
	signal_free(signal);
}

int signals_fd(const struct signals *s)
{
	return s->socket ? signal_socket_fd(s->socket) : -1;
}

int signals_wake_ms(const struct signals *s)
{
	int64_t due_ns = s->file ? signal_file_due_ns(s->file) : INT64_MAX;
	int64_t socket_ns = s->socket ? signal_socket_due_ns(s->socket) : INT64_MAX;
	int64_t now_ns = clock_mono_ns();

	due_ns = socket_ns < due_ns ? socket_ns : due_ns;
	if (s->given != GIVEN_NONE || due_ns == INT64_MAX) {
		return -1;
	}
	if (due_ns <= now_ns) {
		return 0;
	}
	due_ns = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return due_ns < INT_MAX ? (int)due_ns : INT_MAX;
}

bool signals_place(const struct signals *s, struct signal_place *place)
{
	if (s->file) {
		*place = signal_file_place(s->file);
	}
	return s->file != NULL;
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
	    .taken = settings->taken};

	return signal_file_open(&file, out, err);
}

enum status signals_check(const struct signals_settings *settings, struct error *err)
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

	if (!settings->file) {
		return ST_OK;
	}
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

enum status signals_open(const struct signals_settings *settings, struct signals **out,
			 struct error *err)
{
	struct signals *s = calloc(1, sizeof *s);
	enum status status = ST_OK;
	struct error why;

	if (!s) {
		return error_no_memory(err, "signals");
	}
	if (settings->file) {
		status = open_file(settings, &s->file, err);
	}
	if (status != ST_OK) {
		signals_close(s);
		return status;
	}
	if (settings->state_path &&
	    signal_socket_open(settings->state_path, &s->socket, &why) != ST_OK) {
		log_warn("%s; rowtail signal has nobody to talk to", why.text);
	}
	*out = s;
	return ST_OK;
}

void signals_close(struct signals *s)
{
	if (!s) {
		return;
	}
	signal_socket_close(s->socket);
	signal_file_close(s->file);
	free(s);
}

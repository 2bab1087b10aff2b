/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signals.h -- the channels that signals come by beside the stream: a file
 * (src/deliver/signal_file.h), a topic of Kafka (src/deliver/signal_kafka.h), a socket
 * in the state directory (src/deliver/signal_socket.h).
 *
 *     while ((signal = signals_next(signals)) != NULL) {
 *             … keep what it asks for, or refuse it …
 *             signals_taken(signals, signal, refused ? &why : NULL);
 *     }
 *
 * OWNERSHIP  signals_open / signals_close (takes NULL); close it before the state
 *            directory. A signal is the caller's until signals_taken.
 * THREADS    The decoding thread.
 * ERRORS     Of signals_open: ST_CONFIG, what signal.file names can be none, or a
 *            setting of Kafka's cannot be; ST_IO, ST_NOMEM.
 *            All later ones are warnings: signals end no run.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/message.h"
#include "src/base/status.h"
#include "src/deliver/signal.h"
#include "src/deliver/signal_place.h"

struct signals_settings {
	const char *file;          /* NULL: none */
	const char *database_path; /* which `file` may not be, */
	const char *output;        /* ... nor what is behind --to's scheme (NULL: */
	const char *notifications; /* ... nothing), nor notification.file (likewise) */
	const char *state_path;    /* NULL: no socket, and no place is kept */
	int64_t poll_ns;           /* of the file; > 0 */
	struct kafka_signals_settings kafka; /* but for `taken`; no topic: none */
	struct signal_places taken;          /* as an earlier run has kept them */
};

struct signals;

/* May `file` be what it names, and the settings of Kafka's be what they are? */
enum status signals_check(const struct signals_settings *settings,
			  struct error *err) MUST_CHECK;

/* A socket that cannot be made is a warning. */
enum status signals_open(const struct signals_settings *settings, struct signals **out,
			 struct error *err) MUST_CHECK;
void signals_close(struct signals *signals);

/* For poll: readable when something came by the socket or by Kafka; -1: there is
 * neither. Until signals_next is called. */
int signals_fd(const struct signals *signals);
/* For poll: in so many milliseconds signals_next is to be called anyway; -1: never. */
int signals_wake_ms(const struct signals *signals);

/* The next one, or NULL; at once. It stays in its channel until signals_taken: after a
 * kill before that it comes again, from file and topic unless its place was kept. There
 * is no other one before that. */
struct signal *signals_next(struct signals *signals);

/* How much of file and topic is taken, up to the last signal that was or is given: to
 * be kept with what that asks for, and when it is less, as the file is cut. What is not
 * among the channels stays as it is. */
void signals_places(const struct signals *signals, struct signal_places *places);

/* It is kept, or `refused` says why not: the file is cut, the topic goes on, the client
 * of the socket gets its answer, a refusal of others is a warning. Frees the signal. */
void signals_taken(struct signals *signals, struct signal *signal,
		   const struct error *refused);

#endif

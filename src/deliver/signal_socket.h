/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_socket.h -- signals by a socket in the state directory, which
 * nobody else may open: DIR/signals.sock.
 *
 * FORMAT   A client sends one signal as a line (src/deliver/signal.h) and is answered
 *          by one: {"id":"…"} when it is taken, {"error":"…"} when it is refused. It
 * may close the connection before: the signal is taken all the same. OWNERSHIP
 * signal_socket_open / signal_socket_close (takes NULL), while the lock of the state
 * directory is held: the socket of a run that was killed is replaced. THREADS  One
 * thread at a time. ERRORS   ST_IO, ST_CONFIG, ST_NOMEM of opening. Clients are
 * strangers: there are SIGNAL_CLIENTS at most, the rest waits; one that says nothing
 * for 5 s, or is not ready after 30 s, is left; nothing waits for one.
 */
#ifndef SIGNAL_SOCKET_H
#define SIGNAL_SOCKET_H

#include <stdint.h>
#include <sys/un.h>

#include "src/base/status.h"
#include "src/deliver/signal.h"

#define SIGNAL_CLIENTS 16

struct signal_socket;

enum status signal_socket_open(const char *state_path, struct signal_socket **out,
			       struct error *err) MUST_CHECK;
void signal_socket_close(struct signal_socket *socket);

/* For poll: readable when signal_socket_next has something to do. */
int signal_socket_fd(const struct signal_socket *socket);
/* When it has something to do anyway, on the monotonic clock: 0 is now, INT64_MAX
 * never. */
int64_t signal_socket_due_ns(const struct signal_socket *socket);

/* The next one, the caller's, or NULL. None until the last one is taken. */
struct signal *signal_socket_next(struct signal_socket *socket);
/* `signal` is the one that was given last; `refused`: NULL, or why. */
void signal_socket_taken(struct signal_socket *socket, const struct signal *signal,
			 const struct error *refused);

/*
 * Its address, for both sides. `*dir_fd`: -1, or a folder that has to be open while the
 * address is used; the caller closes it. ST_IO: the folder cannot be opened.
 */
enum status signal_socket_address(const char *state_path, struct sockaddr_un *address,
				  int *dir_fd, struct error *err) MUST_CHECK;

#endif

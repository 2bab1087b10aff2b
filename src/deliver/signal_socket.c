/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buffer.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/state/state_folder.h"

#define SILENCE_NS (5 * NS_PER_S)
#define WHOLE_NS   (30 * NS_PER_S) /* for a line */
#define PAUSE_NS   NS_PER_S        /* without descriptors nobody is let in */
#define READ_BYTES (64 << 10)      /* of one client at a time */
#define LISTENER   UINT32_MAX      /* in the place of a client's index */

enum client_state { CLIENT_NONE, CLIENT_SPEAKS, CLIENT_WAITS, CLIENT_GIVEN };

struct client {
	enum client_state state;
	int fd;
	int64_t since_ns; /* it is here */
	int64_t heard_ns;
	struct buffer line;    /* what it has said */
	struct signal *signal; /* CLIENT_WAITS */
	uint64_t number;       /* the order of those */
};

struct signal_socket {
	int dir_fd; /* of the state directory */
	int fd;
	int epoll_fd;
	bool is_listening;
	int64_t listen_ns; /* not before */
	struct client clients[SIGNAL_CLIENTS];
	uint64_t number;
};

/* ---- the address ---- */

enum status signal_socket_address(const char *state_path, struct sockaddr_un *address,
				  int *dir_fd, struct error *err)
{
	int len;

	*dir_fd = -1;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	len = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", state_path,
		       STATE_SIGNALS_SOCKET);
	if (len >= 0 && (size_t)len < sizeof address->sun_path) {
		return ST_OK;
	}
	*dir_fd = open(state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0) {
		return error_set_errno(err, errno, "%s cannot be opened",
				       quote(state_path).text);
	}
	(void)snprintf(address->sun_path, sizeof address->sun_path,
		       "/proc/self/fd/%d/%s", *dir_fd, STATE_SIGNALS_SOCKET);
	return ST_OK;
}

/* ---- answers ---- */

static void send_json(int fd, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct iovec parts[] = {
	    {.iov_base = text, .iov_len = text ? strlen(text) : 0},
	    {.iov_base = "\n", .iov_len = 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	/* There is room for it, as nothing else was sent; a client that has gone has
	 * no use for it. */
	if (text) {
		(void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
	json_decref(json);
}

static void send_error(int fd, const char *what)
{
	char *safe = strdup(what);

	if (safe) {
		utf8_make_safe(safe);
		send_json(fd, json_pack("{s:s}", "error", safe));
	}
	free(safe);
}

/* ---- clients ---- */

static void listen_again(struct signal_socket *s)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER};

	if (!s->is_listening && clock_mono_ns() >= s->listen_ns) {
		s->is_listening =
		    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) == 0;
		s->listen_ns = s->is_listening ? 0 : clock_mono_ns() + PAUSE_NS;
	}
}

static void listen_not(struct signal_socket *s, int64_t until_ns)
{
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->is_listening = false;
	s->listen_ns = until_ns;
}

static void client_drop(struct signal_socket *s, struct client *client)
{
	(void)close(client->fd);
	buffer_clear(&client->line);
	signal_free(client->signal);
	*client = (struct client){.fd = -1};
	listen_again(s);
}

static struct client *free_client(struct signal_socket *s)
{
	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		if (s->clients[i].state == CLIENT_NONE) {
			return &s->clients[i];
		}
	}
	return NULL;
}

static void let_in(struct signal_socket *s)
{
	struct client *client;

	while ((client = free_client(s)) != NULL) {
		struct epoll_event event = {.events = EPOLLIN};
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR &&
			    errno != ECONNABORTED) {
				listen_not(s, clock_mono_ns() + PAUSE_NS);
			}
			return;
		}
		*client = (struct client){
		    .state = CLIENT_SPEAKS, .fd = fd, .since_ns = clock_mono_ns()};
		client->heard_ns = client->since_ns;
		buffer_init(&client->line);
		event.data.u32 = (uint32_t)(client - s->clients);
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
			client_drop(s, client);
		}
	}
	listen_not(s, 0); /* until one has gone */
}

/* Its line is whole. */
static void client_parse(struct signal_socket *s, struct client *client, size_t len)
{
	struct span line = {client->line.bytes, len};
	struct error err;
	bool is_like;

	if (signal_parse_line(line, &client->signal, &is_like, &err) != ST_OK) {
		send_error(client->fd, err.text);
		client_drop(s, client);
		return;
	}
	/* Whatever else it does: the answer is next. */
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, client->fd, NULL);
	buffer_clear(&client->line);
	client->state = CLIENT_WAITS;
	client->number = s->number++;
}

/* A line, or what has none behind it because no more can come. */
static void client_look(struct signal_socket *s, struct client *client, size_t before,
			bool is_end)
{
	const char *bytes = client->line.bytes;
	size_t len = client->line.len;
	const char *end =
	    len > before ? memchr(bytes + before, '\n', len - before) : NULL;

	if (end) {
		client_parse(s, client, (size_t)(end - bytes));
	} else if (len > SIGNAL_MAX_BYTES) {
		send_error(client->fd, "the signal is longer than 1 MiB");
		client_drop(s, client);
	} else if (is_end && len > 0) {
		client_parse(s, client, len);
	} else if (is_end) {
		client_drop(s, client);
	}
}

static void client_read(struct signal_socket *s, struct client *client)
{
	size_t before = client->line.len;
	ssize_t len = 0;

	if (!buffer_reserve(&client->line, READ_BYTES)) {
		client_drop(s, client);
		return;
	}
	len = recv(client->fd, client->line.bytes + before, READ_BYTES, MSG_DONTWAIT);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			client_drop(s, client);
		}
		return;
	}
	client->line.len += (size_t)len;
	if (len > 0) {
		client->heard_ns = clock_mono_ns();
	}
	client_look(s, client, before, len == 0);
}

static int64_t client_until(const struct client *client)
{
	int64_t silent_ns = client->heard_ns + SILENCE_NS;
	int64_t whole_ns = client->since_ns + WHOLE_NS;

	return silent_ns < whole_ns ? silent_ns : whole_ns;
}

static void drop_silent(struct signal_socket *s)
{
	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		struct client *client = &s->clients[i];

		if (client->state == CLIENT_SPEAKS &&
		    clock_mono_ns() >= client_until(client)) {
			client_drop(s, client);
		}
	}
}

static void serve(struct signal_socket *s)
{
	struct epoll_event events[SIGNAL_CLIENTS + 1];
	int count = epoll_wait(s->epoll_fd, events, SIGNAL_CLIENTS + 1, 0);

	for (int i = 0; i < count; i++) {
		uint32_t which = events[i].data.u32;

		if (which == LISTENER) {
			let_in(s);
		} else if (s->clients[which].state == CLIENT_SPEAKS) {
			client_read(s, &s->clients[which]);
		}
	}
	drop_silent(s);
	if (free_client(s)) {
		listen_again(s);
	}
}

/* ---- signals ---- */

static struct client *find_client(struct signal_socket *s, enum client_state state)
{
	struct client *found = NULL;

	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		struct client *client = &s->clients[i];

		if (client->state == state &&
		    (!found || client->number < found->number)) {
			found = client;
		}
	}
	return found;
}

struct signal *signal_socket_next(struct signal_socket *s)
{
	struct client *client;
	struct signal *signal;

	serve(s);
	client = find_client(s, CLIENT_WAITS);
	if (!client || find_client(s, CLIENT_GIVEN)) {
		return NULL;
	}
	signal = client->signal;
	client->signal = NULL;
	client->state = CLIENT_GIVEN;
	return signal;
}

void signal_socket_taken(struct signal_socket *s, const struct signal *signal,
			 const struct error *refused)
{
	struct client *client = find_client(s, CLIENT_GIVEN);

	if (!client) {
		return;
	}
	if (refused) {
		send_error(client->fd, refused->text);
	} else {
		send_json(client->fd, json_pack("{s:s}", "id", signal->id));
	}
	client_drop(s, client);
}

int signal_socket_fd(const struct signal_socket *s)
{
	return s->epoll_fd;
}

int64_t signal_socket_due_ns(const struct signal_socket *s)
{
	int64_t due_ns = s->is_listening ? INT64_MAX : s->listen_ns;

	if (due_ns == 0) {
		due_ns = INT64_MAX; /* once somebody has gone */
	}
	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		const struct client *client = &s->clients[i];

		if (client->state == CLIENT_WAITS) {
			return 0;
		}
		if (client->state == CLIENT_SPEAKS && client_until(client) < due_ns) {
			due_ns = client_until(client);
		}
	}
	return due_ns;
}

/* ---- open and close ---- */

/* What a run that was killed has left. */
static enum status remove_stale(const struct signal_socket *s, const char *state_path,
				struct error *err)
{
	struct stat st;

	if (fstatat(s->dir_fd, STATE_SIGNALS_SOCKET, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		return ST_OK;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return error_set(err, ST_CONFIG, "%s/%s is no socket: move it away",
				 quote(state_path).text, STATE_SIGNALS_SOCKET);
	}
	if (unlinkat(s->dir_fd, STATE_SIGNALS_SOCKET, 0) != 0 && errno != ENOENT) {
		return error_set_errno(err, errno, "%s/%s cannot be removed",
				       quote(state_path).text, STATE_SIGNALS_SOCKET);
	}
	return ST_OK;
}

static bool bind_and_listen(int fd, const struct sockaddr_un *address)
{
	return fchmod(fd, 0600) == 0 && /* what bind makes has that mode */
	       bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
	       listen(fd, SIGNAL_CLIENTS) == 0;
}

static enum status make_socket(struct signal_socket *s, const char *state_path,
			       struct error *err)
{
	struct sockaddr_un address;
	enum status status;
	int dir_fd;

	s->dir_fd = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0) {
		return error_set_errno(err, errno, "%s cannot be opened",
				       quote(state_path).text);
	}
	status = remove_stale(s, state_path, err);
	if (status == ST_OK) {
		status = signal_socket_address(state_path, &address, &dir_fd, err);
	}
	if (status != ST_OK) {
		return status;
	}
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->epoll_fd < 0 || s->fd < 0 || !bind_and_listen(s->fd, &address)) {
		status = error_set_errno(err, errno, "%s/%s cannot be made",
					 quote(state_path).text, STATE_SIGNALS_SOCKET);
	}
	if (dir_fd >= 0) {
		(void)close(dir_fd);
	}
	return status;
}

enum status signal_socket_open(const char *state_path, struct signal_socket **out,
			       struct error *err)
{
	struct signal_socket *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "the socket of signals");
	}
	s->dir_fd = s->fd = s->epoll_fd = -1;
	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		s->clients[i].fd = -1;
	}
	status = make_socket(s, state_path, err);
	if (status != ST_OK) {
		signal_socket_close(s);
		return status;
	}
	listen_again(s);
	*out = s;
	return ST_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0) {
		(void)close(fd);
	}
}

void signal_socket_close(struct signal_socket *s)
{
	if (!s) {
		return;
	}
	if (s->fd >= 0) {
		(void)unlinkat(s->dir_fd, STATE_SIGNALS_SOCKET, 0);
	}
	close_fd(s->fd);
	for (size_t i = 0; i < SIGNAL_CLIENTS; i++) {
		struct client *client = &s->clients[i];

		if (client->state != CLIENT_NONE) {
			send_error(client->fd, "rowtail stops, and has not taken the "
					       "signal; send it again");
			close_fd(client->fd);
			buffer_clear(&client->line);
			signal_free(client->signal);
		}
	}
	close_fd(s->epoll_fd);
	close_fd(s->dir_fd);
	free(s);
}

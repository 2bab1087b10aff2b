/* SPDX-License-Identifier: Apache-2.0 */
#include "src/monitor/listen_address.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/base/quote.h"

#define UNIX_PREFIX "unix:"
#define UNIX_MODE   0660
#define BACKLOG     16
#define HOST_BYTES  256

static enum status bad_address(const char *text, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "metrics.listen=%s: must be HOST:PORT, as 127.0.0.1:9187, or "
			 "unix:PATH with a path of at most 107 bytes",
			 quote(text).text);
}

static enum status cannot_listen(const char *text, int sys_errno, struct error *err)
{
	return error_set_errno(err, sys_errno, "metrics.listen=%s: cannot listen there",
			       quote(text).text);
}

/* ---- unix:PATH ---- */

/* Does nobody listen at a socket that is there? */
static bool is_left(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_refused =
	    fd >= 0 &&
	    connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
	    errno == ECONNREFUSED;

	if (fd >= 0) {
		(void)close(fd);
	}
	return is_refused;
}

/* What a run that was killed has left is removed, nothing else. */
static bool bind_path(int fd, const struct sockaddr_un *address)
{
	struct stat file;

	if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
		return true;
	}
	if (errno != EADDRINUSE || lstat(address->sun_path, &file) != 0 ||
	    !S_ISSOCK(file.st_mode) || !is_left(address)) {
		errno = EADDRINUSE;
		return false;
	}
	return unlink(address->sun_path) == 0 &&
	       bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
}

static enum status open_path(const char *text, const char *path,
			     struct listen_address *out, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof address.sun_path) {
		return bad_address(text, err);
	}
	memcpy(address.sun_path, path, len);
	out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (out->fd < 0 || !bind_path(out->fd, &address)) {
		return cannot_listen(text, errno, err);
	}
	memcpy(out->path, path, len);
	if (chmod(path, UNIX_MODE) != 0 || lstat(path, &out->file) != 0 ||
	    listen(out->fd, BACKLOG) != 0) {
		return cannot_listen(text, errno, err);
	}
	out->is_local = true;
	(void)snprintf(out->shown, sizeof out->shown, "%s%s", UNIX_PREFIX, path);
	return ST_OK;
}

/* Could it be made there? */
static enum status look_at_path(const char *text, const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	char *copy;
	struct stat file;
	int reason = 0;

	if (len == 0 || len >= sizeof address.sun_path) {
		return bad_address(text, err);
	}
	memcpy(address.sun_path, path, len);
	if (lstat(path, &file) == 0) {
		reason = S_ISSOCK(file.st_mode) && is_left(&address) ? 0 : EADDRINUSE;
	}
	copy = strdup(path);
	if (!copy) {
		return error_no_memory(err, "metrics");
	}
	if (reason == 0 &&
	    faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) != 0) {
		reason = errno;
	}
	free(copy);
	return reason == 0 ? ST_OK : cannot_listen(text, reason, err);
}

/* ---- HOST:PORT ---- */

/* "host" and "port" of "host:port" or "[host]:port". */
static bool split(const char *text, char host[HOST_BYTES], const char **port)
{
	const char *colon = strrchr(text, ':');
	bool has_brackets = text[0] == '[' && colon > text && colon[-1] == ']';
	const char *begin = has_brackets ? text + 1 : text;
	const char *end = has_brackets ? colon - 1 : colon;
	char *last;
	long number;

	if (!colon || end <= begin || (size_t)(end - begin) >= HOST_BYTES ||
	    (!has_brackets && memchr(begin, ':', (size_t)(end - begin)))) {
		return false;
	}
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	*port = colon + 1;
	if (**port < '0' || **port > '9') {
		return false;
	}
	number = strtol(*port, &last, 10);
	return *last == '\0' && number <= 65535;
}

static bool is_loopback(const struct sockaddr *address)
{
	const void *any = address;

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = any;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)any)->sin6_addr);
}

/* With the port that was taken, where any would do. */
static void show(struct listen_address *out, const char *host)
{
	struct sockaddr_storage taken;
	socklen_t len = sizeof taken;
	const void *any = &taken;
	unsigned port = 0;

	if (getsockname(out->fd, (struct sockaddr *)&taken, &len) == 0) {
		port = taken.ss_family == AF_INET6
			   ? ntohs(((const struct sockaddr_in6 *)any)->sin6_port)
			   : ntohs(((const struct sockaddr_in *)any)->sin_port);
		out->is_local = is_loopback(any);
	}
	(void)snprintf(out->shown, sizeof out->shown,
		       strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host,
		       port);
}

static int open_socket(const struct addrinfo *info, bool listens)
{
	const int on = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 ||
	    (listens && listen(fd, BACKLOG) != 0)) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static enum status open_port(const char *text, bool listens, struct listen_address *out,
			     struct error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char host[HOST_BYTES];
	const char *port;
	int rc;

	if (!split(text, host, &port)) {
		return bad_address(text, err);
	}
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0) {
		return error_set(err, ST_IO,
				 "metrics.listen=%s: %s; give an address of this "
				 "machine, as 127.0.0.1:%s",
				 quote(text).text, gai_strerror(rc), port);
	}
	errno = EADDRNOTAVAIL;
	for (const struct addrinfo *info = found; info && out->fd < 0;
	     info = info->ai_next) {
		out->fd = open_socket(info, listens);
	}
	rc = errno;
	freeaddrinfo(found);
	if (out->fd < 0) {
		return cannot_listen(text, rc, err);
	}
	show(out, host);
	return ST_OK;
}

/* ---- all ---- */

enum status listen_address_open(const char *text, struct listen_address *out,
				struct error *err)
{
	size_t prefix = strlen(UNIX_PREFIX);
	bool is_path = strncmp(text, UNIX_PREFIX, prefix) == 0;
	enum status status;

	*out = (struct listen_address){.fd = -1};
	status = is_path ? open_path(text, text + prefix, out, err)
			 : open_port(text, true, out, err);
	if (status != ST_OK) {
		listen_address_close(out);
	}
	return status;
}

void listen_address_close(struct listen_address *address)
{
	struct stat now;

	if (address->path[0] && lstat(address->path, &now) == 0 &&
	    now.st_dev == address->file.st_dev && now.st_ino == address->file.st_ino) {
		(void)unlink(address->path);
	}
	if (address->fd >= 0) {
		(void)close(address->fd);
	}
	*address = (struct listen_address){.fd = -1};
}

enum status listen_address_look(const char *text, struct error *err)
{
	size_t prefix = strlen(UNIX_PREFIX);
	struct listen_address address = {.fd = -1};
	enum status status;

	if (strncmp(text, UNIX_PREFIX, prefix) == 0) {
		return look_at_path(text, text + prefix, err);
	}
	status = open_port(text, false, &address, err);
	listen_address_close(&address);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/monitor/listen_address.h -- the value of metrics.listen, and a socket that
 * listens there: HOST:PORT, with an IPv6 address in brackets, or unix:PATH.
 *
 * OWNERSHIP  listen_address_open / listen_address_close; the caller's struct.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG: it is none. ST_IO: nobody can listen there.
 */
#ifndef MONITOR_LISTEN_ADDRESS_H
#define MONITOR_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "src/base/status.h"

struct listen_address {
	int fd; /* listens; CLOEXEC */
	/* "http://127.0.0.1:9187", with the port that it has got, or "unix:PATH". */
	char shown[320];
	bool is_local;    /* nobody from another machine gets there */
	char path[108];   /* of unix:PATH, else "" */
	struct stat file; /* the socket's */
};

enum status listen_address_open(const char *text, struct listen_address *out,
				struct error *err) MUST_CHECK;
/* Could somebody listen there? Nobody does: a port is bound for a moment, at which who
 * wants to listen there can. */
enum status listen_address_look(const char *text, struct error *err) MUST_CHECK;
/* The file of a socket goes if it is still that one. */
void listen_address_close(struct listen_address *address);

#endif

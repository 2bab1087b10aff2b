/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/monitor/metrics_server.h -- a run seen from outside, over HTTP (docs/metrics.md):
 *
 *     /metrics   src/base/metrics.h, and the sizes of a state directory
 *     /health    src/base/health.h: 200, or 503 and why
 *     /status    what rowtail status --json says; without a state directory less
 *
 * All is read-only, and nothing that a client does or leaves undone matters to the run:
 * a thread listens, each of a few connections has one more, and ends after a silence.
 *
 * OWNERSHIP  metrics_server_open / metrics_server_close; settings are borrowed.
 * THREADS    One opens and closes, before and after there are others.
 * ERRORS     ST_CONFIG: metrics.listen or health.max.lag is none. ST_IO: nobody can
 *            listen there.
 */
#ifndef METRICS_SERVER_H
#define METRICS_SERVER_H

#include <stdint.h>

#include "src/base/status.h"

struct metrics_server;

struct metrics_server_settings {
	const char *listen;   /* metrics.listen; NULL: nobody asks */
	int64_t max_lag_ns;   /* health.max.lag */
	const char *database; /* path, or the place of an archive */
	const char *state;    /* path of the state directory; NULL: there is none */
	const char *sink;     /* its kind */
};

/* NULL in `*out`: nobody asks. */
enum status metrics_server_open(const struct metrics_server_settings *settings,
				struct metrics_server **out,
				struct error *err) MUST_CHECK;
void metrics_server_close(struct metrics_server *server); /* takes NULL */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/when.h -- a moment as a person gives it: --at.
 *
 *     latest, first           the newest and the oldest state of the archive
 *     txid:HEX                the state after that TXID, as its files are named
 *     lsn:N                   the state after the transaction with that LSN
 *     2026-11-28T10:00:00Z    the newest state at or before that time (RFC 3339, a
 *                             fraction and an offset like +02:00 are allowed)
 *     -90s -10m -2h -3d       the same, so long ago
 *
 * THREADS  No shared state.
 * ERRORS   ST_CONFIG: none of these.
 */
#ifndef WHEN_H
#define WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

enum when_kind { WHEN_LATEST, WHEN_FIRST, WHEN_TXID, WHEN_TIME };

struct when {
	enum when_kind kind;
	uint64_t txid;
	int64_t time_ns;    /* since 1970; the last one that the text can mean */
	const char *option; /* that it was given with, for messages; NULL: --at */
};

/* `now_ns`: what "ago" is counted from. Times are shown in whole milliseconds, and
 * those of files are finer: one with less than four digits after the point means all of
 * its millisecond. */
enum status when_parse(const char *text, int64_t now_ns, struct when *when,
		       struct error *err) MUST_CHECK;
/* The same of another option than --at; borrowed by `when`. */
enum status when_parse_option(const char *option, const char *text, int64_t now_ns,
			      struct when *when, struct error *err) MUST_CHECK;
/* The option that it was given with. */
const char *when_option(const struct when *when);

#endif

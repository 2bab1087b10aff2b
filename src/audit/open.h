/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/open.h -- an audit log that somebody asks about.
 *
 * OWNERSHIP The descriptor is the caller's, who closes it.
 * THREADS   No shared state.
 * ERRORS    ST_CONFIG: there is none, or it is no log. ST_IO, ST_NOMEM.
 */
#ifndef AUDIT_OPEN_H
#define AUDIT_OPEN_H

#include "src/audit/line.h"

/* For reading: a regular file, whatever is in it. */
enum status audit_open(const char *path, int *fd, struct error *err) MUST_CHECK;

/* The same, and it begins as a log does. `time`, of 25 bytes, gets that of its first
 * line. */
#define AUDIT_TIME_BYTES 25 /* 2026-11-07T13:37:55.200Z and a NUL */
enum status audit_open_log(const char *path, int *fd, char time[AUDIT_TIME_BYTES],
			   struct error *err) MUST_CHECK;

/* ST_CONFIG, and what to do. */
enum status audit_is_no_log(const char *path, struct error *err);

#endif

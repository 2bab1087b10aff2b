/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/open.h -- an audit log that somebody asks about.
 *
 * OWNERSHIP audit_files_clear frees the files.
 * THREADS   No shared state.
 * ERRORS    ST_CONFIG: there is none, or it is no log. ST_IO, ST_NOMEM.
 */
#ifndef AUDIT_OPEN_H
#define AUDIT_OPEN_H

#include "src/audit/files.h"

/* Its files, of which the first begins as a log's do. `time` gets that of its first
 * line. */
#define AUDIT_TIME_BYTES 25 /* 2026-11-07T13:37:55.200Z and a NUL */
enum status audit_open_log(const char *path, struct audit_files *files,
			   char time[AUDIT_TIME_BYTES], struct error *err) MUST_CHECK;

/* ST_CONFIG, and what to do. */
enum status audit_is_no_log(const char *path, struct error *err);

#endif

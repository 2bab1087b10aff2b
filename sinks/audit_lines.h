/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_lines.h -- lines of an audit log that tell of the log itself, and of
 * rowtail.
 *
 * FORMAT   docs/audit.md. They have no salt: no redaction takes them away.
 * THREADS  The decoding thread.
 * ERRORS   Those of audit_log_add (sinks/audit_log.h).
 */
#ifndef SINKS_AUDIT_LINES_H
#define SINKS_AUDIT_LINES_H

#include "sinks/audit_log.h"
#include "sinks/sink.h"

/* The first line of a file: what is before it, and its key. */
enum status audit_add_file(struct audit_log *log, const char *uuid,
			   const char *database, struct error *err) MUST_CHECK;
/* A key signs from here on; the one before it says so in `handover`, or cannot: NULL.
 */
enum status audit_add_key(struct audit_log *log, const struct buffer *handover,
			  struct error *err) MUST_CHECK;
enum status audit_add_start(struct audit_log *log, const struct sink_position *now,
			    const struct sink_start *start,
			    struct error *err) MUST_CHECK;
enum status audit_add_stop(struct audit_log *log, const char *why,
			   struct error *err) MUST_CHECK;
/* Said in rowtail's own log, too. */
enum status audit_add_gap(struct audit_log *log, const char *why,
			  struct error *err) MUST_CHECK;
enum status audit_add_full_disk(struct audit_log *log, struct error *err) MUST_CHECK;
/* So many files go, with the lines from `first` up to one before `end`. */
enum status audit_add_retention(struct audit_log *log, uint64_t files, uint64_t first,
				uint64_t end, struct error *err) MUST_CHECK;
/* These lines, [[FIRST,LAST],…], are taken out. */
enum status audit_add_redaction(struct audit_log *log, const char *by, const char *why,
				const struct buffer *lines,
				struct error *err) MUST_CHECK;

#endif

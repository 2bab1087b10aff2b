/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/search.h -- the lines of an audit log that have what is asked for in them,
 * of all its files in their order. Several files are read at a time, each by a thread
 * of its own.
 *
 * MEMORY    2 MiB and a reader (reader.h) for each thread, of which there are as
 *           many as processors, and at most 4. A line of more than 1 MiB is not
 *           copied.
 * OWNERSHIP audit_search_open / audit_search_close. The files are borrowed; a line is
 *           until the next one is asked for.
 * THREADS   One asks; the threads are this module's.
 * ERRORS    Those of audit_reader_find, behind all lines before them.
 */
#ifndef AUDIT_SEARCH_H
#define AUDIT_SEARCH_H

#include <stdbool.h>

#include "src/audit/files.h"
#include "src/audit/reader.h"
#include "src/base/status.h"

struct audit_search;

struct audit_search_line {
	struct span bytes; /* without its LF */
	bool is_whole;     /* it has one */
	bool is_long; /* it is longer than AUDIT_ASKED_BYTES: this is its beginning */
};

struct audit_search_question {
	const struct audit_needle *needles; /* see audit_reader_find; at least one */
	size_t count;
	/* Is a line with a needle asked for? Of a long one nobody is asked. NULL: all
	 * are. Several threads ask at a time. */
	bool (*wants)(const void *context, struct span line);
	const void *context;
};

/* What the question points to is borrowed. */
enum status audit_search_open(const struct audit_files *files,
			      const struct audit_search_question *question,
			      struct audit_search **out, struct error *err) MUST_CHECK;
void audit_search_close(struct audit_search *search); /* takes NULL */

/* ST_END: there are no more. */
enum status audit_search_next(struct audit_search *search,
			      struct audit_search_line *line,
			      struct error *err) MUST_CHECK;
/* Files that were damaged, of those that are behind the last line. */
unsigned audit_search_damaged(const struct audit_search *search);

#endif

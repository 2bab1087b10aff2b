/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_filter.h -- which lines of an audit log a report is of.
 *
 * Bytes are looked at first: a line without the needle is none of them.
 *
 * OWNERSHIP audit_filter_open / audit_filter_close; options are borrowed.
 * THREADS   No shared state.
 * ERRORS    ST_CONFIG: a time that is none. ST_NOMEM.
 */
#ifndef AUDIT_FILTER_H
#define AUDIT_FILTER_H

#include "src/audit/event.h"
#include "src/base/buffer.h"
#include "src/base/status.h"
#include "src/config/config.h"

struct audit_filter {
	const struct report_options *options;
	char since[25], until[25]; /* "": not given */
	struct buffer needle;      /* empty: all lines */
};

enum audit_match {
	AUDIT_NO,
	AUDIT_PERHAPS, /* who is asked for is one of those who may have done it */
	AUDIT_YES,
};

enum status audit_filter_open(struct audit_filter *filter, const struct config *config,
			      struct error *err) MUST_CHECK;
void audit_filter_close(struct audit_filter *filter);

enum audit_match audit_filter_match(const struct audit_filter *filter,
				    const struct audit_event *event);

#endif

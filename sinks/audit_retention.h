/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_retention.h -- closed files of an audit log: they are compressed, and go
 * when their time has come.
 *
 * A thread of its own compresses them, with low priority: PATH.N becomes PATH.N.zst,
 * which is read back and compared first. What stands in the lines stays the same, so
 * no head and no proof changes. Files that may only be appended to (chattr +a) stay as
 * they are.
 *
 * OWNERSHIP audit_retention_open / audit_retention_close; the settings' texts are
 *           borrowed until then.
 * THREADS   The decoding thread calls; a file is never compressed and removed at once.
 * ERRORS    ST_IO, ST_NOMEM. What the thread cannot do it says once, and tries again.
 */
#ifndef SINKS_AUDIT_RETENTION_H
#define SINKS_AUDIT_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

struct audit_retention_settings {
	const char *path; /* PATH */
	bool compresses;
	int64_t age_ns;         /* so long files stay; 0: for ever */
	uint64_t bytes;         /* or as many as these; UINT64_MAX: all */
	const char *checkpoint; /* only lines go that this head signs; NULL: any */
};

struct audit_retention;

enum status audit_retention_open(const struct audit_retention_settings *settings,
				 struct audit_retention **out,
				 struct error *err) MUST_CHECK;
void audit_retention_close(struct audit_retention *retention); /* takes NULL */

/* The file of line `first` is written, and whole; those before it are closed. */
void audit_retention_look(struct audit_retention *retention, uint64_t first);

/* Files whose time has come: the oldest, and never the newest. */
struct audit_gone {
	uint64_t files; /* 0: none */
	uint64_t first; /* their lines; end is one past */
	uint64_t end;
};

/* Asked for often, it looks once an hour and after a file was closed. */
enum status audit_retention_due(struct audit_retention *retention,
				struct audit_gone *out, struct error *err) MUST_CHECK;
/* The log says so, durably: they go. */
enum status audit_retention_remove(struct audit_retention *retention,
				   const struct audit_gone *gone,
				   struct error *err) MUST_CHECK;

#endif

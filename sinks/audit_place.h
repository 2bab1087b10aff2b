/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_place.h -- which file an audit log is written to, and its names.
 *
 * NAMES     src/audit/files.h. A file has its number as a name from its making on and
 *           is never renamed: so it can be one that may only be appended to (chattr
 *           +a). PATH is moved on to the newest: a hard link, or a symbolic one where
 *           there was one or the file system has no hard links.
 * LOCK      Who writes has an exclusive lock (flock) on the newest file.
 * OWNERSHIP audit_place_clear closes and frees.
 * THREADS   The decoding thread.
 * ERRORS    ST_CONFIG: the file is not ours to write, another process writes it, or
 *           PATH is a file of its own. ST_IO, ST_NOMEM.
 */
#ifndef SINKS_AUDIT_PLACE_H
#define SINKS_AUDIT_PLACE_H

#include "src/audit/files.h"

struct audit_place {
	const char *path;         /* PATH, with no link as its last part; borrowed */
	struct audit_files files; /* with the one that is written, if there is one */
	bool exists;
	bool only_looks; /* audit_place_look, */
	bool is_ours;    /* and its is_ours */
	int fd;          /* of the newest; -1: not open */
	char *file_path; /* PATH.N */
	uint64_t first;  /* its N */
};

/* Find the newest file and lock it. Without one `exists` is false, unless it may be
 * made. */
enum status audit_place_open(struct audit_place *place, const char *path, bool may_make,
			     struct error *err) MUST_CHECK;
/* The same, and nothing is made, locked or removed: the newest file is open to be read.
 * `is_ours`: who has the lock is no matter. */
enum status audit_place_look(struct audit_place *place, const char *path, bool is_ours,
			     struct error *err) MUST_CHECK;
void audit_place_clear(struct audit_place *place); /* one of zeros with fd -1, too */

/* The newest file was never whole, and nothing was acknowledged in it: it goes, and the
 * one before it is written again. ST_CONFIG: that is not there. */
enum status audit_place_drop(struct audit_place *place, struct error *err) MUST_CHECK;

/* Begin the next file, empty, locked, and not yet named PATH. What was open stays open:
 * `*old_fd`, the caller's to close. */
enum status audit_place_begin(struct audit_place *place, uint64_t first, int *old_fd,
			      struct error *err) MUST_CHECK;

/* Both names are those of the file that is open; durable when it returns. */
enum status audit_place_name(const struct audit_place *place,
			     struct error *err) MUST_CHECK;

#endif

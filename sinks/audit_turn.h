/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_turn.h -- from one file of an audit log to the next, and from its key to
 * another.
 *
 * ORDER    The next key is kept; the new file begins with what is before it and with
 *          the word of the old key for the new one; both names are durable; then the
 *          new key is noted in PATH.keys, and takes the place of the old one, which is
 *          forgotten. Whatever ends it
 *          in between, either key is there for the newest file that is whole.
 * THREADS  The decoding thread.
 * ERRORS   ST_IO, ST_NOMEM, ST_CONFIG (a file of that name is somebody's). Where the
 *          new file was not begun the old one can be gone on with.
 */
#ifndef SINKS_AUDIT_TURN_H
#define SINKS_AUDIT_TURN_H

#include "sinks/audit_log.h"
#include "sinks/audit_place.h"

/* All borrowed. All lines of the log are signed. */
struct audit_turn {
	struct audit_log *log;
	struct audit_place *file;
	const char *state_path, *uuid, *database;
};

/* What comes next is written to the new file; its first lines are not signed yet. */
enum status audit_turn_run(const struct audit_turn *turn, struct error *err) MUST_CHECK;

/* The secrets of the key that the newest file is signed with: those that sign now, or
 * the next ones (`*is_next`), if a run ended in the middle of a turn. ST_END: neither
 * is there, or is this log's; `*is_there`: one is. */
enum status audit_turn_find_key(const char *state_path, const struct audit_key *key,
				struct audit_secrets *out, bool *is_there,
				bool *is_next, struct error *err) MUST_CHECK;
/* The same, and then the next ones are those that sign now. */
enum status audit_turn_read_key(const char *state_path, const struct audit_key *key,
				struct audit_secrets *out, bool *is_there,
				struct error *err) MUST_CHECK;

#endif

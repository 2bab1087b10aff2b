/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_turn.h"

#include <unistd.h>

#include "sinks/audit_lines.h"

enum status audit_turn_find_key(const char *state_path, const struct audit_key *key,
				struct audit_secrets *out, bool *is_there,
				bool *is_next, struct error *err)
{
	struct error ignored;
	enum status status = audit_key_file_read(state_path, AUDIT_KEY_NOW, out, err);

	*is_next = false;
	*is_there = status == ST_OK;
	if (status == ST_OK && audit_key_is(&out->key, key)) {
		return ST_OK;
	}
	if (audit_key_file_read(state_path, AUDIT_KEY_NEXT, out, &ignored) == ST_OK &&
	    audit_key_is(&out->key, key)) {
		*is_next = true;
		return ST_OK;
	}
	audit_secrets_wipe(out);
	return status == ST_OK ? ST_END : status;
}

enum status audit_turn_read_key(const char *state_path, const struct audit_key *key,
				struct audit_secrets *out, bool *is_there,
				struct error *err)
{
	bool is_next;
	enum status status =
	    audit_turn_find_key(state_path, key, out, is_there, &is_next, err);

	return status == ST_OK && is_next ? audit_key_file_turn(state_path, err)
					  : status;
}

/* The lines that a file begins with, and then it is the one that is written. */
static enum status begin_file(const struct audit_turn *turn,
			      const struct audit_secrets *next,
			      const struct buffer *handover, struct error *err)
{
	struct audit_log *log = turn->log;
	uint64_t first = log->count;
	int old_fd = -1;
	enum status status = audit_place_begin(turn->file, first, &old_fd, err);

	if (status != ST_OK) {
		return status;
	}
	audit_log_turn(log, turn->file->fd, turn->file->file_path, next);
	status = audit_add_file(log, turn->uuid, turn->database, err);
	if (status == ST_OK) {
		status = audit_add_key(log, handover, err);
	}
	if (status == ST_OK) {
		status = audit_log_sync(log, err);
	}
	if (status == ST_OK) {
		status = audit_place_name(turn->file, err);
	}
	if (status == ST_OK) {
		status = audit_log_note_key(log, first, handover, err);
	}
	if (status == ST_OK) {
		status = audit_key_file_turn(turn->state_path, err);
	}
	(void)close(old_fd);
	return status;
}

enum status audit_turn_run(const struct audit_turn *turn, struct error *err)
{
	struct audit_log *log = turn->log;
	const struct audit_key *key = &log->secrets.key;
	struct audit_head head = {.size = log->count,
				  .root = audit_tree_root(&log->tree, &log->hasher)};
	struct audit_secrets next;
	struct buffer handover;
	enum status status = audit_key_file_make(turn->state_path, AUDIT_KEY_NEXT,
						 key->name, &next, err);

	buffer_init(&handover);
	if (status == ST_OK) {
		status = audit_note_add_handover(&handover, key, &head, &next.key, err);
	}
	if (status == ST_OK) {
		status = begin_file(turn, &next, &handover, err);
	}
	buffer_clear(&handover);
	audit_secrets_wipe(&next);
	return status;
}

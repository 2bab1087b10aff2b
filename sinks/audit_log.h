/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_log.h -- the file of an audit log: lines with their numbers and salts,
 * and signed heads.
 *
 * FORMAT   docs/audit.md. A line is the body that it is given behind {"n":N, and, if
 *          lines are salted, "salt":"…",: 12 bytes of SHA-256(secret || N / 2 as 8
 *          bytes, big-endian) in base64, the first ones where N is even, else the next.
 * Each line is a leaf of the tree (src/audit/tree.h), and so is that of a head, which
 * signs all before it.
 * HEADS    What a head signs is durable before it is made, and so is the position that
 *          leads there: nothing that was signed is ever cut back. The caller sees to
 *          the position. PATH.checkpoint is the newest head, for copying away; it is
 *          replaced once the line of the head is durable.
 * OWNERSHIP audit_log_init / audit_log_clear; the caller's storage.
 * THREADS  The decoding thread.
 * ERRORS   Those of sinks/file_writer.h, ST_NOMEM, and ST_IO.
 */
#ifndef SINKS_AUDIT_LOG_H
#define SINKS_AUDIT_LOG_H

#include "sinks/audit_key_file.h"
#include "sinks/audit_leaves.h"
#include "sinks/file_writer.h"
#include "src/audit/tree.h"
#include "src/base/buffer.h"
#include "src/base/message.h"

struct audit_log {
	struct file_writer writer; /* of the newest file, borrowed; fd -1: none is */
	char *path;                /* PATH; the log's to free */
	uint64_t start;            /* bytes that the file had when writing began */
	struct audit_hasher hasher;
	uint64_t count;         /* of lines, written or not */
	struct audit_tree tree; /* of all of them, once they are synced */
	struct audit_leaves *leaves;
	struct audit_secrets secrets;
	uint64_t retired; /* lines that went with their time: of all before this one */
	bool has_salts;   /* those of the lines 2 * salts_pair and the next */
	uint64_t salts_pair;
	struct audit_hash salts;
	struct buffer lines;  /* that are not written yet */
	struct buffer hashed; /* are being hashed, and written */
	bool is_dirty;        /* something is not synced */
	bool is_unpublished;  /* PATH.checkpoint could not be written, and that was said
			       */
};

enum status audit_log_init(struct audit_log *log, struct error *err) MUST_CHECK;
void audit_log_clear(struct audit_log *log); /* one of zeros, too */

/* Lines that are there already, all of them in `tree`. */
void audit_log_set(struct audit_log *log, const struct audit_tree *tree,
		   uint64_t file_bytes);
/* A line; without `is_salted` it is one that no redaction can take away. */
enum status audit_log_add(struct audit_log *log, struct span body, bool is_salted,
			  struct error *err) MUST_CHECK;
/* All of them are on the disk, and in the tree. */
enum status audit_log_sync(struct audit_log *log, struct error *err) MUST_CHECK;
/* Sign all lines, which are synced. `position` is a JSON object. ST_IO, and nothing is
 * signed: the file is not what was written, or has no name any more. */
enum status audit_log_sign(struct audit_log *log, const char *position,
			   struct error *err) MUST_CHECK;
/* Lines that follow are those of another file, which is empty, and this is its key. */
void audit_log_turn(struct audit_log *log, int fd, const char *file_path,
		    const struct audit_secrets *secrets);
/* Append to PATH.keys, unless it is there: the key from line `first` on, and, if
 * `handover` is not NULL, the note of the key before it that says so. */
enum status audit_log_note_key(const struct audit_log *log, uint64_t first,
			       const struct buffer *handover,
			       struct error *err) MUST_CHECK;

/* What is at the names beside the log is an audit log's, or is nothing: else it is
 * somebody's file, and is left alone. ST_CONFIG. */
enum status audit_log_check_beside(const char *path, struct error *err) MUST_CHECK;

#endif

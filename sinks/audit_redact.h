/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_redact.h -- take lines out of an audit log, so that nobody can read them
 * any more and everything else can be verified as before.
 *
 * A line that is redacted becomes {"n":N,"op":"redacted","leaf":"…"}: its hash stays,
 * so the tree does. Since anybody who can write a file could do that, a `redaction`
 * line says first who did it, why, and which lines, and is signed; rowtail audit verify
 * finds those that none says. What follows is written beside the file, read back, and
 * takes its place; where it is ended in between it is done again.
 *
 * The newest file is closed first if it has such lines: so the secret of their salts is
 * forgotten, too.
 *
 * OWNERSHIP All is borrowed.
 * THREADS   The main thread; nobody else writes the log.
 * ERRORS    ST_CONFIG: the log is written by another process, is none, or its key is
 *           not in the state directory; lines that are not there or cannot be taken
 * out. ST_CORRUPT: it is not what was written. ST_IO, ST_NOMEM.
 */
#ifndef SINKS_AUDIT_REDACT_H
#define SINKS_AUDIT_REDACT_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct audit_redaction {
	const char *path;       /* of --to audit:PATH */
	const char *state_path; /* where the key is */
	const uint64_t *lines;  /* sorted, each once */
	size_t count;
	const char *by, *why;
};

enum status audit_redact(const struct audit_redaction *redaction,
			 struct error *err) MUST_CHECK;

#endif

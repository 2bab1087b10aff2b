/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/line.h -- how a line of an audit log begins.
 *
 * FORMAT   {"n":N,"salt":"…","time":"…",  then "op":"…" at once in a line that tells of
 *          the log or of rowtail itself, and "txn":… in one of a changed row, which
 *          has its op further on. `salt` is there or not. N is the leaf's number, from
 *          0. docs/audit.md has all lines. One that was redacted is
 *          {"n":N,"op":"redacted","leaf":"…"} and nothing else.
 * OWNERSHIP What is found is borrowed from the line.
 * THREADS   No shared state.
 * ERRORS    None. The bytes are a stranger's: a line that begins otherwise is
 *           AUDIT_LINE_ROW without a number.
 */
#ifndef AUDIT_LINE_H
#define AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/message.h"

#define AUDIT_SALT_BYTES 12

enum audit_line_kind {
	AUDIT_LINE_ROW, /* or of another kind than these */
	AUDIT_LINE_FILE,
	AUDIT_LINE_CHECKPOINT,
	AUDIT_LINE_KEY,
	AUDIT_LINE_START,
	AUDIT_LINE_STOP,
	AUDIT_LINE_GAP,
	AUDIT_LINE_RETENTION,
	AUDIT_LINE_REDACTION,
	AUDIT_LINE_REDACTED, /* its content was taken out, its leaf stays */
};

struct audit_line {
	enum audit_line_kind kind;
	bool has_number;
	uint64_t number;
	struct span time; /* without quotes; bytes NULL: there is none */
	struct span leaf; /* AUDIT_LINE_REDACTED: base64 of its hash */
};

void audit_line_read(const char *bytes, size_t len, struct audit_line *out);

#endif

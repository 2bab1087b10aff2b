/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/line.h -- how a line of an audit log begins, and lines one after the other.
 *
 * FORMAT   {"n":N,"salt":"…","time":"…",  then "op":"…" at once in a line that tells of
 *          the log or of rowtail itself, and "txn":… in one of a changed row, which
 *          has its op further on. `salt` is there or not. N is the leaf's number, from
 *          0. docs/audit.md has all lines.
 * OWNERSHIP audit_reader_open / audit_reader_close; the descriptor is borrowed. A line
 * is borrowed until the next one is read. THREADS  No shared state. ERRORS   ST_IO,
 * ST_NOMEM. The bytes are a stranger's: a line that begins otherwise is AUDIT_LINE_ROW
 * without a number.
 */
#ifndef AUDIT_LINE_H
#define AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/audit/tree.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

#define AUDIT_SALT_BYTES 12
#define AUDIT_LONG_BYTES ((size_t)1 << 20) /* of a line so much is held, at most */
#define AUDIT_ASKED_BYTES \
	((size_t)256 << 20) /* the same where what is in lines is asked for */

enum audit_line_kind {
	AUDIT_LINE_ROW, /* or of another kind than these */
	AUDIT_LINE_FILE,
	AUDIT_LINE_CHECKPOINT,
	AUDIT_LINE_KEY,
	AUDIT_LINE_START,
	AUDIT_LINE_STOP,
	AUDIT_LINE_GAP,
};

struct audit_line {
	enum audit_line_kind kind;
	bool has_number;
	uint64_t number;
	struct span time; /* without quotes; bytes NULL: there is none */
};

void audit_line_read(const char *bytes, size_t len, struct audit_line *out);

struct audit_reader {
	int fd;
	const char *path; /* for messages; borrowed */
	struct buffer bytes;
	size_t from;     /* of the next line in `bytes` */
	uint64_t offset; /* of that in the file */
	bool at_end;     /* of the file */
	size_t most; /* of a line is held; AUDIT_LONG_BYTES or, set after opening, more
		      */
	/* The last line was a long one, and its hash. */
	bool is_long;
	struct audit_hash leaf;
	struct audit_hasher hasher; /* open once there was one */
};

/* Reads from the file's beginning. */
void audit_reader_open(struct audit_reader *reader, int fd, const char *path);
void audit_reader_close(struct audit_reader *reader);
/* The next line, without its LF: of one that is longer than `most` its
 * beginning, and `is_long` and `leaf` say the rest. ST_END: no more. `*is_whole`: it
 * has a LF; only the last one can have none. */
enum status audit_reader_next(struct audit_reader *reader, struct span *line,
			      bool *is_whole, struct error *err) MUST_CHECK;
/* What is looked for in lines: bytes without a LF. */
struct audit_needle {
	struct span bytes;   /* borrowed */
	uint64_t not_before; /* of the file: where it may begin; 0 at first */
};

/* The same of the next line with one of the needles in it; with none given, of every
 * line. A long line without them in its beginning is one of those: nobody has looked at
 * the rest. The needles belong to this reader from the first call on. */
enum status audit_reader_find(struct audit_reader *reader, struct audit_needle *needles,
			      size_t count, struct span *line, bool *is_whole,
			      struct error *err) MUST_CHECK;

#endif

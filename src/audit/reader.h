/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/reader.h -- the lines of an audit log, one after the other, of one file or
 * of all.
 *
 * OWNERSHIP audit_reader_open / audit_reader_close. A line is borrowed until the next
 *           one is read.
 * THREADS   No shared state.
 * ERRORS    ST_IO, ST_NOMEM, ST_CONFIG (a file that is none). The bytes are a
 *           stranger's.
 */
#ifndef AUDIT_READER_H
#define AUDIT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/audit/ahead.h"
#include "src/audit/files.h"
#include "src/audit/input.h"
#include "src/audit/tree.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

#define AUDIT_LONG_BYTES ((size_t)1 << 20) /* of a line so much is held, at most */
#define AUDIT_ASKED_BYTES \
	((size_t)256 << 20) /* the same where what is in lines is asked for */

struct audit_reader {
	struct audit_file *files; /* that are still to be read; borrowed */
	size_t file_count;
	struct audit_input input;  /* of the one that is read */
	struct audit_ahead *ahead; /* that reads it; NULL: it is read as it is */
	bool wants_ahead;          /* once more than its beginning is read */
	bool is_alone;             /* nobody else reads meanwhile; else set false after
				    * opening, and no thread is started */
	struct buffer bytes;
	size_t from;         /* of the next line in `bytes` */
	uint64_t offset;     /* of that, over all files that were read */
	uint64_t file_start; /* the same, where the file begins */
	bool at_end;         /* of the file */
	bool is_first;       /* the last line is the first one of its file */
	unsigned damaged;    /* files that are compressed and could not be read on */
	size_t most; /* of a line is held; AUDIT_LONG_BYTES or, set after opening, more
		      */
	/* The last line was a long one, and its hash. */
	bool is_long;
	struct audit_hash leaf;
	struct audit_hasher hasher; /* open once there was one */
};

/* Reads one file from its beginning; the descriptor and the path are borrowed. */
void audit_reader_open(struct audit_reader *reader, int fd, const char *path);
/* Reads all files of a log, which are borrowed, from the one at `from` on. Of those
 * that are damaged the lines before the damage are given. */
void audit_reader_open_files(struct audit_reader *reader,
			     const struct audit_files *files, size_t from);
void audit_reader_close(struct audit_reader *reader);
/* The next line, without its LF: of one that is longer than `most` its
 * beginning, and `is_long` and `leaf` say the rest. ST_END: no more. `*is_whole`: it
 * has a LF; only the last one of a file can have none. */
enum status audit_reader_next(struct audit_reader *reader, struct span *line,
			      bool *is_whole, struct error *err) MUST_CHECK;
/* What is looked for in lines: bytes without a LF. */
struct audit_needle {
	struct span bytes;   /* borrowed */
	uint64_t not_before; /* of all that is read: where it may begin; 0 at first */
};

/* The same of the next line with one of the needles in it; with none given, of every
 * line. A long line without them in its beginning is one of those: nobody has looked at
 * the rest. The needles belong to this reader from the first call on. */
enum status audit_reader_find(struct audit_reader *reader, struct audit_needle *needles,
			      size_t count, struct span *line, bool *is_whole,
			      struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/file_sink.h -- JSON lines appended to a file, every one of them once.
 *
 * ACKNOWLEDGED  Put appends to a batch (sinks/line_batch.h); flush writes it and calls
 *               fdatasync: then the lines are acknowledged, and file_sink_place says
 *               where. The caller stores that beside its position. A put that comes
 *               when FILE_SYNC_BYTES are not acknowledged flushes first, by itself.
 * START         file_sink_resume, before the first put. What the file has beyond the
 *               stored place are lines of a crash: it is cut back. A shorter file is
 *               appended to, never extended, with a warning; to another one as well,
 *               behind a newline if it does not end in one. A file is the stored one
 *               if inode and proof (a hash of the bytes before the place) are; it is
 *               also cut back under another name that begins with PATH's, which a
 *               rotation gave it. Another file is never cut.
 * ROTATION      When `*reopen` is set, the next put or flush flushes to the old file
 *               and goes on in the one that is at PATH then. `acknowledged` is called
 *               before and after, with the places in the one and in the other.
 * FULL DISK     One line in the log, then a try each second until there is room, a stop
 *               (ST_STOPPED) or patience ends (ST_IO).
 * FILE          Regular, with an flock; made with the permissions of the database. It
 *               must belong to our user or to root and have no second name, or another
 *               user chose what we write to (src/base/owned_file.h). Links:
 *               sinks/output_path.h.
 * ERRORS        ST_CONFIG at open: PATH cannot be such a file. After any error, flush
 *               gives it again.
 */
#ifndef SINKS_FILE_SINK_H
#define SINKS_FILE_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/sink.h"

#ifndef FILE_SYNC_BYTES /* tests have a smaller one */
#define FILE_SYNC_BYTES (1u << 20)
#endif
#define FILE_PROOF_BYTES 4096

/* Where in a file all that was acknowledged ends. */
struct file_place {
	uint64_t inode;  /* 0: nowhere */
	uint64_t length; /* bytes */
	uint64_t start;  /* the length where the transaction began that is not ended */
	uint64_t proof;  /* hash of up to FILE_PROOF_BYTES before `length` */
};

struct file_settings {
	const char *path;          /* borrowed, as all of these */
	const char *database_path; /* never written to; whose permissions to take */
	const char *state_path;    /* nothing in it is written to; NULL: none */
	bool record_lines;         /* else values alone */
	const volatile int *stop;  /* may be NULL */
	volatile int *reopen;      /* may be NULL; set back to 0 */
	int64_t patience_ns;       /* with a full disk; 0: no end */
	/* All that was put is at file_sink_place. Durable when it returns, if asked. */
	enum status (*acknowledged)(void *context, bool durable, struct error *err);
	void *context;
};

/* Checks PATH; makes no file yet. */
enum status file_sink_open(const struct file_settings *settings, struct sink **out,
			   struct error *err) MUST_CHECK;

/* Open or make the file, and bring it to what was stored; `at_start`: to where the
 * transaction began. The caller stores the place before the first put. */
enum status file_sink_resume(struct sink *sink, const struct file_place *stored,
			     bool at_start, struct error *err) MUST_CHECK;

/* As of the last flush. */
struct file_place file_sink_place(const struct sink *sink);

#endif

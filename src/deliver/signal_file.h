/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_file.h -- signals that others append to a file, one a line
 * (src/deliver/signal.h).
 *
 * It is looked at every poll_ns. A line counts when its end is there, or when the file
 * has not grown since the look before. When all lines are taken the file is cut to
 * nothing, while nobody has it open (a lease) or, where that cannot be had for a while,
 * when it has not grown. Until then a later run is to be told how much was taken; where
 * nothing can be kept for it the file is cut at the end, if it has not grown. A file
 * without a line that is a signal is another's, and is left as it is.
 *
 * The file must be a regular one with one name, no link, and neither the database nor
 * what belongs to it; one that cannot be written cannot be cut either, and nothing is
 * taken from it.
 *
 * OWNERSHIP  signal_file_open / signal_file_close (takes NULL).
 * THREADS    One thread at a time.
 * ERRORS     Of signal_file_open ST_CONFIG: what is there may never be such a file;
 *            ST_NOMEM. What is wrong later is a warning, once: a line that is no
 *            signal, a file that cannot be read.
 */
#ifndef SIGNAL_FILE_H
#define SIGNAL_FILE_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/deliver/signal.h"
#include "src/deliver/signal_place.h"

struct signal_file_settings {
	const char *path;
	const char *database_path; /* NULL: none */
	int64_t poll_ns;
	bool is_kept;              /* what signal_file_place says is kept, and an */
	struct signal_place taken; /* ... earlier run has kept that */
};

struct signal_file;

enum status signal_file_open(const struct signal_file_settings *settings,
			     struct signal_file **out, struct error *err) MUST_CHECK;
void signal_file_close(struct signal_file *file);

/* When signal_file_next may have something, on the monotonic clock; 0: now. */
int64_t signal_file_due_ns(const struct signal_file *file);

/* The next one, the caller's, or NULL. None until the last one is taken; so long its
 * line stays. */
struct signal *signal_file_next(struct signal_file *file);
void signal_file_taken(struct signal_file *file);

/* Up to the last signal that was taken, or that is given. */
struct signal_place signal_file_place(const struct signal_file *file);

#endif

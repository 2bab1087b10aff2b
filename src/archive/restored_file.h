/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/restored_file.h -- OUT of a restore: there as a whole, or not at all.
 *
 * Pages go to OUT.tmp, mode 0600. When all are there it is synced, renamed, and the
 * folder synced. Nothing that is there is overwritten, also not what was made
 * meanwhile; nor is OUT made beside an OUT-wal, OUT-journal or OUT-shm, which SQLite
 * would take for its own.
 *
 * OWNERSHIP  restored_file_open / restored_file_close; what was not kept is removed.
 * THREADS    One.
 * ERRORS     ST_CONFIG: something is there already. ST_IO, ST_NOMEM.
 */
#ifndef RESTORED_FILE_H
#define RESTORED_FILE_H

#include "src/base/status.h"

struct restored_file;

enum status restored_file_open(const char *path, struct restored_file **out,
			       struct error *err) MUST_CHECK;

/* To be written to; of OUT.tmp, whose path is given for messages. */
int restored_file_fd(const struct restored_file *file);
const char *restored_file_path(const struct restored_file *file);

/* OUT is there, and stays after a power cut. */
enum status restored_file_keep(struct restored_file *file,
			       struct error *err) MUST_CHECK;

void restored_file_close(struct restored_file *file);

#endif

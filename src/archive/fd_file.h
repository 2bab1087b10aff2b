/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/fd_file.h -- an open file as one of a storage, so that it can be read as
 * a file of an archive before it is one.
 *
 * OWNERSHIP  The struct is the caller's, the descriptor borrowed; nothing is closed.
 * THREADS    One at a time.
 * ERRORS     Of reading: ST_IO.
 */
#ifndef FD_FILE_H
#define FD_FILE_H

#include "src/archive/storage.h"

struct fd_file {
	struct storage_file base;
	struct storage storage;
	int fd;
};

/* `name`: for messages, as it shall be shown. */
void fd_file_init(struct fd_file *file, int fd, uint64_t size, const char *name);

#endif

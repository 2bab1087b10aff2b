/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/fd_file.h -- an open file as one of a storage, so that it can be read as
 * a file of an archive before it is one.
 *
 * OWNERSHIP  The struct is the caller's, the descriptor borrowed; nothing is closed.
 * THREADS    One at a time.
 * ERRORS     Of reading: ST_IO.
 */
#ifndef FD_FILE_H
#define FD_FILE_H

#include "src/storage/storage.h"

struct fd_file {
	struct storage_file base;
	struct storage storage;
	int fd;
};

/* As the read of struct storage_calls; `name` as below. */
enum status fd_file_read(int fd, const char *name, void *bytes, size_t len,
			 uint64_t offset, size_t *got, struct error *err) MUST_CHECK;

/* `name`: for messages, as it shall be shown. */
void fd_file_init(struct fd_file *file, int fd, uint64_t size, const char *name);

#endif

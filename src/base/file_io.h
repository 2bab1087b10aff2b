/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/file_io.h -- calls on a file, to their end.
 *
 * Interrupted calls are made again, and what was done in part is gone on with. The
 * caller names the file in its error.
 *
 * THREADS  No shared state.
 * ERRORS   errno.
 */
#ifndef BASE_FILE_IO_H
#define BASE_FILE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "src/base/status.h"

/* Read up to `len` bytes from `offset`; returns how many there were, -1: unreadable. */
ssize_t file_read_at(int fd, void *bytes, size_t len, off_t offset) MUST_CHECK;

/* All of them, or false; errno is ENODATA if the file ends before. */
bool file_read_exactly(int fd, void *bytes, size_t len, off_t offset) MUST_CHECK;

/* All of them, or false; what lies past the end of the file is zeros. */
bool file_read_padded(int fd, void *bytes, size_t len, off_t offset) MUST_CHECK;

/* One preadv: it may give less than there is. */
ssize_t file_read_vector(int fd, const struct iovec *vec, int count,
			 off_t offset) MUST_CHECK;

/* All of them, or false: some of them may be written. */
bool file_write_at(int fd, const void *bytes, size_t len, off_t offset) MUST_CHECK;

bool file_set_length(int fd, off_t length) MUST_CHECK;

/*
 * For a large file that is written from its beginning to its end, each time another
 * `step` bytes are there, up to `end`: the kernel begins to write them, and has written
 * those of the step before when this returns. So the sync at the end has little to do,
 * and no more than two steps wait in memory. False: that failed, and the sync at the
 * end would not tell.
 */
bool file_write_out(int fd, off_t end, off_t step) MUST_CHECK;

/* The content, and what is needed to read it, is on the disk (fdatasync). Once it has
 * failed nobody knows what is: the next call may say that all is well. */
bool file_sync(int fd) MUST_CHECK;

/* The same with all of the inode (fsync): of a folder, its names. */
bool file_sync_all(int fd) MUST_CHECK;

/* Give a file another name in the same folder, unless something has that name: then
 * false, and errno is EEXIST. */
bool file_rename_free(int dir_fd, const char *from, const char *to) MUST_CHECK;

#endif

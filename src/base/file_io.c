/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ssize_t file_read_at(int fd, void *bytes, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, (uint8_t *)bytes + done, len - done,
				    offset + (off_t)done);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return -1;
		}
		if (got == 0) {
			break;
		}
		done += (size_t)got;
	}
	return (ssize_t)done;
}

bool file_read_exactly(int fd, void *bytes, size_t len, off_t offset)
{
	ssize_t got = file_read_at(fd, bytes, len, offset);

	if (got >= 0 && (size_t)got < len) {
		errno = ENODATA;
	}
	return got >= 0 && (size_t)got == len;
}

bool file_read_padded(int fd, void *bytes, size_t len, off_t offset)
{
	ssize_t got = file_read_at(fd, bytes, len, offset);

	if (got < 0) {
		return false;
	}
	if ((size_t)got < len) {
		memset((uint8_t *)bytes + got, 0, len - (size_t)got);
	}
	return true;
}

ssize_t file_read_vector(int fd, const struct iovec *vec, int count, off_t offset)
{
	ssize_t got;

	do {
		got = preadv(fd, vec, count, offset);
	} while (got < 0 && errno == EINTR);
	return got;
}

bool file_write_at(int fd, const void *bytes, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = pwrite(fd, (const uint8_t *)bytes + done, len - done,
				     offset + (off_t)done);

		if (put < 0 && errno == EINTR) {
			continue;
		}
		if (put <= 0) {
			errno = put == 0 ? EIO : errno;
			return false;
		}
		done += (size_t)put;
	}
	return true;
}

bool file_set_length(int fd, off_t length)
{
	while (ftruncate(fd, length) != 0) {
		if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

bool file_write_out(int fd, off_t end, off_t step)
{
	off_t start = end - step;
	int rc = sync_file_range(fd, start, step, SYNC_FILE_RANGE_WRITE);

	if (rc == 0 && start >= step) {
		rc = sync_file_range(fd, start - step, step,
				     SYNC_FILE_RANGE_WAIT_BEFORE |
					 SYNC_FILE_RANGE_WRITE |
					 SYNC_FILE_RANGE_WAIT_AFTER);
	}
	return rc == 0 || errno == EINVAL || errno == ESPIPE || errno == ENOSYS;
}

bool file_sync(int fd)
{
	while (fdatasync(fd) != 0) {
		if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

bool file_sync_all(int fd)
{
	while (fsync(fd) != 0) {
		if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

bool file_rename_free(int dir_fd, const char *from, const char *to)
{
	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0) {
		return true;
	}
	if (errno != EINVAL && errno != ENOSYS) {
		return false;
	}
	/* The file system has no such call: a link is not made over a name either. */
	if (linkat(dir_fd, from, dir_fd, to, 0) != 0) {
		return false;
	}
	(void)unlinkat(dir_fd, from, 0);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/file_io.h"

#include <errno.h>
#include <stdint.h>
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

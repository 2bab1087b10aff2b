/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/fd_file.h"

#include <errno.h>
#include <stdio.h>

#include "src/base/file_io.h"

enum status fd_file_read(int fd, const char *name, void *bytes, size_t len,
			 uint64_t offset, size_t *got, struct error *err)
{
	ssize_t n =
	    offset <= INT64_MAX - len ? file_read_at(fd, bytes, len, (off_t)offset) : 0;

	if (n < 0) {
		return error_set_errno(err, errno, "%s cannot be read", name);
	}
	*got = (size_t)n;
	return ST_OK;
}

static enum status read_file(struct storage_file *file, void *bytes, size_t len,
			     uint64_t offset, size_t *got, struct error *err)
{
	const struct fd_file *f = (const struct fd_file *)(void *)file;

	return fd_file_read(f->fd, file->name, bytes, len, offset, got, err);
}

static void close_file(struct storage_file *file)
{
	(void)file;
}

void fd_file_init(struct fd_file *f, int fd, uint64_t size, const char *name)
{
	static const struct storage_calls calls = {
	    .read = read_file,
	    .close_file = close_file,
	};

	*f = (struct fd_file){.base = {.size = size}, .fd = fd};
	f->storage.calls = &calls;
	f->base.storage = &f->storage;
	(void)snprintf(f->base.name, sizeof f->base.name, "%s", name);
}

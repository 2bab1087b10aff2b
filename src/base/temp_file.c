/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "src/base/quote.h"

#define DEFAULT_FOLDER "/var/tmp"

const char *temp_file_folder(void)
{
	const char *asked = getenv("TMPDIR");

	return asked && *asked ? asked : DEFAULT_FOLDER;
}

/* Nobody else may open it, while it still has a name or through /proc. */
static enum status check(int fd, const char *folder, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		return error_set_errno(err, errno, "%s cannot be used",
				       quote(folder).text);
	}
	if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0) {
		return error_set(
		    err, ST_IO,
		    "%s lies on a file system that keeps no owners or modes "
		    "(vfat, CIFS), and others could read what is in it; set "
		    "TMPDIR to a folder on another",
		    quote(folder).text);
	}
	return ST_OK;
}

static int make(const char *folder)
{
	char path[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL &&
			errno != ENOENT)) {
		return fd;
	}
	/* The file system has no files without a name. */
	if (snprintf(path, sizeof path, "%s/rowtail-XXXXXX", folder) >=
	    (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0) {
		(void)unlink(path);
	}
	return fd;
}

enum status temp_file_open(int *fd, struct error *err)
{
	const char *asked = getenv("TMPDIR");
	const char *folder = temp_file_folder();
	struct statfs fs;

	if (folder != asked && statfs(folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
		return error_set(
		    err, ST_IO,
		    "%s lies in memory (tmpfs); set TMPDIR to a folder on a disk",
		    quote(folder).text);
	}
	*fd = make(folder);
	if (*fd < 0) {
		return error_set_errno(
		    err, errno, "cannot make a temporary file in %s%s",
		    quote(folder).text,
		    errno == EMFILE || errno == ENFILE || errno == EIO
			? ""
			: "; set TMPDIR to a folder that can be "
			  "written to");
	}
	if (check(*fd, folder, err) != ST_OK) {
		(void)close(*fd);
		*fd = -1;
	}
	return *fd < 0 ? ST_IO : ST_OK;
}

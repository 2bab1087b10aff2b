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

#define DEFAULT_FOLDER "/var/tmp"

const char *temp_file_folder(void)
{
	const char *asked = getenv("TMPDIR");

	return asked && *asked ? asked : DEFAULT_FOLDER;
}

enum status temp_file_open(int *fd, struct error *err)
{
	const char *asked = getenv("TMPDIR");
	const char *folder = temp_file_folder();
	char path[4096];
	struct statfs fs;

	if (folder != asked && statfs(folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
		return error_set(
		    err, ST_IO,
		    "%s lies in memory (tmpfs); set TMPDIR to a folder on a disk",
		    folder);
	}
	*fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0) {
		return ST_OK;
	}
	if (snprintf(path, sizeof path, "%s/rowtail-XXXXXX", folder) >=
	    (int)sizeof path) {
		return error_set(err, ST_IO, "TMPDIR is too long");
	}
	*fd = mkostemp(path, O_CLOEXEC);
	if (*fd < 0) {
		return error_set_errno(
		    err, errno,
		    "cannot make a temporary file in %s; set TMPDIR to a "
		    "folder with room",
		    folder);
	}
	(void)unlink(path);
	return ST_OK;
}

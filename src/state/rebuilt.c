/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/rebuilt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/state/journal_file.h"
#include "src/state/shadow.h"

enum status rebuilt_failed(const char *what, struct error *err)
{
	return error_set_errno(err, errno, REBUILT_FOLDER " cannot be %s", what);
}

enum status rebuilt_remove(int fd, const char *name, struct error *err)
{
	return unlinkat(fd, name, 0) == 0 || errno == ENOENT
		   ? ST_OK
		   : rebuilt_failed("emptied", err);
}

static enum status look_for(int fd, const char *name, bool *is_there, struct error *err)
{
	struct stat st;

	*is_there = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return *is_there || errno == ENOENT ? ST_OK : rebuilt_failed("read", err);
}

/* Remove all that has the old page size, and put the new shadow in its place. Called
 * again after a kill it does what is left. */
static enum status put_in_place(int dir_fd, int fd, const char *folder,
				struct error *err)
{
	static const char *const names[] = {"hashes", "shadow"};
	struct journal_files files = {.dir_fd = dir_fd, .folder = folder};
	enum status status = journal_files_list(&files, err);

	if (status == ST_OK) {
		status = journal_files_drop(&files, 0, files.total, err);
	}
	journal_files_clear(&files);
	if (status == ST_OK) {
		status = rebuilt_remove(dir_fd, "frames", err);
	}
	for (size_t i = 0; status == ST_OK && i < 2; i++) {
		FAULT_POINT("convert-place");
		if (renameat(fd, names[i], dir_fd, names[i]) != 0 && errno != ENOENT) {
			status = rebuilt_failed("put in place", err);
		}
	}
	if (status == ST_OK && fsync(dir_fd) != 0) {
		status = rebuilt_failed("synced", err);
	}
	FAULT_POINT("convert-placed");
	return status;
}

static enum status remove_all(int dir_fd, int fd, struct error *err)
{
	static const char *const names[] = {"copy", "copy-journal", "shadow", "hashes"};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < sizeof names / sizeof *names; i++) {
		status = rebuilt_remove(fd, names[i], err);
	}
	if (status == ST_OK && unlinkat(dir_fd, REBUILT_FOLDER, AT_REMOVEDIR) != 0) {
		status = rebuilt_failed("removed", err);
	}
	return status;
}

static int open_folder(int dir_fd)
{
	return openat(dir_fd, REBUILT_FOLDER,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The head of `hashes` comes last when they are made, and first when they go. What
 * cannot be read may count: whoever removes it has lost the shadow. */
static enum status find_whether(int fd, uint32_t page_size, bool *counts,
				struct error *err)
{
	bool has_shadow = false, has_hashes = false;
	uint32_t made_for;
	enum status status = shadow_made_for(fd, &made_for, err);

	if (status == ST_IO) {
		return error_wrap(err, REBUILT_FOLDER);
	}
	if (status == ST_OK) {
		status = look_for(fd, "shadow", &has_shadow, err);
	}
	if (status == ST_OK) {
		status = look_for(fd, "hashes", &has_hashes, err);
	}
	*counts = made_for == page_size || (has_shadow && !has_hashes);
	return status;
}

bool rebuilt_counts(int dir_fd, uint32_t page_size)
{
	int fd = open_folder(dir_fd);
	struct error unused;
	bool counts;
	bool result =
	    fd >= 0 && find_whether(fd, page_size, &counts, &unused) == ST_OK && counts;

	if (fd >= 0) {
		(void)close(fd);
	}
	return result;
}

enum status rebuilt_install(int dir_fd, const char *folder, uint32_t page_size,
			    struct error *err)
{
	bool counts = false;
	int fd = open_folder(dir_fd);
	enum status status;

	if (fd < 0) {
		return errno == ENOENT ? ST_OK : rebuilt_failed("opened", err);
	}
	status = find_whether(fd, page_size, &counts, err);
	if (status == ST_OK && counts) {
		status = put_in_place(dir_fd, fd, folder, err);
	}
	if (status == ST_OK) {
		status = remove_all(dir_fd, fd, err);
	}
	(void)close(fd);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_sizes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/state/journal_file.h"

static uint64_t size_of(int dir_fd, const char *name)
{
	struct stat file;

	return fstatat(dir_fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0
		   ? (uint64_t)file.st_blocks * 512
		   : 0;
}

enum status state_sizes_read(int dir_fd, const char *path, struct state_sizes *out,
			     struct error *err)
{
	struct journal_files files = {.dir_fd = dir_fd, .folder = path};
	enum status status = journal_files_list(&files, err);

	*out = (struct state_sizes){.shadow = size_of(dir_fd, "shadow") +
					      size_of(dir_fd, "hashes"),
				    .frames = size_of(dir_fd, "frames")};
	/* All segments, whatever is in them. */
	for (size_t i = 0; i < files.total; i++) {
		char name[JOURNAL_NAME_BYTES];

		journal_file_name(name, files.segments[i].start_lsn);
		out->log += size_of(dir_fd, name);
	}
	journal_files_clear(&files);
	return status;
}

bool state_sizes_of_path(const char *path, struct state_sizes *out)
{
	int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error ignored;
	bool is_read =
	    dir_fd >= 0 && state_sizes_read(dir_fd, path, out, &ignored) == ST_OK;

	if (dir_fd >= 0) {
		(void)close(dir_fd);
	}
	return is_read;
}

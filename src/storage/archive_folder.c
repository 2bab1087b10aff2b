/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/archive_folder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/storage/file_name.h"

#define NAME_BYTES 80 /* of a file or note, with ".tmp" */
#define RUN_BYTES  (64u << 10)
#define STEP_BYTES (8u << 20) /* of a copy, on their way to the disk at once */

/* A name in a folder of the archive that something becomes. */
struct target {
	const struct archive_folder *folder;
	int dir_fd;
	const char *below; /* "ltx/0/", "": where dir_fd lies, for messages */
	const char *name;
	const struct timespec *times; /* of access and change; NULL: as they are */
};

struct target_path {
	char text[QUOTED_BYTES + 32 + NAME_BYTES];
};

static struct target_path path_of(const struct target *t)
{
	struct target_path path;

	(void)snprintf(path.text, sizeof path.text, "%s/%s%s",
		       quote(t->folder->root).text, t->below, t->name);
	return path;
}

static enum status cannot(const struct target *t, int why, const char *what,
			  struct error *err)
{
	return error_set_errno(err, why, "%s cannot be %s", path_of(t).text, what);
}

/* ---- what is there ---- */

static enum status is_another(const struct target *t, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s is there already, with another content: somebody else "
			 "writes to this archive; nothing is written over it: give "
			 "each database an archive of its own",
			 path_of(t).text);
}

/* Have both files the same bytes, from the beginning to their ends? */
static enum status compare(const struct target *t, int there_fd, int fd,
			   struct error *err)
{
	uint8_t *bytes = malloc((size_t)2 * RUN_BYTES);
	enum status status = bytes ? ST_END : error_no_memory(err, "an archive");
	off_t offset = 0;

	while (status == ST_END) {
		ssize_t there = file_read_at(there_fd, bytes, RUN_BYTES, offset);
		ssize_t ours = file_read_at(fd, bytes + RUN_BYTES, RUN_BYTES, offset);

		if (there < 0 || ours < 0) {
			status = cannot(t, errno, "compared", err);
		} else if (there != ours ||
			   memcmp(bytes, bytes + RUN_BYTES, (size_t)ours) != 0) {
			status = is_another(t, err);
		} else if (ours == 0) {
			status = ST_OK;
		}
		offset += ours;
	}
	free(bytes);
	return status;
}

/* Open what has the name. ST_END: nothing has. */
static enum status open_there(const struct target *t, int *fd, struct error *err)
{
	struct stat st;

	*fd = openat(t->dir_fd, t->name,
		     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT) {
		return ST_END;
	}
	if (*fd < 0 && errno != ELOOP) {
		return cannot(t, errno, "opened", err);
	}
	if (*fd >= 0 && fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
		return ST_OK;
	}
	if (*fd >= 0) {
		(void)close(*fd);
	}
	return error_set(err, ST_CONFIG,
			 "%s is no regular file: move it away, or use another archive",
			 path_of(t).text);
}

/* Are the bytes of `fd` there already? ST_END: nothing is. A writer that was killed may
 * not have synced them. */
static enum status look(const struct target *t, int fd, struct error *err)
{
	int there_fd;
	enum status status = open_there(t, &there_fd, err);

	if (status != ST_OK) {
		return status;
	}
	status = compare(t, there_fd, fd, err);
	if (status == ST_OK &&
	    ((t->times && futimens(there_fd, t->times) != 0) ||
	     !file_sync_all(there_fd) || !file_sync_all(t->dir_fd))) {
		status = cannot(t, errno, "synced", err);
	}
	(void)close(there_fd);
	return status;
}

/* ---- a file gets its name ---- */

/* By a second name of the same file. ST_END: there cannot be one, or the name is taken.
 */
static enum status link_file(const struct target *t, int fd, struct error *err)
{
	char path[40];

	if (futimens(fd, t->times) != 0) {
		return ST_END; /* it is another user's */
	}
	if (!file_sync_all(fd)) {
		return cannot(t, errno, "synced", err);
	}
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	FAULT_POINT("put-before-link");
	if (linkat(AT_FDCWD, path, t->dir_fd, t->name, AT_SYMLINK_FOLLOW) != 0) {
		return ST_END;
	}
	FAULT_POINT("put-linked");
	return file_sync_all(t->dir_fd) ? ST_OK : cannot(t, errno, "synced", err);
}

/* Make NAME.tmp. One that is there was left by a writer that was killed. */
static enum status make_temp(const struct target *t, const char *temp, int *fd,
			     struct error *err)
{
	for (int tries = 0;; tries++) {
		*fd = openat(t->dir_fd, temp,
			     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*fd >= 0) {
			return ST_OK;
		}
		if (tries > 0 || errno != EEXIST || unlinkat(t->dir_fd, temp, 0) != 0) {
			return cannot(t, errno, "written", err);
		}
	}
}

/* Copy `len` bytes at `offset`. False: errno says why. */
static bool copy_step(int from, int to, off_t offset, size_t len)
{
	off_t offsets[2] = {offset, offset};
	uint8_t bytes[RUN_BYTES];

	while (len > 0) {
		ssize_t n = copy_file_range(from, &offsets[0], to, &offsets[1], len, 0);

		if (n <= 0) { /* not there, not between these two */
			break;
		}
		len -= (size_t)n;
	}
	while (len > 0) {
		size_t n = len < sizeof bytes ? len : sizeof bytes;

		if (!file_read_exactly(from, bytes, n, offsets[0]) ||
		    !file_write_at(to, bytes, n, offsets[0])) {
			return false;
		}
		offsets[0] += (off_t)n;
		len -= n;
	}
	return true;
}

/* Copy `size` bytes, which go to the disk by and by. False: errno says why. */
static bool copy_bytes(int from, int to, uint64_t size)
{
	uint64_t offset = 0;

	while (size - offset >= STEP_BYTES) {
		if (!copy_step(from, to, (off_t)offset, STEP_BYTES)) {
			return false;
		}
		offset += STEP_BYTES;
		if (!file_write_out(to, (off_t)offset, STEP_BYTES)) {
			return false;
		}
	}
	return copy_step(from, to, (off_t)offset, (size_t)(size - offset));
}

/* NAME.tmp is complete: synced, and named so that nothing is lost. ST_END: the name is
 * taken. */
static enum status keep(const struct target *t, const char *temp, int temp_fd,
			struct error *err)
{
	if ((t->times && futimens(temp_fd, t->times) != 0) || !file_sync_all(temp_fd)) {
		return cannot(t, errno, "synced", err);
	}
	FAULT_POINT("put-before-rename");
	if (!file_rename_free(t->dir_fd, temp, t->name)) {
		return errno == EEXIST ? ST_END : cannot(t, errno, "named", err);
	}
	FAULT_POINT("put-renamed");
	return file_sync_all(t->dir_fd) ? ST_OK : cannot(t, errno, "synced", err);
}

/* By a copy of the first `size` bytes. ST_END: the name is taken. */
static enum status copy_file(const struct target *t, int fd, uint64_t size,
			     struct error *err)
{
	char temp[NAME_BYTES];
	int temp_fd;
	enum status status;

	(void)snprintf(temp, sizeof temp, "%s.tmp", t->name);
	status = make_temp(t, temp, &temp_fd, err);
	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("put-before-copy");
	status = copy_bytes(fd, temp_fd, size) ? keep(t, temp, temp_fd, err)
					       : cannot(t, errno, "written", err);
	if (status != ST_OK) {
		(void)unlinkat(t->dir_fd, temp, 0);
	}
	(void)close(temp_fd);
	return status;
}

static enum status put(const struct target *t, int fd, uint64_t size, bool may_link,
		       struct error *err)
{
	enum status status = look(t, fd, err);

	if (status == ST_END && may_link) {
		status = link_file(t, fd, err);
	}
	if (status == ST_END) {
		status = copy_file(t, fd, size, err);
	}
	if (status == ST_END) { /* since the first look */
		status = look(t, fd, err);
	}
	return status == ST_END ? cannot(t, ENOENT, "named", err) : status;
}

/* ---- files ---- */

/* The folder of a level. With `make` it is made where there is none; ST_END: none is.
 */
static enum status open_level(const struct archive_folder *f, unsigned level, bool make,
			      int *fd, struct error *err)
{
	char path[QUOTED_BYTES];
	char name[2] = {(char)('0' + level), '\0'};
	const struct owned_place place = {.dir_fd = f->ltx_fd,
					  .name = name,
					  .path = path,
					  .instead = "use another archive"};
	enum status status;
	bool made;

	assert(level < ARCHIVE_LEVELS);
	(void)snprintf(path, sizeof path, "%.*s/ltx/%s", (int)sizeof path - 8, f->root,
		       name);
	status = owned_folder_open(&place, make, fd, &made, err);
	if (status == ST_OK && made && !file_sync_all(f->ltx_fd)) {
		status = error_set_errno(err, errno, "%s cannot be synced",
					 quote(path).text);
		(void)close(*fd);
	}
	return status == ST_IO && err->sys_errno == ENOENT && !make ? ST_END : status;
}

enum status archive_folder_put(const struct archive_folder *f,
			       const struct archive_file *file, int fd,
			       struct error *err)
{
	struct archive_name name = archive_name(file);
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  clock_timespec(file->time_ns)};
	char below[] = "ltx/N/";
	struct target t = {
	    .folder = f, .below = below, .name = name.text + 2, .times = times};
	struct stat st;
	enum status status;

	below[4] = name.text[0];
	if (fstat(fd, &st) != 0) {
		return cannot(&t, errno, "read before it is written", err);
	}
	if ((uint64_t)st.st_size != file->size) {
		return error_set(err, ST_IO,
				 "%s would have %lld bytes and not %llu: it is not "
				 "written",
				 path_of(&t).text, (long long)st.st_size,
				 (unsigned long long)file->size);
	}
	status = open_level(f, file->level, true, &t.dir_fd, err);
	if (status == ST_OK) {
		status = put(&t, fd, file->size, true, err);
		(void)close(t.dir_fd);
	}
	return status;
}

enum status archive_folder_remove(const struct archive_folder *f,
				  const struct archive_file *file, struct error *err)
{
	struct archive_name name = archive_name(file);
	char below[] = "ltx/N/";
	struct target t = {.folder = f, .below = below, .name = name.text + 2};
	enum status status = open_level(f, file->level, false, &t.dir_fd, err);

	below[4] = name.text[0];
	if (status != ST_OK) {
		return status == ST_END ? ST_OK : status;
	}
	FAULT_POINT("removal-before");
	if (unlinkat(t.dir_fd, t.name, 0) != 0 && errno != ENOENT) {
		status = cannot(&t, errno, "removed", err);
	}
	FAULT_POINT("removal-done");
	(void)close(t.dir_fd);
	return status;
}

/* ---- notes ---- */

static struct target note_of(const struct archive_folder *f, const char *name)
{
	assert(!strchr(name, '/') && strlen(name) + 5 <= NAME_BYTES);
	return (struct target){
	    .folder = f, .dir_fd = f->root_fd, .below = "", .name = name};
}

enum status archive_folder_get_note(const struct archive_folder *f, const char *name,
				    void *bytes, size_t cap, size_t *len,
				    struct error *err)
{
	const struct target t = note_of(f, name);
	uint8_t more;
	ssize_t got;
	int fd;
	enum status status = open_there(&t, &fd, err);

	if (status != ST_OK) {
		return status;
	}
	got = file_read_at(fd, bytes, cap, 0);
	if (got >= 0 && (size_t)got == cap && file_read_at(fd, &more, 1, got) != 0) {
		status = error_set(err, ST_CONFIG,
				   "%s is too long to be rowtail's: move it away, or "
				   "use another archive",
				   path_of(&t).text);
	} else if (got < 0) {
		status = cannot(&t, errno, "read", err);
	}
	*len = got > 0 ? (size_t)got : 0;
	(void)close(fd);
	return status;
}

enum status archive_folder_put_note(const struct archive_folder *f, const char *name,
				    const void *bytes, size_t len, struct error *err)
{
	const struct target t = note_of(f, name);
	int fd = memfd_create("note", MFD_CLOEXEC);
	enum status status;

	if (fd < 0 || !file_write_at(fd, bytes, len, 0)) {
		status = cannot(&t, errno, "written", err);
	} else {
		status = put(&t, fd, len, false, err);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/owned_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/base/quote.h"

#define ACL         "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

/* ---- what is wrong ---- */

static enum status is_link(const struct owned_place *place, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s is a symbolic link, which is not followed here: name what "
			 "it points to, or %s",
			 quote(place->path).text, place->instead);
}

static enum status open_error(const struct owned_place *place, int sys_errno,
			      struct error *err)
{
	if (sys_errno == ELOOP) {
		return is_link(place, err);
	}
	return error_set_errno(err, sys_errno, "%s cannot be opened",
			       quote(place->path).text);
}

static enum status is_foreign(const struct owned_place *place, const struct stat *st,
			      struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s belongs to user %u, who could read and change what is in "
			 "it, and this process runs as user %u: %s, or run rowtail as "
			 "that user if it is yours",
			 quote(place->path).text, (unsigned)st->st_uid,
			 (unsigned)geteuid(), place->instead);
}

static enum status has_names(const struct owned_place *place, const struct stat *st,
			     struct error *err)
{
	struct quoted name = quote(place->path);

	return error_set(err, ST_CONFIG,
			 "%s has %llu names (hard links), and what is written to it "
			 "would change the file of the other name: make it a file of "
			 "its own (cp -p %s %s.own && mv %s.own %s), or %s",
			 name.text, (unsigned long long)st->st_nlink, name.text,
			 name.text, name.text, name.text, place->instead);
}

/* Do the modes of this file system come from its mount options alone, or may they? */
static bool may_keep_no_modes(int fd)
{
	static const unsigned long kinds[] = {
	    0x4d44 /* vfat */,     0x2011bab0 /* exfat */, 0x65735546 /* FUSE */,
	    0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,  0x01021997 /* 9p */,
	    0x5346544e /* NTFS */, 0x7366746e /* NTFS3 */,
	};
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) != 0) {
		return false;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (((unsigned long)fs.f_type & 0xffffffff) == kinds[i]) {
			return true;
		}
	}
	return false;
}

static enum status is_open(const struct owned_place *place, const struct stat *st,
			   int fd, bool keeps_modes, struct error *err)
{
	struct quoted name = quote(place->path);
	bool is_folder = S_ISDIR(st->st_mode);
	bool has_acl = fd >= 0 && fgetxattr(fd, ACL, NULL, 0) > 0;
	mode_t mode = st->st_mode & 07777;

	if (!keeps_modes) {
		return error_set(err, ST_CONFIG,
				 "%s lies on a file system that keeps no modes, and "
				 "others may %s it (mode %04o): mount that with "
				 "umask=0077 (CIFS: dir_mode=0700,file_mode=0600), or "
				 "%s",
				 name.text, mode & 0022 ? "write" : "read",
				 (unsigned)mode, place->instead);
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s can be %s by others than its owner (mode %04o%s): close it with "
	    "chmod %s%s %s%s, or %s",
	    name.text, mode & place->closed & 0022 ? "written to" : "read",
	    (unsigned)mode, has_acl ? ", an ACL" : "", is_folder ? "-R " : "",
	    place->closed == OWNED_READABLE ? "go-w" : "go=", name.text,
	    may_keep_no_modes(fd)
		? " (or, where the file system keeps no modes, mount options)"
		: "",
	    place->instead);
}

/* ---- judging ---- */

static enum status check_owner(const struct owned_place *place, const struct stat *st,
			       struct error *err)
{
	return st->st_uid == geteuid() || st->st_uid == 0 ? ST_OK
							  : is_foreign(place, st, err);
}

/* `fd` may be -1. */
static enum status check_file(const struct owned_place *place, const struct stat *st,
			      int fd, struct error *err)
{
	if (S_ISLNK(st->st_mode)) {
		return is_link(place, err);
	}
	if (!S_ISREG(st->st_mode)) {
		return error_set(err, ST_CONFIG,
				 "%s is not a regular file: move it away, or %s",
				 quote(place->path).text, place->instead);
	}
	if (check_owner(place, st, err) != ST_OK) {
		return err->status;
	}
	if (st->st_nlink > (place->names > 0 ? place->names : 1)) {
		return has_names(place, st, err);
	}
	return st->st_mode & place->closed ? is_open(place, st, fd, true, err) : ST_OK;
}

enum status owned_file_check(const struct owned_place *place, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		return error_set_errno(err, errno, "%s cannot be examined",
				       quote(place->path).text);
	}
	return check_file(place, &st, fd, err);
}

enum status owned_file_look(const struct owned_place *place, struct error *err)
{
	struct stat st;

	if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		return errno == ENOENT
			   ? ST_OK
			   : error_set_errno(err, errno, "%s cannot be examined",
					     quote(place->path).text);
	}
	return check_file(place, &st, -1, err);
}

/* ---- files ---- */

/* -1 with errno set. */
static int open_or_make(const struct owned_place *place, int flags, bool *made)
{
	int keep = flags & ~O_CREAT;
	int fd;

	*made = false;
	/* A name may come or go between two calls, but not for ever. */
	for (int tries = 0; tries < 100; tries++) {
		if (flags & O_CREAT) {
			fd = openat(place->dir_fd, place->name, keep | O_CREAT | O_EXCL,
				    0600);
			if (fd >= 0) {
				*made = true;
				/* Whatever the umask; it is judged below. */
				(void)!fchmod(fd, 0600);
				return fd;
			}
			if (errno != EEXIST) {
				return -1;
			}
		}
		fd = openat(place->dir_fd, place->name, keep);
		if (fd >= 0 || errno != ENOENT || !(flags & O_CREAT)) {
			return fd;
		}
	}
	return -1;
}

enum status owned_file_open(const struct owned_place *place, int flags, int *fd,
			    bool *made, struct error *err)
{
	bool is_new;

	*fd = open_or_make(
	    place, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, &is_new);
	if (made) {
		*made = is_new;
	}
	if (*fd < 0) {
		return open_error(place, errno, err);
	}
	if (owned_file_check(place, *fd, err) == ST_OK) {
		return ST_OK;
	}
	(void)close(*fd);
	*fd = -1;
	if (is_new) {
		(void)unlinkat(place->dir_fd, place->name, 0);
	}
	return err->status;
}

/* ---- folders ---- */

/* A folder that was just made has mode 0700 whatever the umask. By its descriptor: the
 * name may be another's by now. */
static void open_to_us(int path_fd)
{
	char link[64];

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
	(void)!chmod(link, 0700);
}

static enum status judge_folder(const struct owned_place *place, int path_fd,
				struct error *err)
{
	struct stat st;

	if (fstat(path_fd, &st) != 0) {
		return open_error(place, errno, err);
	}
	if (S_ISLNK(st.st_mode)) {
		return is_link(place, err);
	}
	if (!S_ISDIR(st.st_mode)) {
		return open_error(place, ENOTDIR, err);
	}
	return check_owner(place, &st, err);
}

enum status owned_folder_open(const struct owned_place *place, bool make, int *fd,
			      bool *made, struct error *err)
{
	bool is_new = make && mkdirat(place->dir_fd, place->name, 0700) == 0;
	int reason = make && !is_new && errno != EEXIST ? errno : 0;
	int path_fd =
	    openat(place->dir_fd, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (made) {
		*made = is_new;
	}
	*fd = -1;
	if (path_fd < 0) {
		/* On a read-only file system mkdir fails for what is there, too. */
		return open_error(place, reason && errno == ENOENT ? reason : errno,
				  err);
	}
	if (judge_folder(place, path_fd, err) == ST_OK) {
		if (is_new) {
			open_to_us(path_fd);
		}
		*fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*fd < 0) {
			(void)open_error(place, errno, err);
		}
	}
	(void)close(path_fd);
	return *fd < 0 ? err->status : ST_OK;
}

enum status owned_folder_close(const struct owned_place *place, int fd, bool may_close,
			       struct error *err)
{
	bool was_closed = false;
	struct stat st;

	/* It would give others a part in what is made here, should the mode change. */
	(void)!fremovexattr(fd, DEFAULT_ACL);
	for (;;) {
		if (fstat(fd, &st) != 0) {
			return open_error(place, errno, err);
		}
		if ((st.st_mode & place->closed) == 0) {
			return ST_OK;
		}
		if (was_closed || !may_close || st.st_mode & 0022) {
			return is_open(place, &st, fd, !was_closed, err);
		}
		(void)!fchmod(fd, st.st_mode & 07777 & ~place->closed);
		was_closed = true;
	}
}

enum status owned_folder_look(const struct owned_place *place, int fd, bool may_close,
			      struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		return open_error(place, errno, err);
	}
	return (st.st_mode & place->closed) == 0 || (may_close && !(st.st_mode & 0022))
		   ? ST_OK
		   : is_open(place, &st, fd, true, err);
}

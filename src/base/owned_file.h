/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/owned_file.h -- files and folders that hold rows, and are ours alone.
 *
 * Where others may write, somebody may have made the name first: as a link to a file
 * that we would overwrite, or as a file that they read while we fill it. So nothing is
 * opened by its name and trusted: what is made is made by us (O_EXCL), what is there is
 * opened without following a link and judged through the descriptor. It must
 *
 *   - belong to the user of this process, or to root;
 *   - be a folder, or a regular file with no second name (hard link);
 *   - give others none of the permissions in `closed`. The group's part of the mode is
 *     also the most that an ACL gives to anybody, so an ACL is judged by the mode, too.
 *
 * Folders above the last part of a path may be links: who may change them may do so.
 *
 * THREADS  Any.
 * ERRORS   ST_CONFIG says what is wrong, and what to do. ST_IO: the system's reason.
 */
#ifndef BASE_OWNED_FILE_H
#define BASE_OWNED_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "src/base/status.h"

#define OWNED_PRIVATE  0077 /* `closed`: nobody else may read or write it, */
#define OWNED_READABLE 0022 /* or nobody else may write it */

struct owned_place {
	int dir_fd; /* AT_FDCWD: the working folder */
	const char *name;
	const char *path;    /* the same for messages; borrowed, like the others */
	const char *instead; /* what else helps: "use another --state" */
	mode_t closed;
	unsigned names; /* that a file may have; 0: one */
};

/*
 * Open a file: `flags` are O_RDONLY, O_WRONLY or O_RDWR, and O_APPEND; O_CREAT makes
 * one of mode 0600, whatever the umask, where there is none. `made`: whether it did;
 * may be NULL. ST_IO with ENOENT in err->sys_errno: there is none. Nothing waits here
 * (a FIFO), and no terminal becomes ours.
 */
enum status owned_file_open(const struct owned_place *place, int flags, int *fd,
			    bool *made, struct error *err) MUST_CHECK;

/* Open a folder, to be read, of whatever mode; with `make` one is made where there is
 * none. `made` as above. */
enum status owned_folder_open(const struct owned_place *place, bool make, int *fd,
			      bool *made, struct error *err) MUST_CHECK;

/*
 * Is a folder that owned_folder_open gave closed to others? With `may_close` one that
 * they may read or pass, but not write to, gets closed; a default ACL always goes.
 * ST_CONFIG where it is not closed, or the file system keeps no modes.
 */
enum status owned_folder_close(const struct owned_place *place, int fd, bool may_close,
			       struct error *err) MUST_CHECK;

/* The same without closing it: ST_OK if owned_folder_close would do so. */
enum status owned_folder_look(const struct owned_place *place, int fd, bool may_close,
			      struct error *err) MUST_CHECK;

/* Judge a file that is open, or what has the name: a link is an error; that there is
 * nothing is none. */
enum status owned_file_check(const struct owned_place *place, int fd,
			     struct error *err) MUST_CHECK;
enum status owned_file_look(const struct owned_place *place,
			    struct error *err) MUST_CHECK;

#endif

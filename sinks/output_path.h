/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/output_path.h -- which file the PATH of --to file:PATH (or audit:PATH), or of
 * another setting that names a file to be written, is, and whether it may be.
 *
 * LINKS    A link as the last part is followed if it belongs to the user of this
 *          process or to root: an administrator's /var/log/events that lies in /data.
 *          Where others may write, a link of theirs would have us write into a file
 *          that they choose. Folders may be links: who may change them may do so.
 * NOT OURS No file of the database, and none in the state directory, by whatever name:
 *          another spelling, a link, a hard link, a bind mount. Opening one of the
 *          database's would already cost SQLite its locks, so this is asked before.
 *
 * What the file itself must be is judged when it is open: src/base/owned_file.h.
 */
#ifndef SINKS_OUTPUT_PATH_H
#define SINKS_OUTPUT_PATH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "src/base/status.h"

struct output_path {
	const char *scheme;  /* of --to, for messages: "file:" */
	const char *setting; /* or another one: "notification.file="; else NULL */
	const char *output;  /* then: what is behind --to's scheme; NULL: nothing */
	const char *notifications; /* then: notification.file, if that is not the one;
				    * NULL: there is none */
	const char *path;          /* as given; borrowed, as all of these */
	const char *database_path; /* likewise */
	const char *state_path;    /* likewise; NULL: none. Need not exist */
};

/*
 * `*real` is the path with no link as its last part; the caller frees it. `*exists`,
 * and then `*st`: whether there is a file. ST_CONFIG names PATH and what is wrong.
 */
enum status output_path_find(const struct output_path *place, char **real, bool *exists,
			     struct stat *st, struct error *err) MUST_CHECK;

/* `path`, which is written beside the output, is no file of the database either, and
 * not in the state directory. */
enum status output_path_check_beside(const struct output_path *place, const char *path,
				     struct error *err) MUST_CHECK;

/* The names in the folder of a path last. False: errno. */
bool output_path_sync_folder(const char *path);
/* The folder of a path; the caller frees it. NULL: out of memory. */
char *output_path_folder(const char *path);
/* Its last part; borrowed. */
const char *output_path_name(const char *path);

#endif

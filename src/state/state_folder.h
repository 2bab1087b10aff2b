/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_folder.h -- the folder of a state directory: that it is one, and
 * ours.
 *
 * OWNERSHIP  Path and descriptor are the caller's.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG says what is wrong with the folder and to use another; ST_IO.
 */
#ifndef STATE_FOLDER_H
#define STATE_FOLDER_H

#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/status.h"

#define STATE_LOCK_FILE     "lock"
#define STATE_META_FILE     "meta"
#define STATE_META_NEW_FILE "meta.new"
#define STATE_POSITION_FILE "position"
/* Where a run takes signals (src/deliver/signal_socket.h); one that was killed leaves
 * it. */
#define STATE_SIGNALS_SOCKET "signals.sock"
/* Of the archive (src/archive/outbox.h), and kept when all else begins anew. */
#define STATE_ARCHIVE_FOLDER "archive"

#define STATE_INSTEAD "use another --state"

struct state_folder {
	const char *path;
	int fd;
};

/* The path of a file in it, for messages. */
struct state_file_name {
	char text[QUOTED_BYTES];
};
struct state_file_name state_file_path(struct state_folder folder, const char *name);
/* The argument of owned_file_open for that file; borrows all of its own. */
struct owned_place state_file_place(struct state_folder folder, const char *name,
				    const struct state_file_name *path);

/* ST_IO for errno: the file cannot be `what`. */
enum status state_file_error(struct state_folder folder, const char *name,
			     const char *what, struct error *err);
/* What keeps a folder from being used, and whether another --state helps. */
enum status state_folder_error(const char *path, int reason, struct error *err);

/* Open it, made if it is not there; not through a link, and it must be ours. */
enum status state_folder_open(const char *path, int *fd, struct error *err) MUST_CHECK;

/*
 * Before anything is made in the folder: is it ours, or nobody's? One that an
 * administrator made for us may be open for reading as long as it is empty.
 */
enum status state_folder_check(struct state_folder folder,
			       struct error *err) MUST_CHECK;

/* All of that without making or closing it. `*fd` is -1: there is none, and it could be
 * made; else it is the caller's, also after an error. */
enum status state_folder_look(const char *path, int *fd, struct error *err) MUST_CHECK;

/* Remove what a first start left that was killed before it made meta. */
enum status state_folder_empty(struct state_folder folder,
			       struct error *err) MUST_CHECK;

#endif

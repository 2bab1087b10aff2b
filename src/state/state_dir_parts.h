/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_dir_parts.h -- what src/state/state_dir.c and state_dir_look.c share;
 * for nobody else.
 */
#ifndef STATE_DIR_PARTS_H
#define STATE_DIR_PARTS_H

#include <pthread.h>

#include "src/base/status.h"
#include "src/state/meta_record.h"
#include "src/state/position_record.h"
#include "src/state/snapshot_file.h"
#include "src/state/state_folder.h"

struct state_dir {
	char *path;
	char *database_path;
	int fd;
	int lock_fd;
	int position_fd;
	struct snapshot_file *snapshots; /* NULL: to be read only */
	bool has_meta;
	struct state_meta meta;
	struct state_position position; /* as read */
	pthread_mutex_t lock;           /* of what is put: */
	struct state_position put; /* the last one, and the last that was synced: */
	struct state_position synced;
	uint64_t sequence; /* of the record of `position` written last */
	/* The kernel reports a page that it could not write once, then forgets it: what
	 * follows a failed sync is never taken for durable. */
	int sync_errno;
	bool follows_path; /* whatever database is there now */
	bool is_moved;     /* the database has another path than in meta */
};

/* Nothing is open; NULL: no memory. */
struct state_dir *state_dir_new(const char *path);
struct state_folder state_dir_folder(const struct state_dir *dir);

/* ST_IO: one of its files cannot be `what`, for errno. */
enum status state_dir_file_error(const struct state_dir *dir, const char *name,
				 const char *what, struct error *err);
/* ST_DAMAGED. */
enum status state_dir_damaged(const struct state_dir *dir, const char *name,
			      const char *why, struct error *err);
/* ST_CONFIG: another process has the lock. */
enum status state_dir_in_use(const struct state_dir *dir, struct error *err);

/* It may be missing. */
enum status state_dir_read_meta(struct state_dir *dir, struct error *err) MUST_CHECK;
/* False: no record among the `len` bytes is right. */
bool state_dir_pick_position(struct state_dir *dir, const uint8_t *bytes, size_t len);
/* Without a meta: was something acknowledged? That comes after one. */
bool state_dir_was_in_use(struct state_dir *dir);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "schemas/sandbox.h"
#include "schemas/view_vfs.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/sqlite_guard.h"
#include "src/history/view.h"
#include "src/state/rebuilt.h"
#include "src/state/shadow.h"

/* Make the folder, and empty it of what an earlier try left. */
static enum status make_folder(int dir_fd, int *fd, struct error *err)
{
	enum status status;

	if (mkdirat(dir_fd, REBUILT_FOLDER, 0700) != 0 && errno != EEXIST) {
		return rebuilt_failed("made", err);
	}
	*fd = openat(dir_fd, REBUILT_FOLDER,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0) {
		return rebuilt_failed("opened", err);
	}
	status = rebuilt_remove(*fd, "copy", err);
	if (status == ST_OK) {
		status = rebuilt_remove(*fd, "copy-journal", err);
	}
	return status;
}

/* ---- what SQLite does ---- */

static int is_stopped(void *stop)
{
	return *(const _Atomic int *)stop != 0;
}

static enum status vacuum_failed(sqlite3 *db, const struct view_vfs *vfs,
				 struct error *err)
{
	const struct error *source = view_vfs_error(vfs);

	if (source) {
		*err = *source;
		return err->status;
	}
	if (sqlite3_errcode(db) == SQLITE_INTERRUPT) {
		return error_set(err, ST_STOPPED, "stopped");
	}
	if (sqlite3_errcode(db) == SQLITE_FULL) {
		return error_set_errno(err, ENOSPC, "no room for a copy of the shadow");
	}
	return error_set(err, ST_CONFIG, "SQLite: %s", sqlite3_errmsg(db));
}

/* VACUUM INTO the file `copy` of folder `fd`. Sorting may spill into temporary files.
 */
static enum status vacuum(struct page_source *source, uint32_t page_size, int fd,
			  const _Atomic int *stop, struct error *err)
{
	struct view_vfs *vfs;
	char sql[160];
	sqlite3 *db = NULL;
	enum status status = view_vfs_open(source, &vfs, err);

	if (status != ST_OK) {
		return status;
	}
	view_vfs_call_mutable(vfs);
	sqlite_guard_lift(); /* the source is closed; the copy is locked as usual */
	(void)snprintf(sql, sizeof sql,
		       "PRAGMA temp_store=FILE; PRAGMA page_size=%u;"
		       "VACUUM INTO 'file:/proc/self/fd/%d/copy?vfs=unix'",
		       (unsigned)page_size, fd);
	if (sqlite3_open_v2("view", &db,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
				SQLITE_OPEN_URI,
			    view_vfs_name(vfs)) != SQLITE_OK) {
		status = vacuum_failed(db, vfs, err);
	} else {
		status = sandbox_relax(db, err);
	}
	if (status == ST_OK) {
		sqlite3_progress_handler(db, 1000, is_stopped, (void *)(uintptr_t)stop);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
			status = vacuum_failed(db, vfs, err);
		}
	}
	(void)sqlite3_close(db);
	view_vfs_close(vfs);
	return status;
}

static enum status copy_rows(struct state *state, uint32_t page_size, int fd,
			     const _Atomic int *stop, struct error *err)
{
	struct captured_txn first = {.page_count = state->meta.base_pages};
	struct view_file file = {.fd = shadow_fd(state->shadow),
				 .path = state->base_path,
				 .page_size = state->meta.page_size};
	struct view_base base = view_base_of_file(&file);
	struct view *view;
	enum status status =
	    view_open(state->spool, &base, file.page_size, &first, &view, err);

	if (status != ST_OK) {
		return status;
	}
	view_use_copy(view, state_check_page, state);
	status = vacuum(view_old(view), page_size, fd, stop, err);
	view_close(view);
	return status;
}

/* ---- the new shadow ---- */

/* The page size of a database file; 0: it is none. */
static uint32_t read_page_size(int fd)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct error unused;

	return file_read_exactly(fd, bytes, sizeof bytes, 0) &&
		       db_header_read(bytes, &header, &unused) == ST_OK
		   ? header.page_size
		   : 0;
}

/* Make the new shadow of `copy`; `*pages`: how many it has. */
static enum status make_shadow(int fd, uint32_t page_size, const _Atomic int *stop,
			       uint32_t *pages, struct error *err)
{
	struct shadow_copy copy = {.page_size = page_size, .stop = stop};
	struct shadow *shadow;
	struct stat st;
	enum status status;

	copy.source_fd = openat(fd, "copy", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (copy.source_fd < 0 || fstat(copy.source_fd, &st) != 0) {
		return rebuilt_failed("read", err);
	}
	copy.page_count = *pages = (uint32_t)(st.st_size / page_size);
	if (read_page_size(copy.source_fd) != page_size) {
		(void)close(copy.source_fd);
		return error_set(err, ST_CONFIG, "SQLite kept the old size");
	}
	status = shadow_create(fd, &copy, &shadow, err);
	if (status == ST_OK) {
		shadow_close(shadow);
		status = rebuilt_remove(fd, "copy", err);
	} else if (status == ST_IO) {
		status = error_wrap(err, REBUILT_FOLDER);
	}
	(void)close(copy.source_fd);
	return status;
}

enum status rebuild_shadow(struct state *state, uint32_t page_size,
			   const _Atomic int *stop, struct error *err)
{
	uint32_t pages = 0;
	int fd = -1;
	enum status status = make_folder(state_dir_fd(state->dir), &fd, err);

	if (status == ST_OK) {
		status = copy_rows(state, page_size, fd, stop, err);
	}
	FAULT_POINT("convert-copied");
	if (status == ST_OK) {
		status = make_shadow(fd, page_size, stop, &pages, err);
	}
	if (status == ST_IO) {
		status = error_wrap(err, "%s", state_dir_path(state->dir));
	}
	FAULT_POINT("convert-made");
	if (status == ST_OK) {
		status = state_put_rebuilt(state, page_size, pages, err);
	}
	FAULT_POINT("convert-put");
	if (fd >= 0) {
		(void)close(fd);
	}
	return status;
}

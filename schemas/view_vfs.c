/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/view_vfs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "schemas/sandbox.h"

#define TEMPORARY                                                                    \
	(SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_TRANSIENT_DB | \
	 SQLITE_OPEN_SUBJOURNAL)

struct view_vfs {
	sqlite3_vfs vfs;    /* pAppData is this struct */
	sqlite3_vfs *under; /* SQLite's default: clock and random numbers */
	struct page_source *source;
	bool is_mutable; /* the file does not call itself immutable */
	struct error error;
	bool has_error;
	char name[48];
};

struct view_file {
	sqlite3_file file; /* first: SQLite's view of it */
	struct view_vfs *view_vfs;
};

/* ---- the file ---- */

static struct view_vfs *vfs_of_file(sqlite3_file *file)
{
	return ((struct view_file *)(void *)file)->view_vfs;
}

static int file_close(sqlite3_file *file)
{
	(void)file;
	return SQLITE_OK;
}

static sqlite3_int64 source_size(const struct page_source *source)
{
	return (sqlite3_int64)source->page_count * source->page_size;
}

/* Copy [at, at + len) of page `page_no`. */
static int read_page(struct view_vfs *view_vfs, uint32_t page_no, uint32_t at,
		     uint32_t len, uint8_t *to)
{
	struct page_ref ref = {NULL, NULL};
	enum status st;

	st = page_get(view_vfs->source, page_no, &ref, &view_vfs->error);
	if (st != ST_OK) {
		view_vfs->has_error = true;
		return st == ST_NOMEM ? SQLITE_IOERR_NOMEM : SQLITE_IOERR_READ;
	}
	memcpy(to, ref.bytes + at, len);
	page_put(view_vfs->source, &ref);
	if (page_no == 1) {
		for (uint32_t i = DB_WRITE_FORMAT; i <= DB_READ_FORMAT; i++) {
			if (i >= at && i - at < len) {
				to[i - at] = 1;
			}
		}
	}
	return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *buffer, int amount, sqlite3_int64 offset)
{
	struct view_vfs *view_vfs = vfs_of_file(file);
	const uint32_t page_size = view_vfs->source->page_size;
	sqlite3_int64 size = source_size(view_vfs->source);
	uint8_t *to = buffer;
	uint32_t left = (uint32_t)amount;

	while (left > 0 && offset < size) {
		uint32_t at = (uint32_t)(offset % page_size);
		uint32_t len = page_size - at < left ? page_size - at : left;
		int rc = read_page(view_vfs, (uint32_t)(offset / page_size) + 1, at,
				   len, to);

		if (rc != SQLITE_OK) {
			return rc;
		}
		to += len;
		left -= len;
		offset += len;
	}
	memset(to, 0, left);
	return left > 0 ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *buffer, int amount,
		      sqlite3_int64 offset)
{
	(void)file, (void)buffer, (void)amount, (void)offset;
	return SQLITE_READONLY;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	(void)file, (void)size;
	return SQLITE_READONLY;
}

static int file_sync(sqlite3_file *file, int flags)
{
	(void)file, (void)flags;
	return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	*size = source_size(vfs_of_file(file)->source);
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
	(void)file, (void)level;
	return SQLITE_OK;
}

static int file_check_reserved_lock(sqlite3_file *file, int *is_held)
{
	(void)file;
	*is_held = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	(void)file, (void)op, (void)arg;
	return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
	(void)file;
	return 0;
}

static int file_device_characteristics(sqlite3_file *file)
{
	return vfs_of_file(file)->is_mutable ? 0 : SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
};

/* ---- the VFS ---- */

static struct view_vfs *vfs_of(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		    int *out_flags)
{
	sqlite3_vfs *under = vfs_of(vfs)->under;

	file->pMethods = NULL;
	if (!name && (flags & TEMPORARY)) {
		return under->xOpen(under, NULL, file, flags, out_flags);
	}
	if (!(flags & SQLITE_OPEN_MAIN_DB) || !(flags & SQLITE_OPEN_READONLY)) {
		return SQLITE_CANTOPEN;
	}
	((struct view_file *)(void *)file)->view_vfs = vfs_of(vfs);
	file->pMethods = &file_methods;
	if (out_flags) {
		*out_flags = flags;
	}
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	(void)vfs, (void)name, (void)sync_folder;
	return SQLITE_READONLY;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	(void)vfs, (void)name, (void)flags;
	*out = 0;
	return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	(void)sqlite3_snprintf(size, out, "%s", name);
	return SQLITE_OK;
}

static void *vfs_dl_open(sqlite3_vfs *vfs, const char *name)
{
	(void)vfs, (void)name;
	return NULL;
}

static void vfs_dl_error(sqlite3_vfs *vfs, int size, char *message)
{
	(void)vfs;
	(void)sqlite3_snprintf(size, message, "no extensions here");
}

static void (*vfs_dl_sym(sqlite3_vfs *vfs, void *handle, const char *symbol))(void)
{
	(void)vfs, (void)handle, (void)symbol;
	return NULL;
}

static void vfs_dl_close(sqlite3_vfs *vfs, void *handle)
{
	(void)vfs, (void)handle;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
	sqlite3_vfs *under = vfs_of(vfs)->under;

	return under->xRandomness(under, size, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
	sqlite3_vfs *under = vfs_of(vfs)->under;

	return under->xSleep(under, microseconds);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out)
{
	sqlite3_vfs *under = vfs_of(vfs)->under;

	return under->xCurrentTime(under, out);
}

static int vfs_get_last_error(sqlite3_vfs *vfs, int size, char *message)
{
	(void)vfs, (void)size, (void)message;
	return 0;
}

static const sqlite3_vfs vfs_methods = {
    .iVersion = 1,
    .szOsFile = (int)sizeof(struct view_file),
    .mxPathname = 64,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xDlOpen = vfs_dl_open,
    .xDlError = vfs_dl_error,
    .xDlSym = vfs_dl_sym,
    .xDlClose = vfs_dl_close,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_get_last_error,
};

/* ---- the handle ---- */

enum status view_vfs_open(struct page_source *source, struct view_vfs **out,
			  struct error *err)
{
	struct view_vfs *view_vfs = calloc(1, sizeof *view_vfs);

	if (!view_vfs) {
		return error_no_memory(err, "a view");
	}
	view_vfs->vfs = vfs_methods;
	view_vfs->under = sqlite3_vfs_find(NULL);
	view_vfs->source = source;
	/* No two handles that live have one address, hence none one name. */
	(void)snprintf(view_vfs->name, sizeof view_vfs->name, "rowtail-view-%p",
		       (void *)view_vfs);
	view_vfs->vfs.zName = view_vfs->name;
	if (view_vfs->under && view_vfs->under->szOsFile > view_vfs->vfs.szOsFile) {
		view_vfs->vfs.szOsFile = view_vfs->under->szOsFile;
	}
	view_vfs->vfs.pAppData = view_vfs;
	if (!view_vfs->under || sqlite3_vfs_register(&view_vfs->vfs, 0) != SQLITE_OK) {
		free(view_vfs);
		return error_no_memory(err, "a view");
	}
	*out = view_vfs;
	return ST_OK;
}

void view_vfs_close(struct view_vfs *view_vfs)
{
	if (view_vfs) {
		(void)sqlite3_vfs_unregister(&view_vfs->vfs);
		free(view_vfs);
	}
}

enum status view_vfs_connect(struct view_vfs *view_vfs, sqlite3 **out,
			     struct error *err)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(
	    "view", &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, view_vfs->name);

	if (rc == SQLITE_OK) {
		/* Sorting spills into memory: this VFS has no temporary files. */
		rc = sqlite3_exec(db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK && view_vfs->has_error) {
		*err = view_vfs->error;
	} else if (rc != SQLITE_OK) {
		(void)sandbox_error(db, rc, err);
	} else if (sandbox_relax(db, err) == ST_OK) {
		*out = db;
		return ST_OK;
	}
	(void)sqlite3_close(db);
	return err->status;
}

void view_vfs_call_mutable(struct view_vfs *view_vfs)
{
	view_vfs->is_mutable = true;
}

const char *view_vfs_name(const struct view_vfs *view_vfs)
{
	return view_vfs->name;
}

const struct error *view_vfs_error(const struct view_vfs *view_vfs)
{
	return view_vfs->has_error ? &view_vfs->error : NULL;
}

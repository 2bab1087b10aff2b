/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/checkpoint_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/bounded_sync.h"
#include "src/base/clock.h"

struct checkpoint_vfs {
	sqlite3_vfs vfs;    /* pAppData is this struct */
	sqlite3_vfs *under; /* SQLite's default */
	struct bounded_sync *sync;
	int db_fd;
	int wal_fd;
	int64_t until_ns;
	bool was_late;
	int64_t sync_ns;    /* of all */
	int64_t bounded_ns; /* of those with a deadline */
	char name[48];
};

struct checkpoint_file {
	sqlite3_file file; /* first: SQLite's view of it */
	sqlite3_io_methods methods;
	struct checkpoint_vfs *vfs;
	int flags;            /* of xOpen */
	sqlite3_file under[]; /* SQLite's own */
};

static struct checkpoint_file *ours(sqlite3_file *file)
{
	return (struct checkpoint_file *)(void *)file;
}

static sqlite3_file *under(sqlite3_file *file)
{
	return ours(file)->under;
}

/* ---- syncs ---- */

/* A longer time counts at once, a shorter one by and by. */
static void count(int64_t *sync_ns, int64_t took_ns)
{
	*sync_ns += (took_ns - *sync_ns) / (took_ns > *sync_ns ? 1 : 2);
}

void checkpoint_vfs_count(struct checkpoint_vfs *vfs, int64_t took_ns)
{
	count(&vfs->sync_ns, took_ns);
}

/* A sync that was late took longer than the time that it had. */
static void count_result(int64_t *sync_ns, enum sync_result result, int64_t took_ns)
{
	if (result != SYNC_LATE || took_ns > *sync_ns) {
		count(sync_ns, took_ns);
	}
}

static int sync_by_deadline(struct checkpoint_vfs *vfs, int fd)
{
	int64_t took_ns;
	enum sync_result result =
	    bounded_sync_run(vfs->sync, fd, vfs->until_ns, &took_ns);

	count_result(&vfs->sync_ns, result, took_ns);
	count_result(&vfs->bounded_ns, result, took_ns);
	switch (result) {
	case SYNC_DONE:
		return SQLITE_OK;
	case SYNC_LATE:
		vfs->was_late = true;
		return SQLITE_BUSY;
	default:
		return SQLITE_IOERR_FSYNC;
	}
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct checkpoint_file *f = ours(file);
	struct checkpoint_vfs *vfs = f->vfs;
	int fd = (f->flags & SQLITE_OPEN_MAIN_DB) ? vfs->db_fd
		 : (f->flags & SQLITE_OPEN_WAL)   ? vfs->wal_fd
						  : -1;
	int64_t start;
	int rc;

	if (fd >= 0 && vfs->until_ns != 0) {
		return sync_by_deadline(vfs, fd);
	}
	start = clock_mono_ns();
	rc = f->under->pMethods->xSync(f->under, flags);
	checkpoint_vfs_count(vfs, clock_mono_ns() - start);
	return rc;
}

/* ---- everything else goes through ---- */

static int file_close(sqlite3_file *file)
{
	return under(file)->pMethods->xClose(under(file));
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
	return under(file)->pMethods->xRead(under(file), to, len, at);
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
	return under(file)->pMethods->xWrite(under(file), from, len, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return under(file)->pMethods->xTruncate(under(file), size);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return under(file)->pMethods->xFileSize(under(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return under(file)->pMethods->xLock(under(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return under(file)->pMethods->xUnlock(under(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *out)
{
	return under(file)->pMethods->xCheckReservedLock(under(file), out);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return under(file)->pMethods->xFileControl(under(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
	return under(file)->pMethods->xSectorSize(under(file));
}

static int file_device(sqlite3_file *file)
{
	return under(file)->pMethods->xDeviceCharacteristics(under(file));
}

static int file_shm_map(sqlite3_file *file, int region, int size, int extend,
			void volatile **out)
{
	return under(file)->pMethods->xShmMap(under(file), region, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int at, int count, int flags)
{
	return under(file)->pMethods->xShmLock(under(file), at, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	under(file)->pMethods->xShmBarrier(under(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
	return under(file)->pMethods->xShmUnmap(under(file), remove);
}

static int file_fetch(sqlite3_file *file, sqlite3_int64 at, int len, void **out)
{
	return under(file)->pMethods->xFetch(under(file), at, len, out);
}

static int file_unfetch(sqlite3_file *file, sqlite3_int64 at, void *page)
{
	return under(file)->pMethods->xUnfetch(under(file), at, page);
}

static const sqlite3_io_methods all_methods = {
    .iVersion = 3,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
    .xFetch = file_fetch,
    .xUnfetch = file_unfetch,
};

static int vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *file, int flags,
		    int *out_flags)
{
	struct checkpoint_vfs *vfs = base->pAppData;
	struct checkpoint_file *f = ours(file);
	int rc = vfs->under->xOpen(vfs->under, name, f->under, flags, out_flags);

	f->vfs = vfs;
	f->flags = flags;
	f->file.pMethods = NULL;
	if (f->under->pMethods) {
		f->methods = all_methods;
		if (f->under->pMethods->iVersion < f->methods.iVersion) {
			f->methods.iVersion = f->under->pMethods->iVersion;
		}
		f->file.pMethods = &f->methods;
	}
	return rc;
}

/* ---- the handle ---- */

enum status checkpoint_vfs_open(struct checkpoint_vfs **out, struct error *err)
{
	sqlite3_vfs *under_vfs = sqlite3_vfs_find(NULL);
	struct checkpoint_vfs *vfs = calloc(1, sizeof *vfs);
	enum status status;

	if (!vfs || !under_vfs) {
		free(vfs);
		return error_no_memory(err, "checkpoints");
	}
	status = bounded_sync_open(&vfs->sync, err);
	if (status != ST_OK) {
		free(vfs);
		return status;
	}
	vfs->under = under_vfs;
	vfs->db_fd = -1;
	vfs->wal_fd = -1;
	/* Every other call of the VFS is SQLite's own: it takes its own struct. */
	vfs->vfs = *under_vfs;
	vfs->vfs.pNext = NULL;
	vfs->vfs.szOsFile = (int)sizeof(struct checkpoint_file) + under_vfs->szOsFile;
	vfs->vfs.pAppData = vfs;
	vfs->vfs.xOpen = vfs_open;
	/* No two handles that live have one address, hence none one name. */
	(void)snprintf(vfs->name, sizeof vfs->name, "rowtail-checkpoint-%p",
		       (void *)vfs);
	vfs->vfs.zName = vfs->name;
	if (sqlite3_vfs_register(&vfs->vfs, 0) != SQLITE_OK) {
		bounded_sync_close(vfs->sync);
		free(vfs);
		return error_no_memory(err, "checkpoints");
	}
	*out = vfs;
	return ST_OK;
}

void checkpoint_vfs_close(struct checkpoint_vfs *vfs)
{
	if (vfs) {
		bounded_sync_close(vfs->sync);
		(void)sqlite3_vfs_unregister(&vfs->vfs);
		free(vfs);
	}
}

const char *checkpoint_vfs_name(const struct checkpoint_vfs *vfs)
{
	return vfs->name;
}

void checkpoint_vfs_use(struct checkpoint_vfs *vfs, int db_fd, int wal_fd)
{
	vfs->db_fd = db_fd;
	vfs->wal_fd = wal_fd;
}

void checkpoint_vfs_limit(struct checkpoint_vfs *vfs, int64_t until_ns)
{
	vfs->until_ns = until_ns;
	vfs->was_late = false;
}

bool checkpoint_vfs_was_late(const struct checkpoint_vfs *vfs)
{
	return vfs->was_late;
}

int64_t checkpoint_vfs_sync_ns(const struct checkpoint_vfs *vfs)
{
	return vfs->sync_ns;
}

int64_t checkpoint_vfs_bounded_ns(const struct checkpoint_vfs *vfs)
{
	return vfs->bounded_ns < vfs->sync_ns ? vfs->bounded_ns : vfs->sync_ns;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/sqlite_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/lock_bytes.h"
#include "src/base/text.h"

#define SHM_CUT_BYTES 3

#define LEFT_TORN_NS (5 * NS_PER_MS) /* nobody is writing it any more */
#define FORGOTTEN_NS (1 * NS_PER_S)  /* SQLite asks again within some 300 ms */

/* ---- locks ---- */

static int refused(void)
{
	errno = EAGAIN;
	return -1;
}

/* The header of a wal-index that SQLite could not read, as it was when it asked for the
 * write lock to make it anew. Another -shm may have the same inode. */
struct torn_header {
	ino_t file;
	int64_t changed_ns;
	uint8_t bytes[2 * WAL_INDEX_HEADER_BYTES];
	int64_t since_ns; /* it has been like this */
	int64_t asked_ns; /* last; 0: never */
};

static _Thread_local struct torn_header torn;
static _Thread_local bool may_lock_write;

void sqlite_guard_let_write(bool may)
{
	may_lock_write = may;
}

/* Whoever writes a header has the write lock. A moment after we saw half of it that
 * writer is done, and its next transaction would find the lock taken by us. */
static bool is_left_torn(int shm_fd)
{
	uint8_t now[2 * WAL_INDEX_HEADER_BYTES] = {0};
	int64_t now_ns = clock_mono_ns();
	struct stat st = {0};
	bool is_same;

	(void)!fstat(shm_fd, &st);
	(void)!file_read_at(shm_fd, now, sizeof now, 0);
	is_same = torn.asked_ns != 0 && now_ns - torn.asked_ns < FORGOTTEN_NS &&
		  st.st_ino == torn.file &&
		  clock_ns_of(st.st_ctim) == torn.changed_ns &&
		  memcmp(now, torn.bytes, sizeof now) == 0;
	torn.asked_ns = now_ns;
	if (!is_same) {
		torn.file = st.st_ino;
		torn.changed_ns = clock_ns_of(st.st_ctim);
		memcpy(torn.bytes, now, sizeof now);
		torn.since_ns = now_ns;
	}
	return now_ns - torn.since_ns >= LEFT_TORN_NS;
}

static bool is_write_lock(const struct flock *lock)
{
	return lock->l_start == LOCK_SHM_START && lock->l_len == 1;
}

static int exclusive_lock(int fd, int cmd, struct flock lock)
{
	if (lock.l_start >= LOCK_DB_START ||
	    (is_write_lock(&lock) && !may_lock_write && !is_left_torn(fd))) {
		return refused();
	}
	if (lock.l_start == LOCK_SHM_OPEN) {
		lock.l_type = F_RDLCK;
	} else if (lock.l_start <= LOCK_SHM_RECOVER &&
		   lock.l_start + lock.l_len == LOCK_SHM_RECOVER + 1) {
		lock.l_len--;
		if (lock.l_len == 0) {
			return 0;
		}
	}
	return fcntl(fd, cmd, &lock);
}

/* A process that may only read -shm finds out by a shared lock whether somebody is
 * writing the header. */
static int shared_write_lock(int fd, struct flock lock)
{
	lock.l_type = F_WRLCK;
	if (fcntl(fd, F_GETLK, &lock) != 0) {
		return -1;
	}
	return lock.l_type == F_UNLCK && is_left_torn(fd) ? 0 : refused();
}

static int guarded_fcntl(int fd, int cmd, ...)
{
	va_list more;
	const struct flock *lock;
	void *argument;

	va_start(more, cmd);
	argument = va_arg(more, void *);
	va_end(more);
	if (cmd != F_SETLK && cmd != F_SETLKW) {
		return fcntl(fd, cmd, argument);
	}
	lock = argument;
	if (lock->l_type == F_WRLCK) {
		return exclusive_lock(fd, cmd, *lock);
	}
	return lock->l_type == F_RDLCK && is_write_lock(lock)
		   ? shared_write_lock(fd, *lock)
		   : fcntl(fd, cmd, argument);
}

/* ---- files ---- */

static int guarded_unlink(const char *path)
{
	if (text_ends_with(path, "-wal") || text_ends_with(path, "-shm") ||
	    text_ends_with(path, "-journal")) {
		errno = EPERM;
		return -1;
	}
	return unlink(path);
}

static int guarded_ftruncate(int fd, off_t length)
{
	return length == SHM_CUT_BYTES ? 0 : ftruncate(fd, length);
}

/* Root without this capability, as in some containers, is a user like any other: the
 * files that it makes stay its own. */
static bool may_give_away(void)
{
	struct __user_cap_header_struct header = {.version =
						      _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_CHOWN)].effective & CAP_TO_MASK(CAP_CHOWN));
}

bool sqlite_guard_may_make(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat database;
	struct stat around;

	if (geteuid() == 0 && may_give_away()) {
		return true;
	}
	if (!slash || stat(path, &database) != 0) {
		return false;
	}
	if (database.st_uid == geteuid()) {
		return true;
	}
	(void)snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
	return stat(folder, &around) == 0 && (around.st_mode & S_ISGID) &&
	       faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
}

static bool may_make_beside(const char *path)
{
	char database[PATH_MAX];
	size_t len = strlen(path) - strlen("-wal");

	if (len >= sizeof database) {
		return false;
	}
	memcpy(database, path, len);
	database[len] = '\0';
	return sqlite_guard_may_make(database);
}

static int guarded_open(const char *path, int flags, int mode)
{
	if ((flags & O_CREAT) &&
	    (text_ends_with(path, "-wal") || text_ends_with(path, "-shm")) &&
	    !may_make_beside(path)) {
		flags &= ~O_CREAT;
	}
	return open(path, flags, mode);
}

/* ---- all of them ---- */

enum status sqlite_guard(struct error *err)
{
	const struct {
		const char *name;
		sqlite3_syscall_ptr call;
	} calls[] = {
	    {"unlink", (sqlite3_syscall_ptr)guarded_unlink},
	    {"fcntl", (sqlite3_syscall_ptr)guarded_fcntl},
	    {"ftruncate", (sqlite3_syscall_ptr)guarded_ftruncate},
	    {"open", (sqlite3_syscall_ptr)guarded_open},
	};
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (!vfs || vfs->iVersion < 3 || !vfs->xSetSystemCall ||
		    vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) !=
			SQLITE_OK) {
			return error_set(
			    err, ST_IO,
			    "this build of SQLite does not let its calls of %s be "
			    "intercepted; use another build",
			    calls[i].name);
		}
	}
	return ST_OK;
}

void sqlite_guard_lift(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	if (vfs && vfs->iVersion >= 3 && vfs->xSetSystemCall) {
		(void)vfs->xSetSystemCall(vfs, NULL, NULL);
	}
}

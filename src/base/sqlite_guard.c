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

#include "src/base/lock_bytes.h"
#include "src/base/text.h"

#define SHM_CUT_BYTES 3

/* --- locks ------------------------------------------------------------------------ */

static int exclusive_lock(int fd, int cmd, struct flock lock)
{
	if (lock.l_start >= LOCK_DB_START) {
		errno = EAGAIN;
		return -1;
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

static int guarded_fcntl(int fd, int cmd, ...)
{
	va_list more;
	void *argument;

	va_start(more, cmd);
	argument = va_arg(more, void *);
	va_end(more);
	if ((cmd == F_SETLK || cmd == F_SETLKW) &&
	    ((const struct flock *)argument)->l_type == F_WRLCK) {
		return exclusive_lock(fd, cmd, *(const struct flock *)argument);
	}
	return fcntl(fd, cmd, argument);
}

/* --- files ------------------------------------------------------------------------ */

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

/* A root that was left without this capability, as in a container, is one user as any
 * other here: the files that it makes stay its own. */
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

/* --- */

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
			return error_set(err, ST_IO,
					 "this build of SQLite lets nobody look at its "
					 "calls of %s; use another one",
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

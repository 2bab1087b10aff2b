/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/lock_bytes.h"
#include "src/base/status.h"

#define KEY_BYTES 64 /* "fd:01 123456 " of a line in maps */

/* Has another process a lock on one of these bytes that a lock of `type` cannot be
 * beside? True also if that cannot be told. Nothing is locked. */
static bool is_refused(int fd, short type, off_t at, off_t len)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};

	return fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

static bool is_locked(int fd, off_t at, off_t len)
{
	return is_refused(fd, F_WRLCK, at, len);
}

bool db_file_is_exclusive(int db_fd)
{
	return is_refused(db_fd, F_RDLCK, LOCK_DB_PENDING, 1) ||
	       is_refused(db_fd, F_RDLCK, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN);
}

bool db_file_is_reserved(int db_fd)
{
	return is_locked(db_fd, LOCK_DB_RESERVED, 1);
}

bool db_file_is_used(int db_fd)
{
	return is_locked(db_fd, LOCK_DB_START, LOCK_DB_LEN);
}

bool db_shm_is_used(int shm_fd)
{
	return is_locked(shm_fd, LOCK_SHM_OPEN, 1);
}

bool db_is_written(int shm_fd)
{
	return is_locked(shm_fd, LOCK_SHM_WRITE, 1);
}

/* Is it the line of the mapping at `page`? `key` is then the file that is mapped. */
static bool read_key(const char *line, const void *page, char key[KEY_BYTES])
{
	char device[16];
	unsigned long long inode;
	unsigned long start;
	unsigned long end;

	if (sscanf(line, "%lx-%lx %*s %*s %15s %llu", &start, &end, device, &inode) !=
		4 ||
	    (uintptr_t)page < start || (uintptr_t)page >= end) {
		return false;
	}
	(void)snprintf(key, KEY_BYTES, " %s %llu ", device, inode);
	return true;
}

/*
 * A line of maps: `7f00-7f08 r--s 00000000 fd:01 123456   /folder/app.db-shm`. The
 * device and the inode there are the same for all processes, and need not be those of
 * stat (btrfs, overlayfs). So one page is mapped to learn them; it is not read, as it
 * may lie beyond the file's end. False: errno.
 */
static bool find_key(int fd, char key[KEY_BYTES])
{
	void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	char *line = NULL;
	size_t size = 0;
	bool is_found = false;
	FILE *maps;
	int reason;

	if (page == MAP_FAILED) {
		return false;
	}
	maps = fopen("/proc/self/maps", "re");
	while (maps && !is_found && getline(&line, &size, maps) > 0) {
		is_found = read_key(line, page, key);
	}
	reason = errno;
	free(line);
	if (maps) {
		(void)fclose(maps);
	}
	(void)munmap(page, 1);
	errno = reason;
	return is_found;
}

/* A process that has ended, or that we may not look at, has nothing. */
static enum db_mapping maps_have(const char *pid, const char *key)
{
	char path[64];
	FILE *maps;
	char *line = NULL;
	size_t size = 0;
	bool is_found = false;
	int reason;

	(void)snprintf(path, sizeof path, "/proc/%.20s/maps", pid);
	errno = 0;
	maps = fopen(path, "re");
	while (maps && !is_found && getline(&line, &size, maps) > 0) {
		is_found = strstr(line, key) != NULL;
	}
	reason = errno;
	free(line);
	if (maps) {
		(void)fclose(maps);
	}
	errno = reason;
	if (is_found) {
		return MAPPED_BY_OTHERS;
	}
	return errno_is_limit(reason) ? MAPPED_UNKNOWN : MAPPED_BY_NOBODY;
}

/* The pid of this process in /proc, which may be that of another PID namespace; 0: it
 * cannot be told. */
static long self_in_proc(void)
{
	char link[32];
	ssize_t len = readlink("/proc/self", link, sizeof link - 1);

	link[len > 0 ? len : 0] = '\0';
	return strtol(link, NULL, 10);
}

enum db_mapping db_shm_mapping(int shm_fd)
{
	char key[KEY_BYTES];
	enum db_mapping mapping = MAPPED_BY_NOBODY;
	const struct dirent *entry;
	long self = self_in_proc();
	int reason;
	DIR *all;

	if (!find_key(shm_fd, key) || (all = opendir("/proc")) == NULL) {
		return MAPPED_UNKNOWN;
	}
	while (mapping == MAPPED_BY_NOBODY && (entry = readdir(all)) != NULL) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != self) {
			mapping = maps_have(entry->d_name, key);
		}
	}
	reason = errno;
	(void)closedir(all);
	errno = reason;
	return mapping;
}

bool db_is_alone(int db_fd, int shm_fd)
{
	return !db_file_is_used(db_fd) && !db_shm_is_used(shm_fd) &&
	       db_shm_mapping(shm_fd) == MAPPED_BY_NOBODY;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_users.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* SQLite's lock bytes on the database file: pending, reserved, shared. */
#define LOCK_BYTES_START 0x40000000
#define LOCK_BYTES_LEN   512

#define KEY_BYTES 64 /* "fd:01 123456 " of a line in maps */

bool db_file_is_used(int fd)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = LOCK_BYTES_START,
			     .l_len = LOCK_BYTES_LEN};

	return fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/*
 * A line of maps: `7f00-7f08 r--s 00000000 fd:01 123456   /folder/app.db-shm`. The
 * device and the inode there are the same for all processes, and need not be those of
 * stat (btrfs, overlayfs). So one page is mapped to learn them; it is not read, as it
 * may lie beyond the file's end.
 */
static bool find_key(int fd, char key[KEY_BYTES])
{
	void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t size = 0;
	bool is_found = false;

	while (page != MAP_FAILED && maps && !is_found &&
	       getline(&line, &size, maps) > 0) {
		char device[16];
		unsigned long long inode;
		unsigned long start;
		unsigned long end;

		if (sscanf(line, "%lx-%lx %*s %*s %15s %llu", &start, &end, device,
			   &inode) == 4 &&
		    (uintptr_t)page >= start && (uintptr_t)page < end) {
			(void)snprintf(key, KEY_BYTES, " %s %llu ", device, inode);
			is_found = true;
		}
	}
	free(line);
	if (maps) {
		(void)fclose(maps);
	}
	if (page != MAP_FAILED) {
		(void)munmap(page, 1);
	}
	return is_found;
}

static bool maps_have(const char *pid, const char *key)
{
	char path[64];
	FILE *maps;
	char *line = NULL;
	size_t size = 0;
	bool is_found = false;

	(void)snprintf(path, sizeof path, "/proc/%.20s/maps", pid);
	maps = fopen(path, "re");
	while (maps && !is_found && getline(&line, &size, maps) > 0) {
		is_found = strstr(line, key) != NULL;
	}
	free(line);
	if (maps) {
		(void)fclose(maps);
	}
	return is_found;
}

bool db_shm_is_mapped(int fd)
{
	char key[KEY_BYTES];
	DIR *all = opendir("/proc");
	const struct dirent *entry;
	bool is_found = false;
	long self = getpid();

	if (all && find_key(fd, key)) {
		while (!is_found && (entry = readdir(all)) != NULL) {
			long pid = strtol(entry->d_name, NULL, 10);

			is_found =
			    pid > 0 && pid != self && maps_have(entry->d_name, key);
		}
	}
	if (all) {
		(void)closedir(all);
	}
	return is_found;
}

bool db_is_alone(int db_fd, int shm_fd, const struct db_names *names)
{
	return shm_fd >= 0 && !db_file_is_used(db_fd) && !db_names_shm_is_used(names) &&
	       !db_shm_is_mapped(shm_fd);
}

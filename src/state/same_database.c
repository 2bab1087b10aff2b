/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/same_database.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define LOOKED_AT   65536 /* pages, spread evenly */
#define BLANK_BYTES 16    /* a page with fewer that are not zero has nothing on it */

/* Counters and sizes in page 1, which change with every commit. */
#define COUNTERS_START 24
#define COUNTERS_END   40
#define VERSIONS_START 92
#define VERSIONS_END   100

static bool is_blank(const uint8_t *page, size_t len)
{
	unsigned count = 0;

	for (size_t i = 0; i < len && count <= BLANK_BYTES; i++) {
		count += page[i] != 0;
	}
	return count <= BLANK_BYTES;
}

/* Two files, and room for a page of each. */
struct pair {
	int fds[2];
	uint8_t *pages[2];
	size_t page_size;
};

static bool read_both(const struct pair *pair, uint32_t page_no)
{
	off_t at = (off_t)(page_no - 1) * (off_t)pair->page_size;

	for (int i = 0; i < 2; i++) {
		if (!file_read_exactly(pair->fds[i], pair->pages[i], pair->page_size,
				       at)) {
			return false;
		}
	}
	return true;
}

static bool are_equal(const struct pair *pair)
{
	return memcmp(pair->pages[0], pair->pages[1], pair->page_size) == 0;
}

static bool have_one_schema(const struct pair *pair)
{
	if (!read_both(pair, 1)) {
		return false;
	}
	for (int i = 0; i < 2; i++) {
		memset(pair->pages[i] + COUNTERS_START, 0,
		       COUNTERS_END - COUNTERS_START);
		memset(pair->pages[i] + VERSIONS_START, 0,
		       VERSIONS_END - VERSIONS_START);
	}
	return are_equal(pair);
}

static bool is_alike(const struct pair *pair, uint32_t page_count)
{
	uint32_t step = page_count / LOOKED_AT + 1;
	uint32_t telling = 0;
	uint32_t equal = 0;

	for (uint32_t i = 2; i <= page_count; i += step) {
		bool is_there = read_both(pair, i);

		/* The copy's page is read first: it is there, whatever the other is. */
		if (!is_blank(pair->pages[0], pair->page_size)) {
			telling++;
			equal += is_there && are_equal(pair);
		}
	}
	return telling > 0 ? equal >= telling - telling / 2 : have_one_schema(pair);
}

uint32_t database_page_size(const char *path)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct error unused;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool is_read = fd >= 0 && file_read_exactly(fd, bytes, sizeof bytes, 0);

	if (fd >= 0) {
		(void)close(fd);
	}
	return is_read && db_header_read(bytes, &header, &unused) == ST_OK
		   ? header.page_size
		   : 0;
}

static bool has_our_pages(const struct state_meta *meta, int shadow_fd,
			  const char *new_path)
{
	struct pair pair = {.page_size = meta->page_size};
	bool is_ours = false;

	if (shadow_fd < 0 || database_page_size(new_path) != meta->page_size) {
		return false;
	}
	pair.fds[0] = shadow_fd;
	pair.fds[1] = open(new_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	pair.pages[0] = calloc(1, pair.page_size);
	pair.pages[1] = calloc(1, pair.page_size);
	if (pair.fds[1] >= 0 && pair.pages[0] && pair.pages[1]) {
		is_ours = is_alike(&pair, meta->base_pages);
	}
	if (pair.fds[1] >= 0) {
		(void)close(pair.fds[1]);
	}
	free(pair.pages[0]);
	free(pair.pages[1]);
	return is_ours;
}

/* Is it the file of the last clean stop, unchanged? The inode alone says nothing: that
 * of a file that was removed is given to the next one that is made. */
static bool is_as_left(const struct state_meta *meta, const struct stat *now)
{
	return meta->is_clean && meta->clean_device == now->st_dev &&
	       meta->clean_inode == now->st_ino &&
	       meta->clean_size == (uint64_t)now->st_size &&
	       meta->clean_mtime_ns == clock_ns_of(now->st_mtim);
}

bool same_database(const struct state_meta *meta, int shadow_fd, const char *old_path,
		   const char *new_path, bool *is_copy)
{
	struct stat now;
	struct stat old;

	*is_copy = false;
	if (stat(new_path, &now) != 0) {
		return false;
	}
	if (stat(old_path, &old) == 0 && S_ISREG(old.st_mode)) {
		*is_copy = old.st_dev != now.st_dev || old.st_ino != now.st_ino;
		return !*is_copy;
	}
	if (is_as_left(meta, &now)) {
		return true;
	}
	return has_our_pages(meta, shadow_fd, new_path);
}

/* The real path of the folder that `path` is in, and its last part; false: there is no
 * such folder. */
static bool split(const char *path, char folder[PATH_MAX], char name[PATH_MAX])
{
	char copy[PATH_MAX];
	size_t len = strlen(path);
	char *slash;

	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	if (len >= sizeof copy) {
		return false;
	}
	memcpy(copy, path, len);
	copy[len] = '\0';
	slash = strrchr(copy, '/');
	memcpy(name, slash ? slash + 1 : copy, strlen(slash ? slash + 1 : copy) + 1);
	if (slash) {
		slash[slash == copy] = '\0';
	}
	return realpath(slash ? copy : ".", folder) != NULL;
}

bool same_database_owns(const char *real, const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	char own_folder[PATH_MAX];
	char own_name[PATH_MAX];
	char folder[PATH_MAX];
	char name[PATH_MAX];
	size_t len;

	if (!split(real, own_folder, own_name) || !split(path, folder, name) ||
	    strcmp(own_folder, folder) != 0) {
		return false;
	}
	len = strlen(own_name);
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		if (strncmp(name, own_name, len) == 0 &&
		    strcmp(name + len, suffixes[i]) == 0) {
			return true;
		}
	}
	return false;
}

enum status same_database_check_place(const char *real, const char *path,
				      struct error *err)
{
	return same_database_owns(real, path)
		   ? error_set(err, ST_CONFIG,
			       "--state %s is a name that SQLite uses for this "
			       "database; use another --state",
			       quote(path).text)
		   : ST_OK;
}

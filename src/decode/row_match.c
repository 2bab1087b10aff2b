/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/row_match.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/temp_file.h"

#define FIRST_CAP  64u
#define HEAP_BYTES (8u << 20)

void row_match_init(struct row_match *match)
{
	*match = (struct row_match){0};
}

static void release(struct row_match_entry *entries, size_t mapped_bytes)
{
	if (mapped_bytes) {
		(void)munmap(entries, mapped_bytes);
	} else {
		free(entries);
	}
}

void row_match_clear(struct row_match *match)
{
	release(match->entries, match->mapped_bytes);
	row_match_init(match);
}

void row_match_empty(struct row_match *match)
{
	if (match->cap > FIRST_CAP * 16) {
		row_match_clear(match);
	} else if (match->count > 0) {
		memset(match->entries, 0, match->cap * sizeof *match->entries);
		match->count = 0;
	}
}

/* Zeroed room in an unlinked file. Space is taken now: a full disk is an error, not a
 * SIGBUS later. */
static enum status map_file(size_t bytes, struct row_match_entry **out,
			    struct error *err)
{
	void *mapped = MAP_FAILED;
	int fd, rc;
	enum status status = temp_file_open(&fd, err);

	if (status != ST_OK) {
		return status;
	}
	rc = posix_fallocate(fd, 0, (off_t)bytes);
	if (rc == 0) {
		mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		rc = errno;
	}
	if (mapped == MAP_FAILED) {
		status = error_set_errno(
		    err, rc,
		    "no room for %zu bytes of temporary data; set TMPDIR "
		    "to a folder with room",
		    bytes);
	} else {
		*out = mapped;
	}
	(void)close(fd);
	return status;
}

static struct row_match_entry *find_empty(struct row_match_entry *entries, size_t cap,
					  uint64_t hash)
{
	size_t i = (size_t)hash & (cap - 1);

	assert((cap & (cap - 1)) == 0);
	while (entries[i].old_place.page_no != 0) {
		i = (i + 1) & (cap - 1);
	}
	return &entries[i];
}

static enum status grow(struct row_match *match, struct error *err)
{
	size_t cap = match->cap ? match->cap * 2 : FIRST_CAP;
	size_t bytes = cap * sizeof *match->entries;
	size_t mapped_bytes = 0;
	struct row_match_entry *entries = NULL;

	if (bytes > HEAP_BYTES) {
		enum status status = map_file(bytes, &entries, err);

		if (status != ST_OK) {
			return status;
		}
		mapped_bytes = bytes;
	} else {
		entries = calloc(cap, sizeof *entries);
		if (!entries) {
			return error_no_memory(err, "matching rows");
		}
	}
	for (size_t i = 0; i < match->cap; i++) {
		if (match->entries[i].old_place.page_no != 0) {
			*find_empty(entries, cap, match->entries[i].hash) =
			    match->entries[i];
		}
	}
	release(match->entries, match->mapped_bytes);
	match->entries = entries;
	match->cap = cap;
	match->mapped_bytes = mapped_bytes;
	return ST_OK;
}

enum status row_match_add(struct row_match *match, uint64_t hash,
			  struct row_place old_place, struct error *err)
{
	if ((match->count + 1) * 4 > match->cap * 3) {
		enum status status = grow(match, err);

		if (status != ST_OK) {
			return status;
		}
	}
	assert(old_place.page_no != 0);    /* would be an empty entry */
	assert(match->count < match->cap); /* a search ends at an empty one */
	*find_empty(match->entries, match->cap, hash) =
	    (struct row_match_entry){.hash = hash, .old_place = old_place};
	match->count++;
	return ST_OK;
}

struct row_match_entry *row_match_next(const struct row_match *match, uint64_t hash,
				       size_t *at)
{
	if (match->count == 0) {
		return NULL;
	}
	for (;;) {
		struct row_match_entry *entry =
		    &match->entries[((size_t)hash + *at) & (match->cap - 1)];

		if (entry->old_place.page_no == 0) {
			return NULL;
		}
		(*at)++;
		if (entry->hash == hash) {
			return entry;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/temp_file.h"
#include "src/history/advice.h"

#define START_AGAIN   "move %s away and " STATE_BEGIN_ANEW
#define SEGMENT_BYTES SPOOL_SEGMENT_BYTES
#ifndef SEGMENT_MAX
#define SEGMENT_MAX (1u << 20) /* 4 TiB of images */
#endif
/*
 * The first segments of a temporary spool lie in memory, not in the file: while
 * decoding keeps up, no other is used, and dirty pages of ours do not weigh on the
 * application's fsync.
 */
#define MEMORY_SEGMENTS 8
/*
 * Pages of the file that were looked at count as memory of ours as long as they are
 * mapped, also those that nobody looks at again: where a transaction is as large as the
 * database, all of it. So when that many bytes have been handed out, all go back to the
 * system's cache, from where they are taken again if need be.
 */
#define MAPPED_BYTES (32u << 20)

/*
 * A segment is SEGMENT_BYTES of memory or of the file. Its free slots are a stack of
 * indexes, and `at` says where in the stack each is, so that any of them can be taken
 * out. A segment whose slots are all free may return to the system; it is then not
 * backed and is allocated again before its next use.
 */
struct segment {
	uint8_t *bytes; /* mapped for the spool's whole life */
	uint16_t *free; /* indexes of free slots, the first `free_total` are valid */
	uint16_t *at;   /* of a free slot: its place in `free`; otherwise anything */
	uint32_t free_total;
	bool backed;
};

struct preimage {
	uint32_t page_no; /* 0: empty */
	uint32_t slot;
};

struct spool {
	int fd;
	char *folder; /* for messages */
	bool is_temporary;
	uint32_t memory_segments;
	uint32_t page_size;
	unsigned slot_shift; /* log2 of slots a segment */
	uint32_t slots_per_segment;
	_Atomic(uint8_t *) *mapped; /* SEGMENT_MAX entries, written once each */
	_Atomic uint32_t *handed;   /* pages of the file since the last unmapping */

	pthread_mutex_t lock; /* everything below */
	struct segment *segments;
	uint32_t segment_total;
	uint32_t segment_cap;
	uint32_t lowest;            /* no segment below has a free slot */
	uint32_t spare;             /* backed segments that are wholly free */
	bool is_unswept;            /* segments that are not backed may have blocks */
	uint64_t used;              /* slots */
	struct preimage *preimages; /* open addressing, a power of two */
	size_t preimage_cap;
	size_t preimage_total;
};

static enum status new_spool(uint32_t page_size, struct spool **out, struct error *err)
{
	struct spool *spool = calloc(1, sizeof *spool);

	if (!spool) {
		return error_set(err, ST_NOMEM, "out of memory for the spool");
	}
	spool->fd = -1;
	spool->page_size = page_size;
	spool->slots_per_segment = SEGMENT_BYTES / page_size;
	spool->slot_shift = (unsigned)__builtin_ctz(spool->slots_per_segment);
	(void)pthread_mutex_init(&spool->lock, NULL);
	spool->mapped = calloc(SEGMENT_MAX, sizeof *spool->mapped);
	spool->handed = calloc(1, sizeof *spool->handed);
	if (!spool->mapped || !spool->handed) {
		spool_close(spool);
		return error_set(err, ST_NOMEM, "out of memory for the spool");
	}
	*out = spool;
	return ST_OK;
}

enum status spool_open(uint32_t page_size, struct spool **out, struct error *err)
{
	struct spool *spool;
	enum status status = new_spool(page_size, &spool, err);

	if (status != ST_OK) {
		return status;
	}
	spool->is_temporary = true;
	spool->memory_segments = MEMORY_SEGMENTS;
	spool->folder = strdup(temp_file_folder());
	status = spool->folder
		     ? temp_file_open(&spool->fd, err)
		     : error_set(err, ST_NOMEM, "out of memory for the spool");
	if (status != ST_OK) {
		spool_close(spool);
		return status;
	}
	*out = spool;
	return ST_OK;
}

void spool_close(struct spool *spool)
{
	if (!spool) {
		return;
	}
	for (uint32_t i = 0; i < spool->segment_total; i++) {
		if (spool->segments[i].bytes) {
			(void)munmap(spool->segments[i].bytes, SEGMENT_BYTES);
		}
		free(spool->segments[i].free);
		free(spool->segments[i].at);
	}
	free(spool->segments);
	free(spool->mapped);
	free(spool->handed);
	free(spool->preimages);
	free(spool->folder);
	if (spool->fd >= 0) {
		(void)close(spool->fd);
	}
	(void)pthread_mutex_destroy(&spool->lock);
	free(spool);
}

const char *spool_folder(const struct spool *spool)
{
	return spool->folder;
}

static bool in_memory(const struct spool *spool, uint32_t index)
{
	return index < spool->memory_segments;
}

/* Where segment `index` lies in the file. */
static off_t segment_offset(const struct spool *spool, uint32_t index)
{
	return (off_t)(index - spool->memory_segments) * SEGMENT_BYTES;
}

/* Have the file system promise the blocks of segment `index`. */
static enum status back_segment(struct spool *spool, uint32_t index, struct error *err)
{
	int rc = 0;

	while (!in_memory(spool, index)) {
		rc = posix_fallocate(spool->fd, segment_offset(spool, index),
				     SEGMENT_BYTES);
		if (rc != EINTR) {
			break;
		}
	}
	if (rc != 0) {
		return error_set_errno(err, rc,
				       spool->is_temporary
					   ? "the spool in %s cannot grow (make room "
					     "there, or set TMPDIR)"
					   : "%s/frames cannot grow (make room there)",
				       quote(spool->folder).text);
	}
	FAULT_POINT("frames-grown");
	spool->segments[index].backed = true;
	spool->spare++;
	return ST_OK;
}

static enum status grow_table(struct spool *spool, struct error *err)
{
	uint32_t cap = spool->segment_cap ? 2 * spool->segment_cap : 16;
	struct segment *segments;

	if (spool->segment_total < spool->segment_cap) {
		return ST_OK;
	}
	if (spool->segment_total >= SEGMENT_MAX ||
	    (uint64_t)(spool->segment_total + 1) * spool->slots_per_segment >=
		SPOOL_NO_SLOT) {
		return error_set(err, ST_IO, "the spool has reached its largest size");
	}
	segments = realloc(spool->segments, cap * sizeof *segments);
	if (!segments) {
		return error_set(err, ST_NOMEM, "out of memory for the spool");
	}
	spool->segments = segments;
	spool->segment_cap = cap;
	return ST_OK;
}

static void *map_segment(const struct spool *spool, uint32_t index)
{
	if (in_memory(spool, index)) {
		return mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	return mmap(NULL, SEGMENT_BYTES, PROT_READ, MAP_SHARED, spool->fd,
		    segment_offset(spool, index));
}

/* All slots of segment `index` are free; what is missing in memory is made. */
static enum status fill_segment(struct spool *spool, uint32_t index, struct error *err)
{
	struct segment *segment = &spool->segments[index];
	uint32_t total = spool->slots_per_segment;
	void *bytes = map_segment(spool, index);

	segment->free = malloc(total * sizeof *segment->free);
	segment->at = malloc(total * sizeof *segment->at);
	if (!segment->free || !segment->at || bytes == MAP_FAILED) {
		if (bytes != MAP_FAILED) {
			(void)munmap(bytes, SEGMENT_BYTES);
		}
		free(segment->free);
		free(segment->at);
		return error_set(err, ST_NOMEM, "out of memory for the spool");
	}
	for (uint32_t i = 0; i < total; i++) {
		segment->free[i] = (uint16_t)(total - 1 - i);
		segment->at[i] = (uint16_t)(total - 1 - i);
	}
	segment->free_total = total;
	segment->bytes = bytes;
	atomic_store_explicit(&spool->mapped[index], segment->bytes,
			      memory_order_release);
	return ST_OK;
}

/* `is_new`: the file grows by it, or memory is taken; otherwise the file has it. */
static enum status add_segment(struct spool *spool, bool is_new, struct error *err)
{
	enum status status = grow_table(spool, err);
	uint32_t index = spool->segment_total;

	if (status != ST_OK) {
		return status;
	}
	spool->segments[index] = (struct segment){0};
	if (is_new) {
		status = back_segment(spool, index, err);
		if (status != ST_OK) {
			return status;
		}
	}
	status = fill_segment(spool, index, err);
	if (status != ST_OK) {
		spool->spare -= is_new;
		return status;
	}
	spool->segment_total++;
	return ST_OK;
}

/* What the file of a state directory has; a piece of a segment at its end is not
 * there. */
static enum status keep_segments(struct spool *spool, struct error *err)
{
	enum status status = ST_OK;
	struct stat file;

	if (fstat(spool->fd, &file) < 0) {
		return error_set_errno(err, errno, "%s/frames cannot be examined",
				       quote(spool->folder).text);
	}
	for (off_t i = file.st_size / SEGMENT_BYTES; i > 0 && status == ST_OK; i--) {
		status = add_segment(spool, false, err);
	}
	spool->is_unswept = true;
	return status;
}

static char *folder_of(int dir_fd)
{
	char link[64];
	char path[512];
	ssize_t len;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
	len = readlink(link, path, sizeof path);
	if (len <= 0 || (size_t)len == sizeof path) {
		return strdup("the state directory");
	}
	return strndup(path, (size_t)len);
}

static enum status open_frames(struct spool *spool, int dir_fd, bool keep,
			       struct error *err)
{
	char path[QUOTED_BYTES];
	const struct owned_place place = {.dir_fd = dir_fd,
					  .name = "frames",
					  .path = path,
					  .instead = "use another --state",
					  .closed = OWNED_PRIVATE};

	(void)snprintf(path, sizeof path, "%s/frames", spool->folder);
	if (owned_file_open(&place, O_RDWR | O_CREAT, &spool->fd, NULL, err) != ST_OK) {
		return err->status;
	}
	if (keep) {
		return keep_segments(spool, err);
	}
	if (!file_set_length(spool->fd, 0)) {
		return error_set_errno(err, errno, "%s cannot be emptied",
				       quote(path).text);
	}
	return ST_OK;
}

enum status spool_open_at(int dir_fd, uint32_t page_size, bool keep, struct spool **out,
			  struct error *err)
{
	struct spool *spool;
	enum status status = new_spool(page_size, &spool, err);

	if (status != ST_OK) {
		return status;
	}
	spool->folder = folder_of(dir_fd);
	status = spool->folder
		     ? open_frames(spool, dir_fd, keep, err)
		     : error_set(err, ST_NOMEM, "out of memory for the spool");
	if (status != ST_OK) {
		spool_close(spool);
		return status;
	}
	*out = spool;
	return ST_OK;
}

/* Take the slot at `index` of a segment out of its free ones; false if it is none. */
static bool take_index(struct segment *segment, uint32_t index)
{
	uint32_t place = segment->at[index];
	uint16_t last;

	if (place >= segment->free_total || segment->free[place] != index) {
		return false;
	}
	last = segment->free[--segment->free_total];
	segment->free[place] = last;
	segment->at[last] = (uint16_t)place;
	return true;
}

static enum status claim_locked(struct spool *spool, uint32_t slot, struct error *err)
{
	uint32_t index = slot >> spool->slot_shift;
	enum status status = ST_OK;
	struct segment *segment;
	bool was_free;

	if (index >= spool->segment_total) {
		return error_set(err, ST_DAMAGED,
				 "%s/frames has no slot %" PRIu32 "; " START_AGAIN,
				 spool->folder, slot, quote(spool->folder).text);
	}
	segment = &spool->segments[index];
	if (!segment->backed) {
		/* It is; but a copy of the file may have lost that. */
		status = back_segment(spool, index, err);
	}
	if (status != ST_OK) {
		return status;
	}
	was_free = segment->free_total == spool->slots_per_segment;
	if (!take_index(segment, slot & (spool->slots_per_segment - 1))) {
		return error_set(err, ST_DAMAGED,
				 "slot %" PRIu32
				 " of %s/frames is in use twice; " START_AGAIN,
				 slot, spool->folder, quote(spool->folder).text);
	}
	spool->spare -= was_free;
	spool->used++;
	return ST_OK;
}

enum status spool_claim(struct spool *spool, uint32_t slot, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&spool->lock);
	status = claim_locked(spool, slot, err);
	(void)pthread_mutex_unlock(&spool->lock);
	return status;
}

enum status spool_sync(struct spool *spool, struct error *err)
{
	if (!file_sync(spool->fd)) {
		return error_set_errno(err, errno,
				       spool->is_temporary
					   ? "the spool in %s cannot be synced"
					   : "%s/frames cannot be synced",
				       quote(spool->folder).text);
	}
	return ST_OK;
}

/* Give the system what a process that was killed had in use and nobody claimed. */
static void sweep(struct spool *spool)
{
	for (uint32_t i = 0; i < spool->segment_total; i++) {
		if (!spool->segments[i].backed) {
			(void)fallocate(spool->fd,
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					segment_offset(spool, i), SEGMENT_BYTES);
		}
	}
	spool->is_unswept = false;
	FAULT_POINT("frames-swept");
}

/* Point `lowest` at a segment with a free slot that is backed. */
static enum status find_room(struct spool *spool, struct error *err)
{
	while (spool->lowest < spool->segment_total &&
	       spool->segments[spool->lowest].free_total == 0) {
		spool->lowest++;
	}
	if (spool->lowest == spool->segment_total) {
		return add_segment(spool, true, err);
	}
	if (!spool->segments[spool->lowest].backed) {
		return back_segment(spool, spool->lowest, err);
	}
	return ST_OK;
}

enum status spool_alloc(struct spool *spool, uint32_t *slot, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&spool->lock);
	if (spool->is_unswept) {
		sweep(spool);
	}
	status = find_room(spool, err);
	if (status == ST_OK) {
		struct segment *segment = &spool->segments[spool->lowest];

		if (segment->free_total == spool->slots_per_segment) {
			spool->spare--;
		}
		segment->free_total--;
		*slot = (spool->lowest << spool->slot_shift) |
			segment->free[segment->free_total];
		spool->used++;
	}
	(void)pthread_mutex_unlock(&spool->lock);
	return status;
}

static uint8_t *mapped_bytes(const struct spool *spool, uint32_t slot)
{
	uint8_t *bytes = atomic_load_explicit(&spool->mapped[slot >> spool->slot_shift],
					      memory_order_acquire);

	return bytes +
	       (size_t)(slot & (spool->slots_per_segment - 1)) * spool->page_size;
}

/* What others have a pointer to stays where it is, and is read again. */
static void unmap_pages(const struct spool *spool)
{
	for (uint32_t i = spool->memory_segments; i < SEGMENT_MAX; i++) {
		uint8_t *bytes =
		    atomic_load_explicit(&spool->mapped[i], memory_order_acquire);

		if (!bytes) { /* they are mapped one after the other */
			return;
		}
		(void)madvise(bytes, SEGMENT_BYTES, MADV_DONTNEED);
	}
}

const uint8_t *spool_bytes(const struct spool *spool, uint32_t slot)
{
	if (!in_memory(spool, slot >> spool->slot_shift) &&
	    atomic_fetch_add_explicit(spool->handed, 1, memory_order_relaxed) + 1 >=
		MAPPED_BYTES / spool->page_size) {
		atomic_store_explicit(spool->handed, 0, memory_order_relaxed);
		unmap_pages(spool);
	}
	return mapped_bytes(spool, slot);
}

uint8_t *spool_memory(const struct spool *spool, uint32_t slot)
{
	return in_memory(spool, slot >> spool->slot_shift) ? mapped_bytes(spool, slot)
							   : NULL;
}

/* Of those from `first` on, how many stand behind each other in the file. */
static size_t run_length(const uint32_t *slots, size_t first, size_t count)
{
	size_t n = 1;

	while (first + n < count && slots[first + n] == slots[first] + n) {
		n++;
	}
	return n;
}

enum status spool_write(struct spool *spool, const uint32_t *slots, size_t count,
			const uint8_t *bytes, struct error *err)
{
	uint32_t in_segment = spool->slots_per_segment - 1;
	size_t n;

	for (size_t i = 0; i < count; i += n) {
		uint32_t index = slots[i] >> spool->slot_shift;

		if (in_memory(spool, index)) {
			n = 1;
			continue;
		}
		n = run_length(slots, i, count);
		if (!file_write_at(
			spool->fd, bytes + i * spool->page_size, n * spool->page_size,
			segment_offset(spool, index) +
			    (off_t)(slots[i] & in_segment) * spool->page_size)) {
			return error_set_errno(
			    err, errno,
			    spool->is_temporary
				? "the spool in %s cannot be written (make room "
				  "there, or set TMPDIR)"
				: "%s/frames cannot be written (make room there)",
			    quote(spool->folder).text);
		}
		FAULT_POINT("frames-written");
	}
	return ST_OK;
}

enum status spool_put(struct spool *spool, uint32_t slot, const uint8_t *bytes,
		      struct error *err)
{
	uint8_t *memory = spool_memory(spool, slot);

	if (memory) {
		memcpy(memory, bytes, spool->page_size);
		return ST_OK;
	}
	return spool_write(spool, &slot, 1, bytes, err);
}

/* Give a wholly free segment back to the system. The mapping stays: nobody reads it. */
static void release_segment(struct spool *spool, uint32_t index)
{
	struct segment *segment = &spool->segments[index];
	int rc = in_memory(spool, index)
		     ? madvise(segment->bytes, SEGMENT_BYTES, MADV_DONTNEED)
		     : fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 segment_offset(spool, index), SEGMENT_BYTES);

	if (rc == 0) {
		segment->backed = false;
		spool->spare--;
	}
}

static void free_locked(struct spool *spool, uint32_t slot)
{
	uint32_t index = slot >> spool->slot_shift;
	struct segment *segment = &spool->segments[index];
	uint32_t in_segment = slot & (spool->slots_per_segment - 1);

	segment->at[in_segment] = (uint16_t)segment->free_total;
	segment->free[segment->free_total++] = (uint16_t)in_segment;
	spool->used--;
	if (index < spool->lowest) {
		spool->lowest = index;
	}
	if (segment->free_total == spool->slots_per_segment && ++spool->spare > 2) {
		release_segment(spool, index);
	}
}

void spool_free(struct spool *spool, const uint32_t *slots, size_t count)
{
	(void)pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < count; i++) {
		free_locked(spool, slots[i]);
	}
	(void)pthread_mutex_unlock(&spool->lock);
}

uint64_t spool_used_bytes(const struct spool *spool)
{
	struct spool *any = (struct spool *)(uintptr_t)spool; /* for its mutex */
	uint64_t used;

	(void)pthread_mutex_lock(&any->lock);
	used = any->used * any->page_size;
	(void)pthread_mutex_unlock(&any->lock);
	return used;
}

static size_t home_of(const struct spool *spool, uint32_t page_no)
{
	return (size_t)(page_no * UINT32_C(2654435761)) & (spool->preimage_cap - 1);
}

/* The entry of `page_no`, or the empty one where it would go. */
static struct preimage *preimage_at(const struct spool *spool, uint32_t page_no)
{
	size_t i = home_of(spool, page_no);

	while (spool->preimages[i].page_no != 0 &&
	       spool->preimages[i].page_no != page_no) {
		i = (i + 1) & (spool->preimage_cap - 1);
	}
	return &spool->preimages[i];
}

static enum status preimage_room(struct spool *spool, struct error *err)
{
	size_t old_cap = spool->preimage_cap;
	struct preimage *old = spool->preimages;
	struct preimage *grown;

	if (2 * (spool->preimage_total + 1) <= old_cap) {
		return ST_OK;
	}
	grown = calloc(old_cap ? 2 * old_cap : 256, sizeof *grown);
	if (!grown) {
		return error_set(err, ST_NOMEM, "out of memory for the spool");
	}
	spool->preimages = grown;
	spool->preimage_cap = old_cap ? 2 * old_cap : 256;
	for (size_t i = 0; i < old_cap; i++) {
		if (old[i].page_no != 0) {
			*preimage_at(spool, old[i].page_no) = old[i];
		}
	}
	free(old);
	return ST_OK;
}

enum status spool_preimage_put(struct spool *spool, uint32_t page_no, uint32_t slot,
			       struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&spool->lock);
	status = preimage_room(spool, err);
	if (status == ST_OK) {
		struct preimage *at = preimage_at(spool, page_no);

		if (at->page_no == 0) {
			*at = (struct preimage){.page_no = page_no, .slot = slot};
			spool->preimage_total++;
		} else {
			free_locked(spool, slot); /* the older one is the one needed */
		}
	}
	(void)pthread_mutex_unlock(&spool->lock);
	return status;
}

uint32_t spool_preimage_find(struct spool *spool, uint32_t page_no)
{
	uint32_t slot = SPOOL_NO_SLOT;

	(void)pthread_mutex_lock(&spool->lock);
	if (spool->preimage_total > 0) {
		const struct preimage *at = preimage_at(spool, page_no);

		if (at->page_no == page_no) {
			slot = at->slot;
		}
	}
	(void)pthread_mutex_unlock(&spool->lock);
	return slot;
}

/* Close the hole at `hole` so that later entries stay reachable. */
static void preimage_remove(struct spool *spool, size_t hole)
{
	size_t mask = spool->preimage_cap - 1;
	size_t i = hole;

	for (;;) {
		i = (i + 1) & mask;
		if (spool->preimages[i].page_no == 0) {
			break;
		}
		if (((i - home_of(spool, spool->preimages[i].page_no)) & mask) >=
		    ((i - hole) & mask)) {
			spool->preimages[hole] = spool->preimages[i];
			hole = i;
		}
	}
	spool->preimages[hole].page_no = 0;
	spool->preimage_total--;
}

void spool_preimage_drop(struct spool *spool, const uint32_t *page_nos, size_t count)
{
	(void)pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < count && spool->preimage_total > 0; i++) {
		struct preimage *at = preimage_at(spool, page_nos[i]);

		if (page_nos[i] != 0 && at->page_no == page_nos[i]) {
			free_locked(spool, at->slot);
			preimage_remove(spool, (size_t)(at - spool->preimages));
		}
	}
	(void)pthread_mutex_unlock(&spool->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/spool.h -- page images in a file.
 *
 * Captured frames and pre-images lie here until they are decoded past, or, with a
 * state directory, until the shadow has them. An image has a slot (page_size bytes);
 * slots come from segments of the file that are allocated ahead (posix_fallocate: a
 * full disk is an error there, not in the middle of a transaction) and mapped to be
 * read, so that decoding needs no copy. They are written with pwrite: of a page that is
 * mapped to be written, each sync has to tell all processors.
 *
 * The file is DIR/frames of a state directory, or a temporary one: in $TMPDIR, else
 * /var/tmp, mode 0600, unlinked at once; a tmpfs only if $TMPDIR names it.
 *
 * PRE-IMAGES  A page that a captured transaction touches or cuts off, as it was
 *             before, saved from the database file before the hold moves on. At
 *             most one a page is alive at a time.
 * THREADS     alloc, write, preimage_put: the capture thread. bytes: any (no lock).
 *             The rest: any; a short mutex.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct spool;

#define SPOOL_NO_SLOT UINT32_MAX
/* The file grows by so many bytes; slots in a piece of that at its end are not there.
 */
#define SPOOL_SEGMENT_BYTES (4u << 20)

/* ST_IO names the folder and says to set TMPDIR. */
enum status spool_open(uint32_t page_size, struct spool **out,
		       struct error *err) MUST_CHECK;
/*
 * The same in a file of a state directory, DIR/frames, that stays: no segment lies in
 * memory. With `keep` its contents are kept and spool_claim marks what is in use;
 * otherwise it is emptied.
 */
enum status spool_open_at(int dir_fd, uint32_t page_size, bool keep, struct spool **out,
			  struct error *err) MUST_CHECK;
void spool_close(struct spool *spool); /* takes NULL */

/* Before the first spool_alloc: `slot` of a kept file is in use. ST_DAMAGED when the
 * file does not have it or it was claimed before. spool_free takes it back. */
enum status spool_claim(struct spool *spool, uint32_t slot,
			struct error *err) MUST_CHECK;
/* Images written so far are durable when it returns (fdatasync of the file). */
enum status spool_sync(struct spool *spool, struct error *err) MUST_CHECK;

/* Where the file lies, for messages; borrowed until spool_close. */
const char *spool_folder(const struct spool *spool);

/* A slot whose bytes may be written until it is published. ST_IO when the disk is full.
 */
enum status spool_alloc(struct spool *spool, uint32_t *slot,
			struct error *err) MUST_CHECK;
const uint8_t *spool_bytes(const struct spool *spool, uint32_t slot);
/* Where a slot that lies in memory may be written; NULL: it lies in the file. */
uint8_t *spool_memory(const struct spool *spool, uint32_t slot);
/* Write `count` images, which stand behind each other in `bytes`, to slots; those in
 * memory are left alone. */
enum status spool_write(struct spool *spool, const uint32_t *slots, size_t count,
			const uint8_t *bytes, struct error *err) MUST_CHECK;
/* One image to a slot, wherever that is. */
enum status spool_put(struct spool *spool, uint32_t slot, const uint8_t *bytes,
		      struct error *err) MUST_CHECK;
/* Give slots back; segments that become wholly free may return to the file system. */
void spool_free(struct spool *spool, const uint32_t *slots, size_t count);
/* Bytes in slots that are in use. */
uint64_t spool_used_bytes(const struct spool *spool);

/* Publish the pre-image of `page_no`; the spool owns the slot from now on. */
enum status spool_preimage_put(struct spool *spool, uint32_t page_no, uint32_t slot,
			       struct error *err) MUST_CHECK;
/* The slot of the live pre-image of `page_no`, or SPOOL_NO_SLOT. */
uint32_t spool_preimage_find(struct spool *spool, uint32_t page_no);
/* The transaction that it was saved for is decoded past: free its slot. No-op if none.
 */
void spool_preimage_drop(struct spool *spool, const uint32_t *page_nos, size_t count);

#endif

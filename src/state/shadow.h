/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/shadow.h -- our own page-for-page copy of the database, as of S.
 *
 * Brought forward only by writing journalled pages into it, which may be repeated
 * after a crash: with the journal from S on it is never wrong. Beside it a hash
 * (XXH3, 64 bits, seeded with the page number) of every page, in memory too: 8 bytes a
 * page.
 *
 * OWNERSHIP  shadow_create / shadow_open / shadow_close. The folder is borrowed.
 * THREADS    One thread at a time; reading through shadow_fd: any.
 * ERRORS     ST_IO (sys_errno ENOSPC: the disk is full). ST_DAMAGED: a hash is wrong.
 */
#ifndef SHADOW_H
#define SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

struct shadow;

struct shadow_copy {
	int source_fd;           /* the database file; borrowed, never closed */
	uint32_t page_size;      /* bytes */
	uint32_t page_count;     /* to copy; what lies past the file's end is zeros */
	const _Atomic int *stop; /* ends the copy with ST_STOPPED */
	/* Every few MiB. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;
};

/* Would a copy of so many pages, with their hashes, leave a tenth of the disk free on
 * which `fd` lies? ST_IO. (By reflink it takes less.) */
enum status shadow_check_room(int fd, uint32_t page_size, uint64_t page_count,
			      struct error *err) MUST_CHECK;

/* Copy the file into DIR/shadow (over an old one), hashing as it goes, in bounded
 * memory: by reflink where the file system can (FICLONE). Durable when it returns. */
enum status shadow_create(int dir_fd, const struct shadow_copy *copy,
			  struct shadow **out, struct error *err) MUST_CHECK;

/* The page size of what shadow_create made in a folder; 0: it did not finish. ST_IO. */
enum status shadow_made_for(int dir_fd, uint32_t *page_size,
			    struct error *err) MUST_CHECK;

/* Open what is there. `page_count` is meta's; a longer file is what a fold that was cut
 * short left behind. */
enum status shadow_open(int dir_fd, uint32_t page_size, uint32_t page_count,
			struct shadow **out, struct error *err) MUST_CHECK;
/* The same, and nothing is changed: it can only be read. */
enum status shadow_open_read(int dir_fd, uint32_t page_size, uint32_t page_count,
			     struct shadow **out, struct error *err) MUST_CHECK;
void shadow_close(struct shadow *shadow); /* takes NULL */

/* The file, to read pages from; borrowed. */
int shadow_fd(const struct shadow *shadow);
uint32_t shadow_page_count(const struct shadow *shadow);

/* The hash of a page, and that of the page as it is in the shadow; past its end 0. */
uint64_t shadow_hash_of(uint32_t page_no, const uint8_t *bytes, uint32_t page_size);
uint64_t shadow_hash(const struct shadow *shadow, uint32_t page_no);

/* `count` pages from `first` on, all of them there, compared with their hashes:
 * ST_DAMAGED names the first that is not what its hash says. */
enum status shadow_read(const struct shadow *shadow, uint32_t first, uint32_t count,
			uint8_t *bytes, struct error *err) MUST_CHECK;

/* Make room for the hashes of so many pages: then another thread may write these pages
 * while this one asks for the hashes of others that it knows to be there. */
enum status shadow_reserve(struct shadow *shadow, uint32_t page_count,
			   struct error *err) MUST_CHECK;
uint64_t shadow_known_hash(const struct shadow *shadow, uint32_t page_no);

/* Write a page; grows the shadow where it must. Not durable until shadow_sync. */
enum status shadow_write(struct shadow *shadow, uint32_t page_no, const uint8_t *bytes,
			 struct error *err) MUST_CHECK;
/* The same of `count` pages from `first` on, whose bytes stand behind each other. */
enum status shadow_write_run(struct shadow *shadow, uint32_t first, uint32_t count,
			     const uint8_t *bytes, struct error *err) MUST_CHECK;
/* The database has so many pages now; new ones are zeros. What is cut off gives its
 * blocks back, but the file gets shorter only in shadow_open: until meta has the new
 * size the old one counts. */
enum status shadow_resize(struct shadow *shadow, uint32_t page_count,
			  struct error *err) MUST_CHECK;
/* Pages and hashes are durable when it returns. Once it has failed it always fails:
 * what could not be written is lost, and only a new start writes it again. After a full
 * disk it may be called again, once all pages since the last sync are written anew. */
enum status shadow_sync(struct shadow *shadow, struct error *err) MUST_CHECK;

/* Read all of it and compare with the hashes: ST_DAMAGED names the first page. */
enum status shadow_verify(struct shadow *shadow, const _Atomic int *stop,
			  struct error *err) MUST_CHECK;

#endif

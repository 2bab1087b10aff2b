/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/known_pages.h -- the database as of D, or of an LSN before, by the hashes
 * of its pages, read out of a state directory without changing it.
 *
 * OWNERSHIP  known_pages_init / known_pages_clear; storage is the caller's.
 * THREADS    No shared state.
 * ERRORS     ST_DAMAGED names the file, the pages and what to do. ST_STOPPED.
 *            ST_CONFIG: a start has to come first. ST_RETRY: of an LSN before D.
 */
#ifndef KNOWN_PAGES_H
#define KNOWN_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/transaction.h"
#include "src/state/state_dir.h"

#define PAGE_LIST_MOST 10 /* pages that a message names */

/* Pages that are not right: how many, and the first of them. */
struct page_list {
	uint32_t total;
	uint32_t first[PAGE_LIST_MOST];
};

void page_list_add(struct page_list *list, uint32_t page_no);
/* "4, 7, 9", and "..." where there are more. */
void page_list_text(const struct page_list *list, char *text, size_t size);

enum known_origin {
	KNOWN_NOT,     /* it was cut off, or is new, and nobody wrote it since */
	KNOWN_SHADOW,  /* the hash is that of the shadow's page */
	KNOWN_JOURNAL, /* the hash is that of the image in the journal */
};

struct known_pages {
	uint32_t page_size;
	uint64_t lsn;        /* D, or what was asked for */
	int64_t captured_ns; /* of the last record up to there; 0: there is none */
	uint32_t page_count;
	struct wal_place place;
	const char *torn; /* why the journal ends there, or NULL */
	uint32_t cap;     /* entries */
	uint64_t *hashes; /* of page n at n - 1 */
	uint8_t *origins; /* enum known_origin, likewise */
	uint32_t *slots;  /* of the image in the journal, likewise */

	uint64_t most_lsn; /* that is asked for; UINT64_MAX: D */
	/* What records behind that have done to pages that it has from the shadow: */
	uint32_t low_pages; /* the smallest size that they left */
	uint32_t unsure;    /* a page that may be in the shadow as of later; 0: none */
};

/* Read `dir`, which has a meta. `checks_images`: of the journal; then it must be held.
 * Where a process goes on with it meanwhile, what looks like damage may be none. */
enum status known_pages_init(struct known_pages *known, const struct state_dir *dir,
			     bool checks_images, struct error *err) MUST_CHECK;
/*
 * The same as of `lsn`, which is S or the end of a record, and no later than D. A fold
 * that is under way, or was cut short, may have written pages of later records into the
 * shadow; where their hashes cannot tell, that is ST_RETRY.
 */
enum status known_pages_init_at(struct known_pages *known, const struct state_dir *dir,
				uint64_t lsn, struct error *err) MUST_CHECK;
void known_pages_clear(struct known_pages *known);

/* Compare the shadow with its hashes. */
enum status known_pages_check_shadow(const struct known_pages *known,
				     const struct state_dir *dir,
				     const _Atomic int *stop,
				     struct error *err) MUST_CHECK;

#endif

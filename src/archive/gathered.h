/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/gathered.h -- transactions that become one file of an archive: their net
 * effect.
 *
 * Of each page the newest image counts, and none that was cut off later. What the
 * database gained since its smallest size in between is in the file in any case: pages
 * without an image as zeros, which is what the database file has there. Without them a
 * restore would fail, or bring back what was cut off.
 *
 * OWNERSHIP  gathered_init / gathered_clear; storage is the caller's. Images stay in
 *            the spool: only their slots are kept here.
 * THREADS    One at a time.
 * ERRORS     ST_NOMEM; of gathered_write also those of writer and base.
 */
#ifndef GATHERED_H
#define GATHERED_H

#include <stdbool.h>
#include <stdint.h>

#include "src/archive/ltx.h"
#include "src/history/listener.h"
#include "src/history/page_versions.h"

struct gathered {
	struct page_versions pages; /* newest images */
	bool has_size;              /* page_count is known */
	uint32_t low_pages;         /* smallest size since the beginning, pages */
	uint32_t page_count;        /* size after the last one */
	uint64_t lsn;               /* of the last one; 0 while there is none */
	int64_t time_ns;            /* wall clock of its capture */
	uint64_t total;             /* that were added */
	uint64_t transactions;      /* of the application, that they stand for */
	bool has_catch_up;          /* one is what was found by comparing */
};

void gathered_init(struct gathered *gathered);
void gathered_clear(struct gathered *gathered); /* frees */

/* Nothing is gathered, and the database has so many pages. */
void gathered_begin(struct gathered *gathered, uint32_t page_count);

/* Add a transaction, behind those that are there. */
enum status gathered_add(struct gathered *gathered, const struct captured_txn *txn,
			 struct error *err) MUST_CHECK;

/* A file of it. */
struct gathered_file {
	int fd;                   /* empty */
	const char *path;         /* for messages */
	struct ltx_header header; /* but for page_count */
	struct spool *spool;
	/* All pages of the database, those that have no image from here; NULL: only
	 * what has changed. */
	const struct listener_base *base;
	bool (*gives_up)(void *context); /* asked often: ends it with ST_STOPPED */
	void *context;

	/* The result. */
	uint64_t size;  /* bytes; not synced */
	uint32_t pages; /* in it */
};

enum status gathered_write(const struct gathered *gathered, struct gathered_file *file,
			   struct error *err) MUST_CHECK;

#endif

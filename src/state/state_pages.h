/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_pages.h -- the database as of D, or of an earlier moment that the
 * journal still has, page by page, out of a state directory that is only read, whether
 * a process uses it or not.
 *
 * Nothing is locked, so that nobody who starts meanwhile finds the directory in use.
 * Instead each page must have its hash. A process that uses the directory goes on
 * meanwhile: once it has overwritten a page that is still asked for, that is an error,
 * and never a page of another moment. An earlier moment is there until S has passed it;
 * a fold that is under way takes pages of it away before (src/state/known_pages.h).
 *
 * MEMORY     17 bytes a page of the database.
 * OWNERSHIP  state_pages_open / state_pages_close.
 * THREADS    One at a time.
 * ERRORS     ST_CONFIG: no state directory, one that a start has to come to first, or
 *            not that moment.
 *            ST_DAMAGED names what is damaged and what to do. ST_RETRY: a process has
 *            gone on with it. ST_IO, ST_NOMEM.
 */
#ifndef STATE_PAGES_H
#define STATE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/state/state_moment.h"

struct state_pages;

/* `when` NULL: the latest. */
enum status state_pages_open(const char *path, const struct state_when *when,
			     struct state_pages **out, struct error *err) MUST_CHECK;
void state_pages_close(struct state_pages *pages); /* takes NULL */

/* Of a page, in bytes; and pages of the database, 0: it is empty. */
uint32_t state_pages_size(const struct state_pages *pages);
uint32_t state_pages_count(const struct state_pages *pages);
/* Its LSN, and its time as src/state/state_moment.h has it. */
struct state_moment state_pages_moment(const struct state_pages *pages);
/* Do two states of one directory have the same page `page_no`, which both have? */
bool state_pages_have_same(const struct state_pages *a, const struct state_pages *b,
			   uint32_t page_no);

/* Page `page_no`, from 1 on, into state_pages_size bytes. */
enum status state_pages_read(struct state_pages *pages, uint32_t page_no,
			     uint8_t *bytes, struct error *err) MUST_CHECK;

#endif

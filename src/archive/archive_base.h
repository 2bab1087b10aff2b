/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/archive_base.h -- the pages that lie under a view, out of an archive, as
 * they are asked for (src/archive/pages.h).
 *
 * They are those of one state of the archive: at first that of a plan. It need not stay
 * that state, as a view asks its base for no page that a transaction has that was
 * decoded: any state from this one to the last that was decoded gives the same bytes.
 * So when files of it were removed (merged, or grown old), the newest of these is
 * opened in its place; and when a view has much lying over it, it asks for the
 * last that was decoded, and forgets what it has.
 *
 * OWNERSHIP  archive_base_open / archive_base_close; what the settings point to is
 *            borrowed until then. The storage is read by nobody else meanwhile.
 * THREADS    That of the view.
 * ERRORS     As src/archive/pages.h. ST_LOST: the archive has none of these states any
 *            more. ST_STOPPED: *stop was set while an archive out of reach was waited
 *            for.
 */
#ifndef ARCHIVE_BASE_H
#define ARCHIVE_BASE_H

#include <stdatomic.h>

#include "src/archive/plan.h"
#include "src/history/view.h"

struct archive_base;

struct archive_base_settings {
	const char *location; /* for messages */
	struct storage *storage;
	const _Atomic uint64_t *decoded_lsn; /* the last transaction; 0: none yet */
	const _Atomic int *stop;
	int64_t retry_ns; /* between two tries while it is out of reach; 0: an error */
};

/* `plan`: for the first state; nothing is kept of it. */
enum status archive_base_open(const struct archive_base_settings *settings,
			      const struct plan *plan, struct archive_base **out,
			      struct error *err) MUST_CHECK;
void archive_base_close(struct archive_base *base); /* takes NULL */

/* Of the first state: bytes, pages. */
uint32_t archive_base_page_size(const struct archive_base *base);
uint32_t archive_base_page_count(const struct archive_base *base);

/* For view_open; valid until archive_base_close. */
struct view_base archive_base_view(struct archive_base *base);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/archive_resume.h"

#include <inttypes.h>

/* What waits leads on from what the archive has, or from nothing. */
static bool leads_on(const struct archive_known *known,
		     const struct outbox_content *outbox)
{
	if (outbox->min_txid <= 1) {
		return true;
	}
	return known->is_known ? known->reach_txid == known->max_txid &&
				     outbox->min_txid <= known->max_txid + 1
			       : outbox->min_txid <= outbox->done_txid + 1;
}

/* The newest state of what is there can be restored. */
static bool is_whole(const struct archive_known *known,
		     const struct outbox_content *outbox, bool uses_outbox)
{
	if (uses_outbox && outbox->min_txid == 1) {
		return true;
	}
	return known->is_known
		   ? known->has_files && known->reach_txid == known->max_txid
		   : outbox->done_txid > 0;
}

/* The last file leads to a state that was made anew since, page by page another one. */
static bool is_of_before(const struct outbox_content *outbox, uint64_t txid)
{
	return outbox->is_rebuilt && txid <= outbox->rebuilt_lsn + 1;
}

enum status archive_resume(const struct archive_known *known,
			   const struct outbox_content *outbox,
			   const struct archived_state *base,
			   struct archive_resume *out, struct error *err)
{
	bool uses_outbox = outbox->count > 0 && leads_on(known, outbox);
	uint32_t page_size =
	    uses_outbox || outbox->done_txid == known->max_txid || !known->is_known
		? outbox->page_size
		: known->page_size;

	*out = (struct archive_resume){
	    .txid = known->is_known ? known->max_txid : outbox->done_txid,
	    .time_ns = known->is_known ? known->time_ns : outbox->time_ns,
	    .drops_outbox = !uses_outbox,
	};
	if (uses_outbox && outbox->max_txid > out->txid) {
		out->txid = outbox->max_txid;
		out->time_ns = outbox->time_ns;
	}
	if (out->txid > 0 && out->txid - 1 > base->end_lsn) {
		return error_set(
		    err, ST_CONFIG,
		    "the archive has txid:%" PRIx64
		    " already, and the state directory ends at txid:%" PRIx64
		    ": it is an older copy; use another --archive, or move the state "
		    "directory away, begin with a new one and archive.take.over=true",
		    out->txid, base->end_lsn + 1);
	}
	if (!is_whole(known, outbox, uses_outbox) || is_of_before(outbox, out->txid) ||
	    (page_size != 0 && page_size != base->page_size)) {
		out->next = ARCHIVE_SNAPSHOT;
	} else if (out->txid - 1 >= base->lsn) {
		out->next = ARCHIVE_GOES_ON;
	} else {
		out->next = ARCHIVE_ALL;
	}
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_hold_parts.h"

#include <string.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/log.h"

#define SHUT_NS (5 * NS_PER_MS) /* how long to wait for transactions to end */
#define SPIN_NS (5 * NS_PER_US)

/* Get to where nothing can begin and nothing is open, neither to read nor to write. */
static bool shut_all(struct wal_hold *h)
{
	const struct wal_index *index = &h->db->index;
	int64_t until = clock_mono_ns() + SHUT_NS;

	while (!wal_gate_push(&h->gate)) {
		if (clock_mono_ns() >= until) {
			return false;
		}
		clock_sleep_ns(SPIN_NS);
	}
	/* The slots hold instead of our reader, which is in the last one. */
	(void)sqlite3_reset(h->db->read[h->holder]);
	while (!wal_index_lock(index, WAL_LOCK_READ0)) {
		if (clock_mono_ns() >= until) {
			return false;
		}
		clock_sleep_ns(SPIN_NS);
	}
	return true;
}

/* Is everything that is committed captured, and in the file, now? */
static bool is_spent(struct wal_hold *h)
{
	struct wal_index_header now;

	return hold_look(h, &now) && wal_index_same(&now, &h->header) &&
	       h->captured == now.frame_count && h->backfilled_seen == now.frame_count;
}

static void cut(struct wal_hold *h)
{
	sqlite3_file *wal = NULL;

	if (sqlite3_file_control(h->db->locker, "main", SQLITE_FCNTL_JOURNAL_POINTER,
				 &wal) != SQLITE_OK ||
	    !wal || !wal->pMethods) {
		return;
	}
	FAULT_POINT("cut-before");
	if (!wal_index_restart(&h->db->index)) {
		return;
	}
	FAULT_POINT("cut-restarted");
	/* What stays when this fails has the old salt: nobody takes it for the new WAL.
	 */
	(void)wal->pMethods->xTruncate(wal, 0);
	FAULT_POINT("cut-done");
}

static void cut_locked(struct wal_hold *h)
{
	const struct wal_index *index = &h->db->index;

	if (!wal_index_lock(index, WAL_LOCK_CHECKPOINT)) {
		return;
	}
	if (wal_index_lock(index, WAL_LOCK_WRITE)) {
		if (is_spent(h)) {
			cut(h);
		}
		wal_index_unlock(index, WAL_LOCK_WRITE);
	}
	wal_index_unlock(index, WAL_LOCK_CHECKPOINT);
}

enum status hold_cut(struct wal_hold *h, struct error *err)
{
	enum status status = hold_check_names(h, &h->header, err);
	bool is_shut;

	if (status != ST_OK || h->state != HOLD_ZERO || !is_spent(h) ||
	    fdatasync(h->db->db_fd) != 0) {
		return status;
	}
	is_shut = shut_all(h);
	if (is_shut) {
		status = hold_check_names(h, &h->header, err);
		if (status == ST_OK) {
			cut_locked(h);
		}
		wal_index_unlock(&h->db->index, WAL_LOCK_READ0);
	}
	if (status != ST_OK || !wal_gate_holds(&h->gate)) {
		return status;
	}
	return hold_unless_retry(hold_leave_gate(h, err));
}

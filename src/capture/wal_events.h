/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_events.h -- the kernel tells which processes write to the WAL
 * (fanotify), for src/capture/wal_writers.h.
 *
 * Needs CAP_SYS_ADMIN in the first user namespace, and a kernel that gives a pidfd with
 * each event (5.15). What is written through a mapping of the file is not told; SQLite
 * does not do that with a WAL.
 *
 * OWNERSHIP  wal_events_open / wal_events_close; WAL, -shm and wal-index are borrowed.
 *            Descriptors of the WAL are opened and closed; there are no locks on it.
 * THREADS    As wal_writers.h.
 * ERRORS     ST_CONFIG: the kernel refuses, with what to do. ST_NOMEM, ST_IO.
 */
#ifndef WAL_EVENTS_H
#define WAL_EVENTS_H

#include "src/base/status.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_writers.h"

struct wal_events;

/* Can it be had at all? Before anything is opened for it. */
enum status wal_events_check(struct error *err) MUST_CHECK;

/* From here on writes to the WAL are told; what was written before is not known. */
enum status wal_events_open(const struct db_handles *db, struct wal_events **out,
			    struct error *err) MUST_CHECK;
void wal_events_close(struct wal_events *events); /* takes NULL */

struct wal_writers *wal_events_writers(struct wal_events *events);

#endif

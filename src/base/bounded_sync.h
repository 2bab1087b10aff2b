/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/bounded_sync.h -- fdatasync with a deadline.
 *
 * A sync cannot be called off, and on a slow disk takes seconds. A caller that holds a
 * lock which others wait for has it done by another thread, and waits for it only until
 * a deadline; a sync that is late goes on, and the next one waits for its end first.
 *
 * OWNERSHIP  bounded_sync_open / bounded_sync_close, which waits for a sync at work.
 *            The descriptor must stay open until then.
 * THREADS    One caller; it has a thread of its own for the syncs.
 * ERRORS     Late is no error. After a sync that failed all fail: none of them would
 *            report what that one lost.
 */
#ifndef BOUNDED_SYNC_H
#define BOUNDED_SYNC_H

#include <stdint.h>

#include "src/base/status.h"

enum sync_result { SYNC_DONE, SYNC_LATE, SYNC_FAILED };

struct bounded_sync;

enum status bounded_sync_open(struct bounded_sync **out, struct error *err) MUST_CHECK;
void bounded_sync_close(struct bounded_sync *sync); /* takes NULL */

/*
 * SYNC_DONE: all that was written to `fd` before the call is durable. SYNC_LATE: not
 * known by `until_ns` (of clock_mono_ns). `*took_ns`: how long the sync took, or has
 * taken so far, without what it waited for another one.
 */
enum sync_result bounded_sync_run(struct bounded_sync *sync, int fd, int64_t until_ns,
				  int64_t *took_ns) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_sink.h -- an audit log: each message a line, each line a leaf of a tree,
 * and signed heads of it among them.
 *
 * ACKNOWLEDGED  flush writes, calls fdatasync and tells the state directory how many
 *               lines there are, and the root over them. A put that comes when
 *               AUDIT_SYNC_BYTES are not acknowledged flushes first, by itself.
 * HEADS         At most one a second when there is something new, once an hour when
 *               there is not, at SIGHUP and at a stop. First the lines are synced, then
 *               the position is made durable, then they are signed
 *               (sinks/audit_log.h), then the line of the head is remembered, too.
 * START         The whole file is read and its heads are checked (sinks/audit_scan.h).
 *               What follows the last head and the lines that are remembered was never
 *               acknowledged and is cut off; if anything else is not as it was, nothing
 *               is appended (sinks/audit_resume.h).
 * FULL DISK     As with file: (sinks/file_writer.h); afterwards a line tells of it.
 * FILE          Regular, with an flock, mode 0600 when it is made. It must belong to
 *               our user or to root, have no second name, and nobody else may write it
 *               (src/base/owned_file.h).
 * ERRORS        ST_CONFIG: PATH cannot be such a file, or is another one's log. ST_IO:
 *               it was altered or shortened.
 */
#ifndef SINKS_AUDIT_SINK_H
#define SINKS_AUDIT_SINK_H

#include "sinks/sink_table.h"

#ifndef AUDIT_SYNC_BYTES /* tests have a smaller one */
#define AUDIT_SYNC_BYTES (1u << 20)
#endif

#endif

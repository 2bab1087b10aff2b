/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/file_sink.h -- JSON lines appended to a file, every one of them once.
 *
 * ACKNOWLEDGED  Put appends to a batch (sinks/line_batch.h); flush writes it and calls
 *               fdatasync: then the lines are acknowledged, and place says where. A put
 *               that comes when FILE_SYNC_BYTES are not acknowledged flushes first, by
 *               itself.
 * START         begin: what the file has beyond the stored place are lines of a crash:
 *               it is cut back. A shorter file is appended to, never extended, with a
 *               warning; so is another file, behind a newline if it does not end in
 *               one. A file is the stored one if inode and proof (a hash of the bytes
 *               before the place) are; it is also cut back under another name that
 *               begins with PATH's, which a rotation gave it. Another file is never
 *               cut.
 * ROTATION      When `*reopen` is set, the next put or flush flushes to the old file
 *               and goes on in the one that is at PATH then. `acknowledged` is called
 *               before and after, with the places in the one and in the other.
 * FULL DISK     One line in the log, then a try each second until there is room, a stop
 *               (ST_STOPPED) or patience ends (ST_IO).
 * FILE          Regular, with an flock; made with the permissions of the database. It
 *               must belong to our user or to root and have no second name, or another
 *               user chose what we write to (src/base/owned_file.h). Links:
 *               sinks/output_path.h.
 * ERRORS        ST_CONFIG at open and begin: PATH cannot be such a file.
 */
#ifndef SINKS_FILE_SINK_H
#define SINKS_FILE_SINK_H

#include "sinks/sink_table.h"

#ifndef FILE_SYNC_BYTES /* tests have a smaller one */
#define FILE_SYNC_BYTES (1u << 20)
#endif
#define FILE_PROOF_BYTES 4096 /* that sink_place.proof is of, at most */

#endif

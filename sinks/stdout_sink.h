/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/stdout_sink.h -- JSON lines on a file descriptor.
 *
 * LINES      and their batch: sinks/line_batch.h.
 * BLOCKING   A pipe, socket or terminal whose reader is slow is waited for. When
 *            `*stop` becomes true meanwhile, writing goes on for
 *            STDOUT_STOP_TIMEOUT_NS from when it was seen, then ST_STOPPED. To be able
 *            to notice, the sink never sits in a write that blocks: it opens pipes and
 *            terminals a second time (the flags of the descriptor it was given belong
 *            to other programs, too).
 * CUT LINES  Such a stop, a full disk or a kill can leave the beginning of a line. The
 *            first says so with a warning, the second in its error, and the next run
 *            begins with a line end, with a warning, if what a regular file has does
 *            not end in one. (Another run has another pipe.)
 * ERRORS     ST_IO at open: the descriptor is closed. A reader that went away is
 *            ST_CLOSED; SIGPIPE must be ignored.
 */
#ifndef SINKS_STDOUT_SINK_H
#define SINKS_STDOUT_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/line_batch.h"
#include "sinks/sink_table.h"

#define STDOUT_BATCH           LINE_BATCH_BYTES
#define STDOUT_STOP_TIMEOUT_NS INT64_C(3000000000) /* a stop ends all at 4 s */

/* Does what was written end inside a line? */
bool stdout_sink_is_inside_line(const struct sink *sink);

#endif

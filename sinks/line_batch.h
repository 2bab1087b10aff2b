/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/line_batch.h -- messages as JSON lines, gathered in a buffer.
 *
 * LINES  value: the message's value; tombstones are left out. record:
 *        {"topic":…,"key":…,"value":…,"headers":{…}}, tombstones with "value":null.
 *        Topic and header names are taken as sanitised, they are not escaped.
 * BATCH  Lines gather in LINE_BATCH_BYTES, which are written when the next line does
 *        not fit, or on flush. A longer line is written by itself.
 * ERRORS Those of `write`; the lines that it did not take are gone.
 */
#ifndef SINKS_LINE_BATCH_H
#define SINKS_LINE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/message.h"
#include "src/base/status.h"

#define LINE_BATCH_BYTES 65536

struct line_batch {
	/* Write all of the bytes. */
	enum status (*write)(void *context, const char *bytes, size_t len,
			     struct error *err);
	void *context;
	bool record_lines; /* else values alone */
	size_t lines;      /* in `bytes` */
	uint64_t written;  /* lines that `write` took, all in all */
	size_t len;
	char bytes[LINE_BATCH_BYTES];
};

enum status line_batch_put(struct line_batch *batch, const struct message *message,
			   struct error *err) MUST_CHECK;
enum status line_batch_flush(struct line_batch *batch, struct error *err) MUST_CHECK;

#endif

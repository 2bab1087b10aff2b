/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/ahead.h -- the bytes of a compressed file of an audit log, unpacked in a
 * thread while those before them are looked at.
 *
 * MEMORY    At most 8 MiB are unpacked ahead.
 * OWNERSHIP audit_ahead_open / audit_ahead_close; the input is borrowed, and the
 *           thread's alone in between.
 * THREADS   One reads; the thread is this module's.
 * ERRORS    Those of audit_input_read, after all bytes before them.
 */
#ifndef AUDIT_AHEAD_H
#define AUDIT_AHEAD_H

#include "src/audit/input.h"

struct audit_ahead;

/* NULL: no thread, or no memory; then the input can be read as it is. */
struct audit_ahead *audit_ahead_open(struct audit_input *input);
void audit_ahead_close(struct audit_ahead *ahead); /* takes NULL */

/* The next bytes, at most `room`; *len 0: there are no more. */
enum status audit_ahead_read(struct audit_ahead *ahead, char *to, size_t room,
			     size_t *len, struct error *err) MUST_CHECK;

#endif

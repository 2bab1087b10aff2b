/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_place.h -- how much of a file of signals was taken, for a later
 * run.
 *
 * FORMAT     A line behind what is asked for of snapshots, with which it is kept:
 *            "file INODE TAKEN LENGTH HASH", the last in hexadecimal. What an earlier
 *            line is, is its reader's affair.
 * OWNERSHIP  None.
 * THREADS    No shared state.
 * ERRORS     None: what is no such line says that nothing was taken.
 */
#ifndef SIGNAL_PLACE_H
#define SIGNAL_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/message.h"

#define SIGNAL_TAIL_BYTES 4096 /* by which a file that was written anew is known */

struct signal_place {
	uint64_t inode;     /* of the file */
	uint64_t taken;     /* bytes; 0: nothing, and the rest is zeros */
	uint64_t tail_len;  /* so many bytes before, SIGNAL_TAIL_BYTES at most, have */
	uint64_t tail_hash; /* ... that XXH3 */
};

bool signal_place_is_same(const struct signal_place *a, const struct signal_place *b);

/* Append the line, if anything was taken; it has no end. */
void signal_place_add(const struct signal_place *place, struct buffer *text);
/* What a text has before it; borrowed. */
struct span signal_place_take(struct span text, struct signal_place *place);

#endif

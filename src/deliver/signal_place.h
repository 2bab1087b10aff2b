/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_place.h -- how much of a file and of a topic of signals was taken,
 * for a later run.
 *
 * FORMAT     Lines behind what is asked for of snapshots, with which they are kept:
 *            "file INODE TAKEN LENGTH HASH", the last in hexadecimal, and
 *            "kafka TOPIC NEXT HASH", the first and the last in hexadecimal. What an
 *            earlier line is, is its reader's affair.
 * OWNERSHIP  None.
 * THREADS    No shared state.
 * ERRORS     None: what is no such line says that nothing was taken.
 */
#ifndef SIGNAL_PLACE_H
#define SIGNAL_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_signals.h"
#include "src/base/buffer.h"
#include "src/base/message.h"

#define SIGNAL_TAIL_BYTES 4096 /* by which a file that was written anew is known */

struct signal_place {
	uint64_t inode;     /* of the file */
	uint64_t taken;     /* bytes; 0: nothing, and the rest is zeros */
	uint64_t tail_len;  /* so many bytes before, SIGNAL_TAIL_BYTES at most, have */
	uint64_t tail_hash; /* ... that XXH3 */
};

struct signal_places {
	struct signal_place file;
	struct kafka_signals_place kafka;
};

bool signal_places_are_same(const struct signal_places *a,
			    const struct signal_places *b);

/* Append a line for each that anything was taken of; the last one has no end. */
void signal_places_add(const struct signal_places *places, struct buffer *text);
/* What a text has before them; borrowed. */
struct span signal_places_take(struct span text, struct signal_places *places);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/position_record.h -- a record of the file DIR/position: A.
 *
 * FORMAT   docs/state.md. The file has two records, POSITION_STRIDE apart, so that a
 *          torn one spoils one; record n % 2 is written at sequence number n.
 * THREADS  No shared state.
 */
#ifndef POSITION_RECORD_H
#define POSITION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define POSITION_BYTES  120
#define POSITION_BEFORE 112 /* of one without chunks */
#define POSITION_STRIDE 4096
#define POSITION_FULL   (POSITION_STRIDE + POSITION_BYTES) /* of the file */

/* File `position`: what the sink has acknowledged. */
struct state_position {
	uint64_t lsn;       /* A: all of the transactions up to here */
	uint64_t messages;  /* and so many of the next one's */
	bool in_snapshot;   /* the next one is the initial snapshot, at lsn itself */
	uint64_t change_id; /* of the last event acknowledged */
	uint64_t txn_change_id; /* the same where the next transaction begins */
	uint64_t previous_lsn;  /* of the last transaction that gave an event */
	uint64_t settings_hash; /* of what shapes the sequence of messages */
	uint64_t sink_inode;    /* file sink: the file, and how long it is */
	uint64_t sink_length;
	uint64_t sink_start; /* how long it was where the next transaction begins */
	uint64_t sink_proof; /* a hash of what is before sink_length */
	bool in_sink;        /* it has, or had, a position of this directory itself */
	uint64_t chunks;     /* of snapshots on demand, delivered so far */
	bool in_chunk;       /* the next one is a chunk, at lsn itself */
	/* Nothing from this LSN on was handed to the sink; 0: that is not known. Set by
	 * state_dir_put_unhanded only. */
	uint64_t unhanded_lsn;
};

/* `bytes` are POSITION_BYTES. Returns how many count: as long as there are no chunks, a
 * record as earlier versions read it. */
size_t position_encode(const struct state_position *position, uint64_t sequence,
		       uint8_t *bytes);

/* The newest record that is right among the `len` bytes of the file, which may be one
 * of before there were chunks; false: none is. */
bool position_pick(const uint8_t *bytes, size_t len, struct state_position *position,
		   uint64_t *sequence) MUST_CHECK;

#endif

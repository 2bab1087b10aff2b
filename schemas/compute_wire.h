/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/compute_wire.h -- what the process that computes columns is asked and
 * answers.
 *
 * Both ends are one program on one machine: numbers stand as they are in memory. An
 * answer is nonetheless checked, as what made it may have been led astray.
 *
 *     request   head, then
 *       OPEN      the table: encoding, flags, names, SQL, columns, which are off
 *       WRITE     rowid and the stored values of a row, in the order of storage: it is
 *                 the row at hand
 *       ROW       the same, and its virtual columns are asked for
 *       COLUMN    nothing; head.index is that of a virtual column of the row at hand
 *     answer    head, then
 *       WIRE_OK      the values that were asked for; to OPEN a complaint, if SQLite
 *                    does not understand all of the definition
 *       WIRE_FAILED  SQLite's complaint
 *       WIRE_BROKEN  the same, and it will be so for every row
 *       WIRE_MEMORY  nothing: it needs more than it may have
 *       WIRE_SHORT   nothing: there is less here than it may have
 *
 * OWNERSHIP  Readers borrow from the bytes they are given.
 * THREADS    No shared state.
 * ERRORS     A reader's `failed` is set by the first thing that is not there.
 */
#ifndef SCHEMAS_COMPUTE_WIRE_H
#define SCHEMAS_COMPUTE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

enum wire_kind {
	WIRE_OPEN = 1,
	WIRE_WRITE,
	WIRE_ROW,
	WIRE_COLUMN,
	WIRE_OK,
	WIRE_FAILED,
	WIRE_BROKEN,
	WIRE_MEMORY,
	WIRE_SHORT
};

struct wire_head {
	uint32_t kind;
	uint32_t index;
	uint64_t len;    /* bytes that follow */
	uint64_t length; /* no value may be longer */
	uint64_t memory; /* nor may more be used */
};

struct wire_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

void wire_add_table(struct buffer *b, const struct table *table, const bool *is_off,
		    uint32_t virtual_count);

/* The arrays are the caller's to free (wire_free_table), the texts are borrowed. False
 * when memory ran out or the bytes are no table. */
bool wire_take_table(struct wire_reader *r, struct table *table,
		     bool **is_off) MUST_CHECK;
void wire_free_table(struct table *table, bool *is_off);

void wire_add_value(struct buffer *b, const struct value *value, const char *bytes);
/* value->bytes is borrowed. */
void wire_take_value(struct wire_reader *r, struct value *value);

/* Send all of it; false: the other end is gone. */
bool wire_send(int fd, const void *from, size_t len) MUST_CHECK;

#endif

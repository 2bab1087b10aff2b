/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_writers.h -- who may have made a transaction, as a record of the
 * journal has it.
 *
 * FORMAT  Little-endian, a multiple of 8 bytes:
 *
 *     0  how many (4), 0 (4)
 *     *  each: pid (4), uid (4), loginuid (4), bytes of exe (2), of unit (2); both
 *        texts, without a NUL. 0 bytes: it is not known
 *     *  zeros
 *
 * THREADS  No shared state.
 */
#ifndef JOURNAL_WRITERS_H
#define JOURNAL_WRITERS_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/writers.h"

#define JOURNAL_WRITERS_LEAST 24
#define JOURNAL_WRITERS_MOST  (128u << 10) /* bytes */

/* What it takes; more than JOURNAL_WRITERS_MOST: it has no place in a record. */
size_t journal_writers_bytes(const struct writers *writers);
/* `to` has that many bytes. */
void journal_writers_put(uint8_t *to, const struct writers *writers);
/* With one reference. NULL: it is not so written, or no memory: nobody knows. */
struct writers *journal_writers_get(const uint8_t *from, size_t len);

#endif

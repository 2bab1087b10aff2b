/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/crc64.h -- CRC-64/GO-ISO: polynomial x^64 + x^4 + x^3 + x + 1, reflected,
 * begun and ended inverted. Of "123456789" it is b90956c775a41001.
 *
 * Where the processor multiplies without carry (PCLMUL) four lanes of 16 bytes are
 * folded at a time; elsewhere eight bytes at a time are multiplied by the polynomial
 * with shifts, as it has so few terms. Both give the same.
 *
 * THREADS  No shared state.
 */
#ifndef BASE_CRC64_H
#define BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` is of (0: of nothing) and these `len` bytes behind it. */
uint64_t crc64_add(uint64_t crc, const void *bytes, size_t len);

/* The same without the processor's help; for tests, and for other processors. */
uint64_t crc64_add_portable(uint64_t crc, const void *bytes, size_t len);

#endif

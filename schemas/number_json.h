/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/number_json.h -- numbers as JSON.
 *
 * Doubles are printed with the fewest digits that read back as the same double, of
 * several such the nearest; always with a '.' or an exponent: 1.0, 0.1, 1e300,
 * -0.0. The exponent begins where 16 digits before the point, or 4 zeros behind it, do
 * not suffice. ±Inf are the strings "Infinity" and "-Infinity"; NaN, which SQLite
 * reads as NULL, is null. Independent of the locale.
 *
 * The functions write at `p` into space that the caller has reserved, and return the
 * position behind what they wrote.
 *
 * THREADS  No shared state.
 * ERRORS   None.
 */
#ifndef SCHEMAS_NUMBER_JSON_H
#define SCHEMAS_NUMBER_JSON_H

#include <stdint.h>

#define JSON_NUMBER_MAX 32 /* bytes of any number, of null and of the infinities */

/* At most 20 bytes. */
char *json_put_u64(char *p, uint64_t v);
char *json_put_i64(char *p, int64_t v);

/* At most JSON_NUMBER_MAX bytes. */
char *json_put_double(char *p, double v);

#endif

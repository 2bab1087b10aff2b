/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/number_json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_DIGITS  16   /* before the point; with more, an exponent */
#define PLAIN_ZEROS   4    /* behind the point; with more, an exponent */
#define PLAIN_LEAST   1e-5 /* the same as a number */
#define FEW_DECIMALS  4
#define SURE_LIMIT    1e15
#define INTEGER_LIMIT 9007199254740992.0 /* 2^53 */
#define SURE_DIGITS   15                 /* of a normal double read back as they are */
#define ENOUGH_DIGITS 17                 /* name every double */
#define EXACT_LEAST   1e-10              /* bounds of put_exact */
#define EXACT_LIMIT   9e18
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023

__extension__ typedef unsigned __int128 wide;

static const char digit_pairs[] = "00010203040506070809"
				  "10111213141516171819"
				  "20212223242526272829"
				  "30313233343536373839"
				  "40414243444546474849"
				  "50515253545556575859"
				  "60616263646566676869"
				  "70717273747576777879"
				  "80818283848586878889"
				  "90919293949596979899";

static const uint64_t powers_of_ten[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

/* Up to 5^27, the highest below 2^64. */
static const uint64_t powers_of_five[] = {
    UINT64_C(1),
    UINT64_C(5),
    UINT64_C(25),
    UINT64_C(125),
    UINT64_C(625),
    UINT64_C(3125),
    UINT64_C(15625),
    UINT64_C(78125),
    UINT64_C(390625),
    UINT64_C(1953125),
    UINT64_C(9765625),
    UINT64_C(48828125),
    UINT64_C(244140625),
    UINT64_C(1220703125),
    UINT64_C(6103515625),
    UINT64_C(30517578125),
    UINT64_C(152587890625),
    UINT64_C(762939453125),
    UINT64_C(3814697265625),
    UINT64_C(19073486328125),
    UINT64_C(95367431640625),
    UINT64_C(476837158203125),
    UINT64_C(2384185791015625),
    UINT64_C(11920928955078125),
    UINT64_C(59604644775390625),
    UINT64_C(298023223876953125),
    UINT64_C(1490116119384765625),
    UINT64_C(7450580596923828125),
};

/* ---- integers ---- */

static unsigned digit_count(uint64_t v)
{
	/* 1233 / 4096 is a little above log10(2): right or one too low. */
	unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
	unsigned guess = bits * 1233 >> 12;

	return guess + (v >= powers_of_ten[guess]) + (v == 0);
}

/* The last `count` digits of `v`, zeros in front where it has fewer. */
static char *put_digits(char *p, uint64_t v, unsigned count)
{
	char *q = p + count;

	while (q - p >= 2) {
		uint64_t rest = v / 100;

		q -= 2;
		memcpy(q, digit_pairs + 2 * (v - rest * 100), 2);
		v = rest;
	}
	if (q > p) {
		*p = (char)('0' + v % 10);
	}
	return p + count;
}

char *json_put_u64(char *p, uint64_t v)
{
	if (v < 10) {
		*p = (char)('0' + v);
		return p + 1;
	}
	return put_digits(p, v, digit_count(v));
}

char *json_put_i64(char *p, int64_t v)
{
	if (v < 0) {
		*p++ = '-';
		return json_put_u64(p, 0 - (uint64_t)v);
	}
	return json_put_u64(p, (uint64_t)v);
}

/* ---- doubles ---- */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* The digits d.ddd times 10^exponent, in the plain form or the one with an exponent. */
static char *put_scientific(char *p, const char *digits, unsigned count, int exponent)
{
	unsigned whole;

	if (exponent < -(PLAIN_ZEROS + 1) || exponent >= PLAIN_DIGITS) {
		*p++ = digits[0];
		if (count > 1) {
			*p++ = '.';
			p = put_bytes(p, digits + 1, count - 1);
		}
		*p++ = 'e';
		return json_put_i64(p, exponent);
	}
	if (exponent < 0) {
		p = put_bytes(p, "0.0000", (size_t)(1 - exponent));
		return put_bytes(p, digits, count);
	}
	whole = (unsigned)exponent + 1;
	if (count <= whole) {
		p = put_bytes(p, digits, count);
		memset(p, '0', whole - count);
		return put_bytes(p + (whole - count), ".0", 2);
	}
	p = put_bytes(p, digits, whole);
	*p++ = '.';
	return put_bytes(p, digits + whole, count - whole);
}

/*
 * Try what most columns hold: few digits behind the point. i / 10^k of exact operands
 * is rounded as a reader rounds the decimal, so that equality is exact; below
 * SURE_LIMIT there is one such i at most, and the least k makes the fewest digits.
 * NULL: not such a value.
 */
static char *put_few_decimals(char *p, double magnitude)
{
	unsigned k;

	for (k = 1; k <= FEW_DECIMALS; k++) {
		double scale = (double)powers_of_ten[k];
		double scaled = magnitude * scale;
		uint64_t i;

		if (scaled >= SURE_LIMIT) {
			return NULL;
		}
		i = (uint64_t)(int64_t)(scaled + 0.5);
		if ((double)(int64_t)i / scale == magnitude) {
			p = json_put_u64(p, i / powers_of_ten[k]);
			*p++ = '.';
			return put_digits(p, i % powers_of_ten[k], k);
		}
	}
	return NULL;
}

/* One candidate range: every integer in it, divided by 10^k, reads back as the double.
 */
struct decimal_range {
	uint64_t low, high; /* both belong to it */
	wide middle;        /* the double itself, times 2^shift */
	int shift;
	int k;
};

/*
 * The range of `magnitude` with at least 17 digits. Exact: a double is m * 2^e and its
 * neighbours' midpoints are (4m ± 2) * 2^(e-2), below a power of two (4m - 1); times
 * 10^k that is an integer times 5^k * 2^(e+k-2), and within the bounds of
 * put_exact 4m * 5^k has no more than 118 bits.
 */
static struct decimal_range range_of(double magnitude)
{
	struct decimal_range r;
	uint64_t bits;
	uint64_t m;
	int b; /* 2^b <= magnitude < 2^(b+1) */
	wide five;
	wide low;
	wide high;
	wide fraction;

	memcpy(&bits, &magnitude, sizeof bits);
	b = (int)(bits >> MANTISSA_BITS) - EXPONENT_BIAS;
	m = (bits & ((UINT64_C(1) << MANTISSA_BITS) - 1)) | UINT64_C(1)
								<< MANTISSA_BITS;
	/* 78913 / 2^18 is log10(2): the least k for which 2^b * 10^k has 17 digits. */
	r.k = 16 - (b * 78913 >> 18);
	r.k = r.k > 0 ? r.k : 0;
	five = powers_of_five[r.k];
	r.shift = MANTISSA_BITS + 2 - b - r.k;
	if (r.shift < 0) {
		five <<= -r.shift;
		r.shift = 0;
	}
	r.middle = 4 * (wide)m * five;
	low = r.middle - (m == UINT64_C(1) << MANTISSA_BITS ? five : 2 * five);
	high = r.middle + 2 * five;
	fraction = ((wide)1 << r.shift) - 1;
	r.low = (uint64_t)(low >> r.shift);
	r.high = (uint64_t)(high >> r.shift);
	/* A midpoint reads back as the neighbour with the even mantissa. */
	if ((low & fraction) != 0 || m % 2 != 0) {
		r.low++;
	}
	if ((high & fraction) == 0 && m % 2 != 0) {
		r.high--;
	}
	return r;
}

/* The most zeros that an integer in the range ends in. Halving works: one that ends in
 * z zeros ends in z - 1, too. */
static unsigned range_zeros(const struct decimal_range *r)
{
	unsigned zeros = 0;
	unsigned step;

	for (step = 16; step > 0; step /= 2) {
		unsigned try = zeros + step;

		if (try < sizeof powers_of_ten / sizeof *powers_of_ten &&
		    r->high / powers_of_ten[try] * powers_of_ten[try] >= r->low) {
			zeros = try;
		}
	}
	return zeros;
}

/* EXACT_LEAST <= magnitude < EXACT_LIMIT. */
static char *put_exact(char *p, double magnitude)
{
	struct decimal_range r = range_of(magnitude);
	unsigned zeros = range_zeros(&r);
	uint64_t unit = powers_of_ten[zeros];
	uint64_t digits = (uint64_t)(r.middle >> r.shift) / unit;
	wide twice = (wide)(digits + digits + 1) * unit << r.shift;
	char text[20];
	unsigned count;

	/* The multiple below or the one above: what is in the range, else the nearer.
	 */
	if (digits * unit < r.low ||
	    ((digits + 1) * unit <= r.high &&
	     (2 * r.middle > twice || (2 * r.middle == twice && digits % 2 != 0)))) {
		digits++;
	}
	count = digit_count(digits);
	(void)put_digits(text, digits, count);
	return put_scientific(p, text, count, (int)(count + zeros) - 1 - r.k);
}

/* The digits and the exponent of "%.*e"; what stands for the point is the locale's. */
static uint64_t read_scientific(const char *text, int *exponent)
{
	uint64_t digits = 0;

	for (; *text != 'e'; text++) {
		if (*text >= '0' && *text <= '9') {
			digits = 10 * digits + (uint64_t)(*text - '0');
		}
	}
	*exponent = (int)strtol(text + 1, NULL, 10);
	return digits;
}

/* Any other: what the C library prints, with as few digits as read back the same. */
static char *put_general(char *p, double magnitude)
{
	char text[64];
	uint64_t digits;
	int exponent;
	unsigned count;
	/* Subnormal numbers have fewer sure digits, down to one. */
	int precision = magnitude < DBL_MIN ? 1 : SURE_DIGITS;

	for (;; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision - 1, magnitude);
		if (precision == ENOUGH_DIGITS || strtod(text, NULL) == magnitude) {
			break;
		}
	}
	digits = read_scientific(text, &exponent);
	if (precision == ENOUGH_DIGITS) {
		/* A power of two has more room above: 16 digits that are not the
		 * nearest ones may do. */
		(void)snprintf(text, sizeof text, "%" PRIu64 "e%d", digits / 10 + 1,
			       exponent - (ENOUGH_DIGITS - 2));
		if (strtod(text, NULL) == magnitude) {
			digits = digits / 10 + 1;
		}
	}
	while (digits % 10 == 0) {
		digits /= 10;
	}
	count = digit_count(digits);
	(void)put_digits(text, digits, count);
	return put_scientific(p, text, count, exponent);
}

char *json_put_double(char *p, double v)
{
	double magnitude = fabs(v);

	if (isnan(v)) {
		return put_bytes(p, "null", 4);
	}
	if (isinf(v)) {
		return v < 0 ? put_bytes(p, "\"-Infinity\"", 11)
			     : put_bytes(p, "\"Infinity\"", 10);
	}
	if (signbit(v)) {
		*p++ = '-';
	}
	if (magnitude < INTEGER_LIMIT && (double)(uint64_t)magnitude == magnitude) {
		p = json_put_u64(p, (uint64_t)magnitude);
		return put_bytes(p, ".0", 2);
	}
	if (magnitude >= PLAIN_LEAST) {
		char *end = put_few_decimals(p, magnitude);

		if (end) {
			return end;
		}
	}
	if (magnitude >= EXACT_LEAST && magnitude < EXACT_LIMIT) {
		return put_exact(p, magnitude);
	}
	return put_general(p, magnitude);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/crc64.h"

#include "src/base/bytes.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_PCLMUL 1
#include <smmintrin.h>
#include <wmmintrin.h>
#endif

/* ---- with shifts ---- */

/* Times x^4 + x^3 + x + 1. Bits are reflected, so times x is one to the right; what is
 * shifted out is lost. */
static inline uint64_t times_terms(uint64_t v)
{
	return v ^ v >> 1 ^ v >> 3 ^ v >> 4;
}

/* Times x^64: the terms, and once more for what those shift out. */
static inline uint64_t times_x64(uint64_t v)
{
	return times_terms(v) ^ times_terms(v << 63 ^ v << 61 ^ v << 60);
}

/* `state` is an inverted CRC. */
static uint64_t add_with_shifts(uint64_t state, const uint8_t *at, size_t len)
{
	for (; len >= 8; len -= 8, at += 8) {
		state = times_x64(state ^ get_u64le(at));
	}
	for (; len > 0; len--, at++) {
		/* The eight bits of highest degree, moved to lowest, times x^64. */
		state = state >> 8 ^ times_x64((state ^ *at) << 56);
	}
	return state;
}

uint64_t crc64_add_portable(uint64_t crc, const void *bytes, size_t len)
{
	return ~add_with_shifts(~crc, bytes, len);
}

/* ---- with PCLMUL ---- */

#ifdef HAS_PCLMUL

#define LANE       16u
#define LANES      4u
#define PCLMUL_MIN 128u /* bytes; for less it does not pay */

/* To move a lane over D bits: reflected x^(D + 63) for its first eight bytes, and
 * x^(D - 1) for the last; the product of two reflected numbers is off by one bit. */
#define OVER_512_FIRST 0x01b001b1b0000001u
#define OVER_512_LAST  0xb100010100000001u
#define OVER_128_FIRST 0x6b70000000000001u
#define OVER_128_LAST  0xf500000000000001u

__attribute__((target("pclmul,sse4.1"))) static inline __m128i load(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

__attribute__((target("pclmul,sse4.1"))) static inline __m128i
fold(__m128i lane, __m128i over, __m128i next)
{
	return _mm_xor_si128(next,
			     _mm_xor_si128(_mm_clmulepi64_si128(lane, over, 0x00),
					   _mm_clmulepi64_si128(lane, over, 0x11)));
}

/* `len` is PCLMUL_MIN at least. */
__attribute__((target("pclmul,sse4.1"))) static uint64_t
add_with_pclmul(uint64_t state, const uint8_t *at, size_t len)
{
	const __m128i over_512 =
	    _mm_set_epi64x((int64_t)OVER_512_LAST, (int64_t)OVER_512_FIRST);
	const __m128i over_128 =
	    _mm_set_epi64x((int64_t)OVER_128_LAST, (int64_t)OVER_128_FIRST);
	__m128i lanes[LANES];
	uint8_t rest[LANE];

	for (unsigned i = 0; i < LANES; i++) {
		lanes[i] = load(at + i * LANE);
	}
	lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi64_si128((int64_t)state));
	at += LANES * LANE;
	len -= LANES * LANE;
	for (; len >= LANES * LANE; len -= LANES * LANE, at += LANES * LANE) {
		for (unsigned i = 0; i < LANES; i++) {
			lanes[i] = fold(lanes[i], over_512, load(at + i * LANE));
		}
	}
	for (unsigned i = 1; i < LANES; i++) {
		lanes[i] = fold(lanes[i - 1], over_128, lanes[i]);
	}
	for (; len >= LANE; len -= LANE, at += LANE) {
		lanes[LANES - 1] = fold(lanes[LANES - 1], over_128, load(at));
	}
	_mm_storeu_si128((__m128i *)(void *)rest, lanes[LANES - 1]);
	return add_with_shifts(add_with_shifts(0, rest, LANE), at, len);
}

#endif

uint64_t crc64_add(uint64_t crc, const void *bytes, size_t len)
{
#ifdef HAS_PCLMUL
	if (len >= PCLMUL_MIN && __builtin_cpu_supports("pclmul") &&
	    __builtin_cpu_supports("sse4.1")) {
		return ~add_with_pclmul(~crc, bytes, len);
	}
#endif
	return crc64_add_portable(crc, bytes, len);
}

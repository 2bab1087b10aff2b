/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/when.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"

/* A number that is all of the text, in 64 bits. */
static bool read_number(const char *text, int base, uint64_t *n)
{
	size_t len = strspn(text, base == 16 ? "0123456789abcdefABCDEF" : "0123456789");

	*n = 0;
	if (len == 0 || text[len] != '\0') {
		return false;
	}
	for (; *text; text++) {
		unsigned digit =
		    isdigit((unsigned char)*text)
			? (unsigned)(*text - '0')
			: (unsigned)(tolower((unsigned char)*text) - 'a') + 10;

		if (__builtin_mul_overflow(*n, (uint64_t)base, n) ||
		    __builtin_add_overflow(*n, (uint64_t)digit, n)) {
			return false;
		}
	}
	return true;
}

/* "10m" of -10m: so many nanoseconds. */
static bool read_ago(const char *text, int64_t *ns)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	size_t len = strspn(text, "0123456789");
	char digits[16];
	uint64_t n;

	if (len == 0 || len >= sizeof digits || strlen(text) != len + 1) {
		return false;
	}
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (!read_number(digits, 10, &n)) {
		return false;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (text[len] == units[i].unit) {
			return !__builtin_mul_overflow(n, units[i].seconds, ns) &&
			       !__builtin_mul_overflow(*ns, NS_PER_S, ns);
		}
	}
	return false;
}

/* Is the time of `text` given more exactly than it is shown? */
static bool is_exact(const char *text)
{
	const char *point = strchr(text, '.');

	return point && strspn(point + 1, "0123456789") > 3;
}

const char *when_option(const struct when *when)
{
	return when->option ? when->option : "--at";
}

enum status when_parse(const char *text, int64_t now_ns, struct when *when,
		       struct error *err)
{
	return when_parse_option(NULL, text, now_ns, when, err);
}

enum status when_parse_option(const char *option, const char *text, int64_t now_ns,
			      struct when *when, struct error *err)
{
	int64_t ago;

	*when = (struct when){.kind = WHEN_TXID, .option = option};
	if (strcmp(text, "latest") == 0 || strcmp(text, "first") == 0) {
		when->kind = *text == 'l' ? WHEN_LATEST : WHEN_FIRST;
		return ST_OK;
	}
	if (strncmp(text, "txid:", 5) == 0 && read_number(text + 5, 16, &when->txid) &&
	    when->txid > 0) {
		return ST_OK;
	}
	if (strncmp(text, "lsn:", 4) == 0 && read_number(text + 4, 10, &when->txid) &&
	    when->txid < UINT64_MAX) {
		when->txid++; /* the first LSN is 0, the first TXID 1 */
		return ST_OK;
	}
	when->kind = WHEN_TIME;
	if (*text == '-' && read_ago(text + 1, &ago)) {
		when->time_ns = now_ns > ago ? now_ns - ago : 0;
		return ST_OK;
	}
	if (time_text_read(text, &when->time_ns)) {
		when->time_ns += is_exact(text) ? 0 : NS_PER_MS - 1;
		return ST_OK;
	}
	return error_set(err, ST_CONFIG,
			 "%s %s: must be latest, first, txid:HEX, lsn:N, a time like "
			 "2026-11-28T10:00:00Z, or one ago like -10m (s, m, h, d, w)",
			 when_option(when), text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/when.h"
#include "src/base/clock.h"
#include "src/base/time_text.h"

#define NOW 1764000000000000000 /* 2025-11-24T16:00:00Z */

static void check(const char *text, enum when_kind kind, uint64_t txid, int64_t time_ns)
{
	struct when when;
	struct error err;

	if (when_parse(text, NOW, &when, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(when.kind, kind);
	if (kind == WHEN_TXID) {
		assert_int_equal(when.txid, txid);
	}
	if (kind == WHEN_TIME) {
		assert_int_equal(when.time_ns, time_ns);
	}
}

static void test_every_form_is_read(void **state)
{
	(void)state;
	check("latest", WHEN_LATEST, 0, 0);
	check("first", WHEN_FIRST, 0, 0);
	check("txid:1", WHEN_TXID, 1, 0);
	check("txid:00000000000000fF", WHEN_TXID, 255, 0);
	check("txid:ffffffffffffffff", WHEN_TXID, UINT64_MAX, 0);
	check("lsn:0", WHEN_TXID, 1, 0);
	check("lsn:41", WHEN_TXID, 42, 0);
	check("lsn:18446744073709551614", WHEN_TXID, UINT64_MAX, 0);
	check("-10s", WHEN_TIME, 0, NOW - 10 * NS_PER_S);
	check("-10m", WHEN_TIME, 0, NOW - 600 * NS_PER_S);
	check("-2h", WHEN_TIME, 0, NOW - 7200 * NS_PER_S);
	check("-3d", WHEN_TIME, 0, NOW - 3 * 86400 * NS_PER_S);
	check("-1w", WHEN_TIME, 0, NOW - 7 * 86400 * NS_PER_S);
	check("-5000w", WHEN_TIME, 0, 0);
}

/* A time means all of its millisecond, unless it is given more exactly. */
#define REST (NS_PER_MS - 1)

static void test_times_are_those_of_rfc_3339(void **state)
{
	(void)state;
	check("2025-11-24T16:00:00Z", WHEN_TIME, 0, NOW + REST);
	check("2025-11-24 16:00:00z", WHEN_TIME, 0, NOW + REST);
	check("2025-11-24T18:30:00+02:30", WHEN_TIME, 0, NOW + REST);
	check("2025-11-24T08:00:00-08:00", WHEN_TIME, 0, NOW + REST);
	check("2025-11-24T16:00:00.5Z", WHEN_TIME, 0, NOW + NS_PER_S / 2 + REST);
	check("2025-11-24T16:00:00.0000000019Z", WHEN_TIME, 0, NOW + 1);
	check("2025-11-24T16:00:00.123Z", WHEN_TIME, 0, NOW + 123 * NS_PER_MS + REST);
	check("2025-11-24T16:00:00.1230Z", WHEN_TIME, 0, NOW + 123 * NS_PER_MS);
	check("2024-02-29T00:00:00Z", WHEN_TIME, 0, 1709164800 * NS_PER_S + REST);
	check("2016-12-31T23:59:60Z", WHEN_TIME, 0, 1483228800 * NS_PER_S + REST);
	check("1970-01-01T00:00:00Z", WHEN_TIME, 0, 0 + REST);
}

static void test_anything_else_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "now",
	    "latest ",
	    "txid:",
	    "txid:0",
	    "txid:g",
	    "txid:10000000000000000",
	    "txid:-1",
	    "lsn:",
	    "lsn:ff",
	    "lsn:18446744073709551615",
	    "lsn:18446744073709551616",
	    "-10",
	    "-m",
	    "-10x",
	    "-10ms",
	    "10m",
	    "--10m",
	    "-99999w",
	    "-9999999999999999w",
	    "-999999999999999w",
	    "2025-11-24",
	    "2025-11-24T16:00:00",
	    "2025-11-24T16:00Z",
	    "2025-11-24T24:00:00Z",
	    "2025-11-24T16:60:00Z",
	    "2025-13-24T16:00:00Z",
	    "2025-02-29T16:00:00Z",
	    "2025-04-31T16:00:00Z",
	    "2025-00-24T16:00:00Z",
	    "1969-11-24T16:00:00Z",
	    "9999-11-24T16:00:00Z",
	    "2025-11-24T16:00:00.Z",
	    "2025-11-24T16:00:00+0200",
	    "2025-11-24T16:00:00+24:00",
	    "2025-11-24T16:00:00Z ",
	    "\xd9\xa1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct when when;
		struct error err;

		if (when_parse(texts[i], NOW, &when, &err) != ST_CONFIG) {
			fail_msg("%s is taken", texts[i]);
		}
		assert_non_null(strstr(err.text, "must be latest, first, txid:HEX"));
	}
}

static void test_times_are_printed_with_milliseconds(void **state)
{
	(void)state;
	assert_string_equal(time_text_ms(NOW).text, "2025-11-24T16:00:00.000Z");
	assert_string_equal(time_text_ms(NOW + 7999999).text,
			    "2025-11-24T16:00:00.007Z");
	assert_string_equal(time_text_ns(NOW + 7000009).text,
			    "2025-11-24T16:00:00.007000009Z");
	assert_string_equal(time_text_ms(-1).text, "1969-12-31T23:59:59.999Z");
	assert_string_equal(time_text_ms(0).text, "1970-01-01T00:00:00.000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_form_is_read),
	    cmocka_unit_test(test_times_are_those_of_rfc_3339),
	    cmocka_unit_test(test_anything_else_is_refused),
	    cmocka_unit_test(test_times_are_printed_with_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

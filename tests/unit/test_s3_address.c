/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/storage/s3_address.h"

struct row {
	const char *endpoint;
	const char *region;
	const char *bucket;
	const char *server; /* NULL: ST_CONFIG */
	const char *host;
	const char *base;
};

#define AWS "amazonaws.com"

static const struct row rows[] = {
    /* At AWS the bucket is in the host, unless its certificate does not cover that. */
    {NULL, "eu-central-1", "app", "https://app.s3.eu-central-1." AWS,
     "app.s3.eu-central-1." AWS, ""},
    {NULL, "cn-north-1", "app", "https://app.s3.cn-north-1." AWS ".cn",
     "app.s3.cn-north-1." AWS ".cn", ""},
    {NULL, "us-east-1", "my.app", "https://s3.us-east-1." AWS, "s3.us-east-1." AWS,
     "/my.app"},
    {NULL, "us-east-1", "OldApp_1", "https://s3.us-east-1." AWS, "s3.us-east-1." AWS,
     "/OldApp_1"},
    {NULL, "us/east", "app", NULL, NULL, NULL},
    {NULL, "us.evil.example", "app", NULL, NULL, NULL},
    /* With an endpoint it is in the path. The port of the scheme is left out. */
    {"http://127.0.0.1:9000", "x", "app", "http://127.0.0.1:9000", "127.0.0.1:9000",
     "/app"},
    {"HTTPS://h.example/", "x", "a.b", "https://h.example", "h.example", "/a.b"},
    {"https://h:443", "x", "app", "https://h", "h", "/app"},
    {"http://h:80//", "x", "app", "http://h", "h", "/app"},
    {"http://h:443", "x", "app", "http://h:443", "h:443", "/app"},
    {"http://[::1]:9000", "x", "app", "http://[::1]:9000", "[::1]:9000", "/app"},
    {"h:9000", "x", "app", NULL, NULL, NULL},
    {"ftp://h", "x", "app", NULL, NULL, NULL},
    {"http://", "x", "app", NULL, NULL, NULL},
    {"http:///", "x", "app", NULL, NULL, NULL},
    {"http://user:secret@h", "x", "app", NULL, NULL, NULL},
    {"http://h/path", "x", "app", NULL, NULL, NULL},
    {"http://h?x", "x", "app", NULL, NULL, NULL},
    {"http://h#x", "x", "app", NULL, NULL, NULL},
    {"http://h h", "x", "app", NULL, NULL, NULL},
    /* Names of buckets. */
    {"http://h", "x", "", NULL, NULL, NULL},
    {"http://h", "x", "-a", NULL, NULL, NULL},
    {"http://h", "x", "..", NULL, NULL, NULL},
    {"http://h", "x", "a..b", NULL, NULL, NULL},
    {"http://h", "x", "a b", NULL, NULL, NULL},
    {"http://h", "x", "a%2f", NULL, NULL, NULL},
};

/* In front of the host, where that is asked for. */
static const struct row rows_in_host[] = {
    {"https://h.example:9000", "x", "app", "https://app.h.example:9000",
     "app.h.example:9000", ""},
    {"http://h:80/", "x", "app", "http://app.h", "app.h", ""},
    {"http://h", "x", "my.app", NULL, NULL, NULL},
    {"http://h", "x", "App", NULL, NULL, NULL},
    {"http://user:secret@h", "x", "app", NULL, NULL, NULL},
    {NULL, "eu-central-1", "app", "https://app.s3.eu-central-1." AWS,
     "app.s3.eu-central-1." AWS, ""},
};

static void check(const struct row *list, size_t count, bool in_host)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &list[i];
		struct s3_address address;
		struct error err = {0};
		enum status status = s3_address_init(&address, row->endpoint, in_host,
						     row->region, row->bucket, &err);

		assert_null(strstr(err.text, "secret"));
		if (!row->server) {
			assert_int_equal(status, ST_CONFIG);
			continue;
		}
		assert_int_equal(status, ST_OK);
		assert_string_equal(address.server, row->server);
		assert_string_equal(address.host, row->host);
		assert_string_equal(address.base, row->base);
		s3_address_clear(&address);
	}
}

static void test_addresses(void **state)
{
	(void)state;
	check(rows, sizeof rows / sizeof *rows, false);
	check(rows_in_host, sizeof rows_in_host / sizeof *rows_in_host, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/temp_file.h"
#include "src/storage/s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The examples of AWS: of its test suite for Signature Version 4, and of the
 * reference of S3. */
static const struct s3_keys suite_keys = {
    .access = "AKIDEXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
static const struct s3_keys s3_keys = {.access = "AKIAIOSFODNN7EXAMPLE",
				       .secret =
					   "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

struct vector {
	const char *method;
	const char *path;
	const char *query;
	struct s3_header headers[8];
	const char *body_hash;
	const char *signature;
};

#define SUITE_HEADERS                                                                  \
	{                                                                              \
		{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}, \
		    {NULL, NULL},                                                      \
	}

static const struct vector suite[] = {
    {"GET", "/", "", SUITE_HEADERS, EMPTY,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"POST", "/", "", SUITE_HEADERS, EMPTY,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"GET", "/", "Param1=value1&Param2=value2", SUITE_HEADERS, EMPTY,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"GET", "/%E1%88%B4", "", SUITE_HEADERS, EMPTY,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"GET",
     "/",
     "",
     {{"host", "example.amazonaws.com"},
      {"my-header1", " value1"},
      {"my-header2", " \"a   b   c\""},
      {"x-amz-date", "20150830T123600Z"}},
     EMPTY,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
};

#define S3_HOST                                          \
	{                                                \
		"host", "examplebucket.s3.amazonaws.com" \
	}
#define S3_DATE                                  \
	{                                        \
		"x-amz-date", "20130524T000000Z" \
	}

static const struct vector s3[] = {
    {"GET",
     "/test.txt",
     "",
     {S3_HOST, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}, S3_DATE},
     EMPTY,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test%24file.text",
     "",
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
      S3_HOST,
      {"x-amz-content-sha256",
       "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
      S3_DATE,
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     "lifecycle=",
     {S3_HOST, {"x-amz-content-sha256", EMPTY}, S3_DATE},
     EMPTY,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     "max-keys=2&prefix=J",
     {S3_HOST, {"x-amz-content-sha256", EMPTY}, S3_DATE},
     EMPTY,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void check(const struct vector *v, const struct s3_keys *keys,
		  const char *service, const char *time)
{
	struct s3_to_sign what = {.method = v->method,
				  .path = v->path,
				  .query = v->query,
				  .headers = v->headers,
				  .body_hash = v->body_hash,
				  .region = "us-east-1",
				  .service = service,
				  .time = time};
	struct buffer out;
	struct error err;
	const char *signature;

	while (v->headers[what.header_count].name) {
		what.header_count++;
	}
	buffer_init(&out);
	assert_int_equal(s3_sign(&what, keys, &out, &err), ST_OK);
	signature = strstr(out.bytes, ",Signature=");
	assert_non_null(signature);
	assert_string_equal(signature + strlen(",Signature="), v->signature);
	assert_int_equal(strncmp(out.bytes, "AWS4-HMAC-SHA256 Credential=AKI", 31), 0);
	assert_null(strstr(out.bytes, keys->secret));
	buffer_clear(&out);
}

static void test_signatures_are_those_of_the_published_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof suite / sizeof *suite; i++) {
		check(&suite[i], &suite_keys, "service", "20150830T123600Z");
	}
	for (size_t i = 0; i < sizeof s3 / sizeof *s3; i++) {
		check(&s3[i], &s3_keys, "s3", "20130524T000000Z");
	}
}

static void test_credential_and_names_stand_in_the_header(void **state)
{
	const struct s3_header headers[] = {{"host", "h"}, {"x-amz-date", "d"}};
	struct s3_to_sign what = {.method = "GET",
				  .path = "/",
				  .query = "",
				  .headers = headers,
				  .header_count = 2,
				  .body_hash = EMPTY,
				  .region = "eu-1",
				  .service = "s3",
				  .time = "20130524T000000Z"};
	const char *right = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20130524/eu-1/s3/"
			    "aws4_request,SignedHeaders=host;x-amz-date,Signature=";
	struct buffer out;
	struct error err;

	(void)state;
	buffer_init(&out);
	assert_int_equal(s3_sign(&what, &suite_keys, &out, &err), ST_OK);
	assert_int_equal(strncmp(out.bytes, right, strlen(right)), 0);
	assert_int_equal(out.len, strlen(right) + 64 + 1);
	buffer_clear(&out);
}

static void test_a_part_of_a_file_has_the_hash_of_its_bytes(void **state)
{
	static char bytes[200000];
	char of_file[S3_HASH_TEXT];
	char of_bytes[S3_HASH_TEXT];
	struct error err;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (char)(i * 7 / 3);
	}
	assert_int_equal(temp_file_open(&fd, &err), ST_OK);
	assert_true(file_write_at(fd, bytes, sizeof bytes, 0));
	s3_hash("", 0, of_bytes);
	assert_string_equal(of_bytes, EMPTY);
	for (size_t len = 0; len < 150000; len += 40001) {
		s3_hash(bytes + 777, len, of_bytes);
		assert_true(s3_hash_file(fd, 777, len, of_file));
		assert_string_equal(of_file, of_bytes);
	}
	assert_false(s3_hash_file(fd, 777, sizeof bytes, of_file));
	(void)close(fd);
}

static void test_times_are_in_utc(void **state)
{
	char text[S3_TIME_TEXT];

	(void)state;
	s3_time_text(1369353600 * NS_PER_S + 999, text);
	assert_string_equal(text, "20130524T000000Z");
	s3_time_text(0, text);
	assert_string_equal(text, "19700101T000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signatures_are_those_of_the_published_examples),
	    cmocka_unit_test(test_credential_and_names_stand_in_the_header),
	    cmocka_unit_test(test_a_part_of_a_file_has_the_hash_of_its_bytes),
	    cmocka_unit_test(test_times_are_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

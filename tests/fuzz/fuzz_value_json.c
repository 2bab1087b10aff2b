/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_value_json.c -- any bytes as a value are valid JSON.
 *
 * The input is taken as TEXT in each encoding, as BLOB in each mode, and its first
 * eight bytes as REAL and INTEGER; what comes out must parse, and mean the same where
 * that can be told.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "schemas/value_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* The value printed and parsed; the caller lets go of it. */
static json_t *round_trip(const struct value *value, enum text_encoding encoding,
			  enum binary_mode mode)
{
	struct buffer b;
	json_t *json;

	buffer_init(&b);
	json_add_value(&b, value, encoding, mode);
	require(buffer_ok(&b));
	json = json_loadb(b.bytes, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	require(json != NULL);
	buffer_clear(&b);
	return json;
}

static void check_text(const struct value *value)
{
	json_t *json = round_trip(value, TEXT_UTF8, BINARY_BASE64);
	const uint8_t *s = value->bytes;
	bool valid = true;

	while (s < value->bytes + value->len && valid) {
		s += utf8_step(s, value->bytes + value->len, &valid);
	}
	/* jansson lets nothing through that is not UTF-8; valid text is as it was. */
	if (valid) {
		require(json_string_length(json) == value->len);
		require(memcmp(json_string_value(json), value->bytes, value->len) == 0);
	}
	json_decref(json);
	json_decref(round_trip(value, TEXT_UTF16LE, BINARY_BASE64));
	json_decref(round_trip(value, TEXT_UTF16BE, BINARY_BASE64));
}

static void check_blob(const struct value *value)
{
	json_t *json = round_trip(value, TEXT_UTF8, BINARY_BASE64);

	require(json_string_length(json) == ((size_t)value->len + 2) / 3 * 4);
	json_decref(json);
	json_decref(round_trip(value, TEXT_UTF8, BINARY_BASE64_URL_SAFE));
	json = round_trip(value, TEXT_UTF8, BINARY_HEX);
	require(json_string_length(json) == 2 * (size_t)value->len);
	json_decref(json);
}

static void check_numbers(const uint8_t *data)
{
	struct value value = {.class = VALUE_INTEGER};
	json_t *json;
	double real;

	memcpy(&value.integer, data, sizeof value.integer);
	json = round_trip(&value, TEXT_UTF8, BINARY_BASE64);
	require(json_integer_value(json) == value.integer);
	json_decref(json);

	value.class = VALUE_REAL;
	memcpy(&real, data, sizeof real);
	value.real = real;
	json = round_trip(&value, TEXT_UTF8, BINARY_BASE64);
	if (isfinite(real)) {
		double back = json_real_value(json);

		require(json_is_real(json) && memcmp(&back, &real, sizeof back) == 0);
	} else {
		require(isnan(real) ? json_is_null(json) : json_is_string(json));
	}
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value value = {
	    .class = VALUE_TEXT, .len = (uint32_t)size, .bytes = data};

	if (size == 0) {
		value.bytes = (const uint8_t *)"";
	}
	check_text(&value);
	value.class = VALUE_BLOB;
	check_blob(&value);
	if (size >= 8) {
		check_numbers(data);
	}
	return 0;
}

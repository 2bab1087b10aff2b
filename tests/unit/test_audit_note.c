/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/audit/note.h"

/* The pair of keys in the examples of golang.org/x/mod/sumdb/note. */
#define THEIR_PRIVATE                                                 \
	"PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+" \
	"Y7hfZx09iUvxdXHKDFz"
#define THEIR_PUBLIC \
	"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

static void make(struct audit_key *key, struct buffer *note, uint64_t size)
{
	struct audit_head head = {.size = size, .root = {{1, 2, 3}}};
	struct error err;

	buffer_init(note);
	assert_int_equal(audit_key_make("a/log", key, &err), ST_OK);
	assert_int_equal(audit_note_add(note, key, &head, &err), ST_OK);
}

static void check_text(const struct audit_key *key, bool is_private, const char *text)
{
	struct buffer b;

	buffer_init(&b);
	audit_key_add(&b, key, is_private);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, text);
	buffer_clear(&b);
}

static void test_keys_are_those_of_others(void **state)
{
	struct audit_key key, public_key;
	struct error err;

	(void)state;
	assert_int_equal(
	    audit_key_parse(THEIR_PRIVATE, strlen(THEIR_PRIVATE), &key, &err), ST_OK);
	assert_true(key.is_private);
	check_text(&key, false, THEIR_PUBLIC);
	check_text(&key, true, THEIR_PRIVATE);
	assert_int_equal(
	    audit_key_parse(THEIR_PUBLIC, strlen(THEIR_PUBLIC), &public_key, &err),
	    ST_OK);
	assert_false(public_key.is_private);
	assert_true(audit_key_is(&key, &public_key));
}

/* No text that differs in one place, or is shorter, is a key. */
static void test_a_key_that_is_altered_is_none(void **state)
{
	char text[] = THEIR_PUBLIC;
	struct audit_key key;
	struct error err;

	(void)state;
	assert_int_equal(audit_key_parse(NULL, 0, &key, &err), ST_CORRUPT);
	for (size_t i = 0; i < strlen(text); i++) {
		for (const char *c = "A+/ z0\n\xe2"; *c; c++) {
			char was = text[i];

			if (was == *c) {
				continue;
			}
			text[i] = *c;
			assert_int_equal(
			    audit_key_parse(text, strlen(text), &key, &err),
			    ST_CORRUPT);
			text[i] = was;
		}
		assert_int_equal(audit_key_parse(text, i, &key, &err), ST_CORRUPT);
	}
}

static void test_a_head_is_signed_by_its_key_alone(void **state)
{
	struct audit_key key, other;
	struct audit_note note;
	struct buffer text, unused;
	struct error err;

	(void)state;
	make(&key, &text, 1234567);
	make(&other, &unused, 1);
	assert_int_equal(audit_note_parse(text.bytes, text.len, &note, &err), ST_OK);
	assert_string_equal(note.origin, "a/log");
	assert_int_equal(note.head.size, 1234567);
	assert_int_equal(note.head.root.bytes[2], 3);
	assert_true(audit_note_is_signed(&note, &key));
	assert_false(audit_note_is_signed(&note, &other));
	buffer_clear(&text);
	buffer_clear(&unused);
}

/* A witness adds its own. */
static void test_other_signatures_may_stand_beside_it(void **state)
{
	struct audit_key key, witness = {.name = "w"};
	struct audit_note note;
	struct buffer text;
	struct error err;

	(void)state;
	make(&key, &text, 7);
	buffer_add_str(&text,
		       "\xe2\x80\x94 witness.example AAAAAAAA\nnot a signature\n");
	assert_int_equal(audit_note_parse(text.bytes, text.len, &note, &err), ST_OK);
	assert_true(audit_note_is_signed(&note, &key));
	assert_false(audit_note_is_signed(&note, &witness));
	buffer_clear(&text);
}

/* Every byte counts; nothing is read past the end. */
static void test_a_head_that_is_altered_is_not_signed(void **state)
{
	struct audit_key key;
	struct audit_note note;
	struct buffer text;
	struct error err;

	(void)state;
	make(&key, &text, 9);
	assert_int_equal(audit_note_parse(NULL, 0, &note, &err), ST_CORRUPT);
	for (size_t i = 0; i < text.len; i++) {
		char *copy = malloc(text.len);

		assert_non_null(copy);
		memcpy(copy, text.bytes, text.len);
		copy[i] ^= 1;
		assert_false(audit_note_parse(copy, text.len, &note, &err) == ST_OK &&
			     audit_note_is_signed(&note, &key));
		free(copy);
		copy = malloc(i + 1);
		assert_non_null(copy);
		memcpy(copy, text.bytes, i);
		assert_false(audit_note_parse(copy, i, &note, &err) == ST_OK &&
			     audit_note_is_signed(&note, &key));
		free(copy);
	}
	buffer_clear(&text);
}

static void test_base64_is_read_in_one_way_only(void **state)
{
	uint8_t out[4];

	(void)state;
	assert_true(audit_base64_read("AQIDBA==", 8, out, 4));
	assert_int_equal(out[3], 4);
	assert_false(audit_base64_read("AQIDBB==", 8, out, 4)); /* bits past the end */
	assert_false(audit_base64_read("AQIDBA=A", 8, out, 4));
	assert_false(audit_base64_read("AQIDBA= ", 8, out, 4));
	assert_false(audit_base64_read(" AQIDBA=", 8, out, 4));
	assert_false(audit_base64_read("AQIDBA", 6, out, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys_are_those_of_others),
	    cmocka_unit_test(test_a_key_that_is_altered_is_none),
	    cmocka_unit_test(test_a_head_is_signed_by_its_key_alone),
	    cmocka_unit_test(test_other_signatures_may_stand_beside_it),
	    cmocka_unit_test(test_a_head_that_is_altered_is_not_signed),
	    cmocka_unit_test(test_base64_is_read_in_one_way_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

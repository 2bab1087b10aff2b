/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/storage/s3_text.h"

static struct s3_span span(const char *text)
{
	return (struct s3_span){text, strlen(text)};
}

static void check_encoded(const char *bytes, bool is_path, const char *right)
{
	struct buffer b;

	buffer_init(&b);
	s3_add_encoded(&b, bytes, strlen(bytes), is_path);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, right);
	buffer_clear(&b);
}

static void test_all_but_unreserved_characters_are_encoded(void **state)
{
	(void)state;
	check_encoded("aZ09-._~", false, "aZ09-._~");
	check_encoded("a/b c+d", true, "a/b%20c%2Bd");
	check_encoded("a/b c+d", false, "a%2Fb%20c%2Bd");
	check_encoded("%&=?#*()'!,;:@$\xc3\xa4", true,
		      "%25%26%3D%3F%23%2A%28%29%27%21%2C%3B%3A%40%24%C3%A4");
	check_encoded("", true, "");
}

/* Tags as "+name(text)" and "-name", texts of ends left out. */
static void check_tags(const char *xml, const char *right)
{
	struct s3_xml reader;
	struct s3_tag tag;
	char found[400] = "";
	size_t at = 0;

	s3_xml_init(&reader, xml, strlen(xml));
	while (s3_xml_next(&reader, &tag)) {
		at += (size_t)snprintf(found + at, sizeof found - at, "%c%.*s",
				       tag.is_end ? '-' : '+', (int)tag.name.len,
				       tag.name.bytes);
		if (!tag.is_end) {
			at += (size_t)snprintf(found + at, sizeof found - at, "(%.*s)",
					       (int)tag.text.len, tag.text.bytes);
		}
		assert_true(at < sizeof found);
	}
	assert_string_equal(found, right);
}

static void test_elements_come_one_after_the_other(void **state)
{
	(void)state;
	check_tags("<?xml version=\"1.0\"?>\n<a><b>x</b><c/>y</a>",
		   "+a()+b(x)-b+c()-c-a");
	check_tags("<s3:a xmlns:s3='u'><s3:b id='1' >x</s3:b ></s3:a>",
		   "+a()+b(x)-b-a");
	check_tags("<!DOCTYPE a><a><!-- <b>no</b> -->t</a>", "+a()-a");
	check_tags("text <a>", "+a()");
	check_tags("", "");
	check_tags("<a", "");
	check_tags("<>", "");
	check_tags("</>", "");
	check_tags("<a/", "");
	check_tags("<!-- <a>", "");
	check_tags("<a><b", "+a()");
	check_tags("<<a>", "+<a()");
	check_tags("</", "");
	check_tags("</a>", "-a");
}

static void test_the_first_element_of_a_name_is_found(void **state)
{
	struct s3_span xml = span("<E><Code>No</Code><Key/><Code>2</Code></E>");

	(void)state;
	assert_true(s3_span_is(s3_xml_find(xml, "Code"), "No"));
	assert_true(s3_span_is(s3_xml_find(xml, "Key"), ""));
	assert_null(s3_xml_find(xml, "Cod").bytes);
	assert_false(s3_span_is(s3_xml_find(xml, "Cod"), ""));
	assert_null(s3_xml_find((struct s3_span){0}, "Code").bytes);
}

static void check_unescaped(const char *text, const char *right)
{
	struct buffer b;
	bool ok;

	buffer_init(&b);
	ok = s3_add_unescaped(&b, span(text));
	buffer_add_char(&b, '\0');
	assert_int_equal(ok, right != NULL);
	if (right) {
		assert_string_equal(b.bytes, right);
	}
	buffer_clear(&b);
}

static void test_references_are_characters(void **state)
{
	(void)state;
	check_unescaped("a&amp;b&lt;&gt;&quot;&apos;", "a&b<>\"'");
	check_unescaped("&#39;&#x27;&#x2f;&#x2F;", "''//");
	check_unescaped("&#228;&#x20ac;&#x1F600;",
			"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	check_unescaped("&amp;amp;", "&amp;");
	check_unescaped("", "");
	for (const char *const *bad =
		 (const char *const[]){
		     "&", "&amp", "a&;", "&nosuch;", "&#;", "&#x;", "&#0;", "&#xD800;",
		     "&#x110000;", "&#99999999999999999999;", "&#12a;", "&# 39;", NULL};
	     *bad; bad++) {
		check_unescaped(*bad, NULL);
	}
}

static void test_numbers_are_decimal_and_all_of_the_text(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(s3_span_number(span("18446744073709551615"), &n));
	assert_true(n == UINT64_MAX);
	assert_true(s3_span_number(span("007"), &n) && n == 7);
	assert_false(s3_span_number(span("18446744073709551616"), &n));
	assert_false(s3_span_number(span(""), &n));
	assert_false(s3_span_number(span("-1"), &n));
	assert_false(s3_span_number(span("1 "), &n));
	assert_false(s3_span_number((struct s3_span){0}, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_but_unreserved_characters_are_encoded),
	    cmocka_unit_test(test_elements_come_one_after_the_other),
	    cmocka_unit_test(test_the_first_element_of_a_name_is_found),
	    cmocka_unit_test(test_references_are_characters),
	    cmocka_unit_test(test_numbers_are_decimal_and_all_of_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/encoder.h"
#include "schemas/table_plan.h"
#include "schemas/transforms.h"
#include "src/base/clock.h"

static struct column who_columns[] = {
    {.name = "id", .declared_type = "INTEGER", .is_rowid = true},
    {.name = "actor", .declared_type = "TEXT"}};
static const struct table who = {.name = "rowtail_context",
				 .encoding = TEXT_UTF8,
				 .column_count = 2,
				 .columns = who_columns,
				 .is_context = true};
static struct column columns[] = {{.name = "x", .declared_type = ""}};
static const struct table orders = {.name = "t",
				    .sql = "CREATE TABLE t(x)",
				    .encoding = TEXT_UTF8,
				    .column_count = 1,
				    .columns = columns};

struct fixture {
	struct encoder *encoder;
	struct table_plan *who, *plan;
	struct message out[ENCODER_MESSAGES_MAX];
	size_t count;
	struct error err;
};

static struct encoder_settings settings_of(bool audit_lines)
{
	return (struct encoder_settings){.version = "1",
					 .database_name = "app",
					 .topic_prefix = "app",
					 .topic_delimiter = ".",
					 .topic_transaction = "transaction",
					 .context_table = (char *)"rowtail_context",
					 .context_alone = true,
					 .audit_lines = audit_lines,
					 .wants_keys = !audit_lines};
}

static void open_fixture(struct fixture *f, const struct encoder_settings *settings)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(encoder_open(settings, &f->encoder, &f->err), ST_OK);
	assert_int_equal(encoder_plan(f->encoder, &who, &f->who, &f->err), ST_OK);
	assert_int_equal(encoder_plan(f->encoder, &orders, &f->plan, &f->err), ST_OK);
}

static void close_fixture(struct fixture *f)
{
	table_plan_close(f->who);
	table_plan_close(f->plan);
	encoder_close(f->encoder);
}

static void begin(struct fixture *f, uint64_t merged)
{
	struct encoder_transaction txn = {
	    .lsn = 5, .captured_ns = INT64_C(1794058675200000000), .merged = merged};

	encoder_begin(f->encoder, &txn);
}

static void write_context(struct fixture *f, enum change_op op, int64_t id,
			  const char *actor)
{
	struct value row[] = {{.class = VALUE_INTEGER, .integer = id},
			      {.class = VALUE_TEXT,
			       .len = (uint32_t)strlen(actor),
			       .bytes = (const uint8_t *)actor}};
	struct change c = {.op = op,
			   .rowid = id,
			   .before = op != CHANGE_CREATE ? row : NULL,
			   .after = op != CHANGE_DELETE ? row : NULL};

	assert_int_equal(encoder_context(f->encoder, f->who, &c, &f->err), ST_OK);
}

static void insert(struct fixture *f)
{
	struct value row[] = {{.class = VALUE_INTEGER, .integer = 1}};
	struct change c = {.op = CHANGE_CREATE, .rowid = 1, .after = row};

	assert_int_equal(
	    encoder_change(f->encoder, f->plan, &c, f->out, &f->count, &f->err), ST_OK);
	assert_int_equal(f->count, 1);
}

static void end(struct fixture *f)
{
	assert_int_equal(encoder_end(f->encoder, f->out, &f->count, &f->err), ST_OK);
}

/* The message ends so, or begins. */
static void check_end(const struct fixture *f, const char *expected)
{
	struct span value = f->out[0].value;
	size_t len = strlen(expected);

	if (value.len < len ||
	    memcmp(value.bytes + value.len - len, expected, len) != 0) {
		fail_msg("got      %.*s\nexpected %s", (int)value.len, value.bytes,
			 expected);
	}
}

static void check_has(const struct fixture *f, const char *part)
{
	assert_non_null(
	    memmem(f->out[0].value.bytes, f->out[0].value.len, part, strlen(part)));
}

static void check_begin(struct span value, const char *expected)
{
	size_t len = strlen(expected);

	if (value.len < len || memcmp(value.bytes, expected, len) != 0) {
		fail_msg("got      %.*s\nexpected %s", (int)value.len, value.bytes,
			 expected);
	}
}

static void test_the_row_that_was_written_is_in_each_line(void **state)
{
	struct encoder_settings settings = settings_of(true);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_UPDATE, 1, "al\"ice");
	insert(&f);
	check_end(&f, ",\"new\":{\"x\":1},\"by\":{\"id\":1,\"actor\":\"al\\\"ice\"}}");
	insert(&f);
	check_end(&f, ",\"new\":{\"x\":1},\"by\":{\"id\":1,\"actor\":\"al\\\"ice\"}}");
	assert_int_equal(encoder_change_id(f.encoder), 2);
	end(&f);
	assert_int_equal(f.count, 0);
	begin(&f, 0); /* the next one has none */
	insert(&f);
	check_end(&f, ",\"new\":{\"x\":1}}");
	close_fixture(&f);
}

static void test_of_several_rows_the_last_counts_and_deletes_say_nothing(void **state)
{
	struct encoder_settings settings = settings_of(true);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_DELETE, 9, "nobody");
	insert(&f);
	check_end(&f, ",\"new\":{\"x\":1}}");
	end(&f);
	begin(&f, 0);
	write_context(&f, CHANGE_DELETE, 9, "nobody");
	write_context(&f, CHANGE_CREATE, 1, "a");
	write_context(&f, CHANGE_CREATE, 2, "b");
	insert(&f);
	check_end(&f, ",\"new\":{\"x\":1},\"by\":{\"id\":2,\"actor\":\"b\"},"
		      "\"context_rows\":2}");
	close_fixture(&f);
}

static void test_where_nobody_can_tell_there_are_candidates(void **state)
{
	struct encoder_settings settings = settings_of(true);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings);
	begin(&f, 3);
	write_context(&f, CHANGE_CREATE, 1, "a");
	write_context(&f, CHANGE_CREATE, 2, "b");
	insert(&f);
	check_end(&f, ",\"merged\":3,\"context_rows\":2,\"context_candidates\":["
		      "{\"id\":1,\"actor\":\"a\"},{\"id\":2,\"actor\":\"b\"}]}");
	end(&f);
	check_end(&f, ",\"op\":\"merged\",\"merged\":3,\"rows\":1,\"context_rows\":2,"
		      "\"context_candidates\":[{\"id\":1,\"actor\":\"a\"},{\"id\":2,"
		      "\"actor\":\"b\"}]}");
	begin(&f, 100);
	for (int i = 1; i <= 100; i++) {
		write_context(&f, CHANGE_CREATE, i, "x");
	}
	insert(&f);
	check_end(&f, ",{\"id\":99,\"actor\":\"x\"},{\"id\":100,\"actor\":\"x\"}]}");
	check_has(&f, "\"context_rows\":100,\"context_candidates\":[{\"id\":85,");
	close_fixture(&f);
}

static void test_debeziums_values_have_it_behind_the_times(void **state)
{
	struct encoder_settings settings = settings_of(false);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings);
	begin(&f, 0);
	insert(&f);
	check_end(&f, ",\"context\":null}");
	end(&f);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "a");
	insert(&f);
	check_end(&f, ",\"context\":{\"id\":1,\"actor\":\"a\"}}");
	end(&f);
	begin(&f, 2);
	write_context(&f, CHANGE_CREATE, 1, "a");
	insert(&f);
	check_end(&f, ",\"context\":null,\"context_candidates\":[{\"id\":1,\"actor\":"
		      "\"a\"}]}");
	close_fixture(&f);
}

static void test_with_schemas_all_fields_are_there_and_rows_are_strings(void **state)
{
	struct encoder_settings settings = settings_of(false);
	struct fixture f;

	(void)state;
	settings.schemas = true;
	open_fixture(&f, &settings);
	begin(&f, 0);
	insert(&f);
	check_end(&f, ",\"context\":null,\"context_rows\":0,\"context_candidates\":"
		      "null}}");
	end(&f);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "a");
	insert(&f);
	check_end(&f, ",\"context\":\"{\\\"id\\\":1,\\\"actor\\\":\\\"a\\\"}\","
		      "\"context_rows\":1,\"context_candidates\":null}}");
	end(&f);
	begin(&f, 2);
	write_context(&f, CHANGE_CREATE, 1, "a");
	insert(&f);
	check_end(&f, ",\"context\":null,\"context_rows\":1,\"context_candidates\":"
		      "\"[{\\\"id\\\":1,\\\"actor\\\":\\\"a\\\"}]\"}}");
	close_fixture(&f);
}

static void test_a_context_alone_is_a_message_with_a_number(void **state)
{
	struct encoder_settings settings = settings_of(true);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "a");
	end(&f);
	assert_int_equal(f.count, 1);
	check_end(&f,
		  "Z\",\"txn\":5,\"change_id\":1,\"op\":\"message\",\"by\":{\"id\":1,"
		  "\"actor\":\"a\"}}");
	begin(&f, 0);
	write_context(&f, CHANGE_DELETE, 1, "a"); /* housekeeping */
	end(&f);
	assert_int_equal(f.count, 0);
	close_fixture(&f);

	settings.context_alone = false;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "a");
	end(&f);
	assert_int_equal(f.count, 0);
	assert_int_equal(encoder_change_id(f.encoder), 0);
	close_fixture(&f);
}

static void test_a_context_of_a_dropped_event_is_not_alone(void **state)
{
	const struct transform_setting setting = {.kind = TRANSFORM_FLAT,
						  .where = "transforms.u.",
						  .deletes = FLAT_DROP,
						  .fields_prefix = "__",
						  .add_headers = "context",
						  .headers_prefix = "__"};
	struct value row[] = {{.class = VALUE_INTEGER, .integer = 1}};
	struct change gone = {.op = CHANGE_DELETE, .rowid = 1, .before = row};
	struct encoder_settings settings = settings_of(false);
	struct transforms *transforms;
	struct fixture f;

	(void)state;
	assert_int_equal(transforms_open(&setting, 1, &transforms, &f.err), ST_OK);
	settings.transforms = transforms;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "ann");
	assert_int_equal(
	    encoder_change(f.encoder, f.plan, &gone, f.out, &f.count, &f.err), ST_OK);
	assert_int_equal(f.count, 0);
	end(&f);
	assert_int_equal(f.count, 0);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 2, "ben");
	insert(&f);
	assert_int_equal(f.out[0].header_count, 1);
	assert_memory_equal(f.out[0].headers[0].value.bytes,
			    "{\"id\":2,\"actor\":\"ben\"}",
			    f.out[0].headers[0].value.len);
	close_fixture(&f);
	transforms_close(transforms);
}

static void test_a_context_alone_is_debeziums_logical_message(void **state)
{
	struct encoder_settings settings = settings_of(false);
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings);
	begin(&f, 0);
	write_context(&f, CHANGE_CREATE, 1, "a");
	end(&f);
	assert_int_equal(f.count, 1);
	check_begin(f.out[0].topic, "app.message");
	check_begin(f.out[0].key, "{\"prefix\":\"rowtail_context\"}");
	check_begin(f.out[0].value,
		    "{\"source\":{\"version\":\"1\",\"connector\":\"sqlite\",\"name\":"
		    "\"app\",\"ts_ms\":1794058675200,\"snapshot\":\"false\",\"db\":"
		    "\"app\",\"sequence\":\"[null,\\\"5\\\"]\",\"ts_us\":"
		    "1794058675200000,\"ts_ns\":1794058675200000000,\"table\":"
		    "\"rowtail_context\",\"change_id\":1,\"lsn\":5,\"rowid\":null},"
		    "\"op\":\"m\",\"ts_ms\":");
	check_end(&f, ",\"message\":{\"prefix\":\"rowtail_context\",\"content\":"
		      "\"eyJpZCI6MSwiYWN0b3IiOiJhIn0=\"}}");
	assert_int_equal(encoder_previous_lsn(f.encoder), 5);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_row_that_was_written_is_in_each_line),
	    cmocka_unit_test(
		test_of_several_rows_the_last_counts_and_deletes_say_nothing),
	    cmocka_unit_test(test_where_nobody_can_tell_there_are_candidates),
	    cmocka_unit_test(test_debeziums_values_have_it_behind_the_times),
	    cmocka_unit_test(
		test_with_schemas_all_fields_are_there_and_rows_are_strings),
	    cmocka_unit_test(test_a_context_alone_is_a_message_with_a_number),
	    cmocka_unit_test(test_a_context_of_a_dropped_event_is_not_alone),
	    cmocka_unit_test(test_a_context_alone_is_debeziums_logical_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

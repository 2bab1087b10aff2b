/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/transforms.h"
#include "src/base/log.h"
#include "src/deliver/publisher.h"
#include "tests/lib/catalog_fixture.h"

/* A sink that counts what it is given. */
struct counter {
	struct sink sink;
	size_t count;
	char topic[64]; /* of the last message */
};

static enum status counter_put(struct sink *sink, const struct message *message,
			       struct error *err)
{
	struct counter *counter = (struct counter *)sink;

	(void)err;
	counter->count++;
	assert_true(message->topic.len < sizeof counter->topic);
	if (message->topic.bytes) {
		memcpy(counter->topic, message->topic.bytes, message->topic.len);
	}
	counter->topic[message->topic.len] = '\0';
	return ST_OK;
}

static const struct sink_kind counter_kind = {.name = "counter", .put = counter_put};
static const struct sink_kind log_kind = {
    .name = "log", .form = FORM_AUDIT, .put = counter_put};

struct rig {
	struct catalog_fixture f;
	struct counter counter;
	struct encoder *encoder;
	struct publisher *publisher;
	_Atomic int stop;
};

static struct encoder_settings plain_settings(void)
{
	return (struct encoder_settings){.version = "1",
					 .database_name = "app.db",
					 .topic_prefix = "app",
					 .topic_delimiter = ".",
					 .topic_transaction = "transaction",
					 .tombstones_on_delete = true,
					 .wants_keys = true};
}

static void rig_open_with(struct rig *rig, const struct encoder_settings *settings,
			  const char *reserved, const char *sql)
{
	struct error err;

	*rig = (struct rig){.counter = {.sink = {.kind = &counter_kind}}};
	log_setup(LOG_ERROR, false);
	fixture_open(&rig->f, sql);
	fixture_read(&rig->f, NULL);
	assert_int_equal(encoder_open(settings, &rig->encoder, &err), ST_OK);
	assert_int_equal(publisher_open(rig->encoder, &rig->counter.sink, "app.db",
					reserved, &rig->stop, &rig->publisher, &err),
			 ST_OK);
}

static void rig_open(struct rig *rig, const char *reserved, const char *sql)
{
	struct encoder_settings settings = plain_settings();

	rig_open_with(rig, &settings, reserved, sql);
}

static void rig_close(struct rig *rig)
{
	publisher_close(rig->publisher);
	encoder_close(rig->encoder);
	fixture_close(&rig->f);
}

static enum status start(struct rig *rig, struct error *err)
{
	return publisher_catalog(rig->publisher, rig->f.catalog, NULL, err);
}

/* A schema change while following. */
static void change_schema(struct rig *rig, const char *sql)
{
	struct catalog *previous = rig->f.catalog;
	struct error err;

	fixture_run(&rig->f, "%s", sql);
	fixture_take(&rig->f);
	assert_int_equal(catalog_read(memory_source_pages(rig->f.source), NULL,
				      previous, NULL, &rig->f.catalog, &err),
			 ST_OK);
	assert_int_equal(
	    publisher_catalog(rig->publisher, rig->f.catalog, previous, &err), ST_OK);
	catalog_close(previous);
}

static bool is_followed(struct rig *rig, const char *table)
{
	return !fixture_table(&rig->f, table)->left_out;
}

static void test_publisher_refuses_two_tables_of_one_topic_at_start(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL, "create table \"a b\"(x); create table a_b(x)");
	assert_int_equal(start(&rig, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "a b"));
	assert_non_null(strstr(err.text, "a_b"));
	assert_non_null(strstr(err.text, "app.a_b"));
	rig_close(&rig);
}

static void test_publisher_refuses_a_table_of_the_reserved_topic_at_start(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, "app.transaction", "create table \"transaction\"(x)");
	assert_int_equal(start(&rig, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "positions"));
	rig_close(&rig);
}

/* A table whose topic is that of other messages, `what`, is refused. */
static void check_taken(const struct encoder_settings *settings, const char *sql,
			const char *what)
{
	struct rig rig;
	struct error err;

	rig_open_with(&rig, settings, NULL, sql);
	assert_int_equal(start(&rig, &err), ST_CONFIG);
	if (!strstr(err.text, what)) {
		fail_msg("%s", err.text);
	}
	rig_close(&rig);
}

static void test_publisher_refuses_tables_of_the_encoders_topics(void **state)
{
	struct encoder_settings settings = plain_settings();

	(void)state;
	settings.transaction_metadata = true;
	check_taken(&settings, "create table \"transaction\"(x)",
		    "transaction metadata");
	settings = plain_settings();
	settings.schema_changes = true;
	check_taken(&settings, "create table \"\"(x)", "schema changes");
	settings = plain_settings();
	settings.topic_prefix = "a";
	settings.heartbeat_prefix = "a";
	check_taken(&settings, "create table a(x)", "heartbeats");
	settings = plain_settings();
	settings.notification_topic = (char *)(uintptr_t) "app.a";
	check_taken(&settings, "create table a(x)", "notifications");
}

static char announced[256]; /* topics, '|' behind each */

static enum status note_topic(struct sink *sink, struct span topic, const char *table,
			      bool is_keyless, struct error *err)
{
	size_t len = strlen(announced);

	(void)sink;
	(void)table;
	(void)is_keyless;
	(void)err;
	(void)snprintf(announced + len, sizeof announced - len, "%.*s|", (int)topic.len,
		       topic.bytes);
	return ST_OK;
}

static const struct sink_kind told_kind = {
    .name = "told", .put = counter_put, .announce = note_topic};

static void test_publisher_announces_each_topic(void **state)
{
	struct encoder_settings settings = plain_settings();
	struct rig rig;
	struct error err;

	(void)state;
	settings.heartbeat_prefix = "beat";
	settings.notification_topic = "notes";
	rig_open_with(&rig, &settings, NULL, "create table t(x)");
	rig.counter.sink.kind = &told_kind;
	announced[0] = '\0';
	assert_int_equal(start(&rig, &err), ST_OK);
	assert_string_equal(announced, "beat.app|notes|app.t|");
	rig_close(&rig);
}

/* "TOPIC TABLE keyless|" of each table. */
static enum status note_table(struct sink *sink, struct span topic, const char *table,
			      bool is_keyless, struct error *err)
{
	size_t len = strlen(announced);

	(void)sink;
	(void)err;
	(void)snprintf(announced + len, sizeof announced - len, "%.*s %s%s|",
		       (int)topic.len, topic.bytes, table ? table : "-",
		       is_keyless ? " keyless" : "");
	return ST_OK;
}

static const struct sink_kind noting_kind = {
    .name = "noting", .put = counter_put, .announce = note_table};

/* The settings with a router. */
static struct transforms *add_router(struct encoder_settings *settings,
				     const char *regex, const char *replacement)
{
	const struct transform_setting router = {.kind = TRANSFORM_REGEX,
						 .where = "transforms.r.",
						 .regex = regex,
						 .replacement = replacement};
	struct transforms *transforms;
	struct error err;

	assert_int_equal(transforms_open(&router, 1, &transforms, &err), ST_OK);
	settings->transforms = transforms;
	return transforms;
}

static void test_transforms_may_bring_tables_into_one_topic(void **state)
{
	struct encoder_settings settings = plain_settings();
	struct transforms *transforms =
	    add_router(&settings, "app\\.[ab](_.*)?", "all");
	struct rig rig;
	struct error err;

	(void)state;
	rig_open_with(&rig, &settings, NULL,
		      "create table a(x primary key); create table b(x);"
		      "create table c(x)");
	rig.counter.sink.kind = &noting_kind;
	announced[0] = '\0';
	assert_int_equal(start(&rig, &err), ST_OK);
	assert_string_equal(announced,
			    "all all keyless|all all keyless|app.c c keyless|");
	announced[0] = '\0';
	change_schema(&rig, "create table a_more(x primary key)");
	assert_string_equal(announced, "all all keyless|");
	rig_close(&rig);
	/* Whose topics were one before cannot be told apart. */
	rig_open_with(&rig, &settings, NULL,
		      "create table \"a_b\"(x); create table \"a_ b\"(x);"
		      "create table \"a__b\"(x)");
	assert_int_equal(start(&rig, &err), ST_CONFIG);
	rig_close(&rig);
	transforms_close(transforms);
}

static void check_routed(const char *regex, const char *replacement,
			 const char *reserved, const char *what)
{
	struct encoder_settings settings = plain_settings();
	struct transforms *transforms = add_router(&settings, regex, replacement);
	struct rig rig;
	struct error err;

	settings.schema_changes = true;
	settings.transaction_metadata = true;
	rig_open_with(&rig, &settings, reserved, "create table t(x)");
	rig.counter.sink.kind = &noting_kind;
	assert_int_equal(start(&rig, &err), ST_CONFIG);
	if (!strstr(err.text, what)) {
		fail_msg("\"%s\" has no \"%s\"", err.text, what);
	}
	rig_close(&rig);
	transforms_close(transforms);
}

static void test_transforms_bring_no_table_into_the_topics_of_others(void **state)
{
	(void)state;
	check_routed("app\\.t", "app", NULL, "schema changes");
	check_routed("app\\.t", "app.transaction", NULL, "transaction metadata");
	check_routed("app\\.t|app", "other", NULL, "schema changes");
	check_routed("app\\.t", "positions", "positions", "the positions");
	check_routed("app", "positions", "positions",
		     "transforms bring messages into positions");
	check_routed("app\\.t", "no topic", NULL, "no topic can be called so");
}

static void test_a_table_that_would_get_no_topic_is_left_out(void **state)
{
	struct encoder_settings settings = plain_settings();
	struct transforms *transforms = add_router(&settings, "app\\.x(.*)", "$1");
	struct rig rig;
	struct error err;

	(void)state;
	rig_open_with(&rig, &settings, NULL, "create table t(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	change_schema(&rig, "create table x(a); create table xy(a)");
	assert_false(is_followed(&rig, "x"));
	assert_true(is_followed(&rig, "xy"));
	assert_true(is_followed(&rig, "t"));
	rig_close(&rig);
	transforms_close(transforms);
}

static void test_publisher_counts_schema_changes_but_no_heartbeats(void **state)
{
	struct encoder_settings settings = plain_settings();
	struct encoder_transaction txn = {.lsn = 1};
	const struct table *table;
	struct rig rig;
	struct error err;

	(void)state;
	settings.schema_changes = true;
	settings.heartbeat_prefix = "beat";
	rig_open_with(&rig, &settings, NULL, "create table t(x); create table u(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	table = fixture_table(&rig.f, "t");
	publisher_skip(rig.publisher, 3);
	publisher_begin(rig.publisher, &txn);
	assert_int_equal(publisher_structure(rig.publisher, &err), ST_OK);
	assert_int_equal(rig.counter.count, 0);
	assert_int_equal(publisher_mark(rig.publisher).messages, 2);
	assert_int_equal(publisher_heartbeat(rig.publisher, &err), ST_OK);
	assert_int_equal(rig.counter.count, 1);
	assert_string_equal(rig.counter.topic, "beat.app");
	assert_int_equal(publisher_mark(rig.publisher).messages, 2);
	assert_int_equal(publisher_ddl(rig.publisher, DDL_ALTERED, table, table, &err),
			 ST_OK);
	assert_int_equal(rig.counter.count, 1);
	assert_int_equal(publisher_ddl(rig.publisher, DDL_DROPPED, table, NULL, &err),
			 ST_OK);
	assert_int_equal(rig.counter.count, 2);
	assert_string_equal(rig.counter.topic, "app");
	assert_int_equal(publisher_mark(rig.publisher).messages, 4);
	assert_int_equal(publisher_end(rig.publisher, &err), ST_OK);
	rig_close(&rig);
}

static void test_publisher_lets_any_table_in_without_a_reserved_topic(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL, "create table \"transaction\"(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	assert_true(is_followed(&rig, "transaction"));
	rig_close(&rig);
}

static void test_publisher_lets_any_table_into_a_log_which_has_no_topics(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, "app.t",
		 "create table \"a b\"(x); create table a_b(x); "
		 "create table t(x)");
	rig.counter.sink.kind = &log_kind;
	assert_int_equal(start(&rig, &err), ST_OK);
	assert_true(is_followed(&rig, "a b"));
	assert_true(is_followed(&rig, "a_b"));
	assert_true(is_followed(&rig, "t"));
	rig_close(&rig);
}

static void test_publisher_leaves_the_newer_table_out_while_following(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, "app.transaction", "create table a_b(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	change_schema(&rig, "create table \"a b\"(x); create table \"transaction\"(x)");
	assert_true(is_followed(&rig, "a_b"));
	assert_false(is_followed(&rig, "a b"));
	assert_false(is_followed(&rig, "transaction"));
	rig_close(&rig);
}

static void test_publisher_keeps_a_topic_with_the_table_that_had_it(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL, "create table \"a b\"(x); create table a_c(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	change_schema(&rig, "create table a_b(x); create table \"a c\"(x)");
	for (int i = 0; i < 3; i++) {
		change_schema(&rig, i == 0   ? "create table z0(x)"
				    : i == 1 ? "create table z1(x)"
					     : "drop table z0");
		assert_true(is_followed(&rig, "a b"));
		assert_false(is_followed(&rig, "a_b"));
		assert_true(is_followed(&rig, "a_c"));
		assert_false(is_followed(&rig, "a c"));
	}
	rig_close(&rig);
}

static void test_publisher_gives_a_free_topic_to_the_table_that_waited(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL, "create table \"a b\"(x)");
	assert_int_equal(start(&rig, &err), ST_OK);
	change_schema(&rig, "create table a_b(x)");
	assert_false(is_followed(&rig, "a_b"));
	change_schema(&rig, "drop table \"a b\"");
	assert_true(is_followed(&rig, "a_b"));
	rig_close(&rig);
}

static void test_publisher_has_no_plan_for_a_table_left_out(void **state)
{
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL,
		 "create table t(x); create table s(x primary key); "
		 "insert into t values (1); analyze");
	assert_int_equal(start(&rig, &err), ST_OK);
	assert_int_equal(
	    publisher_table(rig.publisher, fixture_table(&rig.f, "t"), &err), ST_OK);
	assert_int_equal(
	    publisher_table(rig.publisher, fixture_table(&rig.f, "sqlite_stat1"), &err),
	    ST_CORRUPT);
	rig_close(&rig);
}

static void test_publisher_puts_messages_until_it_is_stopped(void **state)
{
	struct encoder_transaction txn = {.lsn = 1};
	struct value values[] = {{.class = VALUE_INTEGER, .integer = 5}};
	struct change change = {.op = CHANGE_DELETE, .rowid = 1, .before = values};
	struct rig rig;
	struct error err;

	(void)state;
	rig_open(&rig, NULL, "create table t(x primary key)");
	assert_int_equal(start(&rig, &err), ST_OK);
	publisher_begin(rig.publisher, &txn);
	assert_int_equal(
	    publisher_table(rig.publisher, fixture_table(&rig.f, "t"), &err), ST_OK);
	assert_int_equal(publisher_change(rig.publisher, &change, &err), ST_OK);
	assert_int_equal(rig.counter.count, 2); /* the delete and its tombstone */
	assert_string_equal(rig.counter.topic, "app.t");
	rig.stop = 1;
	assert_int_equal(publisher_change(rig.publisher, &change, &err), ST_STOPPED);
	assert_int_equal(rig.counter.count, 2);
	assert_int_equal(publisher_end(rig.publisher, &err), ST_OK);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_publisher_refuses_two_tables_of_one_topic_at_start),
	    cmocka_unit_test(
		test_publisher_refuses_a_table_of_the_reserved_topic_at_start),
	    cmocka_unit_test(test_publisher_refuses_tables_of_the_encoders_topics),
	    cmocka_unit_test(test_publisher_announces_each_topic),
	    cmocka_unit_test(test_transforms_may_bring_tables_into_one_topic),
	    cmocka_unit_test(test_transforms_bring_no_table_into_the_topics_of_others),
	    cmocka_unit_test(test_a_table_that_would_get_no_topic_is_left_out),
	    cmocka_unit_test(test_publisher_counts_schema_changes_but_no_heartbeats),
	    cmocka_unit_test(test_publisher_lets_any_table_in_without_a_reserved_topic),
	    cmocka_unit_test(
		test_publisher_lets_any_table_into_a_log_which_has_no_topics),
	    cmocka_unit_test(test_publisher_leaves_the_newer_table_out_while_following),
	    cmocka_unit_test(test_publisher_keeps_a_topic_with_the_table_that_had_it),
	    cmocka_unit_test(
		test_publisher_gives_a_free_topic_to_the_table_that_waited),
	    cmocka_unit_test(test_publisher_has_no_plan_for_a_table_left_out),
	    cmocka_unit_test(test_publisher_puts_messages_until_it_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

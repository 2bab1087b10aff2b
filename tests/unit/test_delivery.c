/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a table, the sink of a file, and a state directory: what is in the file,
 * and where a later run would go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/cli.h"
#include "src/config/settings.h"
#include "src/deliver/delivery.h"
#include "src/state/state.h"
#include "tests/lib/catalog_fixture.h"

#define PAGE 4096

struct rig {
	char folder[64];
	char out[80];
	char state[80];
	char database[80];
	struct config config;
	struct catalog_fixture f;
	struct delivery *delivery;
	struct kept_position *kept;
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

/* A sink that keeps the last message's value, and wants lines of an audit log. */
static char last_line[4096];

static enum status log_open(const struct sink_settings *settings, struct sink **out,
			    struct error *err);
static void log_close(struct sink *sink)
{
	free(sink);
}
static enum status log_put(struct sink *sink, const struct message *message,
			   struct error *err)
{
	(void)sink;
	(void)err;
	assert_null(message->topic.bytes);
	assert_null(message->key.bytes);
	(void)snprintf(last_line, sizeof last_line, "%.*s", (int)message->value.len,
		       message->value.bytes);
	return ST_OK;
}
static const struct sink_kind log_kind = {.name = "log",
					  .scheme = "log:",
					  .form = FORM_AUDIT,
					  .open = log_open,
					  .close = log_close,
					  .put = log_put};
static enum status log_open(const struct sink_settings *settings, struct sink **out,
			    struct error *err)
{
	(void)settings;
	(void)err;
	*out = calloc(1, sizeof **out);
	(*out)->kind = &log_kind;
	return ST_OK;
}

/* As on the command line; `property` (may be NULL) is one of -D. */
static void configure(struct rig *rig, const char *property)
{
	char to[100];
	char kept[100];
	char *argv[] = {(char *)"rowtail",
			to,
			kept,
			rig->database,
			(char *)(property ? "-D" : NULL),
			(char *)property,
			NULL};
	struct error err;

	(void)snprintf(to, sizeof to, "--to=file:%s", rig->out);
	(void)snprintf(kept, sizeof kept, "--state=%s", rig->state);
	config_init(&rig->config);
	check(cli_parse(property ? 6 : 4, argv, &rig->config, &err), &err);
	check(config_finish(&rig->config, &err), &err);
}

/* `kind`: in place of the file; NULL: none. */
static void rig_open_to(struct rig *rig, const struct sink_kind *kind,
			const char *property)
{
	struct error err;

	*rig = (struct rig){.folder = "/tmp/rowtail-delivery.XXXXXX"};
	log_setup(LOG_ERROR, false);
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->out, sizeof rig->out, "%s/out", rig->folder);
	(void)snprintf(rig->state, sizeof rig->state, "%s/state", rig->folder);
	(void)snprintf(rig->database, sizeof rig->database, "%s/db", rig->folder);
	configure(rig, property);
	rig->config.sink = kind ? kind : rig->config.sink;
	fixture_open(&rig->f, "create table t(x)");
	fixture_read(&rig->f, NULL);
	check(delivery_open(&rig->config, &rig->delivery, &err), &err);
	check(publisher_catalog(delivery_publisher(rig->delivery), rig->f.catalog, NULL,
				&err),
	      &err);
}

static void rig_open(struct rig *rig, const char *property)
{
	rig_open_to(rig, NULL, property);
}

static void rig_close(struct rig *rig)
{
	char command[128];

	delivery_close(rig->delivery);
	rig->kept->close(rig->kept);
	fixture_close(&rig->f);
	config_clear(&rig->config);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->folder);
	assert_int_equal(system(command), 0);
}

/* A new state directory of a database of one page, at LSN 0. */
static void open_state(struct rig *rig)
{
	static const _Atomic int stop;
	static const uint8_t page[PAGE];
	struct captured_txn *first = calloc(1, sizeof *first);
	struct shadow_copy copy = {.page_count = 1, .stop = &stop};
	struct state *opened;
	struct error err;

	copy.source_fd = open(rig->database, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file_write_at(copy.source_fd, page, PAGE, 0));
	first->page_count = 1;
	check(state_open(rig->state, rig->database, false, &opened, &err), &err);
	rig->kept = &opened->kept;
	check(state_prepare(opened, PAGE, &err), &err);
	check(state_copy_base(opened, &copy, &err), &err);
	check(state_absorb(opened, first, &err), &err);
	rig->kept->position.previous_lsn = ENCODER_NO_LSN;
	check(state_begin(opened, &err), &err);
	(void)close(copy.source_fd);
}

static void restore(struct rig *rig)
{
	bool starts_over;
	struct error err;

	if (!rig->kept) {
		check(kept_nowhere_open(&rig->kept, &err), &err);
	}
	check(delivery_claim(rig->delivery, rig->kept, NULL, NULL, &starts_over, &err),
	      &err);
	check(delivery_restore(rig->delivery, 0, 0, &err), &err);
}

static void begin(struct rig *rig, uint64_t lsn)
{
	struct encoder_transaction txn = {.lsn = lsn};
	struct error err;

	check(delivery_begin(rig->delivery, &txn, 100 + lsn, &err), &err);
	check(publisher_table(delivery_publisher(rig->delivery),
			      fixture_table(&rig->f, "t"), &err),
	      &err);
}

static void insert(struct rig *rig, int64_t number)
{
	struct value values[] = {{.class = VALUE_INTEGER, .integer = number}};
	struct change change = {.op = CHANGE_CREATE, .rowid = number, .after = values};
	struct error err;

	check(publisher_change(delivery_publisher(rig->delivery), &change, &err), &err);
}

static void end(struct rig *rig)
{
	struct error err;

	check(delivery_end(rig->delivery, &err), &err);
}

static void flush(struct rig *rig)
{
	struct error err;

	check(delivery_flush(rig->delivery, &err), &err);
}

/* Lines of the file that have this in them. */
static int lines_with(const struct rig *rig, const char *text)
{
	FILE *file = fopen(rig->out, "re");
	char line[8192];
	int total = 0;

	while (file && fgets(line, sizeof line, file)) {
		total += strstr(line, text) != NULL;
	}
	if (file) {
		(void)fclose(file);
	}
	return total;
}

static void test_what_was_put_is_out_after_a_flush(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	insert(&rig, 2);
	end(&rig);
	flush(&rig);
	assert_int_equal(lines_with(&rig, "\"op\":\"c\""), 2);
	rig_close(&rig);
}

static void test_a_transaction_counts_when_it_has_ended(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	assert_int_equal(delivery_lsn(rig.delivery), 0);
	end(&rig);
	assert_int_equal(delivery_lsn(rig.delivery), 7);
	assert_int_equal(delivery_chain(rig.delivery), 107);
	rig_close(&rig);
}

static void test_the_position_moves_with_a_flush_and_not_before(void **state)
{
	const struct state_position *position;
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	open_state(&rig);
	restore(&rig);
	position = &rig.kept->position;
	begin(&rig, 7);
	insert(&rig, 1);
	end(&rig);
	assert_int_equal(position->lsn, 0);
	flush(&rig);
	assert_int_equal(position->lsn, 7);
	assert_int_equal(position->messages, 0);
	rig_close(&rig);
}

static void test_a_flush_inside_a_transaction_counts_its_messages(void **state)
{
	const struct state_position *position;
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	open_state(&rig);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	insert(&rig, 2);
	flush(&rig);
	position = &rig.kept->position;
	assert_int_equal(position->lsn, 0);
	assert_int_equal(position->messages, 2);
	rig_close(&rig);
}

static void test_a_later_run_does_not_repeat_what_was_acknowledged(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	open_state(&rig);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	flush(&rig);
	delivery_close(rig.delivery);
	check(delivery_open(&rig.config, &rig.delivery, &err), &err);
	check(publisher_catalog(delivery_publisher(rig.delivery), rig.f.catalog, NULL,
				&err),
	      &err);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	insert(&rig, 2);
	end(&rig);
	flush(&rig);
	assert_int_equal(lines_with(&rig, "\"op\":\"c\""), 2);
	assert_int_equal(lines_with(&rig, "\"x\":1"), 1);
	assert_int_equal(rig.kept->position.lsn, 7);
	rig_close(&rig);
}

static void test_a_stop_acknowledges_what_was_put_by_then(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	open_state(&rig);
	restore(&rig);
	begin(&rig, 7);
	insert(&rig, 1);
	check(delivery_finish(rig.delivery, ST_OK, &err), &err);
	assert_int_equal(lines_with(&rig, "\"op\":\"c\""), 1);
	assert_int_equal(rig.kept->position.messages, 1);
	insert(&rig, 2); /* never flushed */
	delivery_close(rig.delivery);
	rig.delivery = NULL;
	assert_int_equal(rig.kept->position.messages, 1);
	rig_close(&rig);
}

static void test_heartbeats_come_when_they_are_due(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_open(&rig, "heartbeat.interval.ms=1");
	restore(&rig);
	while (delivery_wake_ms(rig.delivery) > 0) {
		clock_sleep_ns(NS_PER_MS);
	}
	check(delivery_beat(rig.delivery, &err), &err);
	flush(&rig);
	assert_int_equal(lines_with(&rig, "ts_ms"), 1);
	assert_int_equal(delivery_lsn(rig.delivery), 0);
	rig_close(&rig);
}

static void test_without_heartbeats_none_is_waited_for(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	restore(&rig);
	assert_int_equal(delivery_wake_ms(rig.delivery), -1);
	check(delivery_beat(rig.delivery, &err), &err);
	flush(&rig);
	assert_int_equal(lines_with(&rig, ""), 0);
	rig_close(&rig);
}

/* A sink that counts, and whose reader went away. */
static enum status count_open(const struct sink_settings *settings, struct sink **out,
			      struct error *err);
static size_t counted;
static size_t not_acknowledged;
static enum status count_put(struct sink *sink, const struct message *message,
			     struct error *err)
{
	(void)sink;
	(void)message;
	(void)err;
	counted++;
	return ST_OK;
}
static enum status count_flush(struct sink *sink, struct error *err)
{
	(void)sink;
	return error_set(err, ST_CLOSED, "the reader went away");
}
static struct sink_count count_count(const struct sink *sink)
{
	(void)sink;
	return (struct sink_count){.put = counted,
				   .acknowledged = counted - not_acknowledged};
}
static const struct sink_kind count_kind = {.name = "count",
					    .scheme = "count:",
					    .open = count_open,
					    .close = log_close,
					    .put = count_put,
					    .flush = count_flush,
					    .count = count_count};
static enum status count_open(const struct sink_settings *settings, struct sink **out,
			      struct error *err)
{
	(void)settings;
	(void)err;
	counted = 0;
	*out = calloc(1, sizeof **out);
	(*out)->kind = &count_kind;
	return ST_OK;
}

static void notify(struct rig *rig, enum notification_kind kind)
{
	static const struct notification_of of = {.is_incremental = true, .id = "x"};
	struct error err;

	check(delivery_notify(rig->delivery, kind, &of, &err), &err);
}

/* Where a later run goes on, of a row, a notification, two rows and another, if the
 * reader had all but the last `missing`. */
static uint64_t messages_had(size_t missing)
{
	uint64_t messages;
	struct error err;
	struct rig rig;

	rig_open_to(&rig, &count_kind, "notification.sink.topic.name=notes");
	rig.config.notification_channels = NOTIFICATION_SINK;
	restore(&rig);
	notify(&rig, NOTIFY_STARTED);
	begin(&rig, 5);
	insert(&rig, 1);
	notify(&rig, NOTIFY_IN_PROGRESS);
	insert(&rig, 2);
	insert(&rig, 3);
	notify(&rig, NOTIFY_COMPLETED);
	assert_int_equal(counted, 6);
	not_acknowledged = missing;
	assert_int_equal(delivery_finish(rig.delivery, ST_CLOSED, &err), ST_OK);
	messages = rig.kept->position.messages;
	assert_int_equal(rig.kept->position.lsn, 0);
	rig_close(&rig);
	return messages;
}

static void test_notifications_are_none_of_a_transactions_messages(void **state)
{
	(void)state;
	assert_int_equal(messages_had(0), 3);
	assert_int_equal(messages_had(1), 3);
	assert_int_equal(messages_had(2), 2);
	assert_int_equal(messages_had(3), 1);
	assert_int_equal(messages_had(4), 1);
	assert_int_equal(messages_had(5), 0);
	assert_int_equal(messages_had(6), 0);
}

static void test_notifications_go_to_the_sink_if_that_is_asked_for(void **state)
{
	struct rig rig;

	(void)state;
	/* That is a table's topic, which matters only if it is used. */
	rig_open(&rig, "notification.sink.topic.name=db.t");
	restore(&rig);
	notify(&rig, NOTIFY_STARTED);
	flush(&rig);
	assert_int_equal(lines_with(&rig, "STARTED"), 0);
	rig.config.notification_channels = NOTIFICATION_SINK;
	notify(&rig, NOTIFY_STARTED);
	flush(&rig);
	assert_int_equal(lines_with(&rig, "STARTED"), 1);
	rig_close(&rig);
}

static void test_an_audit_log_is_told_of_rows_and_of_other_settings(void **state)
{
	static const char was[] = "order.version=0\n";
	bool starts_over;
	struct error err;
	struct rig rig;

	(void)state;
	rig_open_to(&rig, &log_kind, "tombstones.on.delete=false");
	check(kept_nowhere_open(&rig.kept, &err), &err);
	check(delivery_claim(rig.delivery, rig.kept, NULL, NULL, &starts_over, &err),
	      &err);
	last_line[0] = '\0';
	check(delivery_restore(rig.delivery, 0, 0, &err), &err);
	assert_string_equal(last_line, ""); /* nothing is otherwise at a first start */
	begin(&rig, 5);
	insert(&rig, 7);
	assert_string_equal(
	    last_line,
	    "\"time\":\"1970-01-01T00:00:00.000Z\",\"txn\":5,\"change_id\":1,\"op\":"
	    "\"insert\",\"table\":\"t\",\"key\":{\"rowid\":7},\"new\":{\"x\":7}}");
	end(&rig);
	rig.kept->position.settings_hash = rig.kept->last_hash = 1;
	buffer_add(&rig.kept->last_settings, was, sizeof was);
	check(delivery_restore(rig.delivery, 0, 0, &err), &err);
	assert_non_null(strstr(last_line, "Z\",\"op\":\"settings\",\"changed\":{"
					  "\"order.version\":[\"0\",\"1\"],"));
	assert_non_null(strstr(last_line, ",\"tombstones.on.delete\":[null,"
					  "\"false\"]"));
	assert_string_equal(last_line + strlen(last_line) - 2, "}}");
	buffer_clear(&rig.kept->last_settings);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_audit_log_is_told_of_rows_and_of_other_settings),
	    cmocka_unit_test(test_what_was_put_is_out_after_a_flush),
	    cmocka_unit_test(test_a_transaction_counts_when_it_has_ended),
	    cmocka_unit_test(test_the_position_moves_with_a_flush_and_not_before),
	    cmocka_unit_test(test_a_flush_inside_a_transaction_counts_its_messages),
	    cmocka_unit_test(test_a_later_run_does_not_repeat_what_was_acknowledged),
	    cmocka_unit_test(test_a_stop_acknowledges_what_was_put_by_then),
	    cmocka_unit_test(test_heartbeats_come_when_they_are_due),
	    cmocka_unit_test(test_without_heartbeats_none_is_waited_for),
	    cmocka_unit_test(test_notifications_are_none_of_a_transactions_messages),
	    cmocka_unit_test(test_notifications_go_to_the_sink_if_that_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

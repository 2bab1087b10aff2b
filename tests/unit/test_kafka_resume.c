/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/kafka_resume.h"

#define UUID "00112233445566778899aabbccddeeff"

/* A history of transactions 100 and 200, whose checksums are their LSN plus 7. */
static bool has(const void *context, uint64_t lsn, uint64_t chain)
{
	(void)context;
	return (lsn == 100 || lsn == 200) && chain == lsn + 7;
}

static struct kafka_own own_at(uint64_t lsn, uint64_t messages)
{
	return (struct kafka_own){
	    .here = {.uuid = UUID,
		     .database = "/data/app.db",
		     .position = {.lsn = lsn, .messages = messages, .change_id = 50},
		     .was_kept = true,
		     .has = has},
	    .prefix = "app",
	    .topic = "__rowtail-position.app",
	    .last_topic = "__rowtail-position.app",
	    .exactly_once = true};
}

static struct kafka_found found_at(uint64_t lsn, uint64_t messages)
{
	return (struct kafka_found){.is_there = true,
				    .position = {.uuid = UUID,
						 .database = "/data/app.db",
						 .exactly_once = true,
						 .at = {.lsn = lsn,
							.chain = lsn + 7,
							.messages = messages,
							.change_id = 60}}};
}

static void expect_verdict(const struct kafka_own *own, const struct kafka_found *found,
			   enum sink_verdict expected)
{
	struct error err = {0};
	enum sink_verdict verdict = SINK_START_OVER;

	assert_int_equal(kafka_resume_decide(own, found, &verdict, &err), ST_OK);
	assert_int_equal(verdict, expected);
}

/* Refused, with a line that has `text`; with snapshot.mode=when_needed `then`. */
static void expect_refusal(struct kafka_own *own, const struct kafka_found *found,
			   const char *text, bool offers_snapshot)
{
	struct error err = {0};
	enum sink_verdict verdict;

	own->here.when_needed = false;
	assert_int_equal(kafka_resume_decide(own, found, &verdict, &err), ST_CONFIG);
	if (!strstr(err.text, text)) {
		fail_msg("\"%s\" lacks \"%s\"", err.text, text);
	}
	assert_int_equal(strstr(err.text, "when_needed") != NULL, offers_snapshot);
	own->here.when_needed = true;
}

static void test_a_record_where_we_are_goes_on(void **state)
{
	struct kafka_own own = own_at(100, 3);
	struct kafka_found found = found_at(100, 3);

	(void)state;
	expect_verdict(&own, &found, SINK_GO_ON);
}

static void test_a_first_start_without_a_record_goes_on(void **state)
{
	struct kafka_own own = own_at(0, 0);
	struct kafka_found none = {0};

	(void)state;
	own.here.is_new = true;
	own.here.was_kept = false;
	expect_verdict(&own, &none, SINK_GO_ON);
	own.here.is_new =
	    false; /* used with another sink, or killed before the first commit */
	expect_verdict(&own, &none, SINK_GO_ON);
}

static void test_a_record_ahead_is_adopted(void **state)
{
	struct kafka_own own = own_at(100, 3);
	struct kafka_found by_messages = found_at(100, 4);
	struct kafka_found by_txn = found_at(200, 0);
	struct kafka_found by_snapshot = found_at(100, 0);

	(void)state;
	expect_verdict(&own, &by_messages, SINK_ADOPT);
	expect_verdict(&own, &by_txn, SINK_ADOPT);
	own.here.position.in_snapshot =
	    true; /* and the record is behind the snapshot */
	expect_verdict(&own, &by_snapshot, SINK_ADOPT);
}

static void test_kafka_that_lost_what_it_acknowledged_is_an_error(void **state)
{
	struct kafka_own own = own_at(200, 0);
	struct kafka_found by_txn = found_at(100, 0);
	struct kafka_own inside = own_at(100, 3);
	struct kafka_found by_messages = found_at(100, 2);
	struct kafka_found none = {0};

	(void)state;
	expect_refusal(&own, &by_txn, "Kafka is behind", true);
	expect_verdict(&own, &by_txn, SINK_START_OVER);
	expect_refusal(&inside, &by_messages, "Kafka is behind", true);
	expect_refusal(&own, &none, "__rowtail-position.app", true);
	expect_verdict(&own, &none, SINK_START_OVER);
}

static void test_a_directory_from_a_backup_is_an_error(void **state)
{
	struct kafka_own own = own_at(100, 0);
	struct kafka_found unknown = found_at(300, 0);
	struct kafka_found other_history = found_at(200, 0);

	(void)state;
	expect_refusal(&own, &unknown, "from a backup", true);
	expect_verdict(&own, &unknown, SINK_START_OVER);
	other_history.position.at.chain++; /* a run went on from it since */
	expect_refusal(&own, &other_history, "from a backup", true);
	other_history = found_at(100, 0); /* even at the very same LSN */
	other_history.position.at.chain++;
	expect_refusal(&own, &other_history, "from a backup", true);
}

static void test_a_record_that_is_not_there_is_lost_or_elsewhere(void **state)
{
	struct kafka_own own = own_at(100, 0);
	struct kafka_found none = {.is_there = false};

	(void)state;
	expect_refusal(&own, &none, "it was lost", true);
	own.topic = "__rowtail-position.newp";
	expect_refusal(&own, &none,
		       "goes on from position topic __rowtail-position.app, but", true);
	own.last_topic = NULL;
	expect_refusal(&own, &none, "topic.prefix was another one, or it was lost",
		       true);
}

static void test_a_lost_directory_is_an_error(void **state)
{
	struct kafka_own own = own_at(0, 0);
	struct kafka_found found = found_at(100, 0);

	(void)state;
	own.here.is_new = true;
	expect_refusal(&own, &found, "another state directory", true);
	expect_verdict(&own, &found, SINK_START_OVER);
	own.here.is_new = false; /* another one of the same database, that was in use */
	strcpy(found.position.uuid, "ffffffffffffffffffffffffffffffff");
	expect_refusal(&own, &found, "another state directory", true);
	expect_refusal(&own, &found, "another state directory", true);
	{ /* when_needed does not give a prefix to whoever comes */
		struct error err;
		enum sink_verdict verdict;

		assert_int_equal(kafka_resume_decide(&own, &found, &verdict, &err),
				 ST_CONFIG);
	}
	own.here.was_kept = false; /* a start over that was killed */
	expect_verdict(&own, &found, SINK_START_OVER);
}

static void test_another_database_is_an_error_whatever_the_mode(void **state)
{
	struct kafka_own own = own_at(0, 0);
	struct kafka_found found = found_at(100, 0);
	struct error err;
	enum sink_verdict verdict;

	(void)state;
	own.here.is_new = true;
	strcpy(found.position.database, "/data/other.db");
	expect_refusal(&own, &found, "belongs to another database, /data/other.db",
		       false);
	assert_int_equal(kafka_resume_decide(&own, &found, &verdict, &err), ST_CONFIG);
	own.exactly_once = false;
	assert_int_equal(kafka_resume_decide(&own, &found, &verdict, &err), ST_CONFIG);
}

static void test_at_least_once_goes_on_where_the_directory_is(void **state)
{
	struct kafka_own own = own_at(100, 0);
	struct kafka_found behind = found_at(50, 0);
	struct kafka_found ahead = found_at(300, 0);
	struct kafka_found none = {0};

	(void)state;
	own.exactly_once = false;
	expect_verdict(&own, &behind, SINK_GO_ON);
	expect_verdict(&own, &ahead, SINK_GO_ON);
	expect_verdict(&own, &none, SINK_GO_ON);
	/* Its record may be behind: that is no sign of a loss. */
	own.exactly_once = true;
	behind.position.exactly_once = false;
	expect_verdict(&own, &behind, SINK_GO_ON);
}

static void test_numbers_go_on_above_all_that_was_seen(void **state)
{
	struct kafka_own own = own_at(100, 0);
	struct kafka_found found = found_at(200, 0);
	struct kafka_found none = {0};
	struct sink_floor floor = kafka_resume_floor(&own, &found);

	(void)state;
	assert_true(floor.lsn > 200);
	assert_int_equal(floor.change_id, 60);
	floor = kafka_resume_floor(&own, &none);
	assert_true(floor.lsn > 100);
	assert_int_equal(floor.change_id, 50);
	found.position.at.messages = 1; /* of a transaction whose LSN nobody knows */
	floor = kafka_resume_floor(&own, &found);
	assert_true(floor.lsn > 200 + UINT32_MAX);
	own.here.is_new = true;
	floor = kafka_resume_floor(&own, &none);
	assert_int_equal(floor.change_id, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_record_where_we_are_goes_on),
	    cmocka_unit_test(test_a_first_start_without_a_record_goes_on),
	    cmocka_unit_test(test_a_record_ahead_is_adopted),
	    cmocka_unit_test(test_kafka_that_lost_what_it_acknowledged_is_an_error),
	    cmocka_unit_test(test_a_directory_from_a_backup_is_an_error),
	    cmocka_unit_test(test_a_record_that_is_not_there_is_lost_or_elsewhere),
	    cmocka_unit_test(test_a_lost_directory_is_an_error),
	    cmocka_unit_test(test_another_database_is_an_error_whatever_the_mode),
	    cmocka_unit_test(test_at_least_once_goes_on_where_the_directory_is),
	    cmocka_unit_test(test_numbers_go_on_above_all_that_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "src/config/settings.h"

/* ---- helpers ---- */

static void set_as(struct config *c, enum config_rank rank, const char *key,
		   const char *value)
{
	struct error err;

	if (config_set(c, rank, rank == CONFIG_FILE ? "f:1: " : "-D ", key, value,
		       &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static void set(struct config *c, const char *key, const char *value)
{
	set_as(c, CONFIG_DEFINE, key, value);
}

/* A config with a database. */
static void init(struct config *c)
{
	config_init(c);
	set_as(c, CONFIG_COMMAND_LINE, "database.file.path", "/data/shop.db");
}

static void finish(struct config *c)
{
	struct error err;

	if (config_finish(c, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

/* `key` = `value` must be refused with a text that has `part`. */
static void check_refused(const char *key, const char *value, const char *part)
{
	struct config c;
	struct error err;
	enum status status;

	init(&c);
	status = config_set(&c, CONFIG_DEFINE, "-D ", key, value, &err);
	if (status == ST_OK) {
		status = config_finish(&c, &err);
	}
	assert_int_equal(status, ST_CONFIG);
	if (!strstr(err.text, part) || !strstr(err.text, key)) {
		fail_msg("%s", err.text);
	}
	config_clear(&c);
}

static void check_accepted(const char *key, const char *value)
{
	struct config c;

	init(&c);
	set(&c, key, value);
	finish(&c);
	assert_int_equal(c.warning_count, 0);
	config_clear(&c);
}

/* ---- tests ---- */

static void test_defaults_are_debeziums_and_ours(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	finish(&c);
	assert_null(c.command);
	assert_string_equal(c.database_path, "/data/shop.db");
	assert_string_equal(c.database_name, "shop.db");
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_NO_DATA);
	assert_null(c.table_include_list);
	assert_null(c.table_exclude_list);
	assert_string_equal(c.encoder.topic_prefix, "shop");
	assert_string_equal(c.encoder.topic_delimiter, ".");
	assert_string_equal(c.encoder.topic_transaction, "transaction");
	assert_int_equal(c.encoder.binary_mode, BINARY_BYTES);
	assert_true(c.encoder.tombstones_on_delete);
	assert_false(c.encoder.transaction_metadata);
	assert_int_equal(c.encoder.skipped_operations, 0);
	assert_true(c.hold_escalate);
	assert_int_equal(c.hold_max_wal_bytes, UINT64_C(1) << 30);
	assert_int_equal(c.journal_max_bytes, UINT64_C(1) << 30);
	assert_int_equal(c.log_most, LOG_INFO);
	assert_int_equal(c.warning_count, 0);
	config_clear(&c);
}

static void test_values_reach_their_fields(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	set(&c, "table.include.list", "a,b\\,c");
	set(&c, "topic.prefix", "My-App_1.x");
	set(&c, "topic.delimiter", "-");
	set(&c, "topic.transaction", "tx");
	set(&c, "provide.transaction.metadata", "TRUE");
	set(&c, "tombstones.on.delete", "false");
	set(&c, "binary.handling.mode", "base64-url-safe");
	set(&c, "skipped.operations", "c, u ,t");
	set(&c, "snapshot.mode", "initial_only");
	set(&c, "hold.escalate", "false");
	set(&c, "hold.max.wal.bytes", "123456789012");
	set(&c, "journal.max.bytes", "0");
	finish(&c);
	assert_string_equal(c.table_include_list, "a,b\\,c");
	assert_string_equal(c.encoder.topic_prefix, "My-App_1.x");
	assert_string_equal(c.encoder.topic_delimiter, "-");
	assert_string_equal(c.encoder.topic_transaction, "tx");
	assert_true(c.encoder.transaction_metadata);
	assert_false(c.encoder.tombstones_on_delete);
	assert_int_equal(c.encoder.binary_mode, BINARY_BASE64_URL_SAFE);
	assert_int_equal(c.encoder.skipped_operations, SKIP_CREATE | SKIP_UPDATE);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL_ONLY);
	assert_false(c.hold_escalate);
	assert_int_equal(c.hold_max_wal_bytes, UINT64_C(123456789012));
	assert_true(c.journal_max_bytes == UINT64_MAX);
	config_clear(&c);
}

static void test_rank_wins_whatever_the_order(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	set_as(&c, CONFIG_COMMAND_LINE, "snapshot.mode", "initial");
	set_as(&c, CONFIG_DEFINE, "snapshot.mode", "no_data");
	set_as(&c, CONFIG_DEFINE, "topic.prefix", "define");
	set_as(&c, CONFIG_FILE, "topic.prefix", "file");
	set_as(&c, CONFIG_FILE, "topic.delimiter", "_");
	set_as(&c, CONFIG_FILE, "topic.delimiter", "-");
	set_as(&c, CONFIG_FILE, "database.file.path", "other.db");
	finish(&c);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	assert_string_equal(c.encoder.topic_prefix, "define");
	assert_string_equal(c.encoder.topic_delimiter, "-"); /* of equals the later */
	assert_string_equal(c.database_path, "/data/shop.db");
	config_clear(&c);
}

static void test_only_values_that_count_are_checked(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	set_as(&c, CONFIG_FILE, "schemas.enable", "true");
	set_as(&c, CONFIG_DEFINE, "schemas.enable", "false");
	finish(&c);
	config_clear(&c);
}

static void test_bad_values_say_what_they_may_be(void **state)
{
	(void)state;
	check_refused("topic.prefix", "a b",
		      "-D topic.prefix=a b: must be one or more of");
	check_refused("topic.prefix", "", "must be");
	check_refused("topic.prefix", "ä", "must be");
	check_refused("topic.delimiter", "/", "must be");
	check_refused("topic.transaction", "\"", "must be");
	check_refused("tombstones.on.delete", "yes", "true or false");
	check_refused("binary.handling.mode", "base32", "bytes, base64");
	check_refused("decimal.handling.mode", "precise", "no exact decimals");
	check_refused("decimal.handling.mode", "exact", "double or string");
	check_refused("type.mapping", "sql", "declared or affinity");
	check_refused("event.converting.failure.handling.mode", "stop", "warn, fail");
	check_refused("field.name.adjustment.mode", "json", "none, avro");
	check_refused("schema.name.adjustment.mode", "json", "none, avro");
	check_refused("schemas.enable", "yes", "true or false");
	check_refused("include.schema.changes", "yes", "true or false");
	check_refused("heartbeat.interval.ms", "often", "milliseconds");
	check_refused("heartbeat.interval.ms", "-1", "milliseconds");
	check_refused("heartbeat.interval.ms", "3000000000", "milliseconds");
	check_refused("topic.heartbeat.prefix", "a b", "one or more of");
	check_refused("skipped.operations", "c,x", "a list of c, u, d and t");
	check_refused("skipped.operations", "none,c", "must be");
	check_refused("skipped.operations", "c,", "must be");
	check_refused("skipped.operations", "r", "must be");
	check_refused("skipped.operations", "cu", "must be");
	check_refused("snapshot.mode", "schema_only", "initial, initial_only");
	check_refused("hold.max.wal.bytes", "-1", "a number of bytes");
	check_refused("hold.max.wal.bytes", "1G", "a number of bytes");
	check_refused("hold.max.wal.bytes", "", "a number of bytes");
	check_refused("journal.max.bytes", "99999999999999999999", "a number of bytes");
}

static void test_skipped_operations_may_be_none(void **state)
{
	(void)state;
	check_accepted("skipped.operations", "none");
	check_accepted("skipped.operations", "t");
	check_accepted("skipped.operations", "d");
}

static void test_masks_of_one_name_count_once(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	set_as(&c, CONFIG_DEFINE, "column.mask.with.4.chars", "t.a");
	set_as(&c, CONFIG_FILE, "column.mask.with.4.chars", "t.b");
	set_as(&c, CONFIG_FILE, "column.mask.with.8.chars", "t.c");
	set_as(&c, CONFIG_FILE, "column.mask.with.8.chars", "t.d");
	finish(&c);
	assert_int_equal(c.columns.mask_count, 2);
	assert_string_equal(c.columns.masks[0].columns, "t.a");
	assert_string_equal(c.columns.masks[1].property, "column.mask.with.8.chars");
	assert_string_equal(c.columns.masks[1].columns, "t.d");
	config_clear(&c);
}

static void test_what_is_not_built_says_so(void **state)
{
	(void)state;
	check_refused("topic.creation.groups", "a", "not built yet");
	check_refused("snapshot.select.statement.overrides.t", "a", "does not name t");
	check_refused("snapshot.select.statement.overrides", "t", "is not set");
}

static void test_defaults_of_what_is_not_built_are_accepted(void **state)
{
	(void)state;
	check_accepted("schemas.enable", "false");
	check_accepted("extended.headers.enabled", "false");
	check_accepted("include.schema.changes", "false");
	check_accepted("heartbeat.interval.ms", "0");
	check_accepted("max.batch.size", "2048");
	check_accepted("signal.enabled.channels", "source");
	check_accepted("type.mapping", "declared");
}

static void check_signals(const char *channels, const char *collection,
			  const char *file, unsigned expected,
			  const char *expected_file)
{
	struct config c;
	struct error err;

	config_init(&c);
	assert_int_equal(config_set(&c, CONFIG_COMMAND_LINE, "", "database.file.path",
				    "app.db", &err),
			 ST_OK);
	if (channels) {
		assert_int_equal(config_set(&c, CONFIG_DEFINE, "-D ",
					    "signal.enabled.channels", channels, &err),
				 ST_OK);
	}
	if (collection) {
		assert_int_equal(config_set(&c, CONFIG_DEFINE, "-D ",
					    "signal.data.collection", collection, &err),
				 ST_OK);
	}
	if (file) {
		assert_int_equal(
		    config_set(&c, CONFIG_DEFINE, "-D ", "signal.file", file, &err),
		    ST_OK);
	}
	assert_int_equal(config_finish(&c, &err), ST_OK);
	assert_int_equal(c.signal_channels, expected);
	if (expected & SIGNAL_CHANNEL_SOURCE && collection) {
		assert_string_equal(c.signal_collection, collection);
	} else {
		assert_null(c.signal_collection);
	}
	if (expected_file) {
		assert_string_equal(c.signal_file, expected_file);
	} else {
		assert_null(c.signal_file);
	}
	assert_int_equal(c.signal_poll_ms, 5000);
	assert_int_equal(c.incremental_snapshot_rows, 1024);
	config_clear(&c);
}

static void test_channels_of_signals_are_those_that_are_set(void **state)
{
	const unsigned both = SIGNAL_CHANNEL_SOURCE | SIGNAL_CHANNEL_FILE;

	(void)state;
	check_signals(NULL, NULL, NULL, 0, NULL);
	check_signals(NULL, "main.s", NULL, SIGNAL_CHANNEL_SOURCE, NULL);
	check_signals(NULL, NULL, "f", SIGNAL_CHANNEL_FILE, "f");
	check_signals(NULL, "s", "f", both, "f");
	check_signals("source", "s", "f", SIGNAL_CHANNEL_SOURCE, NULL);
	check_signals("file", "s", "f", SIGNAL_CHANNEL_FILE, "f");
	check_signals("source,file", "s", NULL, both, "file-signals.txt");
	check_signals("none", "s", "f", 0, NULL);
	check_refused("signal.enabled.channels", "source,kafka",
		      "signal.kafka.bootstrap.servers=HOST:PORT");
	check_refused("signal.enabled.channels", "jmx", "rowtail signal");
	check_refused("signal.enabled.channels", "mail", "source, file and kafka");
	check_refused("incremental.snapshot.chunk.size", "0", "from 1 to 1000000");
	check_refused("incremental.snapshot.chunk.size", "1000001",
		      "from 1 to 1000000");
	check_refused("signal.poll.interval.ms", "0", "milliseconds");
	check_refused("signal.file", "", "the path is empty");
	check_refused("signal.kafka.topic", "a b", "signal.kafka.topic");
	check_refused("signal.kafka.group", "g", "signal.kafka.groupId");
}

static void test_signals_by_kafka_have_their_brokers_or_those_of_the_sink(void **state)
{
	struct config c;

	(void)state;
	init(&c);
	set(&c, "signal.kafka.bootstrap.servers", "a:1,b:2");
	finish(&c);
	assert_int_equal(c.signal_channels, SIGNAL_CHANNEL_KAFKA);
	assert_string_equal(c.signal_topic, "shop-signal");
	assert_string_equal(c.signal_brokers, "a:1,b:2");
	assert_string_equal(c.signal_group, "kafka-signal");
	assert_false(c.signal_shares_sink);
	config_clear(&c);

	init(&c);
	c.sink = &kafka_kind;
	c.sink_target = strdup("sink:9092");
	set(&c, "signal.enabled.channels", "source, kafka");
	set(&c, "topic.prefix", "p");
	set(&c, "signal.kafka.groupId", "g");
	set(&c, "signal.consumer.sasl.password", "x");
	set(&c, "producer.sasl.password", "y");
	finish(&c);
	assert_string_equal(c.signal_topic, "p-signal");
	assert_string_equal(c.signal_brokers, "sink:9092");
	assert_string_equal(c.signal_group, "g");
	assert_true(c.signal_shares_sink);
	assert_int_equal(c.kafka.signals.count, 1);
	assert_string_equal(c.kafka.signals.list[0].where, "-D signal.consumer.");
	assert_string_equal(c.kafka.signals.list[0].name, "sasl.password");
	assert_string_equal(c.kafka.signals.list[0].value, "x");
	config_clear(&c);

	init(&c);
	set(&c, "signal.enabled.channels", "source");
	set(&c, "signal.kafka.topic", "t");
	set(&c, "signal.kafka.poll.timeout.ms", "100");
	finish(&c);
	assert_null(c.signal_topic);
	assert_int_equal(c.warning_count, 1);
	config_clear(&c);
}

static void test_keys_without_meaning_are_warned_of(void **state)
{
	static const char *const keys[] = {
	    "database.hostname",
	    "database.server.id",
	    "plugin.name",
	    "slot.name",
	    "errors.max.retries",
	    "offset.storage.topic",
	    "tasks.max",
	    "name",
	    "connector.class",
	    "slot.drop.on.stop",
	    "value.converter.decimal.format",
	};
	struct config c;

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		init(&c);
		set_as(&c, CONFIG_FILE, keys[i], "x");
		finish(&c);
		assert_int_equal(c.warning_count, 1);
		assert_non_null(strstr(c.warnings[0], "f:1: "));
		assert_non_null(strstr(c.warnings[0], keys[i]));
		assert_non_null(strstr(c.warnings[0], "ignored"));
		config_clear(&c);
	}
}

static void test_what_would_change_the_messages_is_refused(void **state)
{
	static const char *const keys[] = {
	    "predicates",
	    "predicates.is.type",
	    "converters",
	    "post.processors",
	    "topic.naming.strategy",
	    "key.converter",
	    "value.converter",
	    "header.converter",
	    "value.converter.schema.registry.url",
	    "value.converter.replace.null.with.default",
	    "time.precision.mode",
	    "sourceinfo.struct.maker",
	    "column.propagate.source.type",
	    "snapshot.include.collection.list",
	    "heartbeat.action.query",
	};

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		check_refused(keys[i], "io.example.Other",
			      "would change the messages and is not built: ");
	}
}

static void test_what_is_done_anyway_is_accepted(void **state)
{
	(void)state;
	check_accepted("transforms", "");
	check_accepted("key.converter", "org.apache.kafka.connect.json.JsonConverter");
	check_accepted("value.converter.replace.null.with.default", "false");
	check_accepted("topic.naming.strategy",
		       "io.debezium.schema.DefaultTopicNamingStrategy");
	check_accepted("errors.tolerance", "none");
	check_accepted("time.precision.mode", "adaptive");
}

static void test_schemas_have_the_names_that_connect_has(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	init(&c);
	set(&c, "value.converter", "org.apache.kafka.connect.json.JsonConverter");
	set(&c, "value.converter.schemas.enable", "true");
	set(&c, "key.converter.schemas.enable", "TRUE");
	finish(&c);
	assert_true(c.encoder.schemas);
	assert_int_equal(c.warning_count, 0);
	config_clear(&c);

	/* The higher rank wins, under whichever name. */
	init(&c);
	set_as(&c, CONFIG_FILE, "value.converter.schemas.enable", "true");
	set(&c, "schemas.enable", "false");
	finish(&c);
	assert_false(c.encoder.schemas);
	config_clear(&c);
	init(&c);
	set_as(&c, CONFIG_FILE, "schemas.enable", "false");
	set(&c, "value.converter.schemas.enable", "true");
	finish(&c);
	assert_true(c.encoder.schemas);
	config_clear(&c);

	init(&c);
	set(&c, "value.converter.schemas.enable", "true");
	set(&c, "key.converter.schemas.enable", "false");
	assert_int_equal(config_finish(&c, &err), ST_CONFIG);
	assert_string_equal(err.text,
			    "-D value.converter.schemas.enable=true and -D "
			    "key.converter.schemas.enable=false are one setting; give "
			    "one of them");
	config_clear(&c);

	/* Connect's default is not ours. */
	init(&c);
	set(&c, "value.converter", "org.apache.kafka.connect.json.JsonConverter");
	finish(&c);
	assert_false(c.encoder.schemas);
	assert_int_equal(c.warning_count, 1);
	assert_non_null(strstr(c.warnings[0], "set schemas.enable"));
	config_clear(&c);
}

static void test_unknown_keys_get_no_name_that_is_far(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	init(&c);
	assert_int_equal(
	    config_set(&c, CONFIG_DEFINE, "-D ", "read.only", "true", &err), ST_CONFIG);
	assert_string_equal(err.text,
			    "-D read.only: unknown property; rowtail --help lists all");
	/* Options are no properties. */
	assert_int_equal(config_set(&c, CONFIG_DEFINE, "-D ", "--to", "kafka", &err),
			 ST_CONFIG);
	config_clear(&c);
}

static void test_unknown_keys_get_the_nearest_name(void **state)
{
	(void)state;
	check_refused("topic.prefx", "a", "nearest known one is topic.prefix");
	check_refused("table.inclde.list", "a",
		      "nearest known one is table.include.list");
	check_refused("Topic.Prefix", "a", "nearest known one is topic.prefix");
	check_refused("hold.max.bytes", "a", "nearest known one is hold.max.wal.bytes");
	check_refused("database.file", "a", "nearest known one is database.file.path");
	check_refused("", "a", "unknown property");
	check_refused("a.key.that.is.longer.than.any.known.key.and.than.the.distance."
		      "looks.at.by.far.and.away",
		      "a", "unknown property");
}

static void check_prefix(const char *path, const char *name, const char *prefix)
{
	struct config c;

	config_init(&c);
	set(&c, "database.file.path", path);
	finish(&c);
	assert_string_equal(c.database_name, name);
	assert_string_equal(c.encoder.topic_prefix, prefix);
	config_clear(&c);
}

static void test_prefix_is_made_of_the_database_name(void **state)
{
	(void)state;
	check_prefix("app.db", "app.db", "app");
	check_prefix("/a.b/app", "app", "app");
	check_prefix("./my app.v2.sqlite3", "my app.v2.sqlite3", "my_app.v2");
	check_prefix("Zoë.db", "Zoë.db", "Zo_");
	check_prefix(".db", ".db", ".db");
	check_prefix("...", "...", "__");
	check_prefix("dir/", "", "rowtail");
}

static void test_missing_and_clashing_settings_are_refused(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	config_init(&c);
	assert_int_equal(config_finish(&c, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "no database"));
	config_clear(&c);

	init(&c);
	set(&c, "table.include.list", "a");
	set(&c, "table.exclude.list", "b");
	assert_int_equal(config_finish(&c, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "exclude each other"));
	config_clear(&c);

	init(&c);
	set(&c, "table.include.list", "a");
	set(&c, "table.exclude.list", "");
	finish(&c);
	assert_null(c.table_exclude_list);
	config_clear(&c);

	init(&c);
	c.once = true;
	assert_int_equal(config_finish(&c, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "nothing to do"));
	config_clear(&c);
}

static void test_files_name_their_lines(void **state)
{
	char path[] = "/tmp/rowtail-test-XXXXXX";
	static const char text[] =
	    "# shop\n\ntable.include.list = a,\\\n  b\nslot.name=x\n"
	    "topic.prefix=s\n\ntopic.prefx=y\n";
	int fd = mkstemp(path);
	char expected[256];
	struct config c;
	struct error err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	(void)close(fd);
	init(&c);
	assert_int_equal(config_load(&c, path, &err), ST_OK);
	(void)snprintf(expected, sizeof expected,
		       "%s:8: topic.prefx: unknown property; the nearest known one is "
		       "topic.prefix",
		       path);
	assert_int_equal(c.problems.count, 1);
	assert_string_equal(c.problems.texts[0], expected);
	problems_clear(&c.problems);
	finish(&c);
	assert_string_equal(c.table_include_list, "a,b");
	assert_string_equal(c.encoder.topic_prefix, "s");
	(void)snprintf(expected, sizeof expected, "%s:5: slot.name", path);
	assert_int_equal(c.warning_count, 1);
	assert_memory_equal(c.warnings[0], expected, strlen(expected));
	config_clear(&c);
	(void)unlink(path);
}

/* A file with this text, loaded and finished. */
static enum status load_text(struct config *c, const char *text, struct error *err)
{
	char path[] = "/tmp/rowtail-test-XXXXXX";
	int fd = mkstemp(path);
	enum status status;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	init(c);
	status = config_load(c, path, err);
	(void)unlink(path);
	if (status == ST_OK) {
		status = config_set(c, CONFIG_COMMAND_LINE, "", "database.file.path",
				    "/d/app.db", err);
	}
	return status == ST_OK ? config_finish(c, err) : status;
}

static void test_a_connector_is_read_as_it_is(void **state)
{
	static const char *const texts[] = {
	    "{\"name\":\"c\",\"config\":{\"table.include.list\":\"a,b\","
	    "\"database.port\":5432,\"tombstones.on.delete\":false,"
	    "\"heartbeat.interval.ms\":1000,\"snapshot.mode\":null}}",
	    "\n {\"name\":\"c\",\"table.include.list\":\"a,b\","
	    "\"tombstones.on.delete\":\"false\",\"heartbeat.interval.ms\":\"1000\"}",
	    "debezium.source.table.include.list=a,b\n"
	    "debezium.source.tombstones.on.delete=false\n"
	    "debezium.source.heartbeat.interval.ms=1000\n"
	    "debezium.source.offset.storage.file.filename=data/offsets.dat\n"
	    "debezium.format.value=json\nquarkus.log.console.json=false\n"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct config c;
		struct error err;

		if (load_text(&c, texts[i], &err) != ST_OK) {
			fail_msg("%zu: %s", i, err.text);
		}
		assert_string_equal(c.table_include_list, "a,b");
		assert_false(c.encoder.tombstones_on_delete);
		assert_int_equal(c.heartbeat_ms, 1000);
		config_clear(&c);
	}
}

static void test_the_brokers_of_debezium_server_are_a_sink(void **state)
{
	static const char text[] =
	    "debezium.sink.type=kafka\n"
	    "debezium.sink.kafka.producer.bootstrap.servers=one:9092,two:9092\n"
	    "debezium.sink.kafka.producer.linger.ms=7\n"
	    "debezium.source.topic.prefix=shop\n";
	struct config c;
	struct error err;

	(void)state;
	assert_int_equal(load_text(&c, text, &err), ST_OK);
	assert_string_equal(c.sink->scheme, "kafka://");
	assert_string_equal(c.sink_target, "one:9092,two:9092");
	assert_int_equal(c.kafka.producer.count, 1);
	assert_string_equal(c.kafka.producer.list[0].name, "linger.ms");
	config_clear(&c);
	/* The command line has the last word. */
	init(&c);
	c.sink_is_given = true;
	c.sink_of_file = strdup("kafka://one:9092");
	finish(&c);
	assert_true(c.sink->is_for_connect == false);
	config_clear(&c);
}

static void test_all_that_is_wrong_with_a_file_is_told(void **state)
{
	static const char *const wrong[] = {
	    "foo.bar: unknown", "table.include.lst: unknown", "post.processors",
	    "debezium.sink.pulsar.client"};
	struct config c;
	struct error err;

	(void)state;
	assert_int_equal(
	    load_text(
		&c,
		"{\"foo.bar\":1,\"table.include.lst\":\"\",\"post.processors\":\"x\","
		"\"debezium.sink.pulsar.client\":\"x\",\"slot.name\":\"s\"}",
		&err),
	    ST_CONFIG);
	assert_int_equal(c.problems.count, 4);
	assert_non_null(strstr(err.text, "4 settings cannot be taken"));
	for (size_t i = 0; i < 4; i++) {
		size_t found = 0;

		for (size_t k = 0; k < 4; k++) {
			found += strstr(c.problems.texts[k], wrong[i]) != NULL;
		}
		assert_int_equal(found, 1);
	}
	config_clear(&c);
	assert_int_equal(load_text(&c, "foo.bar=1", &err), ST_CONFIG);
	assert_non_null(strstr(err.text, ":1: foo.bar: unknown property"));
	config_clear(&c);
}

static void test_what_is_no_connector_is_told(void **state)
{
	static const char *const bad[][2] = {
	    {"{", "is no JSON object of a connector"},
	    {"{\"a\":1,\"a\":2}", "is no JSON object of a connector"},
	    {"{\"tasks.max\":[1]}", "tasks.max must be a text, a number"},
	    {"{\"config\":{\"tasks.max\":{}}}", "tasks.max must be a text, a number"},
	    {"{\"topic.prefix\":\"a\\u0000b\"}", "is no JSON object"},
	    {"{} x", "is no JSON object of a connector"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct config c;
		struct error err;

		assert_int_equal(load_text(&c, bad[i][0], &err), ST_CONFIG);
		if (!strstr(err.text, bad[i][1])) {
			fail_msg("%s: %s", bad[i][0], err.text);
		}
		config_clear(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults_are_debeziums_and_ours),
	    cmocka_unit_test(test_values_reach_their_fields),
	    cmocka_unit_test(test_rank_wins_whatever_the_order),
	    cmocka_unit_test(test_only_values_that_count_are_checked),
	    cmocka_unit_test(test_bad_values_say_what_they_may_be),
	    cmocka_unit_test(test_skipped_operations_may_be_none),
	    cmocka_unit_test(test_masks_of_one_name_count_once),
	    cmocka_unit_test(test_what_is_not_built_says_so),
	    cmocka_unit_test(test_defaults_of_what_is_not_built_are_accepted),
	    cmocka_unit_test(test_channels_of_signals_are_those_that_are_set),
	    cmocka_unit_test(
		test_signals_by_kafka_have_their_brokers_or_those_of_the_sink),
	    cmocka_unit_test(test_keys_without_meaning_are_warned_of),
	    cmocka_unit_test(test_what_would_change_the_messages_is_refused),
	    cmocka_unit_test(test_what_is_done_anyway_is_accepted),
	    cmocka_unit_test(test_schemas_have_the_names_that_connect_has),
	    cmocka_unit_test(test_unknown_keys_get_the_nearest_name),
	    cmocka_unit_test(test_unknown_keys_get_no_name_that_is_far),
	    cmocka_unit_test(test_prefix_is_made_of_the_database_name),
	    cmocka_unit_test(test_missing_and_clashing_settings_are_refused),
	    cmocka_unit_test(test_files_name_their_lines),
	    cmocka_unit_test(test_a_connector_is_read_as_it_is),
	    cmocka_unit_test(test_the_brokers_of_debezium_server_are_a_sink),
	    cmocka_unit_test(test_all_that_is_wrong_with_a_file_is_told),
	    cmocka_unit_test(test_what_is_no_connector_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

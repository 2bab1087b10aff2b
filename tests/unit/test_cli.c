/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/settings.h"

#define ARGS_MAX 32

/* Parse "rowtail" and the words of `line`, which are separated by one space. */
static enum status parse(const char *line, struct config *config, struct error *err)
{
	char *words = strdup(line);
	char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t) "rowtail"};
	int argc = 1;
	char *rest = words;
	char *word;
	enum status status;

	assert_non_null(words);
	while (*line && (word = strsep(&rest, " "))) {
		assert_true(argc <= ARGS_MAX);
		argv[argc++] = word;
	}
	config_init(config);
	status = cli_parse(argc, argv, config, err);
	free(words);
	return status;
}

static void parse_ok(const char *line, struct config *config)
{
	struct error err;

	if (parse(line, config, &err) != ST_OK) {
		fail_msg("%s: %s", line, err.text);
	}
}

static void check_refused(const char *line, const char *part)
{
	struct config config;
	struct error err;

	assert_int_equal(parse(line, &config, &err), ST_CONFIG);
	if (!strstr(err.text, part)) {
		fail_msg("%s: %s", line, err.text);
	}
	config_clear(&config);
}

static void assert_usage_has(const char *part)
{
	struct buffer text;

	buffer_init(&text);
	cli_add_usage(&text);
	buffer_add_char(&text, '\0');
	assert_true(buffer_ok(&text));
	assert_non_null(strstr(text.bytes, part));
	buffer_clear(&text);
}

static void test_a_database_alone_is_followed_from_now(void **state)
{
	struct config c;

	(void)state;
	parse_ok("app.db", &c);
	assert_null(c.command);
	assert_string_equal(c.database_path, "app.db");
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_NO_DATA);
	assert_int_equal(c.lines, LINES_VALUE);
	assert_false(c.once);
	assert_false(c.log_json);
	assert_int_equal(c.log_most, LOG_INFO);
	config_clear(&c);
}

static void test_options_may_stand_anywhere(void **state)
{
	struct config c;

	(void)state;
	parse_ok("--snapshot app.db --once --lines=record --to stdout --quiet "
		 "--log-format json -D topic.prefix=p -Dtopic.delimiter=-",
		 &c);
	assert_string_equal(c.database_path, "app.db");
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	assert_true(c.once);
	assert_int_equal(c.lines, LINES_RECORD);
	assert_int_equal(c.log_most, LOG_WARN);
	assert_true(c.log_json);
	assert_string_equal(c.encoder.topic_prefix, "p");
	assert_string_equal(c.encoder.topic_delimiter, "-");
	config_clear(&c);

	(void)setenv("POSIXLY_CORRECT", "1", 1);
	parse_ok("app.db --verbose --lines value", &c);
	assert_int_equal(c.log_most, LOG_DEBUG);
	config_clear(&c);
	(void)unsetenv("POSIXLY_CORRECT");
}

static void test_values_may_have_an_equals_sign(void **state)
{
	struct config c;

	(void)state;
	parse_ok("app.db -D table.include.list=a=b,=", &c);
	assert_string_equal(c.table_include_list, "a=b,=");
	config_clear(&c);
}

static void test_the_command_line_wins_over_defines(void **state)
{
	struct config c;

	(void)state;
	parse_ok("app.db --snapshot -D snapshot.mode=no_data -D database.file.path=b",
		 &c);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	assert_string_equal(c.database_path, "app.db");
	config_clear(&c);
	parse_ok("-D database.file.path=b", &c);
	assert_string_equal(c.database_path, "b");
	config_clear(&c);
}

static void test_help_and_version_need_nothing_else(void **state)
{
	struct config c;

	(void)state;
	parse_ok("--help", &c);
	assert_true(c.wants_help);
	config_clear(&c);
	parse_ok("app.db --version --no-such-option", &c);
	assert_true(c.wants_version);
	config_clear(&c);
	assert_usage_has("rowtail DATABASE");
}

static void test_wrong_usage_says_what_is_wrong(void **state)
{
	(void)state;
	check_refused("", "no database given");
	check_refused("a.db b.db", "unexpected b.db");
	check_refused("app.db --no-such-option", "unknown option --no-such-option");
	check_refused("app.db --no-such-option=3", "unknown option --no-such-option=3");
	check_refused("app.db -x", "unknown option -x");
	check_refused("app.db --once=yes", "--once takes no value");
	check_refused("app.db --lines", "missing behind --lines");
	check_refused("app.db -D", "missing behind -D");
	check_refused("app.db -D topic.prefix", "KEY=VALUE");
	check_refused("app.db -D =x", "KEY=VALUE");
	check_refused("app.db -D topic.prefx=x", "-D topic.prefx: unknown property");
	check_refused("app.db --lines=both",
		      "--lines=both: must be value, record or flat");
	check_refused("app.db --log-format=xml", "must be text or json");
	check_refused("app.db --to pipe", "--to pipe: must be stdout");
	check_refused("app.db --config /nonexistent/file", "/nonexistent/file");
	check_refused("app.db --once", "nothing to do");
	check_refused("app.db --once -D snapshot.mode=no_data", "nothing to do");
}

static void test_kafka_has_brokers_and_a_state(void **state)
{
	struct config c;

	(void)state;
	parse_ok("/nonexistent/app.db --to kafka://a:9092,b:9093", &c);
	assert_ptr_equal(c.sink, &kafka_kind);
	assert_string_equal(c.sink_target, "a:9092,b:9093");
	assert_string_equal(c.state_path, "/nonexistent/app.db-rowtail");
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	assert_true(c.kafka.exactly_once);
	config_clear(&c);
	parse_ok("a.db --to kafka://a --state=none -D exactly.once.support=disabled",
		 &c);
	assert_null(c.state_path);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_NO_DATA);
	config_clear(&c);
	parse_ok("a.db --to kafka://a --state=none --state=d", &c);
	assert_string_equal(c.state_path, "d");
	config_clear(&c);
	check_refused("a.db --to kafka://a --state=none", "exactly.once.support");
	check_refused("a.db --state=none", "exactly.once.support");
	check_refused("a.db --to kafka:a:9092", "kafka://HOST:PORT");
	check_refused("a.db --to kafka://", "kafka://HOST:PORT");
	check_refused("a.db --to kafka://a/topic", "kafka://HOST:PORT");
}

static void test_a_file_has_its_state_beside_the_database(void **state)
{
	struct config c;

	(void)state;
	parse_ok("/nonexistent/app.db --to file:out.jsonl", &c);
	assert_ptr_equal(c.sink, &file_kind);
	assert_string_equal(c.sink_target, "out.jsonl");
	assert_string_equal(c.state_path, "/nonexistent/app.db-rowtail");
	assert_true(c.state_is_default);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	config_clear(&c);
	parse_ok("a.db --to file:/x/y --state d --once", &c);
	assert_string_equal(c.sink_target, "/x/y");
	assert_string_equal(c.state_path, "d");
	assert_false(c.state_is_default);
	config_clear(&c);
	parse_ok("a.db --to file:x --to stdout", &c);
	assert_ptr_equal(c.sink, &stdout_kind);
	assert_null(c.sink_target);
	assert_null(c.state_path);
	config_clear(&c);
	parse_ok("a.db --to null:", &c);
	assert_ptr_equal(c.sink, &null_kind);
	assert_null(c.sink_target);
	assert_null(c.state_path);
	config_clear(&c);
	check_refused("a.db --to file:",
		      "must be stdout, file:PATH, audit:PATH, kafka://");
}

static void test_commands_have_what_they_need(void **state)
{
	struct config c;

	(void)state;
	parse_ok("status --state d", &c);
	assert_ptr_equal(c.command, &status_command);
	assert_string_equal(c.state_path, "d");
	assert_false(c.json);
	config_clear(&c);
	parse_ok("--state d --json status", &c);
	assert_ptr_equal(c.command, &status_command);
	assert_true(c.json);
	config_clear(&c);
	parse_ok("verify --state d app.db", &c);
	assert_ptr_equal(c.command, &verify_command);
	assert_string_equal(c.database_path, "app.db");
	config_clear(&c);
	parse_ok("./status", &c);
	assert_null(c.command);
	config_clear(&c);
	check_refused("status",
		      "no state directory given: rowtail status DATABASE|--state DIR");
	check_refused("verify app.db", "no state directory given: rowtail verify");
	check_refused("verify --state d", "no database given");
	check_refused("status --state d app.db",
		      "--state DIR or a database, not both; leave out app.db");
	check_refused("status app.db b.db", "unexpected b.db");
	parse_ok("status nowhere/app.db --check --max-lag 30s --max-bytes 5", &c);
	assert_string_equal(c.state_path, "nowhere/app.db-rowtail");
	assert_true(c.status.check);
	assert_string_equal(c.status.max_lag, "30s");
	assert_string_equal(c.status.max_bytes, "5");
	config_clear(&c);
	parse_ok("app.db --wait", &c);
	assert_true(c.wait);
	config_clear(&c);
	check_refused("status --state d --wait", "--wait goes with following");
	parse_ok("check app.db --json --wait --to file:out --state=d --archive a", &c);
	assert_ptr_equal(c.command, &check_command);
	assert_true(c.is_check && c.json && c.wait);
	assert_string_equal(c.database_path, "app.db");
	assert_string_equal(c.sink->name, "file");
	assert_string_equal(c.archive_to, "a");
	config_clear(&c);
	/* What cannot be taken is for the command to tell. */
	parse_ok("check app.db -D no.such=1 -D snapshot.mode=often", &c);
	assert_int_equal(c.problems.count, 2);
	config_clear(&c);
	check_refused("check app.db b.db", "unexpected b.db");
	check_refused("check app.db --prometheus", "go with rowtail status only");
	parse_ok("status --state d --prometheus", &c);
	assert_true(c.status.prometheus);
	config_clear(&c);
	check_refused("verify --state d app.db --check", "go with rowtail status only");
	check_refused("app.db --prometheus", "go with rowtail status only");
	check_refused("status --state d --max-lag 1s", "go with --check only");
	check_refused("status --state d --check --json", "leave out all but one");
	check_refused("status --state d --check --prometheus", "leave out all but one");
	check_refused("verify --state d a.db b.db", "unexpected b.db");
	parse_ok("signal --state d log hello", &c);
	assert_ptr_equal(c.command, &signal_command);
	assert_int_equal(c.word_count, 2);
	assert_string_equal(c.words[1], "hello");
	config_clear(&c);
	parse_ok("--table a signal execute-snapshot --state d --table b --where x "
		 "--type=blocking --id i",
		 &c);
	assert_int_equal(c.signal.table_count, 2);
	assert_string_equal(c.signal.tables[0], "a");
	assert_string_equal(c.signal.tables[1], "b");
	assert_string_equal(c.signal.where, "x");
	assert_string_equal(c.signal.type, "blocking");
	assert_string_equal(c.signal.id, "i");
	config_clear(&c);
	check_refused("signal --state d", "too few words: rowtail signal");
	check_refused("signal --state d log a b", "unexpected b");
	check_refused("app.db --where x", "--where, --type and --id go with");
	check_refused("status --state d --id x", "--where, --type and --id go with");
	check_refused("app.db --table x", "--table also with rowtail signal");
	check_refused("app.db --json", "--json goes with rowtail status");
	check_refused("app.db -D no.such=1 -D snapshot.mode=often",
		      "2 settings cannot be taken");
	check_refused("verify --state d app.db --json", "--json goes with rowtail");
}

static void test_commands_on_an_archive_take_words(void **state)
{
	struct config c;

	(void)state;
	parse_ok("restore file:a out.db --at -10m", &c);
	assert_string_equal(c.command->name, "restore");
	assert_int_equal(c.word_count, 2);
	assert_string_equal(c.words[0], "file:a");
	assert_string_equal(c.words[1], "out.db");
	assert_string_equal(c.at, "-10m");
	assert_null(c.database_path);
	config_clear(&c);
	parse_ok("--json archive list a", &c);
	assert_string_equal(c.command->name, "archive");
	assert_string_equal(c.words[0], "list");
	assert_null(c.at);
	assert_true(c.json);
	config_clear(&c);
	parse_ok("sql a --format=csv --at first -", &c);
	assert_string_equal(c.command->name, "sql");
	assert_string_equal(c.words[0], "a");
	assert_string_equal(c.words[1], "-");
	assert_string_equal(c.format, "csv");
	config_clear(&c);
	parse_ok("audit verify l --key k --checkpoint a --checkpoint b --json", &c);
	assert_string_equal(c.command->name, "audit");
	assert_string_equal(c.words[1], "l");
	assert_string_equal(c.audit_key, "k");
	assert_int_equal(c.checkpoint_count, 2);
	assert_string_equal(c.checkpoints[1], "b");
	config_clear(&c);
	parse_ok("audit history l t -5 --at -2h --json", &c);
	assert_int_equal(c.word_count, 4);
	assert_string_equal(c.words[3], "-5");
	assert_string_equal(c.at, "-2h");
	config_clear(&c);
	parse_ok(
	    "audit report l --table t --by b --op o --column c --since s --until u "
	    "--value v --no-context --csv",
	    &c);
	assert_string_equal(c.report.table, "t");
	assert_string_equal(c.report.by, "b");
	assert_string_equal(c.report.op, "o");
	assert_string_equal(c.report.column, "c");
	assert_string_equal(c.report.since, "s");
	assert_string_equal(c.until, "u");
	assert_string_equal(c.report.value, "v");
	assert_true(c.report.no_context && c.report.csv);
	config_clear(&c);
	parse_ok("app.db --to audit:l --accept-gap", &c);
	assert_true(c.accept_gap && c.audit_redactable);
	config_clear(&c);
	check_refused("app.db --accept-gap", "--accept-gap goes with --to audit:PATH");
	check_refused("app.db --key k", "go with rowtail audit verify only");
	check_refused("audit verify", "too few words");
	check_refused("app.db --by b", "go with rowtail audit report only");
	check_refused("verify --state s a.db --csv",
		      "go with rowtail audit report only");
	check_refused("audit report l --follow", "go with rowtail events only");
	parse_ok("restore -- -a -b", &c);
	assert_string_equal(c.words[1], "-b");
	config_clear(&c);
	parse_ok("./restore", &c);
	assert_null(c.command);
	config_clear(&c);
	check_refused("restore a", "too few words: rowtail restore ARCHIVE OUT");
	check_refused("restore a b c", "unexpected c");
	check_refused("restore a b --state d", "--state does not go with rowtail");
	check_refused("archive list a --at first", "--at goes with rowtail restore");
	check_refused("restore a b --json", "--json goes with rowtail status or");
	check_refused("restore a b --at", "a value is missing behind --at");
	check_refused("sql a", "too few words: rowtail sql SOURCE SQL");
	check_refused("restore a b --format=csv", "--format goes with rowtail sql");
}

static void test_events_of_two_files_have_the_options_of_events(void **state)
{
	struct config c;

	(void)state;
	parse_ok("diff a.db dir/b.db -D table.include.list=t --lines=record", &c);
	assert_string_equal(c.command->name, "diff");
	assert_string_equal(c.words[0], "a.db");
	assert_string_equal(c.words[1], "dir/b.db");
	assert_string_equal(c.database_path, "dir/b.db");
	assert_string_equal(c.database_name, "b.db");
	assert_string_equal(c.encoder.topic_prefix, "b");
	assert_string_equal(c.table_include_list, "t");
	assert_int_equal(c.lines, LINES_RECORD);
	assert_null(c.state_path);
	config_clear(&c);
	parse_ok("diff file:dir/app first -1h", &c);
	assert_int_equal(c.word_count, 3);
	assert_string_equal(c.archive, "file:dir/app");
	assert_string_equal(c.encoder.topic_prefix, "app");
	config_clear(&c);
	check_refused("diff a.db", "too few words: rowtail diff");
	check_refused("diff a.db b.db c.db d.db", "unexpected");
	check_refused("diff a.db b.db --state d", "--state does not go");
	parse_ok("diff a.db b.db --sql", &c);
	assert_true(c.sql);
	config_clear(&c);
	check_refused("a.db --sql", "--sql goes with rowtail diff only");
}

static void test_events_take_an_archive_and_the_options_of_a_run(void **state)
{
	struct config c;

	(void)state;
	parse_ok("events file:a/b.db/ --from first --to latest --to file:out", &c);
	assert_string_equal(c.command->name, "events");
	assert_string_equal(c.archive, "file:a/b.db/");
	assert_string_equal(c.database_name, "b.db");
	assert_string_equal(c.encoder.topic_prefix, "b");
	assert_string_equal(c.from, "first");
	assert_string_equal(c.until, "latest");
	assert_string_equal(c.sink->name, "file");
	assert_string_equal(c.state_path, "a/b.db-rowtail");
	assert_true(c.once);
	config_clear(&c);
	parse_ok("events s3://bucket/shop --follow --state d", &c);
	assert_string_equal(c.database_name, "shop");
	assert_false(c.once);
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_INITIAL);
	config_clear(&c);
	parse_ok("./events", &c);
	assert_null(c.command);
	config_clear(&c);
	check_refused("events", "no archive given: rowtail events ARCHIVE");
	check_refused("events a b", "one archive at a time, unexpected b");
	check_refused("events a --follow --to lsn:3", "so --until does not go with it");
	check_refused("events a --follow --once", "so --once does not go with it");
	check_refused("events s3://b/p --to file:x", "give --state DIR");
	check_refused("app.db --to latest", "go with rowtail events only");
	check_refused("app.db --follow", "go with rowtail events only");
}

static void test_words_behind_two_dashes_are_no_options(void **state)
{
	struct config c;

	(void)state;
	parse_ok("--quiet -- --snapshot", &c);
	assert_string_equal(c.database_path, "--snapshot");
	assert_int_equal(c.snapshot_mode, SNAPSHOT_MODE_NO_DATA);
	config_clear(&c);
	check_refused("a -- b", "unexpected b");
}

static void test_log_settings_hold_also_after_an_error(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	assert_int_equal(parse("--log-format=json --quiet --lines=x", &c, &err),
			 ST_CONFIG);
	assert_true(c.log_json);
	assert_int_equal(c.log_most, LOG_WARN);
	config_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_database_alone_is_followed_from_now),
	    cmocka_unit_test(test_options_may_stand_anywhere),
	    cmocka_unit_test(test_values_may_have_an_equals_sign),
	    cmocka_unit_test(test_the_command_line_wins_over_defines),
	    cmocka_unit_test(test_help_and_version_need_nothing_else),
	    cmocka_unit_test(test_wrong_usage_says_what_is_wrong),
	    cmocka_unit_test(test_kafka_has_brokers_and_a_state),
	    cmocka_unit_test(test_a_file_has_its_state_beside_the_database),
	    cmocka_unit_test(test_commands_have_what_they_need),
	    cmocka_unit_test(test_commands_on_an_archive_take_words),
	    cmocka_unit_test(test_events_of_two_files_have_the_options_of_events),
	    cmocka_unit_test(test_events_take_an_archive_and_the_options_of_a_run),
	    cmocka_unit_test(test_words_behind_two_dashes_are_no_options),
	    cmocka_unit_test(test_log_settings_hold_also_after_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

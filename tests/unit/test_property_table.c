/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of properties against what they do: a small database is followed with each
 * property set to other values, and the messages say whether it shapes them.
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
#include <ftw.h>
#include <sqlite3.h>
#include <unistd.h>

#include "src/base/buffer.h"
#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/base/stop.h"
#include "src/cli.h"
#include "src/config/property_table.h"
#include "src/config/settings.h"
#include "src/follow.h"

/* With these each property has something to show. */
static const char base_settings[] = "schemas.enable=true\n"
				    "provide.transaction.metadata=true\n"
				    "transaction.context.table=who\n";

static const char at_first[] =
    "PRAGMA journal_mode=WAL;"
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, \"odd-name\" TEXT, data BLOB,"
    "               price DECIMAL(10,2), ok BOOLEAN, number INTEGER);"
    "CREATE TABLE u(a, b);"
    "CREATE TABLE k(code TEXT PRIMARY KEY, n INTEGER);"
    "CREATE TABLE who(id INTEGER PRIMARY KEY, name TEXT);"
    "INSERT INTO t VALUES (1, 'first name', 'x', x'fbff00', 1.5, 1, 7),"
    "                     (2, 'second name', 'y', NULL, 2, 0, 'no number');"
    "INSERT INTO u VALUES (1, 2);"
    "INSERT INTO k VALUES ('a', 1);";

static const char later[] =
    "INSERT INTO t VALUES (3, 'third name', 'z', x'00', 3.5, 1, 8);"
    "BEGIN; UPDATE t SET name = 'another name' WHERE id = 1; DELETE FROM t WHERE id = "
    "3;"
    "UPDATE k SET code = 'b'; COMMIT;"
    "INSERT INTO u VALUES (3, 4); DELETE FROM u WHERE a = 1;"
    "INSERT INTO who VALUES (1, 'somebody');";

#define NOBODY "signal.kafka.bootstrap.servers=127.0.0.1:1"

/* Values of properties whose type does not say which there are, and what else they
 * need. */
static const struct {
	const char *name;
	const char *setting;
	const char *with; /* or NULL */
} samples[] = {
    {"archive.compaction.levels", "archive.compaction.levels=1s", NULL},
    {"archive.snapshot.interval", "archive.snapshot.interval=1s", NULL},
    {"archive.retention", "archive.retention=1s", NULL},
    {"archive.l0.retention", "archive.l0.retention=1s", NULL},
    {"metrics.listen", "metrics.listen=127.0.0.1:9", NULL},
    {"table.include.list", "table.include.list=t", NULL},
    {"table.exclude.list", "table.exclude.list=u", NULL},
    {"column.include.list", "column.include.list=t\\.name", NULL},
    {"column.exclude.list", "column.exclude.list=t\\.name", NULL},
    {"column.mask.with.*", "column.mask.with.4.chars=t\\.name", NULL},
    {"column.mask.hash.*", "column.mask.hash.SHA-256.with.salt.s=t\\.name", NULL},
    {"column.truncate.to.*", "column.truncate.to.2.chars=t\\.name", NULL},
    {"message.key.columns", "message.key.columns=t:name", NULL},
    {"snapshot.select.statement.overrides", "snapshot.select.statement.overrides=u",
     "snapshot.select.statement.overrides.u=SELECT * FROM u WHERE 0"},
    {"snapshot.select.statement.overrides.*",
     "snapshot.select.statement.overrides.u=SELECT * FROM u WHERE 0",
     "snapshot.select.statement.overrides=u"},
    {"transaction.context.table", "transaction.context.table=u", NULL},
    {"transforms", "transforms=u", "transforms.u.type=ExtractNewRecordState"},
    {"transforms.*", "transforms.u.type=ExtractNewRecordState", "transforms=u"},
    {"notification.enabled.channels", "notification.enabled.channels=sink,log",
     "notification.sink.topic.name=notes"},
    {"signal.enabled.channels", "signal.enabled.channels=kafka", NOBODY},
    {"signal.kafka.topic", "signal.kafka.topic=signals", NOBODY},
    {"signal.kafka.bootstrap.servers", NOBODY, NULL},
    {"signal.kafka.groupId", "signal.kafka.groupId=others", NOBODY},
    {"signal.consumer.*", "signal.consumer.fetch.wait.max.ms=50", NOBODY},
    {"topic.creation.*", "topic.creation.enable=false", NULL},
    {"producer.*", "producer.linger.ms=5", NULL},
    {"archive.s3.endpoint", "archive.s3.endpoint=http://127.0.0.1:9", NULL},
    {"archive.s3.region", "archive.s3.region=eu-central-1", NULL},
    {"archive.s3.ca", "archive.s3.ca=/etc/ca.pem", NULL},
};

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void clear_folder(const char *folder)
{
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	/* Here this process is the application: src/base/sqlite_guard.h is not for it.
	 */
	sqlite_guard_lift();
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A run that fails gives fewer messages; nothing else is asked of it. */
static void quiet_run(const struct config *config)
{
	int kept = dup(STDERR_FILENO);
	int nowhere = open("/dev/null", O_WRONLY);
	struct error err;

	assert_true(kept >= 0 && nowhere >= 0);
	(void)fflush(stderr);
	(void)dup2(nowhere, STDERR_FILENO);
	if (follow_run(config, &err) != ST_OK) {
		log_error("%s", err.text);
	}
	(void)dup2(kept, STDERR_FILENO);
	(void)close(nowhere);
	(void)close(kept);
}

/* rowtail with --once; one that fails gives fewer messages. */
static void follow(const char *folder, const char *path, const char *setting,
		   const char *with)
{
	char conf[128], state[128], sink[128];
	const char *argv[20] = {"rowtail",  path, "--once",        "--quiet",
				"--to",     sink, "--state",       state,
				"--config", conf, "--lines=record"};
	int argc = 11;
	struct config config;
	struct error err = {.text = ""};

	(void)snprintf(conf, sizeof conf, "%s/conf", folder);
	(void)snprintf(state, sizeof state, "%s/state", folder);
	(void)snprintf(sink, sizeof sink, "file:%s/out", folder);
	if (setting && strncmp(setting, "--", 2) == 0) {
		argv[argc++] = setting;
	} else if (setting) {
		argv[argc++] = "-D";
		argv[argc++] = setting;
	}
	if (with) {
		argv[argc++] = "-D";
		argv[argc++] = with;
	}
	config_init(&config);
	if (cli_parse(argc, (char **)(uintptr_t)argv, &config, &err) != ST_OK) {
		fail_msg("%s: %s", setting, err.text);
	}
	quiet_run(&config);
	config_clear(&config);
}

static void read_messages(const char *folder, struct buffer *out)
{
	char path[128];
	char *line = NULL;
	size_t cap = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/out", folder);
	file = fopen(path, "r");
	while (file && getline(&line, &cap, file) > 0) {
		if (strstr(line, "\"topic\":\"__debezium-heartbeat") ||
		    strstr(line, "\"topic\":\"notes\"")) {
			continue; /* it is of no transaction */
		}
		for (const char *p = line; *p; p++) {
			buffer_add_char(out, *p);
			if (strncmp(p, "\"ts_", 4) == 0) {
				p += strcspn(p, ":");
				p += strspn(p, ":0123456789") - 1;
			}
		}
	}
	buffer_add_char(out, '\0');
	free(line);
	if (file) {
		(void)fclose(file);
	}
}

/* The messages of the snapshot and of what comes later, with that setting. */
static void play(const char *name, const char *setting, const char *with,
		 struct buffer *out)
{
	char folder[] = "/tmp/rowtail-test-XXXXXX";
	char path[128];
	FILE *conf;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/conf", folder);
	conf = fopen(path, "w");
	assert_non_null(conf);
	assert_true(fputs(base_settings, conf) >= 0);
	assert_int_equal(fclose(conf), 0);
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	run_sql(path, at_first);
	follow(folder, path, setting, with);
	run_sql(path, later);
	follow(folder, path, setting, with);
	buffer_init(out);
	read_messages(folder, out);
	assert_true(buffer_ok(out));
	clear_folder(folder);
}

static bool changes(const struct buffer *base, const char *name, const char *setting,
		    const char *with)
{
	struct buffer messages;
	bool is_other;

	play(name, setting, with, &messages);
	is_other = strcmp(messages.bytes, base->bytes) != 0;
	buffer_clear(&messages);
	return is_other;
}

/* Another word for `name`, which may be an option. */
static bool word_changes(const struct buffer *base, const char *name, const char *word)
{
	char setting[256];

	(void)snprintf(setting, sizeof setting, "%s=%s", name, word);
	return changes(base, "my-app.db", setting, NULL);
}

static bool any_choice_changes(const struct buffer *base, const struct property *p)
{
	for (const struct property_choice *c = p->choices; c->name; c++) {
		/* These say which transactions there are, not what messages they have:
		 * a position in one of them goes on as well. */
		if (strcmp(c->name, "no_data") == 0 ||
		    strcmp(c->name, "initial_only") == 0 ||
		    strcmp(c->name, "always") == 0) {
			continue;
		}
		if (!c->refused && word_changes(base, p->name, c->name)) {
			return true;
		}
	}
	return false;
}

static bool sample_changes(const struct buffer *base, const struct property *p)
{
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		if (strcmp(samples[i].name, p->name) == 0) {
			return changes(base, "my-app.db", samples[i].setting,
				       samples[i].with);
		}
	}
	fail_msg("%s: no value of it to try; add one to samples", p->name);
	return false;
}

static bool property_changes(const struct buffer *base, const struct property *p)
{
	switch (p->type) {
	case TAKES_BOOL:
		return word_changes(base, p->name, "true") ||
		       word_changes(base, p->name, "false");
	case TAKES_SINK: /* see test_the_kind_of_sink_shapes_the_messages */
		return true;
	case TAKES_CHOICE:
	case TAKES_SET:
		return strcmp(p->name, "notification.enabled.channels") == 0 ||
			       strcmp(p->name, "signal.enabled.channels") == 0
			   ? sample_changes(base, p)
			   : any_choice_changes(base, p);
	case TAKES_TOPIC_PART:
		return strcmp(p->name, "signal.kafka.topic") == 0
			   ? sample_changes(base, p)
			   : word_changes(base, p->name, "other");
	case TAKES_PATH:
		return strcmp(p->name, "database.file.path") == 0
			   ? changes(base, "other.db", NULL, NULL)
			   : word_changes(base, p->name, "other");
	case TAKES_SECRET:
		return word_changes(base, p->name, "${env:PATH}");
	case TAKES_BYTES:
		return word_changes(base, p->name, "1000000000");
	case TAKES_NUMBER:
		return word_changes(base, p->name, p->most < 1000 ? "2" : "1000");
	case TAKES_DURATION:
		return word_changes(base, p->name, "1000s");
	case TAKES_TEXT:
	case TAKES_FAMILY:
		return sample_changes(base, p);
	case TAKES_NONE:
		break;
	}
	return word_changes(base, p->name, "false"); /* an alias */
}

/* librdkafka starts threads that the sanitizer of threads does not see. */
static bool is_unseen(const struct property *p)
{
#ifdef __SANITIZE_THREAD__
	return strncmp(p->name, "signal.kafka.", 13) == 0 ||
	       strcmp(p->name, "signal.consumer.*") == 0 ||
	       strcmp(p->name, "signal.enabled.channels") == 0;
#else
	(void)p;
	return false;
#endif
}

static void test_what_shapes_the_messages_is_what_the_table_says(void **state)
{
	struct buffer base, again;

	(void)state;
	play("my-app.db", NULL, NULL, &base);
	assert_true(strstr(base.bytes, "\"op\":\"r\"") &&
		    strstr(base.bytes, "\"op\":\"d\""));
	play("my-app.db", NULL, NULL, &again);
	assert_string_equal(base.bytes, again.bytes);
	buffer_clear(&again);
	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);
		const struct property *meant = p;

		/* --to: see the next test; of an audit log: test_audit_line; of
		 * transactions that a stop does not join: test_transaction_context;
		 * it goes with a channel alone: test_notifications; of snapshots that
		 * a signal asks for, of which there is none here; the table of
		 * signals comes though the lists leave it out, and there are none. */
		if (p->kind > PROPERTY_OPTION || strcmp(p->name, "--to") == 0 ||
		    strcmp(p->name, "audit.row") == 0 ||
		    strcmp(p->name, "audit.process") == 0 ||
		    strcmp(p->name, "transaction.context.alone") == 0 ||
		    strcmp(p->name, "incremental.snapshot.chunk.size") == 0 ||
		    strcmp(p->name, "signal.data.collection") == 0 || is_unseen(p) ||
		    strcmp(p->name, "notification.file") == 0) {
			continue;
		}
		if (p->kind == PROPERTY_ALIAS) {
			meant = property_at(property_find(p->alias_of));
			if (meant->type != TAKES_BOOL) {
				continue;
			}
		}
		if (property_changes(&base, p) != meant->shapes) {
			fail_msg("%s %s the messages, and its entry says otherwise",
				 p->name, meant->shapes ? "does not shape" : "shapes");
		}
	}
	buffer_clear(&base);
}

/* What goes to Kafka has other messages by default, and where it goes is an option. */
static void test_the_kind_of_sink_shapes_the_messages(void **state)
{
	const struct property *p = property_at(0);
	struct config config;
	struct error err;

	(void)state;
	for (size_t i = 0; strcmp(p->name, "--to") != 0; i++) {
		p = property_at(i);
	}
	assert_true(p->shapes);
	config_init(&config);
	config.sink = &kafka_kind;
	assert_int_equal(
	    config_set(&config, CONFIG_DEFINE, "", "database.file.path", "a", &err),
	    ST_OK);
	assert_int_equal(config_finish(&config, &err), ST_OK);
	assert_true(config.encoder.schema_changes);
	config_clear(&config);
}

static void test_entries_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);
		bool has_field = p->field_size > 0;

		if (p->kind == PROPERTY_BUILT) {
			assert_true(has_field || p->type == TAKES_FAMILY);
			assert_true(p->text || p->family == FAMILY_OVERRIDES);
			/* People are told what the default is. */
			assert_true(p->fallback || p->shown_fallback ||
				    p->family == FAMILY_OVERRIDES);
			assert_true(property_find(p->name) == i);
		}
		if (p->text && strlen(p->text) > 75) {
			fail_msg("%s: a line is 75 characters", p->name);
		}
		if (p->kind == PROPERTY_REFUSED) {
			assert_non_null(p->advice);
		}
		if (p->kind == PROPERTY_ALIAS) {
			assert_true(property_find(p->alias_of) < property_count());
		}
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(p->name, property_at(j)->name);
		}
	}
}

static void test_the_longest_beginning_is_the_family(void **state)
{
	(void)state;
	assert_string_equal(property_at(property_find("producer.acks"))->name,
			    "producer.*");
	assert_string_equal(property_at(property_find("topic.creation.enable"))->name,
			    "topic.creation.*");
	assert_int_equal(property_find("producer"), property_count());
	assert_string_equal(
	    property_at(property_find("value.converter.schema.registry.url"))->name,
	    "value.converter.*");
	assert_string_equal(
	    property_at(property_find("value.converter.schemas.enable"))->alias_of,
	    "schemas.enable");
	assert_int_equal(property_find("--lines"), property_count());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_shapes_the_messages_is_what_the_table_says),
	    cmocka_unit_test(test_the_kind_of_sink_shapes_the_messages),
	    cmocka_unit_test(test_entries_are_whole),
	    cmocka_unit_test(test_the_longest_beginning_is_the_family),
	};
	struct error err;

	if (stop_setup(&err) != ST_OK) {
		return 1;
	}
	log_setup(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

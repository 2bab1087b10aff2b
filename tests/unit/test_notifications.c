/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of notifications: lines on stderr, lines of a file that may be wrong in
 * many ways, and messages to a sink.
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
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/cli.h"
#include "src/config/settings.h"
#include "src/deliver/notifications.h"

#define ARGS_MAX 24
#define ROOM     4096

#define SINK_ON                                                                    \
	"notification.enabled.channels=sink", "notification.sink.topic.name=srv1-" \
					      "notes"

/* A sink that keeps its last message. */
struct keeper {
	struct sink sink;
	const char *topic_of_its_own;
	size_t count;
	struct message last;
	char topic[64], key[ROOM], value[ROOM];
};

static void keep(char *to, struct span from)
{
	assert_true(from.len < ROOM);
	memcpy(to, from.bytes ? from.bytes : "", from.len);
	to[from.len] = '\0';
}

static enum status keeper_put(struct sink *sink, const struct message *message,
			      struct error *err)
{
	struct keeper *k = (struct keeper *)sink;

	(void)err;
	k->count++;
	k->last = *message;
	keep(k->topic, message->topic);
	keep(k->key, message->key);
	keep(k->value, message->value);
	return ST_OK;
}

static const char *keeper_topic(const struct sink *sink)
{
	return ((const struct keeper *)sink)->topic_of_its_own;
}

static const struct sink_kind keeper_kind = {
    .name = "keeper", .wants_keys = true, .put = keeper_put, .own_topic = keeper_topic};

static enum status failing_put(struct sink *sink, const struct message *message,
			       struct error *err)
{
	(void)sink;
	(void)message;
	return error_set(err, ST_CLOSED, "gone");
}

static const struct sink_kind failing_kind = {.name = "failing", .put = failing_put};

struct rig {
	char folder[64];
	char database[80];
	char file[80];     /* of notifications */
	char file_on[100]; /* its property */
	struct config config;
	struct route route;
	struct keeper keeper;
	struct notifications *n;
	int saved_stderr;
	char said[ROOM];
};

/* ---- the rig ---- */

static void put_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void get_text(const char *path, char out[ROOM])
{
	FILE *f = fopen(path, "re");
	size_t len;

	assert_non_null(f);
	len = fread(out, 1, ROOM - 1, f);
	out[len] = '\0';
	(void)fclose(f);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	(void)strcpy(rig->folder, "/tmp/rowtail-notes-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->database, sizeof rig->database, "%s/srv1.db", rig->folder);
	(void)snprintf(rig->file, sizeof rig->file, "%s/notes", rig->folder);
	(void)snprintf(rig->file_on, sizeof rig->file_on, "notification.file=%s",
		       rig->file);
	put_text(rig->database, "");
	rig->keeper.sink.kind = &keeper_kind;
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[100];

	notifications_close(rig->n);
	route_clear(&rig->route);
	config_clear(&rig->config);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->folder);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

/* stderr into a file, and what came. */
static void listen(struct rig *rig)
{
	char path[80];
	int fd;

	(void)snprintf(path, sizeof path, "%s/stderr", rig->folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)fflush(stderr);
	rig->saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	(void)close(fd);
}

static const char *heard(struct rig *rig)
{
	char path[80];

	(void)snprintf(path, sizeof path, "%s/stderr", rig->folder);
	assert_true(dup2(rig->saved_stderr, STDERR_FILENO) >= 0);
	(void)close(rig->saved_stderr);
	get_text(path, rig->said);
	return rig->said;
}

/* `words`: options, and properties KEY=VALUE; the last one is NULL. */
static enum status configure(struct rig *rig, const char *const *words,
			     struct error *err)
{
	const char *argv[ARGS_MAX] = {"rowtail", rig->database};
	int argc = 2;
	enum status status;

	for (; *words; words++) {
		assert_true(argc + 2 < ARGS_MAX);
		if ((*words)[0] != '-') {
			argv[argc++] = "-D";
		}
		argv[argc++] = *words;
	}
	config_clear(&rig->config);
	status = cli_parse(argc, (char **)(uintptr_t)argv, &rig->config, err);
	log_setup(rig->config.log_most, false);
	return status;
}

/* As the encoder makes it. */
static enum status make_route(struct rig *rig, struct error *err)
{
	const char *topic = rig->config.encoder.notification_topic;
	struct transforms *transforms;
	enum status status =
	    transform_options_open(&rig->config.transforms, false, &transforms, err);

	route_clear(&rig->route);
	if (status == ST_OK) {
		topic = topic ? topic : "";
		status = transforms_route(
		    transforms, (struct span){topic, strlen(topic)}, &rig->route, err);
	}
	transforms_close(transforms);
	return status;
}

static enum status open_with(struct rig *rig, struct error *err,
			     const char *const *words)
{
	enum status status = configure(rig, words, err);

	notifications_close(rig->n);
	rig->n = NULL;
	return status == ST_OK && make_route(rig, err) == ST_OK
		   ? notifications_open(&rig->config, &rig->route, &rig->keeper.sink,
					&rig->n, err)
		   : err->status;
}

#define OPEN(rig, err, ...) \
	open_with(rig, err, (const char *const[]){__VA_ARGS__, NULL})

#define OPEN_OK(rig, ...)                                    \
	do {                                                 \
		struct error why;                            \
		if (OPEN(rig, &why, __VA_ARGS__) != ST_OK) { \
			fail_msg("%s", why.text);            \
		}                                            \
	} while (0)

static const char *const orders[] = {"orders"};
static const struct notification_of asked = {.is_incremental = true,
					     .id = "9f1c",
					     .tables = orders,
					     .table_count = 1,
					     .table = "orders",
					     .rows = 120,
					     .maximum_key = "8",
					     .last_processed_key = "3"};

static void send(struct rig *rig, enum notification_kind kind,
		 const struct notification_of *of)
{
	struct error err;

	if (notifications_send(rig->n, kind, of, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

/* ---- the log ---- */

static void test_by_default_steps_are_lines_of_the_log(void **state)
{
	struct rig *rig = *state;
	struct notification_of of = asked;

	OPEN_OK(rig, "--lines=value");
	listen(rig);
	send(rig, NOTIFY_STARTED, &of);
	send(rig, NOTIFY_IN_PROGRESS, &of);
	send(rig, NOTIFY_TABLE_SCAN_COMPLETED, &of);
	of.rows = 1;
	of.scan_status = "EMPTY";
	send(rig, NOTIFY_TABLE_SCAN_COMPLETED, &of);
	send(rig, NOTIFY_PAUSED, &of);
	send(rig, NOTIFY_RESUMED, &of);
	of.is_incremental = false; /* a blocking one */
	send(rig, NOTIFY_COMPLETED, &of);
	of.id = NULL; /* the first one */
	send(rig, NOTIFY_COMPLETED, &of);
	assert_string_equal(heard(rig), "rowtail: snapshot 9f1c: started: orders\n"
					"rowtail: snapshot 9f1c: table orders: 120 "
					"rows\n"
					"rowtail: snapshot 9f1c: table orders: 1 row, "
					"EMPTY\n"
					"rowtail: snapshot 9f1c: paused: orders\n"
					"rowtail: snapshot 9f1c: resumed: orders\n"
					"rowtail: snapshot 9f1c: completed\n");
	assert_int_equal(rig->keeper.count, 0);
	assert_false(notifications_reach_sink(rig->n));
}

static void test_transforms_route_them_like_other_messages(void **state)
{
	struct rig *rig = *state;

	OPEN_OK(rig, SINK_ON, "transforms=l", "transforms.l.type=ByLogicalTableRouter",
		"transforms.l.topic.regex=srv1-(.*)",
		"transforms.l.topic.replacement=all.$1",
		"transforms.l.key.field.name=was", "schemas.enable=true");
	send(rig, NOTIFY_STARTED, &asked);
	assert_string_equal(rig->keeper.topic, "all.notes");
	assert_non_null(
	    strstr(rig->keeper.key, "\"name\":\"all.notes.Key\",\"version\":1"));
	assert_non_null(strstr(rig->keeper.key, "\"field\":\"was\"}]"));
	assert_non_null(strstr(
	    rig->keeper.key, "\"payload\":{\"id\":\"9f1c\",\"was\":\"srv1-notes\"}}"));
}

static void test_verbose_shows_progress_and_the_first_snapshot(void **state)
{
	struct rig *rig = *state;
	struct notification_of of = asked;

	OPEN_OK(rig, "--verbose");
	listen(rig);
	send(rig, NOTIFY_IN_PROGRESS, &of);
	of.is_incremental = false;
	of.id = of.maximum_key = NULL;
	send(rig, NOTIFY_IN_PROGRESS, &of);
	send(rig, NOTIFY_ABORTED, &of);
	assert_string_equal(heard(rig),
			    "rowtail: snapshot 9f1c: table orders: up to key 3 of 8\n"
			    "rowtail: initial snapshot: table orders\n"
			    "rowtail: initial snapshot: aborted: orders\n");
}

static void test_a_table_that_could_not_be_read_is_a_warning(void **state)
{
	struct rig *rig = *state;
	struct notification_of of = asked;

	of.scan_status = "UNKNOWN_SCHEMA";
	OPEN_OK(rig, "--quiet");
	listen(rig);
	send(rig, NOTIFY_STARTED, &of);
	send(rig, NOTIFY_TABLE_SCAN_COMPLETED, &of);
	of.scan_status = "SUCCEEDED";
	send(rig, NOTIFY_TABLE_SCAN_COMPLETED, &of);
	assert_string_equal(heard(rig), "rowtail: snapshot 9f1c: table orders: 120 "
					"rows, UNKNOWN_SCHEMA\n");
}

static void test_hostile_ids_and_many_tables_are_one_short_line(void **state)
{
	static const char *names[2000];
	struct notification_of of = asked;
	struct rig *rig = *state;
	static char id[100000];

	for (size_t i = 0; i < 2000; i++) {
		names[i] = i == 1 ? "\nrowtail: b\x1b[2J" : "a";
	}
	memset(id, 'x', sizeof id - 1);
	(void)strcpy(id, "a: completed\nrowtail: gone");
	of.id = id;
	of.tables = names;
	of.table_count = 2000;
	OPEN_OK(rig, "--lines=value");
	listen(rig);
	send(rig, NOTIFY_STARTED, &of);
	memset(id, 'x', sizeof id - 1);
	of.table_count = 0;
	send(rig, NOTIFY_STARTED, &of);
	(void)heard(rig);
	assert_non_null(strstr(rig->said,
			       "rowtail: snapshot 'a: completed?rowtail: gone': "
			       "started: a, ?rowtail: b?[2J, a, a, a and 1995 more\n"));
	assert_true(strlen(rig->said) < 600);
	assert_ptr_equal(strchr(strchr(rig->said, '\n') + 1, '\n'),
			 rig->said + strlen(rig->said) - 1);
}

static void test_none_says_nothing(void **state)
{
	struct rig *rig = *state;

	OPEN_OK(rig, "notification.enabled.channels=none");
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	OPEN_OK(rig, "notification.enabled.channels=jmx");
	send(rig, NOTIFY_STARTED, &asked);
	assert_string_equal(heard(rig), "");
	assert_int_equal(rig->keeper.count, 0);
}

/* ---- the sink ---- */

static void test_the_sink_gets_messages_of_no_transaction(void **state)
{
	struct rig *rig = *state;

	OPEN_OK(rig, SINK_ON);
	assert_true(notifications_reach_sink(rig->n));
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	assert_string_equal(heard(rig), "");
	assert_int_equal(rig->keeper.count, 1);
	assert_string_equal(rig->keeper.topic, "srv1-notes");
	assert_string_equal(rig->keeper.key, "{\"id\":\"9f1c\"}");
	assert_int_equal(strncmp(rig->keeper.value,
				 "{\"id\":\"9f1c\",\"type\":\"STARTED\","
				 "\"aggregate_type\":\"Incremental Snapshot\","
				 "\"additional_data\":{\"connector_name\":\"srv1\","
				 "\"data_collections\":\"orders\"},\"timestamp\":1",
				 150),
			 0);
	assert_true(rig->keeper.last.index == MESSAGE_NO_INDEX);
	assert_int_equal(rig->keeper.last.header_count, 0);
}

static void test_with_schemas_key_and_value_have_theirs(void **state)
{
	struct rig *rig = *state;
	json_t *key, *value;

	OPEN_OK(rig, SINK_ON, "schemas.enable=true");
	send(rig, NOTIFY_COMPLETED, &asked);
	send(rig, NOTIFY_COMPLETED, &asked);
	key = json_loads(rig->keeper.key, 0, NULL);
	value = json_loads(rig->keeper.value, 0, NULL);
	assert_int_equal(json_object_size(key), 2);
	assert_int_equal(json_object_size(value), 2);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(key, "schema"), "name")),
	    "io.debezium.connector.common.NotificationKey");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(value, "schema"), "name")),
			    "io.debezium.connector.common.Notification");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(key, "payload"), "id")),
	    "9f1c");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(value, "payload"), "type")),
			    "COMPLETED");
	json_decref(key);
	json_decref(value);
}

static void test_a_sink_without_keys_gets_none(void **state)
{
	static const struct sink_kind keyless = {.name = "keyless", .put = keeper_put};
	struct rig *rig = *state;

	rig->keeper.sink.kind = &keyless;
	OPEN_OK(rig, SINK_ON);
	send(rig, NOTIFY_COMPLETED, &asked);
	assert_null(rig->keeper.last.key.bytes);
	OPEN_OK(rig, SINK_ON, "--lines=record");
	send(rig, NOTIFY_COMPLETED, &asked);
	assert_string_equal(rig->keeper.key, "{\"id\":\"9f1c\"}");
}

static void test_an_id_is_made_up_where_no_signal_has_one(void **state)
{
	struct notification_of of = asked;
	struct rig *rig = *state;
	char first[ROOM];

	of.id = NULL;
	OPEN_OK(rig, SINK_ON);
	send(rig, NOTIFY_STARTED, &of);
	(void)strcpy(first, rig->keeper.key);
	send(rig, NOTIFY_COMPLETED, &of);
	assert_int_equal(strlen(first), strlen("{\"id\":\"\"}") + 36);
	assert_int_equal(first[21], '4');              /* version */
	assert_non_null(memchr("89ab", first[26], 4)); /* variant */
	assert_int_equal(strspn(first + 7, "0123456789abcdef-"), 36);
	assert_string_not_equal(first, rig->keeper.key);
}

static void test_the_positions_topic_is_refused(void **state)
{
	struct rig *rig = *state;
	struct error err;

	rig->keeper.topic_of_its_own = "srv1-notes";
	assert_int_equal(OPEN(rig, &err, SINK_ON), ST_CONFIG);
	assert_non_null(strstr(err.text, "positions"));
	OPEN_OK(rig, "notification.sink.topic.name=srv1-notes"); /* not used */
}

static void test_an_error_of_the_sink_is_handed_on(void **state)
{
	struct rig *rig = *state;
	struct error err;

	rig->keeper.sink.kind = &failing_kind;
	OPEN_OK(rig, SINK_ON);
	assert_int_equal(notifications_send(rig->n, NOTIFY_STARTED, &asked, &err),
			 ST_CLOSED);
}

/* ---- the file ---- */

#define FILE_ON(rig) "notification.enabled.channels=file", (rig)->file_on

/* Lines of the file, each of them JSON. */
static size_t json_lines(const struct rig *rig)
{
	FILE *f = fopen(rig->file, "re");
	char line[ROOM];
	size_t count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *json = json_loads(line, 0, NULL);

		count += json != NULL;
		json_decref(json);
	}
	(void)fclose(f);
	return count;
}

static void test_the_file_gets_a_value_a_line(void **state)
{
	struct rig *rig = *state;
	char text[ROOM];
	struct stat st;

	OPEN_OK(rig, FILE_ON(rig), "schemas.enable=true");
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	send(rig, NOTIFY_TABLE_SCAN_COMPLETED, &asked);
	assert_string_equal(heard(rig), "");
	assert_int_equal(json_lines(rig), 2);
	get_text(rig->file, text);
	assert_int_equal(strncmp(text, "{\"id\":\"9f1c\",\"type\":\"STARTED\"", 28), 0);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(stat(rig->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(rig->keeper.count, 0);
}

static void test_the_file_is_appended_to_and_may_be_moved_away(void **state)
{
	struct rig *rig = *state;
	char moved[100];

	put_text(rig->file, "{}\n");
	OPEN_OK(rig, FILE_ON(rig));
	send(rig, NOTIFY_STARTED, &asked);
	assert_int_equal(json_lines(rig), 2);
	(void)snprintf(moved, sizeof moved, "%s.1", rig->file);
	assert_int_equal(rename(rig->file, moved), 0);
	send(rig, NOTIFY_COMPLETED, &asked);
	assert_int_equal(json_lines(rig), 1);
}

static void test_a_line_that_was_cut_is_ended_first(void **state)
{
	struct rig *rig = *state;
	char text[ROOM];

	put_text(rig->file, "{\"id\":\"9f");
	OPEN_OK(rig, FILE_ON(rig));
	send(rig, NOTIFY_STARTED, &asked);
	get_text(rig->file, text);
	assert_int_equal(strncmp(text, "{\"id\":\"9f\n{\"id\":\"9f1c\"", 20), 0);
	assert_int_equal(json_lines(rig), 1);
}

static void test_a_file_that_cannot_be_written_is_said_once(void **state)
{
	struct rig *rig = *state;

	OPEN_OK(rig, FILE_ON(rig));
	assert_int_equal(unlink(rig->file), 0);
	assert_int_equal(mkdir(rig->file, 0700), 0);
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	send(rig, NOTIFY_PAUSED, &asked);
	assert_int_equal(rmdir(rig->file), 0);
	send(rig, NOTIFY_RESUMED, &asked);
	send(rig, NOTIFY_COMPLETED, &asked);
	(void)heard(rig);
	assert_non_null(strstr(rig->said, "rowtail: notification.file: "));
	assert_non_null(strstr(rig->said, "cannot be opened"));
	assert_non_null(strstr(rig->said, "is written again\n"));
	assert_ptr_equal(strchr(strchr(rig->said, '\n') + 1, '\n'),
			 rig->said + strlen(rig->said) - 1);
	assert_int_equal(json_lines(rig), 2);
}

static void test_a_missing_folder_is_said_and_waited_for(void **state)
{
	struct rig *rig = *state;
	char folder[80];

	(void)snprintf(folder, sizeof folder, "%s/later", rig->folder);
	(void)snprintf(rig->file, sizeof rig->file, "%s/later/notes", rig->folder);
	(void)snprintf(rig->file_on, sizeof rig->file_on, "notification.file=%s",
		       rig->file);
	listen(rig);
	OPEN_OK(rig, FILE_ON(rig));
	send(rig, NOTIFY_STARTED, &asked);
	assert_non_null(strstr(heard(rig), "later/notes cannot be opened"));
	assert_int_equal(mkdir(folder, 0700), 0);
	send(rig, NOTIFY_COMPLETED, &asked);
	assert_int_equal(json_lines(rig), 1);
}

static void test_a_full_disk_ends_no_run_and_no_later_line(void **state)
{
	struct rlimit was, less;
	struct rig *rig = *state;

	put_text(rig->file, "{}\n");
	OPEN_OK(rig, FILE_ON(rig));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	less = was;
	less.rlim_cur = 40;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
	send(rig, NOTIFY_STARTED, &asked); /* stderr is limited, too */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	listen(rig);
	send(rig, NOTIFY_COMPLETED, &asked);
	assert_non_null(strstr(heard(rig), "is written again"));
	assert_int_equal(json_lines(rig), 2);
}

static void test_files_that_are_not_for_that_are_refused(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct rig *rig = *state;
	char setting[120], link_path[100], text[ROOM];
	struct error err;

	put_text(rig->database, "the database");
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		(void)snprintf(setting, sizeof setting, "notification.file=%s%s",
			       rig->database, suffixes[i]);
		assert_int_equal(
		    OPEN(rig, &err, "notification.enabled.channels=file", setting),
		    ST_CONFIG);
		assert_non_null(strstr(err.text, "a file of the database"));
		assert_int_equal(strncmp(err.text, "notification.file=/", 19), 0);
	}
	assert_int_equal(symlink(rig->database, rig->file), 0);
	assert_int_equal(OPEN(rig, &err, FILE_ON(rig)), ST_CONFIG);
	assert_int_equal(unlink(rig->file), 0);
	assert_int_equal(link(rig->database, rig->file), 0);
	assert_int_equal(OPEN(rig, &err, FILE_ON(rig)), ST_CONFIG);
	assert_int_equal(unlink(rig->file), 0);
	get_text(rig->database, text);
	assert_string_equal(text, "the database");

	(void)snprintf(link_path, sizeof link_path, "--to=file:%s", rig->file);
	assert_int_equal(OPEN(rig, &err, FILE_ON(rig), link_path), ST_CONFIG);
	assert_non_null(strstr(err.text, "--to"));
	(void)snprintf(link_path, sizeof link_path, "--state=%s/state", rig->folder);
	(void)snprintf(setting, sizeof setting, "notification.file=%s/state/notes",
		       rig->folder);
	assert_int_equal(
	    OPEN(rig, &err, "notification.enabled.channels=file", setting, link_path),
	    ST_CONFIG);
	assert_non_null(strstr(err.text, "state directory"));

	put_text(rig->file, "");
	assert_int_equal(chmod(rig->file, 0666), 0);
	assert_int_equal(OPEN(rig, &err, FILE_ON(rig)), ST_CONFIG);
	assert_non_null(strstr(err.text, "written to by others"));
	assert_int_equal(unlink(rig->file), 0);
	assert_int_equal(mkfifo(rig->file, 0600), 0); /* opening it must not wait */
	assert_int_equal(OPEN(rig, &err, FILE_ON(rig)), ST_CONFIG);
}

/* What becomes of the file while rowtail runs is looked at each time, too. */
static void test_a_file_that_becomes_the_database_is_left_alone(void **state)
{
	struct rig *rig = *state;
	char text[ROOM];

	put_text(rig->database, "the database");
	OPEN_OK(rig, FILE_ON(rig));
	assert_int_equal(unlink(rig->file), 0);
	assert_int_equal(symlink(rig->database, rig->file), 0);
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	assert_non_null(strstr(heard(rig), "a file of the database"));
	get_text(rig->database, text);
	assert_string_equal(text, "the database");
}

static void test_all_channels_at_once(void **state)
{
	struct rig *rig = *state;

	OPEN_OK(rig, "notification.enabled.channels=sink, log,file",
		"notification.sink.topic.name=a", rig->file_on);
	listen(rig);
	send(rig, NOTIFY_STARTED, &asked);
	assert_string_equal(heard(rig), "rowtail: snapshot 9f1c: started: orders\n");
	assert_int_equal(json_lines(rig), 1);
	assert_int_equal(rig->keeper.count, 1);
}

/* ---- what is asked for ---- */

static void check_refused(struct rig *rig, const char *const *words, const char *text)
{
	struct error err;

	assert_int_equal(configure(rig, words, &err), ST_CONFIG);
	if (!strstr(err.text, text)) {
		fail_msg("%s", err.text);
	}
}

#define REFUSED(rig, text, ...) \
	check_refused(rig, (const char *const[]){__VA_ARGS__, NULL}, text)

static void test_settings_that_do_not_go_together_are_refused(void **state)
{
	static const char sink[] = "notification.enabled.channels=sink";
	struct rig *rig = *state;
	char name[400], log[100];

	REFUSED(rig, "notification.sink.topic.name", sink);
	REFUSED(rig, "go together", "notification.enabled.channels=file");
	REFUSED(rig, "go together", rig->file_on);
	REFUSED(rig, "go together", rig->file_on, "notification.enabled.channels=log");
	REFUSED(rig, "none, or a list of log, sink, file and jmx",
		"notification.enabled.channels=mail");
	REFUSED(rig, "must be", sink, "notification.sink.topic.name=a b");
	REFUSED(rig, "neither", sink, "notification.sink.topic.name=..");
	(void)snprintf(name, sizeof name, "notification.sink.topic.name=%0*d", 250, 0);
	REFUSED(rig, "249", sink, name);
	(void)snprintf(log, sizeof log, "--to=audit:%s/log", rig->folder);
	REFUSED(rig,
		"notification.enabled.channels=sink does not go with --to audit:", log,
		SINK_ON);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_by_default_steps_are_lines_of_the_log),
	    TEST(test_transforms_route_them_like_other_messages),
	    TEST(test_verbose_shows_progress_and_the_first_snapshot),
	    TEST(test_a_table_that_could_not_be_read_is_a_warning),
	    TEST(test_hostile_ids_and_many_tables_are_one_short_line),
	    TEST(test_none_says_nothing),
	    TEST(test_the_sink_gets_messages_of_no_transaction),
	    TEST(test_with_schemas_key_and_value_have_theirs),
	    TEST(test_a_sink_without_keys_gets_none),
	    TEST(test_an_id_is_made_up_where_no_signal_has_one),
	    TEST(test_the_positions_topic_is_refused),
	    TEST(test_an_error_of_the_sink_is_handed_on),
	    TEST(test_the_file_gets_a_value_a_line),
	    TEST(test_the_file_is_appended_to_and_may_be_moved_away),
	    TEST(test_a_line_that_was_cut_is_ended_first),
	    TEST(test_a_file_that_cannot_be_written_is_said_once),
	    TEST(test_a_missing_folder_is_said_and_waited_for),
	    TEST(test_a_full_disk_ends_no_run_and_no_later_line),
	    TEST(test_files_that_are_not_for_that_are_refused),
	    TEST(test_a_file_that_becomes_the_database_is_left_alone),
	    TEST(test_all_channels_at_once),
	    TEST(test_settings_that_do_not_go_together_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

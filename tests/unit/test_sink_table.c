/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinks/sink_settings.h"
#include "sinks/sink_table.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "tests/lib/mock_kafka.h"

/* ---- what the table says ---- */

static void test_each_kind_is_found_by_its_value(void **state)
{
	const struct sink_kind *kind, *found;

	(void)state;
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		const char *target = NULL;
		struct error err;
		char value[64];

		(void)snprintf(value, sizeof value, "%s%s", kind->scheme,
			       kind->target ? "some:1" : "");
		assert_int_equal(sink_table_find(value, &found, &target, &err), ST_OK);
		assert_ptr_equal(found, kind);
		if (kind->target) {
			assert_string_equal(target, "some:1");
		} else {
			assert_null(target);
		}
		/* Nothing behind it, or something where nothing may be. */
		(void)snprintf(value, sizeof value, "%s%s", kind->scheme,
			       kind->target ? "" : "x");
		assert_int_equal(sink_table_find(value, &found, &target, &err),
				 ST_CONFIG);
		for (size_t j = 0; sink_table_at(j); j++) {
			assert_non_null(strstr(err.text, sink_table_at(j)->scheme));
		}
	}
	assert_true(kafka_kind.not_in_target && strchr(kafka_kind.not_in_target, '/'));
}

static void test_names_and_schemes_are_their_own(void **state)
{
	const struct sink_kind *kind;

	(void)state;
	assert_ptr_equal(sink_table_at(0), &stdout_kind);
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct sink_kind *other = sink_table_at(j);

			assert_string_not_equal(kind->name, other->name);
			assert_int_not_equal(
			    strncmp(kind->scheme, other->scheme, strlen(other->scheme)),
			    0);
			assert_int_not_equal(
			    strncmp(kind->scheme, other->scheme, strlen(kind->scheme)),
			    0);
		}
	}
}

static void test_entries_are_whole(void **state)
{
	const struct sink_kind *kind;

	(void)state;
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		const char *line = kind->help;

		assert_true(kind->name && kind->title && kind->scheme);
		assert_true(kind->open && kind->close && kind->put && kind->flush);
		/* A kind that keeps a position has claim, one with a place has begin.
		 */
		assert_int_equal(kind->keeps_position, kind->claim != NULL);
		assert_true(!kind->place || kind->begin);
		/* One way to say what is acknowledged; a place may stand beside a
		 * position of its own. */
		assert_true(
		    (kind->place || kind->keeps_position) + (kind->count != NULL) <= 1);
		assert_true(kind->has_state || !kind->can_lack_state);
		while (*line) {
			size_t len = strcspn(line, "\n");

			assert_int_equal(line[len], '\n');
			assert_true(len <= 79 - 22);
			line += len + 1;
		}
	}
}

/* ---- one rule after an error ---- */

/* A sink of any kind whose owner cannot keep what is acknowledged. */
struct rig {
	const struct sink_kind *kind;
	struct sink_settings settings;
	struct sink *sink;
	struct mock_kafka mock;
	char folder[64], path[96], state[96];
	_Atomic int stop, reopen;
	unsigned acknowledged;
	bool may_fail;
};

static enum status refuse(void *context, bool durable, struct error *err)
{
	struct rig *rig = context;

	(void)durable;
	rig->acknowledged++;
	return rig->may_fail
		   ? error_set(err, ST_IO, "no room, try %u", rig->acknowledged)
		   : ST_OK;
}

static void tell(void *context, struct sink_position *out)
{
	(void)context;
	*out = (struct sink_position){.previous_lsn = SINK_NO_LSN};
}

static bool has_none(const void *context, uint64_t lsn, uint64_t chain)
{
	(void)context;
	(void)lsn;
	(void)chain;
	return false;
}

static void aim_at_nothing(struct rig *rig)
{
	rig->settings.output_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(rig->settings.output_fd >= 0);
}

static void aim_at_file(struct rig *rig)
{
	(void)strcpy(rig->folder, "/tmp/sink-table-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->path, sizeof rig->path, "%s/out", rig->folder);
	rig->settings.target = rig->path;
	rig->reopen = 1; /* so that the next flush calls `acknowledged` */
}

/* A key is kept in the state directory. */
static void aim_at_log(struct rig *rig)
{
	aim_at_file(rig);
	rig->reopen = 0;
	(void)snprintf(rig->state, sizeof rig->state, "%s/state", rig->folder);
	assert_int_equal(mkdir(rig->state, 0700), 0);
	rig->settings.state_path = rig->state;
}

static void aim_at_mock(struct rig *rig)
{
	mock_kafka_open(&rig->mock);
	rig->settings.target = rig->mock.address;
}

/* How a kind comes to an error; every kind of the table is here. */
static const struct way {
	const struct sink_kind *kind;
	void (*aim)(struct rig *rig);
	bool never_fails;
} ways[] = {
    {&stdout_kind, aim_at_nothing, false}, {&file_kind, aim_at_file, false},
    {&audit_kind, aim_at_log, false},      {&kafka_kind, aim_at_mock, false},
    {&null_kind, aim_at_nothing, true},    {&none_kind, aim_at_nothing, true},
};

static const struct way *way_of(const struct sink_kind *kind)
{
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (ways[i].kind == kind) {
			return &ways[i];
		}
	}
	fail_msg("%s: no way to make it fail; add one", kind->name);
	return NULL;
}

static void rig_open(struct rig *rig, const struct way *way)
{
	struct sink_own own = {
	    .is_new = true, .uuid = "", .database = "/d/app.db", .has = has_none};
	struct sink_start start = {.uuid = "u", .database = "/d/app.db"};
	struct sink_claim claim;
	struct error err = {0};

	log_setup(LOG_ERROR, false);
	*rig = (struct rig){.kind = way->kind};
	rig->settings = (struct sink_settings){
	    .output_fd = -1,
	    .database_path = "/nonexistent/app.db",
	    .state_path = "/nonexistent/state",
	    .prefix = "app",
	    .delimiter = ".",
	    .topics = {.partitions = -1, .replication_factor = -1},
	    .stop = &rig->stop,
	    .reopen = &rig->reopen,
	    .patience_ns = 30 * NS_PER_S,
	    .position = tell,
	    .acknowledged = refuse,
	    .context = rig};
	way->aim(rig);
	if (rig->kind->open(&rig->settings, &rig->sink, &err) != ST_OK ||
	    (rig->kind->claim &&
	     rig->kind->claim(rig->sink, &own, &claim, &err) != ST_OK) ||
	    sink_begin(rig->sink, &start, &err) != ST_OK) {
		fail_msg("%s: %s", rig->kind->name, err.text);
	}
}

static void rig_close(struct rig *rig)
{
	sink_close(rig->sink);
	if (rig->mock.owner) {
		mock_kafka_close(&rig->mock);
	}
	if (rig->settings.output_fd >= 0) {
		(void)close(rig->settings.output_fd);
	}
	if (*rig->folder) {
		static const char *const others[] = {"", ".keys", ".checkpoint"};
		char path[128];

		for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
			(void)snprintf(path, sizeof path, "%s%s", rig->path, others[i]);
			(void)unlink(path);
		}
		(void)snprintf(path, sizeof path, "%s/audit-key", rig->state);
		(void)unlink(path);
		(void)rmdir(rig->state);
		(void)rmdir(rig->folder);
	}
}

static enum status put(struct rig *rig, struct error *err)
{
	struct message message = {
	    .topic = {"app.t", 5}, .key = {"1", 1}, .value = {"{}", 2}};

	return sink_put(rig->sink, &message, err);
}

static void check_same(enum status status, const struct error *err,
		       const struct error *first)
{
	assert_int_equal(status, first->status);
	assert_int_equal(err->status, first->status);
	assert_string_equal(err->text, first->text);
}

static void check_rule(struct rig *rig, const struct error *first)
{
	const struct sink_kind *kind = rig->kind;
	struct sink_place place = {0}, place_after = {0};
	struct sink_count count = {0}, count_after = {0};
	unsigned acknowledged = rig->acknowledged;
	struct sink_start start = {.uuid = "", .database = ""};
	struct error err;

	place = kind->place ? kind->place(rig->sink) : place;
	count = kind->count ? kind->count(rig->sink) : count;
	rig->may_fail = false; /* whatever it was has passed */
	for (unsigned round = 0; round < 2; round++) {
		memset(&err, 0, sizeof err);
		check_same(put(rig, &err), &err, first);
		memset(&err, 0, sizeof err);
		check_same(sink_flush(rig->sink, &err), &err, first);
		memset(&err, 0, sizeof err);
		check_same(sink_begin(rig->sink, &start, &err), &err, first);
	}
	assert_int_equal(rig->acknowledged, acknowledged);
	place_after = kind->place ? kind->place(rig->sink) : place;
	count_after = kind->count ? kind->count(rig->sink) : count;
	assert_memory_equal(&place, &place_after, sizeof place);
	assert_memory_equal(&count, &count_after, sizeof count);
}

/* The thread sanitizer of gcc 12 crashes in librdkafka's threads. */
static bool can_be_opened(const struct sink_kind *kind)
{
#ifdef __SANITIZE_THREAD__
	return kind != &kafka_kind;
#else
	return kind->open != NULL;
#endif
}

static void test_an_error_is_for_good_with_every_kind(void **state)
{
	const struct sink_kind *kind;

	(void)state;
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		const struct way *way = way_of(kind);
		struct error err = {0};
		struct rig rig;

		if (!can_be_opened(kind)) {
			continue;
		}
		rig_open(&rig, way);
		rig.may_fail = true;
		if (put(&rig, &err) == ST_OK && sink_flush(rig.sink, &err) == ST_OK) {
			assert_true(way->never_fails);
		} else {
			assert_false(way->never_fails);
			assert_non_null(strstr(err.text, "no room"));
			check_rule(&rig, &err);
		}
		rig_close(&rig);
	}
}

/* A kind without a way of its own for anything. */
static enum status plain_put(struct sink *sink, const struct message *message,
			     struct error *err)
{
	(void)sink;
	(void)message;
	(void)err;
	return ST_OK;
}

static enum status plain_flush(struct sink *sink, struct error *err)
{
	(void)sink;
	return error_set(err, ST_CLOSED, "gone");
}

static void test_what_a_kind_lacks_has_a_default(void **state)
{
	static const struct sink_kind plain = {
	    .name = "plain", .put = plain_put, .flush = plain_flush};
	struct sink sink = {.kind = &plain};
	struct rig rig = {.kind = &plain, .sink = &sink};
	struct sink_start start = {.uuid = "", .database = ""};
	struct error err;

	(void)state;
	assert_int_equal(sink_begin(&sink, &start, &err), ST_OK);
	assert_int_equal(put(&rig, &err), ST_OK);
	assert_false(sink_wants_flush(&sink));
	assert_int_equal(sink_watch_fd(&sink), -1);
	assert_null(sink_own_topic(&sink));
	assert_true(sink_wants_keys(&plain, true));
	assert_false(sink_wants_keys(&plain, false));
	assert_int_equal(sink_flush(&sink, &err), ST_CLOSED);
	check_rule(&rig, &err);
	sink_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_kind_is_found_by_its_value),
	    cmocka_unit_test(test_names_and_schemes_are_their_own),
	    cmocka_unit_test(test_entries_are_whole),
	    cmocka_unit_test(test_an_error_is_for_good_with_every_kind),
	    cmocka_unit_test(test_what_a_kind_lacks_has_a_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

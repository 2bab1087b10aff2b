/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/plan.h"
#include "src/base/clock.h"

/*
 * An archive is written as "level:min-max" or "level:min-max@seconds" (else the time is
 * max seconds); so is a plan. A moment is as --at has it, "@N" the second N.
 */
struct row {
	const char *archive;
	const char *when;
	const char *plan; /* NULL: an error */
	enum status status;
	const char *error; /* a part of it */
};

static const struct row rows[] = {
    /* From the newest snapshot on, by the files that reach farthest. */
    {"9:1-1 0:2-2 0:3-3", "latest", "9:1-1 0:2-2 0:3-3", ST_OK, NULL},
    {"9:1-1 0:2-2 0:3-3 1:2-3", "latest", "9:1-1 1:2-3", ST_OK, NULL},
    {"9:1-1 0:2-2 0:3-3 1:2-3", "txid:2", "9:1-1 0:2-2", ST_OK, NULL},
    {"9:1-1 9:1-3 0:2-2 0:3-3 0:4-4", "latest", "9:1-3 0:4-4", ST_OK, NULL},
    {"9:1-1 9:1-3 0:2-2 0:3-3 0:4-4", "txid:2", "9:1-1 0:2-2", ST_OK, NULL},
    {"9:1-1 2:2-9 1:2-5 0:6-6 0:7-7", "txid:7", "9:1-1 1:2-5 0:6-6 0:7-7", ST_OK, NULL},
    {"9:1-1 0:2-2 0:3-3", "first", "9:1-1", ST_OK, NULL},
    {"9:1-5 0:2-2 0:5-5 0:6-6", "first", "9:1-5", ST_OK, NULL},
    {"9:1-1 0:2-2", "lsn:1", "9:1-1 0:2-2", ST_OK, NULL},
    /* Without a snapshot a whole database of another level serves. */
    {"0:1-1 0:2-2 0:3-3", "latest", "0:1-1 0:2-2 0:3-3", ST_OK, NULL},
    {"1:1-4 0:5-5", "latest", "1:1-4 0:5-5", ST_OK, NULL},
    {"1:1-4 0:5-5", "first", "1:1-4", ST_OK, NULL},
    /* One in between makes what came before it unnecessary. */
    {"9:1-1 0:2-2 3:1-8 0:9-9", "latest", "3:1-8 0:9-9", ST_OK, NULL},
    /* Files overlap; of equal reach the shorter one is taken. */
    {"9:1-4 1:2-6 0:5-5 0:6-6", "latest", "9:1-4 1:2-6", ST_OK, NULL},
    {"9:1-4 1:2-6 1:5-6", "latest", "9:1-4 1:5-6", ST_OK, NULL},
    {"9:1-1 1:2-9 0:8-9", "latest", "9:1-1 1:2-9", ST_OK, NULL},
    /* Ranges with holes in the numbers, as of LSNs, are contiguous ranges. */
    {"9:1-16 0:17-40 0:41-400", "latest", "9:1-16 0:17-40 0:41-400", ST_OK, NULL},
    /* Times: the newest state at or before, without an upper bound. */
    {"9:1-1@10 0:2-2@20 0:3-3@30", "@10", "9:1-1", ST_OK, NULL},
    {"9:1-1@10 0:2-2@20 0:3-3@30", "@19", "9:1-1", ST_OK, NULL},
    {"9:1-1@10 0:2-2@20 0:3-3@30", "@20", "9:1-1 0:2-2", ST_OK, NULL},
    {"9:1-1@10 0:2-2@20 0:3-3@30", "@999", "9:1-1 0:2-2 0:3-3", ST_OK, NULL},
    /* A snapshot says when it was made; its state is as old as its increment. */
    {"9:1-1@10 0:2-2@20 9:1-2@25 0:3-3@30", "@21", "9:1-2", ST_OK, NULL},
    {"9:1-1@10 0:2-2@20 0:3-3@30", "@9", NULL, ST_CONFIG,
     "no state at or before 1970-01-01T00:00:09.000Z; the nearest that it has is "
     "txid:1 (1970-01-01T00:00:10.000Z)"},
    /* What is not an end of a file is not there. */
    {"9:1-1 1:2-5 1:6-9", "txid:7", NULL, ST_CONFIG,
     "are txid:5 (1970-01-01T00:00:05.000Z) and txid:9 (1970-01-01T00:00:09.000Z)"},
    {"9:1-1 0:2-2", "txid:a", NULL, ST_CONFIG, "the nearest that it has is txid:2"},
    {"9:1-5 0:6-6", "txid:4", NULL, ST_CONFIG, "the nearest that it has is txid:5"},
    /* Gaps: for every target behind them, with and without a time. */
    {"9:1-1 0:2-2 0:4-4 0:5-5", "latest", NULL, ST_CORRUPT,
     "files are missing between 0/0000000000000002-0000000000000002.ltx and "
     "0/0000000000000004-0000000000000004.ltx; the last state before that gap is --at "
     "txid:2"},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "txid:5", NULL, ST_CORRUPT, "missing between 0/"},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "@4", NULL, ST_CORRUPT, "missing between 0/"},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "@999", NULL, ST_CORRUPT, "missing between 0/"},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "@3", "9:1-1 0:2-2", ST_OK, NULL},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "txid:2", "9:1-1 0:2-2", ST_OK, NULL},
    {"9:1-1 0:2-2 0:4-4 0:5-5", "txid:3", NULL, ST_CONFIG, "the nearest"},
    {"9:1-2 0:4-4 0:6-6", "txid:6", NULL, ST_CORRUPT,
     "between 9/0000000000000001-0000000000000002.ltx and "
     "0/0000000000000004-0000000000000004.ltx"},
    /* Another level, or a whole database, leads over it. */
    {"9:1-1 0:2-2 0:4-4 0:5-5 1:2-4", "latest", "9:1-1 1:2-4 0:5-5", ST_OK, NULL},
    {"9:1-1 0:2-2 0:4-4 9:1-5 0:6-6", "latest", "9:1-5 0:6-6", ST_OK, NULL},
    {"9:1-1 0:2-2 0:4-4 9:1-5 0:6-6", "txid:4", NULL, ST_CORRUPT,
     "the last state before that gap is --at txid:2"},
    /* Nothing whole. */
    {"0:2-2 0:3-3", "latest", NULL, ST_CORRUPT, "no whole database before 0/"},
    {"0:2-2 0:3-3", "first", NULL, ST_CORRUPT, "no whole database"},
    {"0:2-2 9:1-5", "txid:2", NULL, ST_CORRUPT, "no whole database before 0/"},
    {"", "latest", NULL, ST_CONFIG, "has no files yet"},
    /* The ends of what there can be. */
    {"9:1-18446744073709551615", "latest", "9:1-18446744073709551615", ST_OK, NULL},
    {"9:1-18446744073709551614 0:18446744073709551615-18446744073709551615", "latest",
     "9:1-18446744073709551614 0:18446744073709551615-18446744073709551615", ST_OK,
     NULL},
};

static void read_archive(const char *text, struct archive_list *list)
{
	struct error err;
	int used;

	while (*text) {
		struct archive_file file = {0};
		unsigned long long min;
		unsigned long long max;
		long seconds;

		assert_int_equal(
		    sscanf(text, "%u:%llu-%llu%n", &file.level, &min, &max, &used), 3);
		text += used;
		file.min_txid = min;
		file.max_txid = max;
		file.time_ns = (int64_t)(max % 1000000) * NS_PER_S;
		if (sscanf(text, "@%ld%n", &seconds, &used) == 1) {
			file.time_ns = seconds * NS_PER_S;
			text += used;
		}
		text += *text == ' ';
		assert_int_equal(archive_list_add(list, &file, &err), ST_OK);
	}
	archive_list_sort(list);
}

static void read_when(const char *text, struct when *when)
{
	struct error err;
	long seconds;

	if (sscanf(text, "@%ld", &seconds) == 1) {
		*when = (struct when){.kind = WHEN_TIME, .time_ns = seconds * NS_PER_S};
		return;
	}
	assert_int_equal(when_parse(text, 0, when, &err), ST_OK);
}

static void print_plan(const struct plan *plan, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < plan->count; i++) {
		const struct archive_file *f = plan->files[i];

		at += (size_t)snprintf(
		    text + at, size - at, "%s%u:%llu-%llu", i > 0 ? " " : "", f->level,
		    (unsigned long long)f->min_txid, (unsigned long long)f->max_txid);
		assert_true(at < size);
	}
}

static void check_row(const struct row *row, const struct archive_list *list)
{
	struct when when;
	struct plan plan;
	struct error err = {0};
	enum status status;
	char text[300];

	read_when(row->when, &when);
	status = plan_init(&plan, list, &when, &err);
	print_plan(&plan, text, sizeof text);
	if (status != row->status || (row->plan && strcmp(text, row->plan) != 0) ||
	    (row->error && !strstr(err.text, row->error))) {
		fail_msg("%s of %s: status %d, plan %s, error %s", row->when,
			 row->archive, (int)status, text, err.text);
	}
	plan_clear(&plan);
}

static void test_each_row_gives_its_plan_or_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct archive_list list = {0};

		read_archive(rows[i].archive, &list);
		check_row(&rows[i], &list);
		archive_list_clear(&list);
	}
}

/* A storage that lists the time of an upload, and knows better when it is asked. */
struct rough_storage {
	struct storage base;
	struct archive_list right;
	size_t asked;
	bool is_gone;
};

static enum status tell_time(struct storage *storage, const struct archive_file *file,
			     int64_t *time_ns, struct error *err)
{
	struct rough_storage *s = (struct rough_storage *)(void *)storage;

	s->asked++;
	if (s->is_gone) {
		return error_set(err, ST_LOST, "gone");
	}
	for (size_t i = 0; i < s->right.count; i++) {
		const struct archive_file *f = &s->right.files[i];

		if (archive_file_is(f, file)) {
			*time_ns = f->time_ns;
			return ST_OK;
		}
	}
	fail_msg("a file that is not in the list");
	return ST_IO;
}

static const struct storage_calls rough_calls = {.time = tell_time};

static void make_rough(struct rough_storage *s, const char *archive,
		       struct archive_list *list)
{
	*s = (struct rough_storage){.base.calls = &rough_calls};
	read_archive(archive, &s->right);
	read_archive(archive, list);
	list->storage = &s->base;
	for (size_t i = 0; i < list->count; i++) {
		list->files[i].time_ns = 1700000000 * NS_PER_S;
		list->files[i].time_is_rough = true;
	}
}

static void test_rough_times_lead_to_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct archive_list list = {0};
		struct rough_storage s;

		make_rough(&s, rows[i].archive, &list);
		check_row(&rows[i], &list);
		archive_list_clear(&s.right);
		archive_list_clear(&list);
	}
}

static void test_few_rough_times_are_asked_for(void **state)
{
	const struct when when = {.kind = WHEN_TIME, .time_ns = 300 * NS_PER_S};
	struct archive_list list = {0};
	struct rough_storage s;
	struct error err;
	struct plan plan;
	char archive[20000] = "9:1-1";

	(void)state;
	for (int n = 2; n <= 1000; n++) {
		size_t len = strlen(archive);

		(void)snprintf(archive + len, sizeof archive - len, " 0:%d-%d", n, n);
	}
	make_rough(&s, archive, &list);
	assert_int_equal(plan_init(&plan, &list, &when, &err), ST_OK);
	assert_int_equal(plan.txid, 300);
	assert_int_equal(plan.time_ns, 300 * NS_PER_S);
	assert_true(s.asked <= 10);
	plan_clear(&plan);
	s.is_gone = true;
	assert_int_equal(plan_init(&plan, &list, &when, &err), ST_LOST);
	assert_int_equal(storage_list_times(&list, &err), ST_OK);
	assert_int_equal(list.count, 0);
	archive_list_clear(&s.right);
	archive_list_clear(&list);
}

static void test_gaps_are_found_one_after_the_other(void **state)
{
	struct archive_list list = {0};
	struct moments moments;
	struct gap gap;
	struct error err;

	(void)state;
	read_archive("9:1-1 0:2-2 0:4-4 0:5-5 9:1-5 0:6-6 0:9-9 1:20-22", &list);
	assert_int_equal(moments_init(&moments, &list, &err), ST_OK);
	assert_int_equal(moments.count, 7);
	assert_true(gap_find(&list, &moments, 0, &gap));
	assert_int_equal(gap.before->max_txid, 2);
	assert_int_equal(gap.after->min_txid, 4);
	assert_true(gap_find(&list, &moments, 5, &gap));
	assert_int_equal(gap.before->max_txid, 6);
	assert_int_equal(gap.after->min_txid, 9);
	assert_false(gap_find(&list, &moments, 22, &gap));
	moments_clear(&moments);
	archive_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_row_gives_its_plan_or_its_error),
	    cmocka_unit_test(test_rough_times_lead_to_the_same),
	    cmocka_unit_test(test_few_rough_times_are_asked_for),
	    cmocka_unit_test(test_gaps_are_found_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

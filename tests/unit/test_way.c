/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/way.h"

/* Files are written as "level:min-max"; so is a way. */
struct row {
	const char *archive;
	uint64_t from;
	uint64_t until;
	const char *way;    /* until no file leads on */
	const char *beyond; /* behind a gap at its end; NULL: nothing */
};

#define NO_END UINT64_MAX

static const struct row rows[] = {
    {"9:1-1 0:2-2 0:3-3", 1, NO_END, "0:2-2 0:3-3", NULL},
    {"9:1-1 0:2-2 0:3-3", 3, NO_END, "", NULL},
    /* The smallest steps that there are. */
    {"9:1-1 0:2-2 0:3-3 0:4-4 1:2-4", 1, NO_END, "0:2-2 0:3-3 0:4-4", NULL},
    {"9:1-1 0:4-4 1:2-3 2:2-9 0:5-5", 1, NO_END, "1:2-3 0:4-4 0:5-5 2:2-9", NULL},
    {"9:1-1 9:1-3 1:2-3 0:4-4", 1, NO_END, "1:2-3 0:4-4", NULL},
    {"9:1-1 2:2-3 1:2-3 0:4-4", 1, NO_END, "1:2-3 0:4-4", NULL},
    /* From the middle of a file that begins before. */
    {"9:1-1 1:2-9 0:10-10", 5, NO_END, "1:2-9 0:10-10", NULL},
    {"9:1-1 1:2-9 0:8-8 0:9-9", 7, NO_END, "0:8-8 0:9-9", NULL},
    /* Up to an end; what reaches over it is no way. */
    {"9:1-1 0:2-2 0:3-3 0:4-4", 1, 3, "0:2-2 0:3-3", NULL},
    {"9:1-1 0:2-2 1:3-9", 1, 5, "0:2-2", NULL},
    /* A gap, and what leads over it. */
    {"9:1-1 0:2-2 0:4-4 0:5-5", 1, NO_END, "0:2-2", "0:4-4"},
    {"9:1-1 0:2-2 0:5-5 0:4-4 1:2-4", 1, NO_END, "0:2-2 1:2-4 0:5-5", NULL},
    {"9:1-1 0:2-2 0:4-4 9:1-5 0:6-6", 1, NO_END, "0:2-2 9:1-5 0:6-6", NULL},
    {"0:4-4 0:9-9", 1, NO_END, "", "0:4-4"},
    {"", 1, NO_END, "", NULL},
    {"0:18446744073709551615-18446744073709551615", UINT64_MAX - 1, NO_END,
     "0:18446744073709551615-18446744073709551615", NULL},
};

static void read_archive(const char *text, struct archive_list *list)
{
	struct error err;
	int used;

	while (*text) {
		struct archive_file file = {0};
		unsigned long long min;
		unsigned long long max;

		assert_int_equal(
		    sscanf(text, "%u:%llu-%llu%n", &file.level, &min, &max, &used), 3);
		text += used;
		text += *text == ' ';
		file.min_txid = min;
		file.max_txid = max;
		file.size = max - min + 1;
		assert_int_equal(archive_list_add(list, &file, &err), ST_OK);
	}
	archive_list_sort(list);
}

static size_t print_file(char *text, size_t size, const struct archive_file *f)
{
	return (size_t)snprintf(text, size, "%u:%llu-%llu", f->level,
				(unsigned long long)f->min_txid,
				(unsigned long long)f->max_txid);
}

static void test_each_row_gives_its_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct archive_list list = {0};
		const struct archive_file *file;
		uint64_t txid = row->from;
		char text[256] = "";
		size_t len = 0;
		struct way way;
		struct error err;

		read_archive(row->archive, &list);
		assert_int_equal(way_init(&way, &list, &err), ST_OK);
		while ((file = way_next(&way, txid, row->until)) != NULL) {
			len += (size_t)snprintf(text + len, sizeof text - len, "%s",
						len > 0 ? " " : "");
			len += print_file(text + len, sizeof text - len, file);
			assert_true(len < sizeof text && file->max_txid > txid);
			txid = file->max_txid;
		}
		assert_string_equal(text, row->way);
		file = way_beyond(&way, txid);
		text[0] = '\0';
		if (file) {
			(void)print_file(text, sizeof text, file);
		}
		if (row->until == NO_END) {
			assert_string_equal(text, row->beyond ? row->beyond : "");
		}
		way_clear(&way);
		archive_list_clear(&list);
	}
}

static void test_the_last_file_is_the_smallest_that_ends_there(void **state)
{
	struct archive_list list = {0};
	struct way way;
	struct error err;

	(void)state;
	read_archive("9:1-5 1:3-5 0:5-5 0:6-6", &list);
	assert_int_equal(way_init(&way, &list, &err), ST_OK);
	assert_int_equal(way_last(&way, 5)->min_txid, 5);
	assert_null(way_last(&way, 4));
	assert_int_equal(way_newest(&way), 6);
	way_clear(&way);
	archive_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_row_gives_its_way),
	    cmocka_unit_test(test_the_last_file_is_the_smallest_that_ends_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "src/archive/archive_resume.h"

#define SIZE 4096u
#define AWAY      \
	{         \
		0 \
	}
#define EMPTY                    \
	{                        \
		.is_known = true \
	}
/* What the archive has, and up to where it can be restored. */
#define HAS(max, reach, size)                                               \
	{                                                                   \
		.is_known = true, .has_files = true, .max_txid = (max),     \
		.reach_txid = (reach), .page_size = (size), .time_ns = 1000 \
	}
/* What waits, and what was acknowledged. */
#define WAITS(done, min, max)                                               \
	{                                                                   \
		.count = (max) > 0, .done_txid = (done), .min_txid = (min), \
		.max_txid = (max), .page_size = SIZE, .time_ns = 2000       \
	}
/* The same, and the copy was made anew since then. */
#define REBUILT(done, min, max, lsn)                                        \
	{                                                                   \
		.count = (max) > 0, .done_txid = (done), .min_txid = (min), \
		.max_txid = (max), .page_size = SIZE, .time_ns = 2000,      \
		.is_rebuilt = true, .rebuilt_lsn = (lsn)                    \
	}
/* S and D of the state directory. */
#define BASE(s, d)                                            \
	{                                                     \
		.lsn = (s), .end_lsn = (d), .page_size = SIZE \
	}

struct row {
	struct archive_known known;
	struct outbox_content outbox;
	struct archived_state base;
	enum archive_step next;
	uint64_t txid;
	bool drops;
	bool is_refused;
};

static const struct row rows[] = {
    /* Nothing anywhere. */
    {EMPTY, WAITS(0, 0, 0), BASE(5, 9), ARCHIVE_SNAPSHOT, 0, true, false},
    {AWAY, WAITS(0, 0, 0), BASE(5, 9), ARCHIVE_SNAPSHOT, 0, true, false},
    /* It goes on where the archive ends, as far as the journal has it. */
    {HAS(10, 10, SIZE), WAITS(10, 0, 0), BASE(5, 9), ARCHIVE_GOES_ON, 10, true, false},
    {HAS(10, 10, SIZE), WAITS(10, 0, 0), BASE(9, 9), ARCHIVE_GOES_ON, 10, true, false},
    {HAS(10, 10, SIZE), WAITS(0, 0, 0), BASE(5, 20), ARCHIVE_GOES_ON, 10, true, false},
    /* From one page size to another and back: it is not the state that is archived. */
    {HAS(10, 10, SIZE), REBUILT(10, 0, 0, 9), BASE(9, 9), ARCHIVE_SNAPSHOT, 10, true,
     false},
    {HAS(10, 10, SIZE), REBUILT(10, 11, 15, 14), BASE(14, 20), ARCHIVE_SNAPSHOT, 15,
     false, false},
    {AWAY, REBUILT(10, 0, 0, 9), BASE(9, 12), ARCHIVE_SNAPSHOT, 10, true, false},
    /* A file was made since then. */
    {HAS(12, 12, SIZE), REBUILT(10, 0, 0, 9), BASE(9, 12), ARCHIVE_GOES_ON, 12, true,
     false},
    /* The journal begins behind it. */
    {HAS(10, 10, SIZE), WAITS(10, 0, 0), BASE(10, 15), ARCHIVE_ALL, 10, true, false},
    {HAS(10, 10, SIZE), WAITS(0, 0, 0), BASE(12, 15), ARCHIVE_ALL, 10, true, false},
    /* An older copy of the state directory. */
    {HAS(10, 10, SIZE), WAITS(8, 0, 0), BASE(5, 8), 0, 10, true, true},
    {AWAY, WAITS(10, 0, 0), BASE(5, 8), 0, 10, true, true},
    {AWAY, WAITS(10, 11, 14), BASE(5, 12), 0, 14, false, true},
    /* What the archive has cannot be restored to its end. */
    {HAS(10, 7, SIZE), WAITS(10, 0, 0), BASE(5, 9), ARCHIVE_SNAPSHOT, 10, true, false},
    {HAS(10, 7, SIZE), WAITS(10, 11, 14), BASE(5, 20), ARCHIVE_SNAPSHOT, 10, true,
     false},
    {HAS(10, 0, SIZE), WAITS(10, 1, 12), BASE(5, 20), ARCHIVE_GOES_ON, 12, false,
     false},
    /* Another page size: of the archive, of what waits. */
    {HAS(10, 10, 512), WAITS(0, 0, 0), BASE(5, 9), ARCHIVE_SNAPSHOT, 10, true, false},
    /* Out of reach: by what it acknowledged, and what waits. */
    {AWAY, WAITS(10, 0, 0), BASE(5, 9), ARCHIVE_GOES_ON, 10, true, false},
    {AWAY, WAITS(10, 11, 14), BASE(5, 20), ARCHIVE_GOES_ON, 14, false, false},
    {AWAY, WAITS(10, 12, 14), BASE(5, 20), ARCHIVE_GOES_ON, 10, true, false},
    {AWAY, WAITS(0, 1, 3), BASE(2, 20), ARCHIVE_GOES_ON, 3, false, false},
    {AWAY, WAITS(10, 0, 0), BASE(12, 20), ARCHIVE_ALL, 10, true, false},
    /* What waits leads on, or has an answer that was lost, or does not. */
    {HAS(10, 10, SIZE), WAITS(10, 11, 14), BASE(5, 20), ARCHIVE_GOES_ON, 14, false,
     false},
    {HAS(12, 12, SIZE), WAITS(10, 11, 12), BASE(5, 20), ARCHIVE_GOES_ON, 12, false,
     false},
    {HAS(12, 12, SIZE), WAITS(10, 11, 14), BASE(5, 20), ARCHIVE_GOES_ON, 14, false,
     false},
    {HAS(10, 10, SIZE), WAITS(10, 12, 14), BASE(5, 20), ARCHIVE_GOES_ON, 10, true,
     false},
    /* The archive was emptied. */
    {EMPTY, WAITS(10, 0, 0), BASE(5, 9), ARCHIVE_SNAPSHOT, 0, true, false},
    {EMPTY, WAITS(10, 11, 14), BASE(5, 20), ARCHIVE_SNAPSHOT, 0, true, false},
    {EMPTY, WAITS(0, 1, 3), BASE(2, 20), ARCHIVE_GOES_ON, 3, false, false},
};

static void test_each_row_is_gone_on_with_as_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct archive_resume got;
		struct error err;
		enum status status =
		    archive_resume(&row->known, &row->outbox, &row->base, &got, &err);

		if (status != (row->is_refused ? ST_CONFIG : ST_OK) ||
		    got.txid != row->txid || got.drops_outbox != row->drops ||
		    (!row->is_refused && got.next != row->next)) {
			fail_msg("row %zu: status %d, next %d, txid %d, drops %d", i,
				 status, got.next, (int)got.txid, got.drops_outbox);
		}
	}
}

static void test_what_waits_in_another_page_size_is_kept(void **state)
{
	const struct archive_known known = HAS(10, 10, 512);
	const struct outbox_content outbox = {.count = 1,
					      .done_txid = 10,
					      .min_txid = 11,
					      .max_txid = 14,
					      .page_size = 512};
	const struct archived_state base = BASE(5, 20);
	struct archive_resume got;
	struct error err;

	(void)state;
	assert_int_equal(archive_resume(&known, &outbox, &base, &got, &err), ST_OK);
	assert_int_equal(got.next, ARCHIVE_SNAPSHOT);
	assert_int_equal(got.txid, 14);
	assert_false(got.drops_outbox);
}

static void test_times_go_on_from_the_newest_file(void **state)
{
	const struct archive_known known = HAS(10, 10, SIZE);
	const struct outbox_content none = WAITS(10, 0, 0);
	const struct outbox_content some = WAITS(10, 11, 14);
	const struct archived_state base = BASE(5, 20);
	struct archive_resume got;
	struct error err;

	(void)state;
	assert_int_equal(archive_resume(&known, &none, &base, &got, &err), ST_OK);
	assert_int_equal(got.time_ns, 1000);
	assert_int_equal(archive_resume(&known, &some, &base, &got, &err), ST_OK);
	assert_int_equal(got.time_ns, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_row_is_gone_on_with_as_it_says),
	    cmocka_unit_test(test_what_waits_in_another_page_size_is_kept),
	    cmocka_unit_test(test_times_go_on_from_the_newest_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"
#include "tests/lib/capture_rig.h"

struct fixture {
	struct rig_folder folder;
	sqlite3 *writer;
	sqlite3 *db;
	struct wal_index index;
};

static void sql(sqlite3 *db, const char *text)
{
	char *problem = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &problem) != SQLITE_OK) {
		fail_msg("%s: %s", text, problem);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	rig_folder_init(&f->folder, 512);
	assert_int_equal(sqlite3_open(f->folder.path, &f->writer), SQLITE_OK);
	assert_int_equal(sqlite3_open(f->folder.path, &f->db), SQLITE_OK);
	sql(f->writer, "PRAGMA wal_autocheckpoint=0; INSERT INTO t(v) VALUES(1)");
	sql(f->db, "SELECT count(*) FROM t");
	assert_int_equal(wal_index_init(&f->index, f->db, &err), ST_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)sqlite3_close(f->db);
	(void)sqlite3_close(f->writer);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static struct wal_index_header header_now(const struct fixture *f)
{
	struct wal_index_header header;

	assert_true(wal_index_read(&f->index, &header));
	return header;
}

static void test_header_tells_what_is_committed(void **state)
{
	const struct fixture *f = *state;
	struct wal_index_header before = header_now(f);
	struct wal_index_header after;

	assert_int_equal(before.page_size, 512);
	assert_true(before.frame_count > 0);
	assert_int_equal(rig_file_size(f->folder.wal),
			 32 + (int64_t)before.frame_count * (512 + 24));
	sql(f->writer, "BEGIN; INSERT INTO t(v) VALUES(2)");
	after = header_now(f);
	assert_true(wal_index_same(&before, &after));
	sql(f->writer, "COMMIT");
	after = header_now(f);
	assert_false(wal_index_same(&before, &after));
	assert_true(wal_index_same_salt(&before, &after));
	assert_int_equal(after.change, before.change + 1);
	assert_true(after.frame_count > before.frame_count);
}

static void test_last_frame_carries_the_sum_and_salt_of_the_header(void **state)
{
	const struct fixture *f = *state;
	struct wal_index_header header = header_now(f);
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t page[512];
	uint8_t *const pages[1] = {page};
	struct wal_frame frame;
	struct error err;
	int fd = open(f->folder.wal, O_RDONLY | O_CLOEXEC);

	assert_int_equal(
	    wal_frames_read(fd, 512, header.frame_count, 1, pages, headers, &err),
	    ST_OK);
	(void)close(fd);
	wal_frame_parse(headers[0], &frame);
	assert_int_equal(frame.sum[0], header.frame_sum[0]);
	assert_int_equal(frame.sum[1], header.frame_sum[1]);
	assert_memory_equal(frame.salt, header.salt, 8);
	assert_int_equal(frame.commit, header.page_count);
}

static void test_pages_of_frames_are_found_across_blocks(void **state)
{
	const struct fixture *f = *state;
	struct wal_index_header header;
	uint8_t bytes[4];
	int fd;

	sql(f->writer,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE "
	    "i<9000) INSERT INTO t(v) SELECT randomblob(300) FROM n");
	header = header_now(f);
	assert_true(header.frame_count > 4062 + 4096 + 100);
	fd = open(f->folder.wal, O_RDONLY | O_CLOEXEC);
	for (uint32_t i = 1; i <= header.frame_count; i++) {
		assert_int_equal(pread(fd, bytes, 4, (off_t)wal_frame_offset(i, 512)),
				 4);
		if (wal_index_frame_page(&f->index, i) != get_u32be(bytes)) {
			fail_msg("frame %u", (unsigned)i);
		}
	}
	(void)close(fd);
}

static void test_places_of_frames_at_the_edges_of_blocks(void **state)
{
	static const struct {
		uint32_t frame_no;
		uint32_t block;
		uint32_t at;
	} cases[] = {
	    {1, 0, 34},           {4061, 0, 34 + 4060},
	    {4062, 0, 34 + 4061}, {4063, 1, 0},
	    {4064, 1, 1},         {4062 + 4096, 1, 4095},
	    {4063 + 4096, 2, 0},  {UINT32_MAX, 1048576, 32},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t block;
		uint32_t at;

		wal_index_place(cases[i].frame_no, &block, &at);
		assert_int_equal(block, cases[i].block);
		assert_int_equal(at, cases[i].at);
	}
}

/* Lines of /proc/self/maps. */
static size_t mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t total = 0;
	int c;

	assert_non_null(maps);
	while ((c = getc(maps)) != EOF) {
		total += c == '\n';
	}
	(void)fclose(maps);
	return total;
}

static void test_frames_that_do_not_exist_have_no_page(void **state)
{
	const struct fixture *f = *state;
	size_t before = mappings();

	assert_int_equal(wal_index_frame_page(&f->index, 0), 0);
	assert_int_equal(wal_index_frame_page(&f->index, 100000), 0);
	for (uint32_t frames = UINT32_MAX; frames > 100000; frames -= frames / 64) {
		assert_int_equal(wal_index_frame_page(&f->index, frames), 0);
	}
	/* Asked for a block whose end is past 2^31, SQLite maps all up to there. */
	assert_in_range(mappings(), 0, before + 64);
}

static void test_backfill_is_seen(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(wal_index_backfilled(&f->index), 0);
	sql(f->writer, "PRAGMA wal_checkpoint(PASSIVE)");
	assert_int_equal(wal_index_backfilled(&f->index), header_now(f).frame_count);
}

static void copies_now(const struct fixture *f, uint8_t *copies)
{
	void volatile *bytes = NULL;

	assert_int_equal(f->index.file->pMethods->xShmMap(
			     f->index.file, 0, WAL_INDEX_BLOCK_BYTES, 0, &bytes),
			 SQLITE_OK);
	memcpy(copies, (const void *)(uintptr_t)bytes, 96);
}

static void test_any_changed_byte_makes_the_header_unreadable(void **state)
{
	const struct fixture *f = *state;
	struct wal_index_header header;
	uint8_t copies[96];

	copies_now(f, copies);
	assert_true(wal_index_parse(copies, &header));
	for (size_t i = 0; i < 96; i++) {
		copies[i] ^= 0x04;
		assert_false(wal_index_parse(copies, &header));
		copies[i] ^= 0x04;
	}
	/* In both copies alike: the checksum tells, but for itself. */
	for (size_t i = 0; i < 48; i++) {
		copies[i] ^= 0x04;
		copies[48 + i] ^= 0x04;
		assert_false(wal_index_parse(copies, &header));
		copies[i] ^= 0x04;
		copies[48 + i] ^= 0x04;
	}
}

static void test_locks_exclude_a_writer(void **state)
{
	const struct fixture *f = *state;

	assert_true(wal_index_lock(&f->index, WAL_LOCK_WRITE));
	assert_int_equal(
	    sqlite3_exec(f->writer, "INSERT INTO t(v) VALUES(2)", NULL, NULL, NULL),
	    SQLITE_BUSY);
	wal_index_unlock(&f->index, WAL_LOCK_WRITE);
	sql(f->writer, "BEGIN IMMEDIATE");
	assert_false(wal_index_lock(&f->index, WAL_LOCK_WRITE));
	sql(f->writer, "COMMIT");
}

static void
test_restarted_header_is_read_at_once_and_leaves_the_size_to_the_file(void **state)
{
	const struct fixture *f = *state;
	struct wal_index_header before;
	struct wal_index_header after;

	sql(f->writer, "PRAGMA wal_checkpoint(PASSIVE)");
	before = header_now(f);
	assert_true(before.frame_count > 0 && before.page_count > 0);
	assert_true(wal_index_lock(&f->index, WAL_LOCK_WRITE));
	assert_true(wal_index_restart(&f->index));
	wal_index_unlock(&f->index, WAL_LOCK_WRITE);
	assert_true(wal_index_read(&f->index, &after));
	assert_int_equal(after.frame_count, 0);
	assert_int_equal(after.page_count, 0);
	assert_int_equal(after.page_size, 0);
	assert_int_equal(after.change, before.change);
	assert_int_equal(get_u32be(after.salt), get_u32be(before.salt) + 1);
	assert_memory_not_equal(after.salt + 4, before.salt + 4, 4);
	assert_int_equal(wal_index_backfilled(&f->index), 0);
	/* Nobody recovers it, which would make the salt 0. */
	sql(f->writer, "SELECT count(*) FROM t");
	after = header_now(f);
	assert_int_equal(get_u32be(after.salt), get_u32be(before.salt) + 1);
	sql(f->writer, "INSERT INTO t(v) VALUES(3)");
	assert_true(header_now(f).frame_count > 0);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_header_tells_what_is_committed),
	    CASE(test_last_frame_carries_the_sum_and_salt_of_the_header),
	    CASE(test_pages_of_frames_are_found_across_blocks),
	    cmocka_unit_test(test_places_of_frames_at_the_edges_of_blocks),
	    CASE(test_frames_that_do_not_exist_have_no_page),
	    CASE(test_backfill_is_seen),
	    CASE(test_any_changed_byte_makes_the_header_unreadable),
	    CASE(test_locks_exclude_a_writer),
	    CASE(test_restarted_header_is_read_at_once_and_leaves_the_size_to_the_file),
	};
#undef CASE

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

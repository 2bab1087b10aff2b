/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "src/archive/compaction.h"
#include "src/archive/merge.h"
#include "src/base/temp_file.h"
#include "tests/lib/ltx_file.h"

#define PAGE   512u
#define PAGES  40u /* of a database of these tests, at most */
#define STATES 260u

static const _Atomic int no_stop;

static bool never(void *context)
{
	(void)context;
	return false;
}

static bool now(void *context)
{
	(void)context;
	return true;
}

/* An archive, and what each of its states must be. */
struct model {
	struct memory_storage *storage;
	struct archive_list list;
	uint32_t counts[STATES + 1];
	uint8_t pages[STATES + 1][PAGES + 1]; /* what each is filled with */
	uint32_t random;
	struct error err;
};

static uint32_t draw(struct model *m, uint32_t below)
{
	m->random = m->random * 1664525u + 1013904223u;
	return (m->random >> 8) % below;
}

static int setup(void **state)
{
	struct model *m = calloc(1, sizeof *m);

	assert_non_null(m);
	m->storage = memory_storage_open();
	m->random = 12345;
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct model *m = *state;

	archive_list_clear(&m->list);
	storage_close(memory_storage_base(m->storage));
	free(m);
	return 0;
}

static void list_again(struct model *m)
{
	archive_list_clear(&m->list);
	assert_int_equal(
	    storage_list(memory_storage_base(m->storage), &m->list, &m->err), ST_OK);
}

/* The state after `txid` - 1, with `count` pages and those of `fills` changed. */
static void add(struct model *m, uint64_t txid, uint32_t count,
		const struct ltx_fill *fills)
{
	const struct ltx_spec spec = {.min_txid = txid,
				      .max_txid = txid,
				      .page_size = PAGE,
				      .page_count = count,
				      .pages = fills,
				      .has_frames = txid % 3 == 0,
				      .time_ns = (int64_t)txid * 1000000000};

	memory_storage_make(m->storage, &spec);
	assert_true(txid <= STATES);
	m->counts[txid] = count;
	memcpy(m->pages[txid], m->pages[txid - 1], PAGES + 1);
	for (uint32_t n = count + 1; n <= PAGES; n++) {
		m->pages[txid][n] = 0;
	}
	for (; fills->page_no; fills++) {
		m->pages[txid][fills->page_no] = fills->fill;
	}
}

/* A random one. What the database gains has images; what it had once, since it had
 * `most` pages, may lack some. */
static void add_random(struct model *m, uint64_t txid, uint32_t *most)
{
	struct ltx_fill fills[PAGES + 1];
	uint32_t before = m->counts[txid - 1];
	uint32_t count = before;
	size_t n = 0;

	if (draw(m, 4) == 0 || txid == 1) {
		count = 1 + draw(m, PAGES);
	}
	for (uint32_t page_no = 1; page_no <= count; page_no++) {
		bool is_new = page_no > *most;
		bool is_grown = page_no > before;

		if (is_new || (is_grown && draw(m, 2) == 0) || draw(m, 9) == 0) {
			fills[n++] =
			    (struct ltx_fill){page_no, (uint8_t)(1 + draw(m, 255))};
		}
	}
	fills[n] = (struct ltx_fill){0};
	*most = count > *most ? count : *most;
	add(m, txid, count, fills);
}

/* Up to the last of the TXIDs of `ends`, which files will be merged to: before the
 * first file of such a merge it cannot be known what there was once. */
static void add_many(struct model *m, const uint64_t *ends, size_t count)
{
	uint64_t txid = 1;

	for (size_t i = 0; i < count; i++) {
		uint32_t most = m->counts[txid - 1];

		for (; txid <= ends[i]; txid++) {
			add_random(m, txid, &most);
		}
	}
	list_again(m);
}

static const struct archive_file *named(const struct model *m, unsigned level,
					uint64_t min, uint64_t max)
{
	for (size_t i = 0; i < m->list.count; i++) {
		const struct archive_file *f = &m->list.files[i];

		if (f->level == level && f->min_txid == min && f->max_txid == max) {
			return f;
		}
	}
	return NULL;
}

/* All files of a level from one TXID to another become one of another level; where
 * `base` is not 0 behind the snapshot that ends there. */
static enum status compact(struct model *m, unsigned from, unsigned to, uint64_t base,
			   uint64_t min, uint64_t max, struct compaction *c)
{
	const struct archive_file *inputs[STATES + 1];
	size_t count = 0;
	enum status status;

	if (base) {
		inputs[count++] = named(m, from == 0 && base == 1 ? 0 : 9, 1, base);
		assert_non_null(inputs[0]);
	}
	for (size_t i = 0; i < m->list.count; i++) {
		const struct archive_file *f = &m->list.files[i];

		if (f->level == from && f->min_txid >= min && f->max_txid <= max) {
			inputs[count++] = f;
		}
	}
	*c = (struct compaction){.storage = memory_storage_base(m->storage),
				 .list = &m->list,
				 .inputs = inputs,
				 .input_count = count,
				 .level = to,
				 .stops = never};
	status = compaction_run(c, &m->err);
	assert_int_equal(memory_storage_opened(m->storage), 0);
	if (status == ST_OK) {
		assert_int_equal(c->file.min_txid, inputs[0]->min_txid);
		assert_int_equal(c->file.max_txid, max);
		assert_int_equal(c->file.time_ns, inputs[count - 1]->time_ns);
		list_again(m);
	}
	return status;
}

/* Restored by way of these levels alone, a state is what it was. */
static void check_state(struct model *m, uint64_t txid, unsigned levels)
{
	const struct when when = {.kind = WHEN_TXID, .txid = txid};
	struct archive_list some = {0};
	struct plan plan;
	struct merge merge;
	uint8_t page[PAGE];
	int fd;

	for (size_t i = 0; i < m->list.count; i++) {
		if (levels >> m->list.files[i].level & 1) {
			assert_int_equal(
			    archive_list_add(&some, &m->list.files[i], &m->err), ST_OK);
		}
	}
	if (plan_init(&plan, &some, &when, &m->err) != ST_OK) {
		fail_msg("txid %d: %s", (int)txid, m->err.text);
	}
	assert_int_equal(temp_file_open(&fd, &m->err), ST_OK);
	merge = (struct merge){.storage = memory_storage_base(m->storage),
			       .plan = &plan,
			       .fd = fd,
			       .path = "out",
			       .stop = &no_stop};
	if (merge_run(&merge, &m->err) != ST_OK) {
		fail_msg("txid %d, levels %x: %s", (int)txid, levels, m->err.text);
	}
	assert_int_equal(merge.page_count, m->counts[txid]);
	for (uint32_t n = 1; n <= merge.page_count; n++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)(n - 1) * PAGE), PAGE);
		if (page[0] != m->pages[txid][n] || page[PAGE - 1] != page[0]) {
			fail_msg("txid %d, page %d: %d and not %d", (int)txid, (int)n,
				 page[0], m->pages[txid][n]);
		}
	}
	(void)close(fd);
	plan_clear(&plan);
	archive_list_clear(&some);
}

/* A file of one page from `min` on. */
static void add_noted(struct model *m, uint64_t min, uint64_t max, uint64_t node)
{
	const struct ltx_fill fills[] = {{1, (uint8_t)max}, {0}};
	const struct ltx_spec spec = {.min_txid = min,
				      .max_txid = max,
				      .page_size = PAGE,
				      .page_count = 1,
				      .pages = fills,
				      .time_ns = (int64_t)max * 1000000000,
				      .node = node};

	memory_storage_make(m->storage, &spec);
	list_again(m);
}

static struct ltx_header merged_header(struct model *m, unsigned level, uint64_t min,
				       uint64_t max)
{
	struct compaction c;
	struct ltx_header header;

	assert_int_equal(compact(m, 0, level, 0, min, max, &c), ST_OK);
	assert_int_equal(
	    ltx_header_of(memory_storage_base(m->storage), &c.file, &header, &m->err),
	    ST_OK);
	return header;
}

/* ---- tests ---- */

#define NOTE(rest_ns, catch_up, transactions)                             \
	(0x5254ull << 48 | (uint64_t)(rest_ns) << 28 | (catch_up) << 27 | \
	 (transactions))

static void test_notes_of_single_files_are_added_up(void **state)
{
	struct model *m = *state;
	struct ltx_header header;

	add_noted(m, 1, 1, NOTE(1, 0, 0));
	add_noted(m, 2, 5, NOTE(2, 1, 1));
	add_noted(m, 6, 9, NOTE(3, 0, 40));
	add_noted(m, 10, 12, NOTE(4, 0, 2));
	add_noted(m, 13, 13, 0);
	add_noted(m, 14, 14, NOTE(5, 0, 3));
	add_noted(m, 15, 15, NOTE(6, 0, LTX_TRANSACTIONS_MOST));
	/* Whose ends are the same, so that one of them counts twice. */
	add_noted(m, 12, 12, NOTE(4, 0, 1));
	header = merged_header(m, 1, 2, 9);
	assert_true(header.has_note && header.has_catch_up);
	assert_int_equal(header.transactions, 41);
	assert_int_equal(header.rest_ns, 3);
	header = merged_header(m, 2, 6, 9);
	assert_true(header.has_note && !header.has_catch_up);
	header = merged_header(m, 1, 14, 15);
	assert_int_equal(header.transactions, LTX_TRANSACTIONS_MOST);
	/* Of which one says nothing. */
	header = merged_header(m, 2, 13, 14);
	assert_true(header.has_note);
	assert_int_equal(header.rest_ns, 5);
	assert_int_equal(header.transactions, 0);
	header = merged_header(m, 3, 13, 13);
	assert_false(header.has_note);
	header = merged_header(m, 4, 10, 12);
	assert_int_equal(header.rest_ns, 4);
	assert_int_equal(header.transactions, 0);
	/* A whole one. */
	header = merged_header(m, 9, 1, 9);
	assert_int_equal(header.transactions, 0);
	assert_int_equal(header.rest_ns, 3);
}

static void test_compacted_files_lead_to_the_same_states(void **state)
{
	struct model *m = *state;
	struct compaction c;
	uint64_t ends[STATES];
	size_t count = 0;

	for (uint64_t max = 1; max < STATES;) {
		ends[count++] = max;
		max += 2 + draw(m, 12);
	}
	add_many(m, ends, count);
	/* Level 1 in pieces of random length, behind the first file. */
	for (size_t i = 1; i < count; i++) {
		assert_int_equal(compact(m, 0, 1, 0, ends[i - 1] + 1, ends[i], &c),
				 ST_OK);
	}
	/* Level 2 of three of them each. */
	for (size_t i = 3; i < count; i += 3) {
		assert_int_equal(compact(m, 1, 2, 0, ends[i - 3] + 1, ends[i], &c),
				 ST_OK);
	}
	/* The base alone at level 9, and a snapshot of it and level 1. */
	assert_int_equal(compact(m, 0, 9, 0, 1, 1, &c), ST_OK);
	assert_int_equal(compact(m, 1, 9, 1, 2, ends[count / 2], &c), ST_OK);
	assert_int_equal(c.file.min_txid, 1);
	assert_int_equal(
	    compact(m, 1, 9, ends[count / 2], ends[count / 2] + 1, ends[count - 1], &c),
	    ST_OK);
	for (size_t i = 0; i < count; i++) {
		check_state(m, ends[i], 1u << 0);
		check_state(m, ends[i], 1u << 1 | 1u << 9);
		check_state(m, ends[i], 0x3ff);
	}
	for (size_t i = 3; i < count; i += 3) {
		check_state(m, ends[i], 1u << 2 | 1u << 9);
	}
}

static void test_more_files_than_can_be_open_are_merged_in_groups(void **state)
{
	struct model *m = *state;
	struct compaction c;

	add_many(m, (const uint64_t[]){1, STATES}, 2);
	assert_int_equal(compact(m, 0, 9, 0, 1, STATES, &c), ST_OK);
	check_state(m, STATES, 1u << 9);
	assert_int_equal(compact(m, 0, 1, 0, 2, STATES - 1, &c), ST_OK);
	assert_int_equal(compact(m, 0, 9, 0, 1, 1, &c), ST_OK);
	check_state(m, STATES - 1, 1u << 1 | 1u << 9);
}

static void test_what_was_cut_off_is_written_as_zeros(void **state)
{
	struct model *m = *state;
	const struct ltx_fill first[] = {
	    {1, 'a'}, {2, 'b'}, {3, 'c'}, {4, 'd'}, {0, 0}};
	const struct ltx_fill shrink[] = {{1, 'e'}, {0, 0}};
	const struct ltx_fill grow[] = {{4, 'f'}, {0, 0}};
	struct compaction c;

	add(m, 1, 4, first);
	add(m, 2, 2, shrink);
	add(m, 3, 4, grow);
	list_again(m);
	assert_int_equal(compact(m, 0, 1, 0, 2, 3, &c), ST_OK);
	assert_int_equal(c.zero_count, 1);
	check_state(m, 3, 1u << 0);
	assert_int_equal(compact(m, 0, 9, 0, 1, 1, &c), ST_OK);
	/* Without the zeros page 3 would be that of the first file. */
	check_state(m, 3, 1u << 1 | 1u << 9);
}

static void test_a_page_that_was_gained_without_an_image_is_an_error(void **state)
{
	struct model *m = *state;
	const struct ltx_fill first[] = {{1, 'a'}, {2, 'b'}, {0, 0}};
	const struct ltx_fill grow[] = {{4, 'f'}, {0, 0}};
	const struct ltx_fill change[] = {{1, 'e'}, {0, 0}};
	struct compaction c;

	add(m, 1, 2, first);
	add(m, 2, 2, change);
	add(m, 3, 4, grow);
	add(m, 4, 4, change);
	list_again(m);
	assert_int_equal(compact(m, 0, 1, 0, 2, 4, &c), ST_CORRUPT);
	assert_non_null(strstr(m->err.text, "page 3, which the database gained"));
	assert_int_equal(compact(m, 0, 1, 0, 3, 4, &c), ST_CORRUPT);
	assert_int_equal(compact(m, 0, 9, 0, 1, 4, &c), ST_CORRUPT);
	list_again(m);
	assert_int_equal(m->list.count, 4);
}

static void test_a_damaged_file_is_not_merged(void **state)
{
	struct model *m = *state;
	const struct ltx_fill fills[] = {{1, 'a'}, {2, 'b'}, {0, 0}};
	const struct ltx_spec spec = {.min_txid = 3,
				      .max_txid = 3,
				      .page_size = PAGE,
				      .page_count = 2,
				      .pages = fills};
	struct ltx_file file;
	struct compaction c;

	add(m, 1, 2, fills);
	add(m, 2, 2, fills);
	ltx_file_make(&file, &spec);
	*ltx_file_at(&file, file.bytes.len - 1) ^= 1; /* of the checksum */
	memory_storage_add(m->storage, &spec, file.bytes.bytes, file.bytes.len);
	ltx_file_clear(&file);
	list_again(m);
	assert_int_equal(compact(m, 0, 1, 0, 2, 3, &c), ST_CORRUPT);
	list_again(m);
	assert_int_equal(m->list.count, 3);
}

static void test_page_sizes_are_not_mixed(void **state)
{
	struct model *m = *state;
	const struct ltx_fill fills[] = {{1, 'a'}, {0, 0}};
	const struct ltx_spec spec = {.min_txid = 2,
				      .max_txid = 2,
				      .page_size = 1024,
				      .page_count = 1,
				      .pages = fills};
	struct compaction c;

	add(m, 1, 1, fills);
	memory_storage_make(m->storage, &spec);
	list_again(m);
	assert_int_equal(compact(m, 0, 1, 0, 1, 2, &c), ST_CORRUPT);
	assert_non_null(
	    strstr(m->err.text, "has pages of 1024 bytes, the files before"));
}

/* A small file that says it is of a database of 2 TB, and zeros for all of that. */
static void test_a_size_that_the_archive_cannot_have_is_an_error(void **state)
{
	struct model *m = *state;
	const struct ltx_fill fills[] = {{1, 'a'}, {0, 0}};
	const struct ltx_spec spec = {.min_txid = 3,
				      .max_txid = 3,
				      .page_size = PAGE,
				      .page_count = UINT32_MAX,
				      .pages = fills};
	struct compaction c;

	add(m, 2, 1, fills);
	memory_storage_make(m->storage, &spec);
	list_again(m);
	assert_int_equal(compact(m, 0, 1, 0, 2, 3, &c), ST_CORRUPT);
	assert_non_null(strstr(m->err.text, "4294967295 pages, but the archive has"));
}

static void test_a_request_to_stop_ends_it(void **state)
{
	struct model *m = *state;
	const struct archive_file *inputs[2];
	struct compaction c = {.storage = memory_storage_base(m->storage),
			       .list = &m->list,
			       .inputs = inputs,
			       .input_count = 2,
			       .level = 1,
			       .stops = now};

	add_many(m, (const uint64_t[]){3}, 1);
	inputs[0] = named(m, 0, 2, 2);
	inputs[1] = named(m, 0, 3, 3);
	assert_int_equal(compaction_run(&c, &m->err), ST_STOPPED);
	list_again(m);
	assert_int_equal(m->list.count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_compacted_files_lead_to_the_same_states),
	    TEST(test_notes_of_single_files_are_added_up),
	    TEST(test_more_files_than_can_be_open_are_merged_in_groups),
	    TEST(test_what_was_cut_off_is_written_as_zeros),
	    TEST(test_a_page_that_was_gained_without_an_image_is_an_error),
	    TEST(test_a_damaged_file_is_not_merged),
	    TEST(test_page_sizes_are_not_mixed),
	    TEST(test_a_size_that_the_archive_cannot_have_is_an_error),
	    TEST(test_a_request_to_stop_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

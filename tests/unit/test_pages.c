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

#include "src/archive/merge.h"
#include "src/archive/pages.h"
#include "src/base/bytes.h"
#include "src/base/temp_file.h"
#include "src/storage/location.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u
#define ALL  60u /* pages of a test, and files, at most */

static const _Atomic int never;

/* ---- an archive and what is read from it ---- */

static struct plan plan_of(struct storage *storage, const char *at,
			   struct archive_list *list)
{
	struct error err;
	struct when when;
	struct plan plan;

	*list = (struct archive_list){0};
	assert_int_equal(when_parse(at, 0, &when, &err), ST_OK);
	assert_int_equal(storage_list(storage, list, &err), ST_OK);
	assert_int_equal(plan_init(&plan, list, &when, &err), ST_OK);
	return plan;
}

static enum status open_at(struct storage *storage, const char *at,
			   struct archive_pages **pages, struct error *err)
{
	struct archive_list list;
	struct plan plan = plan_of(storage, at, &list);
	enum status status = archive_pages_open(storage, &plan, pages, err);

	/* Nothing of the plan is kept. */
	plan_clear(&plan);
	archive_list_clear(&list);
	return status;
}

/* Each page by what it is filled with; '.' zeros. */
static enum status read_text(struct archive_pages *pages, char *text, struct error *err)
{
	uint8_t page[PAGE];
	uint32_t count = archive_pages_count(pages);
	enum status status = ST_OK;

	assert_int_equal(archive_pages_size(pages), PAGE);
	assert_true(count <= ALL);
	for (uint32_t n = 1; status == ST_OK && n <= count; n++) {
		status = archive_pages_read(pages, n, page, err);
		for (size_t k = 1; status == ST_OK && k < PAGE; k++) {
			assert_int_equal(page[k], page[0]);
		}
		text[n - 1] = page[0] ? (char)page[0] : '.';
	}
	text[count] = '\0';
	return status;
}

static void add(struct memory_storage *storage, unsigned level, uint64_t min,
		uint64_t max, uint32_t page_count, const struct ltx_fill *pages)
{
	const struct ltx_spec spec = {
	    .level = level,
	    .min_txid = min,
	    .max_txid = max,
	    .page_size = PAGE,
	    .page_count = page_count,
	    .pages = pages,
	    .has_frames = max % 2,
	};

	memory_storage_make(storage, &spec);
}

static const struct ltx_fill three_a[] = {{1, 'a'}, {2, 'a'}, {3, 'a'}, {0, 0}};
static const struct ltx_fill second_b[] = {{2, 'b'}, {0, 0}};
static const struct ltx_fill third_c[] = {{3, 'c'}, {0, 0}};
static const struct ltx_fill both[] = {{2, 'b'}, {3, 'c'}, {0, 0}};

static void test_the_newest_image_of_each_page_counts(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct archive_pages *pages;
	char text[ALL + 1];
	struct error err;

	(void)state;
	add(storage, 9, 1, 1, 3, three_a);
	add(storage, 0, 2, 2, 3, second_b);
	add(storage, 0, 3, 3, 3, third_c);
	for (int i = 0; i < 3; i++) {
		const char *const at[] = {"txid:1", "txid:2", "latest"};
		const char *const expected[] = {"aaa", "aba", "abc"};

		assert_int_equal(
		    open_at(memory_storage_base(storage), at[i], &pages, &err), ST_OK);
		/* Again: out of what is kept. */
		assert_int_equal(read_text(pages, text, &err), ST_OK);
		assert_int_equal(read_text(pages, text, &err), ST_OK);
		assert_string_equal(text, expected[i]);
		archive_pages_close(pages);
		assert_int_equal(memory_storage_opened(storage), 0);
	}
	storage_close(memory_storage_base(storage));
}

static void test_a_number_that_the_database_does_not_have_is_an_error(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct archive_pages *pages;
	uint8_t page[PAGE];
	struct error err;

	(void)state;
	add(storage, 9, 1, 1, 3, three_a);
	assert_int_equal(open_at(memory_storage_base(storage), "latest", &pages, &err),
			 ST_OK);
	assert_int_equal(archive_pages_read(pages, 0, page, &err), ST_CORRUPT);
	assert_int_equal(archive_pages_read(pages, 4, page, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "page 4 is asked for, the database has 3"));
	archive_pages_close(pages);
	storage_close(memory_storage_base(storage));
}

/* Past 1 GiB, of pages so large that they are few. */
static void test_the_page_of_the_lock_byte_is_zeros(void **state)
{
	enum { LOCK = 16385, COUNT = LOCK + 1 };
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill *fills = calloc(COUNT + 1, sizeof *fills);
	struct ltx_spec spec = {.level = 9,
				.min_txid = 1,
				.max_txid = 1,
				.page_size = 65536,
				.page_count = COUNT,
				.pages = fills};
	uint8_t *page = malloc(spec.page_size);
	struct archive_pages *pages;
	struct error err;
	size_t count = 0;

	(void)state;
	assert_true(fills && page);
	if (getenv("ROWTAIL_TEST_WRAPPED")) { /* a minute of valgrind */
		storage_close(memory_storage_base(storage));
		free(fills);
		free(page);
		skip();
	}
	for (uint32_t n = 1; n <= COUNT; n++) {
		if (n != LOCK) {
			fills[count++] = (struct ltx_fill){n, 'a'};
		}
	}
	memory_storage_make(storage, &spec);
	assert_int_equal(open_at(memory_storage_base(storage), "latest", &pages, &err),
			 ST_OK);
	for (uint32_t n = LOCK - 1; n <= COUNT; n++) {
		assert_int_equal(archive_pages_read(pages, n, page, &err), ST_OK);
		assert_int_equal(page[0], n == LOCK ? 0 : 'a');
		assert_int_equal(page[65535], n == LOCK ? 0 : 'a');
	}
	archive_pages_close(pages);
	storage_close(memory_storage_base(storage));
	free(fills);
	free(page);
}

/* ---- the same as a merge ---- */

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* A file of random pages, of a database of a random size. */
static uint32_t add_random(struct memory_storage *storage, uint64_t txid,
			   uint32_t before, uint64_t *seed)
{
	uint32_t count = next_random(seed) % 4 ? before : 1 + next_random(seed) % ALL;
	uint32_t one_of = 1 + next_random(seed) % 5;
	struct ltx_fill fills[ALL + 1];
	size_t used = 0;

	for (uint32_t n = 1; n <= count; n++) {
		/* What it gained, and sometimes only the end of that. */
		bool is_new = n > before && (n == count || next_random(seed) % 50);

		if (txid == 1 || is_new || next_random(seed) % one_of == 0) {
			fills[used++] =
			    (struct ltx_fill){n, (uint8_t)('a' + txid % 26)};
		}
	}
	fills[used] = (struct ltx_fill){0};
	add(storage, txid == 1 ? 9 : 0, txid, txid, count, fills);
	return count;
}

static enum status merge_text(struct storage *storage, const char *at, char *text,
			      struct error *err)
{
	struct archive_list list;
	struct plan plan = plan_of(storage, at, &list);
	struct merge m = {
	    .storage = storage, .plan = &plan, .path = "out", .stop = &never};
	uint8_t page[PAGE];
	enum status status;

	assert_int_equal(temp_file_open(&m.fd, err), ST_OK);
	status = merge_run(&m, err);
	for (uint32_t i = 0; status == ST_OK && i < m.page_count; i++) {
		assert_int_equal(pread(m.fd, page, PAGE, (off_t)i * PAGE), PAGE);
		text[i] = page[0] ? (char)page[0] : '.';
	}
	text[m.page_count] = '\0';
	(void)close(m.fd);
	plan_clear(&plan);
	archive_list_clear(&list);
	return status;
}

static void compare(struct storage *storage, const char *at, unsigned round,
		    unsigned *good, unsigned *bad)
{
	struct archive_pages *pages = NULL;
	char merged[ALL + 1] = "";
	char text[ALL + 1] = "";
	struct error merge_err = {0};
	struct error err = {0};
	enum status expected = merge_text(storage, at, merged, &merge_err);
	enum status status = open_at(storage, at, &pages, &err);

	if (status == ST_OK) {
		status = read_text(pages, text, &err);
	}
	if (status != expected || (status == ST_OK && strcmp(text, merged) != 0) ||
	    (status != ST_OK && strcmp(err.text, merge_err.text) != 0)) {
		fail_msg("round %u, %s: merged %s (%s), pages %s (%s)", round, at,
			 merged, merge_err.text, text, err.text);
	}
	(*(status == ST_OK ? good : bad))++;
	archive_pages_close(pages);
}

static void test_pages_are_those_of_a_merge(void **state)
{
	uint64_t seed = 20261129;
	unsigned good = 0;
	unsigned bad = 0;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct memory_storage *storage = memory_storage_open();
		uint32_t count = 1 + next_random(&seed) % ALL;
		uint64_t last = 1 + next_random(&seed) % 50;

		for (uint64_t txid = 1; txid <= last; txid++) {
			char at[32];

			count = add_random(storage, txid, count, &seed);
			(void)snprintf(at, sizeof at, "txid:%llx",
				       (unsigned long long)txid);
			compare(memory_storage_base(storage), at, round, &good, &bad);
			assert_int_equal(memory_storage_opened(storage), 0);
		}
		storage_close(memory_storage_base(storage));
	}
	/* Archives that are whole, and such that a page is missing in. */
	assert_true(good > 300);
	assert_true(bad > 30);
}

/* What Litestream wrote: every state of it, byte for byte. */
static void compare_all(const char *location)
{
	const struct storage_settings settings = {0};
	struct archive_list list = {0};
	struct moments moments;
	struct storage *storage;
	struct error err;
	unsigned compared = 0;

	assert_int_equal(location_open(location, &settings, &storage, &err), ST_OK);
	assert_int_equal(storage_list(storage, &list, &err), ST_OK);
	assert_int_equal(moments_init(&moments, &list, &err), ST_OK);
	for (size_t i = 0; i < moments.count; i++) {
		const struct when when = {.kind = WHEN_TXID,
					  .txid = moments.all[i].txid};
		struct archive_pages *pages;
		struct plan plan;
		struct merge m = {
		    .storage = storage, .plan = &plan, .path = "out", .stop = &never};
		uint8_t page[2][65536];

		assert_int_equal(plan_init(&plan, &list, &when, &err), ST_OK);
		assert_int_equal(temp_file_open(&m.fd, &err), ST_OK);
		assert_int_equal(merge_run(&m, &err), ST_OK);
		assert_int_equal(archive_pages_open(storage, &plan, &pages, &err),
				 ST_OK);
		assert_int_equal(archive_pages_size(pages), m.page_size);
		assert_int_equal(archive_pages_count(pages), m.page_count);
		for (uint32_t n = 1; n <= m.page_count; n++) {
			assert_int_equal(archive_pages_read(pages, n, page[0], &err),
					 ST_OK);
			assert_int_equal(pread(m.fd, page[1], m.page_size,
					       (off_t)(n - 1) * m.page_size),
					 m.page_size);
			assert_memory_equal(page[0], page[1], m.page_size);
			compared++;
		}
		archive_pages_close(pages);
		(void)close(m.fd);
		plan_clear(&plan);
	}
	assert_true(compared > 20);
	moments_clear(&moments);
	archive_list_clear(&list);
	storage_close(storage);
}

static void test_archives_of_both_formats_are_read(void **state)
{
	(void)state;
	compare_all("tests/archive/fixtures/litestream-0.5.13/archive");
	compare_all("tests/archive/fixtures/litestream-0.5.18/archive");
}

/* ---- hostile bytes ---- */

static const struct ltx_fill some[] = {{1, 'a'}, {2, 'b'}, {3, 'c'}, {0, 0}};
static const struct ltx_spec plain = {
    .level = 9,
    .min_txid = 1,
    .max_txid = 1,
    .page_size = PAGE,
    .page_count = 3,
    .pages = some,
};

/* Read all of one file; `text` is what was read. */
static enum status read_one(const struct ltx_spec *spec, const void *bytes, size_t len,
			    char *text, struct error *err)
{
	struct memory_storage *storage = memory_storage_open();
	struct archive_pages *pages = NULL;
	uint8_t page[PAGE];
	enum status status;

	text[0] = '\0';
	memory_storage_add(storage, spec, bytes, len);
	status = open_at(memory_storage_base(storage), "latest", &pages, err);
	if (status == ST_OK && archive_pages_size(pages) == PAGE) {
		uint32_t count = archive_pages_count(pages);

		for (uint32_t n = 1; status == ST_OK && n <= count; n++) {
			status = archive_pages_read(pages, n, page, err);
			text[n - 1] = (char)page[PAGE / 2];
			text[n] = '\0';
		}
	}
	archive_pages_close(pages);
	assert_int_equal(memory_storage_opened(storage), 0);
	storage_close(memory_storage_base(storage));
	return status;
}

static void test_every_length_but_the_whole_is_an_error(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		struct ltx_file file;
		struct error err;
		char text[ALL];

		spec.has_frames = frames;
		ltx_file_make(&file, &spec);
		for (size_t len = 0; len < file.bytes.len; len++) {
			assert_int_equal(
			    read_one(&spec, file.bytes.bytes, len, text, &err),
			    ST_CORRUPT);
			assert_non_null(strstr(err.text, "rowtail archive list"));
		}
		ltx_file_clear(&file);
	}
}

/* Any bit of what says where pages lie is an error; of what does not, nothing. */
static void test_every_flipped_bit_outside_of_pages_is_an_error(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		struct ltx_file file;
		struct error err;
		char text[ALL];

		spec.has_frames = frames;
		ltx_file_make(&file, &spec);
		for (size_t bit = 0; bit < file.bytes.len * 8; bit++) {
			size_t byte = bit / 8;
			uint8_t *at = ltx_file_at(&file, byte);
			bool in_index =
			    byte >= file.index && byte < file.bytes.len - 16;
			enum status status;

			*at ^= (uint8_t)(1u << bit % 8);
			status = read_one(&spec, file.bytes.bytes, file.bytes.len, text,
					  &err);
			*at ^= (uint8_t)(1u << bit % 8);
			assert_true(status == ST_OK || status == ST_CORRUPT);
			assert_true(!in_index || status == ST_CORRUPT);
			if (status == ST_OK &&
			    (byte < file.frames[0] || byte >= file.end)) {
				assert_true(strcmp(text, "abc") == 0 || text[0] == 0);
			}
		}
		ltx_file_clear(&file);
	}
}

enum part { IN_FILE, IN_FIRST, IN_SECOND, IN_INDEX, IN_TRAILER };

/* A byte, at an offset of its part, that becomes another one. */
struct change {
	enum part part;
	int offset;
	uint8_t byte;
	const char *error;
};

/* An entry of the index has, in a file this small, one byte for the number, one for the
 * first offset, two for others, and one for the length. */
static const struct change changes[] = {
    {IN_FILE, 0, 'X', "is no LTX file"},
    {IN_FILE, 15, 4, "page 4 of 4 is in no file"},
    {IN_FILE, 15, 2, "in its index out of order or beyond the end"},
    {IN_FILE, 31, 2, "has other TXIDs than its name"},
    {IN_FIRST, 3, 2, "has another page than its index says"},
    {IN_SECOND, 4, 1, "has a page with flags of a newer format"},
    {IN_SECOND, 9, 1, "has a page that does not decompress"},
    {IN_INDEX, 0, 2, "in its index out of order"},
    {IN_INDEX, 0, 0, "has an index that does not name its pages"},
    {IN_INDEX, 1, 99, "has an index that does not name its pages"},
    {IN_INDEX, 1, 0x7f, "has an index that does not name its pages"},
    {IN_INDEX, 2, 0, "has an index that does not name its pages"},
    {IN_INDEX, 2, 6, "has an index that does not name its pages"},
    {IN_INDEX, 3, 4, "in its index out of order or beyond the end"},
    {IN_TRAILER, -1, 0, "has an index of an impossible length"},
    {IN_TRAILER, -2, 1, "has an index of an impossible length"},
    {IN_TRAILER, -8, 0xff, "has an index of an impossible length"},
    {IN_TRAILER, -9, 0x80, "has an index of another length"},
};

static size_t place_of(const struct ltx_file *file, const struct change *c)
{
	const size_t starts[] = {0, file->frames[0], file->frames[1], file->index,
				 file->bytes.len - LTX_TRAILER_BYTES};

	return starts[c->part] + (size_t)(ptrdiff_t)c->offset;
}

static void test_each_bound_is_an_error_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct ltx_file file;
		struct error err = {0};
		char text[ALL];

		ltx_file_make(&file, &plain);
		*ltx_file_at(&file, place_of(&file, &changes[i])) = changes[i].byte;
		if (read_one(&plain, file.bytes.bytes, file.bytes.len, text, &err) !=
			ST_CORRUPT ||
		    !strstr(err.text, changes[i].error)) {
			fail_msg("change %zu: %s instead of %s", i, err.text,
				 changes[i].error);
		}
		ltx_file_clear(&file);
	}
}

/* An entry whose numbers have ten bytes and more than 64 bits. */
static void test_a_number_of_the_index_is_bounded(void **state)
{
	struct ltx_file file;
	struct error err;
	char text[ALL];

	(void)state;
	ltx_file_make(&file, &plain);
	assert_true(file.bytes.len - LTX_TRAILER_BYTES - 8 - file.index > 10);
	memset(ltx_file_at(&file, file.index), 0xff, 10);
	assert_int_equal(read_one(&plain, file.bytes.bytes, file.bytes.len, text, &err),
			 ST_CORRUPT);
	assert_non_null(strstr(err.text, "has a number in its index that is too long"));
	ltx_file_clear(&file);
}

/* A small file that says it is of a database of 256 TB. */
static void test_a_size_that_the_files_cannot_have_is_an_error(void **state)
{
	struct ltx_spec spec = plain;
	struct ltx_file file;
	struct error err;
	char text[ALL];

	(void)state;
	spec.page_count = UINT32_MAX;
	ltx_file_make(&file, &spec);
	assert_int_equal(read_one(&spec, file.bytes.bytes, file.bytes.len, text, &err),
			 ST_CORRUPT);
	assert_non_null(
	    strstr(err.text, "4294967295 pages, but the archive has fewer"));
	ltx_file_clear(&file);
}

static void test_page_sizes_do_not_mix(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_spec spec = plain;
	struct archive_pages *pages;
	struct error err;

	(void)state;
	memory_storage_make(storage, &spec);
	spec.level = 0;
	spec.min_txid = spec.max_txid = 2;
	spec.page_size = 1024;
	memory_storage_make(storage, &spec);
	assert_int_equal(open_at(memory_storage_base(storage), "latest", &pages, &err),
			 ST_CORRUPT);
	assert_non_null(strstr(err.text, "has pages of 512 bytes, a later one of"));
	storage_close(memory_storage_base(storage));
}

/* ---- files that go ---- */

/* A storage in which level 0 can vanish, and level 1 appear. */
struct changing {
	struct storage base;
	struct storage *inner;
	bool is_compacted;
	int losses; /* opens to fail from now on, whatever is there */
	size_t opens;
	size_t most_open;
};

static struct changing *changing_of(struct storage *storage)
{
	return (struct changing *)(void *)storage;
}

static enum status list_changing(struct storage *storage, unsigned level,
				 struct archive_list *list, struct error *err)
{
	struct changing *c = changing_of(storage);

	return level == (c->is_compacted ? 0 : 1)
		   ? ST_OK
		   : c->inner->calls->list(c->inner, level, list, err);
}

static enum status open_changing(struct storage *storage,
				 const struct archive_file *file,
				 struct storage_file **out, struct error *err)
{
	struct changing *c = changing_of(storage);
	size_t open;
	enum status status;

	if (c->losses > 0 || file->level == (c->is_compacted ? 0 : 1)) {
		c->losses -= c->losses > 0;
		return error_set(err, ST_LOST, "it was removed");
	}
	status = storage_file_open(c->inner, file, out, err);
	open = memory_storage_opened((struct memory_storage *)(void *)c->inner);
	c->opens++;
	c->most_open = open > c->most_open ? open : c->most_open;
	return status;
}

static const struct storage_calls changing_calls = {
    .list = list_changing,
    .open = open_changing,
};

static void add_compacted(struct memory_storage *storage)
{
	add(storage, 9, 1, 1, 3, three_a);
	add(storage, 0, 2, 2, 3, second_b);
	add(storage, 0, 3, 3, 3, third_c);
	add(storage, 1, 2, 3, 3, both);
}

static void test_a_file_that_is_gone_is_replaced_by_others(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct changing c = {.base.calls = &changing_calls,
			     .inner = memory_storage_base(storage)};
	struct archive_pages *pages;
	uint8_t page[PAGE];
	char text[ALL + 1];
	struct error err;

	(void)state;
	add_compacted(storage);
	assert_int_equal(open_at(&c.base, "latest", &pages, &err), ST_OK);
	assert_int_equal(archive_pages_read(pages, 2, page, &err), ST_OK);
	c.is_compacted = true;
	assert_int_equal(read_text(pages, text, &err), ST_OK);
	assert_string_equal(text, "abc");
	archive_pages_close(pages);
	/* While it is opened. */
	c.losses = 2;
	assert_int_equal(open_at(&c.base, "latest", &pages, &err), ST_OK);
	assert_int_equal(read_text(pages, text, &err), ST_OK);
	assert_string_equal(text, "abc");
	archive_pages_close(pages);
	/* Without end. */
	c.losses = 1000;
	assert_int_equal(open_at(&c.base, "latest", &pages, &err), ST_LOST);
	assert_int_equal(memory_storage_opened(storage), 0);
	storage_close(memory_storage_base(storage));
}

static void test_a_state_that_is_gone_is_an_error_each_time(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct changing c = {.base.calls = &changing_calls,
			     .inner = memory_storage_base(storage)};
	struct archive_pages *pages;
	uint8_t page[PAGE];
	char text[ALL + 1];
	struct error err;

	(void)state;
	add_compacted(storage);
	assert_int_equal(open_at(&c.base, "txid:2", &pages, &err), ST_OK);
	c.is_compacted = true;
	assert_int_equal(archive_pages_read(pages, 2, page, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "no state txid:2"));
	assert_int_equal(archive_pages_read(pages, 2, page, &err), ST_CONFIG);
	/* It is back. */
	c.is_compacted = false;
	assert_int_equal(read_text(pages, text, &err), ST_OK);
	assert_string_equal(text, "aba");
	archive_pages_close(pages);
	storage_close(memory_storage_base(storage));
}

static void test_few_files_are_open_at_a_time(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct changing c = {.base.calls = &changing_calls,
			     .inner = memory_storage_base(storage)};
	struct ltx_fill fills[ALL + 1] = {0};
	struct archive_pages *pages;
	char expected[ALL + 1];
	char text[ALL + 1];
	struct error err;

	(void)state;
	for (uint32_t n = 0; n < ALL; n++) {
		fills[n] = (struct ltx_fill){n + 1, 'a'};
	}
	add(storage, 9, 1, 1, ALL, fills);
	for (uint32_t n = 2; n <= ALL; n++) {
		const struct ltx_fill one[] = {{n, (uint8_t)('b' + n % 20)}, {0, 0}};

		add(storage, 0, n, n, ALL, one);
	}
	for (uint32_t n = 1; n <= ALL; n++) {
		expected[n - 1] = n == 1 ? 'a' : (char)('b' + n % 20);
	}
	expected[ALL] = '\0';
	assert_int_equal(open_at(&c.base, "latest", &pages, &err), ST_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_text(pages, text, &err), ST_OK);
		assert_string_equal(text, expected);
	}
	archive_pages_close(pages);
	assert_true(c.opens >= 2 * ALL);
	assert_true(c.most_open <= 20);
	storage_close(memory_storage_base(storage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_newest_image_of_each_page_counts),
	    cmocka_unit_test(test_a_number_that_the_database_does_not_have_is_an_error),
	    cmocka_unit_test(test_the_page_of_the_lock_byte_is_zeros),
	    cmocka_unit_test(test_pages_are_those_of_a_merge),
	    cmocka_unit_test(test_archives_of_both_formats_are_read),
	    cmocka_unit_test(test_every_length_but_the_whole_is_an_error),
	    cmocka_unit_test(test_every_flipped_bit_outside_of_pages_is_an_error),
	    cmocka_unit_test(test_each_bound_is_an_error_of_its_own),
	    cmocka_unit_test(test_a_number_of_the_index_is_bounded),
	    cmocka_unit_test(test_a_size_that_the_files_cannot_have_is_an_error),
	    cmocka_unit_test(test_page_sizes_do_not_mix),
	    cmocka_unit_test(test_a_file_that_is_gone_is_replaced_by_others),
	    cmocka_unit_test(test_a_state_that_is_gone_is_an_error_each_time),
	    cmocka_unit_test(test_few_files_are_open_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

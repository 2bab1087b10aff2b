/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u

static const struct ltx_fill three[] = {{1, 'a'}, {2, 'b'}, {7, 'c'}, {0, 0}};
static const struct ltx_spec plain = {
    .level = 0,
    .min_txid = 5,
    .max_txid = 8,
    .page_size = PAGE,
    .page_count = 9,
    .pages = three,
    .time_ns = 1700000000123000000,
};

/* Read all of it; `*same`: each page that was given is the one that was written. */
static enum status read_all(const struct ltx_spec *spec, const void *bytes, size_t len,
			    bool *same, struct error *err)
{
	struct memory_storage *storage = memory_storage_open();
	const struct archive_file name = {.level = spec->level,
					  .min_txid = spec->min_txid,
					  .max_txid = spec->max_txid};
	struct storage_file *file;
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	enum status status;
	size_t count = 0;

	*same = true;
	memory_storage_add(storage, spec, bytes, len);
	assert_int_equal(
	    storage_file_open(memory_storage_base(storage), &name, &file, err), ST_OK);
	status = ltx_reader_open(file, &name, &reader, err);
	while (status == ST_OK &&
	       (status = ltx_reader_next(reader, &page, err)) == ST_OK) {
		const struct ltx_fill *fill = &spec->pages[count++];

		*same = *same && fill->page_no == page.page_no;
		for (size_t i = 0; *same && i < spec->page_size; i++) {
			*same = page.bytes[i] == fill->fill;
		}
	}
	if (status == ST_END) {
		assert_int_equal(ltx_reader_next(reader, &page, err), ST_END);
		*same = *same && (!spec->pages || spec->pages[count].page_no == 0);
	}
	ltx_reader_close(reader);
	storage_file_close(file);
	storage_close(memory_storage_base(storage));
	return status;
}

static void check_good(const struct ltx_spec *spec)
{
	struct ltx_file file;
	struct error err;
	bool same;

	ltx_file_make(&file, spec);
	if (read_all(spec, file.bytes.bytes, file.bytes.len, &same, &err) != ST_END) {
		fail_msg("%s", err.text);
	}
	assert_true(same);
	ltx_file_clear(&file);
}

static void test_blocks_and_frames_are_read(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	check_good(&spec);
	spec.has_frames = true;
	check_good(&spec);
	spec.page_size = 65536;
	check_good(&spec);
	spec.has_frames = false;
	check_good(&spec);
}

static void test_checksums_of_the_database_are_accepted(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	spec.has_checksums = true;
	check_good(&spec);
	spec.min_txid = 1;
	check_good(&spec);
}

static void test_a_file_without_pages_is_one(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	spec.pages = NULL;
	check_good(&spec);
	spec.page_count = 0;
	check_good(&spec);
}

static void test_the_header_is_told(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	const struct archive_file name = {.min_txid = 5, .max_txid = 8};
	const struct ltx_header *header;
	struct storage_file *file;
	struct ltx_reader *reader;
	struct error err;

	(void)state;
	memory_storage_make(storage, &plain);
	assert_int_equal(
	    storage_file_open(memory_storage_base(storage), &name, &file, &err), ST_OK);
	assert_int_equal(ltx_reader_open(file, &name, &reader, &err), ST_OK);
	header = ltx_reader_header(reader);
	assert_int_equal(header->page_size, PAGE);
	assert_int_equal(header->page_count, 9);
	assert_int_equal(header->min_txid, 5);
	assert_int_equal(header->max_txid, 8);
	assert_int_equal(header->time_ms, 1700000000123);
	ltx_reader_close(reader);
	storage_file_close(file);
	storage_close(memory_storage_base(storage));
}

/* The header of a file with that node. */
static struct ltx_header header_with(uint64_t node, uint64_t wal_size)
{
	const struct archive_file name = {.min_txid = 5, .max_txid = 8};
	struct ltx_spec spec = plain;
	struct ltx_file file;
	struct ltx_header header;
	struct error err;

	spec.node = node;
	spec.wal_size = wal_size;
	ltx_file_make(&file, &spec);
	assert_int_equal(
	    ltx_header_read(ltx_file_at(&file, 0), "file", &name, &header, &err),
	    ST_OK);
	ltx_file_clear(&file);
	return header;
}

static void test_a_note_of_rowtail_is_told_from_nodes_of_others(void **state)
{
	const uint64_t note = 0x5254ull << 48 | 456789ull << 28 | 1ull << 27 | 77;
	const uint64_t others[] = {0, 1, note - (1ull << 48), ~0ull,
				   0x5254ull << 48 | 1000000ull << 28 | 77};
	const struct archive_file at = {.time_ns = 1700000000123000001};
	struct ltx_header header = header_with(note, 0);

	(void)state;
	assert_true(header.has_note && header.has_catch_up);
	assert_int_equal(header.rest_ns, 456789);
	assert_int_equal(header.transactions, 77);
	assert_true(ltx_time_ns(&header, &at) == 1700000000123456789);
	header = header_with(note & ~(1ull << 27 | 127), 0);
	assert_true(header.has_note && !header.has_catch_up);
	assert_int_equal(header.transactions, 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		header = header_with(others[i], 0);
		assert_false(header.has_note || header.has_catch_up);
		assert_int_equal(header.rest_ns, 0);
		assert_int_equal(header.transactions, 0);
		assert_true(ltx_time_ns(&header, &at) == at.time_ns);
	}
	header = header_with(note, 4096);
	assert_false(header.has_note || header.has_catch_up);
	assert_int_equal(header.transactions, 0);
}

static void test_every_length_but_the_whole_is_an_error(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		struct ltx_file file;
		struct error err;
		bool same;

		spec.has_frames = frames;
		ltx_file_make(&file, &spec);
		for (size_t len = 0; len < file.bytes.len; len++) {
			assert_int_equal(
			    read_all(&spec, file.bytes.bytes, len, &same, &err),
			    ST_CORRUPT);
			assert_non_null(strstr(err.text, "rowtail archive list"));
		}
		buffer_add_char(&file.bytes, 0);
		assert_int_equal(
		    read_all(&spec, file.bytes.bytes, file.bytes.len, &same, &err),
		    ST_CORRUPT);
		assert_non_null(strstr(err.text, "goes on after its end"));
		ltx_file_clear(&file);
	}
}

/* Any bit: an error, but for one that an LZ4 decoder may ignore. */
static void test_every_flipped_bit_is_an_error(void **state)
{
	struct ltx_spec spec = plain;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		struct ltx_file file;

		spec.has_frames = frames;
		ltx_file_make(&file, &spec);
		for (size_t bit = 0; bit < file.bytes.len * 8; bit++) {
			uint8_t *at = ltx_file_at(&file, bit / 8);
			struct error err;
			enum status status;
			bool same;

			*at ^= (uint8_t)(1u << bit % 8);
			status = read_all(&spec, file.bytes.bytes, file.bytes.len,
					  &same, &err);
			*at ^= (uint8_t)(1u << bit % 8);
			assert_true(status == ST_CORRUPT ||
				    (status == ST_END && same &&
				     bit / 8 >= file.frames[0] && bit / 8 < file.end));
		}
		ltx_file_clear(&file);
	}
}

/* Where something is changed: an offset into the file, or into one of its parts. */
enum part { IN_FILE, IN_FIRST, IN_SECOND, IN_THIRD, IN_END, IN_INDEX, IN_TRAILER };

struct bound {
	const char *what; /* a part of the error */
	enum part part;
	unsigned offset;
	unsigned len;
	uint64_t value;
};

/* All are signed again: the checksum is right. */
static const struct bound bounds[] = {
    {"is no LTX file", IN_FILE, 0, 4, 0x4c545832},
    {"has flags of a newer format", IN_FILE, 4, 4, 3},
    {"has no page size", IN_FILE, 8, 4, 0},
    {"has no page size", IN_FILE, 8, 4, 256},
    {"has no page size", IN_FILE, 8, 4, 513},
    {"has no page size", IN_FILE, 8, 4, 131072},
    {"page number out of order or beyond", IN_FILE, 12, 4, 6},
    {"has no range of TXIDs", IN_FILE, 16, 8, 0},
    {"has no range of TXIDs", IN_FILE, 16, 8, 9},
    {"has other TXIDs than its name", IN_FILE, 16, 8, 4},
    {"has other TXIDs than its name", IN_FILE, 24, 8, 9},
    {"wrong checksum of the database before", IN_FILE, 40, 8, 1},
    {"page number out of order or beyond", IN_SECOND, 0, 4, 1},
    {"page number out of order or beyond", IN_THIRD, 0, 4, 10},
    {"flags of a newer format", IN_FIRST, 4, 2, 3},
    {"page of an impossible length", IN_FIRST, 6, 4, 0},
    {"page of an impossible length", IN_FIRST, 6, 4, 531},
    {"page of an impossible length", IN_FIRST, 6, 4, 0xffffffff},
    {"page that does not decompress", IN_FIRST, 6, 4, 5},
    {"flags behind its last page", IN_END, 4, 2, 1},
    {"index that does not name its pages", IN_INDEX, 0, 1, 2},
    {"index that does not name its pages", IN_INDEX, 1, 1, 101},
    {"index that does not name its pages", IN_INDEX, 0, 1, 0},
    {"wrong checksum of the database after", IN_TRAILER, 0, 8, 1},
};

static size_t offset_of(const struct ltx_file *file, const struct bound *bound)
{
	switch (bound->part) {
	case IN_FIRST:
	case IN_SECOND:
	case IN_THIRD:
		return file->frames[bound->part - IN_FIRST] + bound->offset;
	case IN_END:
		return file->end + bound->offset;
	case IN_INDEX:
		return file->index + bound->offset;
	case IN_TRAILER:
		return file->bytes.len - LTX_TRAILER_BYTES + bound->offset;
	default:
		return bound->offset;
	}
}

static void test_each_bound_is_an_error_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		const struct bound *b = &bounds[i];
		struct ltx_file file;
		struct error err;
		bool same;

		ltx_file_make(&file, &plain);
		for (unsigned k = 0; k < b->len; k++) {
			*ltx_file_at(&file, offset_of(&file, b) + k) =
			    (uint8_t)(b->value >> 8 * (b->len - 1 - k));
		}
		ltx_file_sign(&file);
		assert_int_equal(
		    read_all(&plain, file.bytes.bytes, file.bytes.len, &same, &err),
		    ST_CORRUPT);
		if (!strstr(err.text, b->what)) {
			fail_msg("%zu: not \"%s\" but %s", i, b->what, err.text);
		}
		ltx_file_clear(&file);
	}
}

static void test_the_length_of_the_index_counts(void **state)
{
	struct ltx_file file;
	struct error err;
	bool same;

	(void)state;
	ltx_file_make(&file, &plain);
	*ltx_file_at(&file, file.bytes.len - LTX_TRAILER_BYTES - 1) ^= 1;
	ltx_file_sign(&file);
	assert_int_equal(
	    read_all(&plain, file.bytes.bytes, file.bytes.len, &same, &err),
	    ST_CORRUPT);
	assert_non_null(strstr(err.text, "index of another length"));
	ltx_file_clear(&file);
}

/* A number that never ends, and one of 65 bits. */
static void test_numbers_of_the_index_have_64_bits(void **state)
{
	struct ltx_file file;
	struct error err;
	bool same;

	(void)state;
	for (int last = 0; last < 2; last++) {
		ltx_file_make(&file, &plain);
		memset(ltx_file_at(&file, file.index), 0xff, 9);
		*ltx_file_at(&file, file.index + 9) = last ? 0x02 : 0x81;
		ltx_file_sign(&file);
		assert_int_equal(
		    read_all(&plain, file.bytes.bytes, file.bytes.len, &same, &err),
		    ST_CORRUPT);
		assert_non_null(strstr(err.text, "number in its index"));
		ltx_file_clear(&file);
	}
}

/* The page of the lock byte, with pages so large that it has a small number. */
static void test_the_page_of_the_lock_byte_is_in_no_file(void **state)
{
	const struct ltx_fill lock[] = {{16385, 'x'}, {0, 0}};
	struct ltx_spec spec = plain;
	struct ltx_file file;
	struct error err;
	bool same;

	(void)state;
	spec.page_size = 65536;
	spec.page_count = 20000;
	spec.pages = lock;
	ltx_file_make(&file, &spec);
	assert_int_equal(read_all(&spec, file.bytes.bytes, file.bytes.len, &same, &err),
			 ST_CORRUPT);
	assert_non_null(strstr(err.text, "page of the lock byte"));
	ltx_file_clear(&file);
}

/* A page that decompresses to less, or to more, than a page, under a right checksum of
 * what it decompresses to: made as one of another page size, whose header is changed.
 */
static void test_a_page_has_exactly_its_size(void **state)
{
	static const struct ltx_fill one[] = {{1, 'a'}, {0, 0}};
	struct ltx_spec spec = plain;

	(void)state;
	spec.pages = one;
	for (int i = 0; i < 4; i++) {
		struct ltx_file file;
		struct error err;
		bool same;

		spec.has_frames = i & 1;
		spec.page_size = 1024;
		ltx_file_make(&file, &spec);
		put_u32be(ltx_file_at(&file, 8), i & 2 ? 512 : 2048);
		ltx_file_sign(&file);
		assert_int_equal(
		    read_all(&spec, file.bytes.bytes, file.bytes.len, &same, &err),
		    ST_CORRUPT);
		assert_non_null(strstr(err.text, i == 0 || i == 2
						     ? "does not decompress"
						 : i == 1 ? "is too short"
							  : "is too long"));
		ltx_file_clear(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blocks_and_frames_are_read),
	    cmocka_unit_test(test_checksums_of_the_database_are_accepted),
	    cmocka_unit_test(test_a_file_without_pages_is_one),
	    cmocka_unit_test(test_the_header_is_told),
	    cmocka_unit_test(test_a_note_of_rowtail_is_told_from_nodes_of_others),
	    cmocka_unit_test(test_every_length_but_the_whole_is_an_error),
	    cmocka_unit_test(test_every_flipped_bit_is_an_error),
	    cmocka_unit_test(test_each_bound_is_an_error_of_its_own),
	    cmocka_unit_test(test_the_length_of_the_index_counts),
	    cmocka_unit_test(test_numbers_of_the_index_have_64_bits),
	    cmocka_unit_test(test_the_page_of_the_lock_byte_is_in_no_file),
	    cmocka_unit_test(test_a_page_has_exactly_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

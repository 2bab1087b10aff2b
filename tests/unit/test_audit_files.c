/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_audit_files.c -- which files are a log's, and their bytes, compressed
 * or not. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "src/audit/output.h"
#include "src/audit/reader.h"

#define FIRST_LINE "{\"n\":%u,\"time\":\"2026-11-07T13:37:55.200Z\",\"op\":\"file\"}\n"

static char folder[] = "/tmp/rowtail-test-XXXXXX";
static char path[128]; /* PATH of the log */

static int set_up(void **state)
{
	(void)state;
	(void)strcpy(folder + sizeof folder - 7, "XXXXXX");
	if (!mkdtemp(folder)) {
		return -1;
	}
	(void)snprintf(path, sizeof path, "%s/app.audit", folder);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command); /* NOLINT(cert-env33-c) */
}

static char *in_folder(const char *name)
{
	char *all;

	assert_true(asprintf(&all, "%s/%s", folder, name) > 0);
	return all;
}

/* A file of that name whose first line has that number, or another content. */
static void make(const char *name, unsigned first, const char *content)
{
	char *all = in_folder(name);
	FILE *file = fopen(all, "w");

	assert_non_null(file);
	if (content) {
		assert_true(fputs(content, file) >= 0);
	} else {
		assert_true(fprintf(file, FIRST_LINE, first) > 0);
	}
	assert_int_equal(fclose(file), 0);
	free(all);
}

static void check_files(const struct audit_files *files, size_t count,
			const char *const *names)
{
	assert_int_equal(files->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(files->list[i].path + strlen(folder) + 1, names[i]);
	}
}

static void find(const char *at, struct audit_files *files)
{
	struct error err;

	assert_int_equal(audit_files_find(at, files, &err), ST_OK);
}

/* ---- names ---- */

static void test_a_name_says_where_its_file_begins(void **state)
{
	static const struct {
		const char *name;
		bool is_one, is_compressed;
		uint64_t first;
	} names[] = {
	    {"a.000000000000", true, false, 0},
	    {"a.000000001500", true, false, 1500},
	    {"a.000000001500.zst", true, true, 1500},
	    {"a.b.999999999999", true, false, 999999999999},
	    {"a.1000000000000", true, false, 1000000000000},
	    {"a.123456789012345678", true, false, 123456789012345678},
	    {"a.0000000000000", false, false, 0}, /* a zero too many */
	    {"a.00000000000", false, false, 0},
	    {"a.1234567890123456789", false, false, 0},
	    {"a.00000000000x", false, false, 0},
	    {"a.000000000000.zst.tmp", false, false, 0},
	    {"a.000000000000.gz", false, false, 0},
	    {".000000000000", false, false, 0},
	    {"000000000000", false, false, 0},
	    {"a000000000000", false, false, 0},
	    {"a.zst", false, false, 0},
	    {"", false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		uint64_t first = 0;
		bool is_compressed = false;
		const char *at =
		    audit_files_number(names[i].name, &first, &is_compressed);

		assert_int_equal(at != NULL, names[i].is_one);
		if (at) {
			char *again;

			assert_int_equal(first, names[i].first);
			assert_int_equal(is_compressed, names[i].is_compressed);
			again = audit_files_name_with("a", first,
						      is_compressed ? AUDIT_ZST : "");
			assert_string_equal(again + 1, at);
			free(again);
		}
	}
}

/* ---- what is at PATH ---- */

static void test_files_come_by_their_numbers(void **state)
{
	static const char *const names[] = {"app.audit.000000000000.zst",
					    "app.audit.000000000010",
					    "app.audit.1000000000000"};
	struct audit_files files;

	(void)state;
	make("app.audit.1000000000000", 0, "");
	make("app.audit.000000000010", 10, NULL);
	make("app.audit.000000000010.zst", 0, ""); /* not yet in its place */
	make("app.audit.000000000000.zst", 0, "");
	make("app.audit.000000000005.zst.tmp", 0, "");
	make("other.audit.000000000007", 7, NULL);
	make("app.audit.keys", 0, "");
	find(path, &files);
	check_files(&files, 3, names);
	assert_false(files.is_part);
	assert_true(files.list[0].is_compressed);
	assert_false(files.list[1].is_compressed);
	audit_files_clear(&files);
}

static void test_a_file_of_its_own_takes_the_place_of_its_number(void **state)
{
	static const char *const names[] = {"app.audit.000000000000", "app.audit"};
	static const char *const three[] = {"app.audit.000000000000",
					    "app.audit.000000000010", "app.audit"};
	char *ten = in_folder("app.audit.000000000010");
	struct audit_files files;
	struct error err;

	(void)state;
	make("app.audit.000000000000", 0, NULL);
	make("app.audit.000000000010", 10, NULL);
	make("app.audit", 10, NULL);
	find(path, &files);
	check_files(&files, 2, names);
	audit_files_clear(&files);
	make("app.audit", 20, NULL); /* of a number that no other has */
	find(path, &files);
	check_files(&files, 3, three);
	audit_files_clear(&files);
	/* One that is another than that of its number, or of the newest if it has none,
	 * is an error: neither is passed over. */
	make("app.audit", 0, "it does not say");
	assert_int_equal(audit_files_find(path, &files, &err), ST_CONFIG);
	make("app.audit", 0, "{\"n\":10,\"time\":\"another\"}\n");
	assert_int_equal(audit_files_find(path, &files, &err), ST_CONFIG);
	assert_int_equal(unlink(path), 0); /* a second name is none of its own */
	assert_int_equal(link(ten, path), 0);
	find(path, &files);
	check_files(&files, 2, three);
	audit_files_clear(&files);
	free(ten);
}

static void test_one_file_or_a_folder(void **state)
{
	static const char *const one[] = {"app.audit.000000000010"};
	char *ten = in_folder("app.audit.000000000010");
	struct audit_files files;
	struct error err;

	(void)state;
	assert_int_equal(audit_files_find(path, &files, &err), ST_CONFIG);
	assert_int_equal(audit_files_find(folder, &files, &err), ST_CONFIG);
	make("app.audit.000000000010", 10, NULL);
	make("app.audit.000000000000", 0, NULL);
	find(ten, &files);
	check_files(&files, 1, one);
	assert_true(files.is_part);
	assert_int_equal(files.list[0].first, 10);
	audit_files_clear(&files);
	find(folder, &files);
	assert_int_equal(files.count, 2);
	assert_false(files.is_part);
	audit_files_clear(&files);
	make("other.audit.000000000000", 0, NULL);
	assert_int_equal(audit_files_find(folder, &files, &err), ST_CONFIG);
	assert_int_equal(audit_files_find("/dev/null", &files, &err), ST_CONFIG);
	free(ten);
}

/* ---- bytes ---- */

/* Letters that do not become much smaller. */
static void mix(char *line, size_t count, unsigned seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 1; i + 1 < count; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		line[i] = (char)('a' + x % 26);
	}
}

/* Lines of `count` bytes, 'a' + their number, in between random ones if they are long;
 * the name is that of the first. */
static void write_lines(unsigned first, unsigned lines, size_t count, bool compresses)
{
	char *name = audit_files_name_with(path, first, compresses ? AUDIT_ZST : "");
	struct audit_output out;
	struct error err;
	char *line = malloc(count + 1);

	assert_non_null(line);
	assert_int_equal(audit_output_open(&out, name, compresses, &err), ST_OK);
	for (unsigned i = first; i < first + lines; i++) {
		memset(line, 'a' + (char)(i % 26), count);
		if (count > 100000) {
			mix(line, count, i);
		}
		line[count] = '\n';
		assert_int_equal(audit_output_put(&out, line, count + 1, &err), ST_OK);
	}
	assert_int_equal(audit_output_end(&out, &err), ST_OK);
	audit_output_close(&out);
	free(line);
	free(name);
}

static void test_lines_of_all_files_in_their_order(void **state)
{
	struct audit_files files;
	struct audit_reader reader;
	struct span line;
	struct error err;
	bool is_whole;
	unsigned n = 0;

	(void)state;
	write_lines(0, 10, 300000, true);
	write_lines(10, 3, 10, false);
	write_lines(13, 20, 70000, true);
	write_lines(33, 5, 200000, false);
	find(path, &files);
	audit_reader_open_files(&reader, &files, 0);
	while (audit_reader_next(&reader, &line, &is_whole, &err) == ST_OK) {
		assert_true(is_whole);
		assert_int_equal(line.bytes[0], 'a' + n % 26);
		assert_int_equal(line.bytes[line.len - 1], 'a' + n % 26);
		assert_int_equal(reader.is_first,
				 n == 0 || n == 10 || n == 13 || n == 33);
		n++;
	}
	assert_int_equal(n, 38);
	assert_int_equal(reader.damaged, 0);
	assert_int_equal(reader.offset, 10 * 300001 + 3 * 11 + 20 * 70001 + 5 * 200001);
	audit_reader_close(&reader);
	audit_reader_open_files(&reader, &files, 2);
	assert_int_equal(audit_reader_next(&reader, &line, &is_whole, &err), ST_OK);
	assert_int_equal(line.bytes[0], 'a' + 13);
	audit_reader_close(&reader);
	audit_files_clear(&files);
}

/* Cut anywhere, or with a byte that is another one: what is before that is read, then
 * the next file. */
static void test_damage_ends_a_file_and_no_other(void **state)
{
	char *name = audit_files_name_with(path, 0, AUDIT_ZST);
	struct stat st;

	(void)state;
	write_lines(0, 200, 1000, true);
	write_lines(200, 1, 5, false);
	assert_int_equal(stat(name, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		for (unsigned cuts = 0; cuts < 2; cuts++) {
			struct audit_files files;
			struct audit_reader reader;
			struct span line;
			struct error err;
			bool is_whole;
			unsigned lines = 0;
			char last = 0;
			int fd;

			write_lines(0, 200, 1000, true);
			fd = open(name, O_RDWR | O_CLOEXEC);
			assert_true(fd >= 0);
			if (cuts) {
				assert_int_equal(ftruncate(fd, at), 0);
			} else {
				char byte;

				assert_int_equal(pread(fd, &byte, 1, at), 1);
				byte = (char)(byte ^ 0x55);
				assert_int_equal(pwrite(fd, &byte, 1, at), 1);
			}
			(void)close(fd);
			find(path, &files);
			audit_reader_open_files(&reader, &files, 0);
			while (audit_reader_next(&reader, &line, &is_whole, &err) ==
			       ST_OK) {
				lines++;
				last = line.bytes[0];
			}
			assert_int_equal(reader.damaged, 1);
			assert_true(lines <= 202);
			assert_int_equal(last, 'a' + 200 % 26);
			audit_reader_close(&reader);
			audit_files_clear(&files);
		}
	}
	free(name);
}

/* Long ones are unpacked in a thread: it ends when nobody reads on, wherever it is, and
 * what is damaged is told after all that was before it. */
static void test_a_file_that_is_read_ahead(void **state)
{
	char *name = audit_files_name_with(path, 0, AUDIT_ZST);
	struct audit_files files;
	struct audit_reader reader;
	struct span line;
	struct stat st;
	struct error err;
	bool is_whole;
	unsigned lines;

	(void)state;
	write_lines(0, 60, 400000, true);
	write_lines(60, 1, 5, false);
	find(path, &files);
	for (unsigned stop = 0; stop < 60; stop += 7) {
		audit_reader_open_files(&reader, &files, 0);
		for (unsigned n = 0; n <= stop; n++) {
			assert_int_equal(
			    audit_reader_next(&reader, &line, &is_whole, &err), ST_OK);
			assert_int_equal(line.len, 400000);
			assert_int_equal(line.bytes[line.len - 1], 'a' + n % 26);
		}
		assert_non_null(reader.ahead);
		audit_reader_close(&reader);
	}
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(truncate(name, st.st_size / 2), 0);
	audit_reader_open_files(&reader, &files, 0);
	for (lines = 0; audit_reader_next(&reader, &line, &is_whole, &err) == ST_OK;) {
		lines++;
	}
	assert_int_equal(reader.damaged, 1);
	assert_in_range(lines, 25, 35); /* and the next file's */
	audit_reader_close(&reader);
	audit_files_clear(&files);
	free(name);
}

static void test_a_file_that_is_compressed_meanwhile_is_found(void **state)
{
	char *name = audit_files_name(path, 0);
	struct audit_files files;
	struct audit_reader reader;
	struct span line;
	struct error err;
	bool is_whole;

	(void)state;
	write_lines(0, 3, 10, false);
	find(path, &files);
	assert_int_equal(unlink(name), 0);
	write_lines(0, 3, 10, true);
	audit_reader_open_files(&reader, &files, 0);
	assert_int_equal(audit_reader_next(&reader, &line, &is_whole, &err), ST_OK);
	assert_int_equal(line.len, 10);
	audit_reader_close(&reader);
	audit_files_clear(&files);
	free(name);
}

/* As others compress, with a checksum at the end or without, and however much is asked
 * for at once. */
static void test_it_is_unpacked_in_pieces_of_any_size(void **state)
{
	char *name = audit_files_name_with(path, 0, AUDIT_ZST);
	char content[300000], packed[310000], piece[4096];
	struct audit_file file = {.path = name, .is_compressed = true};

	(void)state;
	memset(content, 'x', sizeof content);
	mix(content, sizeof content / 2, 1);
	for (int checksum = 0; checksum < 2; checksum++) {
		ZSTD_CCtx *packer = ZSTD_createCCtx();
		size_t len;
		FILE *out = fopen(name, "w");

		assert_true(packer && out);
		(void)ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, checksum);
		len = ZSTD_compress2(packer, packed, sizeof packed, content,
				     sizeof content);
		assert_false(ZSTD_isError(len));
		assert_int_equal(fwrite(packed, 1, len, out), len);
		assert_int_equal(fclose(out), 0);
		(void)ZSTD_freeCCtx(packer);
		for (size_t room = 1; room <= sizeof piece; room = room * 3 + 1) {
			struct audit_input input;
			struct error err;
			size_t at = 0, n = 1;

			assert_int_equal(audit_input_open(&input, &file, &err), ST_OK);
			while (n > 0) {
				assert_int_equal(
				    audit_input_read(&input, piece, room, &n, &err),
				    ST_OK);
				assert_memory_equal(piece, content + at, n);
				at += n;
			}
			assert_int_equal(at, sizeof content);
			audit_input_close(&input);
		}
	}
	free(name);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_name_says_where_its_file_begins),
	    TEST(test_files_come_by_their_numbers),
	    TEST(test_a_file_of_its_own_takes_the_place_of_its_number),
	    TEST(test_one_file_or_a_folder),
	    TEST(test_lines_of_all_files_in_their_order),
	    TEST(test_damage_ends_a_file_and_no_other),
	    TEST(test_a_file_that_is_read_ahead),
	    TEST(test_it_is_unpacked_in_pieces_of_any_size),
	    TEST(test_a_file_that_is_compressed_meanwhile_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

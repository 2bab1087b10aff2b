/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads the journal (a start, `status`, `verify`, a merge) says the same of it,
 * whatever has become of its files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/command_table.h"
#include "src/config/config.h"
#include "src/state/journal.h"
#include "src/state/known_pages.h"
#include "src/state/shadow.h"
#include "src/state/state.h"
#include "src/state/state_pages.h"

#define PAGE      512
#define BASE      8 /* pages */
#define RECORDS   7
#define EACH      2 /* pages of a record */
#define SEGMENTS  4 /* two records each, the last one has one */
#define DURABLE   4 /* records that a later one says to have been synced */
#define DATABASE  "/nowhere/app.db"
#define FILE_MOST 16384 /* bytes of a file that are kept; behind that are zeros */
#define RECORD    ((size_t)96 + EACH * JOURNAL_PAGE_BYTES)
#define LSN(i)    ((uint64_t)(i)*10 + 5) /* of record i, from 1; S is that of 0 */
#define CHAIN     77                     /* at S */
#define STEP_MOST 24                     /* bytes between two places of a damage */

/* A file of the folder as it was made. */
struct kept {
	char name[32];
	uint8_t bytes[FILE_MOST];
	size_t len;
	off_t size;
};

struct fixture {
	char folder[64];
	int dir_fd;
	int out_fd; /* what `status` prints */
	struct kept files[16];
	size_t total;
};

/* What one of them says: the end of the journal, if the status is ST_OK. */
struct word {
	enum status status;
	uint64_t lsn;
	char text[1024];
};

/* ---- a state directory ---- */

static void put_image(const struct fixture *f, struct spool *spool, uint32_t *slot)
{
	uint8_t image[PAGE];
	struct error err;

	(void)f;
	assert_int_equal(spool_alloc(spool, slot, &err), ST_OK);
	memset(image, 0x30 + (int)*slot, PAGE);
	assert_int_equal(spool_put(spool, *slot, image, &err), ST_OK);
}

static void append(const struct fixture *f, struct spool *spool,
		   struct journal *journal, uint64_t lsn)
{
	struct journal_page pages[EACH];
	struct journal_record record = {.kind = JOURNAL_COMMIT,
					.lsn = lsn,
					.captured_ns = 1,
					.page_count_before = BASE,
					.page_count = BASE,
					.last_frame = (uint32_t)lsn,
					.pages = pages,
					.page_total = EACH};
	struct error err;
	uint64_t chain;

	for (uint32_t i = 0; i < EACH; i++) {
		pages[i].page_no = (uint32_t)lsn / 10 % (BASE - EACH) + 1 + i;
		put_image(f, spool, &pages[i].slot);
	}
	assert_int_equal(journal_append(journal, &record, &chain, &err), ST_OK);
}

/* The database is cut down to `page_count` pages, or grows to them without an image. */
static void append_size(struct journal *journal, uint64_t lsn, uint32_t before,
			uint32_t page_count)
{
	struct journal_record record = {.kind = JOURNAL_COMMIT,
					.lsn = lsn,
					.captured_ns = 1,
					.page_count_before = before,
					.page_count = page_count};
	struct error err;
	uint64_t chain;

	assert_int_equal(journal_append(journal, &record, &chain, &err), ST_OK);
}

/* `is_cut`: at the end it is made smaller, then as large as it was. */
static void make_journal(const struct fixture *f, bool is_cut)
{
	const struct journal_start start = {.lsn = LSN(0), .chain = CHAIN};
	struct journal *journal;
	struct spool *spool;
	struct error err;

	assert_int_equal(spool_open_at(f->dir_fd, PAGE, false, &spool, &err), ST_OK);
	assert_int_equal(
	    journal_open(f->dir_fd, PAGE, spool, &start, NULL, NULL, &journal, &err),
	    ST_OK);
	journal_limit_segments(journal, (uint64_t)2 * EACH * PAGE);
	for (uint64_t i = 1; i <= RECORDS; i++) {
		append(f, spool, journal, LSN(i));
		if (i <= DURABLE) {
			assert_int_equal(journal_sync(journal, &err), ST_OK);
		}
	}
	if (is_cut) {
		append_size(journal, LSN(RECORDS + 1), BASE, BASE / 2);
		append_size(journal, LSN(RECORDS + 2), BASE / 2, BASE);
	}
	journal_close(journal);
	spool_close(spool);
}

static void make_shadow(const struct fixture *f)
{
	_Atomic int stop = 0;
	struct shadow_copy copy = {
	    .source_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC),
	    .page_size = PAGE,
	    .page_count = BASE,
	    .stop = &stop,
	};
	struct shadow *shadow;
	struct error err;

	assert_true(copy.source_fd >= 0);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_OK);
	assert_int_equal(shadow_sync(shadow, &err), ST_OK);
	shadow_close(shadow);
	(void)close(copy.source_fd);
}

static void make_directory(const struct fixture *f, uint64_t acknowledged)
{
	const struct state_meta meta = {.page_size = PAGE,
					.base_pages = BASE,
					.base_lsn = LSN(0),
					.base_chain = CHAIN};
	const struct state_position position = {.lsn = acknowledged};
	struct state_dir *dir;
	struct error err;
	bool is_new;

	assert_int_equal(state_dir_open(f->folder, DATABASE, &dir, &is_new, &err),
			 ST_OK);
	assert_int_equal(state_dir_put_position(dir, &position, &err), ST_OK);
	if (is_new) {
		assert_int_equal(state_dir_put_meta(dir, &meta, &err), ST_OK);
	}
	state_dir_close(dir);
}

/* ---- its files ---- */

static void empty_folder(const struct fixture *f)
{
	DIR *names = opendir(f->folder);
	const struct dirent *entry;

	assert_non_null(names);
	while ((entry = readdir(names)) != NULL) {
		if (unlinkat(f->dir_fd, entry->d_name, 0) != 0 &&
		    entry->d_name[0] != '.') {
			(void)unlinkat(f->dir_fd, entry->d_name, AT_REMOVEDIR);
		}
	}
	(void)closedir(names);
}

static void put_bytes(const struct fixture *f, const char *name, const void *bytes,
		      size_t len, off_t size)
{
	int fd = openat(f->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

static void keep_file(struct fixture *f, const char *name)
{
	struct kept *kept = &f->files[f->total++];
	int fd = openat(f->dir_fd, name, O_RDONLY);
	struct stat st;

	assert_true(fd >= 0 && f->total < 16);
	(void)snprintf(kept->name, sizeof kept->name, "%.31s", name);
	assert_int_equal(fstat(fd, &st), 0);
	kept->size = st.st_size;
	kept->len = (size_t)read(fd, kept->bytes, FILE_MOST);
	assert_true(kept->len <= FILE_MOST);
	(void)close(fd);
}

static void keep_files(struct fixture *f)
{
	DIR *names = opendir(f->folder);
	const struct dirent *entry;

	assert_non_null(names);
	while ((entry = readdir(names)) != NULL) {
		if (entry->d_name[0] != '.') {
			keep_file(f, entry->d_name);
		}
	}
	(void)closedir(names);
}

static void restore(const struct fixture *f)
{
	empty_folder(f);
	for (size_t i = 0; i < f->total; i++) {
		put_bytes(f, f->files[i].name, f->files[i].bytes, f->files[i].len,
			  f->files[i].size);
	}
}

static void log_name(char name[32], size_t segment)
{
	(void)snprintf(name, 32, "log-%016" PRIx64, LSN(2 * segment));
}

static const struct kept *kept_file(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->total; i++) {
		if (strcmp(f->files[i].name, name) == 0) {
			return &f->files[i];
		}
	}
	fail_msg("no %s", name);
	return NULL;
}

static const struct kept *kept_log(const struct fixture *f, size_t segment)
{
	char name[32];

	log_name(name, segment);
	return kept_file(f, name);
}

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "%s/rowtail-users-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->folder));
	f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->out_fd = memfd_create("status", MFD_CLOEXEC);
	assert_true(f->dir_fd >= 0 && f->out_fd >= 0);
	make_directory(f, LSN(1));
	make_shadow(f);
	make_journal(f, false);
	keep_files(f);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	empty_folder(f);
	(void)close(f->dir_fd);
	(void)close(f->out_fd);
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

/* ---- what each of them says ---- */

static struct word word_of(enum status status, uint64_t lsn, const struct error *err)
{
	struct word word = {.status = status, .lsn = status == ST_OK ? lsn : 0};

	if (status != ST_OK) {
		(void)snprintf(word.text, sizeof word.text, "%s", err->text);
	}
	return word;
}

static struct word ask_start(const struct fixture *f)
{
	struct state *state = NULL;
	struct error err;
	enum status status = state_open(f->folder, DATABASE, false, &state, &err);
	struct word word = word_of(status, state ? state->end.lsn : 0, &err);

	state_close(state);
	return word;
}

static struct word ask_verify(const struct fixture *f)
{
	struct known_pages known = {0};
	struct state_dir *dir;
	enum status status;
	struct error err;
	struct word word;
	bool is_new;

	assert_int_equal(state_dir_read(f->folder, true, &dir, &is_new, &err), ST_OK);
	assert_false(is_new);
	status = known_pages_init(&known, dir, true, &err);
	word = word_of(status, known.lsn, &err);
	if (word.status == ST_OK) {
		known_pages_clear(&known);
	}
	state_dir_close(dir);
	return word;
}

/* Its number is taken from what it prints. */
static struct word ask_status(const struct fixture *f)
{
	struct config config = {.state_path = (char *)(uintptr_t)f->folder,
				.json = true};
	int saved = dup(STDOUT_FILENO);
	struct word word;
	struct error err;

	(void)fflush(stdout);
	assert_true(saved >= 0 && ftruncate(f->out_fd, 0) == 0);
	assert_int_equal(lseek(f->out_fd, 0, SEEK_SET), 0);
	(void)dup2(f->out_fd, STDOUT_FILENO);
	word = word_of(status_command.run(&config, &err), 0, &err);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	if (word.status == ST_OK) {
		json_t *json;

		assert_int_equal(lseek(f->out_fd, 0, SEEK_SET), 0);
		json = json_loadfd(f->out_fd, 0, NULL);
		assert_non_null(json);
		word.lsn = (uint64_t)json_integer_value(
		    json_object_get(json, "journalled_lsn"));
		json_decref(json);
	}
	return word;
}

/* ---- that they agree ---- */

static void expect_same(const char *what, size_t at, const char *who,
			const struct word *a, const struct word *b)
{
	if (a->status != b->status || a->lsn != b->lsn) {
		fail_msg("%s %zu: a start says %d, LSN %" PRIu64
			 " (%s), %s says %d, LSN %" PRIu64 " (%s)",
			 what, at, a->status, a->lsn, a->text, who, b->status, b->lsn,
			 b->text);
	}
}

/* Of the files as they are. A start comes last, since it changes them; after it that is
 * all there is. */
static struct word expect_agreement(const struct fixture *f, const char *what,
				    size_t at)
{
	struct word status = ask_status(f);
	struct word verify = ask_verify(f);
	struct word start = ask_start(f);

	expect_same(what, at, "status", &start, &status);
	expect_same(what, at, "verify", &start, &verify);
	if (start.status == ST_OK) {
		struct word again = ask_start(f);

		status = ask_status(f);
		verify = ask_verify(f);
		expect_same(what, at, "the next start", &start, &again);
		expect_same(what, at, "status after it", &start, &status);
		expect_same(what, at, "verify after it", &start, &verify);
	} else {
		assert_int_equal(start.status, ST_DAMAGED);
		assert_non_null(strstr(start.text, f->folder));
	}
	return start;
}

static void test_of_a_journal_that_is_whole(void **state)
{
	struct word word = expect_agreement(*state, "nothing", 0);

	assert_int_equal(word.status, ST_OK);
	assert_int_equal(word.lsn, LSN(RECORDS));
}

/* ---- moments before the end ---- */

/* What state_pages_open says of `lsn`: its LSN. */
static struct word ask_moment(const struct fixture *f, uint64_t lsn)
{
	const struct state_when when = {.kind = STATE_AT_LSN, .lsn = lsn};
	struct state_pages *pages = NULL;
	struct error err;
	enum status status = state_pages_open(f->folder, &when, &pages, &err);
	struct word word =
	    word_of(status, pages ? state_pages_moment(pages).lsn : 0, &err);

	state_pages_close(pages);
	return word;
}

static void open_moment(const struct fixture *f, uint64_t lsn, struct state_pages **out)
{
	const struct state_when when = {.kind = STATE_AT_LSN, .lsn = lsn};
	struct error err;

	assert_int_equal(state_pages_open(f->folder, &when, out, &err), ST_OK);
}

static void expect_image(struct state_pages *pages, uint32_t page_no, uint64_t record)
{
	uint8_t bytes[PAGE];
	struct error err;
	/* Slots are taken in order, EACH for a record. */
	uint32_t slot = (uint32_t)(record - 1) * EACH +
			(page_no - ((uint32_t)LSN(record) / 10 % (BASE - EACH) + 1));

	assert_int_equal(state_pages_read(pages, page_no, bytes, &err), ST_OK);
	assert_int_equal(bytes[0], record == 0 ? 0 : 0x30 + (int)slot);
}

/* The record, up to `most`, that wrote the page last; 0: none. */
static uint64_t writer_of(uint32_t page_no, uint64_t most)
{
	for (uint64_t i = most; i > 0; i--) {
		uint32_t first = (uint32_t)LSN(i) / 10 % (BASE - EACH) + 1;

		if (page_no >= first && page_no < first + EACH) {
			return i;
		}
	}
	return 0;
}

static void test_each_moment_has_the_pages_of_then(void **state)
{
	const struct fixture *f = *state;

	restore(f);
	for (uint64_t i = 0; i <= RECORDS; i++) {
		struct state_pages *pages;

		open_moment(f, LSN(i), &pages);
		assert_int_equal(state_pages_moment(pages).lsn, LSN(i));
		for (uint32_t page_no = 1; page_no <= BASE; page_no++) {
			expect_image(pages, page_no, writer_of(page_no, i));
		}
		state_pages_close(pages);
	}
}

static void test_a_moment_that_is_not_there_names_the_nearest(void **state)
{
	const struct fixture *f = *state;
	struct word word;

	restore(f);
	word = ask_moment(f, LSN(2) + 1);
	assert_int_equal(word.status, ST_CONFIG);
	assert_non_null(strstr(word.text, "has no state lsn:26; the nearest that it "
					  "has are lsn:25 ("));
	assert_non_null(strstr(word.text, ") and lsn:35 ("));
	word = ask_moment(f, LSN(0) - 1);
	assert_int_equal(word.status, ST_CONFIG);
	assert_non_null(strstr(word.text, "the nearest that it has is lsn:5 ("));
	word = ask_moment(f, LSN(RECORDS) + 1);
	assert_int_equal(word.status, ST_CONFIG);
	assert_non_null(strstr(word.text, "the nearest that it has is lsn:75 ("));
}

/* As a fold of all records does it, which is killed before meta: page `page_no` as
 * record `i` has it; 0: as zeros, cut off and grown again. */
static void fold_page(const struct fixture *f, uint32_t page_no, uint64_t i)
{
	uint8_t image[PAGE] = {0};
	struct shadow *shadow;
	struct error err;

	if (i > 0) {
		uint32_t first = (uint32_t)LSN(i) / 10 % (BASE - EACH) + 1;

		memset(image, 0x30 + (int)((i - 1) * EACH + page_no - first), PAGE);
	}
	assert_int_equal(shadow_open(f->dir_fd, PAGE, BASE, &shadow, &err), ST_OK);
	assert_int_equal(shadow_write(shadow, page_no, image, &err), ST_OK);
	assert_int_equal(shadow_sync(shadow, &err), ST_OK);
	shadow_close(shadow);
}

static void
test_pages_that_a_fold_has_overwritten_are_of_no_earlier_moment(void **state)
{
	const struct fixture *f = *state;

	for (uint64_t i = 1; i <= RECORDS; i++) {
		uint32_t page_no = (uint32_t)LSN(i) / 10 % (BASE - EACH) + 1;

		restore(f);
		fold_page(f, page_no, i);
		for (uint64_t at = 0; at <= RECORDS; at++) {
			struct word word = ask_moment(f, LSN(at));
			bool is_hidden = writer_of(page_no, at) != 0;

			assert_int_equal(word.status, is_hidden ? ST_OK : ST_RETRY);
			if (!is_hidden) {
				assert_non_null(strstr(
				    word.text, "may have been overwritten by what came "
					       "later; give a later moment"));
			}
		}
	}
	restore(f);
}

static void test_pages_that_a_fold_has_cut_off_are_of_no_earlier_moment(void **state)
{
	const struct fixture *f = *state;

	for (int is_known = 0; is_known < 2; is_known++) {
		empty_folder(f);
		make_directory(f, LSN(1));
		make_shadow(f);
		make_journal(f, true);
		if (is_known) {
			/* The only page without an image is none of zeros: of the
			 * others record 5 has written the last. */
			fold_page(f, BASE, 1);
		}
		for (uint64_t at = 0; at <= RECORDS + 2; at++) {
			bool is_hidden = at <= (is_known ? 4 : RECORDS);
			struct word word = ask_moment(f, LSN(at));

			assert_int_equal(word.status, is_hidden ? ST_RETRY : ST_OK);
		}
	}
	restore(f);
}

static void test_a_page_that_was_cut_off_is_another_one(void **state)
{
	const struct fixture *f = *state;
	struct state_pages *before, *after;

	empty_folder(f);
	make_directory(f, LSN(1));
	make_shadow(f);
	make_journal(f, true);
	fold_page(f, BASE, 1);
	open_moment(f, LSN(RECORDS), &before);
	open_moment(f, LSN(RECORDS + 2), &after);
	for (uint32_t page_no = 1; page_no <= BASE; page_no++) {
		assert_int_equal(state_pages_have_same(before, after, page_no),
				 page_no <= BASE / 2);
	}
	state_pages_close(before);
	state_pages_close(after);
	restore(f);
}

/* As after a merge that came between. */
static void test_what_is_no_end_of_a_record_is_no_moment(void **state)
{
	const struct fixture *f = *state;
	struct known_pages known = {0};
	struct state_dir *dir;
	struct error err;
	bool is_new;

	restore(f);
	assert_int_equal(state_dir_read(f->folder, true, &dir, &is_new, &err), ST_OK);
	assert_int_equal(known_pages_init_at(&known, dir, LSN(2) + 1, &err), ST_RETRY);
	assert_non_null(strstr(err.text, "has no state lsn:26 any more"));
	state_dir_close(dir);
}

/* `damage` changes the bytes of one segment; false: there is no more to be done. */
struct damage {
	const char *name;
	bool (*make)(uint8_t *bytes, size_t *len, size_t at);
	bool is_torn; /* what a power cut may do to what was not synced */
};

static bool cut(uint8_t *bytes, size_t *len, size_t at)
{
	(void)bytes;
	*len -= at + 1;
	return *len > STEP_MOST;
}

static bool flip(uint8_t *bytes, size_t *len, size_t at)
{
	bytes[at] ^= (uint8_t)(1 << at % 8);
	return at + STEP_MOST < *len;
}

/* The tail was never written, but the size of the file was. */
static bool zero_tail(uint8_t *bytes, size_t *len, size_t at)
{
	memset(bytes + at, 0, *len - at);
	return at + STEP_MOST < *len;
}

static bool add_zeros(uint8_t *bytes, size_t *len, size_t at)
{
	memset(bytes + *len, 0, at + 1);
	*len += at + 1;
	return at < 200;
}

static bool add_garbage(uint8_t *bytes, size_t *len, size_t at)
{
	memset(bytes + *len, 0xa5, at * 7 + 1);
	*len += at * 7 + 1;
	return at < 40;
}

/* Its last record stands there twice: what an older file had behind its end. */
static bool repeat(uint8_t *bytes, size_t *len, size_t at)
{
	memcpy(bytes + *len, bytes + *len - RECORD, RECORD - at);
	*len += RECORD - at;
	return at + STEP_MOST < RECORD;
}

/* A whole record is missing between two. */
static bool leave_out(uint8_t *bytes, size_t *len, size_t at)
{
	(void)at;
	if (*len > JOURNAL_HEADER_BYTES + RECORD) {
		memmove(bytes + JOURNAL_HEADER_BYTES,
			bytes + JOURNAL_HEADER_BYTES + RECORD,
			*len - JOURNAL_HEADER_BYTES - RECORD);
		*len -= RECORD;
	}
	return false;
}

/* Its checksums are right, and what they cover is not: the record at `at`. */
static void sum_anew(uint8_t *record)
{
	uint64_t sum = XXH3_64bits(record, 80);

	memcpy(record + 80, &sum, 8);
	sum = XXH3_64bits(record, RECORD - 8);
	memcpy(record + RECORD - 8, &sum, 8);
}

static bool disorder(uint8_t *bytes, size_t *len, size_t at)
{
	uint8_t *record = bytes + *len - RECORD;
	static const struct {
		size_t offset;
		uint32_t value;
	} wrong[] = {
	    {4, 9},                   /* kind */
	    {16, 0},                  /* LSN */
	    {44, 1},                  /* page count: its pages are past that */
	    {72, 5},                  /* chain before */
	    {JOURNAL_HEAD_BYTES, 99}, /* number of its first page */
	    {JOURNAL_HEAD_BYTES, 0},
	};

	memcpy(record + wrong[at % (sizeof wrong / sizeof *wrong)].offset,
	       &wrong[at % (sizeof wrong / sizeof *wrong)].value, 4);
	sum_anew(record);
	(void)len;
	return at + 1 < sizeof wrong / sizeof *wrong;
}

static const struct damage damages[] = {
    {"cut", cut, true},
    {"a byte flipped", flip, true},
    {"zeros from here on", zero_tail, true},
    {"zeros behind it", add_zeros, true},
    {"garbage behind it", add_garbage, true},
    {"the last record again", repeat, false},
    {"no first record", leave_out, false},
    {"a wrong record", disorder, false},
};

/* One damage to one segment. */
struct trial {
	const struct damage *damage;
	size_t segment;
	size_t at;
	char what[96];
	uint8_t bytes[FILE_MOST];
	size_t len;
};

static void put_damage(const struct fixture *f, const struct trial *t)
{
	put_bytes(f, kept_log(f, t->segment)->name, t->bytes, t->len, (off_t)t->len);
}

static void for_each_damage(const struct fixture *f, size_t step,
			    void (*judge)(const struct fixture *f,
					  const struct trial *t))
{
	size_t total = SEGMENTS * (sizeof damages / sizeof *damages);

	for (size_t i = 0; i < total; i++) {
		struct trial t = {.damage = &damages[i / SEGMENTS],
				  .segment = i % SEGMENTS};
		const struct kept *log = kept_log(f, t.segment);
		bool more = true;

		for (; more; t.at += t.segment + 1 < SEGMENTS ? 3 * step : step) {
			memcpy(t.bytes, log->bytes, log->len);
			t.len = log->len;
			more = t.damage->make(t.bytes, &t.len, t.at);
			(void)snprintf(t.what, sizeof t.what, "%s: %s", log->name,
				       t.damage->name);
			judge(f, &t);
		}
	}
}

static struct word judge_users(const struct fixture *f, const struct trial *t)
{
	struct word word;

	restore(f);
	put_damage(f, t);
	word = expect_agreement(f, t->what, t->at);
	/* What was synced is there, or it is said that it is not. */
	assert_true(word.status == ST_DAMAGED || word.lsn >= LSN(DURABLE));
	if (t->segment + 1 == SEGMENTS && t->damage->is_torn) {
		assert_int_equal(word.status, ST_OK);
		assert_in_range(word.lsn, LSN(RECORDS - 1), LSN(RECORDS));
	}
	return word;
}

static void judge(const struct fixture *f, const struct trial *t)
{
	(void)judge_users(f, t);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEP 5 /* each place takes ten times as long */
#else
#define STEP 1
#endif

static void test_of_segments_that_are_damaged(void **state)
{
	for_each_damage(*state, STEP, judge);
}

static void test_of_segments_that_are_missing_or_of_another_kind(void **state)
{
	const struct fixture *f = *state;

	for (size_t segment = 0; segment < SEGMENTS; segment++) {
		const char *name = kept_log(f, segment)->name;

		restore(f);
		assert_int_equal(unlinkat(f->dir_fd, name, 0), 0);
		(void)expect_agreement(f, "missing", segment);
		restore(f);
		assert_int_equal(unlinkat(f->dir_fd, name, 0), 0);
		assert_int_equal(mkdirat(f->dir_fd, name, 0700), 0);
		assert_int_equal(ask_start(f).status, ST_CONFIG); /* whose is it? */
		assert_int_equal(ask_status(f).status, ST_DAMAGED);
		assert_int_equal(ask_verify(f).status, ST_DAMAGED);
	}
}

/* A file that has the name of a segment and begins where a record does not end. */
static void test_of_a_segment_that_none_leads_to(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 1; i < RECORDS; i++) {
		char name[32];

		restore(f);
		(void)snprintf(name, sizeof name, "log-%016" PRIx64, LSN(i) + 5);
		put_bytes(f, name, kept_log(f, 0)->bytes, kept_log(f, 0)->len,
			  (off_t)kept_log(f, 0)->len);
		(void)expect_agreement(f, "stray", i);
	}
}

static void test_of_images(void **state)
{
	const struct fixture *f = *state;
	const struct kept *frames = kept_file(f, "frames");

	for (uint32_t slot = 0; slot < RECORDS * EACH; slot++) {
		uint8_t bytes[FILE_MOST];
		struct word word;

		memcpy(bytes, frames->bytes, frames->len);
		bytes[slot * PAGE + slot * 7] ^= 2;
		restore(f);
		put_bytes(f, "frames", bytes, frames->len, frames->size);
		word = expect_agreement(f, "image", slot);
		assert_int_equal(word.status,
				 slot / EACH < DURABLE ? ST_DAMAGED : ST_OK);
		assert_int_equal(word.lsn,
				 slot / EACH < DURABLE ? 0 : LSN(slot / EACH));
	}
	restore(f);
	assert_int_equal(unlinkat(f->dir_fd, "frames", 0), 0);
	(void)expect_agreement(f, "no frames", 0);
	for (off_t size = 0; size < frames->size; size += size < 8192 ? 300 : 90000) {
		restore(f);
		put_bytes(f, "frames", frames->bytes,
			  (size_t)size < frames->len ? (size_t)size : frames->len,
			  size);
		(void)expect_agreement(f, "frames cut", (size_t)size);
	}
}

/* What was acknowledged the journal must have, and not the shadow alone. */
static void test_of_a_position_outside_of_it(void **state)
{
	struct fixture *f = *state;

	for (uint64_t lsn = 0; lsn <= LSN(RECORDS) + 1; lsn++) {
		uint8_t bytes[FILE_MOST];
		const struct kept *last = kept_log(f, SEGMENTS - 1);
		struct word word;

		restore(f);
		make_directory(f, lsn);
		word = expect_agreement(f, "position", lsn);
		assert_int_equal(word.status, lsn < LSN(0) || lsn > LSN(RECORDS)
						  ? ST_DAMAGED
						  : ST_OK);
		restore(f);
		make_directory(f, lsn);
		memcpy(bytes, last->bytes, last->len);
		bytes[last->len - 1] ^= 1;
		put_bytes(f, last->name, bytes, last->len, (off_t)last->len);
		word = expect_agreement(f, "position behind the end", lsn);
		assert_int_equal(word.status, lsn < LSN(0) || lsn > LSN(RECORDS - 1)
						  ? ST_DAMAGED
						  : ST_OK);
	}
}

/* ---- a merge ---- */

static enum status take(void *context, const struct journal_found *found,
			struct error *err)
{
	(void)context;
	(void)found;
	(void)err;
	return ST_OK;
}

/* Merge all segments but the last; `t` happens when the journal is open. */
static enum status merge(const struct fixture *f, const struct trial *t)
{
	const struct journal_start start = {.lsn = LSN(0), .chain = CHAIN};
	struct journal_merge merged;
	struct journal *journal;
	struct spool *spool;
	enum status status;
	struct error err;

	assert_int_equal(spool_open_at(f->dir_fd, PAGE, true, &spool, &err), ST_OK);
	assert_int_equal(
	    journal_open(f->dir_fd, PAGE, spool, &start, take, NULL, &journal, &err),
	    ST_OK);
	if (t) {
		put_damage(f, t);
	}
	status = journal_merge(journal, LSN(0), LSN(RECORDS), &merged, &err);
	if (status == ST_OK) {
		assert_int_equal(merged.record.merged, RECORDS - 1);
		journal_merge_clear(&merged);
	}
	journal_close(journal);
	spool_close(spool);
	return status;
}

/* All that it would join is durable: nothing of that may be wrong. In any case the
 * journal says after it what it said before. */
static void judge_merge(const struct fixture *f, const struct trial *t)
{
	struct word before = judge_users(f, t);
	struct word after;
	enum status status;

	restore(f);
	status = merge(f, t);
	if (status != (t->segment + 1 == SEGMENTS ? ST_OK : ST_DAMAGED)) {
		fail_msg("%s %zu: a merge says %d", t->what, t->at, status);
	}
	after = expect_agreement(f, t->what, t->at);
	expect_same(t->what, t->at, "a start after a merge", &before, &after);
}

static void test_of_a_merge_of_damaged_segments(void **state)
{
	for_each_damage(*state, 8, judge_merge);
}

/* A kill came before they were removed. */
static void test_of_segments_that_a_merge_has_left(void **state)
{
	const struct fixture *f = *state;

	for (size_t left = 0; left < 4; left++) {
		struct word word;

		restore(f);
		assert_int_equal(merge(f, NULL), ST_OK);
		for (size_t i = 1; i <= 2; i++) {
			const struct kept *log = kept_log(f, i);

			if (left & i) {
				put_bytes(f, log->name, log->bytes, log->len,
					  log->size);
			}
		}
		word = expect_agreement(f, "left by a merge", left);
		assert_int_equal(word.status, ST_OK);
		assert_int_equal(word.lsn, LSN(RECORDS));
	}
}

/* ---- another page size ---- */

/* A kill came when meta had the new page size: nothing of the journal counts. */
static void test_of_a_change_of_the_page_size_that_was_cut_short(void **state)
{
	const struct fixture *f = *state;
	struct word word;

	make_directory(f, LSN(0));
	assert_int_equal(mkdirat(f->dir_fd, "convert", 0700), 0);
	put_bytes(f, "convert/shadow", kept_file(f, "shadow")->bytes,
		  kept_file(f, "shadow")->len, kept_file(f, "shadow")->size);
	word = ask_status(f);
	assert_int_equal(word.status, ST_OK);
	assert_int_equal(word.lsn, LSN(0));
	word = ask_verify(f);
	assert_int_equal(word.status, ST_CONFIG);
	assert_non_null(strstr(word.text, "start rowtail"));
	assert_int_equal(ask_start(f).status, ST_OK);
	word = expect_agreement(f, "converted", 0);
	assert_int_equal(word.status, ST_OK);
	assert_int_equal(word.lsn, LSN(0));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_each_moment_has_the_pages_of_then),
	    T(test_a_moment_that_is_not_there_names_the_nearest),
	    T(test_pages_that_a_fold_has_overwritten_are_of_no_earlier_moment),
	    T(test_pages_that_a_fold_has_cut_off_are_of_no_earlier_moment),
	    T(test_a_page_that_was_cut_off_is_another_one),
	    T(test_what_is_no_end_of_a_record_is_no_moment),
	    T(test_of_a_journal_that_is_whole),
	    T(test_of_segments_that_are_damaged),
	    T(test_of_segments_that_are_missing_or_of_another_kind),
	    T(test_of_a_segment_that_none_leads_to),
	    T(test_of_images),
	    T(test_of_a_position_outside_of_it),
	    T(test_of_a_merge_of_damaged_segments),
	    T(test_of_segments_that_a_merge_has_left),
	    T(test_of_a_change_of_the_page_size_that_was_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/lock_bytes.h"
#include "src/capture/db_names.h"
#include "tests/lib/capture_rig.h"
#include "tests/lib/other_process.h"

/* A database that SQLite has open in this process, a link to it, and its names. */
struct fixture {
	struct rig_folder folder;
	const char *path;
	char shm[320];
	char link[320];
	char aside[320];
	sqlite3 *db;
	int db_fd;
	int wal_fd;
	struct db_names names;
	struct error err;
};

static enum status init(struct fixture *f)
{
	return db_names_init(&f->names, f->link, f->path, f->folder.wal, f->db_fd,
			     f->wal_fd, &f->err);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, 4096);
	f->path = f->folder.path;
	(void)snprintf(f->shm, sizeof f->shm, "%s-shm", f->path);
	(void)snprintf(f->link, sizeof f->link, "%s/link", f->folder.folder);
	(void)snprintf(f->aside, sizeof f->aside, "%s/aside", f->folder.folder);
	assert_int_equal(symlink(f->path, f->link), 0);
	f->db_fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(f->db, "INSERT INTO t(v) VALUES(1)", NULL, NULL, NULL),
	    SQLITE_OK);
	f->wal_fd = open(f->folder.wal, O_RDONLY | O_CLOEXEC);
	assert_true(f->db_fd >= 0 && f->wal_fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	db_names_clear(&f->names);
	(void)sqlite3_close(f->db);
	(void)close(f->wal_fd);
	(void)close(f->db_fd);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static enum name_fault look(const struct fixture *f)
{
	int64_t unused;

	return db_names_look(&f->names, &unused);
}

/* Another file of the same contents at the name. */
static void replace(const struct fixture *f, const char *path)
{
	char command[1000];

	(void)snprintf(command, sizeof command, "cp '%s' '%s' && mv '%s' '%s'", path,
		       f->aside, f->aside, path);
	assert_int_equal(system(command), 0);
}

static void move(const char *from, const char *to)
{
	assert_int_equal(rename(from, to), 0);
}

static bool is_of(int fd, const char *path)
{
	struct stat a;
	struct stat b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino;
}

static void test_as_they_were_opened_the_names_are_right(void **state)
{
	struct fixture *f = *state;
	int64_t wal_bytes;
	bool is_gone;

	assert_int_equal(init(f), ST_OK);
	assert_int_equal(db_names_look(&f->names, &wal_bytes), NAMES_RIGHT);
	assert_int_equal(wal_bytes, rig_file_size(f->folder.wal));
	assert_true(db_names_leads_here(&f->names, &is_gone));
	assert_false(is_gone);
	assert_true(db_names_has_shm(&f->names));
}

/* Those of SQLite: one of ours on the database cannot be written to. */
static void test_sqlites_descriptors_are_found(void **state)
{
	struct fixture *f = *state;

	int second = dup(f->db_fd);

	assert_int_equal(init(f), ST_OK);
	assert_true(is_of(f->names.db_fd, f->path));
	assert_int_equal(fcntl(f->names.db_fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_true(is_of(f->names.shm_fd, f->shm));
	(void)close(second);
}

/* What happens to one file is told, and is over when that is back. */
static void tells(struct fixture *f, const char *path, enum name_fault fault)
{
	assert_int_equal(init(f), ST_OK);
	move(path, f->aside);
	assert_int_equal(look(f), fault);
	move(f->aside, path);
	assert_int_equal(look(f), NAMES_RIGHT);
	replace(f, path);
	assert_int_equal(look(f), fault);
}

static void test_another_database_or_none_is_told(void **state)
{
	struct fixture *f = *state;

	tells(f, f->path, NAMES_DB);
}

static void test_another_wal_or_none_is_told(void **state)
{
	struct fixture *f = *state;

	tells(f, f->folder.wal, NAMES_WAL);
}

static void test_another_index_or_none_is_told(void **state)
{
	struct fixture *f = *state;

	tells(f, f->shm, NAMES_SHM);
	assert_false(db_names_has_shm(&f->names));
}

static void test_an_index_that_was_cut_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(init(f), ST_OK);
	assert_int_equal(truncate(f->shm, 32767), 0);
	assert_int_equal(look(f), NAMES_CUT);
	assert_int_equal(truncate(f->shm, 32768), 0);
	assert_int_equal(look(f), NAMES_RIGHT);
}

static void test_a_folder_that_is_gone_takes_all_with_it(void **state)
{
	struct fixture *f = *state;
	char away[320];
	enum name_fault fault;
	bool is_gone;
	bool leads;

	assert_int_equal(init(f), ST_OK);
	(void)snprintf(away, sizeof away, "%s-away", f->folder.folder);
	move(f->folder.folder, away);
	fault = look(f);
	leads = db_names_leads_here(&f->names, &is_gone);
	move(away, f->folder.folder);
	assert_int_equal(fault, NAMES_DB);
	assert_true(leads);
	assert_true(is_gone);
}

static void test_a_link_that_leads_elsewhere_is_told(void **state)
{
	struct fixture *f = *state;
	bool is_gone;

	assert_int_equal(init(f), ST_OK);
	assert_int_equal(unlink(f->link), 0);
	assert_true(db_names_leads_here(&f->names, &is_gone));
	assert_true(is_gone);
	assert_int_equal(symlink(f->folder.wal, f->link), 0);
	assert_false(db_names_leads_here(&f->names, &is_gone));
	assert_false(is_gone);
	assert_int_equal(look(f), NAMES_RIGHT); /* the file is where it was */
}

static bool cannot_look(const char *path)
{
	struct rig_folder f;
	struct db_names names = {
	    .given = path, .path = path, .wal_path = f.wal, .shm_path = f.path};
	struct stat st;
	int64_t unused;
	bool is_gone;

	(void)snprintf(f.wal, sizeof f.wal, "%s-wal", path);
	(void)snprintf(f.path, sizeof f.path, "%s-shm", path);
	return other_become_nobody(65534) && stat(path, &st) != 0 && errno == EACCES &&
	       db_names_look(&names, &unused) == NAMES_RIGHT && unused == INT64_MAX &&
	       db_names_leads_here(&names, &is_gone) && !is_gone;
}

static void test_what_may_not_be_looked_up_proves_nothing(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0) {
		print_message("not run: only root can be two users\n");
		skip();
	}
	assert_int_equal(chmod(f->folder.folder, 0700), 0);
	assert_true(other_sees(cannot_look, f->path));
}

/* One is replaced between SQLite's look at its name and ours. */
static void is_opened_again(struct fixture *f, const char *path)
{
	replace(f, path);
	assert_int_equal(init(f), ST_RETRY);
	assert_non_null(strstr(f->err.text, f->path));
}

static void test_a_database_that_was_replaced_meanwhile_is_opened_again(void **state)
{
	struct fixture *f = *state;

	is_opened_again(f, f->path);
}

static void test_a_wal_that_was_replaced_meanwhile_is_opened_again(void **state)
{
	struct fixture *f = *state;

	is_opened_again(f, f->folder.wal);
}

static void test_an_index_that_was_replaced_meanwhile_is_opened_again(void **state)
{
	struct fixture *f = *state;

	is_opened_again(f, f->shm);
}

/* Both of SQLite and of ours are of the file before: the names agree with each other.
 */
static void test_what_sqlite_has_open_is_compared_not_only_the_names(void **state)
{
	struct fixture *f = *state;

	replace(f, f->folder.wal);
	(void)close(f->wal_fd);
	f->wal_fd = open(f->folder.wal, O_RDONLY | O_CLOEXEC);
	assert_int_equal(init(f), ST_RETRY);
}

static void test_want_of_descriptors_is_told(void **state)
{
	struct fixture *f = *state;
	enum status status;

	other_forbid_files();
	status = init(f);
	other_allow_files();
	assert_int_equal(status, ST_IO);
	assert_int_equal(f->err.sys_errno, EMFILE);
}

static void test_each_fault_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (int a = NAMES_RIGHT; a <= NAMES_CUT; a++) {
		for (int b = NAMES_RIGHT; b < a; b++) {
			assert_string_not_equal(name_fault_text((enum name_fault)a),
						name_fault_text((enum name_fault)b));
		}
	}
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_as_they_were_opened_the_names_are_right),
	    CASE(test_sqlites_descriptors_are_found),
	    CASE(test_another_database_or_none_is_told),
	    CASE(test_another_wal_or_none_is_told),
	    CASE(test_another_index_or_none_is_told),
	    CASE(test_an_index_that_was_cut_is_told),
	    CASE(test_a_folder_that_is_gone_takes_all_with_it),
	    CASE(test_a_link_that_leads_elsewhere_is_told),
	    CASE(test_what_may_not_be_looked_up_proves_nothing),
	    CASE(test_a_database_that_was_replaced_meanwhile_is_opened_again),
	    CASE(test_a_wal_that_was_replaced_meanwhile_is_opened_again),
	    CASE(test_an_index_that_was_replaced_meanwhile_is_opened_again),
	    CASE(test_what_sqlite_has_open_is_compared_not_only_the_names),
	    CASE(test_want_of_descriptors_is_told),
	    cmocka_unit_test(test_each_fault_has_a_text_of_its_own),
	};
#undef CASE

	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

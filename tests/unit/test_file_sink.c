/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinks/file_sink.h"
#include "sinks/sink_settings.h"
#include "src/base/clock.h"
#include "src/base/log.h"

/* A folder to write in, and what the sink's owner would have stored. */
struct fixture {
	char folder[64];
	char path[96];
	char database[96];
	struct sink_settings settings;
	struct sink *sink;
	struct sink_place stored;
	unsigned acknowledged, durable;
	struct sink_place places[8]; /* as of the first calls of `acknowledged` */
	_Atomic int stop, reopen;
};

static void in_folder(const struct fixture *f, const char *name, char *path,
		      size_t size)
{
	(void)snprintf(path, size, "%s/%s", f->folder, name);
}

static enum status note_acknowledged(void *context, bool durable, struct error *err)
{
	struct fixture *f = context;

	(void)err;
	f->stored = file_kind.place(f->sink);
	if (f->acknowledged < 8) {
		f->places[f->acknowledged] = f->stored;
	}
	f->acknowledged++;
	f->durable += durable;
	return ST_OK;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)strcpy(f->folder, "/tmp/file-sink-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	in_folder(f, "out", f->path, sizeof f->path);
	in_folder(f, "app.db", f->database, sizeof f->database);
	f->settings = (struct sink_settings){.target = f->path,
					     .database_path = f->database,
					     .stop = &f->stop,
					     .reopen = &f->reopen,
					     .acknowledged = note_acknowledged,
					     .context = f};
	log_setup(LOG_ERROR, false);
	*state = f;
	return 0;
}

static void close_sink(struct fixture *f)
{
	if (f->sink) {
		sink_close(f->sink);
		f->sink = NULL;
	}
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	DIR *dir = opendir(f->folder);
	struct dirent *entry;

	close_sink(f);
	while (dir && (entry = readdir(dir)) != NULL) {
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void append_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void check_file(const char *path, const char *want)
{
	char got[4096];
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(got, 1, sizeof got - 1, file);
	got[len] = '\0';
	(void)fclose(file);
	assert_string_equal(got, want);
}

static void open_sink(struct fixture *f)
{
	struct error err;

	assert_int_equal(file_kind.open(&f->settings, &f->sink, &err), ST_OK);
}

static void resume(struct fixture *f, bool at_start)
{
	struct sink_start start = {.place = f->stored, .at_start = at_start};
	struct error err;

	open_sink(f);
	assert_int_equal(sink_begin(f->sink, &start, &err), ST_OK);
	f->stored = file_kind.place(f->sink);
}

/* `index`: in its transaction. */
static void put(struct fixture *f, const char *line, uint64_t index)
{
	struct message message = {.topic = {"app.t", 5},
				  .value = {line, line ? strlen(line) : 0},
				  .index = index};
	struct error err;

	assert_int_equal(sink_put(f->sink, &message, &err), ST_OK);
}

static void flush(struct fixture *f)
{
	struct error err;

	assert_int_equal(sink_flush(f->sink, &err), ST_OK);
	f->stored = file_kind.place(f->sink);
}

static void check_refused(struct fixture *f, const char *path, const char *words)
{
	struct error err;

	f->settings.target = path;
	assert_int_equal(file_kind.open(&f->settings, &f->sink, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, words));
	f->settings.target = f->path;
}

/* ---- tests ---- */

static void test_a_file_gets_lines_with_the_flush(void **state)
{
	struct fixture *f = *state;

	resume(f, false);
	assert_false(sink_wants_keys(&file_kind, false));
	put(f, "{\"a\":1}", 0);
	put(f, NULL, 1);
	check_file(f->path, "");
	flush(f);
	check_file(f->path, "{\"a\":1}\n");
	assert_int_equal(f->stored.length, 8);
	assert_int_equal(f->stored.start, 0);
	assert_int_equal(f->acknowledged, 0);
	flush(f);
	assert_int_equal(f->stored.length, 8);
}

static void test_record_lines(void **state)
{
	struct fixture *f = *state;

	f->settings.record_lines = true;
	resume(f, false);
	assert_true(sink_wants_keys(&file_kind, true));
	put(f, NULL, 0);
	flush(f);
	check_file(f->path, "{\"topic\":\"app.t\",\"key\":null,\"value\":null,"
			    "\"headers\":{}}\n");
}

static void test_no_file_before_resume(void **state)
{
	struct fixture *f = *state;
	struct error err;

	open_sink(f);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(sink_flush(f->sink, &err), ST_OK);
	assert_int_equal(sink_watch_fd(f->sink), -1);
}

static void test_lines_of_a_crash_are_cut(void **state)
{
	struct fixture *f = *state;

	resume(f, false);
	put(f, "one", 0);
	flush(f);
	close_sink(f);
	append_file(f->path, "two\nthr");
	resume(f, false);
	check_file(f->path, "one\n");
	put(f, "two", 0);
	flush(f);
	check_file(f->path, "one\ntwo\n");
	assert_int_equal(f->stored.start, 4);
}

static void test_a_transaction_that_comes_again_is_cut_to_its_start(void **state)
{
	struct fixture *f = *state;

	resume(f, false);
	put(f, "one", 0);
	put(f, "two", 0);
	put(f, "two.2", 1);
	flush(f);
	close_sink(f);
	append_file(f->path, "two.3\n");
	resume(f, false);
	check_file(f->path, "one\ntwo\ntwo.2\n");
	assert_int_equal(f->stored.start, 4);
	put(f, "two.3", 2); /* its start is still known */
	flush(f);
	assert_int_equal(f->stored.start, 4);
	close_sink(f);
	resume(f, true);
	check_file(f->path, "one\n");
	assert_int_equal(f->stored.length, 4);
}

static void test_a_shorter_file_is_appended_to(void **state)
{
	struct fixture *f = *state;

	resume(f, false);
	put(f, "one", 0);
	put(f, "two", 0);
	flush(f);
	close_sink(f);
	assert_int_equal(truncate(f->path, 6), 0);
	resume(f, false);
	put(f, "three", 0);
	flush(f);
	check_file(f->path, "one\ntw\nthree\n");
}

static void test_another_file_is_never_cut(void **state)
{
	struct fixture *f = *state;

	resume(f, false);
	put(f, "one", 0);
	flush(f);
	close_sink(f);
	write_file(f->path, "something else"); /* of the same inode */
	resume(f, false);
	check_file(f->path, "something else\n");
	put(f, "two", 0);
	flush(f);
	check_file(f->path, "something else\ntwo\n");
}

static void test_rotation_goes_on_in_the_new_file(void **state)
{
	struct fixture *f = *state;
	char old[96];

	in_folder(f, "out.1", old, sizeof old);
	resume(f, false);
	put(f, "one", 0);
	flush(f);
	assert_int_equal(rename(f->path, old), 0);
	put(f, "two", 0);
	f->reopen = 1;
	put(f, "three", 1);
	assert_int_equal(f->reopen, 0);
	flush(f);
	check_file(old, "one\ntwo\n");
	check_file(f->path, "three\n");
	/* In the old file, in the new one, and once more by put. */
	assert_int_equal(f->acknowledged, 3);
	assert_int_equal(f->durable, 2);
	assert_int_equal(f->places[0].length, 8);
	assert_int_equal(f->places[1].length, 0);
	assert_int_not_equal(f->places[0].inode, f->places[1].inode);
	assert_int_equal(f->stored.inode, f->places[1].inode);
	assert_int_equal(f->stored.length, 6);
	assert_int_equal(f->stored.start, 0); /* of its part in this file */
}

static void test_rotation_by_flush_alone(void **state)
{
	struct fixture *f = *state;
	char old[96];

	in_folder(f, "out.1", old, sizeof old);
	resume(f, false);
	f->reopen = 1; /* nothing was renamed */
	put(f, "one", 0);
	flush(f);
	check_file(f->path, "one\n");
	assert_int_equal(rename(f->path, old), 0);
	write_file(f->path, "no newline");
	f->reopen = 1;
	flush(f);
	check_file(f->path, "no newline\n");
	assert_int_equal(f->stored.length, 11);
}

static void test_a_file_that_cannot_be_reopened_is_kept(void **state)
{
	struct fixture *f = *state;
	char old[96];

	in_folder(f, "out.1", old, sizeof old);
	resume(f, false);
	assert_int_equal(rename(f->path, old), 0);
	assert_int_equal(mkdir(f->path, 0700), 0);
	f->reopen = 1;
	put(f, "one", 0);
	flush(f);
	check_file(old, "one\n");
	assert_int_equal(rmdir(f->path), 0);
	f->reopen = 1;
	put(f, "two", 0);
	flush(f);
	check_file(f->path, "two\n");
}

static void test_a_renamed_file_is_cut_when_no_hangup_came(void **state)
{
	struct fixture *f = *state;
	char old[96], other[96];

	in_folder(f, "out.1", old, sizeof old);
	in_folder(f, "other", other, sizeof other);
	resume(f, false);
	put(f, "one", 0);
	flush(f);
	close_sink(f);
	append_file(f->path, "two\n");
	assert_int_equal(rename(f->path, old), 0);
	write_file(other, "one\ntwo\n");
	resume(f, false);
	put(f, "two", 0);
	flush(f);
	check_file(old, "one\n");
	check_file(f->path, "two\n");
	check_file(other, "one\ntwo\n");
}

static void test_much_is_acknowledged_in_pieces(void **state)
{
	struct fixture *f = *state;
	char line[1000];
	struct stat st;

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	resume(f, false);
	for (uint64_t i = 0; i < 3 * FILE_SYNC_BYTES / 1000; i++) {
		put(f, line, i);
	}
	assert_int_equal(f->acknowledged, 2);
	assert_int_equal(f->stored.length % 1000, 0);
	assert_true(f->stored.length >= 2 * FILE_SYNC_BYTES);
	assert_int_equal(f->stored.start, 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true((uint64_t)st.st_size > f->stored.length);
}

static void test_the_file_has_the_databases_permissions(void **state)
{
	static const mode_t modes[][2] = {
	    {0644, 0644}, {0600, 0600}, {0640, 0640}, {0400, 0600}, {0777, 0666}};
	struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(0077);

	write_file(f->database, "");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(f->database, modes[i][0]), 0);
		resume(f, false);
		close_sink(f);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i][1]);
		assert_int_equal(unlink(f->path), 0);
	}
	(void)umask(mask);
}

static void test_what_cannot_be_such_a_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[96], link_path[96];

	write_file(f->database, "");
	check_refused(f, f->database, "a file of the database");
	in_folder(f, "app.db-wal", path, sizeof path);
	check_refused(f, path, "a file of the database");
	in_folder(f, "link", link_path, sizeof link_path);
	assert_int_equal(symlink(f->database, link_path), 0);
	check_refused(f, link_path, "a file of the database");
	check_refused(f, "/dev/null", "not a regular file");
	check_refused(f, f->folder, "not a regular file");
	check_refused(f, "/nonexistent/out", "/nonexistent");
	in_folder(f, "", path, sizeof path);
	check_refused(f, path, "not a regular file");
	in_folder(f, "app.db/out", path, sizeof path);
	check_refused(f, path, "app.db/out");
}

static void test_two_sinks_on_one_file_are_refused(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct sink_start start;
	struct error err;

	resume(f, false);
	start = (struct sink_start){.place = f->stored};
	open_sink(&other);
	assert_int_equal(sink_begin(other.sink, &start, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "another process"));
	assert_int_equal(sink_flush(other.sink, &err), ST_CONFIG);
	close_sink(&other);
}

/* ---- a full disk: the limit of a file's size, in a process of its own ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void *make_room(void *context)
{
	(void)context;
	clock_sleep_ns(1500 * NS_PER_MS);
	limit_files(RLIM_INFINITY);
	return NULL;
}

static void *raise_stop(void *context)
{
	clock_sleep_ns(100 * NS_PER_MS);
	*(_Atomic int *)context = 1;
	return NULL;
}

/* In a child, whose exit status is that of the flush. */
static void check_full(struct fixture *f, void *(*help)(void *), enum status want)
{
	int status = 0;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		enum status again;
		pthread_t thread;
		struct error err;

		resume(f, false);
		limit_files(6);
		put(f, "four", 0);
		put(f, "five", 0);
		if (help) {
			(void)pthread_create(&thread, NULL, help, (void *)&f->stop);
		}
		again = sink_flush(f->sink, &err);
		if (help) {
			(void)pthread_join(thread, NULL);
		}
		if (again != ST_OK && sink_flush(f->sink, &err) != again) {
			_exit(99); /* a failure stays */
		}
		if (file_kind.place(f->sink).length != (again == ST_OK ? 10 : 0)) {
			_exit(98);
		}
		_exit((int)again);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static void test_a_full_disk_is_waited_for(void **state)
{
	struct fixture *f = *state;

	check_full(f, make_room, ST_OK);
	check_file(f->path, "four\nfive\n");
}

static void test_a_stop_ends_the_wait_for_room(void **state)
{
	struct fixture *f = *state;

	check_full(f, raise_stop, ST_STOPPED);
	check_file(f->path, "four\nf");
}

static void test_patience_with_a_full_disk_ends(void **state)
{
	struct fixture *f = *state;

	f->settings.patience_ns = NS_PER_S / 2;
	check_full(f, NULL, ST_IO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_file_gets_lines_with_the_flush),
	    TEST(test_record_lines),
	    TEST(test_no_file_before_resume),
	    TEST(test_lines_of_a_crash_are_cut),
	    TEST(test_a_transaction_that_comes_again_is_cut_to_its_start),
	    TEST(test_a_shorter_file_is_appended_to),
	    TEST(test_another_file_is_never_cut),
	    TEST(test_rotation_goes_on_in_the_new_file),
	    TEST(test_rotation_by_flush_alone),
	    TEST(test_a_file_that_cannot_be_reopened_is_kept),
	    TEST(test_a_renamed_file_is_cut_when_no_hangup_came),
	    TEST(test_much_is_acknowledged_in_pieces),
	    TEST(test_the_file_has_the_databases_permissions),
	    TEST(test_what_cannot_be_such_a_file_is_refused),
	    TEST(test_two_sinks_on_one_file_are_refused),
	    TEST(test_a_full_disk_is_waited_for),
	    TEST(test_a_stop_ends_the_wait_for_room),
	    TEST(test_patience_with_a_full_disk_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

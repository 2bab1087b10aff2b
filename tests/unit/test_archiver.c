/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/archive/archiver.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define PATIENCE_S 60

static const _Atomic int no_stop;

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

/* What a settle says when the thread of a new archive in `folder` cannot start. */
static enum status settle_without_a_thread(const char *folder)
{
	static const struct storage_settings storage = {.s3_timeout_ms = 1000};
	static char none[] = "none";
	static char forever[] = "forever";
	static const struct policy_settings policy = {none, none, forever, forever};
	const struct listener_base base = {
	    .page_size = 512, .page_count = 1, .lsn = 5, .end_lsn = 5};
	struct rlimit limit = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
	struct archiver_settings settings = {.location = folder,
					     .storage = &storage,
					     .database = "app.db",
					     .state_fd = open(folder, O_RDONLY),
					     .state_path = folder,
					     .is_new = true,
					     .policy = &policy,
					     .stop = &no_stop};
	struct archiver *archiver;
	struct listener *listener;
	struct error err;

	if (archiver_open(&settings, &archiver, &err) != ST_OK) {
		return ST_CORRUPT;
	}
	listener = archiver_listener(archiver);
	if (listener->begin(listener, &base, &err) != ST_OK) {
		return ST_CORRUPT;
	}
	/* No room for the stack of a thread. */
	(void)setrlimit(RLIMIT_AS, &limit);
	if (listener->run(listener, &err) == ST_OK) {
		return ST_CORRUPT;
	}
	return listener->settle(listener, 5, &err);
}

/* The history is closed then, and what folds and merges ends before that. */
static void test_without_its_thread_nobody_waits_for_a_file(void **state)
{
	char folder[] = "/tmp/rowtail-test-XXXXXX";
	pid_t child;
	int status;

	(void)state;
	if (SANITIZED) {
		skip(); /* they need more room than can be told */
	}
	assert_non_null(mkdtemp(folder));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)alarm(PATIENCE_S);
		_exit((int)settle_without_a_thread(folder));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ST_STOPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_its_thread_nobody_waits_for_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

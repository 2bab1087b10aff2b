/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/other_process.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct other_process other_start(bool (*play)(const char *path), const char *path)
{
	struct other_process other;
	int to[2];
	int from[2];
	char answer = 0;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	other.pid = fork();
	assert_true(other.pid >= 0);
	if (other.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(to[1]);
		answer = play(path) ? 'y' : 'n';
		(void)!write(from[1], &answer, 1);
		(void)!read(to[0], &answer, 1); /* until the other end is closed */
		_exit(0);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	other.to = to[1];
	other.from = from[0];
	assert_int_equal(read(other.from, &answer, 1), 1);
	assert_int_equal(answer, 'y');
	return other;
}

void other_end(struct other_process *other)
{
	(void)close(other->to);
	(void)close(other->from);
	assert_int_equal(waitpid(other->pid, NULL, 0), other->pid);
}

bool other_sees(bool (*look)(const char *path), const char *path)
{
	pid_t pid = fork();
	int wstatus;

	assert_true(pid >= 0);
	if (pid == 0) {
		_exit(look(path) ? 42 : 0);
	}
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	assert_true(WIFEXITED(wstatus));
	return WEXITSTATUS(wstatus) == 42;
}

int other_open(const char *path, const char *suffix)
{
	char name[PATH_MAX];

	(void)snprintf(name, sizeof name, "%s%s", path, suffix);
	return open(name, O_RDWR | O_CLOEXEC);
}

bool other_lock(int fd, short type, off_t at, off_t len)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};

	return fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0;
}

short other_lock_type(int fd, off_t at, off_t len)
{
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = len};

	return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 ? lock.l_type : -1;
}

bool other_become_nobody(gid_t group)
{
	return setgroups(0, NULL) == 0 && setgid(group) == 0 && setuid(65534) == 0;
}

static void limit_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void other_forbid_files(void)
{
	limit_files(0);
}

void other_allow_files(void)
{
	limit_files(1024);
}

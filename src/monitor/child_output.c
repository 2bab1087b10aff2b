/* SPDX-License-Identifier: Apache-2.0 */
#include "src/monitor/child_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/clock.h"

#define PROGRAM    "/proc/self/exe"
#define READ_BYTES 4096
#define SLICE_MS   100 /* between two looks at what stops it */

extern char **environ;

/* All it prints goes to `to`; no signal is blocked in it. */
static bool spawn(const char *const *args, int to, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	bool is_run;

	(void)sigemptyset(&none);
	if (posix_spawn_file_actions_init(&files) != 0) {
		return false;
	}
	if (posix_spawnattr_init(&attributes) != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return false;
	}
	/* posix_spawn takes strings that it does not change as if it did. */
	is_run = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
						  O_RDONLY, 0) == 0 &&
		 posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO) == 0 &&
		 posix_spawn_file_actions_adddup2(&files, to, STDERR_FILENO) == 0 &&
		 posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
		 posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK) == 0 &&
		 posix_spawn(pid, PROGRAM, &files, &attributes,
			     (char *const *)(uintptr_t)args, environ) == 0;
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&files);
	return is_run;
}

/* Until its end. */
static bool read_all(int from, const struct child_limits *limits, struct buffer *out)
{
	int64_t until_ns = clock_mono_ns() + limits->ns;

	for (;;) {
		struct pollfd fd = {.fd = from, .events = POLLIN};
		int64_t left_ms = (until_ns - clock_mono_ns()) / NS_PER_MS;
		char bytes[READ_BYTES];
		ssize_t len;

		if (left_ms <= 0 || out->len > limits->bytes ||
		    atomic_load(limits->stop)) {
			return false;
		}
		if (poll(&fd, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS) < 0 &&
		    errno != EINTR) {
			return false;
		}
		if (fd.revents == 0) {
			continue;
		}
		len = read(from, bytes, sizeof bytes);
		if (len == 0) {
			return true;
		}
		if (len > 0) {
			buffer_add(out, bytes, (size_t)len);
		} else if (errno != EINTR) {
			return false;
		}
	}
}

/* Its exit code; -1: a signal, or nobody knows. */
static int reap(pid_t pid)
{
	pid_t reaped;
	int how = 0;

	do {
		reaped = waitpid(pid, &how, 0);
	} while (reaped < 0 && errno == EINTR);
	return reaped == pid && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

bool child_output(const char *const *args, const struct child_limits *limits,
		  struct buffer *out)
{
	int ends[2];
	pid_t pid;
	bool is_whole;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		return false;
	}
	is_whole = spawn(args, ends[1], &pid);
	(void)close(ends[1]);
	if (!is_whole) {
		(void)close(ends[0]);
		return false;
	}
	is_whole = read_all(ends[0], limits, out);
	(void)close(ends[0]);
	if (!is_whole) {
		(void)kill(pid, SIGKILL);
	}
	return reap(pid) == 0 && is_whole;
}

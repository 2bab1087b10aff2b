/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of signals: a file that others append to, and the socket, which rowtail
 * signal talks to. A test plays the run that takes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/settings.h"
#include "src/deliver/signal_socket.h"
#include "src/deliver/signals.h"

#define LINE   "{\"id\":\"%s\",\"type\":\"log\",\"data\":{\"message\":\"m\"}}\n"
#define LONG_S 60 /* that nothing here takes */

struct fixture {
	char folder[64];
	char file[96];
	char database[96];
	struct signals *signals;
	struct signal_places kept; /* as a run keeps them */
};

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)strcpy(f->folder, "/tmp/signals-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->file, sizeof f->file, "%s/signals.txt", f->folder);
	(void)snprintf(f->database, sizeof f->database, "%s/app.db", f->folder);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	signals_close(f->signals);
	(void)nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static enum status try_open(struct fixture *f, bool has_file, bool has_socket,
			    struct error *err)
{
	struct signals_settings settings = {.file = has_file ? f->file : NULL,
					    .database_path = f->database,
					    .state_path = has_socket ? f->folder : NULL,
					    .poll_ns = NS_PER_MS,
					    .taken = f->kept};

	return signals_open(&settings, &f->signals, err);
}

static void open_signals(struct fixture *f, bool has_file, bool has_socket)
{
	struct error err;

	if (try_open(f, has_file, has_socket, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

/* The next one, waited for as a run waits: NULL after so many looks. */
static struct signal *wait_for(struct fixture *f, int looks)
{
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;

	while (looks-- > 0 && clock_mono_ns() < until_ns) {
		struct pollfd fd = {.fd = signals_fd(f->signals), .events = POLLIN};
		struct signal *signal = signals_next(f->signals);
		int ms = signals_wake_ms(f->signals);

		if (signal) {
			return signal;
		}
		(void)poll(&fd, 1, ms < 0 || ms > 10 ? 10 : ms);
	}
	return NULL;
}

static void take(struct fixture *f, const char *id)
{
	struct signal *signal = wait_for(f, INT_MAX);

	assert_non_null(signal);
	assert_string_equal(signal->id, id);
	signals_taken(f->signals, signal, NULL);
}

static void check_nothing(struct fixture *f)
{
	assert_null(wait_for(f, 20));
}

static void append(const struct fixture *f, const char *text)
{
	int fd = open(f->file, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static void append_signal(const struct fixture *f, const char *id)
{
	char line[256];

	(void)snprintf(line, sizeof line, LINE, id);
	append(f, line);
}

static off_t size_of(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->file, &st), 0);
	return st.st_size;
}

/* ---- a file ---- */

static void test_lines_of_a_file_are_taken_and_then_it_is_cut(void **state)
{
	struct fixture *f = *state;

	open_signals(f, true, false);
	check_nothing(f); /* there is no file */
	append_signal(f, "1");
	append(f, "\n  \n");
	append_signal(f, "2");
	take(f, "1");
	assert_true(size_of(f) > 0); /* of two, one is taken */
	take(f, "2");
	assert_int_equal(size_of(f), 0);
	append_signal(f, "3");
	take(f, "3");
	assert_int_equal(size_of(f), 0);
	check_nothing(f);
}

static void test_what_is_not_taken_comes_again(void **state)
{
	struct fixture *f = *state;
	struct signal *signal;

	append_signal(f, "1");
	open_signals(f, true, false);
	signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	assert_null(signals_next(f->signals));
	signals_close(f->signals);
	signal_free(signal);
	open_signals(f, true, false);
	take(f, "1");
}

static void test_a_line_that_comes_before_the_cut_is_not_cut(void **state)
{
	struct fixture *f = *state;
	struct signal *signal;

	append_signal(f, "1");
	open_signals(f, true, false);
	signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	append_signal(f, "2");
	signals_taken(f->signals, signal, NULL);
	take(f, "2");
	assert_int_equal(size_of(f), 0);
}

static void test_a_line_without_an_end_waits_for_it(void **state)
{
	struct fixture *f = *state;
	struct signals_settings settings = {.file = f->file,
					    .poll_ns = 200 * NS_PER_MS};
	struct error err;

	assert_int_equal(signals_open(&settings, &f->signals, &err), ST_OK);
	append(f, "{\"id\":\"1\",\"type\":");
	assert_null(signals_next(f->signals)); /* a look */
	append(f, "\"pause-snapshot\"}\n");
	take(f, "1");
	append(f, "{\"id\":\"2\",\"type\":\"pause-snapshot\"}");
	take(f, "2"); /* as nobody goes on with it */
	assert_int_equal(size_of(f), 0);
}

static void test_bad_lines_are_left_out(void **state)
{
	struct fixture *f = *state;

	append(f, "{\"id\":\"0\",\"type\":\"nonsense\"}\nno signal\n");
	append_signal(f, "1");
	append(f, "{\"id\":");
	append(f, "}\r\n");
	open_signals(f, true, false);
	take(f, "1");
	check_nothing(f);
	assert_int_equal(size_of(f), 0);
}

static void test_a_file_without_signals_is_anothers(void **state)
{
	struct fixture *f = *state;
	static const char line[] = "{\"op\":\"c\",\"before\":null}\n";

	for (int i = 0; i < 2000; i++) { /* more than one call looks at */
		append(f, line);
	}
	open_signals(f, true, false);
	check_nothing(f);
	assert_int_equal(size_of(f), 2000 * strlen(line));
	append_signal(f, "1");
	take(f, "1");
	assert_int_equal(size_of(f), 0);
}

static void test_a_file_that_was_written_anew_is_read_anew(void **state)
{
	struct fixture *f = *state;
	char line[256];
	int fd;

	append(f, "{\"id\":\"1\",\"type\":\"log\",\"data\":{\"message\":\"m\"}\n");
	open_signals(f, true, false);
	check_nothing(f);
	(void)snprintf(line, sizeof line, LINE, "1");
	fd = open(f->file, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	assert_int_equal(close(fd), 0);
	take(f, "1");
	/* And one in the place of another. */
	append_signal(f, "2");
	take(f, "2");
	assert_int_equal(unlink(f->file), 0);
	append_signal(f, "3");
	take(f, "3");
	assert_int_equal(size_of(f), 0);
}

static void test_a_line_that_is_too_long_is_left_out(void **state)
{
	static const char end[] = "{\"id\":\"x\",\"type\":\"pause-snapshot\"}\n";
	size_t len = 5 * (SIGNAL_MAX_BYTES / 2); /* its end fits */
	struct fixture *f = *state;
	char *longer = malloc(len + sizeof end);

	assert_non_null(longer);
	memset(longer, ' ', len);
	memcpy(longer + len, end, sizeof end);
	append_signal(f, "1");
	append(f, longer);
	append_signal(f, "2");
	open_signals(f, true, false);
	take(f, "1");
	take(f, "2");
	assert_int_equal(size_of(f), 0);
	free(longer);
}

static void test_what_is_no_file_of_signals_is_refused(void **state)
{
	struct fixture *f = *state;
	char other[128];
	struct error err;

	append_signal(f, "1");
	(void)snprintf(other, sizeof other, "%s/app.db-wal", f->folder);
	assert_int_equal(link(f->file, other), 0);
	assert_int_equal(try_open(f, true, false, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "belongs to the database"));
	assert_int_equal(rename(f->file, f->database), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(symlink(f->database, f->file), 0);
	assert_int_equal(try_open(f, true, false, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(mkfifo(f->file, 0600), 0);
	assert_int_equal(try_open(f, true, false, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "no regular file"));
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(mkdir(f->file, 0700), 0);
	assert_int_equal(try_open(f, true, false, &err), ST_CONFIG);
	assert_int_equal(rmdir(f->file), 0);
	/* What becomes one later is not read. */
	open_signals(f, true, false);
	assert_int_equal(symlink(f->database, f->file), 0);
	check_nothing(f);
	assert_int_equal(unlink(f->file), 0);
	append_signal(f, "2");
	take(f, "2");
}

#define APPENDED 3000

/* Another process that appends, each line with the file opened for it. */
static pid_t append_many(const struct fixture *f)
{
	pid_t pid = fork();

	if (pid != 0) {
		return pid;
	}
	for (int i = 0; i < APPENDED; i++) {
		char line[256];
		int fd = open(f->file, O_WRONLY | O_APPEND | O_CREAT, 0600);
		int len;

		(void)snprintf(line, sizeof line,
			       "{\"id\":\"%d\",\"type\":"
			       "\"resume-snapshot\"}\n",
			       i);
		len = (int)strlen(line);
		if (fd < 0 || write(fd, line, (size_t)len) != len) {
			_exit(1);
		}
		(void)close(fd);
		clock_sleep_ns(50 * NS_PER_US); /* so that cuts come in between */
	}
	_exit(0);
}

static void test_nothing_is_lost_that_is_appended_meanwhile(void **state)
{
	struct fixture *f = *state;
	pid_t pid = append_many(f);
	int status;

	assert_true(pid > 0);
	open_signals(f, true, false);
	for (int i = 0; i < APPENDED; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "%d", i);
		take(f, id);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	for (int i = 0; i < 100 && size_of(f) > 0; i++) {
		check_nothing(f);
	}
	assert_int_equal(size_of(f), 0);
}

static void test_a_file_that_others_have_open_is_cut_in_the_end(void **state)
{
	struct fixture *f = *state;
	int fd;

	append_signal(f, "1");
	fd = open(f->file, O_RDONLY);
	assert_true(fd >= 0);
	open_signals(f, true, false);
	take(f, "1");
	assert_true(size_of(f) > 0);
	for (int i = 0; i < 100 && size_of(f) > 0; i++) {
		check_nothing(f);
	}
	assert_int_equal(size_of(f), 0);
	(void)close(fd);
}

/* ---- what a later run knows of a file ---- */

/* Take a signal as a run does that keeps what it asks for. */
static void take_and_keep(struct fixture *f, const char *id)
{
	struct signal_places after = {.file = {0}};
	struct signal *signal = wait_for(f, INT_MAX);

	assert_non_null(signal);
	assert_string_equal(signal->id, id);
	signals_places(f->signals, &f->kept);
	signals_taken(f->signals, signal, NULL);
	signals_places(f->signals, &after);
	assert_true(after.file.taken == 0 || signal_places_are_same(&after, &f->kept));
	assert_int_equal(after.file.taken == 0, size_of(f) == 0);
}

/* A kill is the same: nothing is done at the end where the place is kept. */
static void begin_next_run(struct fixture *f)
{
	off_t size = size_of(f);

	signals_close(f->signals);
	f->signals = NULL;
	assert_int_equal(size_of(f), size);
	open_signals(f, true, true);
}

static void test_what_was_taken_of_an_open_file_is_not_taken_again(void **state)
{
	struct fixture *f = *state;
	int fd;

	append(f, "no signal\n");
	append_signal(f, "1");
	append_signal(f, "2");
	fd = open(f->file, O_WRONLY | O_APPEND);
	open_signals(f, true, true);
	take_and_keep(f, "1");
	begin_next_run(f);
	take_and_keep(f, "2");
	begin_next_run(f);
	assert_null(signals_next(f->signals));
	append_signal(f, "3");
	take_and_keep(f, "3");
	begin_next_run(f);
	(void)close(fd);
	check_nothing(f);
	assert_int_equal(size_of(f), 0); /* it is ours to be cut */
	signals_places(f->signals, &f->kept);
	assert_int_equal(f->kept.file.taken, 0);
	append_signal(f, "3");
	take(f, "3");
}

static void test_a_signal_that_was_given_and_not_taken_may_be_kept(void **state)
{
	struct fixture *f = *state;
	struct signal_places place = {.file = {0}};
	struct signal *signal;

	append_signal(f, "1");
	append_signal(f, "2");
	open_signals(f, true, true);
	signals_places(f->signals, &place);
	assert_int_equal(place.file.taken, 0);
	signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	signals_places(f->signals, &f->kept);
	assert_int_equal(f->kept.file.taken, size_of(f) / 2);
	signal_free(signal); /* killed before it is taken */
	begin_next_run(f);
	take_and_keep(f, "2");
}

static void test_the_place_in_another_file_means_nothing(void **state)
{
	struct fixture *f = *state;
	char moved[128];
	int fd;

	(void)snprintf(moved, sizeof moved, "%s/moved", f->folder);
	append_signal(f, "1");
	fd = open(f->file, O_WRONLY | O_APPEND);
	open_signals(f, true, true);
	take_and_keep(f, "1");
	/* Another one by the name, with the same in it. */
	assert_int_equal(rename(f->file, moved), 0);
	append_signal(f, "1");
	append_signal(f, "2");
	begin_next_run(f);
	take(f, "1");
	take(f, "2");
	/* The same one, with something else in it. */
	assert_int_equal(rename(moved, f->file), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	append_signal(f, "a");
	append_signal(f, "b");
	begin_next_run(f);
	take(f, "a");
	take(f, "b");
	(void)close(fd);
	check_nothing(f);
	assert_int_equal(size_of(f), 0);
	/* And one that is shorter. */
	append_signal(f, "1");
	f->kept.file.taken = 1000;
	begin_next_run(f);
	take(f, "1");
}

static void test_a_file_that_is_away_for_a_while_is_the_same(void **state)
{
	struct fixture *f = *state;
	char moved[128];
	int fd;

	(void)snprintf(moved, sizeof moved, "%s/moved", f->folder);
	append_signal(f, "1");
	fd = open(f->file, O_WRONLY | O_APPEND);
	open_signals(f, true, true);
	take(f, "1");
	assert_int_equal(rename(f->file, moved), 0);
	check_nothing(f);
	assert_int_equal(link(moved, f->file), 0); /* of two names, which is unfit */
	check_nothing(f);
	assert_int_equal(unlink(moved), 0);
	append_signal(f, "2");
	take(f, "2");
	check_nothing(f);
	(void)close(fd);
}

static void test_without_a_place_the_file_is_cut_at_the_end(void **state)
{
	struct fixture *f = *state;
	int fd;

	append_signal(f, "1");
	append_signal(f, "2");
	fd = open(f->file, O_WRONLY | O_APPEND);
	open_signals(f, true, false);
	take(f, "1");
	signals_close(f->signals);
	assert_true(size_of(f) > 0); /* one is left */
	open_signals(f, true, false);
	take(f, "1");
	take(f, "2");
	append_signal(f, "3");
	signals_close(f->signals);
	assert_true(size_of(f) > 0);
	open_signals(f, true, false);
	take(f, "1");
	take(f, "2");
	take(f, "3");
	signals_close(f->signals);
	f->signals = NULL;
	assert_int_equal(size_of(f), 0);
	/* Another's never is. */
	append(f, "no signal\n");
	open_signals(f, true, false);
	check_nothing(f);
	signals_close(f->signals);
	f->signals = NULL;
	assert_true(size_of(f) > 0);
	(void)close(fd);
}

/* ---- what may be one ---- */

static void check_refused(const struct signals_settings *settings, const char *why)
{
	struct error err;

	assert_int_equal(signals_check(settings, &err), ST_CONFIG);
	if (!strstr(err.text, why) || !strstr(err.text, settings->file)) {
		fail_msg("not %s: %s", why, err.text);
	}
}

static void test_what_others_write_is_refused(void **state)
{
	struct fixture *f = *state;
	struct signals_settings settings = {
	    .file = f->file, .database_path = f->database, .poll_ns = NS_PER_S};
	char other[128];
	struct error err;

	assert_int_equal(signals_check(&settings, &err), ST_OK);
	(void)snprintf(other, sizeof other, "%s/../%s", f->folder,
		       strrchr(f->file, '/') - strlen(strrchr(f->folder, '/')) + 1);
	settings.notifications = other;
	check_refused(&settings, "notification.file");
	append_signal(f, "1");
	check_refused(&settings, "notification.file");
	settings.notifications = f->database;
	settings.output = other;
	check_refused(&settings, "--to");
	settings.output = NULL;
	assert_int_equal(signals_check(&settings, &err), ST_OK);
	settings.state_path = f->folder;
	check_refused(&settings, "state directory");
	settings.state_path = NULL;
	settings.file = f->database;
	check_refused(&settings, "file of the database");
	settings.file = f->folder;
	check_refused(&settings, "no regular file");
	settings.file = NULL;
	assert_int_equal(signals_check(&settings, &err), ST_OK);
}

static void test_a_file_that_cannot_be_cut_gives_nothing(void **state)
{
	struct fixture *f = *state;

	if (geteuid() == 0) {
		skip();
	}
	append_signal(f, "1");
	assert_int_equal(chmod(f->file, 0400), 0);
	open_signals(f, true, false);
	check_nothing(f);
	assert_int_equal(chmod(f->file, 0600), 0);
	take(f, "1");
}

/* ---- the socket ---- */

static int connect_client(const struct fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct timeval most = {.tv_sec = LONG_S};
	struct error err;
	int dir_fd;

	assert_int_equal(signal_socket_address(f->folder, &address, &dir_fd, &err),
			 ST_OK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	if (dir_fd >= 0) {
		(void)close(dir_fd);
	}
	return fd;
}

static void say(int fd, const char *what)
{
	assert_int_equal(send(fd, what, strlen(what), MSG_NOSIGNAL), strlen(what));
}

static int ask(const struct fixture *f, const char *id)
{
	int fd = connect_client(f);
	char line[256];

	(void)snprintf(line, sizeof line, LINE, id);
	say(fd, line);
	return fd;
}

/* Up to the end of the connection, which is closed. */
static void check_answer(int fd, const char *expected)
{
	char answer[4096];
	size_t len = 0;
	ssize_t got;

	while ((got = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0) {
		len += (size_t)got;
	}
	answer[len] = '\0';
	(void)close(fd);
	if (!strstr(answer, expected) || (len > 0 && answer[len - 1] != '\n')) {
		fail_msg("not %s: %s", expected, answer);
	}
}

static void test_a_client_is_answered_when_its_signal_is_taken(void **state)
{
	struct fixture *f = *state;
	char byte;
	int fd;

	open_signals(f, false, true);
	fd = ask(f, "one");
	struct signal *signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_null(signals_next(f->signals));
	signals_taken(f->signals, signal, NULL);
	check_answer(fd, "{\"id\":\"one\"}\n");
}

static void test_a_client_is_told_why_it_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error why;
	int fd;

	open_signals(f, false, true);
	fd = ask(f, "one");
	(void)error_set(&why, ST_CONFIG, "not \"now\"\xff\n");
	signals_taken(f->signals, wait_for(f, INT_MAX), &why);
	check_answer(fd, "{\"error\":\"not \\\"now\\\"??\"}\n");
}

static void test_clients_that_talk_nonsense_harm_nobody(void **state)
{
	static const char *const nonsense[] = {"no signal\n", "\n",
					       "{\"type\":\"x\"}\n", "\xff\xfe\n{\n"};
	struct fixture *f = *state;
	int fds[4];
	int fd;

	open_signals(f, false, true);
	for (int i = 0; i < 4; i++) {
		fds[i] = connect_client(f);
		say(fds[i], nonsense[i]);
	}
	fd = ask(f, "one");
	(void)close(connect_client(f));
	take(f, "one");
	check_answer(fd, "\"one\"");
	for (int i = 0; i < 4; i++) {
		check_answer(fds[i], "{\"error\":");
	}
	check_nothing(f);
}

static void test_a_line_may_come_in_pieces_and_without_its_end(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_signals(f, false, true);
	fd = connect_client(f);
	say(fd, "{\"id\":\"1\",\"ty");
	check_nothing(f);
	say(fd, "pe\":\"pause-snapshot\"}\nmore\n");
	take(f, "1");
	check_answer(fd, "\"1\"");
	fd = connect_client(f);
	say(fd, "{\"id\":\"2\",\"type\":\"pause-snapshot\"}");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	take(f, "2");
	check_answer(fd, "\"2\"");
}

static void test_a_client_that_goes_leaves_its_signal(void **state)
{
	struct fixture *f = *state;
	struct signal *signal;

	open_signals(f, false, true);
	(void)close(ask(f, "1"));
	signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	signals_taken(f->signals, signal, NULL);
	check_nothing(f);
	/* Nothing is left that wakes the run all the time. */
	assert_int_equal(signals_wake_ms(f->signals), -1);
	assert_int_equal(
	    poll(&(struct pollfd){.fd = signals_fd(f->signals), .events = POLLIN}, 1,
		 0),
	    0);
}

static void test_clients_that_wait_do_not_wake_the_run(void **state)
{
	struct fixture *f = *state;
	struct pollfd fd;
	struct signal *signal;
	int client;

	open_signals(f, false, true);
	client = ask(f, "1");
	signal = wait_for(f, INT_MAX);
	assert_non_null(signal);
	say(client, "more");
	(void)shutdown(client, SHUT_RDWR);
	fd = (struct pollfd){.fd = signals_fd(f->signals), .events = POLLIN};
	assert_int_equal(poll(&fd, 1, 0), 0);
	signals_taken(f->signals, signal, NULL);
	(void)close(client);
}

static void test_a_silent_client_is_left(void **state)
{
	struct fixture *f = *state;
	int silent, fd;
	char byte;

	open_signals(f, false, true);
	silent = connect_client(f);
	say(silent, "{");
	fd = ask(f, "1");
	take(f, "1"); /* at once */
	check_answer(fd, "\"1\"");
	assert_true(signals_wake_ms(f->signals) > 0);
	for (int i = 0; i < 10 * LONG_S; i++) {
		if (recv(silent, &byte, 1, MSG_DONTWAIT) == 0) {
			(void)close(silent);
			assert_int_equal(signals_wake_ms(f->signals), -1);
			return;
		}
		check_nothing(f);
	}
	fail_msg("it is still there");
}

static void test_more_clients_than_places_wait_their_turn(void **state)
{
	struct fixture *f = *state;
	int fds[SIGNAL_CLIENTS + 8];
	struct signal *signal = NULL;
	char id[32];

	open_signals(f, false, true);
	for (int i = 0; i < SIGNAL_CLIENTS + 8; i++) {
		(void)snprintf(id, sizeof id, "id-%d", i);
		fds[i] = ask(f, id);
		if (i == SIGNAL_CLIENTS - 1) { /* let them in */
			signal = wait_for(f, INT_MAX);
		}
	}
	for (int i = 0; i < SIGNAL_CLIENTS + 8; i++) {
		assert_non_null(signal);
		signals_taken(f->signals, signal, NULL);
		signal = i < SIGNAL_CLIENTS + 7 ? wait_for(f, INT_MAX) : NULL;
	}
	for (int i = 0; i < SIGNAL_CLIENTS + 8; i++) {
		(void)snprintf(id, sizeof id, "\"id-%d\"", i);
		check_answer(fds[i], id);
	}
}

static void *send_much(void *context)
{
	int fd = *(int *)context;
	char *bytes = malloc(2 * SIGNAL_MAX_BYTES);

	memset(bytes, ' ', 2 * SIGNAL_MAX_BYTES);
	for (size_t at = 0; at < 2 * SIGNAL_MAX_BYTES;) {
		ssize_t sent =
		    send(fd, bytes + at, 2 * SIGNAL_MAX_BYTES - at, MSG_NOSIGNAL);

		if (sent <= 0) {
			break;
		}
		at += (size_t)sent;
	}
	free(bytes);
	return NULL;
}

static void test_a_line_without_end_is_not_listened_to_for_ever(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	int fd;

	open_signals(f, false, true);
	fd = connect_client(f);
	assert_int_equal(pthread_create(&thread, NULL, send_much, &fd), 0);
	for (int i = 0; i < 100; i++) {
		check_nothing(f);
		if (signals_wake_ms(f->signals) < 0) {
			break;
		}
	}
	(void)pthread_join(thread, NULL);
	check_answer(fd, "longer than 1 MiB");
}

static void test_the_socket_is_ours_alone_and_goes_with_the_run(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/signals.sock", f->folder);
	(void)umask(0);
	open_signals(f, false, true);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	signals_close(f->signals);
	f->signals = NULL;
	assert_int_equal(lstat(path, &st), -1);
}

static void test_the_socket_of_a_killed_run_is_replaced(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		open_signals(f, false, true);
		_exit(0); /* closes nothing */
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	open_signals(f, false, true);
	fd = ask(f, "1");
	take(f, "1");
	check_answer(fd, "\"1\"");
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof path, "%s/signals.sock", f->folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	open_signals(f, false, true); /* without one */
	assert_int_equal(signals_fd(f->signals), -1);
	signals_close(f->signals);
	f->signals = NULL;
	assert_int_equal(stat(path, &st), 0);
}

static void test_a_path_may_be_longer_than_addresses_are(void **state)
{
	struct fixture *f = *state;
	struct fixture deep = {.signals = NULL};
	struct signals_settings settings = {.poll_ns = NS_PER_S};
	struct error err;
	char path[512];
	struct sockaddr_un address;
	int dir_fd, fd;

	(void)snprintf(path, sizeof path, "%s/", f->folder);
	memset(path + strlen(path), 'd', 150);
	path[strlen(f->folder) + 151] = '\0';
	assert_int_equal(mkdir(path, 0700), 0);
	settings.state_path = path;
	assert_int_equal(signals_open(&settings, &deep.signals, &err), ST_OK);
	assert_true(signals_fd(deep.signals) >= 0);
	assert_int_equal(signal_socket_address(path, &address, &dir_fd, &err), ST_OK);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	(void)close(dir_fd);
	say(fd, "{\"id\":\"1\",\"type\":\"pause-snapshot\"}\n");
	take(&deep, "1");
	check_answer(fd, "\"1\"");
	signals_close(deep.signals);
}

static void test_who_waits_when_the_run_ends_is_told(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_signals(f, false, true);
	fd = ask(f, "1");
	for (int i = 0; i < 100; i++) {
		struct signal *signal = wait_for(f, 20);

		if (signal) {
			signal_free(signal);
			break;
		}
	}
	signals_close(f->signals);
	f->signals = NULL;
	check_answer(fd, "{\"error\":\"rowtail stops");
}

/* ---- rowtail signal ---- */

struct call {
	struct config config;
	struct error err;
	enum status status;
	char out[256]; /* what it printed */
};

static void parse_call(struct call *call, const struct fixture *f, const char *words)
{
	static char copy[512];
	char *argv[32] = {"rowtail", "signal", "--state", NULL};
	int argc = 4;

	argv[3] = (char *)(uintptr_t)f->folder;
	(void)snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		argv[argc++] = word;
	}
	*call = (struct call){.status = ST_OK};
	config_init(&call->config);
	call->status = cli_parse(argc, argv, &call->config, &call->err);
}

static void *run_call(void *context)
{
	struct call *call = context;

	call->status = call->config.command->run(&call->config, &call->err);
	return NULL;
}

/* Run it beside `play`, which is the run; NULL: nobody is there. */
static void run_beside(struct call *call, const struct fixture *f, const char *words,
		       void (*play)(struct fixture *f), struct fixture *run)
{
	FILE *out = tmpfile();
	int kept = dup(STDOUT_FILENO);
	pthread_t thread;
	size_t len;

	assert_non_null(out);
	parse_call(call, f, words);
	(void)fflush(stdout);
	(void)dup2(fileno(out), STDOUT_FILENO);
	if (call->status == ST_OK) {
		assert_int_equal(pthread_create(&thread, NULL, run_call, call), 0);
		if (play) {
			play(run);
		}
		(void)pthread_join(thread, NULL);
	}
	(void)fflush(stdout);
	(void)dup2(kept, STDOUT_FILENO);
	(void)close(kept);
	rewind(out);
	len = fread(call->out, 1, sizeof call->out - 1, out);
	call->out[len] = '\0';
	(void)fclose(out);
	config_clear(&call->config);
}

/* Takes the signal, and prints what it asks for before the command prints the id. */
static void play_taking(struct fixture *f)
{
	struct signal *seen = wait_for(f, INT_MAX);

	if (seen) {
		for (size_t i = 0; i < seen->pattern_count; i++) {
			(void)fprintf(stdout, "%s|", seen->patterns[i]);
		}
		for (size_t i = 0; i < seen->condition_count; i++) {
			(void)fprintf(stdout, "%s:%s|", seen->conditions[i].table,
				      seen->conditions[i].filter);
		}
		(void)fprintf(stdout, "%d%s%s\n", (int)seen->type,
			      seen->is_blocking ? " blocking" : "",
			      seen->message ? seen->message : "");
		(void)fflush(stdout);
		signals_taken(f->signals, seen, NULL);
	}
}

static void play_refusing(struct fixture *f)
{
	struct signal *signal = wait_for(f, INT_MAX);
	struct error why;

	(void)error_set(&why, ST_CONFIG, "no table is named t");
	signals_taken(f->signals, signal, &why);
}

static void check_call(struct fixture *f, const char *words, const char *expected)
{
	struct call call;

	run_beside(&call, f, words, play_taking, f);
	if (call.status != ST_OK) {
		fail_msg("%s: %s", words, call.err.text);
	}
	assert_string_equal(call.out, expected);
}

static void test_the_command_asks_and_prints_the_id(void **state)
{
	struct fixture *f = *state;
	struct call call;

	open_signals(f, false, true);
	check_call(f, "execute-snapshot --table a --table b.* --where x>1 --id me",
		   "a|b.*|a:x>1|b.*:x>1|1\nme\n");
	check_call(f, "execute-snapshot --table=a --type=blocking --id 2",
		   "a|1 blocking\n2\n");
	check_call(f, "stop-snapshot --id 3", "2\n3\n");
	check_call(f, "stop-snapshot --table t --id 4", "t|2\n4\n");
	check_call(f, "pause-snapshot --id 5", "3\n5\n");
	check_call(f, "resume-snapshot --id 6", "4\n6\n");
	check_call(f, "log hello --id 7", "0hello\n7\n");
	run_beside(&call, f, "pause-snapshot", play_taking, f);
	assert_int_equal(call.status, ST_OK);
	assert_int_equal(strlen(call.out), 2 + 32 + 1);
}

static void test_the_command_says_why_it_is_refused(void **state)
{
	struct fixture *f = *state;
	struct call call;

	open_signals(f, false, true);
	run_beside(&call, f, "execute-snapshot --table t", play_refusing, f);
	assert_int_equal(call.status, ST_IO);
	assert_string_equal(call.err.text, "no table is named t");
	assert_string_equal(call.out, "");
}

static void check_fails(struct fixture *f, const char *words, enum status status,
			const char *what)
{
	struct call call;

	run_beside(&call, f, words, NULL, NULL);
	assert_int_equal(call.status, status);
	if (!strstr(call.err.text, what)) {
		fail_msg("%s: not \"%s\": %s", words, what, call.err.text);
	}
}

static void test_the_command_says_what_to_do_when_nobody_is_there(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	check_fails(f, "pause-snapshot", ST_IO, "start rowtail with --state");
	pid = fork();
	if (pid == 0) {
		open_signals(f, false, true);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	check_fails(f, "pause-snapshot", ST_IO, "start rowtail with --state");
	(void)strcat(f->folder, "/none");
	check_fails(f, "pause-snapshot", ST_IO, "start rowtail with --state");
	*strrchr(f->folder, '/') = '\0';
}

static void test_wrong_words_are_wrong_usage(void **state)
{
	struct fixture *f = *state;

	check_fails(f, "snapshot", ST_CONFIG, "must be execute-snapshot");
	check_fails(f, "", ST_CONFIG, "too few words");
	check_fails(f, "execute-snapshot", ST_CONFIG, "--table PATTERN");
	check_fails(f, "execute-snapshot --table a(", ST_CONFIG, "does not compile");
	check_fails(f, "execute-snapshot --table a --type=full", ST_CONFIG,
		    "incremental or blocking");
	check_fails(f, "execute-snapshot t --table a", ST_CONFIG, "unexpected t");
	check_fails(f, "stop-snapshot --where 1", ST_CONFIG, "--where does not go");
	check_fails(f, "pause-snapshot --table a", ST_CONFIG, "--table does not go");
	check_fails(f, "log", ST_CONFIG, "the message is missing");
	check_fails(f, "log a b", ST_CONFIG, "unexpected b");
	check_fails(f, "log \xff", ST_CONFIG, "UTF-8");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_lines_of_a_file_are_taken_and_then_it_is_cut),
	    TEST(test_what_is_not_taken_comes_again),
	    TEST(test_a_line_that_comes_before_the_cut_is_not_cut),
	    TEST(test_a_line_without_an_end_waits_for_it),
	    TEST(test_bad_lines_are_left_out),
	    TEST(test_a_file_without_signals_is_anothers),
	    TEST(test_a_file_that_was_written_anew_is_read_anew),
	    TEST(test_a_line_that_is_too_long_is_left_out),
	    TEST(test_what_is_no_file_of_signals_is_refused),
	    TEST(test_nothing_is_lost_that_is_appended_meanwhile),
	    TEST(test_a_file_that_others_have_open_is_cut_in_the_end),
	    TEST(test_what_was_taken_of_an_open_file_is_not_taken_again),
	    TEST(test_a_signal_that_was_given_and_not_taken_may_be_kept),
	    TEST(test_the_place_in_another_file_means_nothing),
	    TEST(test_a_file_that_is_away_for_a_while_is_the_same),
	    TEST(test_without_a_place_the_file_is_cut_at_the_end),
	    TEST(test_what_others_write_is_refused),
	    TEST(test_a_file_that_cannot_be_cut_gives_nothing),
	    TEST(test_a_client_is_answered_when_its_signal_is_taken),
	    TEST(test_a_client_is_told_why_it_is_refused),
	    TEST(test_clients_that_talk_nonsense_harm_nobody),
	    TEST(test_a_line_may_come_in_pieces_and_without_its_end),
	    TEST(test_a_client_that_goes_leaves_its_signal),
	    TEST(test_clients_that_wait_do_not_wake_the_run),
	    TEST(test_a_silent_client_is_left),
	    TEST(test_more_clients_than_places_wait_their_turn),
	    TEST(test_a_line_without_end_is_not_listened_to_for_ever),
	    TEST(test_the_socket_is_ours_alone_and_goes_with_the_run),
	    TEST(test_the_socket_of_a_killed_run_is_replaced),
	    TEST(test_what_is_no_socket_is_left_alone),
	    TEST(test_a_path_may_be_longer_than_addresses_are),
	    TEST(test_who_waits_when_the_run_ends_is_told),
	    TEST(test_the_command_asks_and_prints_the_id),
	    TEST(test_the_command_says_why_it_is_refused),
	    TEST(test_the_command_says_what_to_do_when_nobody_is_there),
	    TEST(test_wrong_words_are_wrong_usage),
	};

	log_setup(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

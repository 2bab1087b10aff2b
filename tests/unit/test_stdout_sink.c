/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinks/sink_settings.h"
#include "sinks/stdout_sink.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"

/* ---- helpers ---- */

static struct span span_of(const char *s)
{
	return s ? (struct span){s, strlen(s)} : (struct span){NULL, 0};
}

static struct message message_of(const char *key, const char *value)
{
	return (struct message){
	    .topic = span_of("app.t"), .key = span_of(key), .value = span_of(value)};
}

static struct sink *open_sink(int fd, bool record_lines, const _Atomic int *stop)
{
	struct sink_settings settings = {
	    .output_fd = fd, .record_lines = record_lines, .stop = stop};
	struct sink *sink = NULL;
	struct error err;

	assert_int_equal(stdout_kind.open(&settings, &sink, &err), ST_OK);
	assert_non_null(sink);
	return sink;
}

/* A pipe whose reader is a thread: gathers all it reads until the end. */
struct reader {
	int fds[2];
	unsigned delay_us; /* before each read */
	struct buffer got;
	pthread_t thread;
};

static void *read_all(void *context)
{
	struct reader *r = context;
	char chunk[3000];
	ssize_t n;

	do {
		(void)usleep(r->delay_us);
		n = read(r->fds[0], chunk, sizeof chunk);
		if (n > 0) {
			buffer_add(&r->got, chunk, (size_t)n);
		}
	} while (n > 0);
	return NULL;
}

static void open_reader(struct reader *r, bool is_socket, unsigned delay_us)
{
	buffer_init(&r->got);
	r->delay_us = delay_us;
	assert_int_equal(
	    is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, r->fds) : pipe(r->fds), 0);
	assert_int_equal(pthread_create(&r->thread, NULL, read_all, r), 0);
}

/* Closes the writing end and waits until all is read. */
static void finish_reader(struct reader *r)
{
	(void)close(r->fds[1]);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	(void)close(r->fds[0]);
	assert_true(buffer_ok(&r->got));
}

static void check_got(struct reader *r, const char *expected)
{
	finish_reader(r);
	buffer_add_char(&r->got, '\0');
	assert_string_equal(r->got.bytes, expected);
	buffer_clear(&r->got);
}

static void put(struct sink *sink, const struct message *m)
{
	struct error err;

	assert_int_equal(sink_put(sink, m, &err), ST_OK);
}

static void flush(struct sink *sink)
{
	struct error err;

	assert_int_equal(sink_flush(sink, &err), ST_OK);
}

/* ---- lines ---- */

static void test_value_lines_leave_tombstones_out(void **state)
{
	struct message event = message_of("{\"id\":1}", "{\"op\":\"d\"}");
	struct message tombstone = message_of("{\"id\":1}", NULL);
	struct reader r;
	struct sink *sink;

	(void)state;
	open_reader(&r, false, 0);
	sink = open_sink(r.fds[1], false, NULL);
	assert_false(sink_wants_keys(&stdout_kind, false));
	put(sink, &event);
	put(sink, &tombstone);
	put(sink, &event);
	flush(sink);
	sink_close(sink);
	check_got(&r, "{\"op\":\"d\"}\n{\"op\":\"d\"}\n");
}

static void test_record_lines_have_topic_key_value_and_headers(void **state)
{
	const struct message_header headers[] = {
	    {span_of("__debezium.newkey"), span_of("{\"id\":2}")},
	    {span_of("rowtail.merged"), span_of("17")},
	};
	struct message event = message_of("{\"id\":1}", "{\"op\":\"d\"}");
	struct message tombstone = message_of("{\"id\":1}", NULL);
	struct message keyless = message_of(NULL, "{\"op\":\"c\"}");
	struct reader r;
	struct sink *sink;

	(void)state;
	event.headers = tombstone.headers = headers;
	event.header_count = 2;
	tombstone.header_count = 1;
	open_reader(&r, false, 0);
	sink = open_sink(r.fds[1], true, NULL);
	assert_true(sink_wants_keys(&stdout_kind, true));
	put(sink, &event);
	put(sink, &tombstone);
	put(sink, &keyless);
	flush(sink);
	sink_close(sink);
	check_got(&r,
		  "{\"topic\":\"app.t\",\"key\":{\"id\":1},\"value\":{\"op\":\"d\"},"
		  "\"headers\":{\"__debezium.newkey\":{\"id\":2},"
		  "\"rowtail.merged\":17}}\n"
		  "{\"topic\":\"app.t\",\"key\":{\"id\":1},\"value\":null,"
		  "\"headers\":{\"__debezium.newkey\":{\"id\":2}}}\n"
		  "{\"topic\":\"app.t\",\"key\":null,\"value\":{\"op\":\"c\"},"
		  "\"headers\":{}}\n");
}

/* ---- batches ---- */

static size_t readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0 ? 1 : 0;
}

static void test_lines_wait_for_a_flush_or_a_full_batch(void **state)
{
	char line[1000];
	struct message m;
	struct sink *sink;
	int fds[2];
	size_t put_len = 0;
	char *got = malloc(2 * STDOUT_BATCH);
	ssize_t n;

	(void)state;
	assert_non_null(got);
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\0';
	m = message_of(NULL, line);
	assert_int_equal(pipe(fds), 0);
	sink = open_sink(fds[1], false, NULL);
	while (put_len + sizeof line <= STDOUT_BATCH) {
		put(sink, &m);
		put_len += sizeof line;
		assert_int_equal(readable(fds[0]), 0);
	}
	put(sink, &m);
	assert_int_equal(readable(fds[0]), 1);
	/* The batch that went out is of whole lines. */
	n = read(fds[0], got, 2 * STDOUT_BATCH);
	assert_int_equal(n, (ssize_t)put_len);
	assert_true(got[n - 1] == '\n');
	assert_int_equal(readable(fds[0]), 0);
	flush(sink);
	assert_int_equal(read(fds[0], got, 2 * STDOUT_BATCH), (ssize_t)sizeof line);
	flush(sink); /* nothing there: nothing written */
	assert_int_equal(readable(fds[0]), 0);
	sink_close(sink);
	(void)close(fds[0]);
	(void)close(fds[1]);
	free(got);
}

/* Lines of growing length, to a slow reader. */
static void check_many_lines(bool is_socket, bool record_lines, unsigned delay_us,
			     int flags)
{
	static const size_t lens[] = {
	    0, 1,    500, STDOUT_BATCH - 2, 65535, 65536, STDOUT_BATCH + 1, 300000,
	    7, 4096, 4095};
	char *line = malloc(300001);
	struct buffer expected;
	struct reader r;
	struct sink *sink;

	assert_non_null(line);
	buffer_init(&expected);
	open_reader(&r, is_socket, delay_us);
	if (flags) {
		assert_int_equal(fcntl(r.fds[1], F_SETFL, flags), 0);
	}
	sink = open_sink(r.fds[1], record_lines, NULL);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
			struct message m;

			memset(line, (char)('a' + i), lens[i]);
			line[lens[i]] = '\0';
			m = message_of(NULL, line);
			put(sink, &m);
			if (record_lines) {
				buffer_add_str(
				    &expected,
				    "{\"topic\":\"app.t\",\"key\":null,\"value\":");
			}
			buffer_add(&expected, line, lens[i]);
			buffer_add_str(&expected,
				       record_lines ? ",\"headers\":{}}\n" : "\n");
		}
	}
	flush(sink);
	sink_close(sink);
	finish_reader(&r);
	assert_int_equal(r.got.len, expected.len);
	assert_memory_equal(r.got.bytes, expected.bytes, expected.len);
	buffer_clear(&r.got);
	buffer_clear(&expected);
	free(line);
}

static void test_lines_of_all_lengths_arrive_whole(void **state)
{
	(void)state;
	check_many_lines(false, false, 100, 0);
	check_many_lines(false, true, 0, 0);
	check_many_lines(true, false, 100, 0);
	check_many_lines(false, false, 100, O_NONBLOCK);
}

static void test_files_get_everything(void **state)
{
	char path[] = "/tmp/rowtail-test-XXXXXX";
	struct message m = message_of(NULL, "{}");
	struct sink *sink;
	struct stat st;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "old\n", 4), 4);
	sink = open_sink(fd, false, NULL);
	assert_int_equal(sink_watch_fd(sink), -1);
	for (int i = 0; i < 100000; i++) {
		put(sink, &m);
	}
	flush(sink);
	sink_close(sink);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4 + 300000);
	(void)close(fd);
	(void)unlink(path);
}

static void test_flags_of_the_given_descriptor_are_left_alone(void **state)
{
	struct sink *sink;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	sink = open_sink(fds[1], false, NULL);
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	sink_close(sink);
	assert_true(fcntl(fds[1], F_GETFD) >= 0); /* still open */
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* ---- readers that leave, full disks, bad descriptors ---- */

static void check_closed(bool is_socket)
{
	struct message m = message_of(NULL, "{}");
	struct sink *sink;
	struct error err;
	struct pollfd p = {.events = 0};
	int fds[2];

	assert_int_equal(
	    is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds), 0);
	sink = open_sink(fds[1], false, NULL);
	p.fd = sink_watch_fd(sink);
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	(void)close(fds[0]);
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_true(p.revents & (POLLERR | POLLHUP));
	put(sink, &m);
	assert_int_equal(sink_flush(sink, &err), ST_CLOSED);
	sink_close(sink);
	(void)close(fds[1]);
}

static void test_reader_that_went_away_is_closed(void **state)
{
	(void)state;
	check_closed(false);
	check_closed(true);
}

static void test_full_disk_is_an_error_that_says_so(void **state)
{
	struct message m = message_of(NULL, "{}");
	struct sink *sink;
	struct error err;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0) {
		skip();
	}
	sink = open_sink(fd, false, NULL);
	put(sink, &m);
	assert_int_equal(sink_flush(sink, &err), ST_IO);
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_non_null(strstr(err.text, "standard output"));
	sink_close(sink);
	(void)close(fd);
}

static void test_closed_descriptor_is_refused(void **state)
{
	struct sink_settings settings = {.output_fd = -1};
	struct sink *sink;
	struct error err;

	(void)state;
	assert_int_equal(stdout_kind.open(&settings, &sink, &err), ST_IO);
	assert_int_equal(err.sys_errno, EBADF);
}

/* ---- after a line that was cut ---- */

/* What a file with `before` in it has after one line was put. */
static void check_file(const char *before, int flags, off_t offset,
		       const char *expected)
{
	char path[] = "/tmp/rowtail-stdout-XXXXXX";
	struct message m = message_of(NULL, "{\"n\":1}");
	struct sink *sink;
	char got[64] = "";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, before, strlen(before)), (ssize_t)strlen(before));
	(void)close(fd);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags); /* as a shell does */
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, offset, SEEK_SET), offset);
	sink = open_sink(fd, false, NULL);
	put(sink, &m);
	flush(sink);
	assert_false(stdout_sink_is_inside_line(sink));
	sink_close(sink);
	(void)close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, got, sizeof got - 1) > 0);
	assert_string_equal(got, expected);
	(void)close(fd);
	(void)unlink(path);
}

static void test_a_line_does_not_go_on_what_a_file_ends_with(void **state)
{
	(void)state;
	check_file("", O_APPEND, 0, "{\"n\":1}\n");
	check_file("{\"n\":0}\n", O_APPEND, 0, "{\"n\":0}\n{\"n\":1}\n");
	check_file("{\"n\":", O_APPEND, 0, "{\"n\":\n{\"n\":1}\n");
	/* Where it goes on matters, not where the file ends. */
	check_file("half", 0, 4, "half\n{\"n\":1}\n");
	check_file("half", 0, 0, "{\"n\":1}\n");
	check_file("whole\nhalf", 0, 6, "whole\n{\"n\":1}\n");
}

/* ---- stop ---- */

static _Atomic int stop;

struct later {
	pthread_t thread;
	unsigned delay_us;
	int drain_fd; /* -1: only raise the flag */
};

static void *raise_stop(void *context)
{
	const struct later *later = context;
	char chunk[65536];

	(void)usleep(later->delay_us);
	stop = 1; /* read by the sink's thread */
	(void)usleep(later->delay_us);
	while (later->drain_fd >= 0 && read(later->drain_fd, chunk, sizeof chunk) > 0) {
	}
	return NULL;
}

static enum status put_until_blocked(struct sink *sink, struct error *err)
{
	static char line[10000];
	struct message m;
	enum status status = ST_OK;

	memset(line, 'x', sizeof line - 1);
	m = message_of(NULL, line);
	for (int i = 0; i < 100 && status == ST_OK; i++) {
		status = sink_put(sink, &m, err);
	}
	return status == ST_OK ? sink_flush(sink, err) : status;
}

static void test_stop_gives_up_on_a_stuck_reader_after_the_timeout(void **state)
{
	struct later later = {.delay_us = 50000, .drain_fd = -1};
	struct sink *sink;
	struct error err;
	int64_t start_ns = clock_mono_ns();
	int64_t ns;
	int fds[2];

	(void)state;
	stop = 0;
	assert_int_equal(pipe(fds), 0);
	sink = open_sink(fds[1], false, &stop);
	assert_int_equal(pthread_create(&later.thread, NULL, raise_stop, &later), 0);
	assert_int_equal(put_until_blocked(sink, &err), ST_STOPPED);
	ns = clock_mono_ns() - start_ns;
	assert_true(ns >= STDOUT_STOP_TIMEOUT_NS);
	assert_true(ns < STDOUT_STOP_TIMEOUT_NS + 30 * NS_PER_S);
	assert_true(
	    stdout_sink_is_inside_line(sink)); /* 65,536 bytes of lines of 10,000 */
	assert_int_equal(stdout_kind.count(sink).acknowledged, 6);
	assert_int_equal(pthread_join(later.thread, NULL), 0);
	sink_close(sink);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void test_stop_finishes_when_the_reader_goes_on(void **state)
{
	struct later later = {.delay_us = 100000};
	struct sink *sink;
	struct error err;
	int fds[2];

	(void)state;
	stop = 0;
	assert_int_equal(pipe(fds), 0);
	sink = open_sink(fds[1], false, &stop);
	later.drain_fd = fds[0];
	assert_int_equal(pthread_create(&later.thread, NULL, raise_stop, &later), 0);
	assert_int_equal(put_until_blocked(sink, &err), ST_OK);
	sink_close(sink);
	(void)close(fds[1]);
	assert_int_equal(pthread_join(later.thread, NULL), 0);
	(void)close(fds[0]);
}

static int ignore_sigpipe(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_value_lines_leave_tombstones_out),
	    cmocka_unit_test(test_record_lines_have_topic_key_value_and_headers),
	    cmocka_unit_test(test_lines_wait_for_a_flush_or_a_full_batch),
	    cmocka_unit_test(test_lines_of_all_lengths_arrive_whole),
	    cmocka_unit_test(test_files_get_everything),
	    cmocka_unit_test(test_flags_of_the_given_descriptor_are_left_alone),
	    cmocka_unit_test(test_reader_that_went_away_is_closed),
	    cmocka_unit_test(test_full_disk_is_an_error_that_says_so),
	    cmocka_unit_test(test_closed_descriptor_is_refused),
	    cmocka_unit_test(test_a_line_does_not_go_on_what_a_file_ends_with),
	    cmocka_unit_test(test_stop_gives_up_on_a_stuck_reader_after_the_timeout),
	    cmocka_unit_test(test_stop_finishes_when_the_reader_goes_on),
	};

	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
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
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/log.h"

/* stderr goes into a pipe between begin and end; packets keep its writes apart. */
struct captured {
	int saved;
	int pipe[2];
	char text[16384];
	size_t len;
	size_t writes;
};

static void begin(struct captured *c)
{
	memset(c, 0, sizeof *c);
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	assert_int_equal(pipe2(c->pipe, O_DIRECT | O_NONBLOCK), 0);
	assert_true(fcntl(c->pipe[1], F_SETPIPE_SZ, 1 << 19) > 0); /* packets: 128 */
	assert_true(dup2(c->pipe[1], STDERR_FILENO) >= 0);
}

/* Each read of a packet pipe gives one write, up to PIPE_BUF bytes of it. */
static void end(struct captured *c)
{
	ssize_t got;

	assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
	close(c->saved);
	close(c->pipe[1]);
	while ((got = read(c->pipe[0], c->text + c->len, sizeof c->text - 1 - c->len)) >
	       0) {
		c->len += (size_t)got;
		c->writes++;
	}
	close(c->pipe[0]);
	c->text[c->len] = 0;
}

static void test_text_line_has_the_program_name_in_front(void **state)
{
	struct captured c;

	(void)state;
	log_setup(LOG_INFO, false);
	begin(&c);
	log_info("read %d pages of %s", 12, "shop.db");
	end(&c);
	assert_string_equal(c.text, "rowtail: read 12 pages of shop.db\n");
	assert_int_equal(c.writes, 1);
}

static void test_levels_are_written_as_set_up(void **state)
{
	static const char *const want[] = {
	    "rowtail: e\nrowtail: w\nrowtail: p\n",
	    "rowtail: e\nrowtail: w\nrowtail: p\n",
	    "rowtail: e\nrowtail: w\nrowtail: i\nrowtail: p\n",
	    "rowtail: e\nrowtail: w\nrowtail: i\nrowtail: d\nrowtail: p\n",
	};

	(void)state;
	for (int most = LOG_ERROR; most <= LOG_DEBUG; most++) {
		struct captured c;

		log_setup((enum log_level)most, false);
		begin(&c);
		log_error("e");
		log_warn("w");
		log_info("i");
		log_debug("d");
		log_always("p");
		end(&c);
		assert_string_equal(c.text, want[most]);
	}
}

static void test_control_characters_cannot_forge_a_line(void **state)
{
	struct captured c;

	(void)state;
	log_setup(LOG_INFO, false);
	begin(&c);
	log_info("table \"a\nrowtail: b\r\x1b[31m\x7f\t\"");
	log_info("%s", "C1 \xc2\x85 \xc2\x9b, cut \xe2\x82, wild \xff\xc0\xaf, "
		       "surrogate \xed\xa0\x80, high \xf4\x90\x80\x80");
	log_info("%s", "bidi \xe2\x80\xae, line \xe2\x80\xa8, mark \xe2\x80\x8f");
	log_info("%s", "good \xc2\xa0 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
	end(&c);
	assert_string_equal(c.text, "rowtail: table \"a?rowtail: b??[31m??\"\n"
				    "rowtail: C1 ? ?, cut ?, wild ???, "
				    "surrogate ???, high ????\n"
				    "rowtail: bidi ?, line ?, mark ?\n"
				    "rowtail: good \xc2\xa0 \xc3\xa4 \xe2\x82\xac "
				    "\xf0\x9f\x98\x80\n");
	assert_int_equal(c.writes, 4);
}

static void test_json_line_is_an_object_with_time_level_and_text(void **state)
{
	const char *hostile = "a \"quoted\" \\ path\n\x01 \xff \xe2\x82\xac";
	struct captured c;
	json_t *line;
	const char *ts;

	(void)state;
	log_setup(LOG_INFO, true);
	begin(&c);
	log_warn("%s", hostile);
	end(&c);
	assert_int_equal(c.writes, 1);
	assert_int_equal(c.text[c.len - 1], '\n');
	line = json_loads(c.text, 0, NULL);
	assert_non_null(line);
	assert_int_equal(json_object_size(line), 3);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(line, "msg")),
			    "a \"quoted\" \\ path?? ? \xe2\x82\xac");
	ts = json_string_value(json_object_get(line, "ts"));
	assert_int_equal(strlen(ts), strlen("2026-01-02T03:04:05.678Z"));
	assert_int_equal(ts[10], 'T');
	assert_int_equal(ts[19], '.');
	assert_int_equal(ts[23], 'Z');
	json_decref(line);
}

static void test_what_is_always_said_has_the_form_of_all_lines(void **state)
{
	struct captured c;
	json_t *line;

	(void)state;
	log_setup(LOG_ERROR, false);
	begin(&c);
	log_always("following %s", "shop.db");
	end(&c);
	assert_string_equal(c.text, "rowtail: following shop.db\n");
	log_setup(LOG_ERROR, true);
	begin(&c);
	log_always("following %s", "shop.db");
	end(&c);
	line = json_loads(c.text, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "info");
	assert_string_equal(json_string_value(json_object_get(line, "msg")),
			    "following shop.db");
	json_decref(line);
}

static void test_long_text_is_cut_to_one_whole_line(void **state)
{
	char text[9000];

	(void)state;
	for (int as_json = 0; as_json <= 1; as_json++) {
		for (size_t shift = 0; shift < 3; shift++) {
			struct captured c;

			memset(text, '"', sizeof text - 1);
			memset(text, 'x', shift);
			text[sizeof text - 1] = 0;
			log_setup(LOG_INFO, as_json);
			begin(&c);
			log_info("%s", text);
			end(&c);
			assert_true(c.len > 2000);
			assert_ptr_equal(strchr(c.text, '\n'), c.text + c.len - 1);
			if (as_json) {
				json_t *line = json_loads(c.text, 0, NULL);

				assert_non_null(line);
				json_decref(line);
			}
		}
	}
	log_setup(LOG_INFO, false);
}

static void test_logging_keeps_errno(void **state)
{
	struct captured c;

	(void)state;
	log_setup(LOG_INFO, false);
	begin(&c);
	errno = ENOSPC;
	log_info("something");
	log_always("else");
	assert_int_equal(errno, ENOSPC);
	end(&c);
}

static void test_closed_stderr_is_no_reason_to_stop(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_true(saved >= 0);
	close(STDERR_FILENO);
	log_error("nobody hears this");
	log_always("nor this");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

static void warn_of(int n)
{
	log_warn("page %d is bad", n);
}

static size_t lines_in(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		n += *text == '\n';
	}
	return n;
}

static void test_lines_of_one_place_are_limited_and_counted(void **state)
{
	struct log_place place = {.since_ns = 0};
	struct captured c;

	(void)state;
	log_setup(LOG_INFO, false);
	begin(&c);
	for (int i = 0; i < 3 * LOG_PLACE_LINES; i++) {
		warn_of(i);
	}
	log_warn("another place");
	end(&c);
	assert_int_equal(lines_in(c.text), LOG_PLACE_LINES + 1);
	assert_non_null(strstr(c.text,
			       "rowtail: page 18 is bad\nrowtail: page 19 is bad "
			       "(more lines like this are left out for a "
			       "minute)\nrowtail: another place\n"));

	begin(&c);
	for (int i = 0; i < LOG_PLACE_LINES + 7; i++) {
		log_from(&place, LOG_WARN, "%d", i);
	}
	place.since_ns -= LOG_PLACE_NS;
	log_from(&place, LOG_WARN, "then");
	log_from(&place, LOG_WARN, "later");
	end(&c);
	assert_non_null(strstr(c.text, "rowtail: then (7 lines like this were left "
				       "out)\nrowtail: later\n"));
}

static void test_what_is_not_written_takes_no_turn(void **state)
{
	struct log_place place = {.since_ns = 0};
	struct captured c;

	(void)state;
	log_setup(LOG_WARN, false);
	begin(&c);
	for (int i = 0; i < 2 * LOG_PLACE_LINES; i++) {
		log_from(&place, LOG_INFO, "nobody reads it");
	}
	log_from(&place, LOG_WARN, "read");
	end(&c);
	assert_string_equal(c.text, "rowtail: read\n");
}

static void test_a_line_with_a_note_has_room_for_it(void **state)
{
	struct log_place place = {.lines = LOG_PLACE_LINES - 1, .since_ns = INT64_MAX};
	struct captured c;
	char *text = malloc(5000);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 4999);
	text[4999] = '\0';
	log_setup(LOG_INFO, false);
	begin(&c);
	log_from(&place, LOG_WARN, "%s", text);
	end(&c);
	free(text);
	assert_int_equal(lines_in(c.text), 1);
	assert_non_null(strstr(c.text, "xx\xe2\x80\xa6 (more lines like this"));
}

/* Of "2026-11-30T12:34:56.789Z rowtail: text\n" what is behind the time. */
static const char *behind_time(const char *line)
{
	static const char form[] = "0000-00-00T00:00:00.000Z ";
	size_t i;

	for (i = 0; form[i]; i++) {
		assert_true(form[i] == '0' ? line[i] >= '0' && line[i] <= '9'
					   : line[i] == form[i]);
	}
	return line + i;
}

static void test_lines_have_a_time_if_that_is_set_up(void **state)
{
	struct captured c;

	(void)state;
	begin(&c);
	log_setup(LOG_INFO, false);
	log_setup_times();
	log_warn("w");
	log_always("following shop.db");
	end(&c);
	assert_string_equal(behind_time(c.text),
			    "rowtail: w\nrowtail: following shop.db\n");

	begin(&c);
	log_setup(LOG_INFO, true);
	log_setup_times();
	log_warn("w");
	end(&c);
	assert_true(c.text[0] == '{');
	log_setup(LOG_INFO, false);
}

static void test_the_journal_has_times_of_its_own(void **state)
{
	struct captured c;
	struct stat st;
	char told[64];

	(void)state;
	begin(&c);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(told, sizeof told, "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", told, 1), 0);
	log_setup(LOG_INFO, false);
	log_setup_times();
	log_warn("w");
	end(&c);
	assert_string_equal(c.text, "rowtail: w\n");

	begin(&c); /* another pipe */
	(void)snprintf(told, sizeof told, "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino + 1000000);
	assert_int_equal(setenv("JOURNAL_STREAM", told, 1), 0);
	log_setup_times();
	log_warn("w");
	end(&c);
	assert_string_equal(behind_time(c.text), "rowtail: w\n");
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	log_setup(LOG_INFO, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text_line_has_the_program_name_in_front),
	    cmocka_unit_test(test_levels_are_written_as_set_up),
	    cmocka_unit_test(test_control_characters_cannot_forge_a_line),
	    cmocka_unit_test(test_json_line_is_an_object_with_time_level_and_text),
	    cmocka_unit_test(test_what_is_always_said_has_the_form_of_all_lines),
	    cmocka_unit_test(test_long_text_is_cut_to_one_whole_line),
	    cmocka_unit_test(test_logging_keeps_errno),
	    cmocka_unit_test(test_closed_stderr_is_no_reason_to_stop),
	    cmocka_unit_test(test_lines_of_one_place_are_limited_and_counted),
	    cmocka_unit_test(test_what_is_not_written_takes_no_turn),
	    cmocka_unit_test(test_a_line_with_a_note_has_room_for_it),
	    cmocka_unit_test(test_lines_have_a_time_if_that_is_set_up),
	    cmocka_unit_test(test_the_journal_has_times_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

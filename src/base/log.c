/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"
#include "src/base/utf8.h"

#define TEXT_MAX 2048 /* bytes; a longer text is cut */
#define NOTE_MAX 64   /* of other lines from the same place */

/* Written once by log_setup, before there is a second thread. */
static enum log_level most_detailed = LOG_INFO;
static bool json_lines;
static bool timed_lines;

static pthread_mutex_t places = PTHREAD_MUTEX_INITIALIZER; /* of every log_place */

/* Who takes the lines of a thread in the place of stderr; NULL: nobody. */
static _Thread_local log_taker *diverted_to;
static _Thread_local void *diverted_context;

/* A line under construction; there is always room for what log.c adds. */
struct line {
	size_t len;
	char bytes[2 * TEXT_MAX + 128];
};

static void add_bytes(struct line *line, const char *bytes, size_t len)
{
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void add_str(struct line *line, const char *text)
{
	add_bytes(line, text, strlen(text));
}

/* Append `text`, which is safe (src/base/utf8.h), as it stands in a JSON string. */
static void add_escaped(struct line *line, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\') {
			add_bytes(line, "\\", 1);
		}
		add_bytes(line, text, 1);
	}
}

static void add_time(struct line *line)
{
	add_str(line, time_text_ms(clock_wall_ns()).text);
}

static void add_json(struct line *line, enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	add_str(line, "{\"ts\":\"");
	add_time(line);
	add_str(line, "\",\"level\":\"");
	add_str(line, names[level]);
	add_str(line, "\",\"msg\":\"");
	add_escaped(line, text);
	add_str(line, "\"}\n");
}

static void add_plain(struct line *line, bool is_timed, const char *text)
{
	if (is_timed) {
		add_time(line);
		add_str(line, " ");
	}
	add_str(line, "rowtail: ");
	add_str(line, text);
	add_str(line, "\n");
}

/* There is nowhere to report that stderr cannot be written. */
static void write_line(const struct line *line)
{
	while (write(STDERR_FILENO, line->bytes, line->len) < 0 && errno == EINTR) {
	}
}

void log_setup(enum log_level most, bool as_json)
{
	most_detailed = most;
	json_lines = as_json;
	timed_lines = false;
}

/* As systemd tells it: the device and the inode of its socket. */
static bool is_journal(void)
{
	const char *told = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return told && sscanf(told, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void log_setup_times(void)
{
	timed_lines = !isatty(STDERR_FILENO) && !is_journal();
}

void log_divert(log_taker *take, void *context)
{
	diverted_to = take;
	diverted_context = context;
}

/* The text of a line, safe, whatever names stand in it: all lines come through here. */
static void make_text(char *text, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void make_text(char *text, size_t size, const char *fmt, va_list args)
{
	static const char mark[] = "\xe2\x80\xa6"; /* … */

	if (vsnprintf(text, size, fmt, args) >= (int)size) {
		size_t cut = utf8_cut(text, size - 1, size - sizeof mark);

		memcpy(text + cut, mark, sizeof mark);
	}
	utf8_make_safe(text);
}

/* To who takes the lines of this thread. */
static bool is_diverted(enum log_level level)
{
	return diverted_to && level < LOG_DEBUG;
}

static void write_text(enum log_level level, bool is_timed, const char *text)
{
	struct line line = {.len = 0};

	if (is_diverted(level)) {
		diverted_to(diverted_context, level, text);
		return;
	}
	if (json_lines) {
		add_json(&line, level, text);
	} else {
		add_plain(&line, is_timed, text);
	}
	write_line(&line);
}

static bool is_wanted(enum log_level level)
{
	return level <= most_detailed || level <= LOG_WARN;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	if (!is_wanted(level)) {
		return;
	}
	va_start(args, fmt);
	make_text(text, sizeof text, fmt, args);
	va_end(args);
	write_text(level, timed_lines, text);
	errno = saved;
}

/* May `place` have a line now? What is to be said of its others is put into `note`. */
static bool take_turn(struct log_place *place, char *note, size_t size)
{
	int64_t now = clock_mono_ns();
	bool is_free;

	pthread_mutex_lock(&places);
	if (place->since_ns == 0 || now - place->since_ns >= LOG_PLACE_NS) {
		if (place->left_out > 0) {
			(void)snprintf(note, size,
				       " (%u lines like this were left out)",
				       place->left_out);
		}
		*place = (struct log_place){.since_ns = now};
	}
	is_free = place->lines < LOG_PLACE_LINES;
	place->lines += is_free;
	place->left_out += !is_free;
	if (is_free && place->lines == LOG_PLACE_LINES) {
		(void)snprintf(note, size,
			       " (more lines like this are left out for a "
			       "minute)");
	}
	pthread_mutex_unlock(&places);
	return is_free;
}

void log_from(struct log_place *place, enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	char note[NOTE_MAX] = "";
	int saved = errno;
	va_list args;

	if (!is_wanted(level) ||
	    (!is_diverted(level) && !take_turn(place, note, sizeof note))) {
		errno = saved;
		return;
	}
	va_start(args, fmt);
	make_text(text, sizeof text - strlen(note), fmt, args);
	va_end(args);
	strcat(text, note);
	write_text(level, timed_lines, text);
	errno = saved;
}

void log_always(const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	make_text(text, sizeof text, fmt, args);
	va_end(args);
	write_text(LOG_INFO, false, text);
	errno = saved;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"
#include "src/base/utf8.h"

#define TEXT_MAX 2048 /* bytes; a longer text is cut */

/* Written once by log_setup, before there is a second thread. */
static enum log_level most_detailed = LOG_INFO;
static bool json_lines;

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

static void add_plain(struct line *line, const char *text)
{
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
}

void log_divert(log_taker *take, void *context)
{
	diverted_to = take;
	diverted_context = context;
}

/* The text of a line, safe, whatever names stand in it: all lines come through here. */
static void make_text(char text[TEXT_MAX], const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
static void make_text(char text[TEXT_MAX], const char *fmt, va_list args)
{
	static const char mark[] = "\xe2\x80\xa6"; /* … */

	if (vsnprintf(text, TEXT_MAX, fmt, args) >= TEXT_MAX) {
		size_t cut = utf8_cut(text, TEXT_MAX - 1, TEXT_MAX - sizeof mark);

		memcpy(text + cut, mark, sizeof mark);
	}
	utf8_make_safe(text);
}

static void put_text(enum log_level level, const char *text)
{
	struct line line = {.len = 0};

	if (diverted_to && level < LOG_DEBUG) {
		diverted_to(diverted_context, level, text);
		return;
	}
	if (json_lines) {
		add_json(&line, level, text);
	} else {
		add_plain(&line, text);
	}
	write_line(&line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	if (level > most_detailed && level > LOG_WARN) {
		return;
	}
	va_start(args, fmt);
	make_text(text, fmt, args);
	va_end(args);
	put_text(level, text);
	errno = saved;
}

void log_always(const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	make_text(text, fmt, args);
	va_end(args);
	put_text(LOG_INFO, text);
	errno = saved;
}

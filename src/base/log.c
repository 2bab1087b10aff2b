/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/clock.h"

#define TEXT_MAX 2048 /* bytes; a longer text is cut */

/* Written once by log_setup, before there is a second thread. */
static enum log_level most_detailed = LOG_INFO;
static bool json_lines;

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

/* Bytes of the UTF-8 character at `p`; 0 when it is malformed, or a C1 control. */
static size_t multibyte_len(const unsigned char *p)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len;

	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
		low = p[0] == 0xc2 ? 0xa0 : low;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		len = 3;
		low = p[0] == 0xe0 ? 0xa0 : low;
		high = p[0] == 0xed ? 0x9f : high;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		low = p[0] == 0xf0 ? 0x90 : low;
		high = p[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	if (p[1] < low || p[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf) {
			return 0;
		}
	}
	return len;
}

/* Append `text` such that it can neither end the line nor leave a JSON string. */
static void add_clean(struct line *line, const char *text, bool escape)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t len = *p < 0x80 ? 1 : multibyte_len(p);

		if (len == 0 || *p < 0x20 || *p == 0x7f) {
			add_bytes(line, "?", 1);
			p++;
			continue;
		}
		if (escape && (*p == '"' || *p == '\\')) {
			add_bytes(line, "\\", 1);
		}
		add_bytes(line, (const char *)p, len);
		p += len;
	}
}

static void add_time(struct line *line)
{
	int64_t now = clock_wall_ns();
	time_t seconds = (time_t)(now / NS_PER_S);
	struct tm tm = {0};
	char text[64];
	size_t len;

	(void)gmtime_r(&seconds, &tm);
	len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, sizeof text - len, ".%03dZ",
		       (int)(now % NS_PER_S / NS_PER_MS));
	add_str(line, text);
}

static void add_json(struct line *line, enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	add_str(line, "{\"ts\":\"");
	add_time(line);
	add_str(line, "\",\"level\":\"");
	add_str(line, names[level]);
	add_str(line, "\",\"msg\":\"");
	add_clean(line, text, true);
	add_str(line, "\"}\n");
}

static void add_plain(struct line *line, const char *text)
{
	add_str(line, "rowtail: ");
	add_clean(line, text, false);
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

void log_line(enum log_level level, const char *fmt, ...)
{
	struct line line = {.len = 0};
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	if (level > most_detailed && level > LOG_WARN) {
		return;
	}
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (json_lines) {
		add_json(&line, level, text);
	} else {
		add_plain(&line, text);
	}
	write_line(&line);
	errno = saved;
}

void log_plain(const char *fmt, ...)
{
	struct line line = {.len = 0};
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	add_plain(&line, text);
	write_line(&line);
	errno = saved;
}

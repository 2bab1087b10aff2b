/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/time_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"

/* `count` digits, moved over. */
static bool read_digits(const char **text, int count, int least, int most, int *n)
{
	*n = 0;
	for (int i = 0; i < count; i++, (*text)++) {
		if (!isdigit((unsigned char)**text)) {
			return false;
		}
		*n = *n * 10 + (**text - '0');
	}
	return *n >= least && *n <= most;
}

static bool skip(const char **text, const char *one_of)
{
	if (**text == '\0' || !strchr(one_of, **text)) {
		return false;
	}
	(*text)++;
	return true;
}

/* ".123" if it is there: to the nanosecond. */
static bool read_fraction(const char **text, int64_t *ns)
{
	int64_t unit = NS_PER_S;

	*ns = 0;
	if (!skip(text, ".")) {
		return true;
	}
	if (!isdigit((unsigned char)**text)) {
		return false;
	}
	for (; isdigit((unsigned char)**text); (*text)++) {
		unit /= 10;
		*ns += unit * (**text - '0');
	}
	return true;
}

/* "Z" or "+02:00": seconds east of UTC. */
static bool read_offset(const char **text, int *seconds)
{
	int sign = **text == '-' ? -1 : 1;
	int hours;
	int minutes;

	*seconds = 0;
	if (skip(text, "Zz")) {
		return true;
	}
	if (!skip(text, "+-") || !read_digits(text, 2, 0, 23, &hours) ||
	    !skip(text, ":") || !read_digits(text, 2, 0, 59, &minutes)) {
		return false;
	}
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool time_text_read(const char *text, int64_t *time_ns)
{
	struct tm tm = {0};
	struct tm made;
	int64_t fraction;
	int offset;
	time_t seconds;

	if (!read_digits(&text, 4, 1970, 2261, &tm.tm_year) || !skip(&text, "-") ||
	    !read_digits(&text, 2, 1, 12, &tm.tm_mon) || !skip(&text, "-") ||
	    !read_digits(&text, 2, 1, 31, &tm.tm_mday) || !skip(&text, "Tt ") ||
	    !read_digits(&text, 2, 0, 23, &tm.tm_hour) || !skip(&text, ":") ||
	    !read_digits(&text, 2, 0, 59, &tm.tm_min) || !skip(&text, ":") ||
	    !read_digits(&text, 2, 0, 60, &tm.tm_sec) ||
	    !read_fraction(&text, &fraction) || !read_offset(&text, &offset) ||
	    *text != '\0') {
		return false;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	made = tm;
	seconds = timegm(&made);
	*time_ns = ((int64_t)seconds - offset) * NS_PER_S + fraction;
	/* February 30 would be March 2. */
	return made.tm_mday == tm.tm_mday || tm.tm_sec == 60;
}

/* With so many digits behind the point, each of `unit` nanoseconds. */
static struct time_text text_of(int64_t time_ns, int digits, int64_t unit)
{
	struct time_text out;
	time_t seconds = (time_t)(time_ns / NS_PER_S);
	int64_t rest = time_ns % NS_PER_S;
	struct tm tm = {0};
	char day[24];

	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	(void)gmtime_r(&seconds, &tm);
	(void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out.text, sizeof out.text, "%s.%0*dZ", day, digits,
		       (int)(rest / unit));
	return out;
}

struct time_text time_text_ms(int64_t time_ns)
{
	return text_of(time_ns, 3, NS_PER_MS);
}

struct time_text time_text_ns(int64_t time_ns)
{
	return text_of(time_ns, 9, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/count_lines.c -- the cheapest reader of a pipe.
 *
 *     rowtail DATABASE | count_lines [--lines N]
 *
 * Reads stdin to its end, or until it has N lines, and prints one line of JSON: lines,
 * bytes, and the monotonic clock at the first and at the last bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_LEN (1 << 18)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t count_in(const char *bytes, size_t len)
{
	const char *end = bytes + len;
	int64_t lines = 0;

	while ((bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
		lines++;
		bytes++;
	}
	return lines;
}

int main(int argc, char **argv)
{
	static char bytes[READ_LEN];
	int64_t wanted = INT64_MAX;
	int64_t lines = 0;
	int64_t total = 0;
	int64_t first_ns = 0;
	int64_t last_ns = 0;
	ssize_t len;

	if (argc == 3 && strcmp(argv[1], "--lines") == 0) {
		wanted = strtoll(argv[2], NULL, 10);
	} else if (argc != 1) {
		fprintf(stderr, "usage: count_lines [--lines N]\n");
		return 2;
	}
	while (lines < wanted && (len = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) {
		last_ns = now_ns();
		first_ns = first_ns == 0 ? last_ns : first_ns;
		total += len;
		lines += count_in(bytes, (size_t)len);
	}
	printf("{\"lines\":%lld,\"bytes\":%lld,\"first_ns\":%lld,\"last_ns\":%lld}\n",
	       (long long)lines, (long long)total, (long long)first_ns,
	       (long long)last_ns);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/audit/line.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/time_text.h"

#define LAST_BYTES 8192 /* of the file; a longer line tells nothing */

/* Lines have milliseconds. A clock may be slowed down by a tenth at most. */
#define LEAST_NS NS_PER_MS
#define STEP_NS  (100 * NS_PER_MS)
#define SLOWED   8

void audit_clock_open(struct audit_clock *clock, int fd)
{
	char bytes[LAST_BYTES];
	char text[sizeof "2026-11-07T13:37:55.200Z"];
	struct audit_line line;
	struct stat st;
	off_t from;
	ssize_t len;
	const char *start;

	*clock = (struct audit_clock){0};
	if (fstat(fd, &st) != 0) {
		return;
	}
	from = st.st_size > LAST_BYTES ? st.st_size - LAST_BYTES : 0;
	len = file_read_at(fd, bytes, sizeof bytes, from);
	if (len < 2 || bytes[len - 1] != '\n') {
		return;
	}
	start = memrchr(bytes, '\n', (size_t)len - 1);
	if (!start && from > 0) {
		return;
	}
	start = start ? start + 1 : bytes;
	audit_line_read(start, (size_t)(bytes + len - 1 - start), &line);
	if (!line.time.bytes || line.time.len != sizeof text - 1) {
		return;
	}
	memcpy(text, line.time.bytes, line.time.len);
	text[line.time.len] = '\0';
	if (!time_text_read(text, &clock->wall_ns)) {
		clock->wall_ns = 0;
	}
}

bool audit_clock_is_back(struct audit_clock *clock, int64_t wall_ns, int64_t mono_ns,
			 int64_t *was_ns)
{
	int64_t went_ns = clock->mono_ns != 0 ? mono_ns - clock->mono_ns : 0;
	int64_t most_ns = went_ns / SLOWED + STEP_NS;
	bool is_back = false;

	if (clock->wall_ns != 0) {
		*was_ns = clock->wall_ns + went_ns;
		is_back = wall_ns <= clock->wall_ns - LEAST_NS ||
			  (clock->mono_ns != 0 && wall_ns < *was_ns - most_ns);
	}
	*clock = (struct audit_clock){.wall_ns = wall_ns, .mono_ns = mono_ns};
	return is_back;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "src/base/clock.h"

void progress_start(struct progress *progress, const char *what, const char *unit,
		    bool is_wanted)
{
	*progress = (struct progress){.what = what,
				      .unit = unit,
				      .is_shown = is_wanted && isatty(STDERR_FILENO),
				      .start_ns = clock_mono_ns()};
}

static void write_all(const char *text, int len)
{
	if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0) {
		/* A terminal that is gone needs no progress. */
	}
}

void progress_update(struct progress *progress, uint64_t count, uint64_t done,
		     uint64_t total)
{
	int64_t now;
	char text[160];
	double seconds;

	if (!progress->is_shown) {
		return;
	}
	now = clock_mono_ns();
	if (progress->is_dirty && now - progress->last_ns < 100 * NS_PER_MS) {
		return;
	}
	progress->last_ns = now;
	progress->is_dirty = true;
	seconds = (double)(now - progress->start_ns) / (double)NS_PER_S;
	write_all(text,
		  snprintf(text, sizeof text,
			   "\r\033[Krowtail: %s: %" PRIu64 " %s, %.0f %s/s, %.0f %%",
			   progress->what, count, progress->unit,
			   seconds > 0 ? (double)count / seconds : 0.0, progress->unit,
			   total ? 100.0 * (double)(done < total ? done : total) /
				       (double)total
				 : 100.0));
}

void progress_end(struct progress *progress)
{
	if (progress->is_dirty) {
		write_all("\r\033[K", 4);
		progress->is_dirty = false;
	}
}

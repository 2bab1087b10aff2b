/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/file_writer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"

#define RETRY_NS (1 * NS_PER_S)
#define SLICE_NS (50 * NS_PER_MS) /* how soon a stop is seen */

static bool is_full(int sys_errno)
{
	return sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG;
}

static enum status write_failed(const struct file_writer *w, int sys_errno,
				struct error *err)
{
	return error_set_errno(err, sys_errno, "%s cannot be written",
			       quote(w->path).text);
}

/* ST_STOPPED if a stop comes. */
static enum status wait_for_room(const struct file_writer *w, struct error *err)
{
	int64_t end = clock_mono_ns() + RETRY_NS;

	do {
		if (w->stop && *w->stop) {
			return error_set(err, ST_STOPPED,
					 "stopped while the disk of %s was full",
					 quote(w->path).text);
		}
		clock_sleep_ns(SLICE_NS);
	} while (clock_mono_ns() < end);
	return ST_OK;
}

static void say_full(const struct file_writer *w, int sys_errno)
{
	struct error why;

	(void)write_failed(w, sys_errno, &why);
	if (w->on_outage) {
		w->on_outage(w->context, why.text);
	}
	log_warn("%s; trying again every second, changes are kept meanwhile", why.text);
}

/* The disk is full, for as long as `since` says: 0, this is new. */
static enum status bear_full(const struct file_writer *w, int64_t *since, int sys_errno,
			     struct error *err)
{
	int64_t now = clock_mono_ns();

	metrics_count(METRIC_SINK_ERRORS, 1);
	if (*since == 0) {
		*since = now;
		say_full(w, sys_errno);
	}
	if (w->patience_ns > 0 && now - *since >= w->patience_ns) {
		return write_failed(w, sys_errno, err);
	}
	metrics_count(METRIC_SINK_RETRIES, 1);
	return wait_for_room(w, err);
}

enum status file_writer_put(struct file_writer *w, const char *bytes, size_t len,
			    struct error *err)
{
	int64_t full_since = 0;
	enum status status = ST_OK;

	while (status == ST_OK && len > 0) {
		ssize_t n = write(w->fd, bytes, len);

		FAULT_POINT("file-written");
		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			w->written += (uint64_t)n;
		} else if (is_full(errno)) {
			status = bear_full(w, &full_since, errno, err);
		} else if (errno != EINTR) {
			status = write_failed(w, errno, err);
		}
	}
	if (status == ST_OK && full_since > 0) {
		if (w->on_outage) {
			w->on_outage(w->context, NULL);
		}
		log_warn("%s is written again", quote(w->path).text);
		w->times_full++;
	}
	return status;
}

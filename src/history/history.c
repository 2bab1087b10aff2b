/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/history.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum status history_init(struct history *history, struct error *err)
{
	history->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return history->wake_fd >= 0
		   ? ST_OK
		   : error_set_errno(err, errno, "cannot make an event descriptor");
}

void history_clear(struct history *history)
{
	if (history->wake_fd >= 0) {
		(void)close(history->wake_fd);
	}
	history->wake_fd = -1;
}

void history_wake(const struct history *history)
{
	uint64_t one = 1;

	(void)!write(history->wake_fd, &one, sizeof one);
}

void history_slept(const struct history *history)
{
	uint64_t count;

	(void)!read(history->wake_fd, &count, sizeof count);
}

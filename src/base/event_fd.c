/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/event_fd.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum status event_fd_open(int *fd, struct error *err)
{
	*fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return *fd >= 0
		   ? ST_OK
		   : error_set_errno(err, errno, "cannot make an event descriptor");
}

void event_fd_close(int fd)
{
	if (fd >= 0) {
		(void)close(fd);
	}
}

/* When it cannot be written it is readable already. */
void event_fd_wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof one);
}

/* When it cannot be read nobody has woken it. */
void event_fd_clear(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof count);
}

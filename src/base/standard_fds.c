/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool standard_fds_open(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		/* Output that goes nowhere is an error, not success. */
		int flags = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;

		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", flags) != fd) { /* the lowest that is free */
			return false;
		}
	}
	return true;
}

bool standard_fds_no_output(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (flags & O_ACCMODE) == O_RDONLY;
}

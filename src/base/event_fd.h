/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/event_fd.h -- a descriptor that is readable once somebody has woken it,
 * until it is cleared.
 *
 * OWNERSHIP  event_fd_open / event_fd_close.
 * THREADS    Any; event_fd_wake in signal handlers, too.
 */
#ifndef EVENT_FD_H
#define EVENT_FD_H

#include "src/base/status.h"

/* ST_IO: `*fd` is -1. */
enum status event_fd_open(int *fd, struct error *err) MUST_CHECK;
void event_fd_close(int fd); /* takes -1 */

void event_fd_wake(int fd);
void event_fd_clear(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_lock.h -- what DIR/lock says of the process that holds it: its pid,
 * and behind that a line "following" once it has caught up with the WAL. For people,
 * and rowtail status: nothing is wrong when it cannot be written.
 *
 * THREADS  No shared state.
 */
#ifndef STATE_LOCK_H
#define STATE_LOCK_H

#include <stdbool.h>

/* Say it of this process. */
void state_lock_write(int fd, bool is_following);

/* 0: there is no such process. */
long state_lock_pid(int fd);
/* Of a process that is there. */
bool state_lock_is_following(int fd);

#endif

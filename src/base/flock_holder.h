/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/flock_holder.h -- has somebody a lock (flock) on a file? Nothing is locked
 * to find out, so that nobody who wants the lock meanwhile is refused.
 *
 * Where it cannot be told, or the process is in another PID namespace, nobody has.
 *
 * THREADS  No shared state.
 */
#ifndef FLOCK_HOLDER_H
#define FLOCK_HOLDER_H

#include <sys/stat.h>

/* The pid of a process that has; 0: none is seen. */
long flock_holder(const struct stat *st);

#endif

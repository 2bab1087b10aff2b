/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/bus_error.h -- whoever touches a mapped file that was cut, or that the disk
 * cannot give, gets SIGBUS, SQLite's code included: one line and exit code 1.
 *
 * Only files that are mapped to be shared count: the database's -shm, `frames` of the
 * state directory and temporary files. A SIGBUS anywhere else is a bug and ends the
 * process as it does by default. Which file it is comes from /proc/self/maps, since
 * SQLite maps and unmaps by itself.
 *
 * THREADS  Call it once, before any thread is started.
 */
#ifndef BUS_ERROR_H
#define BUS_ERROR_H

#include "src/base/status.h"

enum status bus_error_setup(struct error *err) MUST_CHECK;

#endif

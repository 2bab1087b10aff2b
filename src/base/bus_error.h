/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/bus_error.h -- a mapped file that is cut, or that the disk cannot give, is
 * SIGBUS in whoever touches it, SQLite's code included: one line and exit code 1.
 *
 * Only of files that are mapped to be shared: the database's -shm, `frames` of the
 * state directory and temporary files. A SIGBUS anywhere else is a bug and ends the
 * process as it does by default. Which file it is stands in /proc/self/maps, since
 * SQLite maps and unmaps by itself.
 *
 * THREADS  Once, before any.
 */
#ifndef BUS_ERROR_H
#define BUS_ERROR_H

#include "src/base/status.h"

enum status bus_error_setup(struct error *err) MUST_CHECK;

#endif

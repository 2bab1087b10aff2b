/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/standard_fds.h -- descriptors 0, 1 and 2 are never a file of ours.
 *
 * A program may be started with some of them closed. The next file that is opened would
 * take the number, and what is written to stderr would go into the database.
 *
 * THREADS  standard_fds_open before any other.
 */
#ifndef BASE_STANDARD_FDS_H
#define BASE_STANDARD_FDS_H

#include <stdbool.h>

#include "src/base/status.h"

/* First thing in main: /dev/null for those that are closed. False if it cannot be
 * opened: nothing may be opened then. */
bool standard_fds_open(void) MUST_CHECK;

/* Was standard output closed? Nothing can be written to what stands there. */
bool standard_fds_no_output(int fd);

#endif

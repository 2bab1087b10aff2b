/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/compute_child.h -- the process in which columns are computed.
 *
 * It is this program, started again by schemas/compute_process.c with COMPUTE_ARGUMENT;
 * in one whose main() does not ask compute_child_is nothing is computed. It has one
 * descriptor, COMPUTE_FD, a socket to the one that started it, answers one request
 * after the other (schemas/compute_wire.h), and ends with it. It may be killed at any
 * time.
 *
 * THREADS  One.
 */
#ifndef SCHEMAS_COMPUTE_CHILD_H
#define SCHEMAS_COMPUTE_CHILD_H

#include <stdbool.h>

#define COMPUTE_ARGUMENT "--compute-columns"
#define COMPUTE_FD       3

/* Was the program started to be that process? Asked first thing in main. */
bool compute_child_is(int argc, char **argv);

/* Be it; returns the exit code. */
int compute_child_run(void);

#endif

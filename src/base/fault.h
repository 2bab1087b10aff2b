/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/fault.h -- named places where a test ends the program.
 *
 * FAULT_POINT stands beside every step that makes something last: before it, in the
 * middle where it has parts, and after it. In the program it is nothing. In the one
 * that tests/faults builds it is a call by which that program is killed there, or the
 * place noted. tests/faults/kills.py takes the names from the sources: a place that its
 * runs do not reach is a failure.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef FAULT_POINTS
/* May not return. THREAD: any. */
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif

#endif

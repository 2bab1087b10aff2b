/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/faults/trace.h -- what is done to files, in order, for cuts.py.
 *
 *     ROWTAIL_TRACE="FOLDER PATH"   record what happens in FOLDER, append it to PATH
 *
 * A record is a line `KIND NUMBER NUMBER FILE [FILE]` and, for W and O, as many bytes
 * as the second number says, and a newline:
 *
 *     W offset len file    bytes written       T length 0 file     its length set
 *     P offset len file    a hole punched      G offset len file   blocks promised
 *     C 0 0 file           made                U 0 0 file          removed
 *     R 0 0 old new        renamed             M 0 0 folder        made
 *     L 0 0 old new        a second name
 *     B id 0 file          a sync begins       S id ok file        and has ended
 *     O 0 len              bytes for stdout
 *
 * THREADS  Any. trace_begin and trace_end enclose a call and its record, so that
 *          records stand in the order of the calls; not a sync, which takes long.
 */
#ifndef FAULTS_TRACE_H
#define FAULTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* False: it is not traced, and there is nothing to end. */
bool trace_begin(const char *path);
void trace_end(void);

/* Between the two. */
void trace_bytes(const char *path, off_t offset, const void *bytes, size_t len);
void trace_put(char kind, off_t first, off_t second, const char *path,
	       const char *other);

/* Around a sync. */
void trace_sync_begins(const char *path);
void trace_sync_ended(const char *path, bool ok);

/* Between a call and its record nobody may kill the process: call this before. */
void trace_stop(void);

/* Bytes that went to stdout. */
void trace_output(const void *bytes, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_scan.h -- an audit log as a start finds it: the tree over it, and whether
 * it is what was written.
 *
 * Read is the newest file, and the one before it where the lines that are remembered
 * end there: each file says what is before it. All of them are what rowtail audit
 * verify reads.
 *
 * OWNERSHIP The caller's struct, with `remembered` and `proof` filled in.
 * THREADS   The decoding thread.
 * ERRORS    ST_CONFIG: no audit log, which is never appended to. ST_IO: it cannot be
 *           read. ST_NOMEM. What was altered is told in `seen`.
 */
#ifndef SINKS_AUDIT_SCAN_H
#define SINKS_AUDIT_SCAN_H

#include "sinks/audit_resume.h"
#include "src/audit/check.h"
#include "src/audit/files.h"

/* A place between two lines of the newest file. */
struct audit_point {
	uint64_t offset;
	struct audit_tree tree;
};

struct audit_scan {
	uint64_t remembered, proof; /* sink_place.length and .proof */

	struct audit_seen seen;
	char wrong[200];
	struct audit_point place; /* where the remembered lines end */
	struct audit_point head;  /* behind the last right head */
	struct audit_point end;   /* behind the last whole line */
	struct audit_key key;     /* that signs at the end */
	uint64_t retired;         /* lines that went with their time */
	char handover[1024];      /* note of the newest file's second line; "": none */
	uint64_t size;            /* bytes of the newest file */
	uint64_t file_lines;      /* whole ones in it */
	bool is_begun;            /* the lines that a file begins with are there */
	int64_t begun_ns;         /* when, by its first line; 0: it does not say */
};

enum status audit_scan_run(struct audit_scan *scan, const struct audit_files *files,
			   const char *path, struct error *err) MUST_CHECK;

/* What a state directory remembers of a tree: the beginning of its root. */
uint64_t audit_scan_proof(const struct audit_tree *tree, struct audit_hasher *hasher);

#endif

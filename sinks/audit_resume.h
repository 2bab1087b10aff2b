/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_resume.h -- what a start does: the state directory against what the audit
 * log holds. docs/audit.md has the table of all cases.
 *
 * The state directory remembers how many lines were acknowledged and the root of the
 * tree over them, and each head of the log has the position that it was made at.
 *
 * THREADS  No shared state.
 */
#ifndef SINKS_AUDIT_RESUME_H
#define SINKS_AUDIT_RESUME_H

#include "sinks/sink.h"

#define AUDIT_REASON_BYTES 300

/* What is at PATH. */
struct audit_seen {
	uint64_t lines;    /* whole ones; 0: there is no log */
	const char *wrong; /* why it is not what its heads say; NULL: it is */
	bool has_head;
	uint64_t covered; /* lines up to and with the last head */
	char uuid[64];    /* of the state directory that wrote it; "": not known */
	struct sink_position position; /* of the last head */
	/* The first lines, as many as the state directory remembers, have the root that
	 * it remembers. */
	bool is_remembered;
	bool is_first;    /* the file is the first one */
	bool was_stopped; /* a stop is the last thing that it tells of */
};

struct audit_own {
	const struct sink_own *here;
	const char *path;    /* of the log */
	uint64_t remembered; /* lines; 0: it wrote to no audit log */
	bool accepts_gap;    /* --accept-gap */
};

struct audit_decision {
	enum sink_verdict verdict; /* SINK_GO_ON or SINK_ADOPT */
	bool is_sound;             /* lines behind the last acknowledged one are cut */
	bool starts_over;          /* nothing in it counts */
	char gap[AUDIT_REASON_BYTES]; /* of a gap line; "": none */
};

/* ST_CONFIG: the log is another one's. ST_IO: lines are gone or altered. */
enum status audit_resume_decide(const struct audit_own *own,
				const struct audit_seen *seen,
				struct audit_decision *out,
				struct error *err) MUST_CHECK;

#endif

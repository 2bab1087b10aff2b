/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/check.h -- does an audit log hold what its heads say?
 *
 * Line by line: each is a leaf of the tree (src/audit/tree.h), and each head among them
 * must be of the tree of all lines before it, and signed with the log's key. A start of
 * rowtail and rowtail audit verify read a log with it.
 *
 * OWNERSHIP audit_check_open / audit_check_close. What it is opened with is borrowed.
 * THREADS   One thread at a time.
 * ERRORS    ST_NOMEM, ST_CONFIG (libcrypto). What is wrong with a log is no error: it
 * is a finding.
 */
#ifndef AUDIT_CHECK_H
#define AUDIT_CHECK_H

#include <jansson.h>

#include "src/audit/line.h"
#include "src/audit/note.h"
#include "src/audit/tree.h"

enum audit_finding {
	AUDIT_NO_LOG,    /* it does not begin as one */
	AUDIT_ALTERED,   /* these lines, or some of them, are not those of the head */
	AUDIT_MISSING,   /* numbers are missing */
	AUDIT_EXTRA,     /* lines that have no number of their own */
	AUDIT_FORGED,    /* a head that is not signed by the log's key, or is none */
	AUDIT_TORN,      /* the last line has no end */
	AUDIT_OTHER_KEY, /* from here on another key signs, and none handed over */
	AUDIT_SHORTER,   /* than a head that was kept elsewhere */
	AUDIT_REMADE,    /* lines are not those of a head that was kept elsewhere */
	AUDIT_DAMAGED,   /* a compressed file cannot be read to its end */
	AUDIT_TAKEN_OUT, /* lines were redacted, and no signed line says so */
};

struct audit_found {
	enum audit_finding finding;
	uint64_t first, last; /* lines, from 0 */
};

/* "altered" and the like. */
const char *audit_finding_name(enum audit_finding finding);

/* A head that was kept elsewhere. */
struct audit_kept_head {
	const char *path; /* for messages */
	struct audit_head head;
};

/* A key that is trusted, from a line on: today's one says nothing of older files. */
struct audit_trusted {
	struct audit_key key;
	uint64_t from;
};

struct audit_check_settings {
	const struct audit_trusted *keys; /* none: the log's own words */
	size_t key_count;
	const struct audit_kept_head *kept; /* sorted by size */
	size_t kept_count;
	void (*found)(void *context, const struct audit_found *found);
	/* Called for each gap that the log tells of itself; may be NULL. */
	void (*on_gap)(void *context, uint64_t number, struct span line);
	/* Called for each redaction that the log tells of; may be NULL. */
	void (*on_redaction)(void *context, uint64_t number, struct span line);
	/* Called for each head that is right; may be NULL. The tree has its line. */
	void (*on_head)(void *context, struct span line);
	void *context;
};

/* Lines that were redacted, or that a line says are. */
struct audit_redacted {
	uint64_t first, last;
	uint64_t by; /* the line that says so */
};

struct audit_redacted_list {
	struct audit_redacted *list;
	size_t count, room;
};

struct audit_check {
	const struct audit_check_settings *settings;
	struct audit_hasher hasher;
	struct audit_tree tree;
	struct audit_key key; /* that signs */
	bool has_key;
	struct audit_key before; /* that signed the file before; with is_new */
	bool has_before;
	bool is_new;            /* `key` is that of a file, and awaits its hand-over */
	uint64_t begin;         /* the first line that is there */
	struct audit_tree gone; /* of the lines before it */
	uint64_t retired;       /* lines that a signed line says went with their time */
	uint64_t retiring;      /* the same, with lines that are not signed yet */
	uint64_t files;         /* that began */
	struct audit_head base; /* what the file that was begun last goes on from */
	struct audit_head head; /* the last one that was right */
	uint64_t heads;         /* that were right */
	uint64_t gaps;          /* that the log tells of */
	uint64_t covered;       /* lines up to and with the last head */
	int64_t shift;          /* numbers are so much above the lines' place */
	uint64_t found;         /* findings */
	bool is_altered;        /* a root did not fit, and none did since */
	bool is_stopped;        /* the last line that is no head tells of a stop */
	struct audit_redacted_list redacted; /* in their order */
	struct audit_redacted_list told;     /* by redactions */
	uint64_t redactions;                 /* lines that tell of some */
	uint64_t redacted_lines;
	bool is_part; /* one file was asked for; set after opening */
	size_t kept_next;
	size_t kept_gone; /* heads of lines in files that are not there */
};

enum status audit_check_open(struct audit_check *check,
			     const struct audit_check_settings *settings,
			     struct error *err) MUST_CHECK;
void audit_check_close(struct audit_check *check);

/*
 * A log may be in several files: each begins with a line that says what is before it,
 * and with one that hands over to its key. The line `is_first` of a file.
 *
 * `leaf` is the hash of a line of which `line` is only the beginning; NULL: all of it
 * is there.
 */
enum status audit_check_line(struct audit_check *check, struct span line,
			     const struct audit_hash *leaf, bool is_first,
			     bool is_whole, struct error *err) MUST_CHECK;
/* What follows the last line in its file cannot be read: its compression is damaged. */
void audit_check_damaged(struct audit_check *check);
/* There are no more. */
enum status audit_check_end(struct audit_check *check, struct error *err) MUST_CHECK;

/* A line that tells of the log itself, parsed: the caller's reference. NULL: it is
 * none, is too long for one, or memory ran out. */
json_t *audit_line_json(struct span line);

/* The member of a line that is a JSON object, a string; appended. False: it has none.
 */
bool audit_line_text(struct span line, const char *name, struct buffer *to);

/* The leaf of a line whose beginning is known; false: it says none that is right. */
bool audit_line_leaf(const struct audit_line *what, struct audit_hash *leaf);

/* The key that a line of the first or of another key names; false: none. */
bool audit_line_key(struct span line, struct audit_key *key);

#endif

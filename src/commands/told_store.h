/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/told_store.h -- the temporary database of
 * src/commands/audit_told.h.
 *
 * FORMAT   rows  what was told of one (is_there, enum told_state; told), what the
 *                database has (pass, had), what is wrong (bad, enum told_finding)
 *          bags  of rows without a key those of one content: told so many, had so many
 *          Contents of a row are entries: id of the column (4 bytes), length of the
 *          value (1 byte), the value.
 * OWNERSHIP told_store_open / told_store_close (takes NULL). Spans are borrowed until
 *          the next call.
 * THREADS  One thread at a time.
 * ERRORS   ST_IO, ST_NOMEM.
 */
#ifndef TOLD_STORE_H
#define TOLD_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/message.h"
#include "src/base/status.h"

enum told_finding {
	TOLD_EQUAL,
	TOLD_DIFFERS, /* both have the row */
	TOLD_MISSING, /* it is not in the database */
	TOLD_ADDED,   /* it is in the database, and the log did not tell of it or told
		       * that it was removed */
	TOLD_GONE,    /* the table is not in the database, and had rows */
};

struct told_store;

enum status told_store_open(struct told_store **out, struct error *err) MUST_CHECK;
void told_store_close(struct told_store *store);

enum told_state {
	TOLD_REMOVED, /* or nothing was told */
	TOLD_IN_PART, /* it is there; not all of its columns are known */
	TOLD_WHOLE,
	TOLD_TWICE, /* for good: two rows have one key as JSON has it, as '' and x'' */
};

struct told_row {
	enum told_state state;
	bool is_seen; /* in this comparison */
	int bad;
	struct span told, had; /* bytes NULL: not known */
};

/* ST_END: there is none. */
enum status told_store_get(struct told_store *store, uint32_t table, struct span key,
			   struct told_row *out, struct error *err) MUST_CHECK;
/* What the log tells of it; `is_new`: there was none of that key. */
enum status told_store_put(struct told_store *store, uint32_t table, struct span key,
			   enum told_state state, bool is_new, struct span told,
			   struct error *err) MUST_CHECK;
/* What came of the comparison; `had` counts if it is bad. */
enum status told_store_mark(struct told_store *store, uint32_t table, struct span key,
			    int bad, struct span had, struct error *err) MUST_CHECK;

/* One row more or less of that content; not less than none. */
enum status told_store_tell_bag(struct told_store *store, uint32_t table,
				const uint8_t content[16], int64_t rowid, int more,
				struct error *err) MUST_CHECK;
enum status told_store_have_bag(struct told_store *store, uint32_t table,
				const uint8_t content[16], int64_t rowid,
				struct error *err) MUST_CHECK;

/* A comparison begins: what the last one found is forgotten. */
enum status told_store_begin(struct told_store *store, struct error *err) MUST_CHECK;
/* Mark what the database does not have of that table. */
enum status told_store_end_rows(struct told_store *store, uint32_t table,
				struct error *err) MUST_CHECK;
/* Mark the bags that differ. Rows that the database alone has are none where not all
 * were told: `*untold` gets more by them. */
enum status told_store_end_bags(struct told_store *store, uint32_t table, bool is_whole,
				uint64_t *untold, struct error *err) MUST_CHECK;
/* How many rows the log tells to be there. */
enum status told_store_count(struct told_store *store, uint32_t table, uint64_t *count,
			     struct error *err) MUST_CHECK;

/* What is bad in that table, one after the other: rows by their key, or bags, of which
 * `key` is absent. ST_END. After less than all of them reset it. */
struct told_bad {
	struct span key;
	int64_t rowid;
	int64_t more; /* rows of a bag that the log has more than the database */
	struct told_row row;
};
enum status told_store_next(struct told_store *store, uint32_t table,
			    struct told_bad *out, struct error *err) MUST_CHECK;
/* The same of all rows that are told to be there. */
enum status told_store_next_told(struct told_store *store, uint32_t table,
				 struct told_bad *out, struct error *err) MUST_CHECK;
void told_store_reset(struct told_store *store);

#endif

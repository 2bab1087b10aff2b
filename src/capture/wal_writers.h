/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_writers.h -- which processes may have written what is committed.
 *
 * The kernel tells that a process has written to the WAL, before that call returns to
 * it; not which bytes, nor in which order several of them wrote. So, each time that a
 * header of the wal-index was read, what was told is drained *after that*:
 *
 *     all commits up to the header were written by processes that were drained by now
 *
 * and all of those may have made any of these commits. The frames of a commit come
 * before its header, though, so that the process may have been drained with the header
 * before. It is a candidate for the next group as well, unless all that was drained is
 * in the header: nobody holds the write lock, and, looked at after that, the header is
 * still the same. In the next group it stays for the one after, too, if its transaction
 * may still be open then: the lock was held, and the header has not moved since.
 *
 * What may have been missed (what was written before the watch began, events that were
 * lost) is a candidate nobody knows, by the same rules: then there is no answer. It is
 * never a guess.
 *
 * OWNERSHIP  wal_writers_init / wal_writers_clear; the caller's storage. The source is
 *            borrowed.
 * THREADS    The capture thread; before there is one, the thread that opens.
 */
#ifndef WAL_WRITERS_H
#define WAL_WRITERS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/writers.h"
#include "src/capture/wal_index.h"

struct wal_writers;

struct wal_writers_source {
	/* Give all that was told since the last call to wal_writers_add or
	 * wal_writers_miss. */
	void (*drain)(void *context, struct wal_writers *into);
	/* Does another process hold the write lock? True if that cannot be told. */
	bool (*is_writing)(void *context);
	/* The header of the wal-index now; false: it is being written. */
	bool (*look)(void *context, struct wal_index_header *out);
	void *context;
};

struct candidate {
	struct writer *writer;
	bool is_ending; /* with the group that comes: all of its writes are in it */
};

struct wal_writers {
	const struct wal_writers_source *source;
	struct candidate list[WRITERS_MOST];
	size_t total;
	bool has_missed; /* one that nobody knows is a candidate, too */
	bool miss_is_ending;

	/* After the last drain: */
	bool was_writing;
	bool has_after;
	struct wal_index_header after;
	bool is_settled; /* all that was drained is in the header before the drain */

	struct writers *made; /* of the list; NULL: not yet, or it has changed */
};

/* Nothing is known of what was written until now. */
void wal_writers_init(struct wal_writers *writers,
		      const struct wal_writers_source *source);
void wal_writers_clear(struct wal_writers *writers);

/* A header was read before this call: drain. */
void wal_writers_look(struct wal_writers *writers,
		      const struct wal_index_header *header);
/* Who may have made any of the commits up to that header that were not taken before it:
 * a reference of the caller's. NULL: nobody knows. */
struct writers *wal_writers_get(struct wal_writers *writers);
/* All commits up to that header are taken. */
void wal_writers_taken(struct wal_writers *writers);

/* For `drain`: this process has written (a reference is added); or what was told is
 * lost. */
void wal_writers_add(struct wal_writers *writers, struct writer *writer);
void wal_writers_miss(struct wal_writers *writers);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/snapshots.h -- snapshots on demand: which were asked for, and how far
 * they are.
 *
 * One after the other in the order in which they were asked for, each table by table,
 * in chunks of rows by key (src/decode/chunk.h). A chunk is read from the view at the
 * transaction that was delivered last, so a row of it is never older than an event of
 * that row before it, and nothing is written to the database. A table ends at the key
 * that was its last one when it was begun: rows behind that are events already.
 *
 * What is asked for is a text (JSON) that is kept with the position; a later run goes
 * on with the same rows.
 *
 * OWNERSHIP  snapshots_open / snapshots_close.
 * THREADS    The decoding thread.
 * ERRORS     ST_NOMEM; ST_DAMAGED: the text is not one of ours.
 */
#ifndef SNAPSHOTS_H
#define SNAPSHOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "btree/page_source.h"
#include "schemas/catalog.h"
#include "schemas/change.h"
#include "schemas/notification.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/deliver/signal.h"

/* What signals may ask for at a time. */
#define SNAPSHOTS_MAX       1000
#define SNAPSHOTS_MAX_BYTES (4u << 20) /* of their ids, names and conditions */

struct snapshots;

/* Who is told of what happens; `what` is borrowed. */
struct snapshots_events {
	void *context;
	enum status (*notify)(void *context, enum notification_kind kind,
			      const struct notification_of *what, struct error *err);
	/* The rows that follow are of this table. */
	enum status (*table)(void *context, const struct table *table,
			     struct error *err);
	enum status (*change)(void *context, const struct change *change,
			      struct error *err);
};

/* `text`: snapshots_text of an earlier run; empty: nothing is asked for. */
enum status snapshots_open(struct span text, const struct snapshots_events *events,
			   struct snapshots **out, struct error *err) MUST_CHECK;
void snapshots_close(struct snapshots *snapshots); /* takes NULL */

/* What is asked for, for a later run. */
enum status snapshots_text(const struct snapshots *snapshots, struct buffer *out,
			   struct error *err) MUST_CHECK;

/*
 * Do as the signal says; tables are those of `catalog` that are captured. ST_CONFIG: it
 * is refused, with a reason for who has sent it, and nothing has changed.
 */
enum status snapshots_signal(struct snapshots *snapshots, const struct signal *signal,
			     const struct catalog *catalog,
			     struct error *err) MUST_CHECK;

/* Ask for one of these tables, but for those that one with that id waits for. */
enum status snapshots_ask(struct snapshots *snapshots, const char *id, bool is_blocking,
			  const char *const *tables, size_t count,
			  struct error *err) MUST_CHECK;

/* Those with that id are over. */
enum status snapshots_give_up(struct snapshots *snapshots, const char *id,
			      struct error *err) MUST_CHECK;

/* There is a chunk to deliver. */
bool snapshots_are_due(const struct snapshots *snapshots);
/* And no transaction may come before the end of its snapshot. */
bool snapshots_block(const struct snapshots *snapshots);

/* Give the rows of the next chunk, `most_rows` of `source` at most. */
enum status snapshots_chunk(struct snapshots *snapshots, struct page_source *source,
			    const struct catalog *catalog, size_t most_rows,
			    struct error *err) MUST_CHECK;

/*
 * What decoding finds in a transaction: a row of that table has another rowid, and no
 * event says so (struct decoder_events). One that was not read and would not be is
 * read all the same: the table goes on to there, or begins anew.
 */
void snapshots_moved(struct snapshots *snapshots, const char *table, int64_t from,
		     int64_t to);
/* A table has another name. */
void snapshots_renamed(struct snapshots *snapshots, const char *from, const char *to);
/* Such a thing has changed what is asked for, since the last call. */
bool snapshots_have_changed(struct snapshots *snapshots);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/sink.h -- where finished messages go.
 *
 * A sink takes messages in order and says up to which one they are acknowledged; it
 * never sees rows. What it is stands in its struct sink_kind: all kinds are in
 * sinks/sink_table.h, and nobody outside of sinks/ asks which one it has.
 *
 *     open ─► [claim] ─► announce … ─► begin ─► put … flush … ─► close
 *
 * ERRORS   Of put and flush: ST_CLOSED: the reader went away, leave quietly.
 *          ST_STOPPED: the stop flag was raised while waiting. ST_IO, ST_NOMEM: text in
 *          `*err`. At the start ST_CONFIG, too. After an error of begin, put or flush
 *          these three give that error again, and nothing more is acknowledged; place
 *          and count say what was. Then close. sink_begin, sink_put and sink_flush see
 *          to it, so a sink need not.
 * THREADS  The decoding thread.
 */
#ifndef SINKS_SINK_H
#define SINKS_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/message.h"
#include "src/base/status.h"

struct sink;
struct sink_settings; /* sinks/sink_settings.h */

/* Where, in what a sink has written, the acknowledged part ends: a later run brings it
 * back to there. */
struct sink_place {
	uint64_t inode;  /* 0: nowhere */
	uint64_t length; /* bytes */
	uint64_t start;  /* the length where the transaction began that is not ended */
	uint64_t proof;  /* hash of the last bytes before `length` */
};

/* Messages since it was opened. */
struct sink_count {
	uint64_t put;
	uint64_t acknowledged; /* of them, in their order */
};

#define SINK_NO_LSN UINT64_MAX

/* How far the messages are. */
struct sink_position {
	uint64_t lsn;      /* all of the transactions up to here */
	uint64_t chain;    /* the journal's checksum there */
	bool in_snapshot;  /* the next one is the initial snapshot, at lsn itself */
	uint64_t messages; /* and so many of the next one's */
	uint64_t chunks;   /* of snapshots on demand, so far */
	bool in_chunk;     /* the next one is a chunk, at lsn itself */
	uint64_t change_id;
	uint64_t txn_change_id; /* where the next transaction begins */
	uint64_t previous_lsn;  /* SINK_NO_LSN: none */
	uint64_t settings_hash;
};

/* What a run has to go on from, texts borrowed for the call. */
struct sink_start {
	const char *uuid;     /* of the state directory; "": there is none */
	const char *database; /* real path of the one that it is of; "" */
	struct sink_place place;
	bool at_start; /* go back to where its transaction began */
};

/* What the state directory says, for a sink that keeps a position of its own. All is
 * borrowed for the call. */
struct sink_own {
	bool is_new; /* there is nothing in it yet: uuid and position mean nothing */
	const char *uuid;
	const char *database; /* real path */
	struct sink_position position;
	struct sink_place place; /* that was stored with it */
	bool was_kept; /* the sink has, or had, a position of this directory */
	/* Does its history have this transaction, with this checksum? */
	bool (*has)(const void *context, uint64_t lsn, uint64_t chain);
	const void *context;
	/* Where the run that made `position` wrote; NULL: it is not known. */
	const char *last_kind; /* sink_kind.name */
	const char *last_prefix, *last_delimiter;
	bool when_needed; /* a new snapshot is taken where only that helps */
};

enum sink_verdict {
	SINK_GO_ON,      /* from the state directory's position */
	SINK_ADOPT,      /* from the sink's, which is ahead of it */
	SINK_START_OVER, /* with a new snapshot, in an empty state directory */
};

/* Greater than every LSN, and not less than any change_id, that was seen. */
struct sink_floor {
	uint64_t lsn;
	uint64_t change_id;
};

struct sink_claim {
	enum sink_verdict verdict;
	struct sink_position position; /* SINK_ADOPT: the sink's */
	struct sink_floor floor;       /* SINK_START_OVER: numbers begin above it */
};

/* Somebody only looks at what a run would meet. */
struct sink_look {
	bool is_in_use;      /* a run works with the state directory now: what the sink
			      * has moves on, and is that run's */
	bool knows_topics;   /* all that there would be are announced */
	int64_t patience_ns; /* with what is out of reach */
	/* What is found, one line each; ST_OK: for people. */
	void (*tell)(void *context, enum status status, const char *text);
	void *context;
};

/* What the values of messages are. */
enum message_form {
	FORM_DEBEZIUM, /* those of schemas/encoder.h */
	/* One line of an audit log (schemas/audit_line.h) without its beginning and its
	 * end: from "time": up to and with the last '}'. A message has no key, topic
	 * and headers, and none is a tombstone. Those of no transaction, whose index is
	 * MESSAGE_NO_INDEX, may come between begin and the first transaction. */
	FORM_AUDIT,
};

/* A kind of sink: what it is, and its calls. */
struct sink_kind {
	const char *name;   /* as settings that are remembered have it: "kafka" */
	const char *title;  /* as messages have it: "Kafka" */
	const char *scheme; /* what the value of --to begins with */
	const char *target; /* how messages show what follows; NULL: nothing may */
	const char *not_in_target; /* characters that it may not have; may be NULL */
	const char *help;          /* lines of --help behind "--to SCHEME TARGET" */

	enum message_form form; /* that it wants */
	bool has_state;         /* with a state directory unless told otherwise */
	bool can_lack_state;    /* --state=none, if not exactly once */
	bool keeps_position;    /* itself, with the messages: see claim */
	bool wants_keys;        /* always; false: with --lines=record only */
	bool tells_structure;   /* default of include.schema.changes */
	bool is_for_connect;    /* headers are read by Kafka Connect */
	bool reopens;           /* when SIGHUP has come */
	bool wants_nothing;     /* no snapshot unless it is asked for */

	enum status (*open)(const struct sink_settings *settings, struct sink **out,
			    struct error *err);
	void (*close)(struct sink *sink); /* frees */
	/* Take one message; may write. */
	enum status (*put)(struct sink *sink, const struct message *message,
			   struct error *err);
	/* Everything put so far goes out now. When it returns all of it is
	 * acknowledged; by a sink that keeps a position what sink_settings.acknowledged
	 * was called for. */
	enum status (*flush)(struct sink *sink, struct error *err);

	/* Any of these may be NULL. */

	/* Settle where to go on, and put an end to whoever wrote there before; without
	 * a state directory nothing. ST_CONFIG: there is no place that loses or repeats
	 * nothing. */
	enum status (*claim)(struct sink *sink, const struct sink_own *own,
			     struct sink_claim *out, struct error *err);
	/* Messages for this topic may come; of a table, and without keys if it has no
	 * primary key. `table` is NULL for control messages. */
	enum status (*announce)(struct sink *sink, struct span topic, const char *table,
				bool is_keyless, struct error *err);
	/* Puts come next. Bring it to the place. */
	enum status (*begin)(struct sink *sink, const struct sink_start *start,
			     struct error *err);
	/* In the place of claim and begin: what would they say? Nothing is made,
	 * changed or taken, and nobody is disturbed; then close. */
	enum status (*look)(struct sink *sink, const struct sink_own *own,
			    const struct sink_look *look, struct error *err);
	/* As of the last flush. The caller stores it beside its position; of a kind
	 * that keeps one itself as of `acknowledged`. */
	struct sink_place (*place)(const struct sink *sink);
	/* Of a sink that can be cut short anywhere, where it was. */
	struct sink_count (*count)(const struct sink *sink);
	/* The run ends, and everything was flushed: `reason` is for people. */
	enum status (*finish)(struct sink *sink, const char *reason, struct error *err);
	/* It has something to do by itself, in so many milliseconds: call flush then.
	 */
	int (*wake_ms)(const struct sink *sink);
	/* Between transactions: what was put should be flushed, although more is to
	 * come. */
	bool (*wants_flush)(const struct sink *sink);
	/* A descriptor that shows POLLERR or POLLHUP when the reader goes away; -1:
	 * none. */
	int (*watch_fd)(const struct sink *sink);
	/* A topic of its own, which may not be a table's; borrowed. */
	const char *(*own_topic)(const struct sink *sink);
};

/* What every sink begins with. */
struct sink {
	const struct sink_kind *kind;
	struct error failure; /* the first one, which stays; sink.c's */
};

/* Does it take keys, headers and tombstones? `record_lines` as in sink_settings. */
bool sink_wants_keys(const struct sink_kind *kind, bool record_lines);

/* The calls of its kind, and what is done where it has none. */
enum status sink_begin(struct sink *sink, const struct sink_start *start,
		       struct error *err) MUST_CHECK;
enum status sink_put(struct sink *sink, const struct message *message,
		     struct error *err) MUST_CHECK;
enum status sink_flush(struct sink *sink, struct error *err) MUST_CHECK;
/* The run has ended well, or of something that is not the sink's; after flush. */
enum status sink_finish(struct sink *sink, const char *reason,
			struct error *err) MUST_CHECK;
int sink_wake_ms(const struct sink *sink);           /* else -1 */
bool sink_wants_flush(const struct sink *sink);      /* else false */
int sink_watch_fd(const struct sink *sink);          /* else -1 */
const char *sink_own_topic(const struct sink *sink); /* else NULL */
void sink_close(struct sink *sink);                  /* takes NULL */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/sink_settings.h -- what a sink is opened with: one struct for all kinds, of
 * which each takes what it needs.
 *
 * OWNERSHIP  All is borrowed until the sink is closed.
 */
#ifndef SINKS_SINK_SETTINGS_H
#define SINKS_SINK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinks/sink.h"

/* A setting that is handed on by name. */
struct sink_property {
	const char *where; /* in front of the name in messages: "-D producer." */
	const char *name;  /* as the library that takes it has it */
	const char *value; /* never printed */
};

/* How topics that are missing are made. */
struct sink_topics {
	bool may_make;
	int partitions;                      /* -1: as the broker likes */
	int replication_factor;              /* -1: as the broker likes */
	const struct sink_property *configs; /* of tables' topics: cleanup.policy, … */
	size_t config_count;
};

/* Of an audit log. */
struct sink_audit {
	bool redactable;          /* lines are salted */
	uint64_t rotate_bytes;    /* so large a file is closed; UINT64_MAX: never, */
	int64_t rotate_ns;        /* or so old; 0: never */
	bool compresses;          /* files that are closed */
	int64_t retention_ns;     /* so long they stay; 0: for ever, */
	uint64_t retention_bytes; /* or as many as these bytes; UINT64_MAX: all */
	/* Of files that go all lines must be signed by the head in this file; NULL:
	 * they go without. */
	const char *retention_checkpoint;
};

struct sink_settings {
	const char *target;        /* of --to, behind the scheme; NULL: nothing is */
	int output_fd;             /* standard output; stays open after close */
	const char *database_path; /* never written to; whose permissions to take */
	const char *state_path;    /* only what a kind has there by itself is written
				    * to: a key; NULL: none */
	bool record_lines;         /* lines are whole records, else values alone */

	const char *prefix; /* topic.prefix */
	const char *delimiter;
	struct sink_topics topics;
	const struct sink_property *properties; /* of the client that sends */
	size_t property_count;
	bool exactly_once;
	bool skips_too_large;
	struct sink_audit audit;
	bool accepts_gap; /* what was altered or is lost is told of, and gone on from */

	const _Atomic int *stop; /* may be NULL */
	_Atomic int *reopen;     /* may be NULL; set back to 0 */
	int64_t patience_ns; /* with a full disk, or what is out of reach; 0: no end */

	/* The position that all that was put leads to; for a kind that keeps one. */
	void (*position)(void *context, struct sink_position *out);
	/* The sink calls it when more is acknowledged though the caller has not called
	 * flush; a kind that keeps a position always, for all that was put. With
	 * `durable` the position is on disk when it returns. */
	enum status (*acknowledged)(void *context, bool durable, struct error *err);
	/* What it writes to is out of reach, or full, and why; called before the log
	 * says so. A `why` of NULL: it is no more. May be NULL. */
	void (*on_outage)(void *context, const char *why);
	void *context;
};

#endif

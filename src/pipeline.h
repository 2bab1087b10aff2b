/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/pipeline.h -- source, decode, encode, deliver: all parts, opened in the order
 * that misses nothing and closed in the order that keeps locks right.
 *
 *     delivery ─► kept position ─► history ─► source ─► view ─► decoder
 *
 * OWNERSHIP  The caller's struct, zeros but for `config`, is_said and follows_path;
 *            pipeline_close, also after a failed opening. `config` is borrowed.
 * THREADS    The decoding thread.
 * ERRORS     ST_RETRY of pipeline_open: page_size > 0, page_size_change is due first;
 *            or starts_over, open all again. Others: those of the parts.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/table_filter.h"
#include "src/archive/archiver.h"
#include "src/base/progress.h"
#include "src/base/supervisor.h"
#include "src/capture/capture.h"
#include "src/config/config.h"
#include "src/decode/decoder.h"
#include "src/deliver/delivery.h"
#include "src/deliver/snapshot_steps.h"
#include "src/history/history.h"
#include "src/history/source.h"
#include "src/on_demand.h"

struct pipeline {
	const struct config *config;
	struct table_filter *filter;
	struct kept_position *kept;
	struct history *history;
	struct archiver *archiver; /* NULL: no archive is written */
	struct source *source;
	struct capture *capture;    /* the source, of a live database; else NULL */
	struct captured_txn *first; /* until the history has it; or NULL */
	struct delivery *delivery;
	struct decoder *decoder;
	struct on_demand *on_demand;
	struct supervisor *supervisor; /* borrowed; NULL: nobody is told */
	struct progress progress;
	struct snapshot_steps steps; /* of pipeline_snapshot */
	uint64_t lsn;                /* that the view is as of */
	int64_t known_ns;   /* wall clock: what was committed by then is decoded; 0 */
	bool is_said;       /* "following …" is in the log */
	bool is_checked;    /* what was asked for is there */
	bool follows_path;  /* the database was followed by this path before */
	bool starts_over;   /* what was kept is forgotten, for a new snapshot */
	uint64_t turn_txid; /* of an archive, after a turn: where it begins; or 0 */
	uint32_t page_size; /* of the database, where the state directory has another */
};

/* `floor`: of the numbers of a state directory that is begun anew. */
enum status pipeline_open(struct pipeline *pipeline, struct sink_floor floor,
			  struct error *err) MUST_CHECK;
/* Open all but the source, to deliver what is in the state directory. */
enum status pipeline_open_to_drain(struct pipeline *pipeline,
				   struct error *err) MUST_CHECK;
void pipeline_close(struct pipeline *pipeline);

/* Say once that nothing that is committed from here on is missed. */
void pipeline_say_following(struct pipeline *pipeline);
/* Of a pipeline: tell the service manager that the sink takes nothing, and why, or does
 * again (NULL). */
void pipeline_say_outage(void *context, const char *why);

/* Deliver the rows that are there, as of the view. */
enum status pipeline_snapshot(struct pipeline *pipeline, struct error *err) MUST_CHECK;
/* Decode and deliver `captured`, which is the history's then. */
enum status pipeline_apply(struct pipeline *pipeline, struct captured_txn *captured,
			   struct error *err) MUST_CHECK;
/* Without a state directory: the source ends where pages get another size
 * (source->turn). Deliver what differs between the last state before and the first one
 * behind that, and go on from there. */
enum status pipeline_turn(struct pipeline *pipeline, struct error *err) MUST_CHECK;
/* Flush the sink: the position moves, and the shadow may. */
enum status pipeline_flush(struct pipeline *pipeline, struct error *err) MUST_CHECK;

/* Keep for rowtail status why the run ended. */
void pipeline_note_failure(const struct pipeline *pipeline, enum status status,
			   struct error *err);

#endif

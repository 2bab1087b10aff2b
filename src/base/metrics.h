/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/metrics.h -- what a run has done so far, in numbers, for whoever watches it
 * (src/monitor/metrics_server.h).
 *
 * Each thread adds to what it knows; the text is made of whatever is there then. All is
 * of the whole process, which follows one database. Without somebody who watches it is
 * counted all the same, but for the events of each table: it costs a few nanoseconds a
 * transaction.
 *
 * OWNERSHIP  Nothing is freed before the process ends.
 * THREADS    Any; what says "one thread" excepted.
 * ERRORS     None. A table that there is no memory or room for counts as "other".
 * FORMAT     Prometheus's text format 0.0.4: durations in seconds, sizes in bytes.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"

/* In the order of the text; what each is stands in metrics.c. */
enum metric {
	/* counters */
	METRIC_CAPTURED_TRANSACTIONS,
	METRIC_CAPTURED_BYTES,
	METRIC_STALLS,
	METRIC_CHECKPOINTS,
	METRIC_CHECKPOINT_FAILURES,
	METRIC_GATE_FAILURES,
	METRIC_DECODED_TRANSACTIONS,
	METRIC_MESSAGES,
	METRIC_MESSAGE_BYTES,
	METRIC_SINK_OUTAGES,
	METRIC_SINK_ERRORS,
	METRIC_SINK_RETRIES,
	METRIC_ARCHIVE_RETRIES,
	/* gauges */
	METRIC_FOLLOWING,
	METRIC_CAPTURED_LSN,
	METRIC_ACKNOWLEDGED_LSN,
	METRIC_WAL_BYTES,
	METRIC_NOT_CAPTURED_BYTES,
	METRICS,
};

enum metric_times {
	METRIC_CAPTURE_LAG,
	METRIC_DELIVERY_LAG,
	METRIC_CHECKPOINT_TIME,
	METRIC_GATE_TIME,
	METRIC_JOURNAL_SYNC_TIME,
	METRIC_KAFKA_TRANSACTION_TIME,
	METRIC_TIMES,
};

extern _Atomic uint64_t metrics_values[METRICS];

void metrics_count(enum metric metric, uint64_t more);
/* The same where only one thread counts this one: it needs no locked addition. */
static inline void metrics_count_alone(enum metric metric, uint64_t more)
{
	_Atomic uint64_t *value = &metrics_values[metric];

	atomic_store_explicit(value,
			      atomic_load_explicit(value, memory_order_relaxed) + more,
			      memory_order_relaxed);
}
void metrics_set(enum metric metric, uint64_t value);
uint64_t metrics_get(enum metric metric);
/* One that took `ns`; less than 0 is 0. */
void metrics_took(enum metric_times metric, int64_t ns);

/* ---- events of each table ---- */

#define METRICS_TABLES 10000 /* the others are counted together */

enum metrics_op { METRICS_CREATE, METRICS_UPDATE, METRICS_DELETE, METRICS_READ };
#define METRICS_OPS 4

/* Of one table. It is there as long as the process. */
struct metrics_events {
	_Atomic uint64_t by_op[METRICS_OPS];
};

/* From now on events are counted. Before there is a second thread. */
void metrics_want_events(void);
/* The counters of a table; one thread. NULL: nobody wants them. */
struct metrics_events *metrics_events_of(const char *table);

/* One event more; the thread of metrics_events_of. NULL is taken. */
static inline void metrics_event(struct metrics_events *events, enum metrics_op op)
{
	if (events) {
		_Atomic uint64_t *count = &events->by_op[op];

		atomic_store_explicit(
		    count, atomic_load_explicit(count, memory_order_relaxed) + 1,
		    memory_order_relaxed);
	}
}

/* ---- the text ---- */

/* All of them; the buffer says whether there was memory. */
void metrics_add_text(struct buffer *out);

/* What stands before the values of one. `type`: "gauge" or "counter". */
void metrics_add_head(struct buffer *out, const char *name, const char *help,
		      const char *type);
/* Head and value of one that is measured when it is asked for, and has no labels. */
void metrics_add_one(struct buffer *out, const char *name, const char *help,
		     const char *type, double value);
/* A text of a label, quoted. */
void metrics_add_label(struct buffer *out, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/metrics.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/utf8.h"

#define NAME_BYTES  256  /* of a table's name in the text, with the NUL, and */
#define LABEL_BYTES 4096 /* ... of another label; of what is longer the beginning */

/* ---- what they are ---- */

struct description {
	const char *name;
	const char *help;
};

#define FIRST_GAUGE METRIC_FOLLOWING

static const struct description descriptions[METRICS] = {
    [METRIC_CAPTURED_TRANSACTIONS] = {"rowtail_captured_transactions_total",
				      "Transactions read from the WAL."},
    [METRIC_CAPTURED_BYTES] = {"rowtail_captured_bytes_total",
			       "Bytes of their pages, before and after."},
    [METRIC_STALLS] = {"rowtail_capture_stalls_total",
		       "Times that nothing could be captured for want of room."},
    [METRIC_CHECKPOINTS] = {"rowtail_checkpoints_total",
			    "Checkpoints run in the application's place."},
    [METRIC_CHECKPOINT_FAILURES] = {"rowtail_checkpoint_failures_total",
				    "Checkpoints that failed or came too late."},
    [METRIC_GATE_FAILURES] = {"rowtail_gate_failures_total",
			      "Times that transactions did not end in time for a "
			      "handover of the WAL."},
    [METRIC_DECODED_TRANSACTIONS] = {"rowtail_decoded_transactions_total",
				     "Transactions whose events were made."},
    [METRIC_MESSAGES] = {"rowtail_messages_total",
			 "Messages given to the sink, tombstones and control "
			 "messages included."},
    [METRIC_MESSAGE_BYTES] = {"rowtail_message_bytes_total",
			      "Bytes of their keys and values."},
    [METRIC_SINK_OUTAGES] = {"rowtail_sink_outages_total",
			     "Times that the sink took nothing."},
    [METRIC_SINK_ERRORS] = {"rowtail_sink_errors_total",
			    "Errors that the sink met and that may pass."},
    [METRIC_SINK_RETRIES] = {"rowtail_sink_retries_total",
			     "Tries of the sink that failed and were repeated."},
    [METRIC_ARCHIVE_RETRIES] = {"rowtail_archive_retries_total",
				"Tries of the archive that failed and were repeated."},
    [METRIC_FOLLOWING] = {"rowtail_following",
			  "1: nothing that is committed is missed."},
    [METRIC_CAPTURED_LSN] = {"rowtail_captured_lsn",
			     "LSN of the last transaction captured."},
    [METRIC_ACKNOWLEDGED_LSN] = {"rowtail_acknowledged_lsn",
				 "LSN that the sink has acknowledged."},
    [METRIC_WAL_BYTES] = {"rowtail_wal_bytes", "Bytes of the WAL that are in use."},
    [METRIC_NOT_CAPTURED_BYTES] = {"rowtail_not_captured_bytes",
				   "Bytes committed in the WAL that wait to be "
				   "captured."},
};

static const struct description times_descriptions[METRIC_TIMES] = {
    [METRIC_CAPTURE_LAG] = {"rowtail_capture_lag_seconds",
			    "From the last write to the WAL to its being read."},
    [METRIC_DELIVERY_LAG] = {"rowtail_delivery_lag_seconds",
			     "From capturing the oldest transaction of a flush to its "
			     "acknowledgement by the sink."},
    [METRIC_CHECKPOINT_TIME] = {"rowtail_checkpoint_seconds",
				"Of a checkpoint of ours."},
    [METRIC_GATE_TIME] = {"rowtail_gate_seconds",
			  "How long no transaction could begin, for a handover of the "
			  "WAL."},
    [METRIC_JOURNAL_SYNC_TIME] = {"rowtail_journal_sync_seconds",
				  "Of making the journal survive a power cut."},
    [METRIC_KAFKA_TRANSACTION_TIME] = {"rowtail_kafka_transaction_seconds",
				       "From its begin to its commit."},
};

/* What is cut in the middle of a character ends in '?'. */
static void make_safe(char *safe, size_t size, const char *text)
{
	(void)snprintf(safe, size, "%s", text);
	utf8_make_safe(safe);
}

/* ---- counting ---- */

_Atomic uint64_t metrics_values[METRICS];

/* Upper bounds, and what is above all of them. */
#define BOUNDS 20
static const int64_t bounds_ns[BOUNDS] = {
    10 * NS_PER_US,  25 * NS_PER_US,  100 * NS_PER_US,  250 * NS_PER_US,
    500 * NS_PER_US, NS_PER_MS,       2500 * NS_PER_US, 5 * NS_PER_MS,
    10 * NS_PER_MS,  25 * NS_PER_MS,  50 * NS_PER_MS,   100 * NS_PER_MS,
    250 * NS_PER_MS, 500 * NS_PER_MS, NS_PER_S,         2500 * NS_PER_MS,
    5 * NS_PER_S,    10 * NS_PER_S,   60 * NS_PER_S,    300 * NS_PER_S,
};

static struct {
	_Atomic uint64_t counts[BOUNDS + 1];
	_Atomic uint64_t sum_ns;
} times[METRIC_TIMES];

void metrics_count(enum metric metric, uint64_t more)
{
	atomic_fetch_add_explicit(&metrics_values[metric], more, memory_order_relaxed);
}

void metrics_set(enum metric metric, uint64_t value)
{
	atomic_store_explicit(&metrics_values[metric], value, memory_order_relaxed);
}

uint64_t metrics_get(enum metric metric)
{
	return atomic_load_explicit(&metrics_values[metric], memory_order_relaxed);
}

void metrics_took(enum metric_times metric, int64_t ns)
{
	size_t i = 0;

	ns = ns > 0 ? ns : 0;
	while (i < BOUNDS && ns > bounds_ns[i]) {
		i++;
	}
	atomic_fetch_add_explicit(&times[metric].counts[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&times[metric].sum_ns, (uint64_t)ns,
				  memory_order_relaxed);
}

/* ---- events of each table ---- */

struct table_events {
	struct metrics_events events;
	char name[NAME_BYTES];
};

static bool wants_events;
static struct metrics_events other_events;
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER; /* of these two */
static void *tables;                                            /* tsearch(3) */
static size_t table_count;

void metrics_want_events(void)
{
	wants_events = true;
}

static int compare_tables(const void *a, const void *b)
{
	return strcmp(((const struct table_events *)a)->name,
		      ((const struct table_events *)b)->name);
}

/* Under the name that it has in the text, where no two may have the same. */
static struct table_events *make_table(const char *name)
{
	struct table_events *table = calloc(1, sizeof *table);

	if (table) {
		make_safe(table->name, sizeof table->name, name);
	}
	return table;
}

/* The table's, put into the tree if it is not there. NULL: there is no room. The lock
 * is held. */
static struct table_events *look_up(const char *name)
{
	struct table_events *table = make_table(name);
	struct table_events **node =
	    table ? tfind(table, &tables, compare_tables) : NULL;
	bool is_new = table && !node && table_count < METRICS_TABLES;

	if (is_new) {
		node = tsearch(table, &tables, compare_tables);
		is_new = node != NULL;
	}
	if (is_new) {
		table_count++;
	} else {
		free(table);
	}
	return node ? *node : NULL;
}

struct metrics_events *metrics_events_of(const char *table)
{
	struct table_events *found;

	if (!wants_events) {
		return NULL;
	}
	(void)pthread_mutex_lock(&tables_lock);
	found = look_up(table);
	(void)pthread_mutex_unlock(&tables_lock);
	return found ? &found->events : &other_events;
}

/* ---- the text ---- */

void metrics_add_head(struct buffer *out, const char *name, const char *help,
		      const char *type)
{
	const char *const parts[] = {"# HELP ", name, " ",  help, "\n# TYPE ",
				     name,      " ",  type, "\n"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		buffer_add_str(out, parts[i]);
	}
}

static void add_seconds(struct buffer *out, uint64_t ns)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%llu.%09llu", ns / NS_PER_S, ns % NS_PER_S);
	buffer_add_str(out, text);
}

void metrics_add_label(struct buffer *out, const char *text)
{
	char safe[LABEL_BYTES];

	make_safe(safe, sizeof safe, text);
	buffer_add_char(out, '"');
	for (const char *c = safe; *c; c++) {
		if (*c == '"' || *c == '\\') {
			buffer_add_char(out, '\\');
		}
		buffer_add_char(out, *c);
	}
	buffer_add_char(out, '"');
}

void metrics_add_one(struct buffer *out, const char *name, const char *help,
		     const char *type, double value)
{
	char text[64];

	metrics_add_head(out, name, help, type);
	(void)snprintf(text, sizeof text, " %.17g\n", value);
	buffer_add_str(out, name);
	buffer_add_str(out, text);
}

static void add_value(struct buffer *out, enum metric metric)
{
	const struct description *d = &descriptions[metric];

	metrics_add_head(out, d->name, d->help,
			 metric >= FIRST_GAUGE ? "gauge" : "counter");
	buffer_add_str(out, d->name);
	buffer_add_char(out, ' ');
	buffer_add_u64(out, metrics_get(metric));
	buffer_add_char(out, '\n');
}

static void add_bucket(struct buffer *out, const char *name, const int64_t *bound_ns,
		       uint64_t count)
{
	char le[32] = "+Inf";

	if (bound_ns) {
		(void)snprintf(le, sizeof le, "%g",
			       (double)*bound_ns / (double)NS_PER_S);
	}
	buffer_add_str(out, name);
	buffer_add_str(out, "_bucket{le=\"");
	buffer_add_str(out, le);
	buffer_add_str(out, "\"} ");
	buffer_add_u64(out, count);
	buffer_add_char(out, '\n');
}

/* Its sum is read first, and its number is that of the last bucket: what comes in
 * between is of no account. */
static void add_times(struct buffer *out, enum metric_times metric)
{
	const char *name = times_descriptions[metric].name;
	uint64_t sum_ns =
	    atomic_load_explicit(&times[metric].sum_ns, memory_order_relaxed);
	uint64_t count = 0;

	metrics_add_head(out, name, times_descriptions[metric].help, "histogram");
	for (size_t i = 0; i <= BOUNDS; i++) {
		count += atomic_load_explicit(&times[metric].counts[i],
					      memory_order_relaxed);
		add_bucket(out, name, i < BOUNDS ? &bounds_ns[i] : NULL, count);
	}
	buffer_add_str(out, name);
	buffer_add_str(out, "_sum ");
	add_seconds(out, sum_ns);
	buffer_add_str(out, "\n");
	buffer_add_str(out, name);
	buffer_add_str(out, "_count ");
	buffer_add_u64(out, count);
	buffer_add_char(out, '\n');
}

/* Those of which there are some. `name` NULL: of all other tables. */
static void add_events(struct buffer *out, const char *name,
		       const struct metrics_events *events)
{
	static const char ops[METRICS_OPS + 1] = "cudr"; /* Debezium's */

	for (size_t i = 0; i < METRICS_OPS; i++) {
		uint64_t count =
		    atomic_load_explicit(&events->by_op[i], memory_order_relaxed);

		if (count == 0) {
			continue;
		}
		buffer_add_str(out, "rowtail_events_total{");
		if (name) {
			buffer_add_str(out, "table=");
			metrics_add_label(out, name);
			buffer_add_char(out, ',');
		}
		buffer_add_str(out, "op=\"");
		buffer_add_char(out, ops[i]);
		buffer_add_str(out, "\"} ");
		buffer_add_u64(out, count);
		buffer_add_char(out, '\n');
	}
}

static void add_table(const void *node, VISIT which, void *out)
{
	const struct table_events *table = *(const struct table_events *const *)node;

	if (which == postorder || which == leaf) {
		add_events(out, table->name, &table->events);
	}
}

void metrics_add_text(struct buffer *out)
{
	for (int i = 0; i < METRICS; i++) {
		add_value(out, (enum metric)i);
	}
	for (int i = 0; i < METRIC_TIMES; i++) {
		add_times(out, (enum metric_times)i);
	}
	metrics_add_head(out, "rowtail_events_total", "Events of rows by table and op.",
			 "counter");
	(void)pthread_mutex_lock(&tables_lock);
	twalk_r(tables, add_table, out);
	(void)pthread_mutex_unlock(&tables_lock);
	add_events(out, NULL, &other_events);
}

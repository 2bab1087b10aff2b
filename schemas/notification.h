/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/notification.h -- how a snapshot goes, as Debezium's notifications tell it.
 *
 *     key    {"id":ID}
 *     value  {"id":ID,"type":"STARTED","aggregate_type":"Incremental Snapshot",
 *             "additional_data":{"connector_name":NAME,…},"timestamp":MS}
 *
 * additional_data is a map of texts. Besides connector_name, the topic.prefix, it has
 *
 *     STARTED, PAUSED, RESUMED   data_collections (incremental only)
 *     IN_PROGRESS                current_collection_in_progress, data_collections;
 *                                incremental: maximum_key, last_processed_key
 *     TABLE_SCAN_COMPLETED       scanned_collection, total_rows_scanned, status,
 *                                data_collections; of an initial one that failed
 *                                status and scanned_collection alone
 *     ABORTED, STOPPED           data_collections, if tables are given (incremental
 *                                only)
 *     COMPLETED, SKIPPED         nothing
 *
 * Debezium answers stop-snapshot with ABORTED, of all or of the tables that are given;
 * it has no STOPPED. The order within the map is one of those that Debezium's has,
 * which differs from run to run.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok. Text that is not UTF-8 is mended
 *          (schemas/value_json.h).
 */
#ifndef SCHEMAS_NOTIFICATION_H
#define SCHEMAS_NOTIFICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"

enum notification_kind {
	NOTIFY_STARTED,
	NOTIFY_IN_PROGRESS,
	NOTIFY_TABLE_SCAN_COMPLETED,
	NOTIFY_COMPLETED,
	NOTIFY_ABORTED,
	NOTIFY_PAUSED,
	NOTIFY_RESUMED,
	NOTIFY_STOPPED,
	NOTIFY_SKIPPED
};

/* What it is about; borrowed. NULL or 0 where it does not apply. */
struct notification_of {
	bool is_incremental;       /* else initial; a blocking one is initial, too */
	const char *id;            /* the signal's; NULL: nobody asked by a signal */
	const char *const *tables; /* data_collections */
	size_t table_count;
	const char *table; /* at hand, or scanned */
	uint64_t rows;     /* total_rows_scanned: of `table` */
	/* Values with commas between, as "5" or "a,2"; NULL: "<null>" is shown. */
	const char *maximum_key, *last_processed_key;
	/* Of `table`: "SUCCEEDED", "EMPTY", "NO_PRIMARY_KEY", "SKIPPED",
	 * "SQL_EXCEPTION", "STOPPED" or "UNKNOWN_SCHEMA"; NULL: "SUCCEEDED". */
	const char *scan_status;
};

struct notification {
	enum notification_kind kind;
	const struct notification_of *of;
	const char *id; /* which may be made up */
	const char *connector_name;
	int64_t timestamp_ms;
};

/* "STARTED" */
const char *notification_type(enum notification_kind kind);

/* Append the payload of key and value. */
void notification_add_key(struct buffer *b, const struct notification *n);
void notification_add_value(struct buffer *b, const struct notification *n);

#endif

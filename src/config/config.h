/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/config.h -- what the user asked for, checked.
 *
 * Fields are those of the table of properties (property_table.h) and the few options of
 * the command line that are no properties.
 *
 * OWNERSHIP  src/config/settings.h; all texts belong to the config.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/encoder.h"
#include "sinks/sink_table.h"
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/config/column_options.h"
#include "src/config/kafka_options.h"
#include "src/config/select_overrides.h"

enum command {
	COMMAND_FOLLOW,
	COMMAND_STATUS,
	COMMAND_VERIFY,
	COMMAND_HELP,
	COMMAND_VERSION,
};

enum line_format { LINES_VALUE, LINES_RECORD };

enum snapshot_mode {
	SNAPSHOT_MODE_NO_DATA,      /* follow from now */
	SNAPSHOT_MODE_INITIAL,      /* the rows that are there, then follow */
	SNAPSHOT_MODE_INITIAL_ONLY, /* the rows that are there */
	SNAPSHOT_MODE_ALWAYS,       /* the same as initial */
	SNAPSHOT_MODE_WHEN_NEEDED, /* initial, and anew when Kafka has lost its place */
};

/* skipped.operations, added up. */
enum { SKIP_CREATE = 1, SKIP_UPDATE = 2, SKIP_DELETE = 4 };

struct config_setting; /* src/config/settings.c */

struct config {
	enum command command;
	enum log_level log_most; /* --quiet, --verbose */
	bool log_json;           /* --log-format=json */
	bool json;               /* --json of status */

	char *database_path;          /* as given */
	char *database_name;          /* the path's last part: source.db */
	const struct sink_kind *sink; /* of --to */
	char *sink_target;            /* what stands behind its scheme; NULL: nothing */
	char *state_path;             /* NULL: no state directory */
	bool state_is_none;           /* --state=none */
	bool state_is_default;        /* beside the database, as --state is not given */
	enum snapshot_mode snapshot_mode;
	char *snapshot_asked; /* who asked for a snapshot, and how, for messages; or
				 NULL */
	bool once;
	enum line_format lines;

	char *table_include_list; /* NULL: not given */
	char *table_exclude_list; /* NULL: not given */
	struct column_options columns;
	char *override_list; /* snapshot.select.statement.overrides; NULL: not given */
	struct select_overrides overrides;
	char *topic_prefix;
	char *topic_delimiter;
	char *topic_transaction;
	bool context_headers; /* extended.headers.enabled */
	bool schema_changes;  /* include.schema.changes */
	bool header_schemas;  /* header.converter.schemas.enable */
	char *heartbeat_prefix;
	int heartbeat_ms; /* 0: no heartbeats */
	enum binary_mode binary_mode;
	bool schemas;
	enum type_mapping type_mapping;
	enum decimal_mode decimal_mode;
	enum conversion_failure on_conversion_failure;
	enum name_adjustment field_names;
	enum name_adjustment schema_names;
	bool tombstones_on_delete;
	bool transaction_metadata;
	unsigned skipped_operations;

	struct kafka_options kafka;

	bool hold_escalate;
	uint64_t hold_max_wal_bytes; /* UINT64_MAX: no limit */
	uint64_t journal_max_bytes;  /* UINT64_MAX: no limit */

	char **warnings; /* one line each, for the log once it is set up */
	size_t warning_count;

	struct config_setting *settings; /* private; NULL after config_finish */
};

#endif

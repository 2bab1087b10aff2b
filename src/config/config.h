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
#include "src/archive/policy_settings.h"
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/config/column_options.h"
#include "src/config/kafka_options.h"
#include "src/config/problems.h"
#include "src/config/select_overrides.h"
#include "src/config/transform_options.h"
#include "src/storage/storage_settings.h"

enum line_format { LINES_VALUE, LINES_RECORD, LINES_FLAT };

enum snapshot_mode {
	SNAPSHOT_MODE_NO_DATA,      /* follow from now */
	SNAPSHOT_MODE_INITIAL,      /* the rows that are there, then follow */
	SNAPSHOT_MODE_INITIAL_ONLY, /* the rows that are there */
	SNAPSHOT_MODE_ALWAYS,       /* the same as initial */
	SNAPSHOT_MODE_WHEN_NEEDED, /* initial, and anew when Kafka has lost its place */
};

/* notification.enabled.channels, added up. */
enum { NOTIFICATION_LOG = 1, NOTIFICATION_SINK = 2, NOTIFICATION_FILE = 4 };

/* snapshot.new.tables */
enum new_tables { NEW_TABLES_INITIAL, NEW_TABLES_NO_DATA };

/* signal.enabled.channels */
enum { SIGNAL_CHANNEL_SOURCE = 1, SIGNAL_CHANNEL_FILE = 2, SIGNAL_CHANNEL_KAFKA = 4 };

struct config_setting; /* src/config/settings.c */
struct command;        /* src/command_table.h */

#define COMMAND_WORDS 4 /* that a command takes, at most */

/* Which lines of an audit log are asked for. */
struct report_options {
	char *table, *by, *op, *column, *since, *value; /* NULL: not given */
	char *seq, *why;                                /* of audit redact */
	bool no_context;                                /* nobody is named */
	bool csv;
};

/* Of rowtail signal. */
struct signal_options {
	char **tables; /* --table, each time */
	size_t table_count;
	char *where, *type, *id; /* NULL: not given */
};

/* Of rowtail status. */
struct status_options {
	bool check;      /* is it healthy? */
	bool prometheus; /* as metrics */
	char *database;  /* in place of --state; NULL: not given */
	char *max_lag;   /* a duration; NULL: not given */
	char *max_bytes; /* a number; NULL: not given */
};

struct config {
	const struct command *command; /* NULL: follow the database */
	bool wants_help;               /* --help, and nothing else counts */
	bool wants_version;            /* --version, and nothing else counts */
	bool needs_no_database;        /* the command does without one */
	bool is_check; /* the command tells what a run would do: all is set as for one,
			* and what cannot be is told by it */
	enum log_level log_most;    /* --quiet, --verbose */
	bool log_json;              /* --log-format=json */
	bool json;                  /* --json of a command */
	char *words[COMMAND_WORDS]; /* what stands behind a command that takes them */
	size_t word_count;
	char *at;            /* --at of a command; NULL: not given */
	char *format;        /* --format of a command; NULL: not given */
	bool dry_run;        /* --dry-run of a command */
	bool wait;           /* --wait: for a database that is to come */
	char *archive;       /* whose events are asked for; NULL: those of a database */
	char *archive_place; /* real path of its folder, or as given; NULL: none */
	char *from;          /* --from; NULL: not given */
	char *until;         /* --until; NULL: not given */
	bool follow;         /* --follow */
	bool sql;            /* --sql of a command */
	char *audit_key;     /* --key of a command; NULL: not given */
	char **checkpoints;  /* --checkpoint of a command, each time */
	size_t checkpoint_count;
	bool audit_database; /* --database of rowtail audit verify: database_path */
	struct report_options report; /* of a command */
	struct signal_options signal; /* of a command */
	struct status_options status; /* of a command */
	struct problems problems;     /* of settings */

	char *database_path;          /* as given */
	char *database_name;          /* the path's last part: source.db */
	const struct sink_kind *sink; /* of --to */
	bool sink_is_given;           /* --to was there */
	char *sink_of_file;           /* as --to has it: of a file; NULL: none */
	char *sink_target;            /* what stands behind its scheme; NULL: nothing */
	char *state_path;             /* NULL: no state directory */
	bool state_is_none;           /* --state=none */
	bool state_is_default;        /* beside the database, as --state is not given */
	char *archive_to;             /* --archive; NULL: none */
	int archive_interval_ms;      /* 0: a file for what is synced together */
	bool archive_take_over;       /* another's becomes ours */
	enum snapshot_mode snapshot_mode;
	char *snapshot_asked; /* where a snapshot was asked for, for messages; NULL: it
			       * was not */
	bool once;
	enum line_format lines;

	char *table_include_list; /* NULL: not given */
	char *table_exclude_list; /* NULL: not given */
	struct column_options columns;
	char *override_list; /* snapshot.select.statement.overrides; NULL: not given */
	struct select_overrides overrides;
	struct transform_options transforms;
	struct encoder_settings encoder; /* its properties; the rest is not filled in */
	bool header_schemas;             /* header.converter.schemas.enable */
	int heartbeat_ms;                /* 0: no heartbeats */
	unsigned notification_channels;  /* the sink's topic is the encoder's */
	char *notification_file;         /* NULL: not given */

	enum new_tables new_tables;
	unsigned signal_channels; /* SIGNAL_CHANNEL_… */
	char *signal_collection;  /* NULL: no signals by a table */
	char *signal_file;        /* NULL: no signals by a file */
	int signal_poll_ms;       /* between looks at it */
	char *signal_topic;       /* NULL: no signals by Kafka */
	char *signal_brokers;     /* of that topic */
	char *signal_group;
	bool signal_shares_sink;       /* they are those of --to, with its producer.* */
	int incremental_snapshot_rows; /* of a chunk */

	struct kafka_options kafka;
	struct storage_settings storage; /* of an archive */
	struct policy_settings policy;   /* what is kept of it */

	bool audit_redactable;
	uint64_t audit_rotate_bytes; /* UINT64_MAX: never */
	int audit_rotate_hours;      /* 0: never */
	bool audit_compress;
	int audit_retention_days;         /* 0: for ever */
	uint64_t audit_retention_bytes;   /* UINT64_MAX: no limit */
	char *audit_retention_checkpoint; /* NULL: none */
	bool accept_gap;                  /* --accept-gap */

	char *metrics_listen; /* NULL: nobody asks */
	int64_t health_max_lag_ns;

	bool hold_escalate;
	uint64_t hold_max_wal_bytes; /* UINT64_MAX: no limit */
	uint64_t journal_max_bytes;  /* UINT64_MAX: no limit */

	char **warnings; /* one line each, for the log once it is set up */
	size_t warning_count;

	struct config_setting *settings; /* private; NULL after config_finish */
};

#endif

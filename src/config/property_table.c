/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/property_table.h"

#include <limits.h>
#include <string.h>

#include "src/config/config.h"
#include "src/config/nearest_name.h"
#include "src/config/others_properties.h"

static const struct property_choice line_formats[] = {
    {"value", LINES_VALUE, NULL}, {"record", LINES_RECORD, NULL}, {NULL, 0, NULL}};
static const struct property_choice binary_modes[] = {
    {"bytes", BINARY_BYTES, NULL},
    {"base64", BINARY_BASE64, NULL},
    {"base64-url-safe", BINARY_BASE64_URL_SAFE, NULL},
    {"hex", BINARY_HEX, NULL},
    {NULL, 0, NULL}};
static const struct property_choice audit_rows[] = {
    {"changed", false, NULL}, {"full", true, NULL}, {NULL, 0, NULL}};
static const struct property_choice context_alone[] = {
    {"drop", false, NULL}, {"emit", true, NULL}, {NULL, 0, NULL}};
static const struct property_choice type_mappings[] = {
    {"declared", TYPES_DECLARED, NULL},
    {"affinity", TYPES_AFFINITY, NULL},
    {NULL, 0, NULL}};
static const struct property_choice decimal_modes[] = {
    {"double", DECIMAL_DOUBLE, NULL},
    {"string", DECIMAL_STRING, NULL},
    {"precise", 0, "SQLite has no exact decimals; use double or string"},
    {NULL, 0, NULL}};
static const struct property_choice failure_modes[] = {{"warn", CONVERSION_WARN, NULL},
						       {"fail", CONVERSION_FAIL, NULL},
						       {"skip", CONVERSION_SKIP, NULL},
						       {NULL, 0, NULL}};
static const struct property_choice name_adjustments[] = {
    {"none", NAMES_AS_THEY_ARE, NULL},
    {"avro", NAMES_AVRO, NULL},
    {"avro_unicode", NAMES_AVRO_UNICODE, NULL},
    {NULL, 0, NULL}};
static const struct property_choice operations[] = {
    {"c", SKIP_CREATE, NULL},
    {"u", SKIP_UPDATE, NULL},
    {"d", SKIP_DELETE, NULL},
    {"t", 0, NULL}, /* SQLite has no TRUNCATE */
    {NULL, 0, NULL}};
static const struct property_choice notification_channels[] = {
    {"log", NOTIFICATION_LOG, NULL},
    {"sink", NOTIFICATION_SINK, NULL},
    {"file", NOTIFICATION_FILE, NULL},
    {"jmx", 0, NULL}, /* there is no JVM */
    {NULL, 0, NULL}};
static const struct property_choice signal_channels[] = {
    {"source", SIGNAL_CHANNEL_SOURCE, NULL},
    {"file", SIGNAL_CHANNEL_FILE, NULL},
    {"kafka", 0, "signals by Kafka are not built yet in this version"},
    {"jmx", 0, "there is no JMX here; use rowtail signal"},
    {NULL, 0, NULL}};
static const struct property_choice new_tables[] = {
    {"initial", NEW_TABLES_INITIAL, NULL},
    {"no_data", NEW_TABLES_NO_DATA, NULL},
    {NULL, 0, NULL}};
static const struct property_choice snapshot_modes[] = {
    {"initial", SNAPSHOT_MODE_INITIAL, NULL},
    {"initial_only", SNAPSHOT_MODE_INITIAL_ONLY, NULL},
    {"no_data", SNAPSHOT_MODE_NO_DATA, NULL},
    {"always", SNAPSHOT_MODE_ALWAYS, NULL},
    {"when_needed", SNAPSHOT_MODE_WHEN_NEEDED, NULL},
    {NULL, 0, NULL}};
static const struct property_choice delivery_modes[] = {
    {"required", true, NULL}, {"disabled", false, NULL}, {NULL, 0, NULL}};
static const struct property_choice too_large_modes[] = {
    {"fail", false, NULL}, {"skip", true, NULL}, {NULL, 0, NULL}};

#define FIELD(member)                             \
	.field = offsetof(struct config, member), \
	.field_size = sizeof(((struct config *)0)->member)
static const struct property properties[] = {
    {.name = "--lines",
     .kind = PROPERTY_OPTION,
     .type = TAKES_CHOICE,
     FIELD(lines),
     .choices = line_formats,
     .fallback = "value",
     .shapes = true},
    {.name = "--to",
     .kind = PROPERTY_OPTION,
     .type = TAKES_SINK,
     FIELD(sink),
     .fallback = "stdout",
     .shapes = true},
    {.name = "database.file.path",
     .type = TAKES_PATH,
     FIELD(database_path),
     .shapes = true,
     .shown_fallback = "none",
     .text = "the database, for `--config`"},
    {.name = "table.include.list",
     .type = TAKES_TEXT,
     FIELD(table_include_list),
     .shapes = true,
     .shown_fallback = "all",
     .text = "regular expressions of the names of tables to follow",
     .more =
	 "PCRE2, separated by commas, matched against the whole name, case ignored; a "
	 "comma inside one is `\\,`; one that gives up on a name is an error, never an "
	 "answer. Views and virtual tables are always left out, and "
	 "so are tables whose name begins with `sqlite_` and shadow tables of virtual "
	 "ones, unless this list names them without metacharacters"},
    {.name = "table.exclude.list",
     .type = TAKES_TEXT,
     FIELD(table_exclude_list),
     .shapes = true,
     .shown_fallback = "none",
     .text = "regular expressions of the names of tables to leave out",
     .more = "Only one of the two lists of tables may be given"},
    {.name = "column.include.list",
     .type = TAKES_TEXT,
     FIELD(columns.include_list),
     .shapes = true,
     .shown_fallback = "all",
     .text = "regular expressions of the columns that rows have, `TABLE.COLUMN`",
     .more = "Keys keep all of their columns"},
    {.name = "column.exclude.list",
     .type = TAKES_TEXT,
     FIELD(columns.exclude_list),
     .shapes = true,
     .shown_fallback = "none",
     .text = "regular expressions of columns to leave out, `TABLE.COLUMN`"},
    {.name = "column.mask.with.*",
     .family = FAMILY_COLUMNS,
     .type = TAKES_FAMILY,
     .shapes = true,
     .shown_name = "column.mask.with.N.chars",
     .shown_fallback = "none",
     .text = "a list of columns whose values become N asterisks",
     .page = "docs/schemas.md#single-columns"},
    {.name = "column.mask.hash.*",
     .family = FAMILY_COLUMNS,
     .type = TAKES_FAMILY,
     .shapes = true,
     .shown_name = "column.mask.hash.ALGORITHM.with.salt.SALT",
     .shown_fallback = "none",
     .text = "a list of columns whose values become a hash of salt and value",
     .more = "With Debezium's digits; an algorithm of OpenSSL's. With `v2.` before the "
	     "algorithm: of the value's plain UTF-8",
     .page = "docs/schemas.md#single-columns"},
    {.name = "column.truncate.to.*",
     .family = FAMILY_COLUMNS,
     .type = TAKES_FAMILY,
     .shapes = true,
     .shown_name = "column.truncate.to.N.chars",
     .shown_fallback = "none",
     .text = "a list of columns whose text is cut to N characters",
     .page = "docs/schemas.md#single-columns"},
    {.name = "message.key.columns",
     .type = TAKES_TEXT,
     FIELD(columns.key_columns),
     .shapes = true,
     .shown_fallback = "primary key",
     .text = "other columns for message keys, `TABLE:COLUMN,COLUMN;TABLE:…`",
     .more = "Tables and columns are regular expressions"},
    {.name = "topic.prefix",
     .type = TAKES_TOPIC_PART,
     FIELD(encoder.topic_prefix),
     .shapes = true,
     .shown_fallback = "file name without extension",
     .text = "`source.name`, and the first part of topics",
     .more = "Letters, digits, `_`, `.` and `-`"},
    {.name = "topic.delimiter",
     .type = TAKES_TOPIC_PART,
     FIELD(encoder.topic_delimiter),
     .fallback = ".",
     .shapes = true,
     .text = "between the parts of a topic"},
    {.name = "topic.transaction",
     .type = TAKES_TOPIC_PART,
     FIELD(encoder.topic_transaction),
     .fallback = "transaction",
     .shapes = true,
     .text = "topic of BEGIN and END, after the prefix"},
    {.name = "provide.transaction.metadata",
     .type = TAKES_BOOL,
     FIELD(encoder.transaction_metadata),
     .fallback = "false",
     .shapes = true,
     .text = "`transaction` in events, and messages BEGIN and END"},
    {.name = "transaction.context.table",
     .type = TAKES_TEXT,
     FIELD(encoder.context_table),
     .shapes = true,
     .shown_fallback = "none",
     .text = "a table whose row says who made a transaction, and why",
     .more = "The row that a transaction writes there is `context` in each of its "
	     "events, in an audit log `by`; the table's own rows give none",
     .page = "docs/context.md"},
    {.name = "transaction.context.alone",
     .type = TAKES_CHOICE,
     FIELD(encoder.context_alone),
     .choices = context_alone,
     .fallback = "drop",
     .shapes = true,
     .text = "a context without other events: `drop`, or `emit` a message",
     .page = "docs/context.md#messages"},
    {.name = "binary.handling.mode",
     .type = TAKES_CHOICE,
     FIELD(encoder.binary_mode),
     .choices = binary_modes,
     .fallback = "bytes",
     .shapes = true,
     .text = "blobs: `bytes` and `base64` are base64, `base64-url-safe`, `hex`"},
    {.name = "include.schema.changes",
     .type = TAKES_BOOL,
     FIELD(encoder.schema_changes),
     .shapes = true,
     .shown_fallback = "false; Kafka true",
     .text = "messages that tell tables' structure",
     .more = "One for each table that a snapshot has, and for each that is created, "
	     "altered or dropped"},
    {.name = "extended.headers.enabled",
     .type = TAKES_BOOL,
     FIELD(encoder.context_headers),
     .fallback = "false",
     .shapes = true,
     .text = "Debezium's headers `__debezium.context.*` on events",
     .more = "Prefix, task, connector, and an id of the run"},
    {.name = "heartbeat.interval.ms",
     .type = TAKES_NUMBER,
     FIELD(heartbeat_ms),
     .least = 0,
     .most = INT_MAX,
     .unit = "milliseconds (0: no heartbeats)",
     .fallback = "0",
     .text = "a heartbeat message every so many milliseconds; 0: none",
     .more = "Between transactions, also while nothing else happens"},
    {.name = "topic.heartbeat.prefix",
     .type = TAKES_TOPIC_PART,
     FIELD(encoder.heartbeat_prefix),
     .fallback = "__debezium-heartbeat",
     .text = "topic of heartbeats, before the prefix"},
    {.name = "heartbeat.topics.prefix",
     .kind = PROPERTY_ALIAS,
     .alias_of = "topic.heartbeat.prefix"},
    {.name = "notification.enabled.channels",
     .type = TAKES_SET,
     FIELD(notification_channels),
     .choices = notification_channels,
     .fallback = "log",
     .text = "where it is told how snapshots go: `log`, `sink`, `file`, or `none`",
     .more =
	 "`log`: a line on stderr for each step of a snapshot on demand, progress "
	 "and the first snapshot with `--verbose` only. `jmx` is accepted, and does "
	 "nothing",
     .page = "docs/schemas.md#messages-that-are-no-events"},
    {.name = "notification.sink.topic.name",
     .type = TAKES_TOPIC_PART,
     FIELD(encoder.notification_topic),
     .shown_fallback = "none",
     .text = "the whole topic of notifications, for the channel `sink`"},
    {.name = "notification.file",
     .type = TAKES_PATH,
     FIELD(notification_file),
     .shown_fallback = "none",
     .text = "the file that notifications are appended to, for the channel `file`",
     .more =
	 "One JSON value a line, without a schema. It is opened for each, so it may "
	 "be moved away at any time"},
    {.name = "schemas.enable",
     .type = TAKES_BOOL,
     FIELD(encoder.schemas),
     .fallback = "false",
     .shapes = true,
     .text = "messages carry their schema, values are of the column's type",
     .more = "Keys and values are `{\"schema\":…,\"payload\":…}`, as Kafka "
	     "Connect's JsonConverter writes them. `value.converter.schemas.enable` is "
	     "another name for it",
     .page = "docs/schemas.md"},
    {.name = "value.converter.schemas.enable",
     .kind = PROPERTY_ALIAS,
     .alias_of = "schemas.enable"},
    {.name = "key.converter.schemas.enable",
     .kind = PROPERTY_ALIAS,
     .alias_of = "schemas.enable"},
    {.name = "header.converter.schemas.enable",
     .type = TAKES_BOOL,
     FIELD(header_schemas),
     .fallback = "false",
     .shapes = true,
     .text = "with schemas: values of headers have theirs, too",
     .more = "For sinks whose `header.converter` is JsonConverter; Connect's default "
	     "converter reads them without",
     .page = "docs/schemas.md#headers"},
    {.name = "type.mapping",
     .type = TAKES_CHOICE,
     FIELD(encoder.type_mapping),
     .choices = type_mappings,
     .fallback = "declared",
     .shapes = true,
     .text = "with schemas: `declared` types decide, or the `affinity` alone"},
    {.name = "decimal.handling.mode",
     .type = TAKES_CHOICE,
     FIELD(encoder.decimal_mode),
     .choices = decimal_modes,
     .fallback = "double",
     .shapes = true,
     .text = "with schemas: NUMERIC and DECIMAL columns are `double` or `string`",
     .more = "So are those that declare NUMBER or MONEY"},
    {.name = "event.converting.failure.handling.mode",
     .type = TAKES_CHOICE,
     FIELD(encoder.on_conversion_failure),
     .choices = failure_modes,
     .fallback = "warn",
     .shapes = true,
     .text = "with schemas, a value that does not fit: `warn`, `fail`, `skip`",
     .more = "`warn` makes it null and warns, or exits if it may not be null; `fail` "
	     "exits; `skip` leaves the event out"},
    {.name = "field.name.adjustment.mode",
     .type = TAKES_CHOICE,
     FIELD(encoder.field_names),
     .choices = name_adjustments,
     .fallback = "none",
     .shapes = true,
     .text = "column names that Avro allows: `none`, `avro`, `avro_unicode`",
     .more = "With `avro` other characters become `_`, with `avro_unicode` `_u` and "
	     "their code"},
    {.name = "schema.name.adjustment.mode",
     .type = TAKES_CHOICE,
     FIELD(encoder.schema_names),
     .choices = name_adjustments,
     .fallback = "none",
     .shapes = true,
     .text = "names of schemas that Avro allows: `none`, `avro`, `avro_unicode`"},
    {.name = "tombstones.on.delete",
     .type = TAKES_BOOL,
     FIELD(encoder.tombstones_on_delete),
     .fallback = "true",
     .shapes = true,
     .text = "a null value after each delete",
     .more = "With Kafka and `--lines=record`"},
    {.name = "skipped.operations",
     .type = TAKES_SET,
     FIELD(encoder.skipped_operations),
     .choices = operations,
     .fallback = "none",
     .shapes = true,
     .text = "a list of `c`, `u`, `d` that give no events",
     .more = "`t` is accepted: SQLite has no TRUNCATE"},
    {.name = "audit.row",
     .type = TAKES_CHOICE,
     FIELD(encoder.audit_full_rows),
     .choices = audit_rows,
     .fallback = "changed",
     .shapes = true,
     .text = "an audit log's updates: what `changed`, or the `full` rows beside it"},
    {.name = "audit.process",
     .type = TAKES_BOOL,
     FIELD(encoder.audit_process),
     .fallback = "false",
     .shapes = true,
     .text = "an audit log names the process that wrote, as the kernel tells it",
     .more = "Or the few that can have. Needs CAP_SYS_ADMIN",
     .page = "docs/audit.md#which-process-wrote"},
    {.name = "snapshot.mode",
     .type = TAKES_CHOICE,
     FIELD(snapshot_mode),
     .choices = snapshot_modes,
     .shown_fallback = "no_data; with a state directory initial",
     .text = "do the rows that are there come first? `initial`, `no_data` or others",
     .more = "`initial` (as `--snapshot`): the rows that are there first; "
	     "`initial_only`: those rows alone, then exit; `no_data`: follow from now. "
	     "With a state directory the snapshot is taken once in its life, with "
	     "`always` at each start, and `when_needed` also takes a new one when "
	     "Kafka and the directory do not go together; rows deleted meanwhile are "
	     "not announced",
     .page = "docs/kafka.md#starts"},
    {.name = "snapshot.select.statement.overrides",
     .type = TAKES_TEXT,
     FIELD(override_list),
     .shapes = true,
     .shown_fallback = "none",
     .text = "tables whose snapshot rows come from a SELECT of yours",
     .more = "Separated by commas; the statement of each in "
	     "`snapshot.select.statement.overrides.TABLE`. Its result must have every "
	     "column of the table; it reads the moment of the snapshot and takes no "
	     "lock"},
    {.name = SELECT_OVERRIDE_PREFIX "*",
     .type = TAKES_FAMILY,
     .family = FAMILY_OVERRIDES,
     .shapes = true},
    {.name = "snapshot.new.tables",
     .type = TAKES_CHOICE,
     FIELD(new_tables),
     .choices = new_tables,
     .fallback = "initial",
     .text = "the rows of tables that the lists newly include: `initial`, `no_data`",
     .page = "docs/snapshots.md#tables-that-the-lists-newly-include"},
    {.name = "incremental.snapshot.chunk.size",
     .type = TAKES_NUMBER,
     FIELD(incremental_snapshot_rows),
     .least = 1,
     .most = 1000000,
     .unit = "rows from 1 to 1000000",
     .fallback = "1024",
     .shapes = true,
     .text = "so many rows of an incremental snapshot come at once",
     .more = "Between transactions, which wait for them; fewer where they are long",
     .page = "docs/snapshots.md"},
    {.name = "signal.enabled.channels",
     .type = TAKES_SET,
     FIELD(signal_channels),
     .choices = signal_channels,
     .shown_fallback = "those that are set",
     .text = "where signals come from, such as for a snapshot: `source`, `file`",
     .more = "`source`: `signal.data.collection`; `file`: `signal.file`. `rowtail "
	     "signal` needs none of them",
     .page = "docs/signals.md"},
    {.name = "signal.data.collection",
     .type = TAKES_TEXT,
     FIELD(signal_collection),
     .shown_fallback = "none",
     .shapes = true,
     .text = "the table whose new rows are signals: `id`, `type`, `data`",
     .more = "A schema or database before a dot is left out",
     .page = "docs/signals.md#a-table"},
    {.name = "signal.file",
     .type = TAKES_PATH,
     FIELD(signal_file),
     .shown_fallback = "none",
     .text = "a file whose lines are signals; it is cut when they are taken",
     .more = "With `signal.enabled.channels=file` alone it is `file-signals.txt`",
     .page = "docs/signals.md#a-file"},
    {.name = "signal.poll.interval.ms",
     .type = TAKES_NUMBER,
     FIELD(signal_poll_ms),
     .least = 1,
     .most = INT_MAX,
     .unit = "milliseconds from 1 on",
     .fallback = "5000",
     .text = "that file is looked at every so many milliseconds",
     .page = "docs/signals.md#a-file"},
    {.name = "exactly.once.support",
     .type = TAKES_CHOICE,
     FIELD(kafka.exactly_once),
     .choices = delivery_modes,
     .fallback = "required",
     .text = "for Kafka: `required` or `disabled`",
     .more = "`disabled`: at least once, sooner, without transactions"},
    {.name = "message.too.large",
     .type = TAKES_CHOICE,
     FIELD(kafka.skips_too_large),
     .choices = too_large_modes,
     .fallback = "fail",
     .text = "for Kafka: `fail` (exit 1), or `skip` the message, with a warning"},
    {.name = "topic.creation.*",
     .family = FAMILY_KAFKA,
     .type = TAKES_FAMILY,
     .shown_name = "topic.creation.enable, topic.creation.default.*",
     .shown_fallback = "true, the brokers'",
     .text = "whether and how missing Kafka topics are made",
     .more = "As Connect names it: `partitions`, `replication.factor`, or any setting "
	     "of a topic",
     .page = "docs/kafka.md#topics"},
    {.name = "producer.*",
     .family = FAMILY_KAFKA,
     .type = TAKES_FAMILY,
     .shown_fallback = "librdkafka's",
     .text = "settings of librdkafka, such as `producer.sasl.password`",
     .more = "Values may be `${file:PATH:KEY}` (a key of a properties file), "
	     "`${env:NAME}`, `${directory:PATH:NAME}` (the whole of a file); they are "
	     "never printed"},
    {.name = "hold.escalate",
     .type = TAKES_BOOL,
     FIELD(hold_escalate),
     .fallback = "true",
     .text = "may take the write lock for a moment as a last resort",
     .more = "When a writer that never pauses, and readers that overlap all the time, "
	     "have let the WAL grow to 12,000 pages. A writer without a busy timeout "
	     "may then see `SQLITE_BUSY`"},
    {.name = "hold.max.wal.bytes",
     .type = TAKES_BYTES,
     FIELD(hold_max_wal_bytes),
     .unit = "bytes (0: no limit)",
     .fallback = "1073741824",
     .text = "how much of the WAL may wait for rowtail; 0: no limit",
     .more = "Past it exit 1; with a state directory the WAL is let go, and what is "
	     "missed is found by comparing"},
    {.name = "journal.max.bytes",
     .type = TAKES_BYTES,
     FIELD(journal_max_bytes),
     .unit = "bytes (0: no limit)",
     .fallback = "1073741824",
     .text = "size of the file of changes not printed yet; 0: no limit",
     .more = "Past it commits wait in the WAL. With a state directory: of the journal, "
	     "past it the oldest changes that nobody has seen become one transaction, "
	     "their net effect, with the header `rowtail.merged`"},
    {.name = "archive.s3.endpoint",
     .type = TAKES_TEXT,
     FIELD(storage.s3_endpoint),
     .shown_fallback = "AWS",
     .text = "the server of an archive `s3://…`, `https://HOST:PORT`",
     .more = "The bucket is then the first part of the path; at AWS, of the host",
     .page = "docs/archive.md#s3"},
    {.name = "archive.s3.bucket.in.host",
     .type = TAKES_BOOL,
     FIELD(storage.s3_in_host),
     .fallback = "false",
     .text = "the bucket is in front of that server's host, not in the path",
     .more = "As some servers want it; at AWS it is so anyway",
     .page = "docs/archive.md#s3"},
    {.name = "archive.s3.region",
     .type = TAKES_TEXT,
     FIELD(storage.s3_region),
     .shown_fallback = "`AWS_REGION`, else us-east-1",
     .text = "the region of its bucket"},
    {.name = "archive.s3.ca",
     .type = TAKES_TEXT,
     FIELD(storage.s3_ca),
     .shown_fallback = "the system's",
     .text = "a PEM file with the CA that its certificate is from"},
    {.name = "archive.s3.connections",
     .type = TAKES_NUMBER,
     FIELD(storage.s3_connections),
     .least = 1,
     .most = 16,
     .unit = "connections from 1 to 16",
     .fallback = "4",
     .text = "how many of them read ahead, where files come one after the other",
     .more = "1: none does"},
    {.name = "archive.s3.timeout.ms",
     .type = TAKES_NUMBER,
     FIELD(storage.s3_timeout_ms),
     .least = 1000,
     .most = 3600000,
     .unit = "milliseconds from 1000 to 3600000",
     .fallback = "60000",
     .text = "silence after which a request to it is sent again"},
    {.name = "archive.s3.access.key.id",
     .type = TAKES_SECRET,
     FIELD(storage.s3_secrets[STORAGE_S3_ACCESS]),
     .shown_fallback = "`AWS_ACCESS_KEY_ID`",
     .text = "credentials for it, such as `${file:PATH:KEY}`",
     .more = "From a file, as ps shows the command line; see `producer.*` for the "
	     "references"},
    {.name = "archive.s3.secret.access.key",
     .type = TAKES_SECRET,
     FIELD(storage.s3_secrets[STORAGE_S3_SECRET]),
     .shown_fallback = "`AWS_SECRET_ACCESS_KEY`",
     .text = "the secret that belongs to it"},
    {.name = "archive.s3.session.token",
     .type = TAKES_SECRET,
     FIELD(storage.s3_secrets[STORAGE_S3_TOKEN]),
     .shown_fallback = "`AWS_SESSION_TOKEN`",
     .text = "the token of temporary credentials"},
    {.name = "archive.interval.ms",
     .type = TAKES_NUMBER,
     FIELD(archive_interval_ms),
     .least = 0,
     .most = INT_MAX,
     .unit = "milliseconds (0: as soon as it is captured)",
     .fallback = "1000",
     .text = "with `--archive`, a file every so many milliseconds; 0: at once",
     .more =
	 "As long as something changes, and sooner where it is more than a MiB. Each "
	 "end of a file is a moment that can be restored",
     .page = "docs/archive.md#writing"},
    {.name = "archive.take.over",
     .type = TAKES_BOOL,
     FIELD(archive_take_over),
     .fallback = "false",
     .text = "write into an archive of another state directory, or Litestream's",
     .more = "Which nobody writes to any more. Not needed again later",
     .page = "docs/archive.md#writing"},
    {.name = "audit.redactable",
     .type = TAKES_BOOL,
     FIELD(audit_redactable),
     .fallback = "true",
     .text = "an audit log's lines are salted, so that one can be taken out later",
     .more = "Without a salt the hash that stays of a line gives away what is easily "
	     "guessed",
     .page = "docs/audit.md"},
    {.name = "audit.rotate.bytes",
     .type = TAKES_BYTES,
     FIELD(audit_rotate_bytes),
     .unit = "bytes (0: no limit)",
     .fallback = "67108864",
     .text = "so large a file of an audit log is closed, and a new one begun; 0: never",
     .more = "Each file has a key of its own",
     .page = "docs/audit.md#files"},
    {.name = "audit.rotate.hours",
     .type = TAKES_NUMBER,
     FIELD(audit_rotate_hours),
     .least = 0,
     .most = 100000,
     .unit = "hours (0: never)",
     .fallback = "24",
     .text = "so old a file of an audit log is closed, too; 0: never",
     .page = "docs/audit.md#files"},
    {.name = "audit.compress",
     .type = TAKES_BOOL,
     FIELD(audit_compress),
     .fallback = "true",
     .text = "files of an audit log that are closed are compressed (Zstandard)",
     .page = "docs/audit.md#files"},
    {.name = "audit.retention.days",
     .type = TAKES_NUMBER,
     FIELD(audit_retention_days),
     .least = 0,
     .most = 100000,
     .unit = "days (0: for ever)",
     .fallback = "0",
     .text = "so long files of an audit log stay; 0: for ever",
     .more = "Whole files go, the oldest first, and the log tells which lines went",
     .page = "docs/audit.md#files"},
    {.name = "audit.retention.bytes",
     .type = TAKES_BYTES,
     FIELD(audit_retention_bytes),
     .unit = "bytes (0: no limit)",
     .fallback = "0",
     .text = "so much room all files of an audit log may take; 0: no limit",
     .page = "docs/audit.md#files"},
    {.name = "audit.retention.checkpoint",
     .type = TAKES_PATH,
     FIELD(audit_retention_checkpoint),
     .shown_fallback = "none",
     .text = "a copy of a head that is kept elsewhere: only lines that it signs may go",
     .page = "docs/audit.md#files"},
    {.name = "archive.compaction.levels",
     .type = TAKES_TEXT,
     FIELD(policy.levels),
     .fallback = "30s, 5m, 1h",
     .text = "files of an archive are merged so often, level by level; or none",
     .more =
	 "As soon as there are 100 files to be merged, too. Times kept are those of "
	 "capture",
     .page = "docs/archive.md#what-is-kept"},
    {.name = "archive.snapshot.interval",
     .type = TAKES_TEXT,
     FIELD(policy.snapshot),
     .fallback = "24h",
     .text = "a whole database is put into the archive so often; or none",
     .more = "It is made of the archive's own files. Without one nothing older goes",
     .page = "docs/archive.md#what-is-kept"},
    {.name = "archive.retention",
     .type = TAKES_TEXT,
     FIELD(policy.retention),
     .fallback = "7d",
     .text = "so far back an archive can be restored, by merged files; or forever",
     .more = "What is older goes when a snapshot is older, too, and one more is kept",
     .page = "docs/archive.md#what-is-kept"},
    {.name = "archive.l0.retention",
     .type = TAKES_TEXT,
     FIELD(policy.l0_retention),
     .fallback = "24h",
     .text = "so far back an archive has each file as it was written; or forever",
     .page = "docs/archive.md#what-is-kept"},
};

#define BUILT_COUNT (sizeof properties / sizeof *properties)

size_t property_count(void)
{
	return BUILT_COUNT + others_property_count;
}

const struct property *property_at(size_t index)
{
	return index < BUILT_COUNT ? &properties[index]
				   : &others_properties[index - BUILT_COUNT];
}

size_t property_find(const char *key)
{
	size_t family = property_count();
	size_t family_len = 0;

	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);
		size_t len = strlen(p->name) - 1;

		if (p->kind == PROPERTY_OPTION) {
			continue;
		}
		if (strcmp(p->name, key) == 0) {
			return i;
		}
		if (p->name[len] == '*' && len > family_len &&
		    strncmp(p->name, key, len) == 0) {
			family = i;
			family_len = len;
		}
	}
	return family;
}

/* A name that does nothing must be so much nearer. */
#define IDLE_HANDICAP 3

const char *property_nearest(const char *key)
{
	struct nearest_name near;

	nearest_name_init(&near, key);
	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);

		if (p->kind != PROPERTY_OPTION && !strchr(p->name, '*')) {
			nearest_name_offer(&near, p->name,
					   p->kind == PROPERTY_BUILT ? 0
								     : IDLE_HANDICAP);
		}
	}
	return near.nearest;
}

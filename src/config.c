/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/topic_name.h"
#include "src/properties.h"

#define GIB (UINT64_C(1) << 30)

#define TOPIC_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct config_setting {
	char *where; /* NULL: not set */
	char *key;   /* as given */
	char *value;
	enum config_rank rank;
};

/* Takes the value of one property into the config. */
typedef enum status setting_apply(struct config *config,
				  const struct config_setting *setting,
				  struct error *err);

/* ---- values ---- */

static enum status out_of_memory(struct error *err)
{
	return error_set(err, ST_NOMEM, "out of memory for the configuration");
}

/* "WHERE KEY=VALUE: " and what it must be. */
static enum status bad_value(const struct config_setting *s, const char *must,
			     struct error *err)
{
	return error_set(err, ST_CONFIG, "%s%s=%s: must be %s", s->where, s->key,
			 s->value, must);
}

static enum status not_built(const struct config_setting *s, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s%s=%s is not built yet in this version; leave it out",
			 s->where, s->key, s->value);
}

static enum status set_text(char **field, const struct config_setting *s,
			    struct error *err)
{
	free(*field);
	*field = strdup(s->value);
	return *field ? ST_OK : out_of_memory(err);
}

static enum status set_bool(bool *field, const struct config_setting *s,
			    struct error *err)
{
	if (strcasecmp(s->value, "true") != 0 && strcasecmp(s->value, "false") != 0) {
		return bad_value(s, "true or false", err);
	}
	*field = strcasecmp(s->value, "true") == 0;
	return ST_OK;
}

/* 0 is "no limit", as Debezium's limits in bytes have it. */
static enum status set_limit(uint64_t *field, const struct config_setting *s,
			     struct error *err)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(s->value, &end, 10);
	if (s->value[0] < '0' || s->value[0] > '9' || *end || errno) {
		return bad_value(s, "a number of bytes (0: no limit)", err);
	}
	*field = n ? n : UINT64_MAX;
	return ST_OK;
}

/* Part of a topic's name. */
static enum status set_topic_part(char **field, const struct config_setting *s,
				  struct error *err)
{
	if (!s->value[0] || s->value[strspn(s->value, TOPIC_CHARS)]) {
		return bad_value(s, "one or more of a-z, A-Z, 0-9, '_', '.' and '-'",
				 err);
	}
	return set_text(field, s, err);
}

static enum status apply_database(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	if (!s->value[0]) {
		return error_set(err, ST_CONFIG, "%s%s: the path is empty", s->where,
				 s->key);
	}
	return set_text(&c->database_path, s, err);
}

static enum status apply_include(struct config *c, const struct config_setting *s,
				 struct error *err)
{
	return s->value[0] ? set_text(&c->table_include_list, s, err) : ST_OK;
}

static enum status apply_exclude(struct config *c, const struct config_setting *s,
				 struct error *err)
{
	return s->value[0] ? set_text(&c->table_exclude_list, s, err) : ST_OK;
}

static enum status apply_prefix(struct config *c, const struct config_setting *s,
				struct error *err)
{
	return set_topic_part(&c->topic_prefix, s, err);
}

static enum status apply_delimiter(struct config *c, const struct config_setting *s,
				   struct error *err)
{
	return set_topic_part(&c->topic_delimiter, s, err);
}

static enum status apply_transaction_topic(struct config *c,
					   const struct config_setting *s,
					   struct error *err)
{
	return set_topic_part(&c->topic_transaction, s, err);
}

static enum status apply_metadata(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	return set_bool(&c->transaction_metadata, s, err);
}

static enum status apply_tombstones(struct config *c, const struct config_setting *s,
				    struct error *err)
{
	return set_bool(&c->tombstones_on_delete, s, err);
}

static enum status apply_escalate(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	return set_bool(&c->hold_escalate, s, err);
}

static enum status apply_wal_limit(struct config *c, const struct config_setting *s,
				   struct error *err)
{
	return set_limit(&c->hold_max_wal_bytes, s, err);
}

static enum status apply_journal_limit(struct config *c, const struct config_setting *s,
				       struct error *err)
{
	return set_limit(&c->journal_max_bytes, s, err);
}

static enum status apply_binary(struct config *c, const struct config_setting *s,
				struct error *err)
{
	static const struct {
		const char *name;
		enum binary_mode mode;
	} modes[] = {
	    {"bytes", BINARY_BASE64},
	    {"base64", BINARY_BASE64},
	    {"base64-url-safe", BINARY_BASE64_URL_SAFE},
	    {"hex", BINARY_HEX},
	};
	size_t i;

	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcasecmp(s->value, modes[i].name) == 0) {
			c->binary_mode = modes[i].mode;
			return ST_OK;
		}
	}
	return bad_value(s, "bytes, base64, base64-url-safe or hex", err);
}

static enum status apply_snapshot(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	if (strcasecmp(s->value, "initial") == 0 ||
	    strcasecmp(s->value, "always") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_INITIAL;
	} else if (strcasecmp(s->value, "initial_only") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_INITIAL_ONLY;
	} else if (strcasecmp(s->value, "no_data") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_NO_DATA;
	} else if (strcasecmp(s->value, "when_needed") == 0) {
		return not_built(s, err);
	} else {
		return bad_value(s, "initial, initial_only, no_data or always", err);
	}
	return ST_OK;
}

/* One operation of skipped.operations. */
static bool skip_operation(struct config *c, const char *name, size_t len)
{
	if (len != 1) {
		return false;
	}
	switch (name[0] | 32) {
	case 'c':
		c->skip_create = true;
		return true;
	case 'u':
		c->skip_update = true;
		return true;
	case 'd':
		c->skip_delete = true;
		return true;
	case 't': /* SQLite has no TRUNCATE */
		return true;
	default:
		return false;
	}
}

static enum status apply_skipped(struct config *c, const struct config_setting *s,
				 struct error *err)
{
	const char *p = s->value + strspn(s->value, " ");

	if (strcasecmp(p, "none") == 0) {
		return ST_OK;
	}
	for (;;) {
		size_t len = strcspn(p, ", ");

		if (!skip_operation(c, p, len)) {
			return bad_value(s, "none, or a list of c, u, d and t", err);
		}
		p += len;
		p += strspn(p, " ");
		if (!*p) {
			return ST_OK;
		}
		if (*p++ != ',') {
			return bad_value(s, "none, or a list of c, u, d and t", err);
		}
		p += strspn(p, " ");
	}
}

/* ---- the properties ---- */

enum property_kind {
	PROPERTY_BUILT,
	PROPERTY_NOT_BUILT, /* the default alone is accepted, if it is given here */
	PROPERTY_IGNORED,   /* Debezium's, without a meaning here */
};

struct property {
	const char *name; /* one that ends in '*' stands for all with that beginning */
	enum property_kind kind;
	setting_apply *apply;     /* PROPERTY_BUILT */
	const char *only_default; /* PROPERTY_NOT_BUILT; NULL: no value is accepted */
};

#define BUILT(name, apply)                            \
	{                                             \
		(name), PROPERTY_BUILT, (apply), NULL \
	}
#define NOT_BUILT(name, value)                            \
	{                                                 \
		(name), PROPERTY_NOT_BUILT, NULL, (value) \
	}
#define IGNORED(name)                                \
	{                                            \
		(name), PROPERTY_IGNORED, NULL, NULL \
	}

static const struct property properties[] = {
    BUILT("binary.handling.mode", apply_binary),
    BUILT("database.file.path", apply_database),
    BUILT("hold.escalate", apply_escalate),
    BUILT("hold.max.wal.bytes", apply_wal_limit),
    BUILT("journal.max.bytes", apply_journal_limit),
    BUILT("provide.transaction.metadata", apply_metadata),
    BUILT("skipped.operations", apply_skipped),
    BUILT("snapshot.mode", apply_snapshot),
    BUILT("table.exclude.list", apply_exclude),
    BUILT("table.include.list", apply_include),
    BUILT("tombstones.on.delete", apply_tombstones),
    BUILT("topic.delimiter", apply_delimiter),
    BUILT("topic.prefix", apply_prefix),
    BUILT("topic.transaction", apply_transaction_topic),

    NOT_BUILT("column.exclude.list", NULL),
    NOT_BUILT("column.include.list", NULL),
    NOT_BUILT("column.mask.hash.*", NULL),
    NOT_BUILT("column.mask.with.*", NULL),
    NOT_BUILT("column.truncate.to.*", NULL),
    NOT_BUILT("decimal.handling.mode", NULL),
    NOT_BUILT("event.converting.failure.handling.mode", "warn"),
    NOT_BUILT("exactly.once.support", NULL),
    NOT_BUILT("extended.headers.enabled", "false"),
    NOT_BUILT("field.name.adjustment.mode", "none"),
    NOT_BUILT("heartbeat.interval.ms", "0"),
    NOT_BUILT("include.schema.changes", "false"),
    NOT_BUILT("incremental.snapshot.chunk.size", "1024"),
    NOT_BUILT("max.batch.size", "2048"),
    NOT_BUILT("message.key.columns", NULL),
    NOT_BUILT("message.too.large", NULL),
    NOT_BUILT("notification.enabled.channels", NULL),
    NOT_BUILT("notification.sink.topic.name", NULL),
    NOT_BUILT("producer.*", NULL),
    NOT_BUILT("schema.name.adjustment.mode", "none"),
    NOT_BUILT("schemas.enable", "false"),
    NOT_BUILT("signal.data.collection", NULL),
    NOT_BUILT("signal.enabled.channels", "source"),
    NOT_BUILT("signal.file", NULL),
    NOT_BUILT("signal.kafka.*", NULL),
    NOT_BUILT("signal.poll.interval.ms", "5000"),
    NOT_BUILT("snapshot.select.statement.overrides", NULL),
    NOT_BUILT("snapshot.select.statement.overrides.*", NULL),
    NOT_BUILT("topic.creation.*", NULL),
    NOT_BUILT("topic.heartbeat.prefix", "__debezium-heartbeat"),
    NOT_BUILT("type.mapping", "declared"),

    IGNORED("bigint.unsigned.handling.mode"),
    IGNORED("binlog.*"),
    IGNORED("cdc.log.batch.size"),
    IGNORED("column.propagate.source.type"),
    IGNORED("config.action.reload"),
    IGNORED("config.providers"),
    IGNORED("config.providers.*"),
    IGNORED("connect.keep.alive"),
    IGNORED("connect.keep.alive.interval.ms"),
    IGNORED("connect.timeout.ms"),
    IGNORED("connection.validation.timeout.ms"),
    IGNORED("connector.class"),
    IGNORED("converters"),
    IGNORED("custom.metric.tags"),
    IGNORED("custom.sanitize.pattern"),
    IGNORED("database.dbname"),
    IGNORED("database.exclude.list"),
    IGNORED("database.hostname"),
    IGNORED("database.include.list"),
    IGNORED("database.initial.statements"),
    IGNORED("database.names"),
    IGNORED("database.password"),
    IGNORED("database.port"),
    IGNORED("database.query.timeout.ms"),
    IGNORED("database.server.id"),
    IGNORED("database.server.id.offset"),
    IGNORED("database.server.name"),
    IGNORED("database.ssl.*"),
    IGNORED("database.sslcert"),
    IGNORED("database.sslfactory"),
    IGNORED("database.sslkey"),
    IGNORED("database.sslmode"),
    IGNORED("database.sslpassword"),
    IGNORED("database.sslrootcert"),
    IGNORED("database.tcpKeepAlive"),
    IGNORED("database.user"),
    IGNORED("datatype.propagate.source.type"),
    IGNORED("driver.*"),
    IGNORED("enable.time.adjuster"),
    IGNORED("errors.*"),
    IGNORED("event.deserialization.failure.handling.mode"),
    IGNORED("event.processing.failure.handling.mode"),
    IGNORED("executor.shutdown.timeout.ms"),
    IGNORED("flush.lsn.source"),
    IGNORED("gtid.source.*"),
    IGNORED("guardrail.collections.*"),
    IGNORED("header.converter"),
    IGNORED("heartbeat.action.query"),
    IGNORED("heartbeat.topics.prefix"),
    IGNORED("hstore.handling.mode"),
    IGNORED("include.query"),
    IGNORED("include.schema.comments"),
    IGNORED("include.unknown.datatypes"),
    IGNORED("inconsistent.schema.handling.mode"),
    IGNORED("incremental.snapshot.allow.schema.changes"),
    IGNORED("incremental.snapshot.watermarking.strategy"),
    IGNORED("internal.*"),
    IGNORED("interval.handling.mode"),
    IGNORED("key.converter"),
    IGNORED("key.converter.*"),
    IGNORED("legacy.snapshot.max.threads"),
    IGNORED("lsn.flush.*"),
    IGNORED("max.queue.size"),
    IGNORED("max.queue.size.in.bytes"),
    IGNORED("memory.management.*"),
    IGNORED("message.prefix.exclude.list"),
    IGNORED("message.prefix.include.list"),
    IGNORED("min.row.count.to.stream.results"),
    IGNORED("name"),
    IGNORED("nonnull.affinity.mismatch.fallback"),
    IGNORED("offset.flush.*"),
    IGNORED("offset.storage"),
    IGNORED("offset.storage.*"),
    IGNORED("openlineage.integration.*"),
    IGNORED("plugin.name"),
    IGNORED("poll.interval.ms"),
    IGNORED("post.processors"),
    IGNORED("predicates"),
    IGNORED("predicates.*"),
    IGNORED("publication.*"),
    IGNORED("publish.via.partition.root"),
    IGNORED("query.fetch.size"),
    IGNORED("replica.identity.autoset.values"),
    IGNORED("retriable.restart.connector.wait.ms"),
    IGNORED("schema.exclude.list"),
    IGNORED("schema.history.internal"),
    IGNORED("schema.history.internal.*"),
    IGNORED("schema.include.list"),
    IGNORED("schema.refresh.mode"),
    IGNORED("skip.messages.without.change"),
    IGNORED("slot.*"),
    IGNORED("snapshot.delay.ms"),
    IGNORED("snapshot.fetch.size"),
    IGNORED("snapshot.include.collection.list"),
    IGNORED("snapshot.isolation.mode"),
    IGNORED("snapshot.lock.timeout.ms"),
    IGNORED("snapshot.locking.mode"),
    IGNORED("snapshot.locking.mode.custom.name"),
    IGNORED("snapshot.max.threads"),
    IGNORED("snapshot.max.threads.multiplier"),
    IGNORED("snapshot.mode.configuration.based.*"),
    IGNORED("snapshot.mode.custom.name"),
    IGNORED("snapshot.query.mode"),
    IGNORED("snapshot.query.mode.custom.name"),
    IGNORED("snapshot.tables.order.by.row.count"),
    IGNORED("sourceinfo.struct.maker"),
    IGNORED("statistics.metrics.enabled"),
    IGNORED("status.update.interval.ms"),
    IGNORED("streaming.delay.ms"),
    IGNORED("table.ignore.builtin"),
    IGNORED("tasks.max"),
    IGNORED("time.precision.mode"),
    IGNORED("topic.cache.size"),
    IGNORED("topic.naming.strategy"),
    IGNORED("transaction.metadata.factory"),
    IGNORED("transforms"),
    IGNORED("transforms.*"),
    IGNORED("unavailable.value.placeholder"),
    IGNORED("use.nongraceful.disconnect"),
    IGNORED("value.converter"),
    IGNORED("value.converter.*"),
    IGNORED("xmin.fetch.interval.ms"),
};

#define PROPERTY_COUNT (sizeof properties / sizeof *properties)

/* PROPERTY_COUNT if there is none. */
static size_t property_find(const char *key)
{
	size_t family = PROPERTY_COUNT;
	size_t i;

	for (i = 0; i < PROPERTY_COUNT; i++) {
		const char *name = properties[i].name;
		size_t len = strlen(name) - 1;

		if (strcmp(name, key) == 0) {
			return i;
		}
		if (name[len] == '*' && strncmp(name, key, len) == 0) {
			family = i;
		}
	}
	return family;
}

/* ---- the nearest name ---- */

#define NAME_MAX_LEN 64 /* longer keys are compared by their beginning */

/* Insertions, deletions and replacements that make `b` of `a`. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t a_len = strnlen(a, NAME_MAX_LEN);
	size_t b_len = strnlen(b, NAME_MAX_LEN);
	size_t i;
	size_t j;

	for (j = 0; j <= b_len; j++) {
		row[j] = (unsigned)j;
	}
	for (i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[b_len];
}

static const char *nearest_name(const char *key)
{
	const char *nearest = properties[0].name;
	unsigned least = UINT32_MAX;
	size_t i;

	for (i = 0; i < PROPERTY_COUNT; i++) {
		unsigned distance = edit_distance(key, properties[i].name);

		if (distance < least && !strchr(properties[i].name, '*')) {
			least = distance;
			nearest = properties[i].name;
		}
	}
	return nearest;
}

/* ---- the config ---- */

void config_init(struct config *config)
{
	*config = (struct config){
	    .command = COMMAND_FOLLOW,
	    .log_most = LOG_INFO,
	    .snapshot_mode = SNAPSHOT_MODE_NO_DATA,
	    .lines = LINES_VALUE,
	    .tombstones_on_delete = true,
	    .hold_escalate = true,
	    .hold_max_wal_bytes = GIB,
	    .journal_max_bytes = 8 * GIB,
	};
}

static void setting_clear(struct config_setting *s)
{
	free(s->where);
	free(s->key);
	free(s->value);
	*s = (struct config_setting){0};
}

static void settings_clear(struct config *config)
{
	size_t i;

	for (i = 0; config->settings && i < PROPERTY_COUNT; i++) {
		setting_clear(&config->settings[i]);
	}
	free(config->settings);
	config->settings = NULL;
}

void config_clear(struct config *config)
{
	size_t i;

	settings_clear(config);
	free(config->database_path);
	free(config->database_name);
	free(config->table_include_list);
	free(config->table_exclude_list);
	free(config->topic_prefix);
	free(config->topic_delimiter);
	free(config->topic_transaction);
	for (i = 0; i < config->warning_count; i++) {
		free(config->warnings[i]);
	}
	free(config->warnings);
	config_init(config);
}

static enum status add_warning(struct config *config, const char *where,
			       const char *key, struct error *err)
{
	char **warnings =
	    reallocarray(config->warnings, config->warning_count + 1, sizeof *warnings);

	if (!warnings) {
		return out_of_memory(err);
	}
	config->warnings = warnings;
	if (asprintf(&warnings[config->warning_count],
		     "%s%s has no meaning for SQLite or rowtail and is ignored", where,
		     key) < 0) {
		return out_of_memory(err);
	}
	config->warning_count++;
	return ST_OK;
}

static enum status setting_fill(struct config_setting *s, enum config_rank rank,
				const char *where, const char *key, const char *value,
				struct error *err)
{
	if (s->where && s->rank > rank) {
		return ST_OK;
	}
	setting_clear(s);
	s->rank = rank;
	s->where = strdup(where);
	s->key = strdup(key);
	s->value = strdup(value);
	return s->where && s->key && s->value ? ST_OK : out_of_memory(err);
}

enum status config_set(struct config *config, enum config_rank rank, const char *where,
		       const char *key, const char *value, struct error *err)
{
	size_t i = property_find(key);

	if (i == PROPERTY_COUNT) {
		return error_set(err, ST_CONFIG,
				 "%s%s: unknown property; the nearest known one is %s",
				 where, key, nearest_name(key));
	}
	if (properties[i].kind == PROPERTY_IGNORED) {
		return add_warning(config, where, key, err);
	}
	if (!config->settings) {
		config->settings = calloc(PROPERTY_COUNT, sizeof *config->settings);
		if (!config->settings) {
			return out_of_memory(err);
		}
	}
	return setting_fill(&config->settings[i], rank, where, key, value, err);
}

/* ---- files ---- */

struct file_load {
	struct config *config;
	const char *path;
};

static enum status set_from_file(void *context, const char *key, const char *value,
				 unsigned line, struct error *err)
{
	const struct file_load *load = context;
	enum status status;
	char *where;

	if (asprintf(&where, "%s:%u: ", load->path, line) < 0) {
		return out_of_memory(err);
	}
	status = config_set(load->config, CONFIG_FILE, where, key, value, err);
	free(where);
	return status;
}

enum status config_load(struct config *config, const char *path, struct error *err)
{
	struct file_load load = {.config = config, .path = path};

	return properties_load(path, set_from_file, &load, err);
}

/* ---- checks and defaults ---- */

static enum status apply_setting(struct config *config, const struct property *property,
				 const struct config_setting *s, struct error *err)
{
	if (property->kind == PROPERTY_BUILT) {
		return property->apply(config, s, err);
	}
	if (property->only_default &&
	    strcasecmp(s->value, property->only_default) == 0) {
		return ST_OK;
	}
	if (property->only_default) {
		return error_set(err, ST_CONFIG,
				 "%s%s=%s is not built yet in this version; only %s is",
				 s->where, s->key, s->value, property->only_default);
	}
	return not_built(s, err);
}

static enum status set_default(char **field, const char *text, struct error *err)
{
	if (!*field) {
		*field = strdup(text);
	}
	return *field ? ST_OK : out_of_memory(err);
}

/* The database file's name without extension, made a valid prefix. */
static enum status default_prefix(struct config *config, struct error *err)
{
	char *stem = strdup(config->database_name);
	char *dot;
	struct buffer b;

	if (!stem) {
		return out_of_memory(err);
	}
	dot = strrchr(stem, '.');
	if (dot && dot != stem) {
		*dot = '\0';
	}
	buffer_init(&b);
	topic_name_add(&b, *stem ? stem : "rowtail", "", "");
	buffer_add_char(&b, '\0');
	free(stem);
	if (!buffer_ok(&b)) {
		buffer_clear(&b);
		return out_of_memory(err);
	}
	config->topic_prefix = b.bytes;
	return ST_OK;
}

static enum status set_defaults(struct config *config, struct error *err)
{
	const char *slash = strrchr(config->database_path, '/');
	const char *name = slash ? slash + 1 : config->database_path;

	if (set_default(&config->database_name, name, err) != ST_OK ||
	    set_default(&config->topic_delimiter, ".", err) != ST_OK ||
	    set_default(&config->topic_transaction, "transaction", err) != ST_OK) {
		return err->status;
	}
	return config->topic_prefix ? ST_OK : default_prefix(config, err);
}

enum status config_finish(struct config *config, struct error *err)
{
	size_t i;

	for (i = 0; config->settings && i < PROPERTY_COUNT; i++) {
		const struct config_setting *s = &config->settings[i];

		if (s->where &&
		    apply_setting(config, &properties[i], s, err) != ST_OK) {
			return err->status;
		}
	}
	settings_clear(config);
	if (!config->database_path) {
		return error_set(
		    err, ST_CONFIG,
		    "no database given: rowtail DATABASE (see rowtail --help)");
	}
	if (config->table_include_list && config->table_exclude_list) {
		return error_set(
		    err, ST_CONFIG,
		    "table.include.list and table.exclude.list exclude each "
		    "other; give one of them");
	}
	if (config->once && config->snapshot_mode == SNAPSHOT_MODE_NO_DATA) {
		return error_set(
		    err, ST_CONFIG,
		    "--once without --snapshot: nothing to do; add --snapshot");
	}
	return set_defaults(config, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/topic_name.h"
#include "src/config/properties_file.h"
#include "src/config/property_table.h"

#define GIB (UINT64_C(1) << 30)

#define OVERRIDE_PREFIX "snapshot.select.statement.overrides."

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

static enum status apply_columns_included(struct config *c,
					  const struct config_setting *s,
					  struct error *err)
{
	return s->value[0] ? set_text(&c->columns.include_list, s, err) : ST_OK;
}

static enum status apply_columns_excluded(struct config *c,
					  const struct config_setting *s,
					  struct error *err)
{
	return s->value[0] ? set_text(&c->columns.exclude_list, s, err) : ST_OK;
}

static enum status apply_key_columns(struct config *c, const struct config_setting *s,
				     struct error *err)
{
	return s->value[0] ? set_text(&c->columns.key_columns, s, err) : ST_OK;
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

/* One of the words that a property may be. */
struct choice {
	const char *name;
	int value;
};

static enum status set_choice(int *field, const struct choice *choices, size_t count,
			      const char *must, const struct config_setting *s,
			      struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(s->value, choices[i].name) == 0) {
			*field = choices[i].value;
			return ST_OK;
		}
	}
	return bad_value(s, must, err);
}

#define SET_CHOICE(field, choices, must)                                               \
	set_choice((field), (choices), sizeof(choices) / sizeof *(choices), (must), s, \
		   err)

static enum status apply_binary(struct config *c, const struct config_setting *s,
				struct error *err)
{
	static const struct choice modes[] = {
	    {"bytes", BINARY_BYTES},
	    {"base64", BINARY_BASE64},
	    {"base64-url-safe", BINARY_BASE64_URL_SAFE},
	    {"hex", BINARY_HEX},
	};
	int mode = (int)c->binary_mode;
	enum status status =
	    SET_CHOICE(&mode, modes, "bytes, base64, base64-url-safe or hex");

	c->binary_mode = (enum binary_mode)mode;
	return status;
}

static enum status apply_schemas(struct config *c, const struct config_setting *s,
				 struct error *err)
{
	return set_bool(&c->schemas, s, err);
}

static enum status apply_schema_changes(struct config *c,
					const struct config_setting *s,
					struct error *err)
{
	c->has_schema_changes = true;
	return set_bool(&c->schema_changes, s, err);
}

static enum status apply_context_headers(struct config *c,
					 const struct config_setting *s,
					 struct error *err)
{
	return set_bool(&c->context_headers, s, err);
}

static enum status apply_header_schemas(struct config *c,
					const struct config_setting *s,
					struct error *err)
{
	return set_bool(&c->header_schemas, s, err);
}

static enum status apply_heartbeat(struct config *c, const struct config_setting *s,
				   struct error *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s->value, &end, 10);
	if (s->value[0] < '0' || s->value[0] > '9' || *end || errno || n > INT_MAX) {
		return bad_value(s, "a number of milliseconds (0: no heartbeats)", err);
	}
	c->heartbeat_ms = (int)n;
	return ST_OK;
}

static enum status apply_heartbeat_prefix(struct config *c,
					  const struct config_setting *s,
					  struct error *err)
{
	return set_topic_part(&c->heartbeat_prefix, s, err);
}

static enum status apply_types(struct config *c, const struct config_setting *s,
			       struct error *err)
{
	static const struct choice mappings[] = {{"declared", TYPES_DECLARED},
						 {"affinity", TYPES_AFFINITY}};
	int mapping = (int)c->type_mapping;
	enum status status = SET_CHOICE(&mapping, mappings, "declared or affinity");

	c->type_mapping = (enum type_mapping)mapping;
	return status;
}

static enum status apply_decimals(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	static const struct choice modes[] = {{"double", DECIMAL_DOUBLE},
					      {"string", DECIMAL_STRING}};
	int mode = (int)c->decimal_mode;
	enum status status;

	if (strcasecmp(s->value, "precise") == 0) {
		return error_set(err, ST_CONFIG,
				 "%s%s=%s: SQLite has no exact decimals; use double or "
				 "string",
				 s->where, s->key, s->value);
	}
	status = SET_CHOICE(&mode, modes, "double or string");
	c->decimal_mode = (enum decimal_mode)mode;
	return status;
}

static enum status apply_failure(struct config *c, const struct config_setting *s,
				 struct error *err)
{
	static const struct choice ways[] = {{"warn", CONVERSION_WARN},
					     {"fail", CONVERSION_FAIL},
					     {"skip", CONVERSION_SKIP}};
	int way = (int)c->on_conversion_failure;
	enum status status = SET_CHOICE(&way, ways, "warn, fail or skip");

	c->on_conversion_failure = (enum conversion_failure)way;
	return status;
}

static enum status set_adjustment(enum name_adjustment *field,
				  const struct config_setting *s, struct error *err)
{
	static const struct choice modes[] = {{"none", NAMES_AS_THEY_ARE},
					      {"avro", NAMES_AVRO},
					      {"avro_unicode", NAMES_AVRO_UNICODE}};
	int mode = (int)*field;
	enum status status = SET_CHOICE(&mode, modes, "none, avro or avro_unicode");

	*field = (enum name_adjustment)mode;
	return status;
}

static enum status apply_field_names(struct config *c, const struct config_setting *s,
				     struct error *err)
{
	return set_adjustment(&c->field_names, s, err);
}

static enum status apply_schema_names(struct config *c, const struct config_setting *s,
				      struct error *err)
{
	return set_adjustment(&c->schema_names, s, err);
}

static enum status apply_snapshot(struct config *c, const struct config_setting *s,
				  struct error *err)
{
	c->has_snapshot_mode = true;
	if (strcasecmp(s->value, "initial") == 0 ||
	    strcasecmp(s->value, "always") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_INITIAL;
	} else if (strcasecmp(s->value, "initial_only") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_INITIAL_ONLY;
	} else if (strcasecmp(s->value, "no_data") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_NO_DATA;
	} else if (strcasecmp(s->value, "when_needed") == 0) {
		c->snapshot_mode = SNAPSHOT_MODE_INITIAL;
		c->snapshot_when_needed = true;
	} else {
		return bad_value(
		    s, "initial, initial_only, no_data, always or when_needed", err);
	}
	return ST_OK;
}

static enum status apply_exactly_once(struct config *c, const struct config_setting *s,
				      struct error *err)
{
	static const struct choice ways[] = {{"required", 1}, {"disabled", 0}};
	int way = 1;
	enum status status = SET_CHOICE(&way, ways, "required or disabled");

	c->kafka.exactly_once = way == 1;
	return status;
}

static enum status apply_too_large(struct config *c, const struct config_setting *s,
				   struct error *err)
{
	static const struct choice ways[] = {{"fail", 0}, {"skip", 1}};
	int way = 0;
	enum status status = SET_CHOICE(&way, ways, "fail or skip");

	c->kafka.skips_too_large = way == 1;
	return status;
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

static struct config_override *find_override(const struct config *c, const char *table,
					     size_t len)
{
	for (size_t i = 0; i < c->override_count; i++) {
		if (strlen(c->overrides[i].table) == len &&
		    strncasecmp(c->overrides[i].table, table, len) == 0) {
			return &c->overrides[i];
		}
	}
	return NULL;
}

/* The list of tables; each must have its statement. */
static enum status apply_overrides(struct config *c, const struct config_setting *s,
				   struct error *err)
{
	for (const char *p = s->value; *p;) {
		size_t len = strcspn(p, ",");
		size_t skip = strspn(p, " ");
		struct config_override *override;

		if (skip < len) {
			size_t end = len;

			while (end > skip && p[end - 1] == ' ') {
				end--;
			}
			override = find_override(c, p + skip, end - skip);
			if (!override) {
				return error_set(err, ST_CONFIG,
						 "%s%s names %.*s, but " OVERRIDE_PREFIX
						 "%.*s is not set",
						 s->where, s->key, (int)(end - skip),
						 p + skip, (int)(end - skip), p + skip);
			}
			override->is_listed = true;
		}
		p += len;
		p += *p == ',';
	}
	return ST_OK;
}

/* What takes each property that is built. */
static const struct {
	const char *name;
	setting_apply *apply;
} appliers[] = {
    {"binary.handling.mode", apply_binary},
    {"column.exclude.list", apply_columns_excluded},
    {"column.include.list", apply_columns_included},
    {"database.file.path", apply_database},
    {"decimal.handling.mode", apply_decimals},
    {"event.converting.failure.handling.mode", apply_failure},
    {"exactly.once.support", apply_exactly_once},
    {"extended.headers.enabled", apply_context_headers},
    {"field.name.adjustment.mode", apply_field_names},
    {"header.converter.schemas.enable", apply_header_schemas},
    {"heartbeat.interval.ms", apply_heartbeat},
    {"hold.escalate", apply_escalate},
    {"hold.max.wal.bytes", apply_wal_limit},
    {"include.schema.changes", apply_schema_changes},
    {"journal.max.bytes", apply_journal_limit},
    {"message.key.columns", apply_key_columns},
    {"message.too.large", apply_too_large},
    {"provide.transaction.metadata", apply_metadata},
    {"schema.name.adjustment.mode", apply_schema_names},
    {"schemas.enable", apply_schemas},
    {"skipped.operations", apply_skipped},
    {"snapshot.mode", apply_snapshot},
    {"snapshot.select.statement.overrides", apply_overrides},
    {"table.exclude.list", apply_exclude},
    {"table.include.list", apply_include},
    {"tombstones.on.delete", apply_tombstones},
    {"topic.delimiter", apply_delimiter},
    {"topic.heartbeat.prefix", apply_heartbeat_prefix},
    {"topic.prefix", apply_prefix},
    {"topic.transaction", apply_transaction_topic},
    {"type.mapping", apply_types},
};

static setting_apply *applier_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof appliers / sizeof *appliers; i++) {
		if (strcmp(appliers[i].name, name) == 0) {
			return appliers[i].apply;
		}
	}
	return NULL;
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
	    .journal_max_bytes = GIB,
	};
	kafka_options_init(&config->kafka);
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

	for (i = 0; config->settings && i < property_count(); i++) {
		setting_clear(&config->settings[i]);
	}
	free(config->settings);
	config->settings = NULL;
}

void config_clear(struct config *config)
{
	size_t i;

	free(config->state_path);
	free(config->sink_path);
	settings_clear(config);
	free(config->database_path);
	free(config->database_name);
	free(config->table_include_list);
	free(config->table_exclude_list);
	for (i = 0; i < config->override_count; i++) {
		free(config->overrides[i].table);
		free(config->overrides[i].sql);
	}
	free(config->overrides);
	column_options_clear(&config->columns);
	kafka_options_clear(&config->kafka);
	free(config->topic_prefix);
	free(config->topic_delimiter);
	free(config->topic_transaction);
	free(config->heartbeat_prefix);
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

/* A statement for one table; of two the one of higher rank, else the later, counts. */
static enum status set_override(struct config *config, enum config_rank rank,
				const char *table, const char *sql, struct error *err)
{
	struct config_override *override = find_override(config, table, strlen(table));
	char *text;

	if (override && override->rank > (int)rank) {
		return ST_OK;
	}
	if (!override) {
		struct config_override *grown = reallocarray(
		    config->overrides, config->override_count + 1, sizeof *grown);

		if (!grown) {
			return out_of_memory(err);
		}
		config->overrides = grown;
		override = &grown[config->override_count];
		*override = (struct config_override){.table = strdup(table)};
		if (!override->table) {
			return out_of_memory(err);
		}
		config->override_count++;
	}
	text = strdup(sql);
	if (!text) {
		return out_of_memory(err);
	}
	free(override->sql);
	override->sql = text;
	override->rank = (int)rank;
	return ST_OK;
}

static enum status check_overrides(const struct config *config, struct error *err)
{
	for (size_t i = 0; i < config->override_count; i++) {
		if (!config->overrides[i].is_listed) {
			return error_set(err, ST_CONFIG,
					 OVERRIDE_PREFIX
					 "%s is set, but the list "
					 "snapshot.select.statement.overrides does not "
					 "name %s",
					 config->overrides[i].table,
					 config->overrides[i].table);
		}
	}
	return ST_OK;
}

enum status config_set(struct config *config, enum config_rank rank, const char *where,
		       const char *key, const char *value, struct error *err)
{
	size_t i = property_find(key);

	if (i == property_count()) {
		return error_set(err, ST_CONFIG,
				 "%s%s: unknown property; the nearest known one is %s",
				 where, key, property_nearest(key));
	}
	if (strncmp(key, OVERRIDE_PREFIX, strlen(OVERRIDE_PREFIX)) == 0) {
		return set_override(config, rank, key + strlen(OVERRIDE_PREFIX), value,
				    err);
	}
	if (column_options_has(key)) {
		return column_options_set(&config->columns, (int)rank, key, value, err);
	}
	if (kafka_options_has(key)) {
		return kafka_options_set(&config->kafka, (int)rank, where, key, value,
					 err);
	}
	if (property_at(i)->kind == PROPERTY_IGNORED) {
		return add_warning(config, where, key, err);
	}
	if (!config->settings) {
		config->settings = calloc(property_count(), sizeof *config->settings);
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

	return properties_file_load(path, set_from_file, &load, err);
}

/* ---- checks and defaults ---- */

static enum status apply_setting(struct config *config, const struct property *property,
				 const struct config_setting *s, struct error *err)
{
	if (property->kind == PROPERTY_BUILT) {
		setting_apply *apply = applier_of(property->name);

		assert(apply);
		return apply(config, s, err);
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
	    set_default(&config->topic_transaction, "transaction", err) != ST_OK ||
	    set_default(&config->heartbeat_prefix, "__debezium-heartbeat", err) !=
		ST_OK) {
		return err->status;
	}
	if (!config->has_schema_changes) {
		config->schema_changes =
		    config->sink != SINK_STDOUT && config->sink != SINK_FILE;
	}
	return config->topic_prefix ? ST_OK : default_prefix(config, err);
}

/* Beside the database itself, by whatever link it was named. */
static enum status default_state(struct config *config, struct error *err)
{
	char *real = realpath(config->database_path, NULL);
	int len = asprintf(&config->state_path, "%s-rowtail",
			   real ? real : config->database_path);

	free(real);
	if (len < 0) {
		config->state_path = NULL;
		return out_of_memory(err);
	}
	config->state_is_default = true;
	return ST_OK;
}

/* What status and verify cannot do without. */
static enum status check_command(const struct config *config, struct error *err)
{
	bool is_status = config->command == COMMAND_STATUS;

	if (config->json && !is_status) {
		return error_set(err, ST_CONFIG,
				 "--json goes with rowtail status only; leave it out");
	}
	if (config->command == COMMAND_FOLLOW) {
		return ST_OK;
	}
	if (!config->state_path) {
		return error_set(
		    err, ST_CONFIG,
		    "no state directory given: rowtail %s --state DIR%s (a database of "
		    "that name is ./%s)",
		    is_status ? "status" : "verify", is_status ? "" : " DATABASE",
		    is_status ? "status" : "verify");
	}
	return ST_OK;
}

/* Without a state directory nothing can be exactly once. */
static enum status check_state(const struct config *config, struct error *err)
{
	if (config->state_is_none &&
	    (config->sink != SINK_KAFKA || config->kafka.exactly_once)) {
		return error_set(err, ST_CONFIG,
				 "--state=none goes with --to kafka:// and "
				 "exactly.once.support=disabled only (a folder of that "
				 "name is ./none)");
	}
	return ST_OK;
}

/* Properties that go together, or do not. */
static enum status check_pairs(const struct config *config, struct error *err)
{
	if (config->table_include_list && config->table_exclude_list) {
		return error_set(
		    err, ST_CONFIG,
		    "table.include.list and table.exclude.list exclude each "
		    "other; give one of them");
	}
	if (config->header_schemas && !config->schemas) {
		return error_set(err, ST_CONFIG,
				 "header.converter.schemas.enable=true needs "
				 "schemas.enable=true, as a header's schema is that of "
				 "the key; set both, or neither");
	}
	return ST_OK;
}

enum status config_finish(struct config *config, struct error *err)
{
	size_t i;

	for (i = 0; config->settings && i < property_count(); i++) {
		const struct config_setting *s = &config->settings[i];

		if (s->where &&
		    apply_setting(config, property_at(i), s, err) != ST_OK) {
			return err->status;
		}
	}
	settings_clear(config);
	if (check_overrides(config, err) != ST_OK) {
		return err->status;
	}
	if (check_command(config, err) != ST_OK) {
		return err->status;
	}
	if (config->command == COMMAND_STATUS) {
		return ST_OK;
	}
	if (!config->database_path) {
		return error_set(
		    err, ST_CONFIG,
		    "no database given: rowtail DATABASE (see rowtail --help)");
	}
	if (check_pairs(config, err) != ST_OK ||
	    kafka_options_finish(&config->kafka, err) != ST_OK ||
	    check_state(config, err) != ST_OK) {
		return err->status;
	}
	if (config->sink != SINK_STDOUT && !config->state_path &&
	    !config->state_is_none && default_state(config, err) != ST_OK) {
		return err->status;
	}
	if (config->state_path && !config->has_snapshot_mode) {
		config->snapshot_mode = SNAPSHOT_MODE_INITIAL;
	}
	if (config->once && !config->state_path &&
	    config->snapshot_mode == SNAPSHOT_MODE_NO_DATA) {
		return error_set(err, ST_CONFIG,
				 "--once without --state or --snapshot: nothing to do; "
				 "add one of them");
	}
	return set_defaults(config, err);
}

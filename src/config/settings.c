/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/topic_name.h"
#include "src/config/config_provider.h"
#include "src/config/property_file.h"
#include "src/config/property_table.h"
#include "src/config/property_value.h"
#include "src/config/setting_pairs.h"
#include "src/config/signal_channels.h"

struct config_setting {
	char *where; /* NULL: not set */
	char *key;   /* as given */
	char *value;
	enum config_rank rank;
};

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

/* ---- the config ---- */

void config_init(struct config *config)
{
	struct error ignored;

	*config = (struct config){
	    .log_most = LOG_INFO,
	    .snapshot_mode = SNAPSHOT_MODE_NO_DATA,
	};
	kafka_options_init(&config->kafka);
	for (size_t i = 0; i < property_count(); i++) {
		const struct property *property = property_at(i);

		if (!property_is_text(property)) {
			enum status status =
			    property_value_fall_back(config, property, &ignored);

			assert(status == ST_OK);
			(void)status;
		}
	}
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

static void clear_signal(struct signal_options *signal)
{
	for (size_t i = 0; i < signal->table_count; i++) {
		free(signal->tables[i]);
	}
	free(signal->tables);
	free(signal->where);
	free(signal->type);
	free(signal->id);
}

static void clear_report(struct report_options *report)
{
	free(report->table);
	free(report->by);
	free(report->op);
	free(report->column);
	free(report->since);
	free(report->value);
	free(report->seq);
	free(report->why);
}

void config_clear(struct config *config)
{
	size_t i;

	for (i = 0; i < property_count(); i++) {
		property_value_clear(config, property_at(i));
	}
	for (i = 0; i < config->word_count; i++) {
		free(config->words[i]);
	}
	free(config->at);
	free(config->format);
	free(config->archive);
	free(config->archive_place);
	free(config->from);
	free(config->until);
	free(config->audit_key);
	clear_report(&config->report);
	clear_signal(&config->signal);
	free(config->status.database);
	free(config->status.max_lag);
	free(config->status.max_bytes);
	for (i = 0; i < config->checkpoint_count; i++) {
		free(config->checkpoints[i]);
	}
	free(config->checkpoints);
	free(config->state_path);
	free(config->sink_of_file);
	problems_clear(&config->problems);
	free(config->archive_to);
	free(config->sink_target);
	free(config->snapshot_asked);
	settings_clear(config);
	for (i = 0; i < STORAGE_S3_SECRETS; i++) {
		free(config->storage.s3_references[i]);
	}
	free(config->database_name);
	select_overrides_clear(&config->overrides);
	transform_options_clear(&config->transforms);
	column_options_clear(&config->columns);
	kafka_options_clear(&config->kafka);
	for (i = 0; i < config->warning_count; i++) {
		free(config->warnings[i]);
	}
	free(config->warnings);
	config_init(config);
}

/* `where``key` and what is to be said of it. */
static enum status add_warning(struct config *config, const char *where,
			       const char *key, const char *what, struct error *err)
{
	char **warnings =
	    reallocarray(config->warnings, config->warning_count + 1, sizeof *warnings);

	if (!warnings) {
		return out_of_memory(err);
	}
	config->warnings = warnings;
	if (asprintf(&warnings[config->warning_count], "%s%s %s", where, key, what) <
	    0) {
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

/* One of many with one beginning. */
static enum status set_member(struct config *config, const struct property *family,
			      enum config_rank rank, const char *where, const char *key,
			      const char *value, struct error *err)
{
	switch (family->family) {
	case FAMILY_COLUMNS:
		return column_options_set(&config->columns, (int)rank, key, value, err);
	case FAMILY_KAFKA:
		return kafka_options_set(&config->kafka, (int)rank, where, key, value,
					 err);
	case FAMILY_OVERRIDES:
		return select_overrides_set(&config->overrides, (int)rank,
					    key + strlen(SELECT_OVERRIDE_PREFIX), value,
					    err);
	case FAMILY_TRANSFORMS:
		return transform_options_set(&config->transforms, (int)rank, where, key,
					     value, err);
	case FAMILY_NONE:
		break;
	}
	assert(false && "a family that nobody takes");
	return ST_OK;
}

static enum status unknown(const char *where, const char *key, struct error *err)
{
	const char *nearest = property_nearest(key);

	return nearest
		   ? error_set(err, ST_CONFIG,
			       "%s%s: unknown property; the nearest known one is %s",
			       where, key, nearest)
		   : error_set(err, ST_CONFIG,
			       "%s%s: unknown property; rowtail --help lists all",
			       where, key);
}

enum status config_set(struct config *config, enum config_rank rank, const char *where,
		       const char *key, const char *value, struct error *err)
{
	size_t i = property_find(key);

	if (i == property_count()) {
		return unknown(where, key, err);
	}
	if (property_at(i)->type == TAKES_FAMILY) {
		return set_member(config, property_at(i), rank, where, key, value, err);
	}
	if (property_at(i)->kind == PROPERTY_IGNORED) {
		return add_warning(
		    config, where, key,
		    "has no meaning for SQLite or rowtail and is ignored", err);
	}
	if (!config->settings) {
		config->settings = calloc(property_count(), sizeof *config->settings);
		if (!config->settings) {
			return out_of_memory(err);
		}
	}
	return setting_fill(&config->settings[i], rank, where, key, value, err);
}

/* ---- checks and defaults ---- */

static struct given_value given(const struct config_setting *s)
{
	return (struct given_value){
	    .where = s->where, .key = s->key, .value = s->value};
}

/* Is `value` one of the words of `accepted`, which '|' separates? */
static bool is_accepted(const char *accepted, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = accepted; p; p = strchr(p, '|'), p += p != NULL) {
		if (strcspn(p, "|") == len && strncasecmp(p, value, len) == 0) {
			return true;
		}
	}
	return false;
}

static enum status apply_setting(struct config *config, const struct property *property,
				 const struct config_setting *s, struct error *err)
{
	struct given_value value = given(s);

	if (property->kind == PROPERTY_BUILT) {
		return property_value_set(config, property, &value, err);
	}
	if (is_accepted(property->accepted, s->value)) {
		return ST_OK;
	}
	if (property->kind == PROPERTY_REFUSED) {
		return error_set(err, ST_CONFIG,
				 "%s%s would change the messages and is not built: %s",
				 s->where, s->key, property->advice);
	}
	if (property->accepted) {
		return error_set(err, ST_CONFIG,
				 "%s%s=%s is not built yet in this version; only %s is",
				 s->where, s->key, s->value, property->accepted);
	}
	return error_set(err, ST_CONFIG,
			 "%s%s=%s is not built yet in this version; leave it out",
			 s->where, s->key, s->value);
}

/* What was set under another name becomes a setting of the property itself. */
static enum status settle_alias(struct config_setting *alias,
				struct config_setting *own, struct error *err)
{
	if (own->where && own->rank == alias->rank &&
	    strcasecmp(own->value, alias->value) != 0) {
		return error_set(
		    err, ST_CONFIG,
		    "%s%s=%s and %s%s=%s are one setting; give one of them", own->where,
		    own->key, own->value, alias->where, alias->key, alias->value);
	}
	if (!own->where || own->rank < alias->rank) {
		setting_clear(own);
		*own = *alias;
		*alias = (struct config_setting){0};
	} else {
		setting_clear(alias);
	}
	return ST_OK;
}

static struct config_setting *setting_of(const struct config *config, const char *name)
{
	return &config->settings[property_find(name)];
}

static enum status settle_aliases(struct config *config, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < property_count(); i++) {
		const struct property *property = property_at(i);

		if (property->kind == PROPERTY_ALIAS && config->settings[i].where) {
			status =
			    settle_alias(&config->settings[i],
					 setting_of(config, property->alias_of), err);
		}
	}
	return status;
}

/* Connect's JsonConverter has schemas unless somebody says otherwise; here they are
 * off. */
static enum status warn_of_converter(struct config *config, const char *name,
				     const char *switched_by, struct error *err)
{
	const struct config_setting *converter = setting_of(config, name);
	char *what;
	enum status status;

	if (!converter->where || !strstr(converter->value, "JsonConverter") ||
	    setting_of(config, switched_by)->where) {
		return ST_OK;
	}
	if (asprintf(&what,
		     "has schemas in Kafka Connect by default; here they are off: set "
		     "%s=true or false",
		     switched_by) < 0) {
		return out_of_memory(err);
	}
	status = add_warning(config, converter->where, converter->key, what, err);
	free(what);
	return status;
}

/* Note where a snapshot was asked for: the run says so when there will be none. */
static enum status note_asked(struct config *config, struct error *err)
{
	const struct config_setting *s = setting_of(config, "snapshot.mode");
	const char *option = "--snapshot";

	if (!s->where || (s->rank != CONFIG_COMMAND_LINE &&
			  config->snapshot_mode != SNAPSHOT_MODE_ALWAYS &&
			  config->snapshot_mode != SNAPSHOT_MODE_INITIAL_ONLY)) {
		return ST_OK;
	}
	if (s->rank == CONFIG_COMMAND_LINE) {
		config->snapshot_asked = strdup(option);
	} else if (asprintf(&config->snapshot_asked, "%s%s=%s", s->where, s->key,
			    s->value) < 0) {
		config->snapshot_asked = NULL;
	}
	return config->snapshot_asked ? ST_OK : out_of_memory(err);
}

/* Set the defaults that depend on other settings. */
static void derive(struct config *config)
{
	const struct config_setting *s = config->settings;

	if (!s || !s[property_find("include.schema.changes")].where) {
		config->encoder.schema_changes = config->sink->tells_structure;
	}
	if (config->state_path && !config->sink->wants_nothing &&
	    (!s || !s[property_find("snapshot.mode")].where)) {
		config->snapshot_mode = SNAPSHOT_MODE_INITIAL;
	}
}

static enum status apply_settings(struct config *config, struct error *err)
{
	enum status status = ST_OK;

	if (!config->settings) {
		return select_overrides_check(&config->overrides, NULL, err);
	}
	status = settle_aliases(config, err);
	for (size_t i = 0; status == ST_OK && i < property_count(); i++) {
		if (config->settings[i].where) {
			status = problems_take(&config->problems,
					       apply_setting(config, property_at(i),
							     &config->settings[i], err),
					       err);
		}
	}
	if (status == ST_OK) {
		status =
		    warn_of_converter(config, "value.converter", "schemas.enable", err);
	}
	if (status == ST_OK) {
		status = warn_of_converter(config, "header.converter",
					   "header.converter.schemas.enable", err);
	}
	if (status == ST_OK) {
		status = note_asked(config, err);
	}
	return status == ST_OK ? select_overrides_check(&config->overrides,
							config->override_list, err)
			       : status;
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
	config->encoder.topic_prefix = b.bytes;
	return ST_OK;
}

static enum status set_defaults(struct config *config, struct error *err)
{
	const char *slash = strrchr(config->database_path, '/');
	const char *name = slash ? slash + 1 : config->database_path;

	free(config->database_name);
	config->database_name = strdup(name);
	if (!config->database_name) {
		return out_of_memory(err);
	}
	for (size_t i = 0; i < property_count(); i++) {
		if (property_is_text(property_at(i)) &&
		    property_value_fall_back(config, property_at(i), err) != ST_OK) {
			return err->status;
		}
	}
	return config->encoder.topic_prefix ? ST_OK : default_prefix(config, err);
}

/* Without slashes at its end. */
static int place_length(const char *place)
{
	size_t len = strlen(place);

	while (len > 1 && place[len - 1] == '/') {
		len--;
	}
	return (int)len;
}

/* An archive does not say what its database is called: it has the archive's name, or
 * that of database.file.path. */
static enum status name_archived(struct config *config, struct error *err)
{
	const char *folder = storage_folder(config->archive);

	free(config->archive_place);
	config->archive_place = folder ? realpath(folder, NULL) : NULL;
	if (!config->archive_place) {
		config->archive_place = strdup(folder ? folder : config->archive);
	}
	if (!config->archive_place) {
		return out_of_memory(err);
	}
	config->archive_place[place_length(config->archive_place)] = '\0';
	if (!config->database_path) {
		config->database_path = strdup(config->archive_place);
	}
	return config->database_path ? ST_OK : out_of_memory(err);
}

/* Of its folder, whatever links lead there; NULL: there is none, or it names none. */
static char *real_folder(const char *path)
{
	const char *name = strrchr(path, '/');
	char *folder =
	    name && name > path ? strndup(path, (size_t)(name - path)) : NULL;
	char *real = folder ? realpath(folder, NULL) : NULL;

	free(folder);
	return real;
}

char *config_default_state(const char *place)
{
	char *real = realpath(place, NULL);
	char *folder = real ? NULL : real_folder(place);
	const char *name = strrchr(place, '/');
	char *state;

	if (!real && folder && name) { /* it is to come: --wait */
		if (asprintf(&real, "%s%s", folder, name) < 0) {
			real = NULL;
		}
	}
	if (asprintf(&state, "%.*s-rowtail", place_length(real ? real : place),
		     real ? real : place) < 0) {
		state = NULL;
	}
	free(folder);
	free(real);
	return state;
}

static enum status default_state(struct config *config, struct error *err)
{
	const char *place =
	    config->archive ? storage_folder(config->archive) : config->database_path;
	if (!place) {
		return error_set(err, ST_CONFIG,
				 "--to %s needs a state directory, and there is no "
				 "place for one beside %s: give --state DIR",
				 config->sink->scheme, config->archive);
	}
	config->state_path = config_default_state(place);
	config->state_is_default = true;
	return config->state_path ? ST_OK : out_of_memory(err);
}

static enum status check_kafka(struct config *config, struct error *err)
{
	return kafka_options_finish(&config->kafka, err);
}

/* Without a state directory nothing can be exactly once. */
static enum status check_state(struct config *config, struct error *err)
{
	if (config->state_is_none &&
	    (!config->sink->can_lack_state || config->kafka.exactly_once)) {
		return error_set(err, ST_CONFIG,
				 "--state=none goes with --to kafka:// and "
				 "exactly.once.support=disabled only (a folder of that "
				 "name is ./none)");
	}
	return ST_OK;
}

/* Transforms can be had, and lose nothing that nobody sees. */
static enum status check_transforms(struct config *config, struct error *err)
{
	bool is_flat = config->lines == LINES_FLAT;
	struct transforms *transforms;
	enum status status;

	if (is_flat && config->sink->wants_keys) {
		return error_set(err, ST_CONFIG,
				 "--lines=flat is of lines, and --to %s has messages; "
				 "set transforms instead (docs/transforms.md)",
				 config->sink->scheme);
	}
	status = transform_options_open(&config->transforms, is_flat, &transforms, err);
	if (status == ST_OK && config->lines == LINES_VALUE &&
	    !config->sink->wants_keys && transforms_hide_deletes(transforms)) {
		status = add_warning(
		    config, "", "transforms",
		    "make tombstones of deletes, and --lines=value has no lines for "
		    "those: set delete.tombstone.handling.mode=rewrite, or "
		    "--lines=record",
		    err);
	}
	transforms_close(transforms);
	return status;
}

/* The folder that the sink wants, and the defaults that come with one. */
static enum status settle_state(struct config *config, struct error *err)
{
	if (config->sink->has_state && !config->state_path && !config->state_is_none &&
	    default_state(config, err) != ST_OK) {
		return err->status;
	}
	derive(config);
	return ST_OK;
}

static enum status check_archive_to(struct config *config, struct error *err)
{
	if (config->archive_to && !config->state_path) {
		return error_set(
		    err, ST_CONFIG,
		    "--archive needs --state: a folder that it goes on from "
		    "after a stop");
	}
	if (config->sink->wants_nothing && !config->archive_to) {
		return error_set(err, ST_CONFIG,
				 "--to %s without --archive: nothing to do; add it",
				 config->sink->scheme);
	}
	return ST_OK;
}

static enum status check_once(const struct config *config, struct error *err)
{
	if (config->once && !config->state_path &&
	    config->snapshot_mode == SNAPSHOT_MODE_NO_DATA) {
		return error_set(err, ST_CONFIG,
				 "--once without --state or --snapshot: nothing to do; "
				 "add one of them");
	}
	return ST_OK;
}

/* Of events of an archive. */
static enum status check_archive(const struct config *config, struct error *err)
{
	if (config->snapshot_mode == SNAPSHOT_MODE_WHEN_NEEDED) {
		return error_set(err, ST_CONFIG,
				 "snapshot.mode=when_needed does not go with rowtail "
				 "events, as the numbers of an archive's transactions "
				 "are given; use initial");
	}
	return ST_OK;
}

static enum status check_times(struct config *config, struct error *err)
{
	return config->archive ? check_archive(config, err) : check_once(config, err);
}

typedef enum status setting_check(struct config *config, struct error *err);

/* Each of them that fails is told. */
static enum status check_each(struct config *config, setting_check *const *checks,
			      struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && checks[i]; i++) {
		status = problems_take(&config->problems, checks[i](config, err), err);
	}
	return status;
}

/* The checks that need several settings. */
static enum status check_together(struct config *config, struct error *err)
{
	static setting_check *const alone[] = {check_transforms, check_kafka, NULL};
	static setting_check *const of_state[] = {check_state, settle_state, NULL};
	static setting_check *const with_state[] = {check_archive_to, check_times,
						    NULL};
	enum status status = setting_pairs_check(config, &config->problems, err);
	size_t count;

	if (status == ST_OK) {
		status = check_each(config, alone, err);
	}
	count = config->problems.count;
	if (status == ST_OK) {
		status = check_each(config, of_state, err);
	}
	/* What a state directory would do is no problem of its own. */
	if (status == ST_OK && config->problems.count == count) {
		status = check_each(config, with_state, err);
	}
	return status == ST_OK ? problems_settle(&config->problems, err) : status;
}

/* Of a run that has a database: checks that need several settings, and what follows
 * from them. */
static enum status finish_run(struct config *config, struct error *err)
{
	bool is_given;

	if (config->archive && name_archived(config, err) != ST_OK) {
		return err->status;
	}
	if (!config->database_path) {
		return error_set(
		    err, ST_CONFIG,
		    "no database given: rowtail DATABASE (see rowtail --help)");
	}
	if (check_together(config, err) != ST_OK) {
		return err->status;
	}
	config->once = config->archive ? !config->follow : config->once;
	is_given =
	    config->settings && setting_of(config, "signal.enabled.channels")->where;
	return set_defaults(config, err) == ST_OK
		   ? signal_channels_derive(config, is_given, err)
		   : err->status;
}

/* Credentials that stand in a file are read again when it has others. */
static enum status keep_references(struct config *config, struct error *err)
{
	static const char *const names[] = {
	    [STORAGE_S3_ACCESS] = "archive.s3.access.key.id",
	    [STORAGE_S3_SECRET] = "archive.s3.secret.access.key",
	    [STORAGE_S3_TOKEN] = "archive.s3.session.token",
	};

	config->storage.s3_resolve = config_provider_resolve;
	for (size_t i = 0; config->settings && i < STORAGE_S3_SECRETS; i++) {
		const char *value = setting_of(config, names[i])->value;
		char **kept = &config->storage.s3_references[i];

		if (!value ||
		    (!strstr(value, "${file:") && !strstr(value, "${directory:"))) {
			continue;
		}
		*kept = strdup(value);
		if (!*kept) {
			return out_of_memory(err);
		}
	}
	return ST_OK;
}

enum status config_finish(struct config *config, struct error *err)
{
	enum status status = apply_settings(config, err);

	if (status == ST_OK) {
		status = problems_settle(&config->problems, err);
	}
	if (status == ST_OK && config->sink_of_file && !config->sink_is_given &&
	    (!config->command || config->is_check)) {
		status = config_set_sink(config, config->sink_of_file, err);
	}
	if (status == ST_OK) {
		status = keep_references(config, err);
	}
	if (status == ST_OK) {
		status = policy_settings_check(&config->policy, err);
	}
	if (status == ST_OK && !config->needs_no_database) {
		status = finish_run(config, err);
	}
	if (status == ST_OK) {
		settings_clear(config);
	} else if (status == ST_CONFIG && config->problems.count == 0) {
		struct error unheard = *err;

		return problems_take(&config->problems, ST_CONFIG, &unheard) == ST_OK
			   ? status
			   : error_no_memory(err, "the configuration");
	}
	return status;
}

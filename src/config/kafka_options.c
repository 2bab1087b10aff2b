/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/kafka_options.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/config/config_provider.h"

#define PRODUCER "producer."
#define SIGNALS  "signal.consumer."
#define TOPICS   "topic.creation."
#define DEFAULT  TOPICS "default."

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

/* The texts are ours, though others see them as const. */
static void free_text(const char *text)
{
	free((char *)(uintptr_t)text);
}

static void family_clear(struct kafka_family *family)
{
	for (size_t i = 0; i < family->count; i++) {
		free_text(family->list[i].where);
		free_text(family->list[i].name);
		free_text(family->list[i].value);
	}
	free(family->list);
	free(family->ranks);
	*family = (struct kafka_family){0};
}

void kafka_options_init(struct kafka_options *options)
{
	*options = (struct kafka_options){.exactly_once = true,
					  .may_make_topics = true,
					  .partitions = -1,
					  .replication_factor = -1};
}

void kafka_options_clear(struct kafka_options *options)
{
	family_clear(&options->producer);
	family_clear(&options->signals);
	family_clear(&options->topics);
	kafka_options_init(options);
}

/* ---- families ---- */

static struct sink_property *family_add(struct kafka_family *family)
{
	struct sink_property *list =
	    reallocarray(family->list, family->count + 1, sizeof *list);
	int *ranks;

	if (!list) {
		return NULL;
	}
	family->list = list;
	ranks = reallocarray(family->ranks, family->count + 1, sizeof *ranks);
	if (!ranks) {
		return NULL;
	}
	family->ranks = ranks;
	list[family->count] = (struct sink_property){0};
	return &list[family->count++];
}

static enum status family_set(struct kafka_family *family, int rank, const char *where,
			      const char *beginning, const char *name,
			      const char *value, struct error *err)
{
	struct sink_property *p = NULL;
	char *place;

	for (size_t i = 0; i < family->count; i++) {
		if (strcmp(family->list[i].name, name) == 0) {
			if (family->ranks[i] > rank) {
				return ST_OK;
			}
			p = &family->list[i];
			free_text(p->where);
			free_text(p->name);
			free_text(p->value);
		}
	}
	p = p ? p : family_add(family);
	if (!p) {
		return out_of_memory(err);
	}
	family->ranks[p - family->list] = rank;
	*p = (struct sink_property){.name = strdup(name), .value = strdup(value)};
	p->where = asprintf(&place, "%s%s", where, beginning) < 0 ? NULL : place;
	return p->where && p->name && p->value ? ST_OK : out_of_memory(err);
}

/* ---- topic.creation.* ---- */

static enum status bad_value(const char *where, const char *key, const char *value,
			     const char *must, struct error *err)
{
	return error_set(err, ST_CONFIG, "%s%s=%s: must be %s", where, key, value,
			 must);
}

static bool parse_count(const char *text, int most, int *out)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || *end || errno || n < -1 || n == 0 || n > most) {
		return false;
	}
	*out = (int)n;
	return true;
}

static enum status set_topic(struct kafka_options *options, int rank, const char *where,
			     const char *key, const char *value, struct error *err)
{
	const char *name = key + strlen(DEFAULT);

	if (strcmp(key, TOPICS "enable") == 0) {
		if (strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0) {
			return bad_value(where, key, value, "true or false", err);
		}
	} else if (strncmp(key, DEFAULT, strlen(DEFAULT)) != 0 || !*name) {
		return error_set(err, ST_CONFIG,
				 "%s%s is not built yet in this version; " TOPICS
				 "enable and " DEFAULT "* are",
				 where, key);
	}
	return family_set(&options->topics, rank, where, "", key, value, err);
}

/* Move what is no setting of a topic out of the family. */
static enum status take_topics(struct kafka_options *options, struct error *err)
{
	struct kafka_family *family = &options->topics;
	size_t kept = 0;

	for (size_t i = 0; i < family->count; i++) {
		struct sink_property *p = &family->list[i];
		int *count = NULL;

		if (strcmp(p->name, TOPICS "enable") == 0) {
			options->may_make_topics = strcasecmp(p->value, "true") == 0;
			count = NULL;
		} else if (strcmp(p->name, DEFAULT "partitions") == 0) {
			count = &options->partitions;
		} else if (strcmp(p->name, DEFAULT "replication.factor") == 0) {
			count = &options->replication_factor;
		} else {
			char *name = strdup(p->name + strlen(DEFAULT));

			if (!name) {
				return out_of_memory(err);
			}
			free_text(p->name);
			p->name = name;
			family->list[kept++] = *p;
			continue;
		}
		if (count && !parse_count(p->value, INT16_MAX, count)) {
			return bad_value(p->where, p->name, p->value,
					 "a number from 1 on, or -1 (the broker's "
					 "default)",
					 err);
		}
		free_text(p->where);
		free_text(p->name);
		free_text(p->value);
		*p = (struct sink_property){0};
	}
	family->count = kept;
	return ST_OK;
}

/* ---- all ---- */

enum status kafka_options_set(struct kafka_options *options, int rank,
			      const char *where, const char *key, const char *value,
			      struct error *err)
{
	if (strncmp(key, PRODUCER, strlen(PRODUCER)) == 0) {
		return family_set(&options->producer, rank, where, PRODUCER,
				  key + strlen(PRODUCER), value, err);
	}
	if (strncmp(key, SIGNALS, strlen(SIGNALS)) == 0) {
		return family_set(&options->signals, rank, where, SIGNALS,
				  key + strlen(SIGNALS), value, err);
	}
	return set_topic(options, rank, where, key, value, err);
}

static enum status resolve(struct sink_property *p, struct error *err)
{
	enum status status;
	char *setting, *value = NULL;

	if (asprintf(&setting, "%s%s", p->where, p->name) < 0) {
		return out_of_memory(err);
	}
	status = config_provider_resolve(setting, p->value, &value, err);
	free(setting);
	if (status == ST_OK) {
		free_text(p->value);
		p->value = value;
	}
	return status;
}

static enum status resolve_all(struct kafka_family *family, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < family->count; i++) {
		status = resolve(&family->list[i], err);
	}
	return status;
}

enum status kafka_options_finish(struct kafka_options *options, struct error *err)
{
	enum status status = take_topics(options, err);

	if (status == ST_OK) {
		status = resolve_all(&options->producer, err);
	}
	return status == ST_OK ? resolve_all(&options->signals, err) : status;
}

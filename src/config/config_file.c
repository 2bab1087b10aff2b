/* SPDX-License-Identifier: Apache-2.0 */
/* src/config/config_file.c -- properties that stand in a file (src/config/settings.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/sink_table.h"
#include "src/config/connector_file.h"
#include "src/config/property_file.h"
#include "src/config/settings.h"

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the options");
}

enum status config_set_sink(struct config *config, const char *text, struct error *err)
{
	const char *target;

	if (sink_table_find(text, &config->sink, &target, err) != ST_OK) {
		return err->status;
	}
	free(config->sink_target);
	config->sink_target = target ? strdup(target) : NULL;
	return !target || config->sink_target ? ST_OK : out_of_memory(err);
}

struct file_load {
	struct config *config;
	const char *path;
};

/* Of Debezium Server. */
#define SERVER_BROKERS "debezium.sink.kafka.producer.bootstrap.servers"

static enum status keep_sink(struct config *config, const char *brokers,
			     struct error *err)
{
	free(config->sink_of_file);
	if (asprintf(&config->sink_of_file, "kafka://%s", brokers) < 0) {
		config->sink_of_file = NULL;
		return out_of_memory(err);
	}
	return ST_OK;
}

static enum status set_from_file(void *context, const char *key, const char *value,
				 unsigned line, struct error *err)
{
	const struct file_load *load = context;
	enum status status;
	char *where;

	if ((line > 0 ? asprintf(&where, "%s:%u: ", load->path, line)
		      : asprintf(&where, "%s: ", load->path)) < 0) {
		return out_of_memory(err);
	}
	status = strcmp(key, SERVER_BROKERS) == 0
		     ? keep_sink(load->config, value, err)
		     : config_set(load->config, CONFIG_FILE, where,
				  connector_plain_key(key), value, err);
	free(where);
	return problems_take(&load->config->problems, status, err);
}

enum status config_load(struct config *config, const char *path, struct error *err)
{
	struct file_load load = {.config = config, .path = path};
	struct buffer b;
	enum status status;

	buffer_init(&b);
	status = property_file_read(path, &b, err);
	if (status == ST_OK) {
		const char *text = b.bytes ? b.bytes : "";

		status = connector_file_is(text, b.len)
			     ? connector_file_parse(path, text, b.len, set_from_file,
						    &load, err)
			     : property_file_parse(path, text, b.len, set_from_file,
						   &load, err);
	}
	buffer_clear(&b);
	return status;
}

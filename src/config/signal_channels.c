/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/signal_channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

static void forget(char **text)
{
	free(*text);
	*text = NULL;
}

static unsigned with_places(const struct config *config)
{
	bool has_kafka = config->signal_topic || config->signal_brokers;

	return (config->signal_collection ? SIGNAL_CHANNEL_SOURCE : 0) |
	       (config->signal_file ? SIGNAL_CHANNEL_FILE : 0) |
	       (has_kafka ? SIGNAL_CHANNEL_KAFKA : 0);
}

static enum status derive_file(struct config *config, struct error *err)
{
	if (!(config->signal_channels & SIGNAL_CHANNEL_FILE)) {
		forget(&config->signal_file);
		return ST_OK;
	}
	if (!config->signal_file) {
		config->signal_file = strdup("file-signals.txt"); /* as Debezium */
	}
	return config->signal_file ? ST_OK : out_of_memory(err);
}

static enum status derive_brokers(struct config *config, struct error *err)
{
	if (config->signal_brokers) {
		return ST_OK;
	}
	if (config->sink != &kafka_kind) {
		return error_set(err, ST_CONFIG,
				 "signal.enabled.channels: signals by Kafka need "
				 "signal.kafka.bootstrap.servers=HOST:PORT, as --to "
				 "names no Kafka");
	}
	config->signal_shares_sink = true;
	config->signal_brokers = strdup(config->sink_target);
	return config->signal_brokers ? ST_OK : out_of_memory(err);
}

static enum status derive_kafka(struct config *config, struct error *err)
{
	if (!(config->signal_channels & SIGNAL_CHANNEL_KAFKA)) {
		forget(&config->signal_topic);
		return ST_OK;
	}
	if (!config->signal_topic && asprintf(&config->signal_topic, "%s-signal",
					      config->encoder.topic_prefix) < 0) {
		config->signal_topic = NULL;
		return out_of_memory(err);
	}
	return derive_brokers(config, err);
}

enum status signal_channels_derive(struct config *config, bool is_given,
				   struct error *err)
{
	enum status status;

	if (!is_given) {
		config->signal_channels = with_places(config);
	}
	if (!(config->signal_channels & SIGNAL_CHANNEL_SOURCE)) {
		forget(&config->signal_collection);
	}
	status = derive_file(config, err);
	return status == ST_OK ? derive_kafka(config, err) : status;
}

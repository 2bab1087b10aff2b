/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/encoder_config.h"

static enum header_form header_form_of(const struct config *config)
{
	if (config->header_schemas) {
		return HEADER_WITH_SCHEMA;
	}
	return config->sink->is_for_connect ? HEADER_FOR_CONNECT : HEADER_PLAIN;
}

enum status encoder_config_open(const struct config *config,
				struct column_rules **rules,
				struct transforms **transforms,
				struct encoder **encoder, struct error *err)
{
	struct encoder_settings settings = config->encoder;

	if (column_options_open(&config->columns, rules, err) != ST_OK ||
	    transform_options_open(&config->transforms, config->lines == LINES_FLAT,
				   transforms, err) != ST_OK) {
		return err->status;
	}
	settings.version = ROWTAIL_VERSION;
	settings.database_name = config->database_name;
	settings.rules = *rules;
	settings.transforms = *transforms;
	settings.header_form = header_form_of(config);
	settings.audit_lines = config->sink->form == FORM_AUDIT;
	settings.wants_keys =
	    sink_wants_keys(config->sink, config->lines == LINES_RECORD);
	if (config->heartbeat_ms == 0) {
		settings.heartbeat_prefix = NULL;
	}
	if (!(config->notification_channels & NOTIFICATION_SINK)) {
		settings.notification_topic = NULL;
	}
	return encoder_open(&settings, encoder, err);
}

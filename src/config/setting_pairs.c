/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/setting_pairs.h"

#include <string.h>

#include "schemas/topic_name.h"

/* Properties that go together, or do not. */
static enum status check_tables(const struct config *config, struct error *err)
{
	return config->table_include_list && config->table_exclude_list
		   ? error_set(err, ST_CONFIG,
			       "table.include.list and table.exclude.list exclude each "
			       "other; give one of them")
		   : ST_OK;
}

static enum status check_headers(const struct config *config, struct error *err)
{
	return config->header_schemas && !config->encoder.schemas
		   ? error_set(err, ST_CONFIG,
			       "header.converter.schemas.enable=true needs "
			       "schemas.enable=true, as a header's schema is that of "
			       "the key; set both, or neither")
		   : ST_OK;
}

static enum status check_process(const struct config *config, struct error *err)
{
	return config->encoder.audit_process &&
		       (config->sink->form != FORM_AUDIT || config->archive)
		   ? error_set(err, ST_CONFIG,
			       "audit.process=true goes with a database that is "
			       "followed --to audit:PATH only; leave it out")
		   : ST_OK;
}

static enum status check_context(const struct config *config, struct error *err)
{
	return config->encoder.context_alone && !config->encoder.context_table
		   ? error_set(err, ST_CONFIG,
			       "transaction.context.alone=emit needs "
			       "transaction.context.table, the table of the context; "
			       "set both, or neither")
		   : ST_OK;
}

/* Each channel of notifications and what it needs. */
static enum status check_notifications(const struct config *config, struct error *err)
{
	const char *topic = config->encoder.notification_topic;

	if ((config->notification_channels & NOTIFICATION_SINK) && !topic) {
		return error_set(err, ST_CONFIG,
				 "notification.enabled.channels=sink needs "
				 "notification.sink.topic.name, the topic of "
				 "notifications; set both, or neither");
	}
	if (topic && (strlen(topic) > TOPIC_NAME_MAX || strcmp(topic, ".") == 0 ||
		      strcmp(topic, "..") == 0)) {
		return error_set(err, ST_CONFIG,
				 "notification.sink.topic.name=%s: no topic can be "
				 "called so (it may have %d characters, and be neither "
				 ". nor ..)",
				 topic, TOPIC_NAME_MAX);
	}
	if (!(config->notification_channels & NOTIFICATION_FILE) !=
	    !config->notification_file) {
		return error_set(err, ST_CONFIG,
				 "notification.enabled.channels=file and "
				 "notification.file, the path, go together; set both, "
				 "or neither");
	}
	return ST_OK;
}

/* What is of Debezium's messages means nothing in an audit log. */
static enum status check_form(const struct config *config, struct error *err)
{
	const struct encoder_settings *encoder = &config->encoder;
	const char *wrong = config->lines == LINES_RECORD ? "--lines=record"
			    : config->lines == LINES_FLAT ? "--lines=flat"
			    : config->transforms.list     ? "transforms"
			    : encoder->schemas            ? "schemas.enable=true"
			    : encoder->transaction_metadata
				? "provide.transaction.metadata=true"
			    : config->notification_channels & NOTIFICATION_SINK
				? "notification.enabled.channels=sink"
			    : config->heartbeat_ms > 0 ? "heartbeat.interval.ms"
						       : NULL;

	if (config->sink->form != FORM_AUDIT || !wrong) {
		return ST_OK;
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s does not go with --to %s, whose lines have one form; leave "
	    "it out",
	    wrong, config->sink->scheme);
}

enum status setting_pairs_check(const struct config *config, struct problems *problems,
				struct error *err)
{
	static enum status (*const checks[])(const struct config *, struct error *) = {
	    check_tables,  check_headers,       check_process,
	    check_context, check_notifications, check_form,
	};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < sizeof checks / sizeof *checks; i++) {
		status = problems_take(problems, checks[i](config, err), err);
	}
	return status;
}

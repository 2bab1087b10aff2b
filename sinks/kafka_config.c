/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_config.h"

#include <stdio.h>
#include <string.h>

#include "src/base/log.h"

/* Of librdkafka's defaults, what a follower wants otherwise. */
static const char *const ours[][2] = {
    {"client.id", "rowtail"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
};

/* ---- callbacks ---- */

static void on_log(const rd_kafka_t *rk, int level, const char *facility,
		   const char *text)
{
	(void)rk;
	(void)level;
	log_debug("kafka: %s: %s", facility, text);
}

/*
 * librdkafka before 2.6.1 sends its nonce twice, which Kafka 4 no longer accepts; it
 * then looks like a wrong password.
 */
static bool is_scram_too_old(const char *reason)
{
	return rd_kafka_version() < 0x020601ff && strstr(reason, "SCRAM") != NULL;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	const struct kafka_config *config = opaque;
	bool is_refusal = code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
			  code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
	char text[200];

	(void)rk;
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		return; /* says nothing about why */
	}
	if (is_refusal && is_scram_too_old(reason)) {
		(void)snprintf(text, sizeof text,
			       "SASL SCRAM failed: wrong user or password, or this is "
			       "Kafka 4, for which librdkafka must be 2.6.1 or newer "
			       "(here %s); SASL PLAIN over TLS works with both",
			       rd_kafka_version_str());
		reason = text;
	}
	kafka_wait_note(config->wait, reason, is_refusal);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	const struct kafka_config *config = opaque;

	(void)rk;
	config->delivered(config->context, message);
}

/* ---- settings ---- */

static bool is_secret(const char *name)
{
	static const char *const parts[] = {"password", "secret", "token",
					    "key.pem",  "jaas",   "oauthbearer"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (strstr(name, parts[i])) {
			return true;
		}
	}
	return false;
}

static enum status set_property(rd_kafka_conf_t *conf, const struct sink_property *p,
				struct error *err)
{
	char text[512];
	rd_kafka_conf_res_t result =
	    rd_kafka_conf_set(conf, p->name, p->value, text, sizeof text);

	if (result == RD_KAFKA_CONF_OK) {
		return ST_OK;
	}
	if (is_secret(p->name) && result != RD_KAFKA_CONF_UNKNOWN) {
		(void)snprintf(text, sizeof text, "the value is not usable");
	}
	return error_set(err, ST_CONFIG, "%s%s: %s", p->where, p->name, text);
}

static enum status set_own(rd_kafka_conf_t *conf, const char *name, const char *value,
			   struct error *err)
{
	struct sink_property own = {.where = "librdkafka: ", .name = name};

	own.value = value;
	return set_property(conf, &own, err);
}

/* What the guarantees rest on is not for others to set. */
static enum status check_conflicts(const struct kafka_config *config, struct error *err)
{
	for (size_t i = 0; i < config->property_count; i++) {
		const struct sink_property *p = &config->properties[i];
		const char *why = NULL;

		if (strcmp(p->name, "bootstrap.servers") == 0 ||
		    strcmp(p->name, "metadata.broker.list") == 0) {
			why = "the brokers are those of --to";
		} else if (strcmp(p->name, "enable.idempotence") == 0 &&
			   strcmp(p->value, "false") == 0) {
			why = "without it messages may be lost or change places";
		} else if (strcmp(p->name, "transactional.id") == 0 &&
			   !config->transactional_id) {
			why = "goes with exactly.once.support=required only";
		}
		if (why) {
			return error_set(err, ST_CONFIG, "%s%s: %s; leave it out",
					 p->where, p->name, why);
		}
	}
	return ST_OK;
}

static enum status set_properties(rd_kafka_conf_t *conf,
				  const struct sink_property *properties, size_t count,
				  struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < count; i++) {
		status = set_property(conf, &properties[i], err);
	}
	return status;
}

static enum status set_common(struct kafka_config *config, rd_kafka_conf_t *conf,
			      struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < sizeof ours / sizeof *ours; i++) {
		status = set_own(conf, ours[i][0], ours[i][1], err);
	}
	if (status == ST_OK) {
		status = set_properties(conf, config->properties,
					config->property_count, err);
	}
	if (status == ST_OK) {
		status = set_own(conf, "bootstrap.servers", config->brokers, err);
	}
	rd_kafka_conf_set_opaque(conf, config);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return status;
}

static enum status set_all(struct kafka_config *config, rd_kafka_conf_t *conf,
			   struct error *err)
{
	enum status status = check_conflicts(config, err);

	return status == ST_OK ? set_common(config, conf, err) : status;
}

/* `which` settings are to blame if it cannot be had. */
static enum status make(rd_kafka_type_t type, const char *which, rd_kafka_conf_t *conf,
			rd_kafka_t **out, struct error *err)
{
	char text[512];

	*out = rd_kafka_new(type, conf, text, sizeof text);
	if (!*out) {
		rd_kafka_conf_destroy(conf);
		return error_set(err, ST_CONFIG, "the settings %s: %s", which, text);
	}
	return ST_OK;
}

/* ---- handles ---- */

static bool is_given(const struct kafka_config *config, const char *name)
{
	for (size_t i = 0; i < config->property_count; i++) {
		if (strcmp(config->properties[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

enum status kafka_config_producer(struct kafka_config *config, rd_kafka_t **out,
				  struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	enum status status = set_all(config, conf, err);

	if (status == ST_OK) {
		status = set_own(conf, "enable.idempotence", "true", err);
	}
	/* Otherwise librdkafka spreads messages without a key and asks no partitioner.
	 */
	if (status == ST_OK) {
		status = set_own(conf, "sticky.partitioning.linger.ms", "0", err);
	}
	if (status == ST_OK && config->transactional_id &&
	    !is_given(config, "transactional.id")) {
		status =
		    set_own(conf, "transactional.id", config->transactional_id, err);
	}
	/* Without transactions nothing bounds how long a message may wait. */
	if (status == ST_OK && !config->transactional_id &&
	    !is_given(config, "message.timeout.ms")) {
		status = set_own(conf, "message.timeout.ms", "0", err);
	}
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	if (status != ST_OK) {
		rd_kafka_conf_destroy(conf);
		return status;
	}
	return make(RD_KAFKA_PRODUCER, "producer.*", conf, out, err);
}

enum status kafka_config_reader(struct kafka_config *config, bool committed_only,
				rd_kafka_t **out, struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	enum status status = set_all(config, conf, err);

	if (status == ST_OK) {
		status = set_own(conf, "isolation.level",
				 committed_only ? "read_committed" : "read_uncommitted",
				 err);
	}
	if (status == ST_OK) {
		status = set_own(conf, "enable.partition.eof", "true", err);
	}
	/* A broker may make what is asked for, with settings of its own. */
	if (status == ST_OK) {
		status = set_own(conf, "allow.auto.create.topics", "false", err);
	}
	/* The end is told by an empty answer: which is not to come half a second late.
	 */
	if (status == ST_OK) {
		status = set_own(conf, "fetch.wait.max.ms", "10", err);
	}
	if (status != ST_OK) {
		rd_kafka_conf_destroy(conf);
		return status;
	}
	return make(RD_KAFKA_CONSUMER, "producer.*", conf, out, err);
}

/* What a signal that is taken once rests on is not for others to set. */
static enum status check_group(const struct kafka_group *group, struct error *err)
{
	static const char *const not_theirs[][2] = {
	    {"bootstrap.servers", "the brokers are those of "
				  "signal.kafka.bootstrap.servers"},
	    {"metadata.broker.list", "the brokers are those of "
				     "signal.kafka.bootstrap.servers"},
	    {"enable.auto.commit", "an offset is committed when its signal is taken"},
	};

	for (size_t i = 0; i < group->property_count; i++) {
		const struct sink_property *p = &group->properties[i];

		for (size_t k = 0; k < sizeof not_theirs / sizeof *not_theirs; k++) {
			if (strcmp(p->name, not_theirs[k][0]) == 0) {
				return error_set(err, ST_CONFIG,
						 "%s%s: %s; leave it out", p->where,
						 p->name, not_theirs[k][1]);
			}
		}
	}
	return ST_OK;
}

/* Of librdkafka's defaults, what a reader of signals wants otherwise: the first signals
 * of a topic are meant, too (Debezium has the same), little memory, and that a commit
 * does not wait for long where there is nobody (nobody joins the group). */
static const char *const of_signals[][2] = {
    {"auto.offset.reset", "earliest"},
    {"queued.min.messages", "100"},
    {"queued.max.messages.kbytes", "4096"},
    {"session.timeout.ms", "1000"},
};

static enum status set_group(rd_kafka_conf_t *conf, const struct kafka_group *group,
			     struct error *err)
{
	enum status status = set_own(conf, "group.id", group->id, err);

	for (size_t i = 0;
	     status == ST_OK && i < sizeof of_signals / sizeof *of_signals; i++) {
		status = set_own(conf, of_signals[i][0], of_signals[i][1], err);
	}
	if (status == ST_OK) {
		status =
		    set_properties(conf, group->properties, group->property_count, err);
	}
	return status == ST_OK ? set_own(conf, "enable.auto.commit", "false", err)
			       : status;
}

enum status kafka_config_member(struct kafka_config *config,
				const struct kafka_group *group, rd_kafka_t **out,
				struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	enum status status = check_group(group, err);

	if (status == ST_OK) {
		status = set_common(config, conf, err);
	}
	if (status == ST_OK) {
		status = set_group(conf, group, err);
	}
	if (status != ST_OK) {
		rd_kafka_conf_destroy(conf);
		return status;
	}
	return make(RD_KAFKA_CONSUMER, "signal.consumer.*", conf, out, err);
}

void kafka_config_get(rd_kafka_t *rk, const char *name, char *text, size_t len)
{
	if (rd_kafka_conf_get(rd_kafka_conf(rk), name, text, &len) !=
	    RD_KAFKA_CONF_OK) {
		text[0] = '\0';
	}
}

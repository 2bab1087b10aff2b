/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_producer.h"

#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/metrics.h"

#define ABORT_MS 1000
#define REST_NS  (4 * NS_PER_MS) /* what a broker needs to settle a transaction */

enum status kafka_producer_open(struct kafka_producer *producer, struct error *err)
{
	producer->is_open = false;
	producer->is_fenced = false;
	producer->rest_until = 0;
	producer->failure[0] = '\0';
	return kafka_config_producer(producer->config, &producer->rk, err);
}

void kafka_producer_close(struct kafka_producer *producer, bool abort)
{
	if (!producer->rk) {
		return;
	}
	if (producer->is_open && abort) {
		rd_kafka_error_destroy(
		    rd_kafka_abort_transaction(producer->rk, ABORT_MS));
	}
	rd_kafka_destroy(producer->rk);
	producer->rk = NULL;
	producer->is_open = false;
}

static bool is_refusal(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

/* Takes `error`. ST_END: it may pass, the same call goes on. */
static enum status judge(struct kafka_producer *producer, rd_kafka_error_t *error,
			 struct error *err)
{
	rd_kafka_resp_err_t why = rd_kafka_error_code(error);
	bool may_retry = rd_kafka_error_is_retriable(error) != 0;
	enum status status = ST_RETRY;

	(void)snprintf(producer->failure, sizeof producer->failure, "%s",
		       rd_kafka_error_string(error));
	if (is_refusal(why)) {
		status = error_set(
		    err, producer->config->wait->is_start ? ST_CONFIG : ST_IO,
		    "Kafka at %s refuses: %s; allow rowtail to write its topics and "
		    "to use the transactional.id %s",
		    producer->config->brokers, producer->failure,
		    producer->config->transactional_id
			? producer->config->transactional_id
			: "that is set");
	} else if (may_retry) {
		status = ST_END;
		metrics_count(METRIC_SINK_RETRIES, 1);
	} else {
		producer->is_fenced = why == RD_KAFKA_RESP_ERR__FENCED;
		(void)error_set(err, ST_RETRY, "%s", producer->failure);
	}
	rd_kafka_error_destroy(error);
	(void)rd_kafka_poll(producer->rk, 0);
	return status;
}

enum status kafka_producer_init(struct kafka_producer *producer, struct error *err)
{
	enum status status = ST_END;

	if (!producer->config->transactional_id) {
		return ST_OK;
	}
	while (status == ST_END) {
		rd_kafka_error_t *error =
		    rd_kafka_init_transactions(producer->rk, KAFKA_SLICE_MS);

		if (!error) {
			return ST_OK;
		}
		status = judge(producer, error, err);
		if (status == ST_END &&
		    kafka_wait_more(producer->config->wait, err) != ST_OK) {
			return err->status;
		}
	}
	return status;
}

bool kafka_producer_is_rested(const struct kafka_producer *producer)
{
	return producer->is_open || clock_mono_ns() >= producer->rest_until;
}

enum status kafka_producer_begin(struct kafka_producer *producer, struct error *err)
{
	rd_kafka_error_t *error;

	if (producer->is_open || !producer->config->transactional_id) {
		return ST_OK;
	}
	if (!kafka_producer_is_rested(producer)) {
		clock_sleep_ns(producer->rest_until - clock_mono_ns());
	}
	error = rd_kafka_begin_transaction(producer->rk);
	if (error) {
		enum status status = judge(producer, error, err);

		return status == ST_END ? ST_RETRY : status;
	}
	producer->is_open = true;
	producer->begun_ns = clock_mono_ns();
	return ST_OK;
}

enum status kafka_producer_commit(struct kafka_producer *producer, struct error *err)
{
	rd_kafka_error_t *error =
	    rd_kafka_commit_transaction(producer->rk, KAFKA_SLICE_MS);

	if (error) {
		return judge(producer, error, err);
	}
	producer->is_open = false;
	producer->rest_until = clock_mono_ns() + REST_NS;
	metrics_took(METRIC_KAFKA_TRANSACTION_TIME,
		     clock_mono_ns() - producer->begun_ns);
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/helpers/mock_broker.c -- librdkafka's mock broker as a program.
 *
 *     mock_broker      prints its address; each line on stdin is a command
 *
 * Commands, each answered with a line "done": "down" and "up" (it refuses connections,
 * and takes them again), "end-errors N" (so many commits fail). Ends with its stdin.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_END_TXN 26

static void obey(rd_kafka_mock_cluster_t *cluster, const char *line)
{
	if (strcmp(line, "down\n") == 0) {
		(void)rd_kafka_mock_broker_set_down(cluster, 1);
	} else if (strcmp(line, "up\n") == 0) {
		(void)rd_kafka_mock_broker_set_up(cluster, 1);
	} else if (strncmp(line, "end-errors ", 11) == 0) {
		for (int i = atoi(line + 11); i > 0; i--) {
			rd_kafka_mock_push_request_errors(
			    cluster, API_END_TXN, 1,
			    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
		}
	} else {
		(void)fprintf(stderr, "mock_broker: no such command: %s", line);
		exit(2);
	}
	(void)puts("done");
	(void)fflush(stdout);
}

int main(void)
{
	char text[256], line[64];
	rd_kafka_t *owner =
	    rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
	rd_kafka_mock_cluster_t *cluster;

	if (!owner) {
		(void)fprintf(stderr, "mock_broker: %s\n", text);
		return 1;
	}
	cluster = rd_kafka_mock_cluster_new(owner, 1);
	(void)puts(rd_kafka_mock_cluster_bootstraps(cluster));
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		obey(cluster, line);
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
	return 0;
}

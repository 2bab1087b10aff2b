/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_position.h -- how far a database is in Kafka, as Kafka has it.
 *
 * The topic __rowtail-position.<topic.prefix> has one partition and is compacted. Its
 * record is written in the same Kafka transaction as the events that it speaks
 * of, so that both are there or neither is.
 *
 * FORMAT  Key {"prefix":"…"}, value (docs/kafka.md has the meaning of each):
 *         {"version":1,"uuid":"…","database":"…","run":"…","exactly_once":true,
 *          "lsn":…,"chain":"…","snapshot":false,"messages":…,"change_id":…,
 *          "txn_change_id":…,"previous_lsn":…|null,"settings":"…"}
 *         Numbers of 64 bits without a meaning as numbers are 16 hexadecimal digits.
 * THREADS The decoding thread.
 * ERRORS  ST_CONFIG: the record is none of ours or of a newer rowtail. Those of
 *         sinks/kafka_wait.h.
 */
#ifndef SINKS_KAFKA_POSITION_H
#define SINKS_KAFKA_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_config.h"
#include "sinks/sink.h"
#include "src/base/buffer.h"

#define KAFKA_POSITION_TOPIC "__rowtail-position"
#define KAFKA_UUID_CHARS     32
#define KAFKA_RUN_CHARS      16
#define KAFKA_PATH_BYTES     4096

struct kafka_position {
	char uuid[KAFKA_UUID_CHARS + 1]; /* of the state directory */
	char database[KAFKA_PATH_BYTES]; /* its real path */
	char run[KAFKA_RUN_CHARS + 1];   /* of the process that wrote it, random */
	bool exactly_once;               /* false: behind what Kafka has, at times */
	struct sink_position at;
};

/* The path of a database as a record has it: of one that is no UTF-8 all other bytes
 * are '?'. */
void kafka_position_path(char to[KAFKA_PATH_BYTES], const char *path);

/* Append the record's value, and its key. False when memory ran out. */
bool kafka_position_add(struct buffer *to,
			const struct kafka_position *position) MUST_CHECK;
bool kafka_position_add_key(struct buffer *to, const char *prefix) MUST_CHECK;

/* The value of a record; `topic` is for messages. */
enum status kafka_position_parse(const char *topic, const char *value, size_t len,
				 struct kafka_position *out,
				 struct error *err) MUST_CHECK;

/* What is in the topic. */
struct kafka_found {
	bool is_there;
	struct kafka_position position;
};

/*
 * The last record that is committed. With `open_too` one after the first open
 * transaction counts as well. A topic that is not there has no record. Waits for Kafka
 * as `config->wait` says.
 */
enum status kafka_position_read(struct kafka_config *config, const char *topic,
				bool open_too, struct kafka_found *out,
				struct error *err) MUST_CHECK;

#endif

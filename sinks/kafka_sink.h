/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_sink.h -- messages into Kafka, with the position that they lead to.
 *
 * EXACTLY ONCE   What is put is gathered (sinks/kafka_batch.h) and sent in a Kafka
 *                transaction, whose last message is the position of all that was put
 *                (sinks/kafka_position.h). It is committed by flush, and by a put that
 *                finds the batch full or the transaction half its time old. If it
 *                fails, a new producer takes over, reads the position, and so learns
 *                whether it was committed after all; if not, the batch is sent again.
 *                Memory is bounded by the batch.
 * AT LEAST ONCE  Without transactions; flush waits until all is delivered. What failed
 *                is sent again. The position is written afterwards, at most once a
 *                second: it says whose the topics are.
 * OUTAGES        are waited for, sinks/kafka_wait.h. A stop leaves 2.5 s.
 * START          claim looks whose the topics are, which disturbs nobody, decides
 *                (sinks/kafka_resume.h), ends an earlier producer and decides again.
 *                begin makes the topics that were announced and writes the position.
 * THREADS        The decoding thread.
 * ERRORS         ST_CONFIG at the start; ST_IO: what cannot be retried. Nothing that
 *                was not acknowledged is lost.
 */
#ifndef SINKS_KAFKA_SINK_H
#define SINKS_KAFKA_SINK_H

#include "sinks/kafka_position.h"
#include "sinks/sink_table.h"

/* The two steps of claim. Who wrote here last: disturbs nobody. */
enum status kafka_sink_look(struct sink *sink, struct kafka_found *found,
			    struct error *err) MUST_CHECK;
/* End whoever did, and read what they committed. */
enum status kafka_sink_take(struct sink *sink, struct kafka_found *found,
			    struct error *err) MUST_CHECK;

#endif

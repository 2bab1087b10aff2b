/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/topic_name.h -- a table's name to the topic of its messages.
 *
 * As Debezium's SchemaTopicNamingStrategy: prefix, delimiter and table joined, and
 * in the whole of it each UTF-16 code unit outside [A-Za-z0-9._-] made '_' (so a
 * character above U+FFFF is "__"), cut to 249, "." made "_" and ".." "__". Two
 * tables may get the same topic; whoever plans tables looks for that.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_TOPIC_NAME_H
#define SCHEMAS_TOPIC_NAME_H

#include "src/base/buffer.h"

#define TOPIC_NAME_MAX 249 /* characters; Kafka's limit */

/* Append the topic of `table` (UTF-8; broken sequences count as U+FFFD). */
void topic_name_add(struct buffer *b, const char *prefix, const char *delimiter,
		    const char *table);

#endif

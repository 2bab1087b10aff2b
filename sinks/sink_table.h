/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/sink_table.h -- all kinds of sinks, each of them once.
 *
 * A new kind is a file that defines its struct sink_kind (sinks/sink.h), its
 * declaration here and one line in sinks/sink_table.c. Parsing of --to, its errors,
 * --help, defaults and what the pipeline does with it are made of that.
 *
 * THREADS  No shared state.
 */
#ifndef SINKS_SINK_TABLE_H
#define SINKS_SINK_TABLE_H

#include <stddef.h>

#include "sinks/sink.h"

extern const struct sink_kind stdout_kind; /* sinks/stdout_sink.h */
extern const struct sink_kind file_kind;   /* sinks/file_sink.h */
extern const struct sink_kind kafka_kind;  /* sinks/kafka_sink.h */
extern const struct sink_kind null_kind;   /* sinks/null_sink.c */

/* In the order of --help; the first one is the default. NULL: no more. */
const struct sink_kind *sink_table_at(size_t index);

/*
 * The kind that the value of --to names, and in `*target` what is behind the scheme (in
 * `value`; NULL: nothing). ST_CONFIG: the text says what there is.
 */
enum status sink_table_find(const char *value, const struct sink_kind **kind,
			    const char **target, struct error *err) MUST_CHECK;

#endif

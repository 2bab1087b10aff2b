/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/sink_table.h -- all kinds of sinks, each of them once.
 *
 * A new kind is a file that defines its struct sink_kind (sinks/sink.h), and one line
 * in SINK_KINDS. Parsing of --to, its errors, --help, defaults and what the pipeline
 * does with it are made of that.
 *
 * THREADS  No shared state.
 */
#ifndef SINKS_SINK_TABLE_H
#define SINKS_SINK_TABLE_H

#include <stddef.h>

#include "sinks/sink.h"

/* In the order of --help; the first one is the default. NAME_kind is defined at the end
 * of sinks/NAME_sink.c. */
#define SINK_KINDS(X)  \
	X(stdout_kind) \
	X(file_kind)   \
	X(audit_kind)  \
	X(kafka_kind)  \
	X(null_kind)   \
	X(none_kind)

#define SINK_KIND_DECLARE(which) extern const struct sink_kind which;
SINK_KINDS(SINK_KIND_DECLARE)

/* NULL: no more. */
const struct sink_kind *sink_table_at(size_t index);

/*
 * The kind that the value of --to names, and in `*target` what is behind the scheme (in
 * `value`; NULL: nothing). ST_CONFIG: the text says what there is.
 */
enum status sink_table_find(const char *value, const struct sink_kind **kind,
			    const char **target, struct error *err) MUST_CHECK;

#endif

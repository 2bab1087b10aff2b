/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal.h -- a signal, which asks a run for something, as Debezium has it.
 *
 * FORMAT   A line of a file or a socket is {"id":"…","type":"…","data":{…}}, a row of a
 *          table has the three as columns. data may also be a text with the object in
 *          it, or missing: nothing is in it then.
 *
 *          log               {"message":"…"}; the first {} in it stands for a position
 *          execute-snapshot  {"data-collections":["PATTERN",…],
 *                             "type":"incremental" (default) | "blocking",
 *                             "additional-conditions":
 *                                 [{"data-collection":"PATTERN","filter":"SQL"},…],
 *                             "additional-condition":"SQL", of all tables: as it was
 *                             once, "surrogate-key": means nothing here}
 *          stop-snapshot     {"data-collections":[…], "type":…}; none: of all tables
 *          pause-snapshot    {}
 *          resume-snapshot   {}
 *
 *          A pattern is a regular expression of the whole name of a table, case
 *          ignored (schemas/name_patterns.h); a comma in it is a comma.
 * OWNERSHIP signal_parse and signal_parse_line / signal_free (takes NULL).
 * THREADS   No shared state.
 * ERRORS    All bytes are a stranger's. ST_CONFIG: the text quotes the signal, cut, and
 *           says what is wrong with it; nothing else is. ST_NOMEM; ST_IO without random
 *           numbers.
 */
#ifndef SIGNAL_H
#define SIGNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/message.h"
#include "src/base/status.h"

#define SIGNAL_MAX_BYTES (1u << 20) /* of a line, or of data */
#define SIGNAL_MAX_LIST  1000       /* patterns, or conditions */
#define SIGNAL_MAX_ID    256        /* bytes */

enum signal_type {
	SIGNAL_LOG,
	SIGNAL_EXECUTE_SNAPSHOT,
	SIGNAL_STOP_SNAPSHOT,
	SIGNAL_PAUSE_SNAPSHOT,
	SIGNAL_RESUME_SNAPSHOT,
};

/* Rows of tables that `table` matches, those that `filter` is true of. */
struct signal_condition {
	char *table;  /* a pattern */
	char *filter; /* SQL */
};

struct signal {
	char *id; /* UTF-8 without controls; a made one where none was given */
	enum signal_type type;
	char *message;    /* of log, else NULL */
	bool is_blocking; /* of execute-snapshot and stop-snapshot */
	char **patterns;  /* each compiles; at least one of execute-snapshot */
	size_t pattern_count;
	struct signal_condition *conditions; /* of execute-snapshot */
	size_t condition_count;
};

/* An absent `id` gets one of 32 hexadecimal digits. */
enum status signal_parse(struct span id, struct span type, struct span data,
			 struct signal **out, struct error *err) MUST_CHECK;
/* `line` is without its end. `*is_like`: it is an object that has a type, whatever else
 * is wrong; also set after an error. */
enum status signal_parse_line(struct span line, struct signal **out, bool *is_like,
			      struct error *err) MUST_CHECK;
void signal_free(struct signal *signal);

/* "execute-snapshot" */
const char *signal_type_name(enum signal_type type);

/* 32 hexadecimal digits and a NUL. */
#define SIGNAL_ID_BYTES 33
enum status signal_make_id(char id[SIGNAL_ID_BYTES], struct error *err) MUST_CHECK;

#endif

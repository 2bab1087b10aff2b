/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/compute_process.h -- virtual columns, computed where it can be stopped.
 *
 * A call of a SQL function cannot be interrupted, whether it takes an hour or all
 * memory, and a thread cannot be ended from outside. A process can: so columns are
 * computed in one (schemas/compute_child.h), which has a budget of memory and time and
 * is killed when it exceeds that. Time is what it spends on a processor, so that a busy
 * machine takes nothing away.
 *
 * OWNERSHIP  compute_process_open / compute_process_close, which takes NULL and waits
 *            for its end.
 * THREADS    One thread at a time.
 */
#ifndef SCHEMAS_COMPUTE_PROCESS_H
#define SCHEMAS_COMPUTE_PROCESS_H

#include <stdbool.h>

#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

enum computation {
	COMPUTED,         /* the values are there */
	COMPUTING_FAILED, /* they cannot be computed of this row */
	COMPUTING_BROKEN, /* nor of any other */
	COMPUTING_ENDED,  /* too slow, or the process is gone: only close it */
	COMPUTING_SHORT,  /* no memory here for it, whatever the row is: close it */
};

struct compute_process;

/* What one request may use. */
struct compute_budget {
	int64_t cpu_ns;
	uint64_t length; /* bytes of one value */
	uint64_t answer; /* bytes of all values */
	uint64_t memory; /* bytes that SQLite may have in all */
};

/*
 * Start a process for `table`, whose virtual columns are computed but for those that
 * are off: `is_off`, which stays as it is while the process is used. NULL, and errno,
 * when it cannot be started. `*result` says whether it can be asked, and `complaint`
 * why not; if it can, that is empty, or says what of the definition SQLite does not
 * understand.
 */
struct compute_process *compute_process_open(const struct table *table,
					     const bool *is_off,
					     const struct compute_budget *budget,
					     enum computation *result,
					     struct error *complaint);
void compute_process_close(struct compute_process *process);

/* CPU time that it has used, in nanoseconds, also when it has ended. */
int64_t compute_process_cpu_ns(struct compute_process *process);

/* Make a row the one at hand: its stored `values`. Otherwise `complaint` says why not.
 */
enum computation compute_process_write(struct compute_process *process, int64_t rowid,
				       const struct value *values,
				       const struct compute_budget *budget,
				       struct error *complaint);

/*
 * The same, and compute its virtual columns that are not off, each in its place in
 * `values`; a TEXT or BLOB has the offset of its bytes in `bytes`, to which they are
 * appended, in value.integer.
 */
enum computation compute_process_row(struct compute_process *process, int64_t rowid,
				     struct value *values,
				     const struct compute_budget *budget,
				     struct buffer *bytes, struct error *complaint);

/* One virtual column of the row at hand, `index` counting the virtual ones. */
enum computation compute_process_column(struct compute_process *process, uint32_t index,
					struct value *value,
					const struct compute_budget *budget,
					struct buffer *bytes, struct error *complaint);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/computed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "schemas/compute_process.h"
#include "schemas/evaluator.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/utf8.h"

/* A sanitizer makes all of it slower; the limits are for the program without. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SLOWER 20
#else
#define SLOWER 1
#endif

/*
 * What is computed here and not in a process of its own, so that it takes no time that
 * matters: with values of 4 KiB the worst function, quadratic, takes some 50 ms.
 */
#define HERE_SQL   4096 /* bytes of the definition */
#define HERE_CALLS 12   /* of functions, in a row */
#define HERE_ROW   2048 /* stored bytes */
#define HERE_VALUE 4096 /* bytes of a computed value */
#define HERE_NS \
	(SLOWER * 5 * NS_PER_MS) /* a row that took longer was the last one here */

/* What a row may use elsewhere: so much, and so much for each byte that it stores. */
#define CPU_BASE    (SLOWER * 100 * NS_PER_MS)
#define CPU_BYTE    (SLOWER * 50) /* ns */
#define LENGTH_BASE (16 << 20)
#define LENGTH_BYTE 4
#define MEMORY_BASE (64 << 20)
#define MEMORY_BYTE 16

/* A table's debt: what its rows used beyond what a row and column earns. */
#define DEBT_MAX     (SLOWER * NS_PER_S)
#define EARN_COLUMN  (SLOWER * NS_PER_MS)
#define EARN_COLUMNS 20

#define WARNINGS_MAX 10 /* of one table's columns */
#define STARTS_MAX   3  /* of processes that answer nothing at all */

enum place {
	PLACE_UNKNOWN,
	PLACE_HERE,
	PLACE_APART,
	PLACE_NOWHERE, /* everything is NULL */
};

struct virtual_column {
	uint32_t column; /* of the table */
	bool is_warned;
};

struct computed {
	const struct table *table;
	pthread_mutex_t lock; /* guards everything below */
	enum place place;
	struct evaluator *evaluator;     /* NULL but in PLACE_HERE */
	struct compute_process *process; /* NULL: not started, or ended */
	bool *is_off;                    /* of each virtual column */
	int64_t debt_ns;
	bool is_warned; /* of the table as a whole */
	unsigned warnings;
	unsigned failed_starts; /* in a row */
	int shortage;           /* errno: there is no process or memory now; 0 */
	uint32_t count;
	struct virtual_column columns[];
};

/* A row on its way through. */
struct row_at_hand {
	int64_t rowid;
	struct value *values;
	struct buffer *bytes;
	uint64_t stored; /* bytes */
	struct compute_budget budget;
};

/* ---- opening ---- */

enum status computed_open(const struct table *table, struct computed **out,
			  struct error *err)
{
	uint32_t count = evaluator_count(table);
	struct computed *computed =
	    calloc(1, sizeof *computed + count * sizeof computed->columns[0]);

	if (!computed) {
		return error_no_memory(err, "computed columns");
	}
	computed->is_off = calloc(count + 1, sizeof *computed->is_off);
	if (!computed->is_off || pthread_mutex_init(&computed->lock, NULL) != 0) {
		free(computed->is_off);
		free(computed);
		return error_no_memory(err, "computed columns");
	}
	computed->table = table;
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_VIRTUAL) {
			computed->columns[computed->count++].column = i;
		}
	}
	*out = computed;
	return ST_OK;
}

static void end_process(struct computed *computed)
{
	compute_process_close(computed->process);
	computed->process = NULL;
}

static void leave_here(struct computed *computed)
{
	evaluator_close(computed->evaluator);
	computed->evaluator = NULL;
	computed->place = PLACE_APART;
}

void computed_close(struct computed *computed)
{
	if (!computed) {
		return;
	}
	evaluator_close(computed->evaluator);
	end_process(computed);
	free(computed->is_off);
	(void)pthread_mutex_destroy(&computed->lock);
	free(computed);
}

/* ---- warnings ---- */

static void warn_column(struct computed *computed, uint32_t index, const char *why)
{
	struct virtual_column *column = &computed->columns[index];

	if (column->is_warned || computed->warnings == WARNINGS_MAX) {
		return;
	}
	column->is_warned = true;
	computed->warnings++;
	log_warn(
	    "table \"%s\": generated column \"%s\" cannot be computed and is null: "
	    "%s%s",
	    SHORT_NAME(computed->table->name),
	    SHORT_NAME(computed->table->columns[column->column].name), why,
	    computed->warnings == WARNINGS_MAX
		? "; no more is said of this table's columns"
		: "");
}

static void warn_table(struct computed *computed, const char *why)
{
	if (!computed->is_warned) {
		computed->is_warned = true;
		log_warn("table \"%s\": not every generated column can be computed; "
			 "one that cannot is null: %s",
			 SHORT_NAME(computed->table->name), why);
	}
}

/* ---- here ---- */

/* Part of an unquoted name. */
static bool is_name_byte(char c)
{
	return (unsigned char)c >= 0x80 || c == '_' || c == '$' ||
	       (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

/* Could what stands at `at` be the name, and not part of a longer one? */
static bool is_whole(const char *sql, const char *at, const char *name, size_t len)
{
	bool begins = at == sql || !is_name_byte(at[-1]) || !is_name_byte(name[0]);

	return begins && (!is_name_byte(at[len]) || !is_name_byte(name[len - 1]));
}

/* Does the name stand in the definition once, so that no column names this one? Columns
 * that name each other may grow as 2 to the power of their number. */
static bool is_named_once(const char *sql, const char *name)
{
	const char *at = sql;
	size_t len = strlen(name);
	unsigned count = 0;

	if (len == 0 || strpbrk(name, "\"'`[]")) {
		return false;
	}
	while (count < 2 && (at = strcasestr(at, name))) {
		count += is_whole(sql, at, name, len);
		at++;
	}
	return count == 1;
}

static bool is_small(const struct computed *computed)
{
	const struct table *table = computed->table;
	bool is_small = strnlen(table->sql, HERE_SQL) < HERE_SQL;

	for (uint32_t i = 0; i < computed->count && is_small; i++) {
		is_small = is_named_once(
		    table->sql, table->columns[computed->columns[i].column].name);
	}
	return is_small;
}

/* Where the rows of the table are computed. */
static enum status choose_place(struct computed *computed, struct error *err)
{
	struct error complaint;
	bool has_complaint = false;
	uint32_t calls = 0;
	enum status st;

	computed->place = PLACE_APART;
	if (!is_small(computed)) {
		return ST_OK;
	}
	st = evaluator_open(computed->table, NULL, &computed->evaluator, err);
	if (st != ST_OK) {
		return st;
	}
	st = evaluator_prepare(computed->evaluator, &has_complaint, &complaint, err);
	if (st == ST_OK) {
		st = evaluator_function_calls(computed->evaluator, &calls, err);
	}
	if (st != ST_OK || has_complaint || calls > HERE_CALLS) {
		leave_here(computed);
		return ST_OK;
	}
	evaluator_limit(computed->evaluator, HERE_VALUE);
	computed->place = PLACE_HERE;
	return ST_OK;
}

/* Of this thread: what a busy machine does in between is no reason to leave. */
static int64_t cpu_ns(void)
{
	struct timespec used;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0 ? clock_ns_of(used)
								  : 0;
}

/* True when it is done. Whatever fails is tried apart, from then on. */
static bool fill_here(struct computed *computed, struct row_at_hand *row)
{
	int64_t start_ns = cpu_ns();
	struct error err;
	bool is_done = evaluator_write(computed->evaluator, row->rowid, row->values,
				       &err) == ST_OK &&
		       evaluator_read_all(computed->evaluator, row->values, row->bytes,
					  &err) == ST_OK;

	if (!is_done || cpu_ns() - start_ns > HERE_NS) {
		leave_here(computed);
	}
	return is_done;
}

/* ---- apart ---- */

static void set_null(struct computed *computed, struct row_at_hand *row)
{
	buffer_reset(row->bytes);
	for (uint32_t i = 0; i < computed->count; i++) {
		row->values[computed->columns[i].column] =
		    (struct value){.class = VALUE_NULL};
	}
}

static void set_budget(const struct computed *computed, struct row_at_hand *row)
{
	const struct table *table = computed->table;
	uint64_t stored = 0;

	for (uint32_t i = 0; i < table->stored_count; i++) {
		const struct value *value = &row->values[table->stored[i]];

		if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
			stored += value->len;
		}
	}
	row->stored = stored;
	row->budget = (struct compute_budget){
	    .cpu_ns = CPU_BASE + (int64_t)stored * CPU_BYTE,
	    .length = LENGTH_BASE + stored * LENGTH_BYTE,
	    .answer = LENGTH_BASE + stored * LENGTH_BYTE,
	    .memory = MEMORY_BASE + stored * MEMORY_BYTE,
	};
}

/* What the process used since `before_ns` counts; not that it was stopped late. */
static void owe(struct computed *computed, const struct row_at_hand *row,
		int64_t before_ns)
{
	int64_t used_ns = compute_process_cpu_ns(computed->process) - before_ns;

	computed->debt_ns +=
	    used_ns < row->budget.cpu_ns ? used_ns : row->budget.cpu_ns;
}

static void earn(struct computed *computed, const struct row_at_hand *row)
{
	int64_t columns =
	    computed->count < EARN_COLUMNS ? computed->count : EARN_COLUMNS;

	computed->debt_ns -= columns * (EARN_COLUMN + (int64_t)row->stored * CPU_BYTE);
	computed->debt_ns = computed->debt_ns > 0 ? computed->debt_ns : 0;
}

static bool is_bankrupt(const struct computed *computed, const struct row_at_hand *row)
{
	return computed->debt_ns > DEBT_MAX + 4 * (row->budget.cpu_ns - CPU_BASE);
}

/* There is less memory here than a row may have: no reason for a value to be null. */
static void note_shortage(struct computed *computed)
{
	computed->shortage = ENOMEM;
	end_process(computed);
}

/* A process that can be asked; false, all is said and nothing can be computed. */
static bool start_process(struct computed *computed, const struct row_at_hand *row)
{
	struct error complaint = {.text = ""};
	enum computation result;

	if (computed->process) {
		return true;
	}
	computed->process = compute_process_open(computed->table, computed->is_off,
						 &row->budget, &result, &complaint);
	if (!computed->process && errno_is_limit(errno)) {
		computed->shortage = errno;
		return false;
	}
	if (!computed->process) {
		warn_table(computed, "no process can be started to compute them in");
		return false;
	}
	owe(computed, row, 0);
	if (result == COMPUTING_SHORT) {
		note_shortage(computed);
		return false;
	}
	if (complaint.text[0] != '\0') {
		warn_table(computed, complaint.text);
	}
	if (result == COMPUTED) {
		computed->failed_starts = 0;
		return true;
	}
	end_process(computed);
	if (result != COMPUTING_ENDED || ++computed->failed_starts == STARTS_MAX) {
		computed->place = PLACE_NOWHERE;
	}
	return false;
}

/* A column that will not be asked for again. */
static void turn_off(struct computed *computed, uint32_t index, const char *why)
{
	warn_column(computed, index, why);
	computed->is_off[index] = true;
	end_process(computed);
}

/* The row at hand of a process that was just started, or that failed to compute it. */
static bool write_again(struct computed *computed, struct row_at_hand *row)
{
	struct error complaint;
	enum computation result;
	int64_t before_ns;

	if (!start_process(computed, row)) {
		return false;
	}
	before_ns = compute_process_cpu_ns(computed->process);
	result = compute_process_write(computed->process, row->rowid, row->values,
				       &row->budget, &complaint);
	owe(computed, row, before_ns);
	if (result == COMPUTING_SHORT) {
		note_shortage(computed);
		return false;
	}
	if (result != COMPUTED) {
		warn_table(computed, complaint.text);
	}
	if (result == COMPUTING_ENDED) {
		end_process(computed);
	}
	return result == COMPUTED;
}

static void compute_column(struct computed *computed, struct row_at_hand *row,
			   uint32_t index)
{
	struct value *value = &row->values[computed->columns[index].column];
	int64_t before_ns = compute_process_cpu_ns(computed->process);
	struct error complaint;
	enum computation result = compute_process_column(
	    computed->process, index, value, &row->budget, row->bytes, &complaint);

	owe(computed, row, before_ns);
	if (result == COMPUTED) {
		return;
	}
	*value = (struct value){.class = VALUE_NULL};
	if (result == COMPUTING_SHORT) {
		note_shortage(computed);
	} else if (result == COMPUTING_FAILED) {
		warn_column(computed, index, complaint.text);
	} else if (result == COMPUTING_BROKEN) {
		turn_off(computed, index, complaint.text);
	} else {
		turn_off(computed, index,
			 "it takes too long; it is not computed any more");
	}
}

/* Each column for itself, as one of them fails. */
static void fill_one_by_one(struct computed *computed, struct row_at_hand *row)
{
	bool is_written = false;

	for (uint32_t i = 0; i < computed->count && !is_bankrupt(computed, row); i++) {
		if (computed->is_off[i]) {
			continue;
		}
		if (row->bytes->len > row->budget.answer) {
			warn_table(computed, "what is computed of a row is too long");
			return;
		}
		is_written = computed->process && is_written;
		if (!is_written && !write_again(computed, row)) {
			return;
		}
		is_written = true;
		compute_column(computed, row, i);
		if (computed->shortage != 0) {
			return;
		}
	}
}

static void fill_apart(struct computed *computed, struct row_at_hand *row)
{
	enum computation result;
	struct error complaint;
	int64_t before_ns;

	earn(computed, row);
	if (!start_process(computed, row)) {
		return;
	}
	before_ns = compute_process_cpu_ns(computed->process);
	result = compute_process_row(computed->process, row->rowid, row->values,
				     &row->budget, row->bytes, &complaint);
	owe(computed, row, before_ns);
	if (result == COMPUTED) {
		return;
	}
	set_null(computed, row);
	if (result == COMPUTING_SHORT) {
		note_shortage(computed);
		return;
	}
	if (result == COMPUTING_ENDED) {
		end_process(computed);
	}
	fill_one_by_one(computed, row);
	if (is_bankrupt(computed, row)) {
		computed->is_warned = false;
		warn_table(computed, "they take too long; none is computed any more");
		end_process(computed);
		computed->place = PLACE_NOWHERE;
	}
}

/* ---- one row ---- */

static enum status fill(struct computed *computed, struct row_at_hand *row,
			struct error *err)
{
	set_null(computed, row);
	if (computed->place == PLACE_UNKNOWN && choose_place(computed, err) != ST_OK) {
		return err->status;
	}
	if (computed->place == PLACE_NOWHERE) {
		return ST_OK;
	}
	set_budget(computed, row);
	if (computed->place == PLACE_HERE && row->stored <= HERE_ROW) {
		if (fill_here(computed, row)) {
			return ST_OK;
		}
		set_null(computed, row);
	}
	computed->shortage = 0;
	fill_apart(computed, row);
	if (computed->shortage != 0) { /* no reason for a value to be null */
		return error_set_errno(
		    err, computed->shortage,
		    "table \"%s\": there is no process or no memory to compute "
		    "its generated columns with",
		    SHORT_NAME(computed->table->name));
	}
	return buffer_ok(row->bytes) ? ST_OK : error_no_memory(err, "computed columns");
}

enum status computed_fill(struct computed *computed, int64_t rowid,
			  struct value *values, struct buffer *bytes, struct error *err)
{
	struct row_at_hand row = {.rowid = rowid, .values = values, .bytes = bytes};
	enum status st;

	(void)pthread_mutex_lock(&computed->lock);
	st = fill(computed, &row, err);
	(void)pthread_mutex_unlock(&computed->lock);
	for (uint32_t i = 0; i < computed->count && st == ST_OK; i++) {
		struct value *value = &values[computed->columns[i].column];

		if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
			value->bytes = (const uint8_t *)bytes->bytes + value->integer;
		}
	}
	return st;
}

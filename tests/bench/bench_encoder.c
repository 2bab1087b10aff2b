/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/bench_encoder.c -- nanoseconds of one event, for a few kinds of rows.
 *
 *     bench_encoder [EVENTS]        default 2000000
 *
 * Five columns: id, name, amount, status, note.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/encoder.h"
#include "schemas/table_plan.h"
#include "src/base/clock.h"

#define COLUMNS 5
#define ROWS    64 /* different rows, so that branches are not learnt by heart */

struct workload {
	const char *name;
	enum change_op op;
	bool wants_keys;
	bool metadata;
	unsigned per_transaction;
	bool wide_text; /* Cyrillic and escapes in the texts, 17-digit doubles */
};

static struct column columns[COLUMNS] = {
    {.name = "id", .key_position = 1, .is_rowid = true},
    {.name = "name"},
    {.name = "amount"},
    {.name = "status"},
    {.name = "note"},
};
static uint32_t key_columns[] = {0};
static struct value rows[ROWS][COLUMNS];
static char texts[ROWS][2][64];

static void fill_rows(bool wide_text)
{
	unsigned i;

	for (i = 0; i < ROWS; i++) {
		struct value *v = rows[i];

		(void)snprintf(texts[i][0], sizeof texts[i][0],
			       wide_text ? "Пользователь \"%u\"" : "customer number %u",
			       i * 7919);
		(void)snprintf(texts[i][1], sizeof texts[i][1],
			       wide_text ? "line one\nline %u"
					 : "a note of some thirty letters, %u",
			       i);
		v[0] = (struct value){.class = VALUE_INTEGER, .integer = 100000 + i};
		v[1] = (struct value){.class = VALUE_TEXT,
				      .len = (uint32_t)strlen(texts[i][0]),
				      .bytes = (const uint8_t *)texts[i][0]};
		v[2] =
		    (struct value){.class = VALUE_REAL,
				   .real = wide_text ? (i + 1) / 7.0 : i * 10 + 0.25};
		v[3] = (struct value){.class = VALUE_INTEGER, .integer = i % 4};
		v[4] = (struct value){.class = VALUE_TEXT,
				      .len = (uint32_t)strlen(texts[i][1]),
				      .bytes = (const uint8_t *)texts[i][1]};
	}
}

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		(void)fprintf(stderr, "bench_encoder: %s\n", err->text);
		abort();
	}
}

static uint64_t encode(struct encoder *e, struct table_plan *plan,
		       const struct workload *w, uint64_t events)
{
	struct message out[ENCODER_MESSAGES_MAX];
	struct error err;
	uint64_t bytes = 0;
	uint64_t done = 0;
	uint64_t lsn = 1;
	size_t count;
	size_t i;

	while (done < events) {
		struct encoder_transaction txn = {.lsn = lsn,
						  .captured_ns = clock_wall_ns()};
		unsigned n;

		encoder_begin(e, &txn);
		for (n = 0; n < w->per_transaction && done < events; n++, done++) {
			const struct value *row = rows[done % ROWS];
			struct change change = {.op = w->op, .rowid = (int64_t)done};

			change.after = w->op == CHANGE_DELETE ? NULL : row;
			change.before = w->op == CHANGE_CREATE ? NULL : row;
			check(encoder_change(e, plan, &change, out, &count, &err),
			      &err);
			for (i = 0; i < count; i++) {
				bytes += out[i].value.len;
			}
		}
		check(encoder_end(e, out, &count, &err), &err);
		lsn += 10;
	}
	return bytes;
}

static void run(const struct workload *w, uint64_t events)
{
	struct encoder_settings settings = {.version = "0.1.0",
					    .database_name = "shop.db",
					    .topic_prefix = "shop",
					    .topic_delimiter = ".",
					    .topic_transaction = "transaction",
					    .tombstones_on_delete = true,
					    .transaction_metadata = w->metadata,
					    .wants_keys = w->wants_keys};
	struct table table = {.name = "orders",
			      .encoding = TEXT_UTF8,
			      .column_count = COLUMNS,
			      .columns = columns,
			      .key_count = 1,
			      .key_columns = key_columns};
	struct encoder *e;
	struct table_plan *plan;
	struct error err;
	int64_t best_ns = INT64_MAX;
	uint64_t bytes = 0;
	int round;

	fill_rows(w->wide_text);
	check(encoder_open(&settings, &e, &err), &err);
	check(encoder_plan(e, &table, &plan, &err), &err);
	for (round = 0; round < 3; round++) {
		int64_t start_ns = clock_mono_ns();
		int64_t ns;

		bytes = encode(e, plan, w, events);
		ns = clock_mono_ns() - start_ns;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	(void)printf("%-36s %7.1f ns/event %7.1f bytes/event\n", w->name,
		     (double)best_ns / (double)events, (double)bytes / (double)events);
	table_plan_close(plan);
	encoder_close(e);
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
	    {"c, 1000 a transaction", CHANGE_CREATE, false, false, 1000, false},
	    {"c, 1 a transaction", CHANGE_CREATE, false, false, 1, false},
	    {"u, 1000 a transaction", CHANGE_UPDATE, false, false, 1000, false},
	    {"c, keys and metadata", CHANGE_CREATE, true, true, 1000, false},
	    {"d, keys, metadata and tombstones", CHANGE_DELETE, true, true, 1000,
	     false},
	    {"c, Cyrillic, escapes, long doubles", CHANGE_CREATE, false, false, 1000,
	     true},
	};
	uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
	size_t i;

	for (i = 0; i < sizeof workloads / sizeof *workloads; i++) {
		run(&workloads[i], events);
	}
	return 0;
}

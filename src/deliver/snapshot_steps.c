/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/snapshot_steps.h"

#include <stdlib.h>

static bool is_read(const struct table *table)
{
	return !table->left_out && !table->is_context && table->root_page > 0;
}

static enum status tell(struct snapshot_steps *steps, enum notification_kind kind,
			struct error *err)
{
	return delivery_notify(steps->delivery, kind, &steps->of, err);
}

enum status snapshot_steps_begin(struct snapshot_steps *steps,
				 struct delivery *delivery,
				 const struct catalog *catalog, const char *id,
				 struct error *err)
{
	*steps = (struct snapshot_steps){
	    .delivery = delivery,
	    .catalog = catalog,
	    .names = calloc(catalog->table_count + 1, sizeof *steps->names)};
	if (!steps->names) {
		return error_no_memory(err, "the snapshot");
	}
	steps->of.id = id;
	steps->of.tables = steps->names;
	for (size_t i = 0; i < catalog->table_count; i++) {
		if (is_read(catalog->tables[i])) {
			steps->names[steps->of.table_count++] =
			    catalog->tables[i]->name;
		}
	}
	return tell(steps, NOTIFY_STARTED, err);
}

/* The table at hand has no more rows. */
static enum status end_table(struct snapshot_steps *steps, struct error *err)
{
	enum status status =
	    steps->of.table ? tell(steps, NOTIFY_TABLE_SCAN_COMPLETED, err) : ST_OK;

	steps->of.table = NULL;
	steps->of.rows = 0;
	return status;
}

static enum status begin_table(struct snapshot_steps *steps, const struct table *table,
			       struct error *err)
{
	enum status status = end_table(steps, err);

	if (status != ST_OK) {
		return status;
	}
	steps->of.table = table->name;
	return tell(steps, NOTIFY_IN_PROGRESS, err);
}

/* All tables up to this one, which has rows; NULL: to the end. */
static enum status go_on_to(struct snapshot_steps *steps, const struct table *table,
			    struct error *err)
{
	const struct catalog *catalog = steps->catalog;
	enum status status = ST_OK;
	bool is_there = false;

	while (status == ST_OK && !is_there && steps->next < catalog->table_count) {
		const struct table *next = catalog->tables[steps->next++];

		is_there = next == table;
		if (is_read(next)) {
			status = begin_table(steps, next, err);
		}
	}
	return status;
}

enum status snapshot_steps_table(struct snapshot_steps *steps,
				 const struct table *table, struct error *err)
{
	return go_on_to(steps, table, err);
}

static enum status complete(struct snapshot_steps *steps, struct error *err)
{
	enum status status = go_on_to(steps, NULL, err);

	if (status == ST_OK) {
		status = end_table(steps, err);
	}
	return status == ST_OK ? tell(steps, NOTIFY_COMPLETED, err) : status;
}

enum status snapshot_steps_end(struct snapshot_steps *steps, enum status status,
			       struct error *err)
{
	struct error ignored;

	if (status == ST_OK) {
		status = complete(steps, err);
	} else if (steps->names) {
		(void)!tell(steps, NOTIFY_ABORTED, &ignored);
	}
	free(steps->names);
	steps->names = NULL;
	return status;
}

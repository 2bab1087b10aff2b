/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/stopped_tables.h"

#include <stdlib.h>
#include <string.h>

#include "src/deliver/signal_tables.h"

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "stop-snapshot");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of the tables that are still to come, sorted, each once; borrowed. NULL: no memory.
 */
static const char **names_to_come(const struct asked_snapshot *first, size_t *count)
{
	const char **names;
	size_t all = 0;

	for (const struct asked_snapshot *a = first; a; a = a->next) {
		all += a->table_count - a->at;
	}
	names = calloc(all + 1, sizeof *names);
	if (!names) {
		return NULL;
	}
	all = *count = 0;
	for (const struct asked_snapshot *a = first; a; a = a->next) {
		for (size_t i = a->at; i < a->table_count; i++) {
			names[all++] = a->tables[i].name;
		}
	}
	qsort(names, all, sizeof *names, compare_names);
	for (size_t i = 0; i < all; i++) {
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0) {
			names[(*count)++] = names[i];
		}
	}
	return names;
}

static enum status copy(const struct signal_tables *tables, const char *const *names,
			struct stopped_tables *out, struct error *err)
{
	out->names = calloc(tables->count + 1, sizeof *out->names);
	if (!out->names) {
		return out_of_memory(err);
	}
	for (size_t i = 0; i < tables->count; i++) {
		out->names[i] = strdup(names[tables->list[i].index]);
		if (!out->names[i]) {
			return out_of_memory(err);
		}
		out->count++;
	}
	qsort(out->names, out->count, sizeof *out->names, compare_names);
	return ST_OK;
}

enum status stopped_tables_find(const struct asked_snapshot *first,
				const struct signal *signal, struct stopped_tables *out,
				struct error *err)
{
	struct signal_tables tables;
	size_t count;
	const char **names = names_to_come(first, &count);
	enum status status;

	*out = (struct stopped_tables){0};
	if (!names) {
		return out_of_memory(err);
	}
	status = signal_tables_find(signal, names, count, &tables, err);
	if (status == ST_OK) {
		status = copy(&tables, names, out, err);
		signal_tables_clear(&tables);
	}
	free(names);
	return status;
}

void stopped_tables_clear(struct stopped_tables *stopped)
{
	for (size_t i = 0; i < stopped->count; i++) {
		free(stopped->names[i]);
	}
	free(stopped->names);
	*stopped = (struct stopped_tables){0};
}

void stopped_tables_drop(const struct stopped_tables *stopped,
			 struct asked_snapshot *asked)
{
	for (size_t i = asked->table_count; i-- > asked->at;) {
		const char *name = asked->tables[i].name;

		if (stopped->count > 0 &&
		    bsearch(&name, stopped->names, stopped->count,
			    sizeof *stopped->names, compare_names)) {
			asked_snapshot_drop(asked, i);
		}
	}
}

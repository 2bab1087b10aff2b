/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_tables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/name_patterns.h"
#include "src/base/clock.h"
#include "src/deliver/signal_pattern.h"

#define MOST_NS \
	(2 * NS_PER_S) /* of all patterns with all names; nothing else is done */

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "a signal");
}

static bool has(const struct signal_tables *tables, size_t index)
{
	for (size_t i = 0; i < tables->count; i++) {
		if (tables->list[i].index == index) {
			return true;
		}
	}
	return false;
}

/* Does the pattern match? `until_ns`: on the monotonic clock, when it is enough. */
static enum status match(const struct name_patterns *patterns, const char *name,
			 int64_t until_ns, bool *matches, struct error *err)
{
	if (clock_mono_ns() > until_ns) {
		return error_set(err, ST_CONFIG,
				 "%s: which tables are meant takes too long to find "
				 "out; write fewer and simpler patterns",
				 name_patterns_property(patterns));
	}
	return name_patterns_match_one(patterns, 0, name, matches, err);
}

/* Add those of the names that the pattern matches. */
static enum status add_matches(const char *pattern, const char *const *names,
			       size_t count, int64_t until_ns,
			       struct signal_tables *out, struct error *err)
{
	struct name_patterns *patterns;
	enum status status =
	    signal_pattern_open("data-collections", pattern, &patterns, err);
	bool any = false;

	if (status != ST_OK) {
		return status;
	}
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		bool matches = false;

		status = match(patterns, names[i], until_ns, &matches, err);
		any = any || matches;
		if (matches && !has(out, i)) {
			out->list[out->count++].index = i;
		}
	}
	if (!any) {
		out->unmatched[out->unmatched_count++] = pattern;
	}
	name_patterns_close(patterns);
	return status;
}

/* What has no filter yet gets that of the condition, if it is its own. */
static enum status add_filter(const struct signal_condition *condition,
			      const char *const *names, int64_t until_ns,
			      struct signal_tables *out, struct error *err)
{
	struct name_patterns *patterns;
	enum status status =
	    signal_pattern_open("data-collection", condition->table, &patterns, err);

	if (status != ST_OK) {
		return status;
	}
	for (size_t i = 0; status == ST_OK && i < out->count; i++) {
		struct signal_table *table = &out->list[i];
		bool matches = false;

		if (!table->filter) {
			status = match(patterns, names[table->index], until_ns,
				       &matches, err);
		}
		if (matches) {
			table->filter = condition->filter;
		}
	}
	name_patterns_close(patterns);
	return status;
}

enum status signal_tables_find(const struct signal *signal, const char *const *names,
			       size_t count, struct signal_tables *out,
			       struct error *err)
{
	int64_t until_ns = clock_mono_ns() + MOST_NS;
	bool is_of_all =
	    signal->type == SIGNAL_STOP_SNAPSHOT && signal->pattern_count == 0;
	enum status status = ST_OK;

	*out = (struct signal_tables){
	    .list = calloc(count + 1, sizeof *out->list),
	    .unmatched = calloc(signal->pattern_count + 1, sizeof *out->unmatched),
	};
	if (!out->list || !out->unmatched) {
		status = out_of_memory(err);
	}
	for (size_t i = 0; status == ST_OK && is_of_all && i < count; i++) {
		out->list[out->count++].index = i;
	}
	for (size_t i = 0; status == ST_OK && i < signal->pattern_count; i++) {
		status =
		    add_matches(signal->patterns[i], names, count, until_ns, out, err);
	}
	for (size_t i = 0; status == ST_OK && i < signal->condition_count; i++) {
		status = add_filter(&signal->conditions[i], names, until_ns, out, err);
	}
	if (status != ST_OK) {
		signal_tables_clear(out);
	}
	return status;
}

void signal_tables_clear(struct signal_tables *tables)
{
	free(tables->list);
	free(tables->unmatched);
	*tables = (struct signal_tables){0};
}

bool signal_collection_is(const char *collection, const char *table)
{
	size_t len = strlen(collection);
	size_t table_len = strlen(table);

	if (len < table_len || table_len == 0 ||
	    strcasecmp(collection + (len - table_len), table) != 0) {
		return false;
	}
	return len == table_len || collection[len - table_len - 1] == '.';
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/name_patterns.h"

#define INCLUDE_LIST "table.include.list"
#define SYSTEM_TABLE "a table of SQLite's own; " INCLUDE_LIST " can name it"
#define EXCLUDE_LIST "table.exclude.list"

#define IN_EXCLUDED  "in " EXCLUDE_LIST
#define NOT_INCLUDED "not in " INCLUDE_LIST

struct table_filter {
	bool is_exclude;                /* which of the lists was given, if one was */
	struct name_patterns *patterns; /* NULL: none was */
	const char *const *others;      /* tables that belong to others; NULL: none */
	const char *others_reason;
	/* Those that no list leaves out; NULL: no more. */
	const char *wanted[TABLE_FILTER_WANTED + 1];
};

enum status table_filter_open(const char *include, const char *exclude,
			      struct table_filter **out, struct error *err)
{
	struct table_filter *filter;
	enum status st = ST_OK;

	if (include && exclude) {
		return error_set(err, ST_CONFIG,
				 "%s and %s are both set: set one of them",
				 INCLUDE_LIST, EXCLUDE_LIST);
	}
	filter = calloc(1, sizeof *filter);
	if (!filter) {
		return error_no_memory(err, "a table filter");
	}
	filter->is_exclude = exclude != NULL;
	if (include) {
		st = name_patterns_open(INCLUDE_LIST, include, &filter->patterns, err);
	} else if (exclude) {
		st = name_patterns_open(EXCLUDE_LIST, exclude, &filter->patterns, err);
	}
	if (st != ST_OK) {
		table_filter_close(filter);
		return st;
	}
	*out = filter;
	return ST_OK;
}

void table_filter_close(struct table_filter *filter)
{
	if (filter) {
		name_patterns_close(filter->patterns);
		free(filter);
	}
}

void table_filter_leave_out(struct table_filter *filter, const char *const *names,
			    const char *reason)
{
	filter->others = names;
	filter->others_reason = reason;
}

void table_filter_want(struct table_filter *filter, const char *name)
{
	size_t count = 0;

	while (filter->wanted[count]) {
		count++;
	}
	assert(count < TABLE_FILTER_WANTED);
	filter->wanted[count] = name;
}

static bool is_wanted(const struct table_filter *filter, const char *name)
{
	for (size_t i = 0; filter && filter->wanted[i]; i++) {
		if (strcasecmp(filter->wanted[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_of_others(const struct table_filter *filter, const char *name)
{
	for (size_t i = 0; filter && filter->others && filter->others[i]; i++) {
		if (strcasecmp(filter->others[i], name) == 0) {
			return true;
		}
	}
	return false;
}

/* Why a table is left out, that `match` says this of; NULL: it is wanted. */
static const char *reason_of(const struct table_filter *filter, enum name_match match)
{
	if (!filter || !filter->patterns ||
	    name_patterns_count(filter->patterns) == 0) {
		return NULL;
	}
	if (filter->is_exclude) {
		return match != NAME_UNLISTED ? IN_EXCLUDED : NULL;
	}
	return match != NAME_UNLISTED ? NULL : NOT_INCLUDED;
}

enum status table_filter_reason(const struct table_filter *filter, const char *name,
				bool is_system, const char **reason, struct error *err)
{
	const struct name_patterns *patterns = filter ? filter->patterns : NULL;
	enum name_match match = NAME_UNLISTED;
	bool is_others = !is_system && is_of_others(filter, name);
	enum status status;

	if (!is_system && is_wanted(filter, name)) {
		*reason = NULL;
		return ST_OK;
	}
	status = patterns ? name_patterns_match(patterns, name, &match, err) : ST_OK;
	/* What gave up has metacharacters, and would not name a system table. */
	if (status != ST_OK && !(status == ST_CONFIG && (is_system || is_others))) {
		return status;
	}
	*reason = reason_of(filter, match);
	if ((is_system || is_others) && (match != NAME_NAMED || filter->is_exclude)) {
		*reason = is_system ? SYSTEM_TABLE : filter->others_reason;
	}
	return ST_OK;
}

const struct name_patterns *table_filter_patterns(const struct table_filter *filter)
{
	return filter ? filter->patterns : NULL;
}

bool table_filter_excludes(const struct table_filter *filter)
{
	return filter && filter->is_exclude;
}

bool table_filter_is_reason(const char *reason)
{
	return strcmp(reason, IN_EXCLUDED) == 0 || strcmp(reason, NOT_INCLUDED) == 0;
}

bool table_filter_is_own(const char *reason)
{
	return strcmp(reason, SYSTEM_TABLE) == 0;
}

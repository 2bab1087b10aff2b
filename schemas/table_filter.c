/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_filter.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define INCLUDE_LIST "table.include.list"
#define EXCLUDE_LIST "table.exclude.list"

struct pattern {
	pcre2_code *code;
	bool is_plain; /* without metacharacters: it names one table */
};

struct table_filter {
	bool is_exclude; /* which of the lists was given, if one was */
	struct pattern *patterns;
	size_t count;
	pcre2_match_data *match;
};

/* --- one pattern ------------------------------------------------------------------ */

static enum status pattern_compile(struct pattern *pattern, const char *list,
				   const char *text, size_t len, struct error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_CASELESS |
				 PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE place;
	int code;

	pattern->is_plain = strcspn(text, "\\^$.[]|()?*+{}") >= len;
	pattern->code =
	    pcre2_compile((PCRE2_SPTR)text, len, options, &code, &place, NULL);
	if (pattern->code) {
		return ST_OK;
	}
	if (pcre2_get_error_message(code, reason, sizeof reason) < 0) {
		reason[0] = '\0';
	}
	return error_set(err, ST_CONFIG, "%s: \"%s\" does not compile at place %zu: %s",
			 list, text, place + 1, (const char *)reason);
}

static bool pattern_matches(const struct pattern *pattern, const char *name,
			    pcre2_match_data *match)
{
	/* Also false when the match was given up as too costly. */
	return pcre2_match(pattern->code, (PCRE2_SPTR)name, strlen(name), 0, 0, match,
			   NULL) >= 0;
}

/* --- a list ----------------------------------------------------------------------- */

/*
 * Copy the list's next pattern to `to`, "\," as ",", without the spaces around it;
 * other escapes stay as they are. Returns where the list goes on, NULL at its end.
 */
static const char *next_pattern(const char *list, char *to, size_t *len)
{
	size_t n = 0;

	list += strspn(list, " \t\r\n");
	while (*list != '\0' && *list != ',') {
		if (list[0] == '\\' && list[1] == ',') {
			list++;
		} else if (list[0] == '\\' && list[1] != '\0') {
			to[n++] = *list++;
		}
		to[n++] = *list++;
	}
	while (n > 0 && strchr(" \t\r\n", to[n - 1])) {
		n--;
	}
	to[n] = '\0';
	*len = n;
	return *list == ',' ? list + 1 : NULL;
}

static enum status add_pattern(struct table_filter *filter, const char *list,
			       const char *text, size_t len, struct error *err)
{
	struct pattern *patterns;

	patterns = realloc(filter->patterns, (filter->count + 1) * sizeof *patterns);
	if (!patterns) {
		return error_set(err, ST_NOMEM, "out of memory for %s", list);
	}
	filter->patterns = patterns;
	if (pattern_compile(&patterns[filter->count], list, text, len, err) != ST_OK) {
		return err->status;
	}
	filter->count++;
	return ST_OK;
}

static enum status add_list(struct table_filter *filter, const char *list,
			    const char *value, struct error *err)
{
	char *text = malloc(strlen(value) + 1);
	enum status st = ST_OK;
	size_t len;

	if (!text) {
		return error_set(err, ST_NOMEM, "out of memory for %s", list);
	}
	while (value && st == ST_OK) {
		value = next_pattern(value, text, &len);
		if (len > 0) {
			st = add_pattern(filter, list, text, len, err);
		}
	}
	free(text);
	return st;
}

/* --- the filter ------------------------------------------------------------------- */

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
		return error_set(err, ST_NOMEM, "out of memory for a table filter");
	}
	filter->is_exclude = exclude != NULL;
	filter->match = pcre2_match_data_create(1, NULL);
	if (!filter->match) {
		st = error_set(err, ST_NOMEM, "out of memory for a table filter");
	} else if (include) {
		st = add_list(filter, INCLUDE_LIST, include, err);
	} else if (exclude) {
		st = add_list(filter, EXCLUDE_LIST, exclude, err);
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
	if (!filter) {
		return;
	}
	for (size_t i = 0; i < filter->count; i++) {
		pcre2_code_free(filter->patterns[i].code);
	}
	free(filter->patterns);
	pcre2_match_data_free(filter->match);
	free(filter);
}

const char *table_filter_reason(const struct table_filter *filter, const char *name,
				bool is_system)
{
	bool is_listed = false;
	bool is_named = false;
	size_t count = filter ? filter->count : 0;

	for (size_t i = 0; i < count && !is_named; i++) {
		const struct pattern *pattern = &filter->patterns[i];

		if (pattern_matches(pattern, name, filter->match)) {
			is_listed = true;
			is_named = pattern->is_plain && !filter->is_exclude;
		}
	}
	if (is_system && !is_named) {
		return "a table of SQLite's own; " INCLUDE_LIST " can name it";
	}
	if (count == 0) {
		return NULL;
	}
	if (filter->is_exclude) {
		return is_listed ? "in " EXCLUDE_LIST : NULL;
	}
	return is_listed ? NULL : "not in " INCLUDE_LIST;
}

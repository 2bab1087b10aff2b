/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/name_patterns.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pattern {
	pcre2_code *code;
	bool is_plain; /* without metacharacters: it stands for one name */
};

struct name_patterns {
	struct pattern *patterns;
	size_t count;
	pcre2_match_data *match;
};

/* --- one pattern ------------------------------------------------------------------ */

static enum status pattern_compile(struct pattern *pattern, const char *property,
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
			 property, text, place + 1, (const char *)reason);
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

static enum status out_of_memory(const char *property, struct error *err)
{
	return error_set(err, ST_NOMEM, "out of memory for %s", property);
}

static enum status add_pattern(struct name_patterns *list, const char *property,
			       const char *text, size_t len, struct error *err)
{
	struct pattern *patterns =
	    reallocarray(list->patterns, list->count + 1, sizeof *patterns);

	if (!patterns) {
		return out_of_memory(property, err);
	}
	list->patterns = patterns;
	if (pattern_compile(&patterns[list->count], property, text, len, err) !=
	    ST_OK) {
		return err->status;
	}
	list->count++;
	return ST_OK;
}

static enum status add_list(struct name_patterns *list, const char *property,
			    const char *value, struct error *err)
{
	char *text = malloc(strlen(value) + 1);
	enum status st = ST_OK;
	size_t len;

	if (!text) {
		return out_of_memory(property, err);
	}
	while (value && st == ST_OK) {
		value = next_pattern(value, text, &len);
		if (len > 0) {
			st = add_pattern(list, property, text, len, err);
		}
	}
	free(text);
	return st;
}

enum status name_patterns_open(const char *property, const char *list,
			       struct name_patterns **out, struct error *err)
{
	struct name_patterns *patterns = calloc(1, sizeof *patterns);
	enum status st;

	if (!patterns) {
		return out_of_memory(property, err);
	}
	patterns->match = pcre2_match_data_create(1, NULL);
	st = patterns->match ? add_list(patterns, property, list, err)
			     : out_of_memory(property, err);
	if (st != ST_OK) {
		name_patterns_close(patterns);
		return st;
	}
	*out = patterns;
	return ST_OK;
}

void name_patterns_close(struct name_patterns *patterns)
{
	if (!patterns) {
		return;
	}
	for (size_t i = 0; i < patterns->count; i++) {
		pcre2_code_free(patterns->patterns[i].code);
	}
	free(patterns->patterns);
	pcre2_match_data_free(patterns->match);
	free(patterns);
}

size_t name_patterns_count(const struct name_patterns *patterns)
{
	return patterns->count;
}

enum name_match name_patterns_match(const struct name_patterns *patterns,
				    const char *name)
{
	enum name_match match = NAME_UNLISTED;

	for (size_t i = 0; i < patterns->count && match != NAME_NAMED; i++) {
		const struct pattern *pattern = &patterns->patterns[i];

		if (pattern_matches(pattern, name, patterns->match)) {
			match = pattern->is_plain ? NAME_NAMED : NAME_LISTED;
		}
	}
	return match;
}

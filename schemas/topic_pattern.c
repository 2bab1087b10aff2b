/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/topic_pattern.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "src/base/utf8.h"

/* Of one match, as in schemas/name_patterns.c. */
#define STEPS_MAX  100000
#define MEMORY_MAX (32 << 10) /* KiB */

#define NO_GROUP       UINT32_MAX
#define NAME_MAX_CHARS 32 /* of a group, as PCRE2 has it */

/* Of a replacement: some text, then what a group matched. */
struct piece {
	size_t offset, len; /* in topic_pattern.text */
	uint32_t group;     /* NO_GROUP: none */
};

struct topic_pattern {
	char *property;
	char *regex;
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	uint32_t group_count;
	struct buffer text;
	struct piece *pieces;
	size_t piece_count;
};

static enum status out_of_memory(const char *property, struct error *err)
{
	return error_no_memory(err, "%s", property);
}

/* ---- the expression ---- */

static enum status compile(struct topic_pattern *p, struct error *err)
{
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE place;
	int code;

	p->code = pcre2_compile((PCRE2_SPTR)p->regex, PCRE2_ZERO_TERMINATED, PCRE2_UTF,
				&code, &place, NULL);
	if (!p->code) {
		if (pcre2_get_error_message(code, reason, sizeof reason) < 0) {
			reason[0] = '\0';
		}
		return error_set(
		    err, ST_CONFIG, "%s: \"%s\" does not compile at place %zu: %s",
		    p->property, SHORT_NAME(p->regex), place + 1, (const char *)reason);
	}
	(void)pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->group_count);
	p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (!p->match || !p->limits) {
		return out_of_memory(p->property, err);
	}
	(void)pcre2_set_match_limit(p->limits, STEPS_MAX);
	(void)pcre2_set_depth_limit(p->limits, STEPS_MAX);
	(void)pcre2_set_heap_limit(p->limits, MEMORY_MAX);
	return ST_OK;
}

/* ---- the replacement ---- */

static enum status bad_replacement(const struct topic_pattern_text *of, const char *at,
				   const char *what, struct error *err)
{
	return error_set(err, ST_CONFIG, "%s: \"%s\" at place %zu: %s", of->property,
			 SHORT_NAME(of->value), (size_t)(at - of->value) + 1, what);
}

static bool end_piece(struct topic_pattern *p, size_t *begin, uint32_t group)
{
	struct piece *pieces =
	    reallocarray(p->pieces, p->piece_count + 1, sizeof *pieces);

	if (!pieces) {
		return false;
	}
	p->pieces = pieces;
	pieces[p->piece_count++] = (struct piece){*begin, p->text.len - *begin, group};
	*begin = p->text.len;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Behind the '$': the group, and where the text goes on. */
static enum status read_group(const struct topic_pattern *p,
			      const struct topic_pattern_text *of, const char **at,
			      uint32_t *group, struct error *err)
{
	const char *s = *at;
	char name[NAME_MAX_CHARS + 1];
	int number;

	if (*s == '{') {
		size_t len = strcspn(s + 1, "}");

		if (s[1 + len] != '}' || len == 0 || len > NAME_MAX_CHARS) {
			return bad_replacement(of, s, "${NAME} is not complete", err);
		}
		memcpy(name, s + 1, len);
		name[len] = '\0';
		number = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)name);
		if (number < 0) {
			return bad_replacement(
			    of, s, "the expression has no group of that name", err);
		}
		*group = (uint32_t)number;
		*at = s + len + 2;
		return ST_OK;
	}
	if (!is_digit(*s)) {
		return bad_replacement(of, s,
				       "a group's number or {NAME} belongs behind $; "
				       "the character itself is \\$",
				       err);
	}
	*group = (uint32_t)(*s++ - '0');
	if (*group > p->group_count) {
		return bad_replacement(of, s - 1, "the expression has no such group",
				       err);
	}
	while (is_digit(*s) && *group * 10 + (uint32_t)(*s - '0') <= p->group_count) {
		*group = *group * 10 + (uint32_t)(*s++ - '0');
	}
	*at = s;
	return ST_OK;
}

static enum status read_replacement(struct topic_pattern *p,
				    const struct topic_pattern_text *of,
				    struct error *err)
{
	const char *s = of->value;
	size_t begin = 0;

	while (*s) {
		uint32_t group = NO_GROUP;

		if (*s == '$') {
			s++;
			if (read_group(p, of, &s, &group, err) != ST_OK) {
				return err->status;
			}
			if (!end_piece(p, &begin, group)) {
				return out_of_memory(of->property, err);
			}
			continue;
		}
		if (*s == '\\' && !*++s) {
			return bad_replacement(of, s - 1,
					       "a character belongs behind \\", err);
		}
		buffer_add_char(&p->text, *s++);
	}
	return end_piece(p, &begin, NO_GROUP) && buffer_ok(&p->text)
		   ? ST_OK
		   : out_of_memory(of->property, err);
}

/* ---- open and close ---- */

enum status topic_pattern_open(struct topic_pattern_text regex,
			       struct topic_pattern_text replacement,
			       struct topic_pattern **out, struct error *err)
{
	struct topic_pattern *p = calloc(1, sizeof *p);
	enum status status;

	if (!p) {
		return out_of_memory(regex.property, err);
	}
	p->property = strdup(regex.property);
	p->regex = strdup(regex.value);
	status = p->property && p->regex ? compile(p, err)
					 : out_of_memory(regex.property, err);
	if (status == ST_OK) {
		status = read_replacement(p, &replacement, err);
	}
	if (status != ST_OK) {
		topic_pattern_close(p);
		return status;
	}
	*out = p;
	return ST_OK;
}

void topic_pattern_close(struct topic_pattern *pattern)
{
	if (!pattern) {
		return;
	}
	free(pattern->property);
	free(pattern->regex);
	pcre2_code_free(pattern->code);
	pcre2_match_data_free(pattern->match);
	pcre2_match_context_free(pattern->limits);
	buffer_clear(&pattern->text);
	free(pattern->pieces);
	free(pattern);
}

/* ---- topics ---- */

static enum status find(const struct topic_pattern *p, struct span topic,
			uint32_t options, bool *found, struct error *err)
{
	PCRE2_UCHAR reason[128];
	int rc = pcre2_match(p->code, (PCRE2_SPTR)topic.bytes, topic.len, 0, options,
			     p->match, p->limits);

	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) {
		*found = rc >= 0;
		return ST_OK;
	}
	if (rc == PCRE2_ERROR_NOMEMORY) {
		return out_of_memory(p->property, err);
	}
	if (pcre2_get_error_message(rc, reason, sizeof reason) < 0) {
		reason[0] = '\0';
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s: whether \"%s\" matches topic %.*s cannot be decided (%s); "
	    "write it without nested repetitions",
	    p->property, SHORT_NAME(p->regex), (int)topic.len, topic.bytes,
	    (const char *)reason);
}

/* What was found, replaced. */
static void add_replaced(const struct topic_pattern *p, struct span topic,
			 struct buffer *out)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->match);
	size_t end = at[1] > at[0] ? at[1] : at[0]; /* \K may stand in a lookahead */

	buffer_add(out, topic.bytes, at[0]);
	for (size_t i = 0; i < p->piece_count; i++) {
		const struct piece *piece = &p->pieces[i];

		if (piece->len > 0) {
			buffer_add(out, p->text.bytes + piece->offset, piece->len);
		}
		if (piece->group != NO_GROUP && at[2 * piece->group] != PCRE2_UNSET) {
			buffer_add(out, topic.bytes + at[2 * piece->group],
				   at[2 * piece->group + 1] - at[2 * piece->group]);
		}
	}
	buffer_add(out, topic.bytes + end, topic.len - end);
}

enum status topic_pattern_apply(const struct topic_pattern *pattern, struct span topic,
				bool *matches, struct buffer *out, struct error *err)
{
	bool found;

	if (find(pattern, topic, PCRE2_ANCHORED | PCRE2_ENDANCHORED, matches, err) !=
	    ST_OK) {
		return err->status;
	}
	if (!*matches) {
		return ST_OK;
	}
	if (find(pattern, topic, 0, &found, err) != ST_OK) {
		return err->status;
	}
	if (found) { /* what matches a whole is found in it */
		add_replaced(pattern, topic, out);
	}
	return ST_OK;
}

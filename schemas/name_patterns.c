/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/name_patterns.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "src/base/buffer.h"
#include "src/base/utf8.h"

/* Of one match: 3 ms, and no more memory than a large row needs. An honest one, even of
 * ".*_id" with a name of some kilobytes, takes some thousand steps. */
#define STEPS_MAX  100000
#define MEMORY_MAX (32 << 10) /* KiB */

struct pattern {
	pcre2_code *code;
	char *text;    /* for messages */
	bool is_plain; /* without metacharacters: it stands for one name */
};

struct name_patterns {
	char *property;
	struct pattern *patterns;
	size_t count;
	pcre2_match_data *match;
	pcre2_match_context *limits;
};

static enum status out_of_memory(const char *property, struct error *err)
{
	return error_no_memory(err, "%s", property);
}

/* ---- one pattern ---- */

static enum status pattern_compile(struct pattern *pattern, const char *property,
				   const char *text, size_t len, struct error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_CASELESS | PCRE2_DOTALL |
				 PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE place;
	int code;

	*pattern = (struct pattern){.text = strdup(text)};
	if (!pattern->text) {
		return out_of_memory(property, err);
	}
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

static void pattern_clear(struct pattern *pattern)
{
	pcre2_code_free(pattern->code);
	free(pattern->text);
}

/* ST_CONFIG: it gave up. */
static enum status pattern_match(const struct name_patterns *list,
				 const struct pattern *pattern, const char *name,
				 size_t len, bool *matches, struct error *err)
{
	PCRE2_UCHAR reason[128];
	int rc = pcre2_match(pattern->code, (PCRE2_SPTR)name, len, 0, 0, list->match,
			     list->limits);

	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) {
		*matches = rc >= 0;
		return ST_OK;
	}
	if (rc == PCRE2_ERROR_NOMEMORY) {
		return out_of_memory(list->property, err);
	}
	if (pcre2_get_error_message(rc, reason, sizeof reason) < 0) {
		reason[0] = '\0';
	}
	return error_set(err, ST_CONFIG,
			 "%s: whether \"%s\" matches \"%s\" cannot be decided (%s); "
			 "write the pattern without nested repetitions",
			 list->property, SHORT_NAME(pattern->text), SHORT_NAME(name),
			 (const char *)reason);
}

/* ---- a list ---- */

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

static enum status add_pattern(struct name_patterns *list, const char *property,
			       const char *text, size_t len, struct error *err)
{
	struct pattern *patterns =
	    reallocarray(list->patterns, list->count + 1, sizeof *patterns);

	if (!patterns) {
		return out_of_memory(property, err);
	}
	list->patterns = patterns;
	return pattern_compile(&patterns[list->count++], property, text, len, err);
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

/* False when memory ran out. */
static bool make_room(struct name_patterns *patterns, const char *property)
{
	patterns->property = strdup(property);
	patterns->match = pcre2_match_data_create(1, NULL);
	patterns->limits = pcre2_match_context_create(NULL);
	if (!patterns->property || !patterns->match || !patterns->limits) {
		return false;
	}
	(void)pcre2_set_match_limit(patterns->limits, STEPS_MAX);
	(void)pcre2_set_depth_limit(patterns->limits, STEPS_MAX);
	(void)pcre2_set_heap_limit(patterns->limits, MEMORY_MAX);
	return true;
}

enum status name_patterns_open(const char *property, const char *list,
			       struct name_patterns **out, struct error *err)
{
	struct name_patterns *patterns = calloc(1, sizeof *patterns);
	enum status st;

	if (!patterns) {
		return out_of_memory(property, err);
	}
	st = make_room(patterns, property) ? add_list(patterns, property, list, err)
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
		pattern_clear(&patterns->patterns[i]);
	}
	free(patterns->patterns);
	free(patterns->property);
	pcre2_match_data_free(patterns->match);
	pcre2_match_context_free(patterns->limits);
	free(patterns);
}

size_t name_patterns_count(const struct name_patterns *patterns)
{
	return patterns->count;
}

const char *name_patterns_property(const struct name_patterns *patterns)
{
	return patterns->property;
}

const char *name_patterns_text(const struct name_patterns *patterns, size_t index)
{
	return patterns->patterns[index].text;
}

/* ---- matching ---- */

/* A name of which every byte is UTF-8. */
static bool is_sound(const char *name)
{
	const uint8_t *s = (const uint8_t *)name;
	const uint8_t *end = s + strlen(name);
	bool valid = true;

	while (s < end && valid) {
		s += utf8_step(s, end, &valid);
	}
	return valid;
}

/* Append the name as messages have it. */
static void add_sound(struct buffer *b, const char *name)
{
	const uint8_t *s = (const uint8_t *)name;
	const uint8_t *end = s + strlen(name);
	bool valid;

	while (s < end) {
		size_t len = utf8_step(s, end, &valid);

		buffer_add(b, valid ? (const char *)s : "\xef\xbf\xbd",
			   valid ? len : 3);
		s += len;
	}
	buffer_add_char(b, '\0');
}

static enum status match_sound(const struct name_patterns *patterns, const char *name,
			       enum name_match *match, struct error *err)
{
	enum name_match found = NAME_UNLISTED;
	enum status given_up = ST_OK;
	size_t len = strlen(name);

	for (size_t i = 0; i < patterns->count && found != NAME_NAMED; i++) {
		const struct pattern *pattern = &patterns->patterns[i];
		bool matches = false;
		struct error *complaint = given_up == ST_OK ? err : &(struct error){0};
		enum status st =
		    pattern_match(patterns, pattern, name, len, &matches, complaint);

		if (st != ST_OK && st != ST_CONFIG) {
			*err = *complaint;
			return st;
		}
		given_up = st != ST_OK ? st : given_up;
		if (matches) {
			found = pattern->is_plain ? NAME_NAMED : NAME_LISTED;
		}
	}
	if (found == NAME_UNLISTED && given_up != ST_OK) {
		return given_up;
	}
	*match = found;
	return ST_OK;
}

/* `*sound` is the name as messages have it: the name itself, or what is in the buffer,
 * which the caller clears. */
static enum status make_sound(const struct name_patterns *patterns, const char *name,
			      struct buffer *b, const char **sound, struct error *err)
{
	buffer_init(b);
	*sound = name;
	if (is_sound(name)) {
		return ST_OK;
	}
	add_sound(b, name);
	*sound = b->bytes;
	return buffer_ok(b) ? ST_OK : out_of_memory(patterns->property, err);
}

enum status name_patterns_match(const struct name_patterns *patterns, const char *name,
				enum name_match *match, struct error *err)
{
	struct buffer b;
	const char *sound;
	enum status st = make_sound(patterns, name, &b, &sound, err);

	if (st == ST_OK) {
		st = match_sound(patterns, sound, match, err);
	}
	buffer_clear(&b);
	return st;
}

enum status name_patterns_match_one(const struct name_patterns *patterns, size_t index,
				    const char *name, bool *matches, struct error *err)
{
	struct buffer b;
	const char *sound;
	enum status st = make_sound(patterns, name, &b, &sound, err);

	if (st == ST_OK) {
		st = pattern_match(patterns, &patterns->patterns[index], sound,
				   strlen(sound), matches, err);
	}
	buffer_clear(&b);
	return st;
}

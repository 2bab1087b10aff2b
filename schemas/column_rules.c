/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/column_rules.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/name_patterns.h"
#include "src/base/buffer.h"

#define INCLUDE_LIST "column.include.list"
#define EXCLUDE_LIST "column.exclude.list"
#define KEY_COLUMNS  "message.key.columns"

struct masked_columns {
	struct column_mask *mask;
	struct name_patterns *columns;
};

struct column_rules {
	struct name_patterns *included; /* NULL: not given */
	struct name_patterns *excluded;
	struct name_patterns *keys;
	struct masked_columns *masks;
	size_t mask_count;
};

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "rules of columns");
}

/* ---- message.key.columns ---- */

/* Up to `end` or the end of the text: its length, spaces around it not counted. */
static size_t piece(const char **text, char end)
{
	size_t len;

	*text += strspn(*text, " ");
	len = strcspn(*text, (const char[]){end, '\0'});
	while (len > 0 && (*text)[len - 1] == ' ') {
		len--;
	}
	return len;
}

/* A list in which a comma stands for itself. */
static void add_escaped(struct buffer *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == ',') {
			buffer_add_char(b, '\\');
		}
		buffer_add_char(b, text[i]);
	}
}

/* Append (?:TABLES)\.(?:COLUMN) for each column of "TABLES:COLUMN,COLUMN". */
static bool add_table_keys(struct buffer *b, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	const char *end = text + len;
	const char *column = colon ? colon + 1 : end;

	if (!colon || colon == text) {
		return false;
	}
	while (column < end) {
		const char *comma = memchr(column, ',', (size_t)(end - column));
		size_t column_len = (size_t)((comma ? comma : end) - column);

		while (column_len > 0 && *column == ' ') {
			column++;
			column_len--;
		}
		if (column_len == 0) {
			return false;
		}
		buffer_add_str(b, "(?:");
		add_escaped(b, text, (size_t)(colon - text));
		buffer_add_str(b, ")\\.(?:");
		buffer_add(b, column, column_len);
		buffer_add_str(b, "),");
		column += column_len + 1;
	}
	return colon + 1 < end;
}

/* "TABLES:COLUMN,COLUMN;TABLES:COLUMN" as a list of patterns for TABLE.COLUMN. */
static enum status open_keys(const char *value, struct name_patterns **out,
			     struct error *err)
{
	struct buffer list;
	enum status status = ST_OK;

	buffer_init(&list);
	for (const char *p = value; *p && status == ST_OK;) {
		size_t len = piece(&p, ';');

		if (len > 0 && !add_table_keys(&list, p, len)) {
			status = error_set(err, ST_CONFIG,
					   KEY_COLUMNS "=%s: must be TABLE:COLUMN,"
						       "COLUMN;TABLE:COLUMN",
					   value);
		}
		p += strcspn(p, ";");
		p += *p == ';';
	}
	buffer_add_char(&list, '\0');
	if (status == ST_OK) {
		status = buffer_ok(&list)
			     ? name_patterns_open(KEY_COLUMNS, list.bytes, out, err)
			     : out_of_memory(err);
	}
	buffer_clear(&list);
	return status;
}

/* ---- open and close ---- */

static enum status open_masks(struct column_rules *rules,
			      const struct column_rules_settings *settings,
			      struct error *err)
{
	enum status status = ST_OK;

	rules->masks = calloc(settings->mask_count + 1, sizeof *rules->masks);
	if (!rules->masks) {
		return out_of_memory(err);
	}
	for (size_t i = 0; status == ST_OK && i < settings->mask_count; i++) {
		const struct column_mask_setting *s = &settings->masks[i];
		struct masked_columns *masked = &rules->masks[rules->mask_count++];

		status = column_mask_open(s->property, &masked->mask, err);
		if (status == ST_OK) {
			/* Not its name: a salt is part of it. */
			status = name_patterns_open(column_mask_kind(masked->mask) ==
							    MASK_HASH
							? "column.mask.hash.*"
							: s->property,
						    s->columns, &masked->columns, err);
		}
	}
	return status;
}

enum status column_rules_open(const struct column_rules_settings *settings,
			      struct column_rules **out, struct error *err)
{
	struct column_rules *rules;
	enum status status = ST_OK;

	if (settings->include_list && settings->exclude_list) {
		return error_set(err, ST_CONFIG,
				 INCLUDE_LIST " and " EXCLUDE_LIST
					      " exclude each other; give one of them");
	}
	rules = calloc(1, sizeof *rules);
	if (!rules) {
		return out_of_memory(err);
	}
	if (settings->include_list) {
		status = name_patterns_open(INCLUDE_LIST, settings->include_list,
					    &rules->included, err);
	} else if (settings->exclude_list) {
		status = name_patterns_open(EXCLUDE_LIST, settings->exclude_list,
					    &rules->excluded, err);
	}
	if (status == ST_OK && settings->key_columns) {
		status = open_keys(settings->key_columns, &rules->keys, err);
	}
	if (status == ST_OK) {
		status = open_masks(rules, settings, err);
	}
	if (status != ST_OK) {
		column_rules_close(rules);
		return status;
	}
	*out = rules;
	return ST_OK;
}

void column_rules_close(struct column_rules *rules)
{
	if (!rules) {
		return;
	}
	name_patterns_close(rules->included);
	name_patterns_close(rules->excluded);
	name_patterns_close(rules->keys);
	for (size_t i = 0; i < rules->mask_count; i++) {
		column_mask_close(rules->masks[i].mask);
		name_patterns_close(rules->masks[i].columns);
	}
	free(rules->masks);
	free(rules);
}

/* ---- columns ---- */

/* Is `name` in the list? A list that was not given has nothing in it. */
static enum status find_in(const struct name_patterns *patterns, const char *name,
			   bool *is_listed, struct error *err)
{
	enum name_match match = NAME_UNLISTED;
	enum status status =
	    patterns ? name_patterns_match(patterns, name, &match, err) : ST_OK;

	*is_listed = match != NAME_UNLISTED;
	return status;
}

static enum status find_mask(const struct column_rules *rules, const char *name,
			     struct column_mask **mask, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && !*mask && i < rules->mask_count; i++) {
		bool is_masked;

		status = find_in(rules->masks[i].columns, name, &is_masked, err);
		if (status == ST_OK && is_masked) {
			*mask = rules->masks[i].mask;
		}
	}
	return status;
}

static enum status find_rule(const struct column_rules *rules, const char *name,
			     struct column_rule *rule, struct error *err)
{
	bool is_included, is_excluded = false;
	enum status status = find_in(rules->included, name, &is_included, err);

	if (status == ST_OK) {
		status = find_in(rules->excluded, name, &is_excluded, err);
	}
	if (status == ST_OK) {
		status = find_in(rules->keys, name, &rule->is_key, err);
	}
	rule->is_left_out = (rules->included && !is_included) || is_excluded;
	return status == ST_OK ? find_mask(rules, name, &rule->mask, err) : status;
}

enum status column_rules_find(const struct column_rules *rules, const char *table,
			      const char *column, struct column_rule *rule,
			      struct error *err)
{
	struct buffer name;
	enum status status;

	*rule = (struct column_rule){0};
	if (!rules) {
		return ST_OK;
	}
	buffer_init(&name);
	buffer_add_str(&name, table);
	buffer_add_char(&name, '.');
	buffer_add(&name, column, strlen(column) + 1);
	status = buffer_ok(&name) ? find_rule(rules, name.bytes, rule, err)
				  : out_of_memory(err);
	buffer_clear(&name);
	return status;
}

const struct name_patterns *column_rules_list(const struct column_rules *rules,
					      size_t index)
{
	const struct name_patterns *const lists[] = {rules ? rules->included : NULL,
						     rules ? rules->excluded : NULL,
						     rules ? rules->keys : NULL};

	for (size_t i = 0; i < sizeof lists / sizeof(const struct name_patterns *);
	     i++) {
		if (lists[i] && index-- == 0) {
			return lists[i];
		}
	}
	return rules && index < rules->mask_count ? rules->masks[index].columns : NULL;
}

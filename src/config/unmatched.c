/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/unmatched.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "schemas/name_patterns.h"
#include "src/base/buffer.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/config/nearest_name.h"

#define KEY_COLUMNS "message.key.columns"

/* Calls `each` with every name that a list may mean, until it returns true. */
typedef bool name_taker(void *context, const char *name);

static bool each_table(const struct unmatched *u, name_taker *each, void *context)
{
	for (size_t i = 0; i < u->catalog->table_count; i++) {
		if (each(context, u->catalog->tables[i]->name)) {
			return true;
		}
	}
	return false;
}

/* TABLE.COLUMN of the tables that are captured. */
static bool each_column(const struct unmatched *u, name_taker *each, void *context)
{
	struct buffer name;
	bool is_taken = false;

	buffer_init(&name);
	for (size_t i = 0; !is_taken && i < u->catalog->table_count; i++) {
		const struct table *table = u->catalog->tables[i];

		for (uint32_t j = 0; !table->left_out && !is_taken &&
				     j < table->column_count && buffer_ok(&name);
		     j++) {
			buffer_reset(&name);
			buffer_add_str(&name, table->name);
			buffer_add_char(&name, '.');
			buffer_add_str(&name, table->columns[j].name);
			buffer_add_char(&name, '\0');
			is_taken = buffer_ok(&name) && each(context, name.bytes);
		}
	}
	buffer_clear(&name);
	return is_taken;
}

/* ---- one pattern ---- */

struct one_pattern {
	const struct name_patterns *list;
	size_t index;
};

static bool matches(void *context, const char *name)
{
	const struct one_pattern *p = context;
	struct error ignored;
	bool yes = false;

	/* A pattern that gives up on a name is reported elsewhere. */
	return name_patterns_match_one(p->list, p->index, name, &yes, &ignored) !=
		   ST_OK ||
	       yes;
}

/* The nearest so far. */
struct nearest {
	struct nearest_name name;
	char text[NEAREST_NAME_BYTES]; /* names are the caller's for one call */
};

static bool offer(void *context, const char *name)
{
	struct nearest *n = context;

	n->name.nearest = NULL;
	nearest_name_offer(&n->name, name, 0);
	if (n->name.nearest) {
		(void)snprintf(n->text, sizeof n->text, "%s", name);
	}
	return n->name.distance == 0;
}

/* A pattern as the name that it may stand for: without '\', and without the groups that
 * lists of keys are made of. */
static void plain_text(const char *pattern, bool is_key, char *out, size_t size)
{
	size_t len = 0;

	for (const char *p = pattern; *p && len + 1 < size; p++) {
		if (is_key && strncmp(p, "(?:", 3) == 0) {
			p += 2;
		} else if (*p != '\\' && !(is_key && *p == ')')) {
			out[len++] = *p;
		}
	}
	out[len] = '\0';
}

/* "; the nearest is NAME", or nothing. */
static void find_nearest(const struct unmatched *u, const char *wanted, bool of_columns,
			 char *out, size_t size)
{
	struct nearest nearest = {.text = ""};

	nearest_name_init(&nearest.name, wanted);
	if (of_columns) {
		(void)each_column(u, offer, &nearest);
	} else {
		(void)each_table(u, offer, &nearest);
	}
	out[0] = '\0';
	if (nearest.text[0]) {
		(void)snprintf(out, size, "; the nearest is %s",
			       SHORT_NAME(nearest.text));
	}
}

static void check_list(const struct unmatched *u, const struct name_patterns *list,
		       bool of_columns)
{
	const char *property = name_patterns_property(list);
	bool is_key = strcmp(property, KEY_COLUMNS) == 0;

	for (size_t i = 0; i < name_patterns_count(list); i++) {
		struct one_pattern p = {list, i};
		char wanted[NEAREST_NAME_BYTES];
		char nearest[2 * NEAREST_NAME_BYTES];

		if (of_columns ? each_column(u, matches, &p)
			       : each_table(u, matches, &p)) {
			continue;
		}
		plain_text(name_patterns_text(list, i), is_key, wanted, sizeof wanted);
		find_nearest(u, wanted, of_columns, nearest, sizeof nearest);
		log_line(LOG_WARN, "%s: \"%s\" matches no %s%s", property,
			 SHORT_NAME(is_key ? wanted : name_patterns_text(list, i)),
			 of_columns ? "column of a table that is captured" : "table",
			 nearest);
	}
}

static void check_overrides(const struct unmatched *u)
{
	for (size_t i = 0; i < u->overrides->count; i++) {
		const char *name = u->overrides->list[i].table;
		const struct table *table = catalog_find(u->catalog, name);
		char nearest[2 * NEAREST_NAME_BYTES];

		if (table && !table->left_out) {
			continue;
		}
		find_nearest(u, name, false, nearest, sizeof nearest);
		log_line(LOG_WARN, SELECT_OVERRIDES ": \"%s\" is no table%s",
			 SHORT_NAME(name), table ? " that is captured" : nearest);
	}
}

static void check_context(const struct unmatched *u)
{
	const struct table *table = catalog_find(u->catalog, u->context_table);
	char nearest[2 * NEAREST_NAME_BYTES];

	if (table && !table->left_out) {
		return;
	}
	find_nearest(u, u->context_table, false, nearest, sizeof nearest);
	log_line(LOG_WARN,
		 "transaction.context.table: \"%s\" is no table%s; nothing has a "
		 "context until it is one",
		 SHORT_NAME(u->context_table),
		 table ? " that rows can be read of" : nearest);
}

/* ---- all ---- */

static enum status nothing_left(const struct unmatched *u,
				const struct name_patterns *list, struct error *err)
{
	char wanted[NEAREST_NAME_BYTES];
	char nearest[2 * NEAREST_NAME_BYTES] = "";
	const char *property = name_patterns_property(list);

	if (table_filter_excludes(u->filter)) {
		return error_set(err, ST_CONFIG,
				 "%s leaves nothing to capture: it matches every table "
				 "of %s; leave one in",
				 property, quote(u->database_path).text);
	}
	plain_text(name_patterns_text(list, 0), false, wanted, sizeof wanted);
	find_nearest(u, wanted, false, nearest, sizeof nearest);
	return error_set(
	    err, ST_CONFIG,
	    "%s leaves nothing to capture: %s has no table that it matches "
	    "and that can be captured%s",
	    property, quote(u->database_path).text, nearest);
}

enum status unmatched_check(const struct unmatched *u, struct error *err)
{
	const struct name_patterns *tables = table_filter_patterns(u->filter);
	const struct name_patterns *columns;
	size_t captured = 0;
	size_t filtered = 0;

	for (size_t i = 0; i < u->catalog->table_count; i++) {
		const struct table *table = u->catalog->tables[i];
		const char *reason = table->left_out;

		/* Of the context's table there are no events. */
		captured += !reason && (!u->context_table ||
					strcasecmp(table->name, u->context_table) != 0);
		filtered += reason && table_filter_is_reason(reason);
	}
	if (tables && name_patterns_count(tables) > 0 && captured == 0 &&
	    (filtered > 0 || !table_filter_excludes(u->filter))) {
		return nothing_left(u, tables, err);
	}
	if (tables) {
		check_list(u, tables, false);
	}
	for (size_t i = 0; (columns = column_rules_list(u->rules, i)) != NULL; i++) {
		check_list(u, columns, true);
	}
	check_overrides(u);
	if (u->context_table) {
		check_context(u);
	}
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/new_tables.h"

#include "btree/tree_walk.h"
#include "src/asked.h"
#include "src/base/stop.h"
#include "src/config/shaping.h"

/* A setting of the last run as it was given; without bytes: it had none. */
static bool read_setting(const char *settings, const char *name, struct buffer *out)
{
	struct buffer escaped;
	bool is_set;

	buffer_init(&escaped);
	is_set = shaping_find(settings, name, &escaped);
	for (size_t i = 0; is_set && i < escaped.len; i++) {
		char c = escaped.bytes[i];

		if (c == '\\' && i + 1 < escaped.len) {
			c = escaped.bytes[++i];
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		buffer_add_char(out, c);
	}
	if (is_set) {
		buffer_add_char(out, '\0');
	}
	is_set = buffer_ok(&escaped) && buffer_ok(out);
	buffer_clear(&escaped);
	return is_set;
}

static enum status add_new(const struct table_filter *was,
			   const struct catalog *catalog, const char **names,
			   size_t *count, struct error *err)
{
	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = catalog->tables[i];
		const char *reason = NULL;

		if (table->left_out || table->is_context) {
			continue;
		}
		if (table_filter_reason(was, table->name, false, &reason, err) !=
		    ST_OK) {
			return err->status;
		}
		if (reason && table_filter_is_reason(reason)) {
			names[(*count)++] = table->name;
		}
	}
	return ST_OK;
}

enum status new_tables_find(const struct config *config,
			    const struct kept_position *kept,
			    const struct catalog *catalog, const char **names,
			    size_t *count, struct error *err)
{
	const char *settings = kept->last_settings.bytes;
	struct config last = *config;
	struct table_filter *was = NULL;
	struct buffer include, exclude;
	enum status status;

	*count = 0;
	if (!settings || kept->last_hash != kept->position.settings_hash) {
		return ST_OK;
	}
	buffer_init(&include);
	buffer_init(&exclude);
	if (read_setting(settings, "table.include.list", &include) &&
	    read_setting(settings, "table.exclude.list", &exclude)) {
		last.table_include_list = include.len > 0 ? include.bytes : NULL;
		last.table_exclude_list = exclude.len > 0 ? exclude.bytes : NULL;
		status = asked_filter_open(&last, &was, err);
	} else {
		status = error_no_memory(err, "the settings");
	}
	if (status == ST_OK) {
		status = add_new(was, catalog, names, count, err);
	}
	table_filter_close(was);
	buffer_clear(&include);
	buffer_clear(&exclude);
	return status;
}

static enum status count_row(void *context, const struct page *page,
			     uint32_t cell_index, struct error *err)
{
	uint64_t *rows = context;

	(void)page;
	(void)cell_index;
	(*rows)++;
	return stop_requested ? error_set(err, ST_STOPPED, "stopped") : ST_OK;
}

enum status new_tables_rows(struct page_source *source, const struct table *table,
			    uint64_t *rows, struct error *err)
{
	*rows = 0;
	return tree_walk_rows(source, table->root_page, count_row, rows, err);
}

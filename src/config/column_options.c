/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/column_options.h"

#include <stdlib.h>
#include <string.h>

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

void column_options_clear(struct column_options *options)
{
	free(options->include_list);
	free(options->exclude_list);
	free(options->key_columns);
	for (size_t i = 0; i < options->mask_count; i++) {
		free(options->masks[i].property);
		free(options->masks[i].columns);
	}
	free(options->masks);
	*options = (struct column_options){0};
}

/* The one of that name; NULL when memory ran out. */
static struct column_option *find_or_add(struct column_options *options,
					 const char *key)
{
	struct column_option *grown;

	for (size_t i = 0; i < options->mask_count; i++) {
		if (strcmp(options->masks[i].property, key) == 0) {
			return &options->masks[i];
		}
	}
	grown = reallocarray(options->masks, options->mask_count + 1, sizeof *grown);
	if (!grown) {
		return NULL;
	}
	options->masks = grown;
	grown += options->mask_count;
	*grown = (struct column_option){.property = strdup(key)};
	if (!grown->property) {
		return NULL;
	}
	options->mask_count++;
	return grown;
}

enum status column_options_set(struct column_options *options, int rank,
			       const char *key, const char *value, struct error *err)
{
	struct column_option *option = find_or_add(options, key);
	char *columns;

	if (!option) {
		return out_of_memory(err);
	}
	if (option->columns && option->rank > rank) {
		return ST_OK;
	}
	columns = strdup(value);
	if (!columns) {
		return out_of_memory(err);
	}
	free(option->columns);
	option->columns = columns;
	option->rank = rank;
	return ST_OK;
}

enum status column_options_open(const struct column_options *options,
				struct column_rules **out, struct error *err)
{
	struct column_rules_settings settings = {
	    .include_list = options->include_list,
	    .exclude_list = options->exclude_list,
	    .key_columns = options->key_columns,
	    .mask_count = options->mask_count,
	};
	struct column_mask_setting *masks;
	enum status status;

	*out = NULL;
	if (!options->include_list && !options->exclude_list && !options->key_columns &&
	    options->mask_count == 0) {
		return ST_OK;
	}
	masks = calloc(options->mask_count + 1, sizeof *masks);
	if (!masks) {
		return out_of_memory(err);
	}
	for (size_t i = 0; i < options->mask_count; i++) {
		masks[i] = (struct column_mask_setting){
		    .property = options->masks[i].property,
		    .columns =
			options->masks[i].columns ? options->masks[i].columns : ""};
	}
	settings.masks = masks;
	status = column_rules_open(&settings, out, err);
	free(masks);
	return status;
}

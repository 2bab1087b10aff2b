/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/select_overrides.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

void select_overrides_clear(struct select_overrides *overrides)
{
	for (size_t i = 0; i < overrides->count; i++) {
		free(overrides->list[i].table);
		free(overrides->list[i].sql);
	}
	free(overrides->list);
	*overrides = (struct select_overrides){0};
}

static struct select_override *find(const struct select_overrides *overrides,
				    const char *table, size_t len)
{
	for (size_t i = 0; i < overrides->count; i++) {
		struct select_override *o = &overrides->list[i];

		if (strlen(o->table) == len && strncasecmp(o->table, table, len) == 0) {
			return o;
		}
	}
	return NULL;
}

/* NULL when memory ran out. */
static struct select_override *add(struct select_overrides *overrides,
				   const char *table)
{
	struct select_override *grown =
	    reallocarray(overrides->list, overrides->count + 1, sizeof *grown);

	if (!grown) {
		return NULL;
	}
	overrides->list = grown;
	grown += overrides->count;
	*grown = (struct select_override){.table = strdup(table)};
	overrides->count += grown->table != NULL;
	return grown->table ? grown : NULL;
}

enum status select_overrides_set(struct select_overrides *overrides, int rank,
				 const char *table, const char *sql, struct error *err)
{
	struct select_override *override = find(overrides, table, strlen(table));
	char *text;

	if (override && override->rank > rank) {
		return ST_OK;
	}
	override = override ? override : add(overrides, table);
	text = strdup(sql);
	if (!override || !text) {
		free(text);
		return out_of_memory(err);
	}
	free(override->sql);
	override->sql = text;
	override->rank = rank;
	return ST_OK;
}

static enum status check_listed(struct select_overrides *overrides, const char *table,
				size_t len, struct error *err)
{
	struct select_override *override = find(overrides, table, len);

	if (!override) {
		return error_set(err, ST_CONFIG,
				 SELECT_OVERRIDES
				 " names %.*s, but " SELECT_OVERRIDE_PREFIX
				 "%.*s is not set",
				 (int)len, table, (int)len, table);
	}
	override->is_listed = true;
	return ST_OK;
}

enum status select_overrides_check(struct select_overrides *overrides, const char *list,
				   struct error *err)
{
	for (const char *p = list ? list : ""; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		const char *end = p + len;
		const char *table = p + strspn(p, " ");

		while (end > table && end[-1] == ' ') {
			end--;
		}
		if (end > table && check_listed(overrides, table, (size_t)(end - table),
						err) != ST_OK) {
			return err->status;
		}
		p += len;
	}
	for (size_t i = 0; i < overrides->count; i++) {
		const struct select_override *override = &overrides->list[i];

		if (!override->is_listed) {
			return error_set(err, ST_CONFIG,
					 SELECT_OVERRIDE_PREFIX
					 "%s is set, but the list " SELECT_OVERRIDES
					 " does not name %s",
					 override->table, override->table);
		}
	}
	return ST_OK;
}

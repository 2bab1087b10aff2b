/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/sink_table.h"

#include <stdio.h>
#include <string.h>

#define SINK_KIND_ENTRY(which) &(which),
static const struct sink_kind *const kinds[] = {SINK_KINDS(SINK_KIND_ENTRY)};

#define KIND_COUNT (sizeof kinds / sizeof *kinds)

const struct sink_kind *sink_table_at(size_t index)
{
	return index < KIND_COUNT ? kinds[index] : NULL;
}

/* All of the forms: "stdout, file:PATH or …". */
static enum status name_all(const char *value, struct error *err)
{
	char forms[512] = "";
	size_t len = 0;

	for (size_t i = 0; i < KIND_COUNT && len < sizeof forms; i++) {
		const char *target = kinds[i]->target;

		len += (size_t)snprintf(forms + len, sizeof forms - len, "%s%s%s",
					i == 0                ? ""
					: i + 1 == KIND_COUNT ? " or "
							      : ", ",
					kinds[i]->scheme, target ? target : "");
	}
	return error_set(err, ST_CONFIG, "--to %s: must be %s", value, forms);
}

enum status sink_table_find(const char *value, const struct sink_kind **kind,
			    const char **target, struct error *err)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct sink_kind *k = kinds[i];
		size_t len = strlen(k->scheme);
		const char *rest = value + len;

		if (strncmp(value, k->scheme, len) != 0 ||
		    (*rest != '\0') != (k->target != NULL)) {
			continue;
		}
		if (k->not_in_target && strpbrk(rest, k->not_in_target)) {
			continue;
		}
		*kind = k;
		*target = k->target ? rest : NULL;
		return ST_OK;
	}
	return name_all(value, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/problems.h"

#include <stdlib.h>
#include <string.h>

enum status problems_take(struct problems *problems, enum status status,
			  struct error *err)
{
	char **texts;
	char *text;

	if (status != ST_CONFIG) {
		return status;
	}
	texts =
	    reallocarray(problems->texts, problems->count + 1, sizeof *problems->texts);
	text = strdup(err->text);
	if (texts) {
		problems->texts = texts;
	}
	if (!texts || !text) {
		free(text);
		return error_no_memory(err, "the properties");
	}
	texts[problems->count++] = text;
	return ST_OK;
}

enum status problems_settle(const struct problems *problems, struct error *err)
{
	switch (problems->count) {
	case 0:
		return ST_OK;
	case 1:
		return error_set(err, ST_CONFIG, "%s", problems->texts[0]);
	default:
		return error_set(err, ST_CONFIG,
				 "%zu settings cannot be taken: see the lines above",
				 problems->count);
	}
}

void problems_clear(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->texts[i]);
	}
	free(problems->texts);
	*problems = (struct problems){0};
}

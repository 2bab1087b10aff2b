/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"

json_t *json_text(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char *safe = json ? NULL : strdup(text);

	if (safe) {
		utf8_make_safe(safe);
		json = json_string(safe);
	}
	free(safe);
	return json;
}

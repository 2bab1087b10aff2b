/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/storage_settings.h"

#include <string.h>

#define FILE_PREFIX "file:"

/* "s3://..." but not "./a://b". */
static bool has_scheme(const char *location)
{
	const char *colon = strstr(location, "://");

	return colon && colon > location &&
	       strcspn(location, "/") == (size_t)(colon - location) + 1;
}

const char *storage_folder(const char *location)
{
	if (strncmp(location, FILE_PREFIX, strlen(FILE_PREFIX)) == 0) {
		return location + strlen(FILE_PREFIX);
	}
	return has_scheme(location) ? NULL : location;
}

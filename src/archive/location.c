/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/location.h"

#include <string.h>

#include "src/archive/directory.h"
#include "src/base/quote.h"

/* "s3://..." but not "./a:b". */
static bool has_scheme(const char *location)
{
	const char *colon = strstr(location, "://");

	return colon && colon > location &&
	       strcspn(location, "/") == (size_t)(colon - location) + 1;
}

enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	(void)settings; /* a folder has none */
	if (strncmp(location, "file:", 5) == 0) {
		location += 5;
	} else if (has_scheme(location)) {
		return error_set(err, ST_CONFIG,
				 "%s: archives are read from a folder in this version: "
				 "give its path, or file:PATH",
				 quote(location).text);
	}
	if (*location == '\0') {
		return error_set(err, ST_CONFIG,
				 "no archive given: must be a path, or file:PATH");
	}
	return directory_open(location, storage, err);
}

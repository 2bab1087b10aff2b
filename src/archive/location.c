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

/* `*path` is that of a folder. */
static enum status read_location(const char *location, const char **path,
				 struct error *err)
{
	*path = location;
	if (strncmp(location, "file:", 5) == 0) {
		*path += 5;
	} else if (has_scheme(location)) {
		return error_set(err, ST_CONFIG,
				 "%s: an archive is a folder in this version: give its "
				 "path, or file:PATH",
				 quote(location).text);
	}
	return **path != '\0'
		   ? ST_OK
		   : error_set(err, ST_CONFIG,
			       "no archive given: must be a path, or file:PATH");
}

enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	const char *path;
	enum status status = read_location(location, &path, err);

	(void)settings; /* a folder has none */
	return status == ST_OK ? directory_open(path, storage, err) : status;
}

enum status location_open_to_write(const char *location,
				   const struct storage_settings *settings, bool make,
				   struct storage **storage, struct error *err)
{
	const char *path;
	enum status status = read_location(location, &path, err);

	(void)settings; /* a folder has none */
	return status == ST_OK ? directory_open_to_write(path, make, storage, err)
			       : status;
}

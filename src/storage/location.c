/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/location.h"

#include <string.h>

#include "src/base/quote.h"
#include "src/storage/directory.h"
#include "src/storage/s3.h"

#define S3_SCHEME "s3://"

static bool is_s3(const char *location)
{
	return strncmp(location, S3_SCHEME, strlen(S3_SCHEME)) == 0;
}

/* `*path` is that of a folder. */
static enum status read_location(const char *location, const char **path,
				 struct error *err)
{
	*path = storage_folder(location);
	if (!*path) {
		return error_set(err, ST_CONFIG,
				 "%s: an archive is a folder, given as its path or "
				 "file:PATH, or s3://BUCKET/PREFIX",
				 quote(location).text);
	}
	return **path != '\0'
		   ? ST_OK
		   : error_set(err, ST_CONFIG,
			       "no archive given: must be a path, file:PATH or "
			       "s3://BUCKET/PREFIX");
}

/* To read: by `open_folder`, where it is a folder. */
static enum status
open_to_read(const char *location, const struct storage_settings *settings,
	     enum status (*open_folder)(const char *path, struct storage **storage,
					struct error *err),
	     struct storage **storage, struct error *err)
{
	const char *path;
	enum status status;

	if (is_s3(location)) {
		return s3_open(location + strlen(S3_SCHEME), settings, false, storage,
			       err);
	}
	status = read_location(location, &path, err);
	return status == ST_OK ? open_folder(path, storage, err) : status;
}

enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	return open_to_read(location, settings, directory_open, storage, err);
}

enum status location_look(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	return open_to_read(location, settings, directory_look, storage, err);
}

enum status location_open_to_write(const char *location,
				   const struct storage_settings *settings, bool make,
				   struct storage **storage, struct error *err)
{
	const char *path;
	enum status status;

	if (is_s3(location)) {
		return s3_open(location + strlen(S3_SCHEME), settings, true, storage,
			       err);
	}
	status = read_location(location, &path, err);
	return status == ST_OK ? directory_open_to_write(path, make, storage, err)
			       : status;
}

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

enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	const char *path;
	enum status status;

	if (is_s3(location)) {
		return s3_open(location + strlen(S3_SCHEME), settings, false, storage,
			       err);
	}
	status = read_location(location, &path, err);
	return status == ST_OK ? directory_open(path, storage, err) : status;
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

enum status location_look(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	const char *path;
	enum status status;

	if (is_s3(location)) {
		return s3_open(location + strlen(S3_SCHEME), settings, false, storage,
			       err);
	}
	status = read_location(location, &path, err);
	return status == ST_OK ? directory_look(path, storage, err) : status;
}

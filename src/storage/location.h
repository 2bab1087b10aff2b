/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/location.h -- from what a person gives as an archive to its storage.
 *
 * THREADS  No shared state.
 * ERRORS   As src/storage/storage.h; ST_CONFIG: no kind of storage that is built.
 */
#ifndef LOCATION_H
#define LOCATION_H

#include <stdbool.h>

#include "src/storage/storage.h"
#include "src/storage/storage_settings.h"

/* `location` is file:PATH, a path or s3://BUCKET/PREFIX; the caller closes the storage,
 * and keeps `settings` until then. */
enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err) MUST_CHECK;

/* The same to be written to, too. `make`: where there is none yet it is made, in a
 * folder that is there. */
enum status location_open_to_write(const char *location,
				   const struct storage_settings *settings, bool make,
				   struct storage **storage,
				   struct error *err) MUST_CHECK;

/* What that would find, and nothing is made. `*storage` is NULL: there is none yet, and
 * it could be made. */
enum status location_look(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err) MUST_CHECK;

#endif

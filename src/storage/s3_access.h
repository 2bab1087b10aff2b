/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_access.h -- the credentials that requests to S3 are signed with: where
 * they come from, and that they may be others later.
 *
 * Temporary ones expire, and others are exchanged, while a run goes on. Where they were
 * given by reference to a file, that is read again when the server refuses them.
 *
 * OWNERSHIP  s3_access_init / s3_access_clear; the struct is the caller's, settings and
 *            bucket are borrowed.
 * THREADS    One at a time; each thread has its own.
 * ERRORS     ST_CONFIG: there are none, or none that can be sent. Keys are in no text.
 */
#ifndef S3_ACCESS_H
#define S3_ACCESS_H

#include <stdbool.h>

#include "src/storage/s3_sign.h"
#include "src/storage/storage_settings.h"

struct s3_access {
	const struct storage_settings *settings;
	const char *bucket;
	struct s3_keys keys;
	char *renewed[STORAGE_S3_SECRETS]; /* of `keys`; NULL: as in the settings */
	bool was_accepted;                 /* the server has taken them, once */
};

enum status s3_access_init(struct s3_access *access,
			   const struct storage_settings *settings, const char *bucket,
			   struct error *err) MUST_CHECK;
void s3_access_clear(struct s3_access *access);

/* Do they come from somewhere where others may be put? */
bool s3_access_may_change(const struct s3_access *access);

/* Read them again. True: they are others than before. False: they are not, or cannot be
 * read now, and stay. */
bool s3_access_renew(struct s3_access *access);

#endif

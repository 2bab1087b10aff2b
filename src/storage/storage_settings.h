/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/storage_settings.h -- what a storage has to know beside its location.
 *
 * They are properties (archive.s3.*), and stay as they are while a storage is open that
 * was opened with them. NULL: not given.
 *
 * OWNERSHIP  All texts belong to the struct config that it is a part of.
 * THREADS    Read-only.
 */
#ifndef STORAGE_SETTINGS_H
#define STORAGE_SETTINGS_H

#include <stdbool.h>

#include "src/base/status.h"

enum storage_s3_secret {
	STORAGE_S3_ACCESS,
	STORAGE_S3_SECRET,
	STORAGE_S3_TOKEN, /* of a session; NULL: none */
	STORAGE_S3_SECRETS,
};

struct storage_settings {
	char *s3_endpoint; /* http[s]://HOST[:PORT]; NULL: AWS */
	bool s3_in_host;   /* the bucket is in front of the endpoint's host */
	char *s3_region;   /* NULL: of the environment */
	char *s3_ca;       /* a file of certificates to trust; NULL: the system's */
	/* The credentials; all NULL: of the environment. */
	char *s3_secrets[STORAGE_S3_SECRETS];
	/* As they were given, where that is by reference to a file; NULL: they stay as
	 * they are. */
	char *s3_references[STORAGE_S3_SECRETS];
	/* Reads what a reference names now; `*value` is the caller's. `setting` is for
	 * messages. Any thread. */
	enum status (*s3_resolve)(const char *setting, const char *reference,
				  char **value, struct error *err);
	int s3_connections; /* that read ahead; 1 and less: none does */
	int s3_timeout_ms;  /* of silence, until a request is sent again */
	int stop_grace_ms;  /* requests go on so long after a signal to stop; this is
			     * no property: 0, but for who writes behind a run */
};

/* The path of the folder that `location` is, given as that or as file:PATH; within
 * `location`. NULL: it is SCHEME://... */
const char *storage_folder(const char *location);

#endif

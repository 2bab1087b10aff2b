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

struct storage_settings {
	char *s3_endpoint;   /* http[s]://HOST[:PORT]; NULL: AWS */
	bool s3_in_host;     /* the bucket is in front of the endpoint's host */
	char *s3_region;     /* NULL: of the environment */
	char *s3_ca;         /* a file of certificates to trust; NULL: the system's */
	char *s3_access_key; /* NULL: of the environment, with the next two */
	char *s3_secret_key;
	char *s3_session_token; /* NULL: none */
	int s3_timeout_ms;      /* of silence, until a request is sent again */
	int stop_grace_ms; /* requests go on so long after a signal to stop; this is
			    * no property: 0, but for who writes behind a run */
};

/* The path of the folder that `location` is, given as that or as file:PATH; within
 * `location`. NULL: it is SCHEME://... */
const char *storage_folder(const char *location);

#endif

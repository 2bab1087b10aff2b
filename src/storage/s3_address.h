/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_address.h -- where the requests to a bucket go.
 *
 * With an endpoint the bucket is the first part of the path; at AWS it is in the name
 * of the host, unless it has a dot, which its certificates do not cover.
 *
 * OWNERSHIP  s3_address_init / s3_address_clear.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG: no address of a server, no name of a bucket. ST_NOMEM.
 */
#ifndef S3_ADDRESS_H
#define S3_ADDRESS_H

#include <stdbool.h>

#include "src/base/status.h"

struct s3_address {
	char *server; /* http[s]://HOST[:PORT] */
	char *host;   /* within it, as the header Host has it */
	char *base;   /* before the key in the path: "" or "/BUCKET" */
};

/* `endpoint` NULL: AWS, in that region. `in_host`: the bucket is in front of the
 * endpoint's host, and not in the path, as at AWS. */
enum status s3_address_init(struct s3_address *address, const char *endpoint,
			    bool in_host, const char *region, const char *bucket,
			    struct error *err) MUST_CHECK;
void s3_address_clear(struct s3_address *address);

#endif

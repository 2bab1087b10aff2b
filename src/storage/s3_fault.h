/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_fault.h -- from an answer that is an error to a line for people.
 *
 * THREADS  No shared state.
 */
#ifndef S3_FAULT_H
#define S3_FAULT_H

#include "src/storage/s3_client.h"
#include "src/storage/s3_text.h"

/* The text of <Code>, which may be missing (of HEAD it is). */
struct s3_span s3_fault_code(const struct s3_answer *answer);

/* The object is not there. */
bool s3_fault_is_missing(const struct s3_answer *answer);

/*
 * "`what`: why: what to do about it", and its status: ST_CONFIG where trying again is
 * of no use (no such bucket, wrong keys or region, no permission), else ST_IO.
 * `permission`: what the keys must be allowed for this: "s3:GetObject".
 */
enum status s3_fault_set(const struct s3_client *client, const struct s3_answer *answer,
			 const char *what, const char *permission, struct error *err);

#endif

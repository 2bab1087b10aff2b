/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_parts.h -- a large file becomes an object part by part.
 *
 * Each part is sent, and repeated, by itself. The object appears when all parts are
 * named; until then they are kept by the server, and cost, so they are given up where
 * something fails, and what an earlier run left of a level is given up before the first
 * upload to it.
 *
 * OWNERSHIP, THREADS, ERRORS  As the calls of src/storage/storage.h.
 */
#ifndef S3_PARTS_H
#define S3_PARTS_H

#include "src/storage/s3_storage.h"

#define S3_WHOLE_MOST                                                   \
	(16u << 20) /* bytes that are sent at once; of a part the least \
		     */

/* `time`: of the metadata. ST_END: an object of that key is there already, or may be:
 * compare it. */
enum status s3_parts_put(struct s3_storage *s, const char *key, const char *time,
			 int fd, uint64_t size, struct error *err) MUST_CHECK;

#endif

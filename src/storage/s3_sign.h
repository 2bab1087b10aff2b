/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_sign.h -- the signature of a request, version 4 of AWS.
 *
 * Signed are method, path, query, headers and the hash of the body, as the server will
 * see them: who asks for it encodes them (src/storage/s3_text.h) and sends the same.
 *
 * FORMAT   "Signature Version 4" in AWS's reference.
 * THREADS  No shared state.
 * ERRORS   ST_NOMEM.
 */
#ifndef S3_SIGN_H
#define S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/status.h"

#define S3_HASH_TEXT 65u /* a SHA-256 in hex, with the NUL */
#define S3_TIME_TEXT 17u /* 20130524T000000Z, with the NUL */

/* Borrowed; they appear in no message. */
struct s3_keys {
	const char *access;
	const char *secret;
	const char *token; /* of a session; NULL: none. The caller signs its header. */
};

struct s3_header {
	const char *name; /* in lower case */
	const char *value;
};

struct s3_to_sign {
	const char *method;
	const char *path;                /* encoded */
	const char *query;               /* encoded, sorted by name; "": none */
	const struct s3_header *headers; /* all that are signed, sorted by name */
	size_t header_count;
	const char *body_hash; /* as the header x-amz-content-sha256 has it */
	const char *region;
	const char *service; /* "s3" */
	const char *time;    /* as the header x-amz-date has it */
};

/* The value of the header Authorization, with a NUL, into `*out`. */
enum status s3_sign(const struct s3_to_sign *what, const struct s3_keys *keys,
		    struct buffer *out, struct error *err) MUST_CHECK;

void s3_hash(const void *bytes, size_t len, char text[S3_HASH_TEXT]);

/* Bytes of a file; false: it cannot be read, see errno, or hashed (ENOMEM). */
bool s3_hash_file(int fd, uint64_t offset, uint64_t len,
		  char text[S3_HASH_TEXT]) MUST_CHECK;

/* `wall_ns`: since 1970. */
void s3_time_text(int64_t wall_ns, char text[S3_TIME_TEXT]);

#endif

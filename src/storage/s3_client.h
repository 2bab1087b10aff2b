/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_client.h -- requests to a server that speaks S3, one after the other.
 *
 * One connection is kept. A request that failed for a reason that passes (a broken
 * connection, a server that is busy) is sent again, with growing and random pauses; a
 * signal that asks rowtail to stop ends any wait, after the settings' grace. So is one
 * whose keys are refused, if others are where they came from. Redirects
 * are not followed, and of an answer no more is taken than there is room for. What a
 * request means, and what is to be done about an answer, is the caller's.
 *
 * OWNERSHIP  s3_client_open / s3_client_close; settings and bucket are borrowed until
 *            then.
 * THREADS    One at a time; each thread has its own.
 * ERRORS     ST_CONFIG: a setting is missing or wrong. ST_IO: no answer, after all
 *            tries. ST_STOPPED, ST_NOMEM. Keys are in no text.
 */
#ifndef S3_CLIENT_H
#define S3_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/storage/s3_sign.h"
#include "src/storage/storage_settings.h"

#define S3_REQUEST_HEADERS 4u
#define S3_FAULT_BYTES     16384u /* of the text of an error */

struct s3_request {
	const char *method; /* GET, HEAD, PUT, POST, DELETE */
	const char *key;    /* of the object, not encoded; "": the bucket */
	const char *query;  /* encoded, sorted by name; NULL: none */
	struct s3_header headers[S3_REQUEST_HEADERS]; /* beside those of all requests */
	size_t header_count;

	/* The body: bytes, or a part of a file. */
	const void *bytes;
	int fd; /* where `bytes` is NULL */
	uint64_t offset;
	uint64_t len; /* 0: no body */

	/* Where the body of the answer goes. */
	void *into;
	size_t room; /* more is an error */
};

struct s3_answer {
	int code;            /* of HTTP */
	size_t len;          /* bytes of the body, in request.into */
	uint64_t total;      /* of the object, as Content-Range says; else its length */
	uint64_t range_from; /* as Content-Range says; else 0 */
	char etag[132];      /* with its quotes; "": none */
	char time[48];       /* x-amz-meta-litestream-timestamp; "": none */
	char region[32];     /* x-amz-bucket-region; "": none */
	int64_t date_s;      /* Date, since 1970; 0: none */

	/* Of a code from 300 on: what the server says of it, with a NUL. */
	char fault[S3_FAULT_BYTES];
	size_t fault_len;
};

/* A line of the head of an answer: what it says goes into the struct, and a new answer
 * (after an interim one) clears it. */
void s3_answer_take_header(struct s3_answer *answer, const char *bytes, size_t len);

struct s3_client;

enum status s3_client_open(const struct storage_settings *settings, const char *bucket,
			   struct s3_client **out, struct error *err) MUST_CHECK;
void s3_client_close(struct s3_client *client);

/* ST_OK: there is an answer, whatever its code. */
enum status s3_client_send(struct s3_client *client, const struct s3_request *request,
			   struct s3_answer *answer, struct error *err) MUST_CHECK;

/* Once `*stops` is set, by any thread, a request that is under way ends within about a
 * second. Borrowed. */
void s3_client_give_up_when(struct s3_client *client, const _Atomic bool *stops);
/* Those that it was opened with. */
const struct storage_settings *s3_client_settings(const struct s3_client *client);

/* Keys that it refused now were taken before, and others may come: it may be asked
 * again later. */
bool s3_client_may_get_keys(const struct s3_client *client);

/* For messages. */
const char *s3_client_bucket(const struct s3_client *client);
const char *s3_client_region(const struct s3_client *client);
const char *s3_client_server(const struct s3_client *client); /* http://HOST[:PORT] */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_storage.h -- what the parts of src/storage/s3.h share, and nobody
 * else.
 *
 * THREADS  One at a time.
 */
#ifndef S3_STORAGE_H
#define S3_STORAGE_H

#include "src/storage/s3_client.h"
#include "src/storage/storage.h"

#define S3_KEY_BYTES 1025u /* of the longest key, and the NUL */

struct s3_ahead; /* src/storage/s3_ahead.h */

struct s3_storage {
	struct storage base;
	struct s3_client *client;
	char *bucket;
	char *prefix;             /* without '/' at its ends */
	size_t stream_count;      /* files that have a piece in memory */
	struct s3_answer *answer; /* of the last request */
	struct s3_ahead *ahead;   /* NULL: nothing was expected yet */
	unsigned swept; /* bits of levels: nothing of an earlier upload is left */
};

struct s3_storage *s3_storage_of(struct storage *storage);

/* "PREFIX/LLLL/MIN-MAX.ltx" */
void s3_storage_key(const struct s3_storage *s, const struct archive_file *file,
		    char key[S3_KEY_BYTES]);

/* For messages: "s3://BUCKET/KEY", quoted. */
struct s3_name {
	char text[STORAGE_NAME_BYTES];
};
struct s3_name s3_storage_name(const struct s3_storage *s, const char *key);

/* All files whose keys begin with PREFIX/`below`. */
enum status s3_list_below(struct s3_storage *s, const char *below,
			  struct archive_list *list, struct error *err) MUST_CHECK;

/* The files of one answer, which may say that more follow. */
enum status s3_list_page(struct s3_storage *s, const char *bytes, size_t len,
			 struct archive_list *list, struct error *err) MUST_CHECK;

/* `len` bytes from `from` of a file, all of which it has. ST_LOST: it is gone, or it
 * has another size than it was listed with. */
enum status s3_get_range(struct s3_storage *s, const struct archive_file *file,
			 void *bytes, size_t len, uint64_t from,
			 struct error *err) MUST_CHECK;

#endif

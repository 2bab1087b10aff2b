/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_write.h -- what is written into an archive in a bucket.
 *
 * Every object is written with If-None-Match: *, so that the server itself sees to it
 * that nothing is written over; where something is there already its bytes decide
 * whether it was us, in a try whose answer was lost. A large file goes in parts, and is
 * there when all of them are; what a writer that was killed left of one is removed by
 * the next who writes a large one.
 *
 * OWNERSHIP, THREADS, ERRORS  As the calls of src/storage/storage.h.
 */
#ifndef S3_WRITE_H
#define S3_WRITE_H

#include "src/storage/storage.h"

enum status s3_put(struct storage *storage, const struct archive_file *file, int fd,
		   struct error *err) MUST_CHECK;
enum status s3_remove(struct storage *storage, const struct archive_file *file,
		      struct error *err) MUST_CHECK;
enum status s3_get_note(struct storage *storage, const char *name, void *bytes,
			size_t cap, size_t *len, struct error *err) MUST_CHECK;
enum status s3_put_note(struct storage *storage, const char *name, const void *bytes,
			size_t len, struct error *err) MUST_CHECK;

#endif

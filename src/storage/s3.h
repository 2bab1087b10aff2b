/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3.h -- an archive in a bucket: PREFIX/LLLL/MIN-MAX.ltx.
 *
 * LLLL is the level in 4 lower-case hex digits; MIN and MAX are TXIDs, as in a folder
 * (src/storage/file_name.h). The time of a file is its metadata litestream-timestamp,
 * else that of its header; a list has neither, but the time of the upload, so it is
 * rough until it is asked for. All levels are listed at once, up to 1,000 files a
 * request. Of a file what is read in order is fetched in large pieces, anything else
 * by a request for just that.
 *
 * OWNERSHIP, THREADS, ERRORS  src/storage/storage.h. Credentials are in no text.
 */
#ifndef S3_H
#define S3_H

#include "src/storage/storage.h"
#include "src/storage/storage_settings.h"

/* `place` is BUCKET/PREFIX. Nothing is asked of the server yet. */
enum status s3_open(const char *place, const struct storage_settings *settings,
		    bool to_write, struct storage **storage,
		    struct error *err) MUST_CHECK;

#endif

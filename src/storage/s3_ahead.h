/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_ahead.h -- files of a bucket that will be read soon, fetched ahead by
 * several connections.
 *
 * A request takes as long as the way to the server and back, however small the file is.
 * Who knows which files come next says so, and finds their pieces in memory, in the
 * order in which they are asked for. It is a hint: what cannot be fetched ahead, for
 * whatever reason, is fetched by who asks for it, whose tries and errors are the ones
 * that count.
 *
 * MEMORY     S3_AHEAD_ROOM for pieces; a piece that was taken is the taker's.
 * OWNERSHIP  s3_ahead_open / s3_ahead_close, which waits for requests that are under
 *            way, about a second at most. The storage is borrowed.
 * THREADS    The calls: one at a time. It has threads of its own, each with a client.
 * ERRORS     None: fewer connections, or none.
 */
#ifndef S3_AHEAD_H
#define S3_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "src/storage/s3_storage.h"

#define S3_AHEAD_ROOM  (32u << 20)
#define S3_AHEAD_PIECE (8u << 20) /* at most, of a file */

struct s3_ahead;

/* With `connections` at most, 1 or more. NULL: it cannot be had. */
struct s3_ahead *s3_ahead_open(struct s3_storage *storage, int connections);
void s3_ahead_close(struct s3_ahead *ahead); /* takes NULL */

/* These files come next, in this order; what was said before counts no more. Of one
 * with more than `most` bytes nothing is fetched. The files are copied. */
void s3_ahead_expect(struct s3_ahead *ahead, const struct archive_file *const *files,
		     size_t count, uint64_t most);

/* The piece of `file` that begins at `offset`, waited for if it is under way; the
 * caller frees it. NULL: the caller fetches it, `*len` bytes. */
uint8_t *s3_ahead_take(struct s3_ahead *ahead, const struct archive_file *file,
		       uint64_t offset, size_t *len);

#endif

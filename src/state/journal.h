/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal.h -- captured transactions on disk, from S on.
 *
 * Page images lie in slots of the spool (DIR/frames, src/history/spool.h), where
 * capture reads them into and decoding reads them from: they are written once. A record
 * says which slots a transaction has, with a hash of each image, and is chained to the
 * one before by its checksum; src/state/journal_record.h draws it. Records lie in
 * segments, DIR/log-LSN, named by the LSN after which they begin (16 hexadecimal
 * digits).
 *
 * A record also says up to which LSN the journal was synced when it was written. What
 * was written since the last sync, a power cut may have stored in any order: a record
 * that is right behind one that is not proves nothing. So where a checksum or an image
 * is not right, or a segment is missing, the journal ends, unless a later record says
 * that more had been synced. That, and anything else that is wrong, is damage. (Damage
 * that only the last sync covers shows as an end before the position.)
 *
 * OWNERSHIP  journal_open / journal_close; spool and folder are borrowed.
 * THREADS    append: the capture thread. sync: one other thread, at the same time.
 *            trim: the decoding thread. merge: a third one.
 * ERRORS     ST_IO (sys_errno ENOSPC: the disk is full, nothing was appended).
 *            ST_DAMAGED names the file.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/spool.h"
#include "src/state/journal_merge.h"
#include "src/state/journal_reader.h"
#include "src/state/journal_record.h"

struct journal;

/*
 * Open the journal in `dir_fd` and give every record after start->lsn, in order, to
 * `replay` (its slots are marked as used in the spool); a tail that was being written
 * is cut off. A new journal has no segments. `replay` may free the slots; when it
 * fails, its status is returned. What was replayed is durable when open returns.
 */
enum status
journal_open(int dir_fd, uint32_t page_size, struct spool *spool,
	     const struct journal_start *start,
	     enum status (*replay)(void *context, const struct journal_found *found,
				   struct error *err),
	     void *context, struct journal **out, struct error *err) MUST_CHECK;
void journal_close(struct journal *journal); /* takes NULL */

/*
 * Append one record; the images are in their slots. `*chain` is the checksum after it.
 * Survives kill -9 when it returns, a power cut after journal_sync.
 */
enum status journal_append(struct journal *journal, const struct journal_record *record,
			   uint64_t *chain, struct error *err) MUST_CHECK;

/* Everything appended before the call is durable when it returns: images, then
 * records. After a failure it always fails: no later fsync would report what was lost.
 */
enum status journal_sync(struct journal *journal, struct error *err) MUST_CHECK;

/* The base is durable up to `lsn`: remove segments that hold nothing later. The
 * caller frees the slots. */
enum status journal_trim(struct journal *journal, uint64_t lsn,
			 struct error *err) MUST_CHECK;

/*
 * Put one record in place of all in the whole segments that begin at `from_lsn` or
 * later and end at `end_lsn` or before; all of that is durable, and the caller has each
 * of these transactions. ST_END: there are fewer than two such segments, not counting
 * the last one. The caller frees the slots, and after ST_OK calls journal_merge_clear.
 * THREAD: any one, while nobody trims at or after `from_lsn`.
 */
enum status journal_merge(struct journal *journal, uint64_t from_lsn, uint64_t end_lsn,
			  struct journal_merge *out, struct error *err) MUST_CHECK;
/* A segment ends when it speaks of so many bytes of images, or earlier. */
void journal_limit_segments(struct journal *journal, uint64_t image_bytes);

/* Bytes of records on disk, without images. */
uint64_t journal_bytes(const struct journal *journal);

#endif

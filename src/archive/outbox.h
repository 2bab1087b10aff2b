/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/outbox.h -- STATE/archive: files that wait to be put into the archive.
 *
 *     new                     a file that is being written
 *     ltx/LEVEL/MIN-MAX.ltx   finished and synced, in the layout of an archive
 *     TXID-PAGESIZE.done      acknowledged up to there; mtime: of that state
 *     writer                  32 hex digits: who writes it, src/archive/owner.h
 *     rebuilt                 16 hex digits: an LSN at which the copy of the
 *                             database was made anew with other pages
 *     error                   why the archive takes no files; for people
 *
 * While the archive takes no files they are merged, so that at most the size of the
 * database and a quarter waits; the newest stay as they are as long as they are small.
 *
 * So a run can go on while the archive is out of reach: what it has is known from what
 * it acknowledged. A file is removed only when the mark behind it is on the disk.
 *
 * OWNERSHIP  outbox_open / outbox_close; the folder's descriptor is borrowed.
 * THREADS    Any; one writes `new` at a time, one reads, ends and bounds.
 * ERRORS     ST_IO (error_is_full: may pass), ST_CONFIG: the folder is not ours alone,
 *            ST_NOMEM.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/last_error.h"
#include "src/storage/storage.h"

#define OUTBOX_FOLDER       "archive"
#define OUTBOX_WRITER_FILE  "writer" /* in it: 32 hex digits */
#define OUTBOX_WRITER_BYTES 33       /* with the NUL */

struct outbox;

/* What it has. */
struct outbox_content {
	size_t count;         /* files that wait */
	uint64_t bytes;       /* of them */
	uint64_t min_txid;    /* of the first; 0: none waits */
	uint64_t max_txid;    /* of the last; 0: none waits */
	uint64_t done_txid;   /* acknowledged; 0: nothing yet */
	int64_t time_ns;      /* of the last file, or of what was acknowledged */
	uint32_t page_size;   /* the same; 0: none */
	bool is_rebuilt;      /* the copy was made anew, and at */
	uint64_t rebuilt_lsn; /* this LSN: what comes leads on from no file up to it */
};

/* Of a state directory that is in use; made where there is none. */
enum status outbox_open(int state_fd, const char *state_path, struct outbox **out,
			struct error *err) MUST_CHECK;
void outbox_close(struct outbox *outbox); /* takes NULL */

const char *outbox_writer(const struct outbox *outbox);
void outbox_look(struct outbox *outbox, struct outbox_content *content);
/* The same of a directory that another process may use; nothing is changed. `away`: as
 * outbox_away, else its time is empty. False: it has none. */
bool outbox_peek(int state_fd, struct outbox_content *content, struct last_error *away);

/* The archive takes no files: the first time and reason stay until it does, also over
 * runs. */
void outbox_away(struct outbox *outbox, const char *why);
void outbox_back(struct outbox *outbox);

/* A new file to be written: `*path` is for messages, borrowed. One that was left is
 * removed. */
enum status outbox_create(struct outbox *outbox, int *fd, const char **path,
			  struct error *err) MUST_CHECK;
/* What outbox_create made is that file: whole and synced when it returns. */
enum status outbox_keep(struct outbox *outbox, const struct archive_file *file, int fd,
			uint32_t page_size, struct error *err) MUST_CHECK;

/* The one that the archive gets next; false: none waits. */
bool outbox_first(struct outbox *outbox, struct archive_file *file);
enum status outbox_read(struct outbox *outbox, const struct archive_file *file, int *fd,
			struct error *err) MUST_CHECK;
/* The archive has it: it is removed. */
enum status outbox_done(struct outbox *outbox, const struct archive_file *file,
			struct error *err) MUST_CHECK;

/* Merge what waits if it is more than that, and more than `least` bytes. ST_OK also if
 * there is nothing to do. Errors of src/archive/compaction.h; what waits is right then
 * as before. */
enum status outbox_bound(struct outbox *outbox, uint64_t least,
			 bool (*stops)(void *context), void *context,
			 struct error *err) MUST_CHECK;

/* The copy of the database, as of `lsn`, will be made anew; durable when it returns.
 * Until the next outbox_keep outbox_look says so, also to later runs. Without a folder
 * ST_OK. */
enum status outbox_note_rebuilt(int state_fd, const char *state_path, uint64_t lsn,
				struct error *err) MUST_CHECK;

/* Nothing waits any more, and nothing was acknowledged. */
enum status outbox_drop(struct outbox *outbox, struct error *err) MUST_CHECK;

#endif

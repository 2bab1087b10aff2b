/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_file.h -- the files of the journal: DIR/log-LSN.
 *
 * OWNERSHIP  The table and the descriptors in it: journal_files_clear. Folder and its
 *            name are borrowed.
 * THREADS    No locks: the table is the caller's to guard.
 * ERRORS     Calls on a descriptor return 0 or errno. ST_IO names the file.
 */
#ifndef JOURNAL_FILE_H
#define JOURNAL_FILE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/status.h"
#include "src/state/journal_record.h"

#define JOURNAL_NEW_NAME    "log.new" /* of a merge, until it is complete */
#define JOURNAL_NAME_FORMAT "log-%016" PRIx64

/* A file of the journal. The last one is appended to. */
struct journal_segment {
	uint64_t start_lsn;
	uint64_t start_chain;
	uint64_t length;         /* bytes up to the end of the last record */
	uint64_t syncing_length; /* the same when the last sync began */
	uint64_t durable_length; /* and when the last one that succeeded did; 0: none */
	uint64_t image_bytes;    /* of what was appended in this run */
	int fd;                  /* -1: it is synced and not the last */
	bool is_unsynced;
	bool is_syncing; /* the syncing thread has fd outside of the lock */
};

struct journal_files {
	int dir_fd;
	const char *folder; /* for messages */
	uint32_t page_size;
	struct journal_segment *segments; /* by LSN ascending */
	size_t total;
	size_t cap;
};

#define JOURNAL_NAME_BYTES 21 /* "log-", 16 digits, NUL */
void journal_file_name(char name[JOURNAL_NAME_BYTES], uint64_t start_lsn);

/* Make the table from what the folder has; nothing is opened. */
enum status journal_files_list(struct journal_files *files,
			       struct error *err) MUST_CHECK;
void journal_files_clear(struct journal_files *files);
/* Room in the table for one more; false: no memory. */
bool journal_files_room(struct journal_files *files) MUST_CHECK;
/* Remove the segments from `from` up to `end`, also from the table. */
enum status journal_files_drop(struct journal_files *files, size_t from, size_t end,
			       struct error *err) MUST_CHECK;
/* Names of files are durable when it returns. */
enum status journal_files_sync(const struct journal_files *files,
			       struct error *err) MUST_CHECK;

/* Make a file with a header. One that is there was left by an append that failed, and
 * is replaced. */
enum status journal_file_create(const struct journal_files *files,
				const struct journal_header *header, int *fd,
				struct error *err) MUST_CHECK;
/* Read all of it, at most what it had when it was opened. ST_DAMAGED: there is none. */
enum status journal_file_load(const struct journal_files *files, uint64_t start_lsn,
			      struct buffer *bytes, struct error *err) MUST_CHECK;
/* The descriptor, for writing; -1: errno. */
int journal_file_open(const struct journal_files *files, uint64_t start_lsn);
/* No error if there is none. */
enum status journal_file_remove(const struct journal_files *files, uint64_t start_lsn,
				struct error *err) MUST_CHECK;
/* Make DIR/log.new, empty; -1: errno. */
int journal_file_create_new(const struct journal_files *files);
void journal_file_remove_new(const struct journal_files *files);
/* DIR/log.new becomes the segment that begins at `start_lsn`, in place of the one that
 * is there; durable when it returns. */
enum status journal_file_put_new(const struct journal_files *files, uint64_t start_lsn,
				 struct error *err) MUST_CHECK;
void journal_segment_close(struct journal_segment *segment);

/* All of it, or an error. */
int journal_file_write(int fd, const void *bytes, size_t len, uint64_t offset);
int journal_file_sync(int fd);
int journal_file_cut(int fd, uint64_t length);

/* "cannot <verb> DIR/log-LSN: ..." */
enum status journal_file_error(const struct journal_files *files, const char *verb,
			       uint64_t start_lsn, int sys_errno, struct error *err);
/* "DIR/log-LSN is damaged at byte ...: move the state directory away ..." */
enum status journal_file_damaged(const struct journal_files *files, uint64_t start_lsn,
				 uint64_t offset, const char *why, struct error *err);
enum status journal_no_memory(struct error *err);

#endif

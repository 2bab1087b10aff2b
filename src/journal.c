/* SPDX-License-Identifier: Apache-2.0 */
#include "src/journal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buffer.h"
#include "src/base/log.h"
#include "src/journal_record.h"

#define SEGMENT_BYTES (16u << 20) /* a segment that has more is not appended to */
#define TRIM_BYTES    (1u << 20)  /* the same, where a trim waits for its end */
#define SCAN_BYTES    (64u << 10)
#define NAME_BYTES    21 /* "log-", 16 digits, NUL */

#define HEAL "move the state directory away and start again (a new snapshot)"

/* A file of the journal. The last one is appended to. */
struct segment {
	uint64_t start_lsn;
	uint64_t length; /* bytes up to the end of the last record */
	int fd;          /* -1: it is synced and not the last */
	bool is_unsynced;
	bool is_syncing; /* the syncing thread has fd outside of the lock */
};

struct journal {
	int dir_fd;
	uint32_t page_size;
	struct spool *spool;

	/* Of the appending thread: the last record, and the next one under way. */
	uint64_t lsn;
	uint64_t chain;
	struct buffer bytes;
	bool is_ragged; /* a piece of one that failed may stand behind the last */

	/* Of the syncing thread. What one failed fsync lost, no later one reports. */
	int sync_errno;

	pthread_mutex_t lock; /* everything below; never held during a system call
				 that may take long */
	struct segment *segments;
	size_t segment_total;
	size_t segment_cap;
	uint64_t written_lsn; /* of the last record */
	uint64_t durable_lsn;
	uint64_t trimmed_lsn;
	bool folder_unsynced;
};

static void segment_name(char name[NAME_BYTES], uint64_t start_lsn)
{
	(void)snprintf(name, NAME_BYTES, "log-%016" PRIx64, start_lsn);
}

static enum status no_memory(struct error *err)
{
	return error_set(err, ST_NOMEM, "out of memory for the journal");
}

/* What could not be done with the file of a segment. */
static enum status file_error(const struct journal *journal, const char *verb,
			      uint64_t start_lsn, int sys_errno, struct error *err)
{
	return error_set_errno(err, sys_errno, "cannot %s %s/log-%016" PRIx64, verb,
			       spool_folder(journal->spool), start_lsn);
}

/* 0, or errno. */
static int write_all(int fd, const void *bytes, size_t len, uint64_t offset)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t done = pwrite(fd, at, len, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done <= 0) {
			return done < 0 ? errno : EIO;
		}
		at += done;
		len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* 0, or errno; EIO when the file ends before. */
static int read_all(int fd, void *bytes, size_t len, uint64_t offset)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t done = pread(fd, at, len, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done <= 0) {
			return done < 0 ? errno : EIO;
		}
		at += done;
		len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int sync_file(int fd)
{
	while (fdatasync(fd) < 0) {
		if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

static enum status sync_folder(const struct journal *journal, struct error *err)
{
	while (fsync(journal->dir_fd) < 0) {
		if (errno != EINTR) {
			return error_set_errno(err, errno, "cannot sync the folder %s",
					       spool_folder(journal->spool));
		}
	}
	return ST_OK;
}

static int cut_file(int fd, uint64_t length)
{
	while (ftruncate(fd, (off_t)length) < 0) {
		if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

static enum status remove_file(const struct journal *journal, uint64_t start_lsn,
			       struct error *err)
{
	char name[NAME_BYTES];

	segment_name(name, start_lsn);
	if (unlinkat(journal->dir_fd, name, 0) < 0 && errno != ENOENT) {
		return file_error(journal, "remove", start_lsn, errno, err);
	}
	return ST_OK;
}

/* --- segments ----------------------------------------------------------------------
 */

/* Room in the table for one more. With the lock, or before there is a second thread. */
static bool segment_room(struct journal *journal)
{
	size_t cap = journal->segment_cap ? 2 * journal->segment_cap : 16;
	struct segment *segments;

	if (journal->segment_total < journal->segment_cap) {
		return true;
	}
	segments = realloc(journal->segments, cap * sizeof *segments);
	if (!segments) {
		return false;
	}
	journal->segments = segments;
	journal->segment_cap = cap;
	return true;
}

static void close_segment(struct segment *segment)
{
	if (segment->fd >= 0) {
		(void)close(segment->fd);
		segment->fd = -1;
	}
}

/* A segment that is not the last. */
static void close_synced(struct segment *segment)
{
	if (!segment->is_unsynced && !segment->is_syncing) {
		close_segment(segment);
	}
}

/* A new file after the last record: what an append that failed left behind gives way.
 * -1, errno. */
static int create_file(const struct journal *journal)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	char name[NAME_BYTES];
	int fd;

	segment_name(name, journal->lsn);
	fd = openat(journal->dir_fd, name, flags, 0600);
	if (fd < 0 && errno == EEXIST && unlinkat(journal->dir_fd, name, 0) == 0) {
		fd = openat(journal->dir_fd, name, flags, 0600);
	}
	return fd;
}

static enum status create_segment(struct journal *journal, int *fd, struct error *err)
{
	const struct journal_header header = {
	    .page_size = journal->page_size,
	    .start_lsn = journal->lsn,
	    .start_chain = journal->chain,
	};
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct error ignored;
	int rc;

	*fd = create_file(journal);
	if (*fd < 0) {
		return file_error(journal, "create", journal->lsn, errno, err);
	}
	journal_header_put(bytes, &header);
	rc = write_all(*fd, bytes, sizeof bytes, 0);
	if (rc != 0) {
		(void)close(*fd);
		(void)!remove_file(journal, journal->lsn, &ignored);
		return file_error(journal, "write", journal->lsn, rc, err);
	}
	return ST_OK;
}

/* Append to a new segment from now on. */
static enum status add_segment(struct journal *journal, struct error *err)
{
	struct segment segment = {
	    .start_lsn = journal->lsn,
	    .length = JOURNAL_HEADER_BYTES,
	    .is_unsynced = true,
	};
	enum status status = create_segment(journal, &segment.fd, err);

	if (status != ST_OK) {
		return status;
	}
	(void)pthread_mutex_lock(&journal->lock);
	if (!segment_room(journal)) {
		(void)pthread_mutex_unlock(&journal->lock);
		(void)close(segment.fd);
		return no_memory(err); /* the file gives way to the next one */
	}
	if (journal->segment_total > 0) {
		close_synced(&journal->segments[journal->segment_total - 1]);
	}
	journal->segments[journal->segment_total++] = segment;
	journal->folder_unsynced = true;
	(void)pthread_mutex_unlock(&journal->lock);
	return ST_OK;
}

/* With the lock: does the next record begin a new segment? */
static bool is_full(const struct journal *journal)
{
	const struct segment *last;

	if (journal->segment_total == 0) {
		return true;
	}
	last = &journal->segments[journal->segment_total - 1];
	return last->length > SEGMENT_BYTES ||
	       (last->length > TRIM_BYTES && journal->trimmed_lsn > last->start_lsn);
}

/* --- appending ----------------------------------------------------------------------
 */

static void check_record(const struct journal *journal,
			 const struct journal_record *record)
{
	assert(record->lsn > journal->lsn);
	assert(record->page_total <= UINT32_MAX);
	for (size_t i = 0; i < record->page_total; i++) {
		uint32_t before = i > 0 ? record->pages[i - 1].page_no : 0;

		assert(record->pages[i].page_no > before);
		assert(record->pages[i].page_no <= record->page_count);
	}
}

/* As it is now; only the appending thread moves its end. */
static struct segment last_segment(struct journal *journal)
{
	struct segment last;

	(void)pthread_mutex_lock(&journal->lock);
	last = journal->segments[journal->segment_total - 1];
	(void)pthread_mutex_unlock(&journal->lock);
	return last;
}

/* Before there is a segment behind the last one: it ends with its last record. */
static enum status trim_ragged(struct journal *journal, struct error *err)
{
	struct segment last;
	int rc;

	if (!journal->is_ragged) {
		return ST_OK;
	}
	last = last_segment(journal);
	rc = cut_file(last.fd, last.length);
	if (rc != 0) {
		return file_error(journal, "cut", last.start_lsn, rc, err);
	}
	journal->is_ragged = false;
	return ST_OK;
}

/* Write what was built to the last segment: all of it, or the file is as before. */
static enum status write_record(struct journal *journal, struct error *err)
{
	struct segment last = last_segment(journal);
	int rc;

	rc = write_all(last.fd, journal->bytes.bytes, journal->bytes.len, last.length);
	if (rc != 0) {
		/* Should this fail too, the next record overwrites what is there. */
		journal->is_ragged = cut_file(last.fd, last.length) != 0;
		return file_error(journal, "write", last.start_lsn, rc, err);
	}
	return ST_OK;
}

enum status journal_append(struct journal *journal, const struct journal_record *record,
			   uint64_t *chain, struct error *err)
{
	enum status status = ST_OK;
	struct segment *last;
	uint64_t durable_lsn;
	uint64_t sum;
	bool full;

	check_record(journal, record);
	(void)pthread_mutex_lock(&journal->lock);
	durable_lsn = journal->durable_lsn;
	full = is_full(journal);
	(void)pthread_mutex_unlock(&journal->lock);
	if (!journal_record_put(&journal->bytes, record, durable_lsn, journal->chain,
				journal->spool, journal->page_size, &sum)) {
		return no_memory(err);
	}
	if (full) {
		status = trim_ragged(journal, err);
	}
	if (full && status == ST_OK) {
		status = add_segment(journal, err);
	}
	if (status == ST_OK) {
		status = write_record(journal, err);
	}
	if (status != ST_OK) {
		return status;
	}
	journal->lsn = record->lsn;
	journal->chain = sum;
	(void)pthread_mutex_lock(&journal->lock);
	last = &journal->segments[journal->segment_total - 1];
	last->length += journal->bytes.len;
	last->is_unsynced = true;
	journal->written_lsn = record->lsn;
	(void)pthread_mutex_unlock(&journal->lock);
	*chain = sum;
	return ST_OK;
}

uint64_t journal_bytes(const struct journal *journal)
{
	struct journal *any = (struct journal *)(uintptr_t)journal; /* for its mutex */
	uint64_t bytes = 0;

	(void)pthread_mutex_lock(&any->lock);
	for (size_t i = 0; i < any->segment_total; i++) {
		bytes += any->segments[i].length - JOURNAL_HEADER_BYTES;
	}
	(void)pthread_mutex_unlock(&any->lock);
	return bytes;
}

/* --- syncing and trimming -----------------------------------------------------------
 */

/* Take the first unsynced segment that begins at `from` or later. */
static bool take_unsynced(struct journal *journal, uint64_t from, struct segment *taken)
{
	bool found = false;

	(void)pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < journal->segment_total && !found; i++) {
		struct segment *segment = &journal->segments[i];

		if (segment->is_unsynced && segment->start_lsn >= from) {
			segment->is_unsynced = false; /* until the next append */
			segment->is_syncing = true;
			*taken = *segment;
			found = true;
		}
	}
	(void)pthread_mutex_unlock(&journal->lock);
	return found;
}

static void put_synced(struct journal *journal, uint64_t start_lsn)
{
	(void)pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < journal->segment_total; i++) {
		struct segment *segment = &journal->segments[i];

		if (segment->start_lsn != start_lsn) {
			continue;
		}
		segment->is_syncing = false;
		if (i + 1 < journal->segment_total) {
			close_synced(segment);
		}
	}
	(void)pthread_mutex_unlock(&journal->lock);
}

static enum status sync_segments(struct journal *journal, struct error *err)
{
	struct segment segment;
	uint64_t from = 0;

	while (take_unsynced(journal, from, &segment)) {
		int rc = sync_file(segment.fd);

		put_synced(journal, segment.start_lsn);
		if (rc != 0) {
			return file_error(journal, "sync", segment.start_lsn, rc, err);
		}
		from = segment.start_lsn + 1;
	}
	return ST_OK;
}

enum status journal_sync(struct journal *journal, struct error *err)
{
	enum status status;
	uint64_t lsn;
	bool folder;
	bool is_done;

	if (journal->sync_errno != 0) {
		return error_set_errno(err, journal->sync_errno,
				       "an earlier sync of the journal in %s failed",
				       spool_folder(journal->spool));
	}
	(void)pthread_mutex_lock(&journal->lock);
	lsn = journal->written_lsn;
	folder = journal->folder_unsynced;
	journal->folder_unsynced = false;
	is_done = lsn == journal->durable_lsn && !folder;
	(void)pthread_mutex_unlock(&journal->lock);
	if (is_done) {
		return ST_OK;
	}
	status = spool_sync(journal->spool, err);
	if (status == ST_OK) {
		status = sync_segments(journal, err);
	}
	if (status == ST_OK && folder) {
		status = sync_folder(journal, err);
	}
	if (status != ST_OK) {
		journal->sync_errno = err->sys_errno;
		return status;
	}
	(void)pthread_mutex_lock(&journal->lock);
	journal->durable_lsn = lsn;
	(void)pthread_mutex_unlock(&journal->lock);
	return ST_OK;
}

/* The first segment, if nothing in it is later than `lsn`. Others are appended behind
 * it meanwhile, but only trimming takes it away. */
static bool first_is_done(struct journal *journal, uint64_t lsn, uint64_t *start_lsn)
{
	const struct segment *segments;
	bool done;

	(void)pthread_mutex_lock(&journal->lock);
	if (journal->trimmed_lsn < lsn) {
		journal->trimmed_lsn = lsn;
	}
	segments = journal->segments;
	done = journal->segment_total > 1 && segments[1].start_lsn <= lsn &&
	       !segments[0].is_unsynced && !segments[0].is_syncing;
	*start_lsn = journal->segment_total > 0 ? segments[0].start_lsn : 0;
	(void)pthread_mutex_unlock(&journal->lock);
	return done;
}

enum status journal_trim(struct journal *journal, uint64_t lsn, struct error *err)
{
	uint64_t start_lsn;

	while (first_is_done(journal, lsn, &start_lsn)) {
		enum status status = remove_file(journal, start_lsn, err);

		if (status != ST_OK) {
			return status;
		}
		(void)pthread_mutex_lock(&journal->lock);
		close_segment(&journal->segments[0]);
		journal->segment_total--;
		memmove(journal->segments, journal->segments + 1,
			journal->segment_total * sizeof *journal->segments);
		(void)pthread_mutex_unlock(&journal->lock);
	}
	return ST_OK;
}

/* --- opening ------------------------------------------------------------------------
 */

/* The journal as it is read, from S on. */
struct reader {
	struct journal *journal;
	const struct journal_start *start;
	enum status (*replay)(void *context, const struct journal_record *record,
			      uint64_t chain, struct error *err);
	void *context;

	uint64_t lsn; /* after the last record that is right */
	uint64_t chain;

	struct segment *segment; /* that is being read */
	uint64_t offset;         /* there, of the next record */
	uint64_t size;           /* of its file */
	const char *torn; /* why what stands at offset is not right; NULL: it is */

	struct buffer bytes; /* a record */
	struct journal_page *pages;
	size_t page_cap;
};

/* What stands here may be what a power cut left: judge decides. */
static enum status torn(struct reader *reader, const char *why)
{
	reader->torn = why;
	return ST_END;
}

static enum status damaged(const struct reader *reader, const char *why,
			   struct error *err)
{
	return error_set(err, ST_DAMAGED,
			 "%s/log-%016" PRIx64 " is damaged at byte %" PRIu64
			 " (%s): " HEAL,
			 spool_folder(reader->journal->spool),
			 reader->segment->start_lsn, reader->offset, why);
}

static enum status read_error(const struct reader *reader, int rc, struct error *err)
{
	return file_error(reader->journal, "read", reader->segment->start_lsn, rc, err);
}

static enum status read_header(struct reader *reader, bool is_first, struct error *err)
{
	const struct journal_start *start = reader->start;
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_header header;
	int rc;

	if (reader->size < sizeof bytes) {
		return torn(reader, "its header is cut short");
	}
	rc = read_all(reader->segment->fd, bytes, sizeof bytes, 0);
	if (rc != 0) {
		return read_error(reader, rc, err);
	}
	if (!journal_header_get(bytes, &header)) {
		return torn(reader, "its header is not right");
	}
	if (header.page_size != reader->journal->page_size ||
	    header.start_lsn != reader->segment->start_lsn) {
		return damaged(reader, "its header is of another file", err);
	}
	if (is_first && header.start_lsn < start->lsn) {
		reader->lsn = header.start_lsn;
		reader->chain = header.start_chain;
	}
	if (is_first && header.start_lsn == start->lsn &&
	    header.start_chain != start->chain) {
		return damaged(reader, "it is not of this state directory", err);
	}
	if (header.start_lsn != reader->lsn || header.start_chain != reader->chain) {
		return torn(reader, "records before it are missing");
	}
	reader->offset = sizeof bytes;
	return ST_OK;
}

/* Read the record at `offset`, all of it, into reader->bytes. */
static enum status read_record(struct reader *reader, struct journal_head *head,
			       struct error *err)
{
	uint64_t left = reader->size - reader->offset;
	uint8_t bytes[JOURNAL_HEAD_BYTES];
	int rc;

	if (left < sizeof bytes) {
		return torn(reader, "a record is cut short");
	}
	rc = read_all(reader->segment->fd, bytes, sizeof bytes, reader->offset);
	if (rc != 0) {
		return read_error(reader, rc, err);
	}
	if (!journal_head_get(bytes, head)) {
		return torn(reader, "a record is not right");
	}
	if (head->length != journal_head_length(head)) {
		return damaged(reader, "a record has another length", err);
	}
	if (head->length > left) {
		return torn(reader, "a record is cut short");
	}
	buffer_reset(&reader->bytes);
	if (!buffer_reserve(&reader->bytes, head->length)) {
		return no_memory(err);
	}
	rc = read_all(reader->segment->fd, reader->bytes.bytes, head->length,
		      reader->offset);
	return rc == 0 ? ST_OK : read_error(reader, rc, err);
}

static enum status check_head(const struct reader *reader,
			      const struct journal_head *head, struct error *err)
{
	if (head->chain_before != reader->chain) {
		return damaged(reader, "a record does not follow the one before", err);
	}
	if (head->record.lsn <= reader->lsn) {
		return damaged(reader, "a record is older than the one before", err);
	}
	if (head->record.kind != JOURNAL_COMMIT &&
	    head->record.kind != JOURNAL_CATCH_UP) {
		return damaged(reader, "a record is of an unknown kind", err);
	}
	return ST_OK;
}

/* Room for the pages of a record. */
static bool page_room(struct reader *reader, size_t total)
{
	struct journal_page *pages;

	if (total <= reader->page_cap) {
		return true;
	}
	pages = realloc(reader->pages, total * sizeof *pages);
	if (!pages) {
		return false;
	}
	reader->pages = pages;
	reader->page_cap = total;
	return true;
}

static enum status take_pages(struct reader *reader, struct journal_record *record,
			      struct error *err)
{
	const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
	uint32_t before = 0;

	if (!page_room(reader, record->page_total)) {
		return no_memory(err);
	}
	for (size_t i = 0; i < record->page_total; i++) {
		struct journal_page page = journal_entry_get(bytes, i).page;

		if (page.page_no <= before || page.page_no > record->page_count) {
			return damaged(reader, "a record has pages in disorder", err);
		}
		before = page.page_no;
		reader->pages[i] = page;
	}
	record->pages = reader->pages;
	return ST_OK;
}

static void unclaim(const struct reader *reader, size_t total)
{
	for (size_t i = 0; i < total; i++) {
		spool_free(reader->journal->spool, &reader->pages[i].slot, 1);
	}
}

/* Mark the slots of a record as used, if what they have is what was recorded. */
static enum status claim_images(struct reader *reader,
				const struct journal_record *record, struct error *err)
{
	const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
	struct spool *spool = reader->journal->spool;

	for (size_t i = 0; i < record->page_total; i++) {
		struct journal_entry entry = journal_entry_get(bytes, i);
		enum status status = spool_claim(spool, entry.page.slot, err);

		if (status != ST_OK) {
			unclaim(reader, i);
			return status == ST_DAMAGED
				   ? torn(reader, "the slot of an image is not right")
				   : status;
		}
		if (journal_image_hash(entry.page.page_no,
				       spool_bytes(spool, entry.page.slot),
				       reader->journal->page_size) != entry.hash) {
			unclaim(reader, i + 1);
			return torn(reader, "an image is not right");
		}
	}
	return ST_OK;
}

static enum status replay_record(struct reader *reader, struct journal_record *record,
				 uint64_t chain, struct error *err)
{
	enum status status = take_pages(reader, record, err);

	if (status == ST_OK) {
		status = claim_images(reader, record, err);
	}
	return status == ST_OK ? reader->replay(reader->context, record, chain, err)
			       : status;
}

/* Past a record that is right: at S, the chain must be that of meta. */
static enum status step(struct reader *reader, const struct journal_head *head,
			uint64_t chain, struct error *err)
{
	const struct journal_start *start = reader->start;

	if (head->record.lsn >= start->lsn && reader->lsn < start->lsn &&
	    (head->record.lsn > start->lsn || chain != start->chain)) {
		return damaged(reader, "it is not of this state directory", err);
	}
	reader->lsn = head->record.lsn;
	reader->chain = chain;
	reader->offset += head->length;
	return ST_OK;
}

static enum status next_record(struct reader *reader, struct error *err)
{
	struct journal_head head;
	enum status status = read_record(reader, &head, err);
	uint64_t chain;

	if (status != ST_OK) {
		return status;
	}
	if (!journal_record_sum((const uint8_t *)reader->bytes.bytes, head.length,
				&chain)) {
		return torn(reader, "a record is not right");
	}
	status = check_head(reader, &head, err);
	if (status == ST_OK && reader->lsn >= reader->start->lsn) {
		status = replay_record(reader, &head.record, chain, err);
	}
	return status == ST_OK ? step(reader, &head, chain, err) : status;
}

static enum status open_segment(struct reader *reader, size_t index, struct error *err)
{
	struct journal *journal = reader->journal;
	struct segment *segment = &journal->segments[index];
	char name[NAME_BYTES];
	struct stat file;

	reader->segment = segment;
	reader->offset = 0;
	reader->size = 0;
	if (segment->fd < 0) {
		segment_name(name, segment->start_lsn);
		segment->fd =
		    openat(journal->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	if (segment->fd < 0 || fstat(segment->fd, &file) < 0) {
		return file_error(journal, "open", segment->start_lsn, errno, err);
	}
	if (!S_ISREG(file.st_mode)) {
		return damaged(reader, "it is no file", err);
	}
	reader->size = (uint64_t)file.st_size;
	return ST_OK;
}

/* ST_END: not all of it is right. */
static enum status read_segment(struct reader *reader, size_t index, bool is_first,
				struct error *err)
{
	enum status status = open_segment(reader, index, err);

	if (status == ST_OK) {
		status = read_header(reader, is_first, err);
	}
	while (status == ST_OK && reader->offset < reader->size) {
		status = next_record(reader, err);
	}
	if (status == ST_OK) {
		reader->segment->length = reader->size;
	}
	return status;
}

/* Does a record at or after `offset` say that one after `lsn` was durable? */
static enum status find_witness(struct reader *reader, uint64_t lsn, bool *found,
				struct error *err)
{
	uint64_t at = reader->offset;

	*found = false;
	buffer_reset(&reader->bytes);
	if (!buffer_reserve(&reader->bytes, SCAN_BYTES)) {
		return no_memory(err);
	}
	while (reader->size - at >= JOURNAL_HEAD_BYTES && !*found) {
		uint64_t left = (reader->size - at) & ~UINT64_C(7);
		size_t len = left < SCAN_BYTES ? (size_t)left : SCAN_BYTES;
		const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
		int rc = read_all(reader->segment->fd, reader->bytes.bytes, len, at);

		if (rc != 0) {
			return read_error(reader, rc, err);
		}
		for (size_t i = 0; i + JOURNAL_HEAD_BYTES <= len; i += 8) {
			struct journal_head head;

			*found |= journal_head_get(bytes + i, &head) &&
				  head.durable_lsn > lsn;
		}
		at += len - JOURNAL_HEAD_BYTES + 8;
	}
	return ST_OK;
}

/* Remove the segments from `from` up to `end`. */
static enum status drop_segments(struct journal *journal, size_t from, size_t end,
				 struct error *err)
{
	for (size_t i = from; i < end; i++) {
		enum status status =
		    remove_file(journal, journal->segments[i].start_lsn, err);

		if (status != ST_OK) {
			return status;
		}
		close_segment(&journal->segments[i]);
	}
	memmove(journal->segments + from, journal->segments + end,
		(journal->segment_total - end) * sizeof *journal->segments);
	journal->segment_total -= end - from;
	return ST_OK;
}

/* The journal ends at `offset` of segment `index`. */
static enum status cut(struct reader *reader, size_t index, uint64_t offset,
		       struct error *err)
{
	struct journal *journal = reader->journal;
	struct segment *segment = &journal->segments[index];
	int rc;

	log_debug("%s/log-%016" PRIx64 " ends at byte %" PRIu64 " of %" PRIu64
		  ": %s, and was not synced",
		  spool_folder(journal->spool), segment->start_lsn, offset,
		  reader->size, reader->torn);
	if (offset == 0) {
		return drop_segments(journal, index, journal->segment_total, err);
	}
	rc = cut_file(segment->fd, offset);
	if (rc != 0) {
		return file_error(journal, "cut", segment->start_lsn, rc, err);
	}
	segment->length = offset;
	return drop_segments(journal, index + 1, journal->segment_total, err);
}

/*
 * What is not right from here on may be what was under way when the power went: nothing
 * of it was durable, as far as any later record knows. Then the journal ends here.
 */
static enum status judge(struct reader *reader, size_t index, struct error *err)
{
	struct journal *journal = reader->journal;
	uint64_t lsn =
	    reader->lsn > reader->start->lsn ? reader->lsn : reader->start->lsn;
	const struct reader here = *reader;
	enum status status = ST_OK;
	bool found = false;

	for (size_t i = index; i < journal->segment_total && !found; i++) {
		if (i > index) {
			status = open_segment(reader, i, err);
		}
		if (status == ST_OK) {
			status = find_witness(reader, lsn, &found, err);
		}
		if (status != ST_OK) {
			return status;
		}
		if (i > index) {
			close_segment(reader->segment);
		}
	}
	reader->segment = here.segment;
	reader->offset = here.offset;
	reader->size = here.size;
	return found ? damaged(reader, here.torn, err)
		     : cut(reader, index, here.offset, err);
}

/* Read all segments from `first` on; those that stay are durable when it returns. */
static enum status read_segments(struct reader *reader, size_t first, struct error *err)
{
	struct journal *journal = reader->journal;

	for (size_t i = first; i < journal->segment_total; i++) {
		enum status status = read_segment(reader, i, i == first, err);
		struct segment *segment = &journal->segments[i];
		int rc;

		if (status == ST_END && reader->torn) {
			status = judge(reader, i, err);
		}
		if (status != ST_OK) {
			return status;
		}
		if (i == journal->segment_total) {
			break; /* it was cut off as a whole */
		}
		rc = sync_file(segment->fd);
		if (rc != 0) {
			return file_error(journal, "sync", segment->start_lsn, rc, err);
		}
		if (i + 1 < journal->segment_total) {
			close_segment(segment);
		}
	}
	return ST_OK;
}

/* The segment that has the record after `lsn`. */
static size_t find_first(const struct journal *journal, uint64_t lsn)
{
	size_t first = 0;

	while (first + 1 < journal->segment_total &&
	       journal->segments[first + 1].start_lsn <= lsn) {
		first++;
	}
	return first;
}

/* The last segment that stays is open, for the next append. */
static enum status open_last(struct reader *reader, struct error *err)
{
	size_t total = reader->journal->segment_total;

	if (total == 0 || reader->journal->segments[total - 1].fd >= 0) {
		return ST_OK;
	}
	return open_segment(reader, total - 1, err);
}

static enum status recover(struct reader *reader, struct error *err)
{
	struct journal *journal = reader->journal;
	const struct journal_start *start = reader->start;
	size_t first = find_first(journal, start->lsn);
	enum status status = read_segments(reader, first, err);

	if (status == ST_OK && reader->lsn < start->lsn) {
		/* Nothing in it is later than S. */
		reader->lsn = start->lsn;
		reader->chain = start->chain;
		first = journal->segment_total;
	}
	if (status == ST_OK) {
		status = drop_segments(journal, 0, first, err);
	}
	if (status == ST_OK) {
		status = open_last(reader, err);
	}
	if (status == ST_OK) {
		status = spool_sync(journal->spool, err);
	}
	if (status == ST_OK) {
		status = sync_folder(journal, err);
	}
	journal->lsn = reader->lsn;
	journal->chain = reader->chain;
	journal->written_lsn = reader->lsn;
	journal->durable_lsn = reader->lsn;
	journal->trimmed_lsn = start->lsn;
	return status;
}

/* The LSN in the name of a segment; false: it is none. */
static bool parse_name(const char *name, uint64_t *start_lsn)
{
	uint64_t lsn = 0;

	if (strlen(name) != NAME_BYTES - 1 || strncmp(name, "log-", 4) != 0) {
		return false;
	}
	for (const char *p = name + 4; *p; p++) {
		const char *digit = strchr("0123456789abcdef", *p);

		if (!digit) {
			return false;
		}
		lsn = lsn << 4 | (uint64_t)(digit - "0123456789abcdef");
	}
	*start_lsn = lsn;
	return true;
}

static int compare_segments(const void *a, const void *b)
{
	const struct segment *left = a;
	const struct segment *right = b;

	return (left->start_lsn > right->start_lsn) -
	       (left->start_lsn < right->start_lsn);
}

static enum status list_names(struct journal *journal, DIR *folder, struct error *err)
{
	const struct dirent *entry;
	uint64_t start_lsn;

	while (errno = 0, (entry = readdir(folder)) != NULL) {
		if (!parse_name(entry->d_name, &start_lsn)) {
			continue;
		}
		if (!segment_room(journal)) {
			return no_memory(err);
		}
		journal->segments[journal->segment_total++] =
		    (struct segment){.start_lsn = start_lsn, .fd = -1};
	}
	if (errno != 0) {
		return error_set_errno(err, errno, "cannot list %s",
				       spool_folder(journal->spool));
	}
	if (journal->segment_total > 1) {
		qsort(journal->segments, journal->segment_total,
		      sizeof *journal->segments, compare_segments);
	}
	return ST_OK;
}

static enum status list_segments(struct journal *journal, struct error *err)
{
	int fd = openat(journal->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	enum status status;

	if (!folder) {
		status = error_set_errno(err, errno, "cannot list %s",
					 spool_folder(journal->spool));
		if (fd >= 0) {
			(void)close(fd);
		}
		return status;
	}
	status = list_names(journal, folder, err);
	(void)closedir(folder);
	return status;
}

enum status journal_open(int dir_fd, uint32_t page_size, struct spool *spool,
			 const struct journal_start *start,
			 enum status (*replay)(void *context,
					       const struct journal_record *record,
					       uint64_t chain, struct error *err),
			 void *context, struct journal **out, struct error *err)
{
	struct journal *journal = calloc(1, sizeof *journal);
	struct reader reader = {.journal = journal,
				.start = start,
				.replay = replay,
				.context = context,
				.lsn = start->lsn,
				.chain = start->chain};
	enum status status;

	if (!journal) {
		return no_memory(err);
	}
	journal->dir_fd = dir_fd;
	journal->page_size = page_size;
	journal->spool = spool;
	buffer_init(&journal->bytes);
	(void)pthread_mutex_init(&journal->lock, NULL);
	buffer_init(&reader.bytes);
	status = list_segments(journal, err);
	if (status == ST_OK) {
		status = recover(&reader, err);
	}
	buffer_clear(&reader.bytes);
	free(reader.pages);
	if (status != ST_OK) {
		journal_close(journal);
		return status;
	}
	*out = journal;
	return ST_OK;
}

void journal_close(struct journal *journal)
{
	if (!journal) {
		return;
	}
	for (size_t i = 0; i < journal->segment_total; i++) {
		close_segment(&journal->segments[i]);
	}
	free(journal->segments);
	buffer_clear(&journal->bytes);
	(void)pthread_mutex_destroy(&journal->lock);
	free(journal);
}

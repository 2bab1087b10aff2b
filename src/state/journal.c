/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/buffer.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/state/journal_file.h"
#include "src/state/journal_merge.h"
#include "src/state/journal_reader.h"
#include "src/state/journal_record.h"

/* Tests have smaller ones. */
#ifndef LOG_FULL_BYTES
#define LOG_FULL_BYTES (16u << 20) /* a segment that has more is not appended to */
#define LOG_TRIM_BYTES (1u << 20)  /* the same, where a trim waits for its end */
#endif

struct journal {
	struct spool *spool;

	/* Of the appending thread: the last record, and the next one under way. */
	uint64_t lsn;
	uint64_t chain;
	struct buffer bytes;
	bool is_ragged; /* a piece of one that failed may stand behind the last */
	uint64_t segment_images; /* bytes of images that a segment speaks of */

	/* Of the syncing thread. What one failed fsync lost, no later one reports. */
	int sync_errno;

	/* Everything below; never held during a system call that may take long. */
	pthread_mutex_t lock;
	struct journal_files files; /* only the table changes */
	uint64_t written_lsn;       /* of the last record */
	uint64_t durable_lsn;
	uint64_t trimmed_lsn;
	bool folder_unsynced;
};

/* ---- segments ---- */

/* Close a segment that is synced and not the last. */
static void close_synced(struct journal_segment *segment)
{
	if (!segment->is_unsynced && !segment->is_syncing) {
		journal_segment_close(segment);
	}
}

/* Append to a new segment from now on. */
static enum status add_segment(struct journal *journal, struct error *err)
{
	struct journal_segment segment = {
	    .start_lsn = journal->lsn,
	    .start_chain = journal->chain,
	    .length = JOURNAL_HEADER_BYTES,
	    .is_unsynced = true,
	};
	const struct journal_header header = {
	    .page_size = journal->files.page_size,
	    .start_lsn = journal->lsn,
	    .start_chain = journal->chain,
	};
	struct journal_segment *last;
	enum status status =
	    journal_file_create(&journal->files, &header, &segment.fd, err);

	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("journal-segment-made");
	(void)pthread_mutex_lock(&journal->lock);
	if (!journal_files_room(&journal->files)) {
		(void)pthread_mutex_unlock(&journal->lock);
		(void)close(segment.fd);
		return journal_no_memory(err); /* the file gives way to the next one */
	}
	if (journal->files.total > 0) {
		last = &journal->files.segments[journal->files.total - 1];
		assert(last->start_lsn < segment.start_lsn);
		close_synced(last);
	}
	journal->files.segments[journal->files.total++] = segment;
	journal->folder_unsynced = true;
	(void)pthread_mutex_unlock(&journal->lock);
	return ST_OK;
}

/* With the lock: does the next record begin a new segment? */
static bool is_full(const struct journal *journal)
{
	const struct journal_segment *last;

	if (journal->files.total == 0) {
		return true;
	}
	last = &journal->files.segments[journal->files.total - 1];
	return last->length > LOG_FULL_BYTES ||
	       last->image_bytes >= journal->segment_images ||
	       (last->length > LOG_TRIM_BYTES &&
		journal->trimmed_lsn > last->start_lsn);
}

/* ---- appending ---- */

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

/* A copy of it as it is now; only the appending thread moves its end. */
static struct journal_segment last_segment(struct journal *journal)
{
	struct journal_segment last;

	(void)pthread_mutex_lock(&journal->lock);
	last = journal->files.segments[journal->files.total - 1];
	(void)pthread_mutex_unlock(&journal->lock);
	return last;
}

/* Before a segment is added behind it, the last one is cut at the end of its last
 * record. */
static enum status trim_ragged(struct journal *journal, struct error *err)
{
	struct journal_segment last;
	int rc;

	if (!journal->is_ragged) {
		return ST_OK;
	}
	last = last_segment(journal);
	rc = journal_file_cut(last.fd, last.length);
	if (rc != 0) {
		return journal_file_error(&journal->files, "cut", last.start_lsn, rc,
					  err);
	}
	journal->is_ragged = false;
	return ST_OK;
}

/* Write what was built to the last segment: all of it, or the file is as before. */
static enum status write_record(struct journal *journal, struct error *err)
{
	struct journal_segment last = last_segment(journal);
	int rc;

	FAULT_POINT("journal-before-record");
	rc = journal_file_write(last.fd, journal->bytes.bytes, journal->bytes.len,
				last.length);
	if (rc != 0) {
		/* Should this fail too, the next record overwrites what is there. */
		journal->is_ragged = journal_file_cut(last.fd, last.length) != 0;
		return journal_file_error(&journal->files, "write", last.start_lsn, rc,
					  err);
	}
	return ST_OK;
}

enum status journal_append(struct journal *journal, const struct journal_record *record,
			   uint64_t *chain, struct error *err)
{
	enum status status = ST_OK;
	struct journal_segment *last;
	uint64_t durable_lsn;
	uint64_t sum;
	bool full;

	check_record(journal, record);
	(void)pthread_mutex_lock(&journal->lock);
	assert(journal->durable_lsn <= journal->written_lsn);
	assert(journal->written_lsn == journal->lsn);
	durable_lsn = journal->durable_lsn;
	full = is_full(journal);
	(void)pthread_mutex_unlock(&journal->lock);
	if (!journal_record_put(&journal->bytes, record, durable_lsn, journal->chain,
				journal->spool, journal->files.page_size, &sum)) {
		return journal_no_memory(err);
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
	FAULT_POINT("journal-record");
	journal->lsn = record->lsn;
	journal->chain = sum;
	(void)pthread_mutex_lock(&journal->lock);
	last = &journal->files.segments[journal->files.total - 1];
	last->length += journal->bytes.len;
	last->image_bytes += (uint64_t)record->page_total * journal->files.page_size;
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
	for (size_t i = 0; i < any->files.total; i++) {
		bytes += any->files.segments[i].length - JOURNAL_HEADER_BYTES;
	}
	(void)pthread_mutex_unlock(&any->lock);
	return bytes;
}

/* ---- syncing and trimming ---- */

/* Take the first unsynced segment that begins at `from` or later. */
static bool take_unsynced(struct journal *journal, uint64_t from,
			  struct journal_segment *taken)
{
	bool found = false;

	(void)pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < journal->files.total && !found; i++) {
		struct journal_segment *segment = &journal->files.segments[i];

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
	for (size_t i = 0; i < journal->files.total; i++) {
		struct journal_segment *segment = &journal->files.segments[i];

		if (segment->start_lsn != start_lsn) {
			continue;
		}
		segment->is_syncing = false;
		if (i + 1 < journal->files.total) {
			close_synced(segment);
		}
	}
	(void)pthread_mutex_unlock(&journal->lock);
}

static enum status sync_segments(struct journal *journal, struct error *err)
{
	struct journal_segment segment;
	uint64_t from = 0;

	while (take_unsynced(journal, from, &segment)) {
		int rc = journal_file_sync(segment.fd);

		put_synced(journal, segment.start_lsn);
		if (rc != 0) {
			return journal_file_error(&journal->files, "sync",
						  segment.start_lsn, rc, err);
		}
		from = segment.start_lsn + 1;
	}
	return ST_OK;
}

enum status journal_sync(struct journal *journal, struct error *err)
{
	enum status status;
	int64_t begun_ns;
	uint64_t lsn;
	bool folder;
	bool is_done;

	if (journal->sync_errno != 0) {
		return error_set_errno(err, journal->sync_errno,
				       "an earlier sync of the journal in %s failed",
				       journal->files.folder);
	}
	(void)pthread_mutex_lock(&journal->lock);
	lsn = journal->written_lsn;
	folder = journal->folder_unsynced;
	journal->folder_unsynced = false;
	is_done = lsn == journal->durable_lsn && !folder;
	for (size_t i = 0; i < journal->files.total; i++) {
		journal->files.segments[i].syncing_length =
		    journal->files.segments[i].length;
	}
	(void)pthread_mutex_unlock(&journal->lock);
	if (is_done) {
		return ST_OK;
	}
	begun_ns = clock_mono_ns();
	FAULT_POINT("journal-before-sync");
	status = spool_sync(journal->spool, err);
	if (status == ST_OK) {
		FAULT_POINT("journal-images-synced");
		status = sync_segments(journal, err);
	}
	if (status == ST_OK && folder) {
		FAULT_POINT("journal-before-folder-sync");
		status = journal_files_sync(&journal->files, err);
	}
	if (status != ST_OK) {
		journal->sync_errno = err->sys_errno;
		return status;
	}
	metrics_took(METRIC_JOURNAL_SYNC_TIME, clock_mono_ns() - begun_ns);
	FAULT_POINT("journal-synced");
	(void)pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < journal->files.total; i++) {
		struct journal_segment *segment = &journal->files.segments[i];

		assert(segment->syncing_length <= segment->length);
		segment->durable_length = segment->syncing_length;
	}
	assert(journal->durable_lsn <= lsn && lsn <= journal->written_lsn);
	journal->durable_lsn = lsn;
	(void)pthread_mutex_unlock(&journal->lock);
	return ST_OK;
}

/* The first segment, if nothing in it is later than `lsn`. Others are appended behind
 * it meanwhile, but only trimming takes it away. */
static bool first_is_done(struct journal *journal, uint64_t lsn, uint64_t *start_lsn)
{
	const struct journal_segment *segments;
	bool done;

	(void)pthread_mutex_lock(&journal->lock);
	if (journal->trimmed_lsn < lsn) {
		journal->trimmed_lsn = lsn;
	}
	segments = journal->files.segments;
	done = journal->files.total > 1 && segments[1].start_lsn <= lsn &&
	       !segments[0].is_unsynced && !segments[0].is_syncing;
	*start_lsn = journal->files.total > 0 ? segments[0].start_lsn : 0;
	(void)pthread_mutex_unlock(&journal->lock);
	return done;
}

enum status journal_trim(struct journal *journal, uint64_t lsn, struct error *err)
{
	uint64_t start_lsn;

	while (first_is_done(journal, lsn, &start_lsn)) {
		enum status status;

		FAULT_POINT("journal-before-trim");
		status = journal_file_remove(&journal->files, start_lsn, err);
		if (status != ST_OK) {
			return status;
		}
		FAULT_POINT("journal-trimmed");
		(void)pthread_mutex_lock(&journal->lock);
		journal_segment_close(&journal->files.segments[0]);
		journal->files.total--;
		memmove(journal->files.segments, journal->files.segments + 1,
			journal->files.total * sizeof *journal->files.segments);
		(void)pthread_mutex_unlock(&journal->lock);
	}
	return ST_OK;
}

/* ---- merging ---- */

/* The segments that a merge takes: part->segments is to be freed. `*end_lsn` is where
 * they may end, then where they do. False: no memory. */
static bool pick_segments(struct journal *journal, uint64_t from_lsn,
			  struct journal_files *part, uint64_t *end_lsn)
{
	const uint64_t most_lsn = *end_lsn;
	const struct journal_segment *segments;
	size_t i = 0;

	(void)pthread_mutex_lock(&journal->lock);
	*part = journal->files;
	part->total = 0;
	part->segments = calloc(journal->files.total + 1, sizeof *part->segments);
	segments = journal->files.segments;
	while (i < journal->files.total && segments[i].start_lsn < from_lsn) {
		i++;
	}
	for (; part->segments && i + 1 < journal->files.total; i++) {
		if (segments[i].is_unsynced || segments[i].is_syncing ||
		    segments[i + 1].start_lsn > most_lsn) {
			break;
		}
		assert(segments[i + 1].start_lsn <= journal->durable_lsn);
		part->segments[part->total++] = segments[i];
		*end_lsn = segments[i + 1].start_lsn;
	}
	(void)pthread_mutex_unlock(&journal->lock);
	return part->segments != NULL;
}

/* In the table, the first of `total` segments from `start_lsn` on stands for all of
 * them. */
static void join_segments(struct journal *journal, uint64_t start_lsn, size_t total,
			  uint64_t length)
{
	struct journal_files *files = &journal->files;
	size_t i = 0;

	(void)pthread_mutex_lock(&journal->lock);
	while (i < files->total && files->segments[i].start_lsn != start_lsn) {
		i++;
	}
	assert(total > 0 && i < files->total && total <= files->total - i);
	for (size_t j = i; j < i + total; j++) {
		journal_segment_close(&files->segments[j]);
	}
	files->segments[i].length = length;
	files->segments[i].syncing_length = length;
	files->segments[i].durable_length = length;
	memmove(files->segments + i + 1, files->segments + i + total,
		(files->total - i - total) * sizeof *files->segments);
	files->total -= total - 1;
	(void)pthread_mutex_unlock(&journal->lock);
}

/* What was made of `part` takes its place. */
static enum status put_merged(struct journal *journal, const struct journal_files *part,
			      const struct journal_merge *merge, struct error *err)
{
	uint64_t start_lsn = part->segments[0].start_lsn;
	enum status status = journal_file_put_new(&journal->files, start_lsn, err);

	FAULT_POINT("merge-renamed");
	if (status == ST_OK) {
		join_segments(journal, start_lsn, part->total,
			      JOURNAL_HEADER_BYTES +
				  journal_merged_bytes(&merge->record));
	}
	for (size_t i = 1; status == ST_OK && i < part->total; i++) {
		status = journal_file_remove(&journal->files,
					     part->segments[i].start_lsn, err);
		FAULT_POINT("merge-removed");
	}
	return status;
}

enum status journal_merge(struct journal *journal, uint64_t from_lsn, uint64_t end_lsn,
			  struct journal_merge *out, struct error *err)
{
	struct journal_files part;
	enum status status;

	if (!pick_segments(journal, from_lsn, &part, &end_lsn)) {
		return journal_no_memory(err);
	}
	if (part.total < 2) {
		free(part.segments);
		return error_set(err, ST_END, "nothing to merge");
	}
	status = journal_merge_write(&part, end_lsn, out, err);
	FAULT_POINT("merge-synced");
	if (status == ST_OK) {
		status = put_merged(journal, &part, out, err);
		if (status != ST_OK) {
			journal_merge_clear(out);
		}
	}
	free(part.segments);
	return status;
}

void journal_limit_segments(struct journal *journal, uint64_t image_bytes)
{
	journal->segment_images = image_bytes;
}

/* Have the next record begin a segment: what an earlier run wrote is merged, or not, as
 * a whole. A last segment without records stays: the new one would have its name. */
static void end_last(struct journal_files *files)
{
	struct journal_segment *last;

	if (files->total == 0) {
		return;
	}
	last = &files->segments[files->total - 1];
	if (last->length > JOURNAL_HEADER_BYTES) {
		last->image_bytes = UINT64_MAX;
	}
}

/* A start reads the journal. */
struct replay {
	struct spool *spool;
	enum status (*call)(void *context, const struct journal_found *found,
			    struct error *err);
	void *context;
};

/* journal_read's visit: mark the slots of a record as used. */
static enum status claim(void *context, const struct journal_found *found,
			 struct error *err)
{
	const struct replay *replay = context;
	const struct journal_record *record = &found->record;

	for (size_t i = 0; i < record->page_total; i++) {
		enum status status =
		    spool_claim(replay->spool, record->pages[i].slot, err);

		if (status != ST_OK) {
			while (i > 0) {
				spool_free(replay->spool, &record->pages[--i].slot, 1);
			}
			return status;
		}
	}
	return replay->call(replay->context, found, err);
}

/* A segment that stays is durable when it returns; open if it is the last one. */
static enum status keep_segment(struct journal_files *files,
				struct journal_segment *segment, bool is_last,
				const char *torn, struct error *err)
{
	int rc;

	segment->fd = journal_file_open(files, segment->start_lsn);
	if (segment->fd < 0) {
		return journal_file_error(files, "open", segment->start_lsn, errno,
					  err);
	}
	if (is_last && torn) {
		log_debug("%s/" JOURNAL_NAME_FORMAT " ends at byte %" PRIu64
			  ": %s, and was not synced",
			  files->folder, segment->start_lsn, segment->length, torn);
		FAULT_POINT("journal-before-cut");
		rc = journal_file_cut(segment->fd, segment->length);
		if (rc != 0) {
			return journal_file_error(files, "cut", segment->start_lsn, rc,
						  err);
		}
		FAULT_POINT("journal-cut");
	}
	rc = journal_file_sync(segment->fd);
	if (rc != 0) {
		return journal_file_error(files, "sync", segment->start_lsn, rc, err);
	}
	segment->durable_length = segment->length;
	if (!is_last) {
		journal_segment_close(segment);
	}
	return ST_OK;
}

/* Remove the segments of which nothing counts. */
static enum status drop_rest(struct journal_files *files, struct error *err)
{
	const size_t total = files->total;
	enum status status = ST_OK;

	for (size_t i = total; status == ST_OK && i > 0; i--) {
		if (files->segments[i - 1].length == 0) {
			status = journal_files_drop(files, i - 1, i, err);
		}
	}
	return status == ST_OK && files->total < total ? journal_files_sync(files, err)
						       : status;
}

/* What was read is durable when this returns, and all that there is. What stands in
 * place of something is durable before that goes. */
static enum status keep_read(struct journal *journal, const char *torn,
			     struct error *err)
{
	struct journal_files *files = &journal->files;
	size_t last = files->total;
	enum status status = ST_OK;

	while (last > 0 && files->segments[last - 1].length == 0) {
		last--;
	}
	for (size_t i = 0; status == ST_OK && i < last; i++) {
		if (files->segments[i].length > 0) {
			status = keep_segment(files, &files->segments[i], i + 1 == last,
					      torn, err);
		}
	}
	FAULT_POINT("journal-read");
	if (status == ST_OK) {
		status = spool_sync(journal->spool, err);
	}
	if (status == ST_OK) {
		status = journal_files_sync(files, err);
	}
	return status == ST_OK ? drop_rest(files, err) : status;
}

/* Read the files, and set the journal to their end. */
static enum status read_files(struct journal *journal,
			      const struct journal_reading *how, struct error *err)
{
	struct journal_end end = {0};
	enum status status = journal_files_list(&journal->files, err);

	journal_file_remove_new(&journal->files); /* a merge was cut short */
	if (status == ST_OK) {
		status = journal_read(&journal->files, how, &end, err);
	}
	if (status == ST_OK) {
		status = keep_read(journal, end.torn, err);
	}
	end_last(&journal->files);
	journal->lsn = end.lsn;
	journal->chain = end.chain;
	journal->written_lsn = journal->lsn;
	journal->durable_lsn = journal->lsn;
	journal->trimmed_lsn = how->start.lsn;
	return status;
}

enum status journal_open(int dir_fd, uint32_t page_size, struct spool *spool,
			 const struct journal_start *start,
			 enum status (*replay)(void *context,
					       const struct journal_found *found,
					       struct error *err),
			 void *context, struct journal **out, struct error *err)
{
	struct replay claims = {spool, replay, context};
	const struct journal_reading how = {.start = *start,
					    .checks_images = true,
					    .visit = replay ? claim : NULL,
					    .context = &claims};
	struct journal *journal = calloc(1, sizeof *journal);
	enum status status;

	if (!journal) {
		return journal_no_memory(err);
	}
	journal->spool = spool;
	journal->files.dir_fd = dir_fd;
	journal->files.folder = spool_folder(spool);
	journal->files.page_size = page_size;
	journal->segment_images = UINT64_MAX;
	buffer_init(&journal->bytes);
	(void)pthread_mutex_init(&journal->lock, NULL);
	status = read_files(journal, &how, err);
	if (status != ST_OK) {
		journal_close(journal);
		return status;
	}
	*out = journal;
	return ST_OK;
}

/*
 * After a failed sync the kernel may show what it never wrote, and the next process
 * would take that for durable: the journal ends where the last good sync found its end.
 */
static void drop_undurable(struct journal *journal)
{
	struct journal_files *files = &journal->files;
	struct error ignored;

	for (size_t i = files->total; i > 0; i--) {
		struct journal_segment *segment = &files->segments[i - 1];

		if (segment->durable_length > 0) {
			if (segment->fd >= 0) { /* otherwise all of it is synced */
				(void)journal_file_cut(segment->fd,
						       segment->durable_length);
			}
			return;
		}
		(void)!journal_file_remove(files, segment->start_lsn, &ignored);
	}
}

void journal_close(struct journal *journal)
{
	if (!journal) {
		return;
	}
	if (journal->sync_errno != 0) {
		drop_undurable(journal);
	}
	journal_files_clear(&journal->files);
	buffer_clear(&journal->bytes);
	(void)pthread_mutex_destroy(&journal->lock);
	free(journal);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_scan.h"
#include "src/base/array.h"
#include "src/base/file_io.h"
#include "src/history/advice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 21 /* "log-", 16 digits, NUL */

struct segments {
	uint64_t *start_lsns; /* ascending */
	size_t total;
	size_t cap;
};

/* A segment in memory: as much of it as there was when it was opened. */
struct bytes {
	uint8_t *at;
	size_t len;
	uint64_t start_lsn;
};

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "the journal");
}

static enum status damaged(const struct journal_scan *scan, uint64_t start_lsn,
			   const char *why, struct error *err)
{
	return error_set(err, ST_DAMAGED,
			 "%s/log-%016" PRIx64 " is damaged (%s): " STATE_MOVE_AWAY,
			 scan->folder, start_lsn, why);
}

static enum status torn(struct journal_scan *scan, const char *why)
{
	scan->torn = why;
	return ST_END;
}

/* ---- segments ---- */

/* The LSN in the name of a segment; false: it is none. */
static bool parse_name(const char *name, uint64_t *start_lsn)
{
	char *end;

	if (strlen(name) != NAME_BYTES - 1 || strncmp(name, "log-", 4) != 0 ||
	    strspn(name + 4, "0123456789abcdef") != NAME_BYTES - 5) {
		return false;
	}
	*start_lsn = strtoull(name + 4, &end, 16);
	return true;
}

static int compare_lsns(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static enum status add_segment(struct segments *segments, uint64_t start_lsn,
			       struct error *err)
{
	if (!array_room(&segments->start_lsns, &segments->cap, segments->total + 1,
			sizeof *segments->start_lsns)) {
		return no_memory(err);
	}
	segments->start_lsns[segments->total++] = start_lsn;
	return ST_OK;
}

static enum status list_names(struct journal_scan *scan, DIR *names,
			      struct segments *segments, struct error *err)
{
	const struct dirent *entry;
	enum status status = ST_OK;

	while (status == ST_OK && (errno = 0, entry = readdir(names)) != NULL) {
		uint64_t start_lsn;
		struct stat file;

		if (parse_name(entry->d_name, &start_lsn) &&
		    fstatat(scan->dir_fd, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) ==
			0) {
			scan->disk_bytes += (uint64_t)file.st_blocks * 512;
			status = add_segment(segments, start_lsn, err);
		}
	}
	if (status == ST_OK && errno != 0) {
		return error_set_errno(err, errno, "%s cannot be listed", scan->folder);
	}
	return status;
}

static enum status list_segments(struct journal_scan *scan, struct segments *segments,
				 struct error *err)
{
	int fd = openat(scan->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	enum status status;

	if (!names) {
		status =
		    error_set_errno(err, errno, "%s cannot be listed", scan->folder);
		if (fd >= 0) {
			(void)close(fd);
		}
		return status;
	}
	status = list_names(scan, names, segments, err);
	(void)closedir(names);
	if (status == ST_OK && segments->total > 1) {
		qsort(segments->start_lsns, segments->total,
		      sizeof *segments->start_lsns, compare_lsns);
	}
	return status;
}

static enum status read_bytes(const struct journal_scan *scan, int fd,
			      struct bytes *bytes, struct error *err)
{
	struct stat file;
	ssize_t got;

	if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
		return damaged(scan, bytes->start_lsn, "it is no file", err);
	}
	free(bytes->at);
	bytes->len = (size_t)file.st_size;
	bytes->at = malloc(bytes->len + 1);
	if (!bytes->at) {
		return no_memory(err);
	}
	got = file_read_at(fd, bytes->at, bytes->len, 0);
	if (got < 0) {
		return error_set_errno(err, errno,
				       "%s/log-%016" PRIx64 " cannot be read",
				       scan->folder, bytes->start_lsn);
	}
	bytes->len = (size_t)got; /* less if it was cut meanwhile */
	return ST_OK;
}

static enum status load(const struct journal_scan *scan, uint64_t start_lsn,
			struct bytes *bytes, struct error *err)
{
	char name[NAME_BYTES];
	enum status status;
	int fd;

	bytes->start_lsn = start_lsn;
	(void)snprintf(name, sizeof name, "log-%016" PRIx64, start_lsn);
	fd = openat(scan->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		return damaged(scan, start_lsn, "it is missing", err);
	}
	if (fd < 0) {
		return error_set_errno(err, errno, "%s/%s cannot be opened",
				       scan->folder, name);
	}
	status = read_bytes(scan, fd, bytes, err);
	(void)close(fd);
	return status;
}

/* ---- records ---- */

static enum status check_header(struct journal_scan *scan, const struct bytes *bytes,
				bool is_first, struct error *err)
{
	struct journal_header header;

	if (bytes->len < JOURNAL_HEADER_BYTES ||
	    !journal_header_get(bytes->at, &header)) {
		return torn(scan, "its header is not right");
	}
	if (header.page_size != scan->page_size ||
	    header.start_lsn != bytes->start_lsn) {
		return damaged(scan, bytes->start_lsn, "its header is of another", err);
	}
	if (is_first && header.start_lsn <= scan->start.lsn) {
		scan->lsn = header.start_lsn;
		scan->chain = header.start_chain;
	}
	if (is_first && header.start_lsn == scan->start.lsn &&
	    header.start_chain != scan->start.chain) {
		return damaged(scan, bytes->start_lsn,
			       "it is not of this state directory", err);
	}
	if (header.start_lsn != scan->lsn || header.start_chain != scan->chain) {
		return torn(scan, "records before it are missing");
	}
	return ST_OK;
}

static enum status check_record(const struct journal_scan *scan,
				const struct bytes *bytes,
				const struct journal_head *head, struct error *err)
{
	if (head->chain_before != scan->chain || head->record.lsn <= scan->lsn) {
		return damaged(scan, bytes->start_lsn,
			       "a record does not follow the one before", err);
	}
	if (head->record.kind != JOURNAL_COMMIT &&
	    head->record.kind != JOURNAL_CATCH_UP &&
	    head->record.kind != JOURNAL_MERGED) {
		return damaged(scan, bytes->start_lsn, "a record is of an unknown kind",
			       err);
	}
	if (head->record.low_pages > head->record.page_count) {
		return damaged(scan, bytes->start_lsn,
			       "a record has sizes that do not fit", err);
	}
	return ST_OK;
}

/* Take the record at `*offset`. */
static enum status next_record(struct journal_scan *scan, const struct bytes *bytes,
			       size_t *offset, struct error *err)
{
	const uint8_t *at = bytes->at + *offset;
	size_t left = bytes->len - *offset;
	struct journal_head head;
	enum status status;
	uint64_t chain;

	if (left < JOURNAL_HEAD_BYTES) {
		return torn(scan, "a record is cut short");
	}
	if (!journal_head_get(at, &head)) {
		return torn(scan, "a record is not right");
	}
	if (head.length != journal_head_length(&head)) {
		return damaged(scan, bytes->start_lsn, "a record has another length",
			       err);
	}
	if (head.length > left) {
		return torn(scan, "a record is cut short");
	}
	if (!journal_record_sum(at, head.length, &chain)) {
		return torn(scan, "a record is not right");
	}
	journal_merged_get(at, &head.record);
	status = check_record(scan, bytes, &head, err);
	if (status == ST_OK && scan->lsn >= scan->start.lsn) {
		status = scan->visit(scan->context, &head, at, err);
		if (status == ST_END) {
			return torn(scan, "an image is not right");
		}
	} else if (status == ST_OK && head.record.lsn >= scan->start.lsn &&
		   (head.record.lsn > scan->start.lsn || chain != scan->start.chain)) {
		return damaged(scan, bytes->start_lsn,
			       "it is not of this state directory", err);
	}
	if (status == ST_OK) {
		scan->lsn = head.record.lsn;
		scan->chain = chain;
		*offset += head.length;
	}
	return status;
}

/* ST_END: not all of it is right; `*offset` is where. */
static enum status read_segment(struct journal_scan *scan, const struct bytes *bytes,
				bool is_first, size_t *offset, struct error *err)
{
	enum status status = check_header(scan, bytes, is_first, err);

	*offset = 0;
	if (status == ST_OK) {
		*offset = JOURNAL_HEADER_BYTES;
	}
	while (status == ST_OK && *offset < bytes->len) {
		status = next_record(scan, bytes, offset, err);
	}
	return status;
}

/* Does a record at or after `offset` say that one after `lsn` was durable? */
static bool has_witness(const struct bytes *bytes, size_t offset, uint64_t lsn)
{
	struct journal_head head;

	for (size_t at = offset; at + JOURNAL_HEAD_BYTES <= bytes->len; at += 8) {
		if (journal_head_get(bytes->at + at, &head) && head.durable_lsn > lsn) {
			return true;
		}
	}
	return false;
}

/* What is not right is the end, unless it had been synced (src/state/journal.h). */
static enum status judge(const struct journal_scan *scan,
			 const struct segments *segments, size_t index,
			 struct bytes *bytes, size_t offset, struct error *err)
{
	uint64_t lsn = scan->lsn > scan->start.lsn ? scan->lsn : scan->start.lsn;
	uint64_t start_lsn = bytes->start_lsn;
	bool found = has_witness(bytes, offset, lsn);

	for (size_t i = index + 1; i < segments->total && !found; i++) {
		enum status status = load(scan, segments->start_lsns[i], bytes, err);

		if (status != ST_OK) {
			return status;
		}
		found = has_witness(bytes, 0, lsn);
	}
	return found ? damaged(scan, start_lsn, scan->torn, err) : ST_OK;
}

static enum status read_segments(struct journal_scan *scan,
				 const struct segments *segments, struct error *err)
{
	struct bytes bytes = {0};
	enum status status = ST_OK;
	size_t first = 0;
	size_t offset = 0;

	while (first + 1 < segments->total &&
	       segments->start_lsns[first + 1] <= scan->start.lsn) {
		first++;
	}
	for (size_t i = first; i < segments->total && status == ST_OK; i++) {
		if (i > first && segments->start_lsns[i] < scan->lsn) {
			continue; /* a merged record stands in its place */
		}
		status = load(scan, segments->start_lsns[i], &bytes, err);
		if (status == ST_OK) {
			status = read_segment(scan, &bytes, i == first, &offset, err);
		}
		if (status == ST_END) {
			status = judge(scan, segments, i, &bytes, offset, err);
			break;
		}
	}
	free(bytes.at);
	return status;
}

enum status journal_scan(struct journal_scan *scan, struct error *err)
{
	struct segments segments = {0};
	enum status status;

	scan->lsn = scan->start.lsn;
	scan->chain = scan->start.chain;
	scan->disk_bytes = 0;
	scan->torn = NULL;
	status = list_segments(scan, &segments, err);
	if (status == ST_OK) {
		status = read_segments(scan, &segments, err);
	}
	if (scan->lsn < scan->start.lsn) {
		scan->lsn = scan->start.lsn; /* nothing in it is later than S */
		scan->chain = scan->start.chain;
	}
	free(segments.start_lsns);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/fault.h"
#include "src/base/fields.h"
#include "src/base/file_io.h"

#define NEW_FILE STATE_SNAPSHOTS_FILE ".new"

#define MAGIC_STATE UINT32_C(0x53535452) /* "RTSS" */
#define MAGIC_BEGUN UINT32_C(0x42535452) /* "RTSB": no text */
#define HEAD_BYTES  24
#define SUM_BYTES   8
#define TEXT_MAX    (64u << 20)
#define TIDY_BYTES  (1 << 20) /* a longer file is written anew, once half can go */

struct snapshot_file {
	pthread_mutex_t lock; /* of fd and what a sync changes */
	int dir_fd;
	int fd;         /* -1: there is none yet */
	off_t length;   /* of the records that are right */
	bool has_later; /* records of what may be done again, the last */
	struct snapshot_moment later_state; /* ... state of them being this one */
	off_t tidy_at;                      /* length at which it is written anew */
	bool is_synced;                     /* all of it */
	int sync_errno;                     /* see src/state/state_dir.c */
};

/* A record as it stands in the file. */
struct record {
	bool is_state;
	struct snapshot_moment at;
	off_t from;
	size_t text_len;
};

static enum status file_error(const char *what, struct error *err)
{
	return error_set_errno(err, errno, STATE_SNAPSHOTS_FILE " cannot be %s", what);
}

static off_t end_of(const struct record *record)
{
	return record->from + HEAD_BYTES + (off_t)record->text_len + SUM_BYTES;
}

static bool is_after(struct snapshot_moment a, struct snapshot_moment b)
{
	return a.lsn > b.lsn || a.chunks > b.chunks;
}

enum status snapshot_file_open(int dir_fd, struct snapshot_file **out,
			       struct error *err)
{
	struct snapshot_file *file = malloc(sizeof *file);

	if (!file) {
		return error_no_memory(err, STATE_SNAPSHOTS_FILE);
	}
	*file = (struct snapshot_file){
	    .dir_fd = dir_fd, .tidy_at = TIDY_BYTES, .is_synced = true};
	(void)pthread_mutex_init(&file->lock, NULL);
	file->fd = openat(dir_fd, STATE_SNAPSHOTS_FILE,
			  O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file->fd < 0 && errno != ENOENT) {
		free(file);
		return file_error("opened", err);
	}
	*out = file;
	return ST_OK;
}

void snapshot_file_close(struct snapshot_file *file)
{
	if (file && file->fd >= 0) {
		(void)close(file->fd);
	}
	free(file);
}

/* ---- reading ---- */

/* The record at `from`, its bytes into `bytes`. ST_END: none that is right. */
static enum status read_record(const struct snapshot_file *file, off_t from, off_t size,
			       struct buffer *bytes, struct record *out,
			       struct error *err)
{
	uint8_t head[HEAD_BYTES];
	struct field_reader r = field_reader(head, sizeof head);
	uint32_t magic, text_len;
	size_t len;

	if (size - from < HEAD_BYTES + SUM_BYTES ||
	    !file_read_exactly(file->fd, head, sizeof head, from)) {
		return ST_END;
	}
	magic = get_field_u32(&r);
	text_len = get_field_u32(&r);
	out->at.lsn = get_field_u64(&r);
	out->at.chunks = get_field_u64(&r);
	out->from = from;
	out->text_len = text_len;
	out->is_state = magic == MAGIC_STATE;
	if ((magic != MAGIC_STATE && magic != MAGIC_BEGUN) || text_len > TEXT_MAX ||
	    end_of(out) > size) {
		return ST_END;
	}
	len = HEAD_BYTES + text_len;
	buffer_reset(bytes);
	if (!buffer_reserve(bytes, len + SUM_BYTES)) {
		return error_no_memory(err, STATE_SNAPSHOTS_FILE);
	}
	if (!file_read_exactly(file->fd, bytes->bytes, len + SUM_BYTES, from) ||
	    XXH3_64bits(bytes->bytes, len) !=
		get_u64le((const uint8_t *)bytes->bytes + len)) {
		return ST_END;
	}
	return ST_OK;
}

/* The next place behind `*from` where a record may begin; at the end of the file there
 * is none. */
static enum status next_magic(const struct snapshot_file *file, off_t *from, off_t size,
			      struct error *err)
{
	uint8_t bytes[4096];

	(*from)++;
	while (*from < size) {
		ssize_t len = file_read_at(file->fd, bytes, sizeof bytes, *from);

		if (len < 0) {
			return file_error("read", err);
		}
		for (ssize_t i = 0; i + 4 <= len; i++) {
			uint32_t magic = get_u32le(bytes + i);

			if (magic == MAGIC_STATE || magic == MAGIC_BEGUN) {
				*from += i;
				return ST_OK;
			}
		}
		*from += len > 3 ? len - 3 : size - *from;
	}
	return ST_OK;
}

/* Call `each` with the records from the first one on, until it does not return ST_OK or
 * there are no more that are right; `*end`: where those that it took end. */
static enum status each_record(const struct snapshot_file *file,
			       enum status (*each)(void *context,
						   const struct record *record,
						   struct error *err),
			       void *context, off_t *end, struct error *err)
{
	struct buffer bytes;
	struct stat st;
	off_t from = 0;
	enum status status = ST_OK;

	*end = 0;
	if (file->fd < 0) {
		return ST_OK;
	}
	if (fstat(file->fd, &st) != 0) {
		return file_error("read", err);
	}
	buffer_init(&bytes);
	while (status == ST_OK && from < st.st_size) {
		struct record record;

		status = read_record(file, from, st.st_size, &bytes, &record, err);
		if (status == ST_END) { /* damage: is there a right one behind it? */
			status = next_magic(file, &from, st.st_size, err);
			continue;
		}
		if (status == ST_OK) {
			status = each(context, &record, err);
		}
		if (status == ST_OK) {
			*end = from = end_of(&record);
		}
	}
	buffer_clear(&bytes);
	return status == ST_END ? ST_OK : status;
}

struct search {
	struct snapshot_moment at;
	bool keeps_later;
	struct record state; /* the last one that is not after `at`; from -1: none */
	struct buffer *begun;
	bool has_later;
	struct snapshot_moment later_state;
};

static enum status look_at(void *context, const struct record *record,
			   struct error *err)
{
	struct search *search = context;

	if (!is_after(record->at, search->at)) {
		search->state = record->is_state ? *record : search->state;
		return ST_OK;
	}
	if (!search->keeps_later) {
		return ST_END;
	}
	search->has_later = true;
	if (record->is_state) {
		search->later_state = record->at;
	} else if (record->at.chunks > search->at.chunks) {
		buffer_add(search->begun, &record->at.lsn, sizeof record->at.lsn);
	}
	return buffer_ok(search->begun) ? ST_OK
					: error_no_memory(err, STATE_SNAPSHOTS_FILE);
}

static enum status read_text(const struct snapshot_file *file,
			     const struct record *record, struct buffer *text,
			     struct error *err)
{
	buffer_reset(text);
	if (!buffer_reserve(text, record->text_len + 1)) {
		return error_no_memory(err, STATE_SNAPSHOTS_FILE);
	}
	if (!file_read_exactly(file->fd, text->bytes, record->text_len,
			       record->from + HEAD_BYTES)) {
		return file_error("read", err);
	}
	text->len = record->text_len;
	return ST_OK;
}

void snapshot_found_init(struct snapshot_found *found)
{
	*found = (struct snapshot_found){.is_found = false};
	buffer_init(&found->text);
	buffer_init(&found->begun);
}

void snapshot_found_clear(struct snapshot_found *found)
{
	buffer_clear(&found->text);
	buffer_clear(&found->begun);
}

enum status snapshot_file_find(struct snapshot_file *file, struct snapshot_moment at,
			       bool keeps_later, struct snapshot_found *found,
			       struct error *err)
{
	struct search search = {.at = at,
				.keeps_later = keeps_later,
				.state = {.from = -1},
				.begun = &found->begun};
	enum status status;

	found->is_found = false;
	buffer_reset(&found->begun);
	status = each_record(file, look_at, &search, &file->length, err);
	if (status != ST_OK || file->fd < 0) {
		return status;
	}
	if (!file_set_length(file->fd, file->length)) {
		return file_error("cut", err);
	}
	file->is_synced = false;
	file->has_later = search.has_later;
	file->later_state = search.later_state;
	if (search.state.from < 0) {
		return ST_OK;
	}
	found->at = search.state.at;
	found->is_found = true;
	return read_text(file, &search.state, &found->text, err);
}

enum status snapshot_file_peek(int dir_fd, struct snapshot_moment at,
			       struct snapshot_found *found, struct error *err)
{
	struct snapshot_file file = {
	    .fd = openat(dir_fd, STATE_SNAPSHOTS_FILE,
			 O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
	struct search search = {
	    .at = at, .state = {.from = -1}, .begun = &found->begun};
	off_t length;
	enum status status;

	found->is_found = false;
	if (file.fd < 0) {
		return errno == ENOENT ? ST_OK : file_error("opened", err);
	}
	status = each_record(&file, look_at, &search, &length, err);
	if (status == ST_OK && search.state.from >= 0) {
		found->at = search.state.at;
		found->is_found = true;
		status = read_text(&file, &search.state, &found->text, err);
	}
	(void)close(file.fd);
	return status;
}

/* ---- writing ---- */

static enum status make(struct snapshot_file *file, struct error *err)
{
	file->fd = openat(file->dir_fd, STATE_SNAPSHOTS_FILE,
			  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0) {
		return file_error("made", err);
	}
	return file_sync_all(file->dir_fd) ? ST_OK : file_error("made", err);
}

/* From the record that holds at `least` on, into a new file. */
static enum status copy_from(struct snapshot_file *file, off_t from, int fd,
			     struct error *err)
{
	size_t len = (size_t)(file->length - from);
	uint8_t *bytes = malloc(len + 1);
	bool is_copied;

	if (!bytes) {
		return error_no_memory(err, STATE_SNAPSHOTS_FILE);
	}
	is_copied = file_read_exactly(file->fd, bytes, len, from) &&
		    file_write_at(fd, bytes, len, 0) && file_sync_all(fd);
	free(bytes);
	if (!is_copied) {
		return file_error("written anew", err);
	}
	FAULT_POINT("snapshots-copied");
	if (renameat(file->dir_fd, NEW_FILE, file->dir_fd, STATE_SNAPSHOTS_FILE) != 0 ||
	    !file_sync_all(file->dir_fd)) {
		return file_error("written anew", err);
	}
	file->length = (off_t)len;
	return ST_OK;
}

static enum status tidy(struct snapshot_file *file, struct snapshot_moment least,
			struct error *err)
{
	struct search search = {.at = least, .state = {.from = -1}};
	off_t end;
	enum status status = each_record(file, look_at, &search, &end, err);
	int fd;

	if (status != ST_OK || search.state.from < file->length / 2) {
		file->tidy_at = 2 * file->length;
		return status;
	}
	fd = openat(file->dir_fd, NEW_FILE,
		    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return file_error("written anew", err);
	}
	status = copy_from(file, search.state.from, fd, err);
	if (status != ST_OK) {
		(void)close(fd);
		return status;
	}
	(void)close(file->fd);
	file->fd = fd;
	file->tidy_at = file->length > TIDY_BYTES / 2 ? 2 * file->length : TIDY_BYTES;
	return ST_OK;
}

static enum status append(struct snapshot_file *file, const struct buffer *record,
			  struct error *err)
{
	if (!file_write_at(file->fd, record->bytes, record->len, file->length)) {
		return file_error("written", err);
	}
	FAULT_POINT("snapshots-record");
	file->length += (off_t)record->len;
	file->is_synced = false;
	return ST_OK;
}

static bool add_record(struct buffer *out, struct snapshot_moment at, struct span text)
{
	uint8_t head[HEAD_BYTES];
	uint8_t sum[SUM_BYTES];
	struct field_writer w = field_writer(head, sizeof head);

	put_field_u32(&w, text.bytes ? MAGIC_STATE : MAGIC_BEGUN);
	put_field_u32(&w, (uint32_t)text.len);
	put_field_u64(&w, at.lsn);
	put_field_u64(&w, at.chunks);
	buffer_add(out, head, sizeof head);
	if (text.bytes) {
		buffer_add(out, text.bytes, text.len);
	}
	if (!buffer_ok(out)) {
		return false;
	}
	w = field_writer(sum, sizeof sum);
	put_field_u64(&w, XXH3_64bits(out->bytes, out->len));
	buffer_add(out, sum, sizeof sum);
	return buffer_ok(out);
}

/* What is behind `at` did not happen. */
static enum status cut_behind(struct snapshot_file *file, struct snapshot_moment at,
			      struct error *err)
{
	struct search search = {.at = at, .state = {.from = -1}};
	enum status status = each_record(file, look_at, &search, &file->length, err);

	file->has_later = false;
	return status == ST_OK && !file_set_length(file->fd, file->length)
		   ? file_error("cut", err)
		   : status;
}

static enum status put(struct snapshot_file *file, struct snapshot_moment at,
		       struct span text, bool is_new, struct snapshot_moment least,
		       struct error *err)
{
	struct buffer record;
	enum status status = file->fd < 0 ? make(file, err) : ST_OK;

	if (file->has_later && text.bytes && !is_new) {
		if (!is_after(at, file->later_state)) {
			return ST_OK;
		}
		file->has_later = false;
	}
	if (status == ST_OK && is_new) {
		status = cut_behind(file, at, err);
	}

	if (status == ST_OK && file->length >= file->tidy_at) {
		status = tidy(file, least, err);
	}
	if (status != ST_OK) {
		return status;
	}
	buffer_init(&record);
	status = text.len <= TEXT_MAX && add_record(&record, at, text)
		     ? append(file, &record, err)
		     : error_no_memory(err, STATE_SNAPSHOTS_FILE);
	buffer_clear(&record);
	return status;
}

enum status snapshot_file_put(struct snapshot_file *file, struct snapshot_moment at,
			      struct span text, bool is_new,
			      struct snapshot_moment least, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&file->lock);
	status = put(file, at, text, is_new, least, err);
	(void)pthread_mutex_unlock(&file->lock);
	return status;
}

static enum status sync_all(struct snapshot_file *file, struct error *err)
{
	if (file->fd < 0 || (file->is_synced && file->sync_errno == 0)) {
		return ST_OK;
	}
	if (file->sync_errno == 0 && !file_sync(file->fd)) {
		file->sync_errno = errno;
	}
	if (file->sync_errno != 0) {
		errno = file->sync_errno;
		return file_error("synced", err);
	}
	file->is_synced = true;
	return ST_OK;
}

enum status snapshot_file_sync(struct snapshot_file *file, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&file->lock);
	status = sync_all(file, err);
	(void)pthread_mutex_unlock(&file->lock);
	return status;
}

enum status snapshot_file_forget(struct snapshot_file *file, struct error *err)
{
	if (file->fd < 0) {
		return ST_OK;
	}
	file->length = 0;
	file->is_synced = false;
	return file_set_length(file->fd, 0) ? ST_OK : file_error("cut", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/time_text.h"
#include "src/storage/file_name.h"
#include "src/storage/s3_ahead.h"
#include "src/storage/s3_fault.h"
#include "src/storage/s3_storage.h"
#include "src/storage/s3_write.h"

#define HEADER_BYTES 100u /* of a file, src/archive/ltx.h */

#define PREFIX_MAX  900u /* bytes: with what comes behind it less than a key's 1,024 */
#define SMALL_BYTES (16u << 10) /* a file that is fetched as a whole at once */
#define READ_BYTES  (64u << 10) /* who reads so much in order will go on */
#define PIECE_MOST  (8u << 20)
#define PIECE_LEAST (256u << 10)
#define PIECES_ROOM (32u << 20) /* of all files together, while they are few */

struct s3_file {
	struct storage_file base;
	struct archive_file file;
	uint64_t next; /* behind what was read last */

	/* A piece of the file. */
	uint8_t *piece;
	size_t piece_len;
	size_t piece_cap;
	uint64_t piece_start;
};

struct s3_storage *s3_storage_of(struct storage *storage)
{
	return (struct s3_storage *)(void *)storage;
}

/* ---- names ---- */

void s3_storage_key(const struct s3_storage *s, const struct archive_file *file,
		    char key[S3_KEY_BYTES])
{
	char name[FILE_NAME_BYTES];

	file_name_write(file, name);
	(void)snprintf(key, S3_KEY_BYTES, "%s/%04x/%s", s->prefix, file->level, name);
}

struct s3_name s3_storage_name(const struct s3_storage *s, const char *key)
{
	char whole[sizeof "s3://" + 256 + S3_KEY_BYTES];
	struct s3_name name;

	(void)snprintf(whole, sizeof whole, "s3://%s/%s", s->bucket, key);
	(void)snprintf(name.text, sizeof name.text, "%.*s", (int)sizeof name.text - 1,
		       quote(whole).text);
	return name;
}

/* ---- listing ---- */

static enum status list_level(struct storage *storage, unsigned level,
			      struct archive_list *list, struct error *err)
{
	char below[16];

	(void)snprintf(below, sizeof below, "%04x%%2F", level);
	return s3_list_below(s3_storage_of(storage), below, list, err);
}

/* The folders of all levels begin with it. */
static enum status list_all(struct storage *storage, struct archive_list *list,
			    struct error *err)
{
	return s3_list_below(s3_storage_of(storage), "000", list, err);
}

/* ---- ranges ---- */

enum status s3_get_range(struct s3_storage *s, const struct archive_file *file,
			 void *bytes, size_t len, uint64_t from, struct error *err)
{
	char key[S3_KEY_BYTES];
	char range[64];
	struct s3_request request = {.method = "GET",
				     .key = key,
				     .headers = {{"range", range}},
				     .header_count = 1,
				     .into = bytes,
				     .room = len};
	struct s3_answer *a = s->answer;
	char what[STORAGE_NAME_BYTES + 32];
	enum status status;

	s3_storage_key(s, file, key);
	(void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, from,
		       from + len - 1);
	status = s3_client_send(s->client, &request, a, err);
	if (status != ST_OK) {
		return status;
	}
	if (s3_fault_is_missing(a)) {
		return error_set(err, ST_LOST,
				 "%s was removed while the archive was read; try again",
				 s3_storage_name(s, key).text);
	}
	if ((a->code == 206 || a->code == 200 || a->code == 416) &&
	    (a->code == 416 || a->len != len || a->range_from != from ||
	     (file->size > 0 && a->total != file->size))) {
		return error_set(err, ST_LOST,
				 "%s is not the file that was listed any more; try "
				 "again",
				 s3_storage_name(s, key).text);
	}
	if (a->code == 206 || a->code == 200) {
		return ST_OK;
	}
	(void)snprintf(what, sizeof what, "%s cannot be read",
		       s3_storage_name(s, key).text);
	return s3_fault_set(s->client, a, what, "s3:GetObject", err);
}

/* By the head of the file, with which its metadata comes. */
static enum status ask_time(struct storage *storage, const struct archive_file *file,
			    int64_t *time_ns, struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	uint8_t head[HEADER_BYTES];
	int64_t time_ms;
	enum status status;

	*time_ns = file->time_ns;
	if (file->size < sizeof head) {
		return ST_OK; /* damaged, which who reads it will say */
	}
	status = s3_get_range(s, file, head, sizeof head, 0, err);
	if (status != ST_OK || time_text_read(s->answer->time, time_ns)) {
		return status;
	}
	time_ms = (int64_t)get_u64be(head + 32);
	if (memcmp(head, "LTX1", 4) == 0 && time_ms > 0 &&
	    time_ms < INT64_MAX / NS_PER_MS) {
		*time_ns = time_ms * NS_PER_MS;
	}
	return ST_OK;
}

/* ---- files ---- */

static enum status open_file(struct storage *storage, const struct archive_file *file,
			     struct storage_file **out, struct error *err)
{
	struct s3_storage *s = s3_storage_of(storage);
	struct s3_file *f = calloc(1, sizeof *f);
	char key[S3_KEY_BYTES];

	if (!f) {
		return error_no_memory(err, "a file of an archive");
	}
	s3_storage_key(s, file, key);
	f->base.storage = storage;
	f->base.size = file->size;
	memcpy(f->base.name, s3_storage_name(s, key).text, sizeof f->base.name);
	f->file = *file;
	*out = &f->base;
	return ST_OK;
}

static void close_file(struct storage_file *file)
{
	struct s3_file *f = (struct s3_file *)(void *)file;

	if (f->piece) {
		s3_storage_of(file->storage)->stream_count--;
	}
	free(f->piece);
	free(f);
}

/* How much of a file is fetched at once, so that all that are open share the memory. */
static size_t piece_size(const struct s3_storage *s, uint64_t rest)
{
	size_t most = PIECES_ROOM / (s->stream_count + 1);

	most = most > PIECE_MOST ? PIECE_MOST : most < PIECE_LEAST ? PIECE_LEAST : most;
	return rest < most ? (size_t)rest : most;
}

/* What was fetched ahead takes the place of the piece. */
static bool take_ahead(struct s3_file *f, uint64_t start, size_t *len)
{
	struct s3_storage *s = s3_storage_of(f->base.storage);
	uint8_t *bytes =
	    s->ahead ? s3_ahead_take(s->ahead, &f->file, start, len) : NULL;

	if (!bytes) {
		return false;
	}
	s->stream_count += f->piece == NULL;
	free(f->piece);
	f->piece = bytes;
	f->piece_cap = f->piece_len = *len;
	f->piece_start = start;
	return true;
}

static enum status fetch_piece(struct s3_file *f, uint64_t start, struct error *err)
{
	struct s3_storage *s = s3_storage_of(f->base.storage);
	size_t len = piece_size(s, f->file.size - start);
	enum status status;

	if (take_ahead(f, start, &len)) {
		return ST_OK;
	}
	if (len > f->piece_cap) {
		s->stream_count += f->piece == NULL;
		free(f->piece);
		f->piece = malloc(len);
		f->piece_cap = f->piece ? len : 0;
		if (!f->piece) {
			s->stream_count--;
			return error_no_memory(err, "a file of an archive");
		}
	}
	f->piece_len = 0;
	status = s3_get_range(s, &f->file, f->piece, len, start, err);
	if (status == ST_OK) {
		f->piece_start = start;
		f->piece_len = len;
	}
	return status;
}

/* What the piece has of `len` bytes at `offset`. */
static size_t take_piece(const struct s3_file *f, uint8_t *bytes, size_t len,
			 uint64_t offset)
{
	size_t at;

	if (offset < f->piece_start || offset - f->piece_start >= f->piece_len) {
		return 0;
	}
	at = (size_t)(offset - f->piece_start);
	len = len < f->piece_len - at ? len : f->piece_len - at;
	memcpy(bytes, f->piece + at, len);
	return len;
}

static enum status read_file(struct storage_file *file, void *bytes, size_t len,
			     uint64_t offset, size_t *got, struct error *err)
{
	struct s3_file *f = (struct s3_file *)(void *)file;
	uint64_t size = f->file.size;
	uint64_t rest = offset < size ? size - offset : 0;
	bool in_order = offset == f->next && (len >= READ_BYTES || len >= rest);
	enum status status = ST_OK;

	*got = 0;
	len = rest < len ? (size_t)rest : len;
	while (status == ST_OK && *got < len) {
		uint8_t *to = (uint8_t *)bytes + *got;
		size_t n = take_piece(f, to, len - *got, offset + *got);

		if (n > 0) {
			*got += n;
		} else if (size <= SMALL_BYTES) {
			status = fetch_piece(f, 0, err);
		} else if (in_order) {
			status = fetch_piece(f, offset + *got, err);
		} else {
			status = s3_get_range(s3_storage_of(file->storage), &f->file,
					      to, len - *got, offset + *got, err);
			*got = len;
		}
	}
	f->next = offset + len;
	return status;
}

static void expect(struct storage *storage, const struct archive_file *const *files,
		   size_t count, enum storage_reading how)
{
	struct s3_storage *s = s3_storage_of(storage);
	int connections = s3_client_settings(s->client)->s3_connections;
	bool is_one = count == 0 || (count == 1 && files[0]->size <= S3_AHEAD_PIECE);

	if (!s->ahead && connections > 1 && !is_one) {
		s->ahead = s3_ahead_open(s, connections);
	}
	if (s->ahead) {
		s3_ahead_expect(s->ahead, files, count,
				how == STORAGE_WHOLE ? UINT64_MAX : SMALL_BYTES);
	}
}

/* ---- the bucket ---- */

static void close_storage(struct storage *storage)
{
	struct s3_storage *s = s3_storage_of(storage);

	s3_ahead_close(s->ahead);
	s3_client_close(s->client);
	free(s->answer);
	free(s->bucket);
	free(s->prefix);
	free(s);
}

/* Litestream would look elsewhere for what is written to such a one. */
static bool is_prefix(const char *prefix)
{
	size_t len;

	if (!*prefix || strlen(prefix) > PREFIX_MAX) {
		return false;
	}
	for (;; prefix += len + 1) {
		len = strcspn(prefix, "/");
		if (len == 0 || (len <= 2 && strspn(prefix, ".") == len)) {
			return false;
		}
		if (prefix[len] == '\0') {
			return true;
		}
	}
}

static enum status read_place(struct s3_storage *s, const char *place,
			      struct error *err)
{
	const char *slash = strchr(place, '/');

	if (strchr(place, '?')) {
		return error_set(
		    err, ST_CONFIG,
		    "%s: nothing can stand behind a ? here: the address of "
		    "the server is given by -D archive.s3.endpoint=http://"
		    "HOST:PORT, the region by -D archive.s3.region",
		    quote(place).text);
	}
	if (!slash || !is_prefix(slash + 1)) {
		return error_set(
		    err, ST_CONFIG,
		    "s3://%s: must be s3://BUCKET/PREFIX, with a prefix "
		    "of at most %u bytes that neither begins nor ends with "
		    "/ and has no empty part, . or .. in it",
		    place, PREFIX_MAX);
	}
	s->bucket = strndup(place, (size_t)(slash - place));
	s->prefix = strdup(slash + 1);
	s->answer = calloc(1, sizeof *s->answer);
	return s->bucket && s->prefix && s->answer ? ST_OK
						   : error_no_memory(err, "an archive");
}

/* A note may be read by who only reads, too. */
static const struct storage_calls read_calls = {
    .list = list_level,
    .list_all = list_all,
    .time = ask_time,
    .open = open_file,
    .read = read_file,
    .close_file = close_file,
    .close = close_storage,
    .is_far = true,
    .expect = expect,
    .get_note = s3_get_note,
};

static const struct storage_calls write_calls = {
    .list = list_level,
    .list_all = list_all,
    .time = ask_time,
    .open = open_file,
    .read = read_file,
    .close_file = close_file,
    .close = close_storage,
    .is_far = true,
    .expect = expect,
    .put = s3_put,
    .remove = s3_remove,
    .get_note = s3_get_note,
    .put_note = s3_put_note,
};

enum status s3_open(const char *place, const struct storage_settings *settings,
		    bool to_write, struct storage **storage, struct error *err)
{
	struct s3_storage *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "an archive");
	}
	s->base.calls = to_write ? &write_calls : &read_calls;
	status = read_place(s, place, err);
	if (status == ST_OK) {
		status = s3_client_open(settings, s->bucket, &s->client, err);
	}
	if (status != ST_OK) {
		close_storage(&s->base);
		return status;
	}
	*storage = &s->base;
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "src/base/thread.h"

#define CONNECTIONS_MOST 16
#define PIECES           64 /* that are there or under way, at most */

enum piece_state { PIECE_UNDER_WAY, PIECE_THERE, PIECE_FAILED };

struct piece {
	enum piece_state state;
	bool is_dropped; /* nobody wants it any more: who fetches it frees it */
	size_t file;     /* index in `files` */
	uint64_t offset;
	size_t len;
	uint8_t *bytes;
};

struct connection {
	struct s3_ahead *ahead;
	struct s3_storage storage; /* with a client and an answer of its own */
	pthread_t thread;
	bool is_started;
};

struct s3_ahead {
	struct connection connections[CONNECTIONS_MOST];
	int connection_count;
	_Atomic bool stops;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	struct archive_file *files;
	size_t file_count;
	uint64_t most;    /* bytes of a file that is fetched */
	size_t next_file; /* of the next piece that is wanted, */
	uint64_t next_offset;
	struct piece *pieces[PIECES]; /* in order, oldest first */
	size_t piece_count;
	uint64_t bytes; /* of all pieces, also of those that were dropped under way */
};

/* ---- pieces, with the lock ---- */

static void free_piece(struct s3_ahead *a, struct piece *piece)
{
	a->bytes -= piece->len;
	free(piece->bytes);
	free(piece);
}

/* The first `count`. */
static void drop_pieces(struct s3_ahead *a, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct piece *piece = a->pieces[i];

		if (piece->state == PIECE_UNDER_WAY) {
			piece->is_dropped = true;
		} else {
			free_piece(a, piece);
		}
	}
	a->piece_count -= count;
	for (size_t i = 0; i < a->piece_count; i++) {
		a->pieces[i] = a->pieces[i + count];
	}
}

/* What comes next is at the cursor: false, nothing does. */
static bool settle_cursor(struct s3_ahead *a)
{
	while (a->next_file < a->file_count) {
		const struct archive_file *file = &a->files[a->next_file];

		if (a->next_offset < file->size && file->size <= a->most) {
			return true;
		}
		a->next_file++;
		a->next_offset = 0;
	}
	return false;
}

/* The next piece, to be fetched; NULL: none now. */
static struct piece *add_piece(struct s3_ahead *a)
{
	struct piece *piece;
	uint64_t rest;
	size_t len;

	if (a->piece_count == PIECES || !settle_cursor(a)) {
		return NULL;
	}
	rest = a->files[a->next_file].size - a->next_offset;
	len = rest < S3_AHEAD_PIECE ? (size_t)rest : S3_AHEAD_PIECE;
	if (a->bytes + len > S3_AHEAD_ROOM) {
		return NULL;
	}
	piece = calloc(1, sizeof *piece);
	if (!piece) {
		return NULL;
	}
	*piece = (struct piece){.state = PIECE_UNDER_WAY,
				.file = a->next_file,
				.offset = a->next_offset,
				.len = len};
	a->pieces[a->piece_count++] = piece;
	a->bytes += len;
	a->next_offset += len;
	return piece;
}

/* ---- the threads ---- */

/* Without the lock. */
static bool fetch(struct connection *c, const struct archive_file *file,
		  struct piece *piece)
{
	struct error ignored;

	piece->bytes = malloc(piece->len);
	return piece->bytes && s3_get_range(&c->storage, file, piece->bytes, piece->len,
					    piece->offset, &ignored) == ST_OK;
}

static void *run(void *context)
{
	struct connection *c = context;
	struct s3_ahead *a = c->ahead;

	(void)prctl(PR_SET_NAME, "ahead");
	(void)pthread_mutex_lock(&a->lock);
	while (!a->stops) {
		struct piece *piece = add_piece(a);
		struct archive_file file;
		bool is_there;

		if (!piece) {
			(void)pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		file = a->files[piece->file];
		(void)pthread_mutex_unlock(&a->lock);
		is_there = fetch(c, &file, piece);
		(void)pthread_mutex_lock(&a->lock);
		piece->state = is_there ? PIECE_THERE : PIECE_FAILED;
		if (piece->is_dropped) {
			free_piece(a, piece);
		}
		(void)pthread_cond_broadcast(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- open and close ---- */

static void close_connection(struct connection *c)
{
	s3_client_close(c->storage.client);
	free(c->storage.answer);
}

/* False: without this one. */
static bool open_connection(struct s3_ahead *a, struct connection *c,
			    struct s3_storage *storage)
{
	struct error ignored;

	c->ahead = a;
	c->storage = *storage;
	c->storage.client = NULL;
	c->storage.answer = calloc(1, sizeof *c->storage.answer);
	if (!c->storage.answer ||
	    s3_client_open(s3_client_settings(storage->client), storage->bucket,
			   &c->storage.client, &ignored) != ST_OK) {
		close_connection(c);
		return false;
	}
	s3_client_give_up_when(c->storage.client, &a->stops);
	c->is_started = thread_start(&c->thread, run, c, "ahead", &ignored) == ST_OK;
	if (!c->is_started) {
		close_connection(c);
	}
	return c->is_started;
}

struct s3_ahead *s3_ahead_open(struct s3_storage *storage, int connections)
{
	struct s3_ahead *a = calloc(1, sizeof *a);

	if (!a) {
		return NULL;
	}
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	while (a->connection_count < connections &&
	       a->connection_count < CONNECTIONS_MOST &&
	       open_connection(a, &a->connections[a->connection_count], storage)) {
		a->connection_count++;
	}
	if (a->connection_count == 0) {
		s3_ahead_close(a);
		return NULL;
	}
	return a;
}

void s3_ahead_close(struct s3_ahead *a)
{
	if (!a) {
		return;
	}
	(void)pthread_mutex_lock(&a->lock);
	a->stops = true;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < a->connection_count; i++) {
		(void)pthread_join(a->connections[i].thread, NULL);
		close_connection(&a->connections[i]);
	}
	drop_pieces(a, a->piece_count);
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	free(a->files);
	free(a);
}

/* ---- who reads ---- */

void s3_ahead_expect(struct s3_ahead *a, const struct archive_file *const *files,
		     size_t count, uint64_t most)
{
	struct archive_file *copies = calloc(count + 1, sizeof *copies);

	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = *files[i];
	}
	(void)pthread_mutex_lock(&a->lock);
	drop_pieces(a, a->piece_count);
	free(a->files);
	a->files = copies;
	a->file_count = copies ? count : 0;
	a->most = most;
	a->next_file = 0;
	a->next_offset = 0;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
}

static bool is_same(const struct archive_file *a, const struct archive_file *b)
{
	return archive_file_is(a, b) && a->size == b->size;
}

/* With the lock: the place of the piece among those that are there or under way, or
 * their count. */
static size_t find_piece(const struct s3_ahead *a, const struct archive_file *file,
			 uint64_t offset)
{
	size_t i = 0;

	while (i < a->piece_count && (a->pieces[i]->offset != offset ||
				      !is_same(&a->files[a->pieces[i]->file], file))) {
		i++;
	}
	return i;
}

/* With the lock: who reads fetches it now. If it is behind all of these, what is before
 * it was passed over, and what comes behind it is wanted next. */
static void skip_over(struct s3_ahead *a, const struct archive_file *file,
		      uint64_t offset, size_t len)
{
	size_t i = a->next_file;

	while (i < a->file_count && !is_same(&a->files[i], file)) {
		i++;
	}
	if (i < a->file_count && (i > a->next_file || offset >= a->next_offset)) {
		drop_pieces(a, a->piece_count);
		a->next_file = i;
		a->next_offset = offset + len;
		(void)pthread_cond_broadcast(&a->changed);
	}
}

/* With the lock: the first piece, which is wanted now; NULL: it could not be had. */
static uint8_t *take_first(struct s3_ahead *a, size_t *len)
{
	struct piece *piece = a->pieces[0];
	uint8_t *bytes = NULL;

	while (piece->state == PIECE_UNDER_WAY) {
		(void)pthread_cond_wait(&a->changed, &a->lock);
	}
	if (piece->state == PIECE_THERE) {
		bytes = piece->bytes;
		*len = piece->len;
		piece->bytes = NULL;
	}
	drop_pieces(a, 1);
	(void)pthread_cond_broadcast(&a->changed);
	return bytes;
}

uint8_t *s3_ahead_take(struct s3_ahead *a, const struct archive_file *file,
		       uint64_t offset, size_t *len)
{
	uint8_t *bytes = NULL;
	size_t i;

	(void)pthread_mutex_lock(&a->lock);
	i = find_piece(a, file, offset);
	if (i < a->piece_count) {
		drop_pieces(a, i);
		bytes = take_first(a, len);
	} else {
		skip_over(a, file, offset, *len);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return bytes;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/search.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/thread.h"

#define MOST_LANES   4
#define MOST_NEEDLES 4

/* Lines are handed over in blocks of about this size. */
#define BLOCK_BYTES ((size_t)1 << 20)

/* Before the bytes of each line in a block. */
struct head {
	size_t len;
	bool is_whole, is_long;
};

/* What a thread hands over, and does not touch until it is taken back. */
struct given {
	size_t file;       /* that it is of */
	struct span lines; /* heads and bytes; or the bytes of one line */
	bool is_one;
	struct head one;
	bool ends_file; /* there is no more of this file, because of: */
	enum status status;
	struct error err;
	unsigned damaged;
};

/* A thread, and the file that it reads. */
struct lane {
	struct audit_search *search;
	size_t file;
	pthread_t thread;
	struct buffer blocks[2]; /* of which one may be given */
	unsigned filling;
	/* Under the mutex. */
	bool is_given;
	struct given given; /* the reader's while it is */
};

struct audit_search {
	const struct audit_files *files;
	struct audit_search_question question;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t lane_count; /* known to a thread once it has had the mutex */
	size_t begun;      /* files */
	bool is_stopped;
	struct lane lanes[MOST_LANES];

	/* The reader's. */
	size_t file;       /* that is read */
	struct lane *held; /* what it has given is read; NULL: nothing is */
	size_t at;         /* in that */
	unsigned damaged;  /* files before it */
	enum status status;
	struct error err;
};

/* ---- a thread ---- */

/* False: nobody wants more. */
static bool await_taken(struct lane *lane)
{
	struct audit_search *s = lane->search;

	while (lane->is_given && !s->is_stopped) {
		(void)pthread_cond_wait(&s->changed, &s->mutex);
	}
	return !s->is_stopped;
}

/* Once what was given before is taken. */
static bool give(struct lane *lane, const struct given *given)
{
	struct audit_search *s = lane->search;
	bool goes_on;

	(void)pthread_mutex_lock(&s->mutex);
	goes_on = await_taken(lane);
	if (goes_on) {
		lane->given = *given;
		lane->given.file = lane->file;
		lane->is_given = true;
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return goes_on;
}

static bool give_block(struct lane *lane, struct given *given)
{
	struct buffer *block = &lane->blocks[lane->filling];

	if (block->failed) {
		given->status = error_no_memory(&given->err, "lines");
		given->ends_file = true;
	}
	given->lines = (struct span){block->bytes, block->len};
	if (!give(lane, given)) {
		return false;
	}
	/* The other one was taken before this one was given. */
	lane->filling = !lane->filling;
	buffer_reset(&lane->blocks[lane->filling]);
	return given->status == ST_OK;
}

/* One that is too long to be copied is the reader's while it is looked at. */
static bool give_one(struct lane *lane, struct span line, const struct head *head)
{
	struct given before = {.status = ST_OK};
	struct given given = {
	    .lines = line, .is_one = true, .one = *head, .status = ST_OK};
	bool goes_on = give_block(lane, &before) && give(lane, &given);

	if (goes_on) {
		(void)pthread_mutex_lock(&lane->search->mutex);
		goes_on = await_taken(lane);
		(void)pthread_mutex_unlock(&lane->search->mutex);
	}
	return goes_on;
}

static bool add_line(struct lane *lane, struct span line, const struct head *head)
{
	struct buffer *block = &lane->blocks[lane->filling];
	struct given given = {.status = ST_OK};

	if (line.len > BLOCK_BYTES) {
		return give_one(lane, line, head);
	}
	buffer_add(block, head, sizeof *head);
	buffer_add(block, line.bytes, line.len);
	return (block->len < BLOCK_BYTES && !block->failed) || give_block(lane, &given);
}

static bool search_file(struct lane *lane)
{
	const struct audit_search *s = lane->search;
	const struct audit_search_question *question = &s->question;
	struct audit_files one = {.list = &s->files->list[lane->file], .count = 1};
	struct audit_needle needles[MOST_NEEDLES];
	struct given end = {.ends_file = true};
	struct audit_reader reader;
	struct span line;
	struct head head;
	bool goes_on = true;

	memcpy(needles, question->needles, question->count * sizeof *needles);
	audit_reader_open_files(&reader, &one, 0);
	reader.most = AUDIT_ASKED_BYTES;
	reader.is_alone = s->lane_count == 1;
	while (goes_on &&
	       (end.status = audit_reader_find(&reader, needles, question->count, &line,
					       &head.is_whole, &end.err)) == ST_OK) {
		head.len = line.len;
		head.is_long = reader.is_long;
		if (head.is_long || !question->wants ||
		    question->wants(question->context, line)) {
			goes_on = add_line(lane, line, &head);
		}
	}
	end.damaged = reader.damaged;
	audit_reader_close(&reader);
	if (end.status == ST_END) {
		end.status = ST_OK;
	}
	return goes_on && give_block(lane, &end);
}

/* Files are begun in their order. */
static bool take_file(struct lane *lane)
{
	struct audit_search *s = lane->search;
	bool is_there;

	(void)pthread_mutex_lock(&s->mutex);
	is_there = s->begun < s->files->count;
	lane->file = s->begun;
	s->begun += is_there;
	(void)pthread_mutex_unlock(&s->mutex);
	return is_there;
}

static void *run(void *context)
{
	struct lane *lane = context;

	while (take_file(lane) && search_file(lane)) {
	}
	return NULL;
}

/* ---- opening ---- */

static size_t processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set)
							   : 1;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* As many as there can be, at least one. */
static enum status start(struct audit_search *s, struct error *err)
{
	size_t wanted = least(least(processors(), MOST_LANES), s->files->count);
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; status == ST_OK && i < wanted; i++) {
		struct lane *lane = &s->lanes[i];

		lane->search = s;
		buffer_init(&lane->blocks[0]);
		buffer_init(&lane->blocks[1]);
		status = thread_start(&lane->thread, run, lane, "search", err);
		s->lane_count += status == ST_OK;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return s->lane_count > 0 ? ST_OK : status;
}

enum status audit_search_open(const struct audit_files *files,
			      const struct audit_search_question *question,
			      struct audit_search **out, struct error *err)
{
	struct audit_search *s = calloc(1, sizeof *s);

	if (!s) {
		return error_no_memory(err, "the search");
	}
	assert(question->count > 0 && question->count <= MOST_NEEDLES &&
	       files->count > 0);
	s->files = files;
	s->question = *question;
	(void)pthread_mutex_init(&s->mutex, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	if (start(s, err) != ST_OK) {
		audit_search_close(s);
		return err->status;
	}
	*out = s;
	return ST_OK;
}

void audit_search_close(struct audit_search *search)
{
	if (!search) {
		return;
	}
	(void)pthread_mutex_lock(&search->mutex);
	search->is_stopped = true;
	(void)pthread_cond_broadcast(&search->changed);
	(void)pthread_mutex_unlock(&search->mutex);
	for (size_t i = 0; i < search->lane_count; i++) {
		(void)pthread_join(search->lanes[i].thread, NULL);
		buffer_clear(&search->lanes[i].blocks[0]);
		buffer_clear(&search->lanes[i].blocks[1]);
	}
	(void)pthread_cond_destroy(&search->changed);
	(void)pthread_mutex_destroy(&search->mutex);
	free(search);
}

/* ---- reading ---- */

/* The lane that has given something of this file; the mutex is held. */
static struct lane *find_given(struct audit_search *s)
{
	for (size_t i = 0; i < s->lane_count; i++) {
		struct lane *lane = &s->lanes[i];

		if (lane->is_given && lane->given.file == s->file) {
			return lane;
		}
	}
	return NULL;
}

static void await_given(struct audit_search *s)
{
	(void)pthread_mutex_lock(&s->mutex);
	while (!(s->held = find_given(s))) {
		(void)pthread_cond_wait(&s->changed, &s->mutex);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	s->at = 0;
}

/* All of it was read. */
static void hand_back(struct audit_search *s)
{
	struct lane *lane = s->held;
	const struct given *given = &lane->given;

	if (given->ends_file) {
		s->file++;
		s->damaged += given->damaged;
		s->status = given->status;
		s->err = given->err;
	}
	s->held = NULL;
	(void)pthread_mutex_lock(&s->mutex);
	lane->is_given = false;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->mutex);
}

static void take_line(struct audit_search *s, struct audit_search_line *line)
{
	const struct given *given = &s->held->given;
	struct head head = given->one;

	if (!given->is_one) {
		memcpy(&head, given->lines.bytes + s->at, sizeof head);
		s->at += sizeof head;
	}
	*line =
	    (struct audit_search_line){.bytes = {given->lines.bytes + s->at, head.len},
				       .is_whole = head.is_whole,
				       .is_long = head.is_long};
	s->at += head.len;
}

enum status audit_search_next(struct audit_search *search,
			      struct audit_search_line *line, struct error *err)
{
	for (;;) {
		if (search->held && search->at < search->held->given.lines.len) {
			take_line(search, line);
			return ST_OK;
		}
		if (search->held) {
			hand_back(search);
		}
		if (search->status != ST_OK) {
			*err = search->err;
			return search->status;
		}
		if (search->file == search->files->count) {
			return ST_END;
		}
		await_given(search);
	}
}

unsigned audit_search_damaged(const struct audit_search *search)
{
	return search->damaged;
}

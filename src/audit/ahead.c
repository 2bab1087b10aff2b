/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/thread.h"

#define BLOCKS      8
#define BLOCK_BYTES ((size_t)1 << 20)

struct block {
	size_t len, at; /* bytes, of which so many were given; len 0: it is empty */
	char bytes[BLOCK_BYTES];
};

struct audit_ahead {
	struct audit_input *input; /* the thread's */
	pthread_t thread;
	pthread_mutex_t mutex; /* of all that follows; a block's bytes are those of who
				* has it: the thread's while it is empty */
	pthread_cond_t changed;
	unsigned first, count; /* blocks that are full */
	bool is_stopped;       /* nobody reads on */
	bool is_over;          /* the thread is at the end, or at an error */
	enum status status;
	struct error err;
	struct block blocks[BLOCKS];
};

/* Fill a block, unless the file ends. */
static bool fill(struct audit_ahead *a, struct block *block)
{
	size_t n = 1;
	enum status status = ST_OK;

	block->len = block->at = 0;
	while (status == ST_OK && n > 0 && block->len < BLOCK_BYTES) {
		status = audit_input_read(a->input, block->bytes + block->len,
					  BLOCK_BYTES - block->len, &n, &a->err);
		block->len += status == ST_OK ? n : 0;
	}
	a->status = status;
	return status == ST_OK && n > 0;
}

static void *run(void *context)
{
	struct audit_ahead *a = context;
	bool goes_on = true;

	(void)pthread_mutex_lock(&a->mutex);
	while (goes_on && !a->is_stopped) {
		struct block *block;

		if (a->count == BLOCKS) {
			(void)pthread_cond_wait(&a->changed, &a->mutex);
			continue;
		}
		block = &a->blocks[(a->first + a->count) % BLOCKS];
		(void)pthread_mutex_unlock(&a->mutex);
		goes_on = fill(a, block);
		(void)pthread_mutex_lock(&a->mutex);
		a->count += block->len > 0;
		a->is_over = !goes_on;
		(void)pthread_cond_signal(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->mutex);
	return NULL;
}

struct audit_ahead *audit_ahead_open(struct audit_input *input)
{
	struct audit_ahead *a = malloc(sizeof *a);
	struct error ignored;

	if (!a) {
		return NULL;
	}
	a->input = input;
	a->first = a->count = 0;
	a->is_stopped = a->is_over = false;
	a->status = ST_OK;
	(void)pthread_mutex_init(&a->mutex, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	if (thread_start(&a->thread, run, a, "reading", &ignored) != ST_OK) {
		(void)pthread_cond_destroy(&a->changed);
		(void)pthread_mutex_destroy(&a->mutex);
		free(a);
		return NULL;
	}
	return a;
}

void audit_ahead_close(struct audit_ahead *ahead)
{
	if (!ahead) {
		return;
	}
	(void)pthread_mutex_lock(&ahead->mutex);
	ahead->is_stopped = true;
	(void)pthread_cond_signal(&ahead->changed);
	(void)pthread_mutex_unlock(&ahead->mutex);
	(void)pthread_join(ahead->thread, NULL);
	(void)pthread_cond_destroy(&ahead->changed);
	(void)pthread_mutex_destroy(&ahead->mutex);
	free(ahead);
}

enum status audit_ahead_read(struct audit_ahead *ahead, char *to, size_t room,
			     size_t *len, struct error *err)
{
	struct block *block = NULL;
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&ahead->mutex);
	while (ahead->count == 0 && !ahead->is_over) {
		(void)pthread_cond_wait(&ahead->changed, &ahead->mutex);
	}
	if (ahead->count > 0) {
		block = &ahead->blocks[ahead->first];
	} else if (ahead->status != ST_OK) {
		*err = ahead->err;
		status = ahead->status;
	}
	(void)pthread_mutex_unlock(&ahead->mutex);
	*len = 0;
	if (!block) {
		return status;
	}
	*len = block->len - block->at < room ? block->len - block->at : room;
	memcpy(to, block->bytes + block->at, *len);
	block->at += *len;
	if (block->at == block->len) {
		(void)pthread_mutex_lock(&ahead->mutex);
		ahead->first = (ahead->first + 1) % BLOCKS;
		ahead->count--;
		(void)pthread_cond_signal(&ahead->changed);
		(void)pthread_mutex_unlock(&ahead->mutex);
	}
	return ST_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_leaves.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "src/base/thread.h"

struct audit_leaves {
	struct audit_tree *tree;
	struct audit_hasher hasher;
	pthread_t thread;
	bool is_started;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	struct span lines; /* to be hashed; bytes NULL: nothing to do */
	bool ends;
};

void audit_leaves_add(struct audit_tree *tree, struct audit_hasher *hasher,
		      struct span lines)
{
	const char *at = lines.bytes;
	const char *end = at + lines.len;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		assert(lf && "a line has an end");
		audit_tree_add(tree, hasher, at, (size_t)(lf - at));
		at = lf + 1;
	}
}

static void *run(void *context)
{
	struct audit_leaves *l = context;

	(void)prctl(PR_SET_NAME, "leaves");
	(void)pthread_mutex_lock(&l->lock);
	for (;;) {
		struct span lines;

		while (!l->lines.bytes && !l->ends) {
			(void)pthread_cond_wait(&l->changed, &l->lock);
		}
		if (!l->lines.bytes) {
			break;
		}
		lines = l->lines;
		(void)pthread_mutex_unlock(&l->lock);
		audit_leaves_add(l->tree, &l->hasher, lines);
		(void)pthread_mutex_lock(&l->lock);
		l->lines.bytes = NULL;
		(void)pthread_cond_broadcast(&l->changed);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

enum status audit_leaves_open(struct audit_tree *tree, struct audit_leaves **out,
			      struct error *err)
{
	struct audit_leaves *l = calloc(1, sizeof *l);
	enum status status;

	if (!l) {
		return error_no_memory(err, "hashing");
	}
	l->tree = tree;
	(void)pthread_mutex_init(&l->lock, NULL);
	thread_cond_init(&l->changed);
	status = audit_hasher_open(&l->hasher, err);
	if (status == ST_OK) {
		status = thread_start(&l->thread, run, l, "hashing", err);
		l->is_started = status == ST_OK;
	}
	if (status != ST_OK) {
		audit_leaves_close(l);
		return status;
	}
	*out = l;
	return ST_OK;
}

void audit_leaves_close(struct audit_leaves *l)
{
	if (!l) {
		return;
	}
	if (l->is_started) {
		(void)pthread_mutex_lock(&l->lock);
		l->ends = true;
		(void)pthread_cond_broadcast(&l->changed);
		(void)pthread_mutex_unlock(&l->lock);
		(void)pthread_join(l->thread, NULL);
	}
	audit_hasher_close(&l->hasher);
	(void)pthread_cond_destroy(&l->changed);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

void audit_leaves_give(struct audit_leaves *l, struct span lines)
{
	if (lines.len == 0) {
		return;
	}
	(void)pthread_mutex_lock(&l->lock);
	assert(!l->lines.bytes);
	l->lines = lines;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

bool audit_leaves_wait(struct audit_leaves *l)
{
	bool is_sound;

	(void)pthread_mutex_lock(&l->lock);
	while (l->lines.bytes) {
		(void)pthread_cond_wait(&l->changed, &l->lock);
	}
	is_sound = !l->hasher.failed;
	(void)pthread_mutex_unlock(&l->lock);
	return is_sound;
}

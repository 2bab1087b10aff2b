/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/writers.h"

#include <stdlib.h>
#include <string.h>

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Copy a text to `*at`, which goes on behind it. */
static const char *keep(char **at, const char *text)
{
	const char *kept = *at;

	if (!text) {
		return NULL;
	}
	*at = stpcpy(*at, text) + 1;
	return kept;
}

struct writer *writer_new(const struct writer *from)
{
	struct writer *writer =
	    malloc(sizeof *writer + text_bytes(from->exe) + text_bytes(from->unit));
	char *texts = (char *)(writer + 1);

	if (!writer) {
		return NULL;
	}
	atomic_init(&writer->refs, 1);
	writer->pid = from->pid;
	writer->uid = from->uid;
	writer->loginuid = from->loginuid;
	writer->exe = keep(&texts, from->exe);
	writer->unit = keep(&texts, from->unit);
	return writer;
}

struct writer *writer_hold(struct writer *writer)
{
	if (writer) {
		(void)atomic_fetch_add_explicit(&writer->refs, 1, memory_order_relaxed);
	}
	return writer;
}

/* Was that the last one? */
static bool drop_ref(atomic_uint *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

void writer_drop(struct writer *writer)
{
	if (writer && drop_ref(&writer->refs)) {
		free(writer);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool writer_same(const struct writer *a, const struct writer *b)
{
	return a == b ||
	       (a->pid == b->pid && a->uid == b->uid && a->loginuid == b->loginuid &&
		same_text(a->exe, b->exe) && same_text(a->unit, b->unit));
}

struct writers *writers_new(struct writer *const *list, size_t total)
{
	struct writers *writers =
	    malloc(sizeof *writers + total * sizeof(struct writer *));

	if (!writers) {
		return NULL;
	}
	atomic_init(&writers->refs, 1);
	writers->total = total;
	for (size_t i = 0; i < total; i++) {
		writers->list[i] = writer_hold(list[i]);
	}
	return writers;
}

struct writers *writers_hold(struct writers *writers)
{
	if (writers) {
		(void)atomic_fetch_add_explicit(&writers->refs, 1,
						memory_order_relaxed);
	}
	return writers;
}

void writers_drop(struct writers *writers)
{
	if (writers && drop_ref(&writers->refs)) {
		for (size_t i = 0; i < writers->total; i++) {
			writer_drop(writers->list[i]);
		}
		free(writers);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_writers.h"

static void forget_made(struct wal_writers *w)
{
	writers_drop(w->made);
	w->made = NULL;
}

void wal_writers_init(struct wal_writers *writers,
		      const struct wal_writers_source *source)
{
	*writers = (struct wal_writers){
	    .source = source, .has_missed = true, .was_writing = true};
}

/* Take candidates away: those that end, or all. */
static void remove_candidates(struct wal_writers *w, bool all)
{
	size_t left = 0;

	for (size_t i = 0; i < w->total; i++) {
		if (all || w->list[i].is_ending) {
			writer_drop(w->list[i].writer);
			forget_made(w);
		} else {
			w->list[left++] = w->list[i];
		}
	}
	w->total = left;
	w->has_missed = w->has_missed && !all && !w->miss_is_ending;
}

void wal_writers_clear(struct wal_writers *writers)
{
	remove_candidates(writers, true);
	forget_made(writers);
}

void wal_writers_add(struct wal_writers *w, struct writer *writer)
{
	for (size_t i = 0; i < w->total; i++) {
		if (writer_same(w->list[i].writer, writer)) {
			w->list[i].is_ending = false;
			return;
		}
	}
	if (w->total == WRITERS_MOST) {
		wal_writers_miss(w);
		return;
	}
	w->list[w->total++] = (struct candidate){.writer = writer_hold(writer)};
	forget_made(w);
}

void wal_writers_miss(struct wal_writers *w)
{
	w->has_missed = true;
	w->miss_is_ending = false;
}

/*
 * Those of earlier drains: is all that they had written then in this header? So it is
 * if nobody was within a transaction after that drain; or if the header has moved on
 * since it was looked at there, as only the one who was could do that, or somebody
 * after him.
 */
static void note_ending(struct wal_writers *w, const struct wal_index_header *header)
{
	bool is_ending =
	    !w->was_writing || (w->has_after && !wal_index_same(&w->after, header));

	for (size_t i = 0; i < w->total; i++) {
		w->list[i].is_ending = is_ending;
	}
	w->miss_is_ending = is_ending;
}

void wal_writers_look(struct wal_writers *w, const struct wal_index_header *header)
{
	const struct wal_writers_source *source = w->source;

	note_ending(w, header);
	source->drain(source->context, w);
	if (w->total == 0 && !w->has_missed) {
		w->is_settled = true;
		return;
	}
	/* In this order: a commit between the two is seen by the second. */
	w->was_writing = source->is_writing(source->context);
	w->has_after = source->look(source->context, &w->after);
	w->is_settled =
	    !w->was_writing && w->has_after && wal_index_same(&w->after, header);
}

struct writers *wal_writers_get(struct wal_writers *w)
{
	struct writer *list[WRITERS_MOST] = {NULL};
	bool is_known = false;

	if (w->has_missed) {
		return NULL;
	}
	for (size_t i = 0; i < w->total && !w->made; i++) {
		list[i] = w->list[i].writer;
		is_known = is_known || list[i]->pid != 0;
	}
	if (!w->made && is_known) {
		w->made = writers_new(list, w->total); /* no memory: nobody knows */
	}
	return writers_hold(w->made);
}

void wal_writers_taken(struct wal_writers *w)
{
	remove_candidates(w, w->is_settled);
}

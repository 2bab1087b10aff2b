/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have written a commit: a kernel, writers and a header of the test's own, in
 * every order that can be of importance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/capture/wal_writers.h"

#define WRITERS 3
#define PIDS    100 /* the first writer's number; then one more each */

/* A WAL: one of the writers at a time is within a transaction. */
struct world {
	struct wal_writers writers;
	struct wal_writers_source source;
	struct writer *known[WRITERS];
	bool is_told[WRITERS]; /* not drained yet */
	bool is_lost;
	bool is_torn;        /* the header is being written */
	int open;            /* who is within a transaction; -1 */
	unsigned has_frames; /* of it */
	struct wal_index_header header;
	uint32_t made[4096]; /* who made commit N */
	uint32_t taken;      /* commits */
	unsigned seed;
	void (*between)(
	    struct world *w); /* after the lock or the header was looked at */
	uint64_t wrong, alone, several, nobody;
};

static void drain(void *context, struct wal_writers *into)
{
	struct world *w = context;

	for (int i = 0; i < WRITERS; i++) {
		if (w->is_told[i]) {
			wal_writers_add(into, w->known[i]);
		}
		w->is_told[i] = false;
	}
	if (w->is_lost) {
		wal_writers_miss(into);
	}
	w->is_lost = false;
}

static bool is_writing(void *context)
{
	struct world *w = context;
	bool is_open = w->open >= 0;

	if (w->between) {
		w->between(w);
	}
	return is_open;
}

static bool look(void *context, struct wal_index_header *out)
{
	struct world *w = context;

	if (!w->is_torn) {
		*out = w->header;
	}
	if (w->between) {
		w->between(w);
	}
	return !w->is_torn;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->open = -1;
	w->seed = 1;
	w->header.page_count = 1;
	w->source = (struct wal_writers_source){
	    .drain = drain, .is_writing = is_writing, .look = look, .context = w};
	for (int i = 0; i < WRITERS; i++) {
		const struct writer writer = {.pid = PIDS + (uint32_t)i,
					      .uid = WRITER_NO_ID,
					      .loginuid = WRITER_NO_ID};

		w->known[i] = writer_new(&writer);
		assert_non_null(w->known[i]);
	}
	wal_writers_init(&w->writers, &w->source);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	wal_writers_clear(&w->writers);
	for (int i = 0; i < WRITERS; i++) {
		writer_drop(w->known[i]);
	}
	free(w);
	return 0;
}

static void begin(struct world *w, int who)
{
	assert_int_equal(w->open, -1);
	w->open = who;
}

static void put_frames(struct world *w)
{
	w->is_told[w->open] = true;
	w->has_frames++;
}

static void commit(struct world *w)
{
	if (w->has_frames > 0) {
		w->made[w->header.change] = PIDS + (uint32_t)w->open;
		w->header.change++;
		w->header.frame_count += w->has_frames;
	}
	w->open = -1;
	w->has_frames = 0;
}

static void roll_back(struct world *w)
{
	w->open = -1;
	w->has_frames = 0;
}

static void write_all(struct world *w, int who)
{
	begin(w, who);
	put_frames(w);
	commit(w);
}

static bool has(const struct writers *writers, uint32_t pid)
{
	for (size_t i = 0; writers && i < writers->total; i++) {
		if (writers->list[i]->pid == pid) {
			return true;
		}
	}
	return false;
}

/* As the hold does: everything up to a header that was read before. */
static void take_up_to(struct world *w, const struct wal_index_header *header)
{
	struct writers *writers;

	wal_writers_look(&w->writers, header);
	writers = wal_writers_get(&w->writers);
	for (; w->taken < header->change; w->taken++) {
		if (!writers) {
			w->nobody++;
		} else if (!has(writers, w->made[w->taken])) {
			w->wrong++;
		} else {
			w->alone += writers->total == 1;
			w->several += writers->total > 1;
		}
	}
	writers_drop(writers);
	wal_writers_taken(&w->writers);
}

static void take(struct world *w)
{
	struct wal_index_header header = w->header;

	take_up_to(w, &header);
}

static void expect_counts(const struct world *w, uint64_t alone, uint64_t several,
			  uint64_t nobody)
{
	assert_int_equal(w->wrong, 0);
	assert_int_equal(w->alone, alone);
	assert_int_equal(w->several, several);
	assert_int_equal(w->nobody, nobody);
}

/* ---- the tests ---- */

static void test_one_that_wrote_alone_is_named(void **state)
{
	struct world *w = *state;

	take(w);
	write_all(w, 0);
	take(w);
	write_all(w, 1);
	take(w);
	expect_counts(w, 2, 0, 0);
}

static void test_several_in_one_group_are_candidates(void **state)
{
	struct world *w = *state;

	take(w);
	write_all(w, 0);
	write_all(w, 1);
	take(w);
	write_all(w, 2);
	take(w);
	expect_counts(w, 1, 2, 0);
}

static void test_frames_that_were_told_before_their_header_count_with_it(void **state)
{
	struct world *w = *state;

	take(w);
	begin(w, 0);
	put_frames(w);
	take(w); /* nothing new */
	take(w);
	commit(w); /* nothing more is told */
	take(w);
	expect_counts(w, 1, 0, 0);
	write_all(w, 1);
	take(w);
	expect_counts(w, 2, 0, 0);
}

/* The second half of the rule: without it writer 1 would be named for both. */
static void test_a_header_that_moves_while_it_is_drained_keeps_candidates(void **state)
{
	struct world *w = *state;
	struct wal_index_header header;

	take(w);
	write_all(w, 1);
	header = w->header;
	begin(w, 0);
	put_frames(w);
	commit(w); /* after the header was read, and before the drain */
	take_up_to(w, &header);
	assert_int_equal(w->several, 1);
	write_all(w, 1);
	take(w);
	expect_counts(w, 0, 3, 0);
	write_all(w, 2);
	take(w);
	expect_counts(w, 1, 3, 0);
}

static void commit_between(struct world *w)
{
	w->between = NULL;
	commit(w);
}

static void test_a_commit_between_the_lock_and_the_header_is_seen(void **state)
{
	struct world *w = *state;

	take(w);
	begin(w, 0);
	put_frames(w);
	w->between = commit_between;
	take(w);
	write_all(w, 1);
	take(w);
	expect_counts(w, 0, 2, 0);
}

/* The header moves by another's commit while writer 0 is within a transaction, of which
 * all is told already. */
static void test_an_open_transaction_outlasts_other_headers(void **state)
{
	struct world *w = *state;
	struct wal_index_header header;

	take(w);
	write_all(w, 1);
	header = w->header;
	write_all(w, 1);
	begin(w, 0);
	put_frames(w);
	take_up_to(w, &header); /* the header has moved, and the lock is held */
	take(w);                /* the second commit of writer 1; the lock is held */
	commit(w);
	take(w);
	assert_int_equal(w->wrong, 0);
	assert_int_equal(w->taken, 3);
	write_all(w, 2);
	take(w);
	assert_int_equal(w->alone, 1); /* and then it is over */
}

/* Nothing ever comes to rest, and still nobody stays a candidate for ever. */
static void test_who_has_ended_is_no_candidate_though_others_go_on(void **state)
{
	struct world *w = *state;

	take(w);
	write_all(w, 0);
	begin(w, 1);
	put_frames(w);
	take(w); /* of writer 0; writer 1 is not done */
	commit(w);
	begin(w, 1);
	put_frames(w);
	take(w); /* of writer 1; writer 0 counts for the last time */
	commit(w);
	begin(w, 1);
	take(w);
	expect_counts(w, 1, 2, 0);
}

static void test_what_was_rolled_back_names_nobody_later(void **state)
{
	struct world *w = *state;

	take(w);
	begin(w, 0);
	put_frames(w);
	take(w);
	roll_back(w);
	take(w);
	write_all(w, 1);
	take(w);
	expect_counts(w, 1, 0, 0);
}

static void test_before_the_watch_nobody_knows(void **state)
{
	struct world *w = *state;

	begin(w, 0);
	put_frames(w);
	w->is_told[0] = false; /* the watch begins here */
	take(w);
	commit(w);
	write_all(w, 1);
	take(w);
	expect_counts(w, 0, 0, 2);
	write_all(w, 1);
	take(w);
	expect_counts(w, 1, 0, 2);
}

static void test_lost_events_are_nobody_until_all_is_settled(void **state)
{
	struct world *w = *state;

	take(w);
	begin(w, 0);
	put_frames(w);
	w->is_told[0] = false;
	w->is_lost = true;
	take(w);
	commit(w);
	write_all(w, 1);
	take(w);
	expect_counts(w, 0, 0, 2);
	write_all(w, 1);
	take(w);
	expect_counts(w, 1, 0, 2);
}

static void test_a_torn_header_settles_nothing(void **state)
{
	struct world *w = *state;

	take(w);
	begin(w, 0);
	put_frames(w);
	w->is_torn = true;
	take(w);
	w->is_torn = false;
	take(w);
	commit(w);
	take(w);
	expect_counts(w, 1, 0, 0);
}

static void test_what_could_not_be_taken_keeps_its_candidates(void **state)
{
	struct world *w = *state;
	struct wal_index_header header;

	take(w);
	write_all(w, 0);
	header = w->header;
	wal_writers_look(&w->writers, &header); /* no room: not taken */
	write_all(w, 1);
	take(w);
	expect_counts(w, 0, 2, 0);
}

static void test_another_namespace_alone_is_nobody(void **state)
{
	struct world *w = *state;
	struct writers *writers;

	take(w);
	w->known[0]->pid = 0;
	write_all(w, 0);
	take(w);
	assert_int_equal(w->nobody, 1);
	write_all(w, 0);
	write_all(w, 1);
	wal_writers_look(&w->writers, &w->header);
	writers = wal_writers_get(&w->writers);
	assert_non_null(writers);
	assert_int_equal(writers->total, 2);
	assert_true(has(writers, 0) && has(writers, PIDS + 1));
	writers_drop(writers);
}

static void test_too_many_are_nobody(void **state)
{
	struct world *w = *state;
	struct writers *writers;

	take(w);
	for (uint32_t i = 0; i <= WRITERS_MOST; i++) {
		const struct writer from = {
		    .pid = 1000 + i, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID};
		struct writer *writer = writer_new(&from);

		assert_non_null(writer);
		wal_writers_add(&w->writers, writer);
		writer_drop(writer);
		writers = wal_writers_get(&w->writers);
		assert_int_equal(writers != NULL, i < WRITERS_MOST);
		writers_drop(writers);
	}
}

static void test_the_same_writers_are_one_list(void **state)
{
	struct world *w = *state;
	struct writers *first, *second;

	take(w);
	write_all(w, 0);
	wal_writers_look(&w->writers, &w->header);
	first = wal_writers_get(&w->writers);
	second = wal_writers_get(&w->writers);
	assert_ptr_equal(first, second);
	writers_drop(first);
	writers_drop(second);
}

static unsigned next(struct world *w, unsigned below)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % below;
}

/* One step of one of the writers, or none. */
static void step(struct world *w)
{
	if (w->header.change + 4 >= sizeof w->made / sizeof *w->made) {
		return;
	}
	if (w->open < 0) {
		if (next(w, 2) == 0) {
			begin(w, (int)next(w, WRITERS));
		}
		return;
	}
	switch (next(w, 8)) {
	case 0:
		roll_back(w);
		break;
	case 1:
	case 2:
	case 3:
		put_frames(w);
		break;
	case 4:
	case 5:
		commit(w);
		break;
	default:
		break;
	}
}

static void step_between(struct world *w)
{
	for (unsigned i = next(w, 4); i > 0; i--) {
		step(w);
	}
}

static void test_in_any_order_the_one_who_wrote_is_a_candidate(void **state)
{
	struct world *w = *state;

	for (unsigned round = 0; round < 20000; round++) {
		struct wal_index_header header = w->header;

		step_between(w);
		w->is_torn = next(w, 16) == 0;
		w->between = next(w, 2) == 0 ? step_between : NULL;
		if (next(w, 8) > 0) {
			take_up_to(w, &header);
		} else {
			wal_writers_look(&w->writers, &header);
		}
		w->between = NULL;
		step_between(w);
	}
	assert_int_equal(w->wrong, 0);
	assert_true(w->alone > w->nobody && w->alone > 100 && w->several > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_one_that_wrote_alone_is_named),
	    TEST(test_several_in_one_group_are_candidates),
	    TEST(test_frames_that_were_told_before_their_header_count_with_it),
	    TEST(test_a_header_that_moves_while_it_is_drained_keeps_candidates),
	    TEST(test_a_commit_between_the_lock_and_the_header_is_seen),
	    TEST(test_an_open_transaction_outlasts_other_headers),
	    TEST(test_who_has_ended_is_no_candidate_though_others_go_on),
	    TEST(test_what_was_rolled_back_names_nobody_later),
	    TEST(test_before_the_watch_nobody_knows),
	    TEST(test_lost_events_are_nobody_until_all_is_settled),
	    TEST(test_a_torn_header_settles_nothing),
	    TEST(test_what_could_not_be_taken_keeps_its_candidates),
	    TEST(test_another_namespace_alone_is_nobody),
	    TEST(test_too_many_are_nobody),
	    TEST(test_the_same_writers_are_one_list),
	    TEST(test_in_any_order_the_one_who_wrote_is_a_candidate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

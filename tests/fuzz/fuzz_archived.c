/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive of anybody as a source of transactions, as rowtail events reads it: from
 * one of its states on, file by file, decoded into nowhere. The first CHOICES bytes say
 * how, below; the others are the archive (tests/lib/described_archive.h).
 *
 * Where nothing of it changes meanwhile it is known what must come, and which error
 * (tests/lib/archive_model.h). Where something does, pages of an honest one must still
 * be those of their moment, however they were found; of another one there is nothing to
 * compare with. In any case LSNs ascend, errors are such as may be, and neither memory,
 * files, descriptors nor threads are left.
 */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btree/record.h"
#include "schemas/table_filter.h"
#include "src/archive/archived.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/decode/decoder.h"
#include "src/history/temporary.h"
#include "src/storage/location.h"
#include "tests/lib/archive_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/*
 *  0  flags, below                         4  at which call the archive is out of
 *  1  --from in the low 4 bits, --until       reach
 *     in the others: latest, first, TXID,  5  for how many calls
 *     time                                 6  READING_...
 *  2  TXID or seconds of --from            7  MORE_...
 *  3  ... of --until
 */
#define CHOICES 8u

#define HONEST  0x01u
#define FOLLOWS 0x02u
#define FAR     0x04u
#define COPIES  0x08u /* the first state is put together */
#define READS   0x10u /* all rows of it are wanted */
#define DECODES 0x20u
#define RESUMES 0x40u /* of an honest one: an earlier run has come to --from */
#define MOVES   0x80u /* the base, behind each transaction */

#define READING_STRIDE 0x0fu /* of a transaction every so many pages, less 1 */
#define READING_OLD    0x10u /* again when it is decoded past */
#define READING_STOPS  0x20u /* stop_clean at the end */
#define READING_FIRST  0x40u /* all pages of the first state */

#define MORE_NARROW 0x01u /* the history has room for little */
#define MORE_LONG   0x02u /* who follows looks for long */
#define MORE_LAST   0x04u /* --from and --until are near the last TXID */
#define MORE_STOPS  0x08u /* before the end */

#define CHECK(condition)                                                             \
	do {                                                                         \
		if (!(condition)) {                                                  \
			(void)fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, \
				      #condition);                                   \
			abort();                                                     \
		}                                                                    \
	} while (0)

#define THREADS "/proc/self/task"
#define FDS     "/proc/self/fd"

#define MOST_TURNS 8u
#define SHORT_LOOK 4u
#define LONG_LOOK  70u /* more than between two looks at all levels */

struct run {
	struct described_archive *archive;
	unsigned flags;
	unsigned more;
	unsigned reading;
	struct when from;
	struct when until;
	bool is_steady;

	/* What must come, if that is known. */
	struct model_state *state; /* NULL: it is not */
	uint64_t until_txid;
	enum status opens; /* what archived_open must give, if `knows_opening` */
	bool knows_opening;

	/* Of one life. */
	struct history *history;
	struct source *source;
	struct decoder *decoder;
	struct table_filter *filter;
	uint64_t lsn; /* of the last transaction, or of the first state */
	uint32_t page_size;
	uint32_t page_count;
	unsigned steps;
	struct page_size_turn turn;
};

/* For the calls that have no context of ours. */
static struct run *running;

/* In place of that of src/storage. */
enum status location_open(const char *location, const struct storage_settings *settings,
			  struct storage **storage, struct error *err)
{
	(void)location;
	(void)settings;
	(void)err;
	*storage = described_archive_storage(running->archive);
	return ST_OK;
}

/* ---- errors ---- */

static bool has_faults(const struct run *run)
{
	return run->archive->fault_total > 0;
}

/* One line that says something, and a status that the parts may give. */
static void check_error(const struct run *run, enum status status,
			const struct error *err)
{
	CHECK(err->status == status);
	CHECK(memchr(err->text, '\0', sizeof err->text) && strlen(err->text) > 10);
	CHECK(!strchr(err->text, '\n'));
	switch (status) {
	case ST_CORRUPT:
	case ST_CONFIG:
	case ST_RETRY:
		return;
	case ST_LOST:
		CHECK(!run->is_steady);
		return;
	case ST_IO:
		CHECK(has_faults(run));
		return;
	default:
		(void)fprintf(stderr, "%s: %s\n", status_text(status), err->text);
		CHECK(false);
	}
}

/* ---- pages ---- */

static void check_page(const struct run *run, struct page_source *source,
		       uint32_t page_no)
{
	static const uint8_t zeros[65536];
	struct page_ref ref = {0};
	struct error err;
	enum status status = page_get(source, page_no, &ref, &err);
	const uint8_t *expected;

	if (page_no == 0 || page_no > source->page_count) {
		CHECK(status == ST_CORRUPT);
		return;
	}
	if (status != ST_OK) {
		check_error(run, status, &err);
		CHECK(!run->is_steady || !run->state);
		return;
	}
	if (run->state) {
		expected = run->state->pages[page_no - 1];
		CHECK(memcmp(ref.bytes, expected ? expected : zeros,
			     source->page_size) == 0);
	}
	page_put(source, &ref);
}

/* Those whose turn it is, or all. */
static void check_pages(const struct run *run, struct page_source *source, bool all)
{
	uint32_t stride = 1 + (run->reading & READING_STRIDE);

	if (run->state) {
		CHECK(source->page_count == run->state->page_count);
		CHECK(source->page_size == run->state->page_size);
	}
	for (uint32_t n = 0; n <= source->page_count + 1; n++) {
		if (all || (n + run->steps) % stride == 0) {
			check_page(run, source, n);
		}
		if (n > 2 * DESCRIBED_PAGES) { /* a size that somebody made up */
			return;
		}
	}
}

/* ---- decoding ---- */

static enum status on_catalog(void *context, struct catalog *catalog,
			      const struct catalog *previous, struct error *err)
{
	(void)context;
	(void)catalog;
	(void)previous;
	(void)err;
	return ST_OK;
}

static enum status on_ddl(void *context, enum ddl what, const struct table *old_table,
			  const struct table *new_table, struct error *err)
{
	(void)context;
	(void)what;
	(void)err;
	CHECK(old_table || new_table);
	return ST_OK;
}

static void on_damage(void *context, enum damaged_part part, const char *name,
		      const struct error *why)
{
	(void)part;
	(void)name;
	check_error(context, why->status, why);
}

static const struct table *told; /* the changes are of it */

static enum status on_table(void *context, const struct table *table, struct error *err)
{
	(void)context;
	(void)err;
	told = table;
	return ST_OK;
}

static void read_row(const struct value *row)
{
	for (uint32_t i = 0; row && i < told->column_count; i++) {
		CHECK(value_same(&row[i], &row[i]));
	}
}

static enum status on_change(void *context, const struct change *change,
			     struct error *err)
{
	(void)context;
	(void)err;
	CHECK(change->before || change->after);
	read_row(change->before);
	read_row(change->after);
	return ST_OK;
}

/* A schema that cannot be read ends a run: then only pages are looked at. */
static void open_decoder(struct run *run)
{
	const struct decoder_events events = {.context = run,
					      .catalog = on_catalog,
					      .ddl = on_ddl,
					      .damaged = on_damage,
					      .table = on_table,
					      .change = on_change};
	struct error err;
	enum status status;

	CHECK(table_filter_open(NULL, NULL, &run->filter, &err) == ST_OK);
	status =
	    decoder_open(run->history->view, run->filter, &events, &run->decoder, &err);
	if (status != ST_OK) {
		check_error(run, status, &err);
		run->decoder = NULL;
	}
}

/* ---- what must come ---- */

static void forget_state(struct run *run)
{
	model_state_free(run->state);
	run->state = NULL;
}

/* The state at --from and the end, of an archive that does not change. */
static void expect_opening(struct run *run)
{
	struct storage *storage = described_archive_storage(run->archive);
	struct archive_list list = {0};
	struct plan from = {0};
	struct plan until = {0};
	bool follows = run->flags & FOLLOWS;
	struct error err;

	CHECK(storage_list(storage, &list, &err) == ST_OK);
	run->opens = plan_init(&from, &list, &run->from, &err);
	run->knows_opening = true;
	run->until_txid = UINT64_MAX;
	if (run->opens == ST_OK) {
		run->state = model_merged(run->archive, &from);
		run->knows_opening = run->state != NULL;
	}
	if (run->opens == ST_OK && !follows) {
		run->opens = plan_init(&until, &list, &run->until, &err);
		run->until_txid = run->opens == ST_OK ? until.txid : 0;
		if (run->opens == ST_OK && until.txid < from.txid) {
			run->opens = ST_CONFIG;
		}
	}
	plan_clear(&from);
	plan_clear(&until);
	archive_list_clear(&list);
	storage_close(storage);
}

/* A file that was appended: it is the one that must come. */
static void expect_txn(struct run *run, const struct captured_txn *txn)
{
	const struct described_file *file;

	if (!run->state) {
		return;
	}
	if (!run->is_steady) {
		forget_state(run);
		run->state = model_honest(run->archive, txn->lsn + 1);
		return;
	}
	file = model_next(run->archive, run->state->txid, run->until_txid);
	CHECK(file && txn->lsn + 1 == file->file.max_txid);
	CHECK(model_step(run->state, file) == ST_OK);
	CHECK(txn->is_catch_up ==
	      (file->file.min_txid == 1 || (file->note & 0x80) != 0));
}

/* The source has failed: so it must. */
static void expect_failure(const struct run *run, enum status status)
{
	const struct described_file *file;
	struct page_size_turn turn = run->source->turn;

	CHECK((status == ST_RETRY) == (turn.txid > 0));
	if (!run->state || !run->is_steady) {
		return;
	}
	file = model_next(run->archive, run->state->txid, run->until_txid);
	if (file) {
		CHECK(model_step(run->state, file) == status);
		CHECK(status != ST_RETRY || (turn.txid == file->file.max_txid &&
					     turn.page_size == file->page_size));
		return;
	}
	CHECK(status == ST_CORRUPT && (run->flags & FOLLOWS)); /* a gap */
}

/* ---- an earlier run ---- */

static bool find_end(const struct history *history, struct history_end *end)
{
	(void)history;
	*end = (struct history_end){.lsn = running->state->txid - 1,
				    .page_count = running->state->page_count};
	return true;
}

static bool is_same_at_end(const struct history *history, uint32_t page_no,
			   const uint8_t *bytes)
{
	const struct model_state *state = running->state;
	const uint8_t *page =
	    page_no <= state->page_count ? state->pages[page_no - 1] : NULL;

	(void)history;
	return page && memcmp(page, bytes, state->page_size) == 0;
}

/* The pages that its history would have. */
static enum status read_kept(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	const struct model_state *state = context;

	(void)err;
	CHECK(page_no <= state->page_count);
	memset(bytes, 0, state->page_size);
	if (state->pages[page_no - 1]) {
		memcpy(bytes, state->pages[page_no - 1], state->page_size);
	}
	return ST_OK;
}

/* ---- transactions ---- */

static void check_txn(struct run *run, const struct captured_txn *txn)
{
	CHECK(txn->lsn > run->lsn && txn->lsn < run->until_txid);
	CHECK(txn->page_count_before == run->page_count);
	CHECK(txn->low_pages <= txn->page_count &&
	      txn->low_pages <= txn->page_count_before);
	CHECK(txn->merged != 1 && txn->retired_total == 0);
	CHECK(txn->bytes == (uint64_t)txn->page_total * run->page_size);
	for (size_t i = 0; i < txn->page_total; i++) {
		CHECK(txn->pages[i].page_no <= txn->page_count &&
		      txn->pages[i].page_no > (i ? txn->pages[i - 1].page_no : 0));
	}
	run->lsn = txn->lsn;
	run->page_count = txn->page_count;
	run->steps++;
}

/* Past it, as the decoder does or without it. False: the run ends here. */
static bool apply(struct run *run, struct captured_txn *txn)
{
	struct view *view = run->history->view;
	struct error err;
	enum status status;

	check_txn(run, txn);
	expect_txn(run, txn);
	if (run->decoder) {
		status = decoder_apply(run->decoder, txn, &err);
	} else {
		status = view_begin(view, txn, &err);
		CHECK(status == ST_OK);
		check_pages(run, view_new(view), false);
		view_end(view);
	}
	if (status != ST_OK) {
		check_error(run, status, &err);
		captured_txn_free(txn);
		return false;
	}
	run->history->done(run->history, txn);
	if (run->reading & READING_OLD) {
		check_pages(run, view_old(view), false);
	}
	return true;
}

static void wait_for_more(const struct run *run)
{
	struct pollfd fd = {.fd = run->history->wake_fd, .events = POLLIN};

	(void)poll(&fd, 1, 1);
}

static bool has_looked(const struct run *run)
{
	return (run->flags & FOLLOWS) &&
	       run->archive->lists >= (run->more & MORE_LONG ? LONG_LOOK : SHORT_LOOK);
}

/* Nothing failed: then all has come that there was. */
static void check_end(const struct run *run)
{
	if (run->is_steady && run->state) {
		CHECK(!model_next(run->archive, run->state->txid, run->until_txid));
	}
	check_pages(run, view_old(run->history->view), true);
}

static void check_failure(struct run *run, enum status status, const struct error *err)
{
	struct captured_txn *txn = NULL;
	struct error again;

	check_error(run, status, err);
	CHECK(run->source->next(run->source, &txn, &again) == status && !txn);
	CHECK(strcmp(again.text, err->text) == 0);
	/* Before the state becomes another one. */
	check_pages(run, view_old(run->history->view), true);
	expect_failure(run, status);
	run->turn = run->source->turn;
}

/* As src/follow.c does. */
static void follow(struct run *run)
{
	uint64_t until_lsn = UINT64_MAX;
	enum status status = ST_OK;
	struct error err;

	if (!(run->flags & FOLLOWS)) {
		CHECK(run->source->reach_now(run->source, NULL, &until_lsn, &err) ==
		      ST_OK);
		CHECK(run->until_txid == UINT64_MAX ||
		      until_lsn == run->until_txid - 1);
		run->until_txid = until_lsn + 1;
	}
	while (status == ST_OK) {
		struct captured_txn *txn;
		bool looked = has_looked(run);

		if ((run->more & MORE_STOPS) && run->steps >= 2) {
			return;
		}
		status = run->source->next(run->source, &txn, &err);
		if (status == ST_OK) {
			if (!apply(run, txn)) {
				return;
			}
		} else if (status == ST_END) {
			if (looked || run->lsn >= until_lsn) {
				check_end(run);
				return;
			}
			wait_for_more(run);
			status = ST_OK;
		}
	}
	check_failure(run, status, &err);
}

/* ---- one life ---- */

static enum status open_view(struct run *run, struct captured_txn *first,
			     struct error *err)
{
	struct history_base base = {.pages = run->source->pages,
				    .source_fd = run->source->fd,
				    .page_size = run->source->page_size,
				    .begun_ns = run->source->begun_ns};
	uint64_t lsn;

	if (!first) { /* It is the history that has the pages. */
		first = captured_txn_alloc(0, 0);
		CHECK(first);
		first->lsn = run->state->txid - 1;
		first->page_count = run->state->page_count;
		base.pages =
		    (struct view_base){.read = read_kept, .context = run->state};
		base.page_size = run->state->page_size;
	}
	if ((run->flags & MOVES) && base.pages.move) {
		base.pages.move_bytes = 1;
	}
	run->page_size = base.page_size;
	run->page_count = first->page_count;
	run->lsn = first->lsn;
	return run->history->open_view(run->history, &base, first, &lsn, err);
}

static enum status open_source(struct run *run, bool is_after_turn,
			       struct captured_txn **first, struct error *err)
{
	static const _Atomic int never;
	bool resumes = (run->flags & RESUMES) && run->state && !is_after_turn;
	struct archived_settings settings = {
	    .location = "archive",
	    .from = run->from,
	    .until = run->until,
	    .follows = run->flags & FOLLOWS,
	    .poll_ns = 1,
	    .history = run->history,
	    .page_size = resumes ? run->state->page_size : 0,
	    .reads_all = run->flags & READS,
	    .is_after_turn = is_after_turn,
	    .stop = &never,
	};

	if (resumes) {
		run->history->find_end = find_end;
		run->history->is_same_at_end = is_same_at_end;
	}
	run->history->copies = run->flags & COPIES;
	return archived_open(&settings, &run->source, first, err);
}

/* Are the pages those of their moment, whatever happens meanwhile? Those that are read
 * one by one are not compared with the checksum of their file. */
static bool knows_pages(const struct run *run)
{
	return run->archive->is_honest &&
	       (!run->archive->is_damaged || (run->flags & COPIES));
}

/* A model of the state that lies under a base must not go on with it. */
static struct model_state *copy_of(const struct model_state *state)
{
	struct model_state *copy = malloc(sizeof *copy);

	CHECK(copy);
	*copy = *state;
	copy->pages = calloc((size_t)state->page_count + 1, sizeof *copy->pages);
	CHECK(copy->pages);
	memcpy(copy->pages, state->pages, state->page_count * sizeof *copy->pages);
	return copy;
}

static void go(struct run *run, struct captured_txn *first)
{
	struct model_state *kept = run->state;
	struct error err;
	enum status status = run->source->start(run->source, &err);

	CHECK(status == ST_OK);
	if (first && knows_pages(run) && !run->is_steady) {
		forget_state(run);
		run->state = model_honest(run->archive, first->lsn + 1);
		kept = NULL;
	}
	if (!first) {
		status = open_view(run, NULL, &err);
		run->state = copy_of(kept);
	} else {
		CHECK(!run->state || first->lsn + 1 == run->state->txid);
		kept = NULL;
		status = open_view(run, first, &err);
	}
	CHECK(status == ST_OK);
	if (run->flags & DECODES) {
		open_decoder(run);
	}
	if (run->reading & READING_FIRST) {
		check_pages(run, view_old(run->history->view), true);
	}
	follow(run);
	if (run->reading & READING_STOPS) {
		run->source->stop_clean(run->source);
	}
	decoder_close(run->decoder);
	table_filter_close(run->filter);
	run->source->close(run->source);
	run->history->close(run->history);
	model_state_free(kept);
}

static void live(struct run *run, bool is_after_turn)
{
	struct captured_txn *first = NULL;
	struct error err;
	enum status status;

	run->source = NULL;
	run->decoder = NULL;
	run->filter = NULL;
	run->steps = 0;
	run->turn = (struct page_size_turn){0};
	run->archive->lists = 0;
	CHECK(temporary_open(run->more & MORE_NARROW ? 600 : 64u << 20, &run->history,
			     &err) == ST_OK);
	status = open_source(run, is_after_turn, &first, &err);
	if (run->knows_opening) {
		CHECK(status == run->opens);
	}
	if (status == ST_OK) {
		CHECK(run->source);
		go(run, first);
		return;
	}
	CHECK(!run->source && !first && status != ST_RETRY);
	check_error(run, status, &err);
	run->history->close(run->history);
}

/* ---- all ---- */

static struct when when_of(unsigned kind, unsigned value, bool is_last,
			   const char *option)
{
	static const enum when_kind kinds[] = {WHEN_LATEST, WHEN_FIRST, WHEN_TXID,
					       WHEN_TIME};

	return (struct when){
	    .kind = kinds[kind % 4],
	    .txid = is_last ? UINT64_MAX - 511 + 2 * value : value,
	    .time_ns = (int8_t)value * (kind & 4 ? 256 : 1) * NS_PER_S,
	    .option = option,
	};
}

/* An earlier run has come to a state that there is. */
static void resume(struct run *run)
{
	uint64_t total = 0;

	for (size_t i = 0; i < run->archive->count; i++) {
		total += run->archive->files[i].file.level == 0;
	}
	if (total == 0) {
		run->flags &= ~RESUMES;
		return;
	}
	run->state = model_honest(run->archive, 1 + run->from.txid % total);
	run->knows_opening = false;
}

static void run_lives(struct run *run)
{
	for (unsigned turns = 0; turns <= MOST_TURNS; turns++) {
		bool resumes = (run->flags & RESUMES) && run->archive->is_honest;

		run->knows_opening = false;
		run->until_txid = UINT64_MAX;
		if (resumes) {
			resume(run);
		} else if (run->is_steady) {
			expect_opening(run);
		}
		live(run, turns > 0);
		forget_state(run);
		if (run->turn.txid == 0) {
			return;
		}
		run->from = (struct when){
		    .kind = WHEN_TXID, .txid = run->turn.txid, .option = "--from"};
		run->flags &= ~RESUMES;
	}
}

/* Threads, or descriptors. A thread that was joined may still be seen for a moment. */
static size_t count_of(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;

	CHECK(folder);
	while (readdir(folder)) {
		count++;
	}
	(void)closedir(folder);
	return count;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_setup(LOG_ERROR, false);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct run run = {0};
	size_t threads = count_of(THREADS);
	size_t fds = count_of(FDS);

	if (len < CHOICES) {
		return -1;
	}
	run.flags = bytes[0];
	run.more = bytes[7];
	run.reading = bytes[6];
	run.from = when_of(bytes[1] & 15, bytes[2], run.more & MORE_LAST, "--from");
	run.until = when_of(bytes[1] >> 4, bytes[3], run.more & MORE_LAST, "--until");
	run.archive = described_archive_open(bytes + CHOICES, len - CHOICES,
					     run.flags & HONEST, run.flags & FAR);
	run.archive->fault_at = bytes[4];
	run.archive->fault_total = bytes[5];
	run.is_steady =
	    run.archive->is_still && !run.archive->is_damaged && bytes[5] == 0;
	/* A stranger's other states are other databases. */
	run.flags &= run.archive->is_honest ? ~0u : ~(MOVES | RESUMES);
	running = &run;
	run_lives(&run);
	described_archive_close(run.archive);
	CHECK(count_of(FDS) == fds);
	for (unsigned i = 0; count_of(THREADS) > threads; i++) {
		CHECK(i < 1000);
		(void)usleep(1000);
	}
	return 0;
}

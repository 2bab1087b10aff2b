/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_moment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/time_text.h"
#include "src/state/known_journal.h"
#include "src/state/known_pages.h"
#include "src/state/state_folder.h"

/* What is found while the journal is read. */
struct search {
	const struct state_when *when;
	struct state_moment first;  /* S */
	struct state_moment before; /* the last that is not behind what is asked for */
	struct state_moment after;  /* the next one */
	bool is_begun;              /* a record was seen */
	bool has_before;
	bool has_after;
};

static bool is_before(const struct state_when *when, const struct state_moment *moment)
{
	switch (when->kind) {
	case STATE_AT_FIRST:
		return false;
	case STATE_AT_LSN:
		return moment->lsn <= when->lsn;
	case STATE_AT_TIME:
		return moment->time_ns <= when->time_ns;
	case STATE_AT_LATEST:
		break;
	}
	return true;
}

static void look_at(struct search *search, const struct state_moment *moment)
{
	if (is_before(search->when, moment)) {
		search->before = *moment;
		search->has_before = true;
		search->has_after = false;
	} else if (!search->has_after) {
		search->after = *moment;
		search->has_after = true;
	}
}

/* journal_read's visit. */
static enum status visit(void *context, const struct journal_found *found,
			 struct error *err)
{
	struct search *search = context;
	const struct state_moment moment = {.lsn = found->record.lsn,
					    .time_ns = found->record.captured_ns};

	(void)err;
	if (!search->is_begun) {
		search->is_begun = true;
		if (moment.time_ns < search->first.time_ns) {
			search->first.time_ns = moment.time_ns;
		}
		look_at(search, &search->first);
	}
	look_at(search, &moment);
	return ST_OK;
}

static enum status find_meta_time(const struct state_dir *dir, int64_t *time_ns,
				  struct error *err)
{
	struct stat st;

	if (fstatat(state_dir_fd(dir), STATE_META_FILE, &st, AT_SYMLINK_NOFOLLOW) !=
	    0) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(state_dir_path(dir)).text);
	}
	*time_ns = clock_ns_of(st.st_mtim);
	return ST_OK;
}

/* "lsn:41 (2026-...)" */
static void moment_text(const struct state_moment *moment, char *text, size_t size)
{
	(void)snprintf(text, size, "lsn:%" PRIu64 " (%s)", moment->lsn,
		       time_text_ms(moment->time_ns).text);
}

static enum status no_moment(const struct state_dir *dir, const struct search *search,
			     struct error *err)
{
	char what[64];
	char texts[2][80] = {"", ""};
	bool both = search->has_before && search->has_after;

	if (search->when->kind == STATE_AT_LSN) {
		(void)snprintf(what, sizeof what, "lsn:%" PRIu64, search->when->lsn);
	} else {
		(void)snprintf(what, sizeof what, "at or before %s",
			       time_text_ms(search->when->time_ns).text);
	}
	if (search->has_before) {
		moment_text(&search->before, texts[0], sizeof texts[0]);
	}
	if (search->has_after) {
		moment_text(&search->after, texts[1], sizeof texts[1]);
	}
	return error_set(err, ST_CONFIG,
			 "%s has no state %s; the nearest that it has %s %s%s%s: give "
			 "one of them, or an archive, which has older ones",
			 quote(state_dir_path(dir)).text, what, both ? "are" : "is",
			 texts[0], both ? " and " : "", texts[1]);
}

enum status state_moment_find(const struct state_dir *dir,
			      const struct state_when *when, struct state_moment *found,
			      struct error *err)
{
	struct search search = {.when = when,
				.first = {.lsn = state_dir_meta(dir)->base_lsn}};
	struct journal_reading how = {.visit = visit, .context = &search};
	struct journal_end end;
	enum status status = find_meta_time(dir, &search.first.time_ns, err);

	if (status == ST_OK) {
		status = known_journal_read(dir, &how, &end, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (!search.is_begun) {
		look_at(&search, &search.first);
	}
	if (when->kind == STATE_AT_FIRST) {
		*found = search.first;
		return ST_OK;
	}
	*found = search.before;
	return search.has_before &&
		       (when->kind != STATE_AT_LSN || found->lsn == when->lsn)
		   ? ST_OK
		   : no_moment(dir, &search, err);
}

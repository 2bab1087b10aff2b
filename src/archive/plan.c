/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"
#include "src/base/time_text.h"

/* ---- states ---- */

void moments_clear(struct moments *moments)
{
	free(moments->all);
	*moments = (struct moments){0};
}

static int compare_ends(const void *left, const void *right)
{
	const struct archive_file *a = *(const struct archive_file *const *)left;
	const struct archive_file *b = *(const struct archive_file *const *)right;

	if (a->max_txid != b->max_txid) {
		return a->max_txid < b->max_txid ? -1 : 1;
	}
	return a->min_txid < b->min_txid ? -1 : a->min_txid > b->min_txid;
}

/* Does the time of a file tell more of a state than that of `other`? */
static bool tells_time(const struct archive_file *file,
		       const struct archive_file *other)
{
	return file->time_is_rough ? file->level < other->level
				   : file->time_ns < other->time_ns;
}

/* The next file in the order of ends: it makes a state, or is one more way to it.
 * `reached`: the last TXID that can be reached, 0: none. */
static void add_moment(struct moments *moments, const struct archive_file *file,
		       uint64_t *reached)
{
	struct moment *last =
	    moments->count > 0 ? &moments->all[moments->count - 1] : NULL;

	if (!last || last->txid != file->max_txid) {
		last = &moments->all[moments->count++];
		*last = (struct moment){.txid = file->max_txid, .file = file};
	}
	if (tells_time(file, last->file)) {
		last->file = file;
	}
	last->time_ns = last->file->time_ns;
	last->time_is_rough = last->file->time_is_rough;
	if (file->min_txid - 1 <= *reached) {
		last->is_reachable = true;
		*reached = file->max_txid;
	}
}

enum status moments_init(struct moments *moments, const struct archive_list *list,
			 struct error *err)
{
	const struct archive_file **ends =
	    calloc(list->count + 1, sizeof(const struct archive_file *));
	uint64_t reached = 0;

	*moments = (struct moments){
	    .all = calloc(list->count + 1, sizeof *moments->all),
	};
	if (!ends || !moments->all) {
		free(ends);
		moments_clear(moments);
		return error_no_memory(err, "the list of an archive");
	}
	for (size_t i = 0; i < list->count; i++) {
		ends[i] = &list->files[i];
	}
	if (list->count > 1) {
		qsort(ends, list->count, sizeof(const struct archive_file *),
		      compare_ends);
	}
	for (size_t i = 0; i < list->count; i++) {
		add_moment(moments, ends[i], &reached);
	}
	free(ends);
	return ST_OK;
}

enum status moments_ask_time(struct moment *moment, const struct archive_list *list,
			     struct error *err)
{
	enum status status = ST_OK;

	if (moment->time_is_rough) {
		status =
		    storage_time(list->storage, moment->file, &moment->time_ns, err);
		moment->time_is_rough = status != ST_OK;
	}
	return status;
}

/* The newest state that can be reached, of those below `txid`, or at it; NULL: none. */
static struct moment *moment_before(const struct moments *moments, uint64_t txid)
{
	struct moment *found = NULL;

	for (size_t i = 0; i < moments->count && moments->all[i].txid <= txid; i++) {
		if (moments->all[i].is_reachable) {
			found = &moments->all[i];
		}
	}
	return found;
}

/* The oldest one above `txid`; NULL: none. */
static struct moment *moment_after(const struct moments *moments, uint64_t txid)
{
	for (size_t i = 0; i < moments->count; i++) {
		if (moments->all[i].txid > txid && moments->all[i].is_reachable) {
			return &moments->all[i];
		}
	}
	return NULL;
}

/* ---- gaps ---- */

bool gap_find(const struct archive_list *list, const struct moments *moments,
	      uint64_t txid, struct gap *gap)
{
	const struct moment *reached = NULL;

	*gap = (struct gap){0};
	for (size_t i = 0; i < moments->count; i++) {
		const struct moment *m = &moments->all[i];

		if (m->is_reachable) {
			reached = m;
		} else if (m->txid > txid) {
			break;
		}
		if (i + 1 == moments->count) {
			return false;
		}
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *file = &list->files[i];

		if (reached && file->max_txid == reached->txid &&
		    (!gap->before || file->min_txid > gap->before->min_txid)) {
			gap->before = file;
		}
		if (file->min_txid - 1 > (reached ? reached->txid : 0) &&
		    (!gap->after || file->min_txid < gap->after->min_txid)) {
			gap->after = file;
		}
	}
	return gap->after != NULL;
}

/* ---- the state that is asked for ---- */

/* "TXID 1f (2026-…)" */
static void moment_text(const struct moment *moment, char *text, size_t size)
{
	(void)snprintf(text, size, "txid:%" PRIx64 " (%s)", moment->txid,
		       time_text_ms(moment->time_ns).text);
}

/* `what` is not in the archive, whose nearest states are on both sides of `txid`. */
static enum status no_moment(const struct archive_list *list,
			     const struct moments *moments, uint64_t txid,
			     const struct when *when, const char *what,
			     struct error *err)
{
	struct moment *before = moment_before(moments, txid);
	struct moment *after = moment_after(moments, txid);
	char texts[2][80];

	if ((before && moments_ask_time(before, list, err) != ST_OK) ||
	    (after && moments_ask_time(after, list, err) != ST_OK)) {
		return err->status;
	}

	if (before) {
		moment_text(before, texts[0], sizeof texts[0]);
	}
	if (after) {
		moment_text(after, texts[1], sizeof texts[1]);
	}
	if (!before && !after) {
		return error_set(err, ST_CORRUPT,
				 "the archive has no whole database (a file that "
				 "begins at TXID 1): nothing can be restored from it; "
				 "give another archive");
	}
	return error_set(err, ST_CONFIG,
			 "the archive has no state %s; the nearest that it has %s "
			 "%s%s%s: give %s one of them",
			 what, before && after ? "are" : "is",
			 before ? texts[0] : texts[1], before && after ? " and " : "",
			 before && after ? texts[1] : "", when_option(when));
}

static enum status gap_error(const struct gap *gap, const struct when *when,
			     const char *what, struct error *err)
{
	if (!gap->before) {
		return error_set(err, ST_CORRUPT,
				 "%s cannot be restored: the archive has no whole "
				 "database before %s",
				 what, archive_name(gap->after).text);
	}
	return error_set(
	    err, ST_CORRUPT,
	    "%s cannot be restored: files are missing between %s and %s; the "
	    "last state before that gap is %s txid:%" PRIx64,
	    what, archive_name(gap->before).text, archive_name(gap->after).text,
	    when_option(when), gap->before->max_txid);
}

/* `wanted` is a state, or not, that cannot be reached. */
static enum status unreachable(const struct archive_list *list,
			       const struct moments *moments, const struct when *when,
			       uint64_t wanted, bool is_state, struct error *err)
{
	const struct moment *after = moment_after(moments, wanted);
	struct gap gap;
	char what[64];

	(void)snprintf(what, sizeof what, "txid:%" PRIx64, wanted);
	if ((is_state || !after) && gap_find(list, moments, wanted - 1, &gap) &&
	    gap.after->min_txid <= wanted) {
		return gap_error(&gap, when, what, err);
	}
	return no_moment(list, moments, wanted, when, what, err);
}

/* The last state at or before a time, by asking for few of their times. */
static enum status bisect(const struct archive_list *list,
			  const struct moments *moments, int64_t time_ns,
			  struct moment **found, struct error *err)
{
	size_t low = 0;
	size_t high = moments->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct moment *m = &moments->all[middle];

		if (moments_ask_time(m, list, err) != ST_OK) {
			return err->status;
		}
		if (m->time_ns <= time_ns) {
			low = middle + 1;
			*found = m;
		} else {
			high = middle;
		}
	}
	return ST_OK;
}

/* The same where all times are known, which need not ascend. */
static void scan(const struct moments *moments, const struct when *when,
		 struct moment **found)
{
	for (size_t i = 0; i < moments->count; i++) {
		struct moment *m = &moments->all[i];

		if (when->kind == WHEN_FIRST) {
			*found = m->is_reachable && !*found ? m : *found;
		} else if (when->kind == WHEN_TXID ? m->txid == when->txid
						   : when->kind == WHEN_LATEST ||
							 m->time_ns <= when->time_ns) {
			*found = m;
		}
	}
}

static bool has_rough_times(const struct archive_list *list)
{
	for (size_t i = 0; list->storage && i < list->count; i++) {
		if (list->files[i].time_is_rough) {
			return true;
		}
	}
	return false;
}

/* The state that `when` means. */
static enum status find_moment(const struct archive_list *list,
			       const struct moments *moments, const struct when *when,
			       struct moment **found, struct error *err)
{
	enum status status = ST_OK;

	*found = NULL;
	if (when->kind == WHEN_TIME && has_rough_times(list)) {
		status = bisect(list, moments, when->time_ns, found, err);
	} else {
		scan(moments, when, found);
	}
	if (status != ST_OK || (*found && (*found)->is_reachable)) {
		return status;
	}
	if (*found) {
		return unreachable(list, moments, when, (*found)->txid, true, err);
	}
	if (when->kind == WHEN_TIME) {
		char what[64];

		(void)snprintf(what, sizeof what, "at or before %s",
			       time_text_ms(when->time_ns).text);
		return no_moment(list, moments, 0, when, what, err);
	}
	return unreachable(list, moments, when, when->txid, false, err);
}

/* ---- the plan ---- */

void plan_clear(struct plan *plan)
{
	free(plan->files);
	*plan = (struct plan){0};
}

/* Does `file` lead farther than `best` (NULL: none yet), or from nearer? */
static bool is_better(const struct archive_file *file, const struct archive_file *best)
{
	return !best || file->max_txid > best->max_txid ||
	       (file->max_txid == best->max_txid && file->min_txid > best->min_txid);
}

static const struct archive_file *find_base(const struct archive_list *list,
					    uint64_t txid)
{
	const struct archive_file *snapshot = NULL;
	const struct archive_file *other = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *file = &list->files[i];
		const struct archive_file **best =
		    file->level == ARCHIVE_SNAPSHOT_LEVEL ? &snapshot : &other;

		if (file->min_txid == 1 && file->max_txid <= txid &&
		    is_better(file, *best)) {
			*best = file;
		}
	}
	return snapshot ? snapshot : other;
}

static const struct archive_file *find_next(const struct archive_list *list,
					    uint64_t from, uint64_t txid)
{
	const struct archive_file *best = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *file = &list->files[i];

		if (file->min_txid - 1 <= from && file->max_txid > from &&
		    file->max_txid <= txid && is_better(file, best)) {
			best = file;
		}
	}
	return best;
}

static enum status add_file(struct plan *plan, const struct archive_file *file,
			    struct error *err)
{
	if (file->min_txid == 1) {
		plan->count = 0;
	}
	if (!array_room((void *)&plan->files, &plan->cap, plan->count + 1,
			sizeof(const struct archive_file *))) {
		return error_no_memory(err, "the files of a restore");
	}
	plan->files[plan->count++] = file;
	return ST_OK;
}

/* From the base on. `moment` is reachable. */
static enum status find_files(struct plan *plan, const struct archive_list *list,
			      const struct moment *moment, struct error *err)
{
	const struct archive_file *file = find_base(list, moment->txid);
	enum status status = ST_OK;

	plan->txid = moment->txid;
	plan->time_ns = moment->time_ns;
	while (status == ST_OK && file) {
		status = add_file(plan, file, err);
		if (file->max_txid == moment->txid) {
			return status;
		}
		file = find_next(list, file->max_txid, moment->txid);
	}
	return status == ST_OK
		   ? error_set(err, ST_CORRUPT,
			       "no way through the archive leads to txid:%" PRIx64
			       "; give another moment",
			       moment->txid)
		   : status;
}

enum status plan_init(struct plan *plan, const struct archive_list *list,
		      const struct when *when, struct error *err)
{
	struct moment *moment;
	struct moments moments;
	enum status status;

	*plan = (struct plan){0};
	if (list->count == 0) {
		return error_set(err, ST_CONFIG,
				 "the archive has no files yet: give another one");
	}
	status = moments_init(&moments, list, err);
	if (status != ST_OK) {
		return status;
	}
	status = find_moment(list, &moments, when, &moment, err);
	if (status == ST_OK) {
		status = moments_ask_time(moment, list, err);
	}
	if (status == ST_OK) {
		status = find_files(plan, list, moment, err);
	}
	moments_clear(&moments);
	if (status != ST_OK) {
		plan_clear(plan);
	}
	return status;
}

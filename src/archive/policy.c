/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/policy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"
#include "src/base/clock.h"

#define MINUTE_NS (60 * NS_PER_S)
#define HOUR_NS   (60 * MINUTE_NS)
#define DAY_NS    (24 * HOUR_NS)

struct policy policy_default(void)
{
	return (struct policy){
	    .level_ns = {30 * NS_PER_S, 5 * MINUTE_NS, HOUR_NS},
	    .level_count = 3,
	    .snapshot_ns = DAY_NS,
	    .retention_ns = 7 * DAY_NS,
	    .l0_retention_ns = DAY_NS,
	    .grace_ns = POLICY_GRACE_MIN,
	};
}

/* The last multiple of `interval_ns` that is not behind `time_ns`. */
static int64_t multiple(int64_t time_ns, int64_t interval_ns)
{
	int64_t past = time_ns % interval_ns;

	return time_ns - (past < 0 ? past + interval_ns : past);
}

/* Where the files of each level begin in a list, which is sorted; the last is its end.
 */
struct levels {
	const struct archive_file *at[ARCHIVE_LEVELS + 1];
};

static struct levels find_levels(const struct archive_list *list)
{
	struct levels levels;
	size_t i = 0;

	for (unsigned level = 0; level <= ARCHIVE_LEVELS; level++) {
		while (i < list->count && list->files[i].level < level) {
			i++;
		}
		levels.at[level] = list->files + i;
	}
	return levels;
}

/* ---- steps ---- */

void policy_step_clear(struct policy_step *step)
{
	free(step->inputs);
	*step = (struct policy_step){0};
}

static enum status add_input(struct policy_step *step, const struct archive_file *file,
			     struct error *err)
{
	if (!array_room((void *)&step->inputs, &step->cap, step->input_count + 1,
			sizeof(const struct archive_file *))) {
		return error_no_memory(err, "files of an archive");
	}
	step->inputs[step->input_count++] = file;
	return ST_OK;
}

/* ---- compaction ---- */

/* Files of one level, in order, each of which leads on from the one before. */
struct run {
	const struct archive_file *first;
	size_t count;
};

static bool leads_on(const struct archive_file *from, const struct archive_file *file)
{
	return file->min_txid - 1 <= from->max_txid && file->max_txid > from->max_txid;
}

/* The next run of files before `end` that are behind `txid`, from `*at` on, which is
 * moved. */
static struct run next_run(const struct archive_file **at,
			   const struct archive_file *end, uint64_t txid)
{
	struct run run = {0};

	for (; *at < end; (*at)++) {
		const struct archive_file *file = *at;

		/* A whole database is a base, and no step. */
		if (file->min_txid <= txid || file->min_txid == 1) {
			if (run.count > 0) {
				break;
			}
			continue;
		}
		if (run.count > 0 && !leads_on(run.first + run.count - 1, file)) {
			break;
		}
		run.first = run.count > 0 ? run.first : file;
		run.count++;
	}
	return run;
}

/* How many files of a run are of one interval that is over, and not alone; 0: none.
 * POLICY_FILES at most. */
static size_t files_of_interval(const struct run *run, int64_t interval_ns,
				int64_t now_ns)
{
	int64_t end = multiple(run->first->time_ns, interval_ns) + interval_ns;
	size_t count = 0;

	while (count < run->count && count < POLICY_FILES) {
		int64_t time_ns = run->first[count].time_ns;

		if (time_ns >= end && count > 1) {
			break;
		}
		if (time_ns >= end) {
			end = multiple(time_ns, interval_ns) + interval_ns;
		}
		count++;
	}
	return count > 1 && end <= now_ns ? count : 0;
}

/* How many files of a run are due. `interval_ns` is 0: by count alone. */
static size_t due_files(const struct run *run, int64_t interval_ns, int64_t now_ns)
{
	size_t count =
	    interval_ns > 0 ? files_of_interval(run, interval_ns, now_ns) : 0;

	return count == 0 && run->count >= POLICY_FILES ? POLICY_FILES : count;
}

static enum status next_compaction(const struct policy *policy,
				   const struct levels *levels, unsigned level,
				   int64_t now_ns, struct policy_step *step,
				   struct error *err)
{
	int64_t interval_ns =
	    level <= policy->level_count ? policy->level_ns[level - 1] : 0;
	const struct archive_file *at = levels->at[level - 1];
	const struct archive_file *end = levels->at[level];
	const struct archive_file *above = levels->at[level + 1];
	uint64_t txid = above > end ? above[-1].max_txid : 0;
	enum status status = ST_OK;

	step->level = level;
	while (at < end && step->input_count == 0 && status == ST_OK) {
		struct run run = next_run(&at, end, txid);
		size_t count = run.count > 0 ? due_files(&run, interval_ns, now_ns) : 0;

		for (size_t i = 0; status == ST_OK && i < count; i++) {
			status = add_input(step, run.first + i, err);
		}
	}
	return status;
}

/* ---- snapshots ---- */

/* The newest whole database of level 9 that is not newer than these; NULL: none. */
static const struct archive_file *find_snapshot(const struct archive_list *list,
						uint64_t before_txid, int64_t time_ns,
						int64_t stored_ns)
{
	const struct archive_file *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *f = &list->files[i];

		if (f->level == ARCHIVE_SNAPSHOT_LEVEL && f->min_txid == 1 &&
		    f->max_txid < before_txid && f->time_ns <= time_ns &&
		    f->stored_ns <= stored_ns &&
		    (f->stored_ns > 0 || stored_ns == INT64_MAX)) {
			found = f;
		}
	}
	return found;
}

static const struct archive_file *newest_snapshot(const struct archive_list *list)
{
	return find_snapshot(list, UINT64_MAX, INT64_MAX, INT64_MAX);
}

/* Is any file behind `txid` older than `time_ns`? */
static bool has_older(const struct archive_list *list, uint64_t txid, int64_t time_ns)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->files[i].max_txid > txid &&
		    list->files[i].time_ns < time_ns) {
			return true;
		}
	}
	return false;
}

/* The files that lead to a state. */
static enum status plan_step(const struct archive_list *list, uint64_t txid,
			     struct policy_step *step, struct error *err)
{
	const struct when when = {.kind = WHEN_TXID, .txid = txid};
	struct plan plan;
	enum status status = plan_init(&plan, list, &when, err);

	step->level = ARCHIVE_SNAPSHOT_LEVEL;
	for (size_t i = 0; status == ST_OK && plan.count > 1 && i < plan.count; i++) {
		status = add_input(step, plan.files[i], err);
	}
	plan_clear(&plan);
	return status;
}

static enum status next_snapshot(const struct policy *policy,
				 const struct archive_list *list, int64_t now_ns,
				 struct policy_step *step, struct error *err)
{
	const struct archive_file *last = newest_snapshot(list);
	uint64_t last_txid = last ? last->max_txid : 0;
	uint64_t txid = 0;
	struct moments moments;
	int64_t end;
	enum status status;

	if (policy->snapshot_ns == 0) {
		return ST_OK;
	}
	end = multiple(now_ns, policy->snapshot_ns);
	if (!has_older(list, last_txid, end)) {
		return ST_OK;
	}
	status = moments_init(&moments, list, err);
	for (size_t i = 0; status == ST_OK && i < moments.count; i++) {
		const struct moment *m = &moments.all[i];

		if (m->is_reachable && m->time_ns < end && m->txid > last_txid) {
			txid = m->txid;
		}
	}
	if (status == ST_OK) {
		moments_clear(&moments);
	}
	return status == ST_OK && txid > 0 ? plan_step(list, txid, step, err) : status;
}

enum status policy_next(const struct policy *policy, const struct archive_list *list,
			int64_t now_ns, struct policy_step *step, struct error *err)
{
	const struct levels levels = find_levels(list);
	enum status status = ST_OK;

	*step = (struct policy_step){0};
	for (unsigned level = 1;
	     status == ST_OK && step->input_count == 0 && level <= POLICY_LEVELS;
	     level++) {
		status = next_compaction(policy, &levels, level, now_ns, step, err);
	}
	return status == ST_OK && step->input_count == 0
		   ? next_snapshot(policy, list, now_ns, step, err)
		   : status;
}

/* ---- retention ---- */

/* What may go, and why. */
struct retention {
	const struct policy *policy;
	const struct archive_list *list;
	struct levels levels;
	int64_t now_ns;
	uint64_t least_txid; /* states before it are not kept; 0: all are */
	uint64_t last_l0;
	bool *goes; /* of each file of the list */
};

/* The snapshot that states are kept from: behind it another one is old enough, too. */
static uint64_t least_kept(const struct policy *policy, const struct archive_list *list,
			   int64_t now_ns)
{
	int64_t keep_ns = policy->retention_ns > policy->l0_retention_ns
			      ? policy->retention_ns
			      : policy->l0_retention_ns;
	const struct archive_file *needed;
	const struct archive_file *spare;

	if (policy->retention_ns == 0 || policy->l0_retention_ns == 0) {
		return 0;
	}
	needed = find_snapshot(list, UINT64_MAX, now_ns - keep_ns,
			       now_ns - policy->grace_ns);
	spare =
	    needed ? find_snapshot(list, needed->max_txid, INT64_MAX, INT64_MAX) : NULL;
	return spare ? spare->max_txid : 0;
}

static bool is_before(const struct retention *r, const struct archive_file *file)
{
	return file->max_txid < r->least_txid || (file->max_txid == r->least_txid &&
						  file->level < ARCHIVE_SNAPSHOT_LEVEL);
}

/* Files of a level that may cover others, each beginning behind the end of the last:
 * the first that ends at `txid` or behind it. */
static const struct archive_file *find_end(const struct archive_file *files,
					   size_t count, uint64_t txid)
{
	size_t low = 0;

	while (low < count) {
		size_t middle = low + (count - low) / 2;

		if (files[middle].max_txid < txid) {
			low = middle + 1;
		} else {
			count = middle;
		}
	}
	return files + low;
}

/* Does a file of levels 1 to 8 that is there long enough have what `file` has? It must
 * be old itself: a younger state inside it is reached by way of `file`. */
static bool is_covered(const struct retention *r, const struct archive_file *file)
{
	for (unsigned level = 1; level < ARCHIVE_SNAPSHOT_LEVEL; level++) {
		const struct archive_file *at = r->levels.at[level];
		const struct archive_file *end = r->levels.at[level + 1];
		const struct archive_file *f =
		    find_end(at, (size_t)(end - at), file->max_txid);

		if (f < end && f->min_txid <= file->min_txid &&
		    f->time_ns < r->now_ns - r->policy->l0_retention_ns &&
		    f->stored_ns > 0 &&
		    f->stored_ns <= r->now_ns - r->policy->grace_ns) {
			return true;
		}
	}
	return false;
}

static bool is_old_l0(const struct retention *r, const struct archive_file *file)
{
	return r->policy->l0_retention_ns > 0 && file->level == 0 &&
	       file->max_txid != r->last_l0 && is_covered(r, file);
}

/* Is the state that a file leads to one that shall be kept? */
static bool is_promised(const struct retention *r, const struct archive_file *file)
{
	return file->max_txid >= r->least_txid &&
	       (file->level > 0 || r->policy->l0_retention_ns == 0 ||
		file->time_ns >= r->now_ns - r->policy->l0_retention_ns);
}

static bool is_reachable(const struct moments *moments, uint64_t txid)
{
	size_t low = 0;
	size_t high = moments->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (moments->all[middle].txid < txid) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < moments->count && moments->all[low].txid == txid &&
	       moments->all[low].is_reachable;
}

/* Whatever the rules say: with what is left each state that shall be kept can be
 * reached, if it could be before. */
static enum status check_rest(const struct retention *r, const struct moments *before,
			      struct error *err)
{
	struct archive_list rest = {0};
	struct moments after = {0};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < r->list->count; i++) {
		if (!r->goes[i]) {
			status = archive_list_add(&rest, &r->list->files[i], err);
		}
	}
	if (status == ST_OK) {
		status = moments_init(&after, &rest, err);
	}
	for (size_t i = 0; status == ST_OK && i < r->list->count; i++) {
		const struct archive_file *file = &r->list->files[i];

		if (is_promised(r, file) && is_reachable(before, file->max_txid) &&
		    !is_reachable(&after, file->max_txid)) {
			status = error_set(
			    err, ST_CORRUPT,
			    "nothing is removed: without what is past its time the "
			    "state txid:%" PRIx64 ", which is kept, could not be "
			    "restored; rowtail archive list shows the files",
			    file->max_txid);
		}
	}
	moments_clear(&after);
	archive_list_clear(&rest);
	return status;
}

/* Back from the newest end; of one end whole databases last. */
static int compare_back(const void *left, const void *right)
{
	const struct archive_file *a = left;
	const struct archive_file *b = right;

	if (a->max_txid != b->max_txid) {
		return a->max_txid > b->max_txid ? -1 : 1;
	}
	return a->min_txid > b->min_txid ? -1 : a->min_txid < b->min_txid;
}

/* What led to a state goes after what hangs on it. */
static enum status collect(const struct retention *r, struct archive_list *removable,
			   struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < r->list->count; i++) {
		if (r->goes[i]) {
			status = archive_list_add(removable, &r->list->files[i], err);
		}
	}
	if (removable->count > 1) {
		qsort(removable->files, removable->count, sizeof *removable->files,
		      compare_back);
	}
	return status;
}

static enum status find_removable(struct retention *r, const struct moments *moments,
				  struct archive_list *removable, struct error *err)
{
	bool any = false;
	enum status status;

	r->goes = calloc(r->list->count, sizeof *r->goes);
	if (!r->goes) {
		return error_no_memory(err, "the list of an archive");
	}
	for (size_t i = 0; i < r->list->count; i++) {
		const struct archive_file *file = &r->list->files[i];

		r->goes[i] = is_before(r, file) || is_old_l0(r, file);
		any = any || r->goes[i];
	}
	status = any ? check_rest(r, moments, err) : ST_OK;
	if (status == ST_OK && any) {
		status = collect(r, removable, err);
	}
	free(r->goes);
	return status;
}

enum status policy_removable(const struct policy *policy,
			     const struct archive_list *list, int64_t now_ns,
			     struct archive_list *removable, struct error *err)
{
	const struct levels levels = find_levels(list);
	struct retention r = {
	    .policy = policy,
	    .list = list,
	    .levels = levels,
	    .now_ns = now_ns,
	    .least_txid = least_kept(policy, list, now_ns),
	    .last_l0 = levels.at[1] > levels.at[0] ? levels.at[1][-1].max_txid : 0,
	};
	struct moments moments;
	enum status status;

	if (list->count == 0) {
		return ST_OK;
	}
	status = moments_init(&moments, list, err);
	if (status != ST_OK) {
		return status;
	}
	status = moments.all[moments.count - 1].is_reachable
		     ? find_removable(&r, &moments, removable, err)
		     : error_set(err, ST_CORRUPT,
				 "nothing is removed: files are missing before the "
				 "newest state, and what is there may help to mend it; "
				 "rowtail archive list shows the gap");
	moments_clear(&moments);
	return status;
}

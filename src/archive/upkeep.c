/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/upkeep.h"

#include <string.h>

#include "src/archive/compaction.h"
#include "src/base/clock.h"

static void tell(const struct upkeep *u, const struct archive_file *file,
		 bool is_removed)
{
	if (u->told) {
		u->told(u->context, file, is_removed);
	}
}

/* ---- times ---- */

/* A file of that level that has what `file` has; NULL: none. */
static const struct archive_file *find_cover(const struct archive_list *list,
					     unsigned level,
					     const struct archive_file *file)
{
	size_t low = 0;
	size_t high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct archive_file *f = &list->files[middle];

		if (f->level < level ||
		    (f->level == level && f->max_txid < file->max_txid)) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < list->count && list->files[low].level == level &&
		       list->files[low].min_txid <= file->min_txid
		   ? &list->files[low]
		   : NULL;
}

static enum status settle_one(struct upkeep *u, struct archive_file *file,
			      struct error *err)
{
	const struct archive_file *cover = NULL;
	enum status status;

	for (unsigned level = file->level + 1; !cover && level < ARCHIVE_SNAPSHOT_LEVEL;
	     level++) {
		cover = find_cover(u->list, level, file);
	}
	if (cover) {
		file->time_ns =
		    file->time_ns < cover->time_ns ? file->time_ns : cover->time_ns;
		return ST_OK;
	}
	status = storage_time(u->list->storage, file, &file->time_ns, err);
	file->time_is_rough = status != ST_OK;
	return status;
}

enum status upkeep_settle(struct upkeep *u, struct error *err)
{
	enum status status = ST_OK;

	/* From the highest level down: what covers a file is settled before it. */
	for (size_t i = u->list->count; status == ST_OK && i > 0; i--) {
		if (!u->list->files[i - 1].time_is_rough) {
			continue;
		}
		status = u->stops(u->context)
			     ? error_set(err, ST_STOPPED, "interrupted")
			     : settle_one(u, &u->list->files[i - 1], err);
	}
	return status;
}

/* ---- what is due ---- */

static enum status compact(struct upkeep *u, const struct policy_step *step,
			   struct error *err)
{
	struct compaction c = {
	    .storage = u->storage,
	    .list = u->list,
	    .inputs = step->inputs,
	    .input_count = step->input_count,
	    .level = step->level,
	    .stops = u->stops,
	    .context = u->context,
	};
	enum status status = compaction_run(&c, err);

	if (status == ST_OK) {
		c.file.stored_ns = clock_wall_ns(); /* it may have taken hours */
		status = archive_list_add(u->list, &c.file, err);
	}
	if (status == ST_OK) {
		archive_list_sort(u->list);
		tell(u, &c.file, false);
	}
	return status;
}

enum status upkeep_compact(struct upkeep *u, int64_t now_ns, struct error *err)
{
	struct policy_step step;
	enum status status = policy_next(u->policy, u->list, now_ns, &step, err);

	if (status == ST_OK) {
		status = step.input_count > 0 ? compact(u, &step, err) : ST_END;
	}
	policy_step_clear(&step);
	return status;
}

/* The first `count` of `gone`, which are no longer there, leave the list. */
static void drop(struct archive_list *list, struct archive_list *gone, size_t count)
{
	size_t kept = 0;
	size_t next = 0;

	gone->count = count;
	archive_list_sort(gone);
	for (size_t i = 0; i < list->count; i++) {
		if (next < count &&
		    archive_file_is(&list->files[i], &gone->files[next])) {
			next++;
		} else {
			list->files[kept++] = list->files[i];
		}
	}
	list->count = kept;
}

enum status upkeep_remove(struct upkeep *u, int64_t now_ns, struct error *err)
{
	struct archive_list gone = {0};
	enum status status = policy_removable(u->policy, u->list, now_ns, &gone, err);
	size_t count = 0;

	while (status == ST_OK && count < gone.count) {
		if (u->stops(u->context)) {
			status = error_set(err, ST_STOPPED, "interrupted");
			break;
		}
		status = storage_remove(u->storage, &gone.files[count], err);
		if (status == ST_OK) {
			tell(u, &gone.files[count++], true);
		}
	}
	drop(u->list, &gone, count);
	archive_list_clear(&gone);
	return status;
}

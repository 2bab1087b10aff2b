/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/archive_upkeep.h"

#include <inttypes.h>
#include <stdio.h>

#include "src/archive/upkeep.h"
#include "src/base/clock.h"
#include "src/base/stop.h"
#include "src/base/time_text.h"
#include "src/storage/location.h"

/* What was done. */
struct done {
	size_t count;
	uint64_t bytes;
	const char *verb; /* of a removal */
};

static void tell(void *context, const struct archive_file *file, bool is_removed)
{
	struct done *done = context;

	(void)printf("%s %s %" PRIu64 " %s\n", is_removed ? done->verb : "made",
		     archive_name(file).text, file->size,
		     time_text_ms(file->time_ns).text);
	done->count++;
	done->bytes += file->size;
}

static bool stops(void *context)
{
	(void)context;
	return stop_requested != 0;
}

static enum status flush(struct error *err)
{
	return fflush(stdout) == 0 ? ST_OK
				   : error_set(err, ST_IO, "stdout takes nothing");
}

static enum status say_all(const struct done *done, const char *what, struct error *err)
{
	(void)printf("%s %zu files, %" PRIu64 " bytes\n", what, done->count,
		     done->bytes);
	return flush(err);
}

/* ---- an archive to work on ---- */

struct work {
	struct upkeep upkeep;
	struct archive_list list;
	struct policy policy;
	struct done done;
};

static void work_close(struct work *w)
{
	archive_list_clear(&w->list);
	storage_close(w->upkeep.storage);
}

static enum status work_open(struct work *w, const struct config *config, bool writes,
			     struct error *err)
{
	const char *location = config->words[1];
	enum status status = policy_settings_read(&config->policy, &w->policy, err);

	w->upkeep = (struct upkeep){.list = &w->list,
				    .policy = &w->policy,
				    .stops = stops,
				    .told = tell,
				    .context = &w->done};
	if (status == ST_OK) {
		status = stop_without_deadline(err);
	}
	if (status == ST_OK) {
		status = writes ? location_open_to_write(location, &config->storage,
							 false, &w->upkeep.storage, err)
				: location_open(location, &config->storage,
						&w->upkeep.storage, err);
	}
	if (status == ST_OK) {
		status = storage_list(w->upkeep.storage, &w->list, err);
	}
	if (status == ST_OK) {
		status = storage_list_times(&w->list, err);
	}
	if (status != ST_OK) {
		work_close(w);
	}
	return status;
}

/* ---- prune ---- */

static enum status say_removable(struct work *w, int64_t now_ns, struct error *err)
{
	struct archive_list gone = {0};
	enum status status = policy_removable(&w->policy, &w->list, now_ns, &gone, err);

	for (size_t i = 0; status == ST_OK && i < gone.count; i++) {
		tell(&w->done, &gone.files[i], true);
	}
	archive_list_clear(&gone);
	return status;
}

enum status archive_prune(const struct config *config, struct error *err)
{
	struct work w = {
	    .done = {.verb = config->dry_run ? "would remove" : "removed"}};
	int64_t now_ns = clock_wall_ns();
	enum status status = work_open(&w, config, !config->dry_run, err);

	if (status != ST_OK) {
		return status;
	}
	status = config->dry_run ? say_removable(&w, now_ns, err)
				 : upkeep_remove(&w.upkeep, now_ns, err);
	if (status == ST_OK || w.done.count > 0) {
		struct error flushed;
		enum status said = say_all(&w.done, w.done.verb, &flushed);

		if (status == ST_OK && said != ST_OK) {
			status = said;
			*err = flushed;
		}
	}
	work_close(&w);
	return status == ST_STOPPED
		   ? error_set(err, ST_IO,
			       "interrupted, not all that may go is removed")
		   : status;
}

/* ---- compact ---- */

enum status archive_compact(const struct config *config, struct error *err)
{
	struct work w = {.done = {.verb = "made"}};
	enum status status = work_open(&w, config, true, err);

	if (status != ST_OK) {
		return status;
	}
	do {
		status = upkeep_compact(&w.upkeep, clock_wall_ns(), err);
		if (status == ST_OK) {
			status = flush(err);
		}
	} while (status == ST_OK);
	if (status == ST_END) {
		status = say_all(&w.done, "made", err);
	}
	work_close(&w);
	return status == ST_STOPPED
		   ? error_set(err, ST_IO, "interrupted, not all that is due is made")
		   : status;
}

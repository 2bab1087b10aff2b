/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/restore.c -- rowtail restore: a database as it was, out of an archive.
 *
 * The archive is only read. OUT is there as a whole or not at all
 * (src/archive/restored_file.h), whatever ends the program.
 *
 * ERRORS  ST_CONFIG: what is asked for is not there, or something is in OUT's place.
 *         ST_CORRUPT: the archive is damaged or has a gap. ST_IO, ST_NOMEM.
 */

#include <errno.h>
#include <inttypes.h>

#include "src/archive/merge.h"
#include "src/archive/restored_file.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/base/time_text.h"
#include "src/command_table.h"
#include "src/storage/location.h"

#define TRIES 5 /* while files are compacted or removed by others */

struct restore {
	const struct config *config;
	struct storage *storage;
	struct when when; /* from the first plan on: its TXID */
	struct restored_file *out;
	struct archive_list list;
	struct plan plan;
	struct merge merge;
};

/* List, plan, and write all pages. */
static enum status try_once(struct restore *r, struct error *err)
{
	struct progress progress;
	enum status status;

	plan_clear(&r->plan);
	archive_list_clear(&r->list);
	if (!file_set_length(restored_file_fd(r->out), 0)) {
		return error_set_errno(err, errno, "%s cannot be written",
				       quote(restored_file_path(r->out)).text);
	}
	status = storage_list(r->storage, &r->list, err);
	if (status == ST_OK) {
		status = plan_init(&r->plan, &r->list, &r->when, err);
	}
	if (status != ST_OK) {
		return status;
	}
	r->when = (struct when){.kind = WHEN_TXID, .txid = r->plan.txid};
	progress_start(&progress, "restore", "MB", r->config->log_most > LOG_WARN);
	r->merge = (struct merge){
	    .storage = r->storage,
	    .plan = &r->plan,
	    .fd = restored_file_fd(r->out),
	    .path = restored_file_path(r->out),
	    .stop = &stop_requested,
	    .progress = &progress,
	};
	status = merge_run(&r->merge, err);
	progress_end(&progress);
	return status;
}

static void say_result(const struct restore *r)
{
	if (r->merge.zero_count > 0) {
		log_warn("%" PRIu32 " pages are zeros, as no file has them since the "
			 "database shrank and grew again; PRAGMA integrity_check says "
			 "whether they are in use",
			 r->merge.zero_count);
	}
	log_info("restored %s as of txid:%" PRIx64 " (%s): %" PRIu32
		 " pages of %" PRIu32 " bytes from %zu files",
		 quote(r->config->words[1]).text, r->plan.txid,
		 time_text_ms(r->plan.time_ns).text, r->merge.page_count,
		 r->merge.page_size, r->plan.count);
}

static enum status restore(struct restore *r, struct error *err)
{
	enum status status =
	    location_open(r->config->words[0], &r->config->storage, &r->storage, err);

	if (status == ST_OK) {
		status = restored_file_open(r->config->words[1], &r->out, err);
	}
	if (status != ST_OK) {
		return status;
	}
	for (int i = 0; i < TRIES; i++) {
		status = try_once(r, err);
		if (status != ST_LOST) {
			break;
		}
	}
	if (status == ST_OK) {
		status = restored_file_keep(r->out, err);
	}
	if (status == ST_OK) {
		say_result(r);
	}
	return status == ST_STOPPED
		   ? error_set(err, ST_IO, "interrupted, nothing was restored")
		   : status;
}

static enum status run(const struct config *config, struct error *err)
{
	struct restore r = {.config = config};
	enum status status = stop_without_deadline(err);

	if (status == ST_OK) {
		status = when_parse(config->at ? config->at : "latest", clock_wall_ns(),
				    &r.when, err);
	}
	if (status == ST_OK) {
		status = restore(&r, err);
	}
	restored_file_close(r.out);
	plan_clear(&r.plan);
	archive_list_clear(&r.list);
	storage_close(r.storage);
	return status;
}

static const char *const forms[] = {"ARCHIVE OUT", NULL};

const struct command restore_command = {
    .name = "restore",
    .usage = "ARCHIVE OUT [--at WHEN]",
    .forms = forms,
    .help = "write the database as it was to OUT, which must not exist\n",
    .words = 2,
    .takes_at = true,
    .run = run,
};

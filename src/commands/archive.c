/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/archive.c -- rowtail archive list and verify: what an archive has, on
 * stdout, and whether it is sound. (prune and compact: src/commands/archive_upkeep.h.)
 *
 * The archive is only read; who writes it may go on meanwhile. list prints a line for
 * each file, then which states there are. verify reads every file, and puts the newest
 * state together; with --state it is compared with what was captured
 * (src/commands/archive_compare.h).
 *
 * ERRORS  ST_CONFIG: no archive. ST_CORRUPT: verify found damage or a gap, each of
 * which is a line on stderr. ST_IO, ST_NOMEM.
 */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/archive/merge.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/base/time_text.h"
#include "src/command_table.h"
#include "src/commands/archive_compare.h"
#include "src/commands/archive_upkeep.h"
#include "src/storage/location.h"

/* An archive as it was listed. */
struct archive {
	const char *location;
	struct storage *storage;
	struct archive_list list;
	struct moments moments;
};

static void archive_close(struct archive *a)
{
	moments_clear(&a->moments);
	archive_list_clear(&a->list);
	storage_close(a->storage);
}

static enum status archive_open(struct archive *a, const struct config *config,
				struct error *err)
{
	enum status status;

	*a = (struct archive){.location = config->words[1]};
	status = location_open(a->location, &config->storage, &a->storage, err);
	if (status == ST_OK) {
		status = storage_list(a->storage, &a->list, err);
	}
	if (status == ST_OK && strcmp(config->words[0], "list") == 0) {
		status = storage_list_times(&a->list, err);
	}
	if (status == ST_OK) {
		status = moments_init(&a->moments, &a->list, err);
	}
	if (status != ST_OK) {
		archive_close(a);
	}
	return status;
}

/* The first or the newest state that can be restored; NULL: none. */
static const struct moment *reachable(const struct moments *moments, bool newest)
{
	const struct moment *found = NULL;

	for (size_t i = 0; i < moments->count && (newest || !found); i++) {
		if (moments->all[i].is_reachable) {
			found = &moments->all[i];
		}
	}
	return found;
}

/* The gap behind `*from`, a TXID, which is moved behind it. */
static bool next_gap(const struct archive *a, uint64_t *from, struct gap *gap)
{
	if (!gap_find(&a->list, &a->moments, *from, gap)) {
		return false;
	}
	*from = UINT64_MAX;
	for (size_t i = 0; i < a->moments.count; i++) {
		if (a->moments.all[i].is_reachable &&
		    a->moments.all[i].txid >= gap->after->max_txid) {
			*from = a->moments.all[i].txid;
			break;
		}
	}
	return true;
}

static enum status flush(struct error *err)
{
	return fflush(stdout) == 0 ? ST_OK
				   : error_set(err, ST_IO, "stdout takes nothing");
}

/* ---- list: JSON ---- */

static json_t *json_txid(uint64_t txid)
{
	char text[17];

	(void)snprintf(text, sizeof text, "%016" PRIx64, txid);
	return json_string(text);
}

static json_t *json_moment(const struct moment *m)
{
	return m ? json_pack("{s:o, s:s}", "txid", json_txid(m->txid), "time",
			     time_text_ms(m->time_ns).text)
		 : json_null();
}

static json_t *json_files(const struct archive_list *list)
{
	json_t *all = json_array();

	for (size_t i = 0; i < list->count; i++) {
		const struct archive_file *file = &list->files[i];

		if (json_array_append_new(
			all, json_pack("{s:i, s:o, s:o, s:I, s:s}", "level",
				       (int)file->level, "min_txid",
				       json_txid(file->min_txid), "max_txid",
				       json_txid(file->max_txid), "size",
				       (json_int_t)file->size, "time",
				       time_text_ms(file->time_ns).text)) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *json_gaps(const struct archive *a)
{
	json_t *all = json_array();
	uint64_t from = 0;
	struct gap gap;

	while (all && next_gap(a, &from, &gap)) {
		json_t *before = gap.before ? json_string(archive_name(gap.before).text)
					    : json_null();

		if (json_array_append_new(
			all, json_pack("{s:o, s:s}", "before", before, "after",
				       archive_name(gap.after).text)) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static enum status print_json(const struct archive *a, struct error *err)
{
	json_t *location = json_string(a->location);
	json_t *all;
	char *text;

	all = json_pack("{s:o, s:o, s:o, s:o, s:o}", "archive",
			location ? location : json_null(), "first",
			json_moment(reachable(&a->moments, false)), "latest",
			json_moment(reachable(&a->moments, true)), "gaps", json_gaps(a),
			"files", json_files(&a->list));
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	if (!text) {
		return error_no_memory(err, "the list of an archive");
	}
	(void)puts(text);
	free(text);
	return flush(err);
}

/* ---- list: lines ---- */

static void print_moment(const char *name, const struct moment *m)
{
	if (m) {
		(void)printf("%s txid:%" PRIx64 " %s\n", name, m->txid,
			     time_text_ms(m->time_ns).text);
	} else {
		(void)printf("%s none\n", name);
	}
}

static enum status print_lines(const struct archive *a, struct error *err)
{
	uint64_t from = 0;
	struct gap gap;

	(void)puts("level first txid       last txid              bytes time");
	for (size_t i = 0; i < a->list.count; i++) {
		const struct archive_file *file = &a->list.files[i];

		(void)printf("%5u %016" PRIx64 " %016" PRIx64 " %10" PRIu64 " %s\n",
			     file->level, file->min_txid, file->max_txid, file->size,
			     time_text_ms(file->time_ns).text);
	}
	(void)putchar('\n');
	print_moment("first: ", reachable(&a->moments, false));
	print_moment("latest:", reachable(&a->moments, true));
	while (next_gap(a, &from, &gap)) {
		(void)printf("gap:    from %s to %s\n",
			     gap.before ? archive_name(gap.before).text
					: "the beginning",
			     archive_name(gap.after).text);
	}
	return flush(err);
}

static enum status run_list(const struct config *config, struct error *err)
{
	struct archive a;
	enum status status = archive_open(&a, config, err);

	if (status != ST_OK) {
		return status;
	}
	status = config->json ? print_json(&a, err) : print_lines(&a, err);
	archive_close(&a);
	return status;
}

/* ---- verify ---- */

struct verified {
	size_t files;
	size_t damaged;
	size_t removed; /* while it was read */
	size_t gaps;
	uint64_t bytes;
	int64_t latest_ns; /* the time of the newest state */
};

/* Of a disk it is the file that cannot be read, of a server that it is away. */
static bool is_damage(const struct archive *a, enum status status)
{
	return status == ST_CORRUPT || (status == ST_IO && !a->storage->calls->is_far);
}

static void expect_files(const struct archive *a)
{
	const struct archive_file **files = calloc(a->list.count + 1, sizeof *files);

	for (size_t i = 0; files && i < a->list.count; i++) {
		files[i] = &a->list.files[i];
	}
	if (files) {
		storage_expect(a->storage, files, a->list.count, STORAGE_WHOLE);
	}
	free(files);
}

static enum status verify_files(const struct archive *a, struct verified *v,
				struct error *err)
{
	expect_files(a);
	for (size_t i = 0; i < a->list.count; i++) {
		const struct archive_file *file = &a->list.files[i];
		enum status status =
		    merge_verify_file(a->storage, file, &stop_requested, err);

		if (status == ST_LOST) {
			v->removed++;
		} else if (status == ST_OK) {
			v->files++;
			v->bytes += file->size;
		} else if (is_damage(a, status)) {
			v->damaged++;
			log_line(LOG_WARN, "%s", err->text);
		} else {
			return status;
		}
	}
	return ST_OK;
}

static void say_gaps(const struct archive *a, struct verified *v)
{
	uint64_t from = 0;
	struct gap gap;

	while (next_gap(a, &from, &gap)) {
		v->gaps++;
		log_line(LOG_WARN, "files are missing between %s and %s",
			 gap.before ? archive_name(gap.before).text : "the beginning",
			 archive_name(gap.after).text);
	}
}

/* Has the newest state all its pages? All its files are sound. */
static enum status verify_latest(const struct archive *a, struct verified *v,
				 struct merge *merge, struct error *err)
{
	const struct when when = {.kind = WHEN_LATEST};
	struct plan plan;
	enum status status = plan_init(&plan, &a->list, &when, err);

	if (status != ST_OK) {
		return status;
	}
	*merge = (struct merge){
	    .storage = a->storage, .plan = &plan, .fd = -1, .stop = &stop_requested};
	status = merge_run(merge, err);
	v->latest_ns = plan.time_ns;
	plan_clear(&plan);
	return status;
}

static enum status say_verified(const struct archive *a, const struct verified *v,
				const struct merge *merge, struct error *err)
{
	const struct moment *latest = reachable(&a->moments, true);

	(void)printf("verified %zu files, %" PRIu64 " bytes; latest: txid:%" PRIx64
		     " (%s), %" PRIu32 " pages of %" PRIu32 " bytes\n",
		     v->files, v->bytes, latest->txid, time_text_ms(v->latest_ns).text,
		     merge->page_count, merge->page_size);
	return flush(err);
}

static enum status verify_state(const struct archive *a, const char *state_path,
				struct error *err)
{
	struct archive_compared compared;
	enum status status =
	    archive_compare(state_path, a->storage, &a->list, &compared, err);

	if (status != ST_OK) {
		return status;
	}
	(void)printf("the same as %s at LSN %" PRIu64 ": %" PRIu32 " pages\n",
		     quote(state_path).text, compared.lsn, compared.pages);
	return flush(err);
}

static enum status verify(const struct archive *a, const char *state_path,
			  struct error *err)
{
	struct verified v = {0};
	struct merge merge = {0};
	enum status status = verify_files(a, &v, err);

	if (status != ST_OK) {
		return status;
	}
	say_gaps(a, &v);
	if (v.damaged > 0 || v.gaps > 0) {
		return error_set(err, ST_CORRUPT,
				 "%s: %zu of %zu files are damaged, %zu gaps: see the "
				 "lines above; what still can be restored: rowtail "
				 "archive list",
				 quote(a->location).text, v.damaged, a->list.count,
				 v.gaps);
	}
	status = verify_latest(a, &v, &merge, err);
	if (status == ST_OK) {
		status = say_verified(a, &v, &merge, err);
	}
	return status == ST_OK && state_path ? verify_state(a, state_path, err)
					     : status;
}

static enum status run_verify(const struct config *config, struct error *err)
{
	struct archive a;
	enum status status = stop_without_deadline(err);

	if (status == ST_OK) {
		status = archive_open(&a, config, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = verify(&a, config->state_path, err);
	archive_close(&a);
	return status == ST_STOPPED
		   ? error_set(err, ST_IO, "interrupted, not all files were verified")
		   : status;
}

static enum status does_not_go(const char *option, const char *action,
			       struct error *err)
{
	return error_set(err, ST_CONFIG, "%s does not go with archive %s; leave it out",
			 option, action);
}

static enum status run(const struct config *config, struct error *err)
{
	const char *action = config->words[0];

	if (config->dry_run && strcmp(action, "prune") != 0) {
		return does_not_go("--dry-run", action, err);
	}
	if (config->state_path && strcmp(action, "verify") != 0) {
		return does_not_go("--state", action, err);
	}
	if (strcmp(action, "list") == 0) {
		return run_list(config, err);
	}
	if (config->json) {
		return does_not_go("--json", action, err);
	}
	if (strcmp(action, "prune") == 0) {
		return archive_prune(config, err);
	}
	if (strcmp(action, "compact") == 0) {
		return archive_compact(config, err);
	}
	if (strcmp(action, "verify") != 0) {
		return error_set(err, ST_CONFIG,
				 "archive %s: must be list, verify, prune or compact "
				 "(a database of that name is ./archive)",
				 action);
	}
	return run_verify(config, err);
}

static const char *const forms[] = {"list ARCHIVE", "verify ARCHIVE", "prune ARCHIVE",
				    "compact ARCHIVE", NULL};

const struct command archive_command = {
    .name = "archive",
    .usage = "list|verify|prune|compact ARCHIVE [OPTION]...",
    .forms = forms,
    .help = "list an archive's files and the states that it has; read\n"
	    "and verify all of them; remove what is past its time;\n"
	    "merge what is due\n",
    .words = 2,
    .takes_json = true,
    .takes_dry_run = true,
    .takes_state = true,
    .run = run,
};

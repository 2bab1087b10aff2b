/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/diff_sides.h"

#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/file_pair.h"
#include "src/commands/sql_source.h"

#define TRIES 3 /* while somebody writes */

static void show_progress(void *context, uint32_t pages, uint32_t page_count)
{
	struct progress *progress = context;

	progress_update(progress, pages, pages, page_count);
}

static enum status fill_empty(struct diff_sides *sides, struct error *err)
{
	enum status status = ST_OK;

	if (database_file_is_empty(sides->new_file)) {
		status = database_file_fill(sides->new_file, sides->old_file, err);
	}
	if (status == ST_OK && database_file_is_empty(sides->old_file)) {
		status = database_file_fill(sides->old_file, sides->new_file, err);
	}
	return status;
}

static enum status read_page(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	return database_file_read(context, page_no, 1, bytes, err);
}

static enum status open_view(struct diff_sides *sides, struct database_file *file,
			     struct view **view, struct error *err)
{
	const struct page_source *pages = database_file_pages(file);
	const struct view_base base = {.read = read_page, .context = file};
	struct captured_txn state = {.page_count = pages->page_count};
	enum status status = ST_OK;

	if (!sides->spool) {
		status = spool_open(pages->page_size, &sides->spool, err);
	}
	return status == ST_OK
		   ? view_open(sides->spool, &base, pages->page_size, &state, view, err)
		   : status;
}

static enum status open_files(struct diff_sides *sides, const struct config *config,
			      struct error *err)
{
	enum status status = database_file_open(sides->old_name, &sides->old_file, err);

	if (status == ST_OK) {
		status = database_file_open(sides->new_name, &sides->new_file, err);
	}
	if (status == ST_OK) {
		status = fill_empty(sides, err);
	}
	if (status == ST_OK) {
		struct file_pair pair = {.old_file = sides->old_file,
					 .new_file = sides->new_file,
					 .stop = &stop_requested,
					 .progress = show_progress,
					 .context = &sides->progress};

		progress_start(&sides->progress, "comparison", "pages",
			       config->log_most >= LOG_INFO && !config->log_json);
		status = file_pair_compare(&pair, &sides->txn, err);
		progress_end(&sides->progress);
	}
	if (status == ST_OK) {
		status = open_view(sides, sides->old_file, &sides->old_view, err);
	}
	if (status == ST_OK) {
		status = open_view(sides, sides->new_file, &sides->new_view, err);
	}
	if (status != ST_OK) {
		return status;
	}
	sides->old_pages = view_old(sides->old_view);
	sides->new_pages = view_old(sides->new_view);
	sides->txn->captured_ns = database_file_time_ns(sides->new_file);
	return diff_sides_check(sides, err);
}

static enum status open_moments(struct diff_sides *sides, const struct config *config,
				struct error *err)
{
	enum status status;

	*sides = (struct diff_sides){.old_name = config->words[1],
				     .new_name = config->words[2]};
	status = diff_moments_open(config, config->words[0], config->words[1],
				   config->words[2], &sides->moments, &sides->txn, err);
	if (status == ST_OK) {
		sides->old_pages = diff_moments_old(sides->moments);
		sides->new_pages = diff_moments_new(sides->moments);
	}
	return status;
}

static enum status open_state(struct diff_sides *sides, const struct config *config,
			      struct error *err)
{
	enum status status;

	*sides = (struct diff_sides){.old_name = config->words[1],
				     .new_name = config->words[2]};
	status = diff_state_open(config->words[0], config->words[1], config->words[2],
				 &sides->state, &sides->txn, err);
	if (status == ST_OK) {
		sides->old_pages = diff_state_old(sides->state);
		sides->new_pages = diff_state_new(sides->state);
	}
	return status;
}

/* Two words are files. */
static enum status refuse_state(const struct config *config, struct error *err)
{
	for (size_t i = 0; i < config->word_count; i++) {
		if (sql_source_is_state(config->words[i])) {
			return error_set(
			    err, ST_CONFIG,
			    "%s is a state directory: give two moments of it, as in "
			    "rowtail diff %s first latest, or compare it with the "
			    "database by rowtail verify --state",
			    quote(config->words[i]).text, quote(config->words[i]).text);
		}
	}
	return ST_OK;
}

enum status diff_sides_open(struct diff_sides *sides, const struct config *config,
			    struct error *err)
{
	enum status status;

	if (config->word_count == 3) {
		return sql_source_is_state(config->words[0])
			   ? open_state(sides, config, err)
			   : open_moments(sides, config, err);
	}
	status = refuse_state(config, err);
	if (status != ST_OK) {
		return status;
	}
	status = ST_RETRY;
	for (int i = 0; status == ST_RETRY && i < TRIES; i++) {
		diff_sides_close(sides);
		*sides = (struct diff_sides){.old_name = config->words[0],
					     .new_name = config->words[1]};
		status = open_files(sides, config, err);
	}
	return status;
}

void diff_sides_close(struct diff_sides *sides)
{
	progress_end(&sides->progress);
	captured_txn_free(sides->txn);
	view_close(sides->old_view);
	view_close(sides->new_view);
	spool_close(sides->spool);
	database_file_close(sides->old_file);
	database_file_close(sides->new_file);
	diff_moments_close(sides->moments);
	diff_state_close(sides->state);
	*sides = (struct diff_sides){0};
}

enum status diff_sides_check(const struct diff_sides *sides, struct error *err)
{
	enum status status;

	/* An archive's files never change, and pages of a state directory have hashes.
	 */
	if (!sides->old_file) {
		return ST_OK;
	}
	status = database_file_check(sides->old_file, err);
	return status == ST_OK ? database_file_check(sides->new_file, err) : status;
}

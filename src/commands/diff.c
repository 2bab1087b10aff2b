/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/diff.c -- rowtail diff: what makes one state of a database of another,
 * row by row, as events or as SQL on stdout.
 *
 * Pages that are equal are not looked at; from those that differ the rows are found as
 * while following. Nothing is written but stdout.
 *
 * ERRORS  ST_CONFIG, ST_UNFIT: not to be compared. ST_CORRUPT: one of them is damaged.
 *         ST_RETRY: one was written meanwhile. Those of the sink. ST_IO, ST_NOMEM.
 */

#include <stdio.h>

#include "src/asked.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/command_table.h"
#include "src/commands/diff_sides.h"
#include "src/decode/decoder.h"
#include "src/deliver/delivery.h"
#include "src/deliver/sql_patch.h"

struct diff {
	const struct config *config;
	struct diff_sides sides;
	struct view *view;
	struct table_filter *filter;
	struct kept_position *kept;
	struct delivery *delivery; /* of events; */
	struct sql_patch *patch;   /* ... of statements */
	struct decoder *decoder;
};

static void diff_close(struct diff *diff)
{
	decoder_close(diff->decoder);
	delivery_close(diff->delivery);
	sql_patch_close(diff->patch);
	if (diff->kept) {
		diff->kept->close(diff->kept);
	}
	table_filter_close(diff->filter);
	view_close(diff->view);
	diff_sides_close(&diff->sides);
}

/* Names that match nothing are warned of. */
static enum status check_asked(const struct diff *diff, struct error *err)
{
	struct asked asked = {.config = diff->config,
			      .filter = diff->filter,
			      .rules = delivery_rules(diff->delivery)};
	struct catalog *catalog = NULL;
	enum status status = catalog_read(diff->sides.new_pages, diff->filter, NULL,
					  NULL, &catalog, err);

	if (status == ST_OK && catalog->table_count > 0) {
		status = asked_check(&asked, catalog, err);
	}
	catalog_close(catalog);
	return status;
}

static enum status open_delivery(struct diff *diff, struct error *err)
{
	bool starts_over;
	enum status status = delivery_open(diff->config, &diff->delivery, err);

	if (status == ST_OK) {
		status = kept_nowhere_open(&diff->kept, err);
	}
	if (status == ST_OK) {
		status = delivery_claim(diff->delivery, diff->kept, NULL, NULL,
					&starts_over, err);
	}
	return status;
}

static enum status open_decoder(struct diff *diff, const struct decoder_events *events,
				struct error *err)
{
	enum status status = view_open_pair(diff->sides.old_pages,
					    diff->sides.new_pages, &diff->view, err);

	return status == ST_OK
		   ? decoder_open(diff->view, diff->filter, events, &diff->decoder, err)
		   : status;
}

/* ---- events ---- */

static enum status put_events(struct diff *diff, struct error *err)
{
	const struct captured_txn *captured = diff->sides.txn;
	struct encoder_transaction txn = {.lsn = captured->lsn,
					  .captured_ns = captured->captured_ns,
					  .is_catch_up = true};
	enum status status = delivery_restore(diff->delivery, captured->lsn, 0, err);

	if (status == ST_OK) {
		status = delivery_begin(diff->delivery, &txn, 0, err);
	}
	if (status == ST_OK) {
		status = decoder_apply(diff->decoder, captured, err);
	}
	return status == ST_OK ? delivery_end(diff->delivery, err) : status;
}

static enum status print_events(struct diff *diff, struct error *err)
{
	struct error ignored;
	enum status status = open_delivery(diff, err);

	if (status == ST_OK) {
		status = check_asked(diff, err);
	}
	if (status == ST_OK) {
		struct decoder_events events = {
		    .context = delivery_publisher(diff->delivery),
		    .catalog = publisher_catalog,
		    .ddl = publisher_ddl,
		    .damaged = publisher_damaged,
		    .table = publisher_table,
		    .change = publisher_change,
		};

		status = open_decoder(diff, &events, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = put_events(diff, err);
	if (delivery_finish(diff->delivery, status, &ignored) != ST_OK &&
	    status == ST_OK) {
		*err = ignored;
		return ignored.status;
	}
	return status;
}

/* ---- statements ---- */

static enum status print_statements(struct diff *diff, struct error *err)
{
	const struct config *config = diff->config;
	struct sql_patch_settings settings = {
	    .out = stdout,
	    .is_whole = !config->table_include_list && !config->table_exclude_list,
	    .old_pages = diff->sides.old_pages,
	    .new_pages = diff->sides.new_pages,
	    .stop = &stop_requested,
	};
	enum status status = sql_patch_open(&settings, &diff->patch, err);

	if (status == ST_OK) {
		struct decoder_events events = sql_patch_events(diff->patch);

		status = open_decoder(diff, &events, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = decoder_apply(diff->decoder, diff->sides.txn, err);
	if (status == ST_OK) {
		status = diff_sides_check(&diff->sides, err);
	}
	return sql_patch_finish(diff->patch, status, err);
}

static enum status diff_run(struct diff *diff, struct error *err)
{
	const struct config *config = diff->config;
	enum status status = table_filter_open(
	    config->table_include_list, config->table_exclude_list, &diff->filter, err);

	if (status == ST_OK) {
		status = diff_sides_open(&diff->sides, config, err);
	}
	if (status != ST_OK) {
		return status;
	}
	return config->sql ? print_statements(diff, err) : print_events(diff, err);
}

/* What is behind an error: who writes meanwhile makes any file look damaged. */
static enum status explain(const struct diff *diff, enum status status,
			   struct error *err)
{
	struct error written;

	if (status != ST_OK && status != ST_CORRUPT) {
		return status;
	}
	if (diff->sides.txn && diff_sides_check(&diff->sides, &written) != ST_OK) {
		*err = written;
		return written.status;
	}
	if (status == ST_CORRUPT && diff->sides.txn && diff->sides.old_file) {
		(void)error_wrap(err, "%s or %s is corrupt",
				 quote(diff->sides.old_name).text,
				 quote(diff->sides.new_name).text);
		(void)error_add(err, "; see what PRAGMA integrity_check of sqlite3 "
				     "says of each");
	}
	return status;
}

static enum status check_config(const struct config *config, struct error *err)
{
	if (config->sink->has_state) {
		return error_set(err, ST_CONFIG,
				 "--to %s does not go with rowtail diff, whose changes "
				 "go to standard output; leave it out",
				 config->sink->scheme);
	}
	return ST_OK;
}

static enum status run(const struct config *config, struct error *err)
{
	struct diff diff = {.config = config};
	enum status status = check_config(config, err);

	if (status == ST_OK) {
		status = stop_without_deadline(err);
	}
	if (status == ST_OK) {
		status = explain(&diff, diff_run(&diff, err), err);
	}
	diff_close(&diff);
	return status == ST_STOPPED
		   ? error_set(err, ST_IO, "interrupted, not all changes were printed")
		   : status;
}

static const char *const forms[] = {"OLD.db NEW.db", "SOURCE FROM TO", NULL};

const struct command diff_command = {
    .name = "diff",
    .usage = "OLD.db NEW.db | SOURCE FROM TO [--sql] [OPTION]...",
    .forms = forms,
    .help = "print the events, or the SQL, that make NEW.db of OLD.db,\n"
	    "or the state at TO of that at FROM (as --at has them),\n"
	    "of an archive or a state directory\n",
    .words = 3,
    .least_words = 2,
    .takes_sql = true,
    .makes_events = true,
    .run = run,
};

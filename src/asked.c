/* SPDX-License-Identifier: Apache-2.0 */
#include "src/asked.h"

#include <string.h>

#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/config/unmatched.h"
#include "src/history/view.h"

/* Litestream keeps these in a database that it copies. */
static const char *const litestream_tables[] = {"_litestream_seq", "_litestream_lock",
						NULL};

enum status asked_filter_open(const struct config *config, struct table_filter **out,
			      struct error *err)
{
	enum status status = table_filter_open(config->table_include_list,
					       config->table_exclude_list, out, err);

	if (status == ST_OK && config->archive) {
		table_filter_leave_out(*out, litestream_tables,
				       "a table of Litestream's own; "
				       "table.include.list can name it");
	}
	/* Statements are of all tables that were asked for, and of no other. */
	if (status == ST_OK && config->encoder.context_table && !config->sql) {
		table_filter_want(*out, config->encoder.context_table);
	}
	if (status == ST_OK && config->signal_collection && !config->sql) {
		const char *dot = strrchr(config->signal_collection, '.');

		table_filter_want(*out, config->signal_collection);
		if (dot) { /* of a schema's name */
			table_filter_want(*out, dot + 1);
		}
	}
	return status;
}

enum status asked_check(const struct asked *asked, const struct catalog *catalog,
			struct error *err)
{
	struct unmatched unmatched = {.catalog = catalog,
				      .filter = asked->filter,
				      .rules = asked->rules,
				      .overrides = &asked->config->overrides,
				      .context_table =
					  asked->config->encoder.context_table,
				      .database_path = asked->config->database_path};

	return unmatched_check(&unmatched, err);
}

void asked_warn_of_snapshot(const struct config *config,
			    const struct kept_position *kept)
{
	/* That a later start has none is no surprise, where it is the default. */
	if (config->snapshot_asked && !kept->position.in_snapshot &&
	    config->snapshot_mode != SNAPSHOT_MODE_ALWAYS) {
		log_warn(
		    "%s: %s takes its snapshot at its first start only, and goes on "
		    "from there now; rowtail signal --state %s execute-snapshot "
		    "--table '.*' asks for the rows that are there",
		    config->snapshot_asked, quote(config->state_path).text,
		    quote(config->state_path).text);
	}
}

void asked_name_damage(const struct config *config, struct error *err)
{
	struct quoted name = quote(config->database_path);

	if (config->archive) {
		(void)error_wrap(err, "the database in %s is corrupt",
				 quote(config->archive).text);
		(void)error_add(err, "; see what rowtail sql ARCHIVE 'PRAGMA "
				     "integrity_check' says, and go on behind it with "
				     "another --state and --from");
		return;
	}
	(void)error_wrap(err, "%s is corrupt", name.text);
	(void)error_add(err, "; see what sqlite3 ");
	(void)error_add(err, name.text);
	(void)error_add(err, " 'PRAGMA integrity_check' says: REINDEX mends an index, "
			     "for the rest restore a backup; then start rowtail again");
}

enum status asked_unfit(const struct config *config, struct error *err)
{
	bool is_start = strncmp(err->text, "page 1:", 7) == 0;

	asked_name_damage(config, err);
	if (is_start) { /* some ciphers leave the header readable */
		(void)error_add(err, " (if it is encrypted: rowtail cannot read "
				     "encrypted databases)");
	}
	return err->status = ST_UNFIT;
}

/* The base is the database itself here, and it has no hashes. */
static enum status any_page(void *context, uint32_t page_no, const uint8_t *bytes,
			    struct error *err)
{
	(void)context;
	(void)page_no;
	(void)bytes;
	(void)err;
	return ST_OK;
}

enum status asked_check_first(const struct asked *asked, struct spool *spool,
			      const struct source *source,
			      const struct captured_txn *first, bool *is_checked,
			      struct error *err)
{
	struct catalog *catalog = NULL;
	struct view *view;
	struct error unreadable;
	enum status status =
	    view_open(spool, &source->pages, source->page_size, first, &view, err);

	*is_checked = false;
	if (status != ST_OK) {
		return status;
	}
	view_use_copy(view, any_page, NULL); /* the slots stay those of `first` */
	if (catalog_read(view_old(view), asked->filter, NULL, NULL, &catalog,
			 &unreadable) == ST_OK) {
		*is_checked = true;
		status = asked_check(asked, catalog, err);
	}
	catalog_close(catalog);
	view_close(view);
	return status;
}

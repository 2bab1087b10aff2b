/* SPDX-License-Identifier: Apache-2.0 */
#include "src/sql_source.h"

#include <stdlib.h>

#include "schemas/view_vfs.h"
#include "src/archive/location.h"
#include "src/archive/pages.h"
#include "src/base/clock.h"

struct sql_source {
	struct page_source pages; /* first: what SQLite reads */
	uint8_t *page;            /* the one that is pinned */
	struct storage *storage;
	struct archive_pages *archive;
	struct view_vfs *vfs;
	sqlite3 *db;
};

/* ---- pages of an archive ---- */

static enum status get_page(struct page_source *pages, uint32_t page_no,
			    struct page_ref *ref, struct error *err)
{
	struct sql_source *s = (struct sql_source *)(void *)pages;
	enum status status = archive_pages_read(s->archive, page_no, s->page, err);

	if (status == ST_OK) {
		ref->bytes = s->page;
	}
	return status;
}

static void put_page(struct page_source *pages, struct page_ref *ref)
{
	(void)pages;
	(void)ref;
}

static enum status open_pages(struct sql_source *s, const struct when *when,
			      struct error *err)
{
	struct archive_list list = {0};
	struct plan plan = {0};
	enum status status = storage_list(s->storage, &list, err);

	if (status == ST_OK) {
		status = plan_init(&plan, &list, when, err);
	}
	if (status == ST_OK) {
		status = archive_pages_open(s->storage, &plan, &s->archive, err);
	}
	plan_clear(&plan);
	archive_list_clear(&list);
	return status;
}

static enum status open_archive(struct sql_source *s, const char *location,
				const char *at, const struct config *config,
				struct error *err)
{
	struct when when;
	enum status status =
	    when_parse(at ? at : "latest", clock_wall_ns(), &when, err);

	if (status == ST_OK) {
		status = location_open(location, &config->storage, &s->storage, err);
	}
	if (status == ST_OK) {
		status = open_pages(s, &when, err);
	}
	if (status != ST_OK) {
		return status;
	}
	s->pages = (struct page_source){
	    .get = get_page,
	    .put = put_page,
	    .page_count = archive_pages_count(s->archive),
	    .page_size = archive_pages_size(s->archive),
	    .usable_size = archive_pages_size(s->archive),
	};
	s->page = malloc(s->pages.page_size);
	return s->page ? ST_OK : error_no_memory(err, "a page");
}

/* ---- the connection ---- */

static enum status connect(struct sql_source *s, struct error *err)
{
	enum status status = view_vfs_open(&s->pages, &s->vfs, err);

	if (status == ST_OK) {
		status = view_vfs_connect(s->vfs, &s->db, err);
	}
	if (status != ST_OK) {
		return status;
	}
	/* What sorts much does so in a temporary file; and an order by a collation that
	 * is not known here would be a wrong one. */
	if (sqlite3_exec(s->db, "PRAGMA temp_store=DEFAULT", NULL, NULL, NULL) !=
		SQLITE_OK ||
	    sqlite3_collation_needed(s->db, NULL, NULL) != SQLITE_OK) {
		return error_set(err, ST_NOMEM, "SQLite: %s", sqlite3_errmsg(s->db));
	}
	return ST_OK;
}

enum status sql_source_open(const char *location, const char *at,
			    const struct config *config, struct sql_source **out,
			    struct error *err)
{
	struct sql_source *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "a query");
	}
	status = open_archive(s, location, at, config, err);
	if (status == ST_OK) {
		status = connect(s, err);
	}
	if (status != ST_OK) {
		sql_source_close(s);
		return status;
	}
	*out = s;
	return ST_OK;
}

void sql_source_close(struct sql_source *s)
{
	if (!s) {
		return;
	}
	(void)sqlite3_close(s->db);
	view_vfs_close(s->vfs);
	archive_pages_close(s->archive);
	storage_close(s->storage);
	free(s->page);
	free(s);
}

sqlite3 *sql_source_db(const struct sql_source *s)
{
	return s->db;
}

const struct error *sql_source_error(const struct sql_source *s)
{
	return s->vfs ? view_vfs_error(s->vfs) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/sql_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/view_vfs.h"
#include "src/archive/pages.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/capture/database_file.h"
#include "src/commands/state_when.h"
#include "src/state/state_pages.h"
#include "src/storage/location.h"

#define TRIES 5 /* while somebody writes to a database file */

/* One of the three is there. */
struct sql_source {
	struct storage *storage; /* of `archive` */
	struct archive_pages *archive;
	struct state_pages *state;
	struct database_file *file;
	const char *location;

	struct page_source pages; /* of the first two */
	uint8_t *page;            /* the one that is pinned */
	struct view_vfs *vfs;
	sqlite3 *db;
	struct error moved; /* what sql_source_error found */
};

/* ---- pages that are copied ---- */

static enum status get_page(struct page_source *pages, uint32_t page_no,
			    struct page_ref *ref, struct error *err)
{
	struct sql_source *s =
	    (struct sql_source *)(void *)((char *)pages -
					  offsetof(struct sql_source, pages));
	enum status status = s->archive
				 ? archive_pages_read(s->archive, page_no, s->page, err)
				 : state_pages_read(s->state, page_no, s->page, err);

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

static enum status use_pages(struct sql_source *s, uint32_t page_size,
			     uint32_t page_count, struct error *err)
{
	s->pages = (struct page_source){
	    .get = get_page,
	    .put = put_page,
	    .page_count = page_count,
	    .page_size = page_size,
	    .usable_size = page_size,
	};
	s->page = malloc(page_size);
	return s->page ? ST_OK : error_no_memory(err, "a page");
}

/* ---- kinds ---- */

static enum status open_planned(struct sql_source *s, const struct when *when,
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

static enum status open_archive(struct sql_source *s, const char *at,
				const struct config *config, struct error *err)
{
	struct when when;
	enum status status =
	    when_parse(at ? at : "latest", clock_wall_ns(), &when, err);

	if (status == ST_OK) {
		status = location_open(s->location, &config->storage, &s->storage, err);
	}
	if (status == ST_OK) {
		status = open_planned(s, &when, err);
	}
	return status == ST_OK ? use_pages(s, archive_pages_size(s->archive),
					   archive_pages_count(s->archive), err)
			       : status;
}

static enum status open_state(struct sql_source *s, const char *at, struct error *err)
{
	struct state_when when;
	enum status status =
	    state_when_parse(at ? at : "latest", clock_wall_ns(), &when, err);

	if (status == ST_OK) {
		status = state_pages_open(s->location, &when, &s->state, err);
	}
	return status == ST_OK ? use_pages(s, state_pages_size(s->state),
					   state_pages_count(s->state), err)
			       : status;
}

static enum status open_file(struct sql_source *s, struct error *err)
{
	enum status status = ST_RETRY;

	for (int i = 0; status == ST_RETRY && i < TRIES; i++) {
		status = database_file_open(s->location, &s->file, err);
	}
	return status;
}

/* ---- which kind it is ---- */

enum kind { ARCHIVE, STATE, DATABASE };

static bool has_entry(const char *folder, const char *name)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool has = fd >= 0 && faccessat(fd, name, F_OK, 0) == 0;

	if (fd >= 0) {
		(void)close(fd);
	}
	return has;
}

bool sql_source_is_state(const char *location)
{
	return storage_folder(location) == location && has_entry(location, "meta") &&
	       has_entry(location, "lock");
}

/* Of what is no path; and of a path that has neither of the others. */
static enum status find_kind(const char *location, const char *at, enum kind *kind,
			     struct error *err)
{
	struct stat st;

	*kind = ARCHIVE;
	if (storage_folder(location) != location) {
		return ST_OK;
	}
	if (stat(location, &st) != 0) {
		return errno == ENOENT || errno == ENOTDIR
			   ? error_set(err, ST_CONFIG,
				       "%s: no such file; give an archive, a state "
				       "directory or a database",
				       quote(location).text)
			   : error_set_errno(err, errno, "%s cannot be looked at",
					     quote(location).text);
	}
	if (S_ISREG(st.st_mode)) {
		*kind = DATABASE;
	} else if (sql_source_is_state(location)) {
		*kind = STATE;
	}
	return *kind != DATABASE || !at
		   ? ST_OK
		   : error_set(err, ST_CONFIG,
			       "--at goes with an archive or a state directory; %s is "
			       "a database: leave it out",
			       quote(location).text);
}

static enum status open_kind(struct sql_source *s, const char *at,
			     const struct config *config, struct error *err)
{
	enum kind kind;
	enum status status = find_kind(s->location, at, &kind, err);

	if (status != ST_OK) {
		return status;
	}
	return kind == ARCHIVE ? open_archive(s, at, config, err)
	       : kind == STATE ? open_state(s, at, err)
			       : open_file(s, err);
}

/* ---- the connection ---- */

static enum status connect(struct sql_source *s, struct error *err)
{
	enum status status = view_vfs_open(
	    s->file ? database_file_pages(s->file) : &s->pages, &s->vfs, err);

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
	s->location = location;
	status = open_kind(s, at, config, err);
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
	state_pages_close(s->state);
	database_file_close(s->file);
	free(s->page);
	free(s);
}

sqlite3 *sql_source_db(const struct sql_source *s)
{
	return s->db;
}

enum status sql_source_check(const struct sql_source *s, struct error *err)
{
	enum status status = s->file ? database_file_check(s->file, err) : ST_OK;

	return status == ST_RETRY
		   ? error_set(err, ST_RETRY,
			       "%s: was written while it was read, so that not all "
			       "rows are printed; try again, or when nobody writes "
			       "to it",
			       quote(s->location).text)
		   : status;
}

const struct error *sql_source_error(struct sql_source *s)
{
	/* What looks like damage may be of two states. */
	if (sql_source_check(s, &s->moved) != ST_OK) {
		return &s->moved;
	}
	return view_vfs_error(s->vfs);
}

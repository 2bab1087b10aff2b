/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/verify.c -- rowtail verify: is what a state directory has the database?
 *
 * The state as of D (the shadow, over it the images of the journal) is compared with
 * the source at one position. Where the WAL goes on from D, pages that have a frame
 * after it are left out; where that cannot be proven, those that have a frame at all
 * and differ. Free pages that differ mean nothing. Every page of the shadow that the
 * journal does not replace must have its hash, every image its own.
 *
 * The directory is held against other processes meanwhile, and neither it nor the
 * database is changed.
 *
 * ERRORS   ST_DAMAGED: pages differ, or the directory is damaged (exit 1). ST_CONFIG:
 *          in use, of another database. ST_UNFIT, ST_IO, ST_NOMEM.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "btree/freelist.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/db_open.h"
#include "src/capture/source_state.h"
#include "src/capture/wal_frame.h"
#include "src/command_table.h"
#include "src/state/known_pages.h"
#include "src/state/shadow.h"

#define CHUNK_BYTES (1u << 20)
#define TRIES       100 /* while writers restart the WAL */
#define RETRY_NS    (10 * NS_PER_MS)

/* The source as of one header, in a read transaction. */
struct verify {
	const struct known_pages *known;
	const struct state_meta *meta;
	struct db_handles db;
	struct wal_index_header header;
	uint32_t page_count;
	uint32_t *frames; /* of page n at n - 1: its newest frame; 0: in the file */
	bool is_proven;   /* the frames after `end_frame` are those after D */
	uint32_t end_frame;
	uint8_t *bytes; /* scratch: CHUNK_BYTES */
	uint8_t *page;  /* scratch: a page */
	uint8_t *free;  /* of page n at n - 1: a leaf of the freelist; or NULL */
	uint32_t trunk; /* of the freelist, being walked */

	/* The result. */
	uint32_t verified;
	uint32_t moved; /* written since D */
	struct page_list differ;
};

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "comparing pages");
}

/* ---- one position of the source ---- */

static enum status begin_reading(struct verify *v, struct error *err)
{
	int rc;

	(void)sqlite3_reset(v->db.read[0]);
	rc = sqlite3_step(v->db.read[0]);
	if (rc != SQLITE_ROW && (rc & 0xff) != SQLITE_BUSY) {
		return error_set(err, ST_UNFIT, "%s: SQLite cannot read it: %s",
				 quote(v->db.path).text,
				 sqlite3_errmsg(v->db.reader[0]));
	}
	/* What is committed after the transaction began stays in the WAL meanwhile. */
	if (rc != SQLITE_ROW || !wal_index_read(&v->db.index, &v->header)) {
		return error_set(err, ST_RETRY, "%s: is locked; try again later",
				 quote(v->db.path).text);
	}
	if (v->header.frame_count == 0) {
		return source_page_count(&v->db, &v->page_count, err);
	}
	v->page_count = v->header.page_count;
	if (v->header.page_size != v->db.page_size) {
		return error_set(err, ST_RETRY, "%s: its WAL has another page size",
				 quote(v->db.path).text);
	}
	return ST_OK;
}

/* Which frames came after D; capture asks the same at a start. */
static void find_end(struct verify *v)
{
	struct stat st;
	bool is_untouched = fstat(v->db.db_fd, &st) == 0 &&
			    meta_is_untouched(v->meta, v->known->lsn, &st);

	v->is_proven = source_find_end(&v->db, &v->header, &v->known->place,
				       is_untouched, v->page, &v->end_frame);
}

static enum status find_frames(struct verify *v, struct error *err)
{
	free(v->frames);
	v->frames = calloc((size_t)v->page_count + 1, sizeof *v->frames);
	if (!v->frames) {
		return no_memory(err);
	}
	for (uint32_t frame = 1; frame <= v->header.frame_count; frame++) {
		uint32_t page_no = wal_index_frame_page(&v->db.index, frame);

		if (page_no > 0 && page_no <= v->page_count) {
			v->frames[page_no - 1] = frame;
		}
	}
	return ST_OK;
}

/* Read `len` bytes; what lies past the end of the file is zeros. */
static enum status read_at(const struct verify *v, int fd, uint8_t *bytes, size_t len,
			   uint64_t offset, struct error *err)
{
	if (!file_read_padded(fd, bytes, len, (off_t)offset)) {
		return error_set_errno(err, errno, "%s cannot be read",
				       fd == v->db.wal_fd ? v->db.wal_path
							  : v->db.path);
	}
	return ST_OK;
}

static enum status read_frame(const struct verify *v, uint32_t frame, uint8_t *page,
			      struct error *err)
{
	uint32_t page_size = v->db.page_size;

	return read_at(v, v->db.wal_fd, page, page_size,
		       wal_frame_offset(frame, page_size) + WAL_FRAME_HEADER_BYTES,
		       err);
}

/* ---- free pages ---- */

/* page_source over the source; freelist_walk asks for trunks only, one at a time. */
struct trunk_source {
	struct page_source base;
	struct verify *verify;
};

static enum status get_trunk(struct page_source *source, uint32_t page_no,
			     struct page_ref *ref, struct error *err)
{
	struct verify *v = ((struct trunk_source *)(void *)source)->verify;
	uint32_t frame;
	enum status status;

	if (page_no == 0 || page_no > v->page_count) {
		return error_set(err, ST_CORRUPT, "page %" PRIu32 " is no page",
				 page_no);
	}
	frame = v->frames[page_no - 1];
	v->trunk = page_no;
	status = frame > 0 ? read_frame(v, frame, v->page, err)
			   : read_at(v, v->db.db_fd, v->page, v->db.page_size,
				     (uint64_t)(page_no - 1) * v->db.page_size, err);
	if (status == ST_OK) {
		ref->bytes = v->page;
	}
	return status;
}

static void put_trunk(struct page_source *source, struct page_ref *ref)
{
	(void)source;
	(void)ref;
}

static void mark_free(void *context, uint32_t page_no)
{
	struct verify *v = context;

	if (page_no != v->trunk && page_no > 0 && page_no <= v->page_count) {
		v->free[page_no - 1] = 1;
	}
}

/* Pages without content: SQLite does not write them, and what the file has in their
 * place may be anything. A freelist that cannot be read has none. */
static enum status find_free(struct verify *v, struct error *err)
{
	struct trunk_source source = {
	    .base = {.get = get_trunk,
		     .put = put_trunk,
		     .page_count = v->page_count,
		     .page_size = v->db.page_size},
	    .verify = v,
	};
	struct page_ref first = {0};
	struct db_header header;
	struct error ignored;

	v->free = calloc((size_t)v->page_count + 1, 1);
	if (!v->free) {
		return no_memory(err);
	}
	if (get_trunk(&source.base, 1, &first, &ignored) != ST_OK ||
	    db_header_read(first.bytes, &header, &ignored) != ST_OK) {
		return ST_OK;
	}
	source.base.usable_size = header.usable_size;
	if (freelist_walk(&source.base, &header, mark_free, v, &ignored) != ST_OK) {
		log_debug("the freelist cannot be read: %s", ignored.text);
	}
	return ST_OK;
}

/* ---- comparing ---- */

static enum status compare_page(struct verify *v, uint32_t page_no,
				const uint8_t *in_file, struct error *err)
{
	uint32_t frame = v->frames[page_no - 1];
	const uint8_t *page = frame > 0 ? v->page : in_file;
	enum status status = ST_OK;

	if (v->is_proven && frame > v->end_frame) {
		v->moved++;
		return ST_OK;
	}
	if (v->known->origins[page_no - 1] == KNOWN_NOT ||
	    page_no == db_lock_byte_page(v->db.page_size)) {
		return ST_OK;
	}
	if (frame > 0) {
		status = read_frame(v, frame, v->page, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (shadow_hash_of(page_no, page, v->db.page_size) ==
	    v->known->hashes[page_no - 1]) {
		v->verified++;
	} else if (!v->is_proven && frame > 0) {
		v->moved++;
	} else if (!v->free || !v->free[page_no - 1]) {
		page_list_add(&v->differ, page_no);
	}
	return ST_OK;
}

static enum status compare_chunk(struct verify *v, uint32_t first, uint32_t total,
				 struct error *err)
{
	uint32_t page_size = v->db.page_size;
	enum status status =
	    read_at(v, v->db.db_fd, v->bytes, (size_t)total * page_size,
		    (uint64_t)(first - 1) * page_size, err);

	for (uint32_t i = 0; status == ST_OK && i < total; i++) {
		status =
		    compare_page(v, first + i, v->bytes + (size_t)i * page_size, err);
	}
	return status;
}

/* Pages that only one of the two has: written or cut off since D, or wrong. */
static void compare_size(struct verify *v)
{
	uint32_t has = v->page_count;
	uint32_t knows = v->known->page_count;
	uint32_t low = has < knows ? has : knows;
	uint32_t high = has < knows ? knows : has;

	if (v->header.frame_count > (v->is_proven ? v->end_frame : 0)) {
		v->moved += high - low;
		return;
	}
	for (uint32_t i = low; i < high; i++) {
		page_list_add(&v->differ, i + 1);
	}
}

static enum status compare_all(struct verify *v, struct error *err)
{
	uint32_t at_once = CHUNK_BYTES / v->db.page_size;
	uint32_t common =
	    v->page_count < v->known->page_count ? v->page_count : v->known->page_count;
	enum status status = ST_OK;

	v->verified = 0;
	v->moved = 0;
	v->differ = (struct page_list){0};
	for (uint64_t first = 1; status == ST_OK && first <= common; first += at_once) {
		uint64_t left = common - first + 1;

		if (stop_requested) {
			return error_set(err, ST_IO,
					 "interrupted, not all pages were compared");
		}
		status = compare_chunk(v, (uint32_t)first,
				       left < at_once ? (uint32_t)left : at_once, err);
	}
	if (status == ST_OK) {
		compare_size(v);
	}
	return status;
}

/* Compare at one position; ST_RETRY when it went away meanwhile. */
static enum status compare_once(struct verify *v, struct error *err)
{
	struct wal_index_header now;
	enum status status = begin_reading(v, err);

	if (status == ST_OK) {
		find_end(v);
		status = find_frames(v, err);
	}
	if (status == ST_OK) {
		status = compare_all(v, err);
	}
	if (status == ST_OK && v->differ.total > 0) {
		status = find_free(v, err);
		if (status == ST_OK) {
			status = compare_all(v, err);
		}
		free(v->free);
		v->free = NULL;
	}
	/* In slot 0 the WAL may have been restarted under the reading. */
	if (status == ST_OK && v->header.frame_count > 0 &&
	    (!wal_index_read(&v->db.index, &now) ||
	     !wal_index_same_salt(&now, &v->header))) {
		status = error_set(err, ST_RETRY,
				   "%s: its WAL is restarted all the time; try again "
				   "later",
				   quote(v->db.path).text);
	}
	(void)sqlite3_reset(v->db.read[0]);
	return status;
}

/* ---- the source ---- */

static enum status compare_source(struct verify *v, const char *path, struct error *err)
{
	struct db_patience patience = {.stop = &stop_requested, .is_short = true};
	enum status status = db_open(path, &patience, &v->db, err);

	if (status == ST_STOPPED) {
		return error_set(err, ST_IO,
				 "interrupted, not all pages were compared");
	}
	if (status != ST_OK) {
		return status;
	}
	v->bytes = malloc(CHUNK_BYTES);
	v->page = malloc(v->db.page_size);
	if (!v->bytes || !v->page) {
		status = no_memory(err);
	} else if (v->db.page_size != v->known->page_size) {
		status =
		    error_set(err, ST_DAMAGED,
			      "%s: has pages of %" PRIu32
			      " bytes, the state directory is of one with %" PRIu32,
			      path, v->db.page_size, v->known->page_size);
	}
	for (int i = 0; status == ST_OK && i < TRIES; i++) {
		status = compare_once(v, err);
		if (status != ST_RETRY) {
			break;
		}
		if (i + 1 < TRIES) {
			clock_sleep_ns(RETRY_NS);
			status = ST_OK;
		}
	}
	db_close(&v->db);
	free(v->bytes);
	free(v->page);
	free(v->frames);
	return status;
}

/* ---- the result ---- */

static enum status report(const struct verify *v, const char *path, struct error *err)
{
	char text[160];

	if (v->differ.total > 0) {
		page_list_text(&v->differ, text, sizeof text);
		return error_set(
		    err, ST_DAMAGED,
		    "%.400s: %" PRIu32 " of %" PRIu32
		    " pages are not those of LSN %" PRIu64 " (%s): %s",
		    path, v->differ.total, v->page_count, v->known->lsn, text,
		    v->is_proven
			? "changed past SQLite, or the state directory is wrong; move "
			  "that away and " STATE_BEGIN_ANEW
			: "its WAL does not go on from there; if it was written while "
			  "rowtail did not run, the next run finds the changes");
	}
	(void)printf("verified %" PRIu32 " pages at LSN %" PRIu64, v->verified,
		     v->known->lsn);
	if (v->moved > 0) {
		(void)printf("; %" PRIu32 " pages written since then were not compared",
			     v->moved);
	}
	(void)putchar('\n');
	return fflush(stdout) == 0 ? ST_OK
				   : error_set(err, ST_IO, "stdout takes nothing");
}

static enum status check_database(const struct config *config,
				  const struct state_dir *dir, struct error *err)
{
	char *real = realpath(config->database_path, NULL);
	enum status status = ST_OK;

	/* A database that is not there is named by db_open. */
	if (real && strcmp(real, state_dir_database(dir)) != 0) {
		status = error_set(
		    err, ST_CONFIG,
		    "%.250s is of the database %.250s, not of %.250s; use another "
		    "--state",
		    config->state_path, state_dir_database(dir), real);
	}
	free(real);
	return status;
}

static enum status verify_contents(const struct config *config,
				   const struct state_dir *dir, struct error *err)
{
	struct known_pages known;
	struct verify v = {.known = &known, .meta = state_dir_meta(dir)};
	enum status status = known_pages_init(&known, dir, true, err);

	if (status != ST_OK) {
		return status;
	}
	if (known.torn) {
		log_warn("%s: its journal ends at LSN %" PRIu64
			 ", where %s; what follows was not synced",
			 quote(config->state_path).text, known.lsn, known.torn);
	}
	status = known_pages_check_shadow(&known, dir, &stop_requested, err);
	if (status == ST_STOPPED) {
		status =
		    error_set(err, ST_IO, "interrupted, not all pages were compared");
	}
	if (status == ST_OK) {
		status = compare_source(&v, config->database_path, err);
	}
	if (status == ST_OK) {
		status = report(&v, config->database_path, err);
	}
	known_pages_clear(&known);
	return status;
}

static enum status run(const struct config *config, struct error *err)
{
	struct state_dir *dir;
	bool is_new;
	enum status status =
	    state_dir_read(config->state_path, true, &dir, &is_new, err);

	if (status != ST_OK) {
		return status;
	}
	if (is_new) {
		status = error_set(err, ST_CONFIG,
				   "%s has no state yet: its first start has not got "
				   "that far; start rowtail with it",
				   quote(config->state_path).text);
	}
	if (status == ST_OK) {
		status = check_database(config, dir, err);
	}
	if (status == ST_OK) {
		status = verify_contents(config, dir, err);
	}
	state_dir_close(dir);
	return status;
}

static const char *const forms[] = {"--state DIR DATABASE", NULL};

const struct command verify_command = {
    .name = "verify",
    .usage = "--state DIR DATABASE",
    .forms = forms,
    .help = "compare the copy of the database that a state directory\n"
	    "has with the database, page by page\n",
    .takes_database = true,
    .run = run,
};

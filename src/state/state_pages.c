/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/state/known_pages.h"
#include "src/state/shadow.h"

#define TRIES    100 /* while a process folds and trims */
#define RETRY_NS (10 * NS_PER_MS)

struct state_pages {
	struct state_dir *dir;
	struct known_pages known;
	struct state_moment moment;
	bool is_latest; /* as of D */
	int shadow_fd;
	int frames_fd; /* -1: there is no journal yet */
};

static enum status no_state(const char *path, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s has no state yet: its first start has not got that far; "
			 "start rowtail with it",
			 quote(path).text);
}

/* A descriptor of a file in it; -1: it cannot be had. */
static int open_file(const struct state_pages *p, const char *name)
{
	return openat(state_dir_fd(p->dir), name,
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* What is asked for may be another LSN from one try to the next. */
static enum status know_pages(struct state_pages *p, const struct state_when *when,
			      bool is_used, struct error *err)
{
	enum status status = state_moment_find(p->dir, when, &p->moment, err);

	p->is_latest = when->kind == STATE_AT_LATEST;
	if (status == ST_OK) {
		status =
		    p->is_latest
			? known_pages_init(&p->known, p->dir, !is_used, err)
			: known_pages_init_at(&p->known, p->dir, p->moment.lsn, err);
	}
	if (status == ST_OK && p->known.lsn != p->moment.lsn) {
		p->moment = (struct state_moment){p->known.lsn, p->known.captured_ns};
	}
	return status;
}

static enum status open_once(struct state_pages *p, const char *path,
			     const struct state_when *when, bool *is_used,
			     struct error *err)
{
	bool is_new;
	enum status status = state_dir_read(path, false, &p->dir, &is_new, err);

	*is_used = status == ST_OK && state_dir_holder(p->dir) != 0;
	if (status == ST_OK && is_new) {
		status = no_state(path, err);
	}
	if (status == ST_OK) {
		status = know_pages(p, when, *is_used, err);
	}
	if (status != ST_OK) {
		return status;
	}
	p->shadow_fd = open_file(p, "shadow");
	p->frames_fd = open_file(p, "frames");
	return p->shadow_fd >= 0 && (p->frames_fd >= 0 || errno == ENOENT)
		   ? ST_OK
		   : error_set_errno(err, errno, "%s cannot be read", quote(path).text);
}

static void close_once(struct state_pages *p)
{
	if (p->shadow_fd >= 0) {
		(void)close(p->shadow_fd);
	}
	if (p->frames_fd >= 0) {
		(void)close(p->frames_fd);
	}
	known_pages_clear(&p->known);
	state_dir_close(p->dir);
	*p = (struct state_pages){.shadow_fd = -1, .frames_fd = -1};
}

enum status state_pages_open(const char *path, const struct state_when *when,
			     struct state_pages **out, struct error *err)
{
	const struct state_when latest = {.kind = STATE_AT_LATEST};
	struct state_pages *p = calloc(1, sizeof *p);
	enum status status = ST_OK;

	if (!p) {
		return error_no_memory(err, "a state directory");
	}
	p->shadow_fd = p->frames_fd = -1;
	for (int i = 0; i < TRIES; i++) {
		bool is_used;

		close_once(p);
		status = open_once(p, path, when ? when : &latest, &is_used, err);
		if (status == ST_OK || status == ST_CONFIG || status == ST_NOMEM ||
		    (!is_used && i > 2)) {
			break;
		}
		clock_sleep_ns(RETRY_NS);
	}
	if (status != ST_OK) {
		state_pages_close(p);
		return status;
	}
	*out = p;
	return ST_OK;
}

void state_pages_close(struct state_pages *p)
{
	if (p) {
		close_once(p);
		free(p);
	}
}

uint32_t state_pages_size(const struct state_pages *p)
{
	return p->known.page_size;
}

uint32_t state_pages_count(const struct state_pages *p)
{
	return p->known.page_count;
}

struct state_moment state_pages_moment(const struct state_pages *p)
{
	return p->moment;
}

/* Of one that is not known nothing but zeros is read. */
bool state_pages_have_same(const struct state_pages *a, const struct state_pages *b,
			   uint32_t page_no)
{
	uint32_t i = page_no - 1;
	bool is_known = a->known.origins[i] != KNOWN_NOT;

	return is_known == (b->known.origins[i] != KNOWN_NOT) &&
	       (!is_known || a->known.hashes[i] == b->known.hashes[i]);
}

/* A page is not what its hash says. */
static enum status no_page(const struct state_pages *p, uint32_t page_no,
			   struct error *err)
{
	const char *path = state_dir_path(p->dir);
	struct state_dir *now;
	struct error ignored;
	bool is_new;
	bool is_same = false;

	if (state_dir_read(path, false, &now, &is_new, &ignored) == ST_OK) {
		is_same =
		    !is_new && state_dir_holder(now) == 0 &&
		    state_dir_meta(now)->base_lsn == state_dir_meta(p->dir)->base_lsn;
		state_dir_close(now);
	}
	if (is_same && !p->is_latest) {
		return error_set(err, ST_DAMAGED,
				 "%s: page %" PRIu32 " as of LSN %" PRIu64
				 " is damaged, or overwritten by what came later; "
				 "give a later moment",
				 quote(path).text, page_no, p->moment.lsn);
	}
	return is_same
		   ? error_set(err, ST_DAMAGED,
			       "%s: page %" PRIu32
			       " is damaged; rowtail verify --state says more",
			       quote(path).text, page_no)
		   : error_set(err, ST_RETRY,
			       "%s: the rowtail that uses it has gone on meanwhile; "
			       "try again, or ask the database itself",
			       quote(path).text);
}

enum status state_pages_read(struct state_pages *p, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	const struct known_pages *known = &p->known;
	uint32_t page_size = known->page_size;
	uint32_t i = page_no - 1;
	bool is_image;

	if (page_no == 0 || page_no > known->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %" PRIu32 " is asked for in a database of "
				 "%" PRIu32 " pages",
				 page_no, known->page_count);
	}
	if (known->origins[i] == KNOWN_NOT) {
		memset(bytes, 0, page_size);
		return ST_OK;
	}
	is_image = known->origins[i] == KNOWN_JOURNAL;
	if (!file_read_padded(is_image ? p->frames_fd : p->shadow_fd, bytes, page_size,
			      (off_t)(is_image ? known->slots[i] : i) * page_size)) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(state_dir_path(p->dir)).text);
	}
	return shadow_hash_of(page_no, bytes, page_size) == known->hashes[i]
		   ? ST_OK
		   : no_page(p, page_no, err);
}

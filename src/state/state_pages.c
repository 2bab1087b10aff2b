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

static enum status open_once(struct state_pages *p, const char *path, bool *is_used,
			     struct error *err)
{
	bool is_new;
	enum status status = state_dir_read(path, false, &p->dir, &is_new, err);

	*is_used = status == ST_OK && state_dir_holder(p->dir) != 0;
	if (status == ST_OK && is_new) {
		status = no_state(path, err);
	}
	if (status == ST_OK) {
		status = known_pages_init(&p->known, p->dir, !*is_used, err);
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

enum status state_pages_open(const char *path, struct state_pages **out,
			     struct error *err)
{
	struct state_pages *p = calloc(1, sizeof *p);
	enum status status = ST_OK;

	if (!p) {
		return error_no_memory(err, "a state directory");
	}
	p->shadow_fd = p->frames_fd = -1;
	for (int i = 0; i < TRIES; i++) {
		bool is_used;

		close_once(p);
		status = open_once(p, path, &is_used, err);
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

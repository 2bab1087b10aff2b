/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/kept_look.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/array.h"
#include "src/state/known_journal.h"
#include "src/state/last_settings.h"

struct known_chain {
	uint64_t lsn;
	uint64_t chain;
};

struct kept_look {
	struct kept_position kept; /* first member */
	struct state_dir *dir;     /* NULL: there is none yet */
	char *database;            /* real path */
	struct known_chain *chains;
	size_t count, cap;
};

static bool has(const struct kept_position *kept, uint64_t lsn, uint64_t chain)
{
	const struct kept_look *look = (const struct kept_look *)kept;

	for (size_t i = 0; i < look->count; i++) {
		if (look->chains[i].lsn == lsn) {
			return look->chains[i].chain == chain;
		}
	}
	return false;
}

static void close_look(struct kept_position *kept)
{
	struct kept_look *look = (struct kept_look *)kept;

	state_dir_close(look->dir);
	buffer_clear(&kept->last_settings);
	free(look->chains);
	free(look->database);
	free(look);
}

static enum status note_chain(struct kept_look *look, uint64_t lsn, uint64_t chain,
			      struct error *err)
{
	if (!array_room(&look->chains, &look->cap, look->count + 1,
			sizeof *look->chains)) {
		return error_no_memory(err, "the journal");
	}
	look->chains[look->count++] = (struct known_chain){lsn, chain};
	return ST_OK;
}

static enum status visit(void *context, const struct journal_found *found,
			 struct error *err)
{
	return note_chain(context, found->record.lsn, found->chain, err);
}

static enum status read_journal(struct kept_look *look, struct error *err)
{
	const struct state_meta *meta = state_dir_meta(look->dir);
	struct journal_reading how = {.visit = visit, .context = look};
	struct journal_end end;
	enum status status = note_chain(look, meta->base_lsn, meta->base_chain, err);

	if (status == ST_OK && state_dir_holder(look->dir) == 0) {
		status = known_journal_read(look->dir, &how, &end, err);
		look->kept.found_lsn = end.lsn;
	}
	return status;
}

static void take_meta(struct kept_look *look)
{
	const struct state_meta *meta = state_dir_meta(look->dir);
	struct kept_position *kept = &look->kept;

	kept->position = *state_dir_position(look->dir);
	kept->page_size = meta->page_size;
	for (size_t i = 0; i < STATE_UUID_BYTES; i++) {
		(void)snprintf(kept->uuid + 2 * i, 3, "%02x", meta->uuid[i]);
	}
	if (!last_settings_read(state_dir_fd(look->dir), &kept->last_settings,
				&kept->last_hash)) {
		buffer_clear(&kept->last_settings);
		kept->last_hash = 0;
	}
}

enum status kept_look_open(const char *path, const char *database_path,
			   struct kept_position **out, struct error *err)
{
	struct kept_look *look = calloc(1, sizeof *look);
	enum status status;

	if (!look) {
		return error_no_memory(err, "the position");
	}
	look->kept =
	    (struct kept_position){.is_new = true, .has = has, .close = close_look};
	buffer_init(&look->kept.last_settings);
	look->kept.database = look->database = strdup(database_path);
	status = look->database ? state_dir_look(path, database_path, &look->dir,
						 &look->kept.is_new, err)
				: error_no_memory(err, "the position");
	if (status == ST_OK && !look->kept.is_new) {
		take_meta(look);
		status = read_journal(look, err);
	}
	if (status != ST_OK) {
		close_look(&look->kept);
		return status;
	}
	*out = &look->kept;
	return ST_OK;
}

const struct state_dir *kept_look_dir(const struct kept_position *kept)
{
	return ((const struct kept_look *)kept)->dir;
}

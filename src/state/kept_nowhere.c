/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "src/state/kept_position.h"

static bool has(const struct kept_position *kept, uint64_t lsn, uint64_t chain)
{
	(void)kept;
	(void)lsn;
	(void)chain;
	return false;
}

static enum status put(struct kept_position *kept,
		       const struct state_position *position,
		       const struct span *settings, bool durable, struct error *err)
{
	(void)settings;
	(void)durable;
	(void)err;
	kept->position = *position;
	return ST_OK;
}

static enum status put_snapshots(struct kept_position *kept, struct snapshot_moment at,
				 struct span text, bool is_new, struct error *err)
{
	(void)kept;
	(void)at;
	(void)text;
	(void)is_new;
	(void)err;
	return ST_OK;
}

static enum status find_snapshots(struct kept_position *kept, struct snapshot_moment at,
				  bool keeps_later, struct snapshot_found *found,
				  struct error *err)
{
	(void)kept;
	(void)at;
	(void)keeps_later;
	(void)err;
	found->is_found = false;
	return ST_OK;
}

static void note(struct kept_position *kept, const char *why)
{
	(void)kept;
	(void)why;
}

static void close_nowhere(struct kept_position *kept)
{
	free(kept);
}

enum status kept_nowhere_open(struct kept_position **out, struct error *err)
{
	struct kept_position *kept = malloc(sizeof *kept);

	if (!kept) {
		return error_no_memory(err, "the position");
	}
	*kept = (struct kept_position){.is_new = true,
				       .database = "",
				       .has = has,
				       .put = put,
				       .put_snapshots = put_snapshots,
				       .find_snapshots = find_snapshots,
				       .note = note,
				       .note_outage = note,
				       .close = close_nowhere};
	*out = kept;
	return ST_OK;
}

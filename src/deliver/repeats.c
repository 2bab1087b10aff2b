/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/repeats.h"

#include <string.h>

#include "src/base/log.h"
#include "src/base/quote.h"

void repeats_init(struct repeats *repeats)
{
	*repeats = (struct repeats){.to_lsn = 0};
	snapshot_found_init(&repeats->asked);
}

void repeats_clear(struct repeats *repeats)
{
	snapshot_found_clear(&repeats->asked);
}

/* The LSN of a chunk that was begun. */
static uint64_t begun_lsn(const struct repeats *repeats, size_t index)
{
	uint64_t lsn;

	memcpy(&lsn, repeats->asked.begun.bytes + index * sizeof lsn, sizeof lsn);
	return lsn;
}

/* A power cut may have taken transactions between them. */
static void count_chunks(struct repeats *repeats, uint64_t last_lsn)
{
	size_t most = repeats->asked.begun.len / sizeof(uint64_t);

	while (repeats->chunks < most &&
	       begun_lsn(repeats, repeats->chunks) <= last_lsn) {
		repeats->chunks++;
	}
}

enum status repeats_find(struct repeats *repeats, struct kept_position *kept,
			 bool same_settings, struct error *err)
{
	const struct state_position *at = &kept->position;
	struct snapshot_found *asked = &repeats->asked;
	enum status status =
	    kept->find_snapshots(kept, (struct snapshot_moment){at->lsn, at->chunks},
				 same_settings, asked, err);

	if (status != ST_OK) {
		return status;
	}
	count_chunks(repeats, kept->found_lsn > at->lsn ? kept->found_lsn : at->lsn);
	repeats->to_lsn = at->unhanded_lsn > 0 && at->unhanded_lsn <= kept->found_lsn
			      ? at->unhanded_lsn - 1
			      : kept->found_lsn;
	repeats->is_asked_lost = (asked->is_found ? asked->at.chunks : 0) != at->chunks;
	return ST_OK;
}

enum status repeats_keep_rest(const struct repeats *repeats, struct kept_position *kept,
			      const char *path, struct error *err)
{
	static const char nothing[] = "{\"paused\":false,\"asked\":[]}";
	const struct buffer *text = &repeats->asked.text;
	struct snapshot_moment at = {kept->position.lsn, kept->position.chunks};
	struct span rest = {nothing, sizeof nothing - 1};

	if (repeats->asked.is_found) {
		rest = (struct span){text->bytes, text->len};
	}
	log_warn("%s: how far the snapshot was is lost: %s", quote(path).text,
		 repeats->asked.is_found
		     ? "some of its rows come once more"
		     : "ask again for those that were not over (rowtail signal)");
	return kept->put_snapshots(kept, at, rest, true, err);
}

bool repeats_has_chunk(const struct repeats *repeats)
{
	return repeats->repeated < repeats->chunks;
}

bool repeats_owes_chunk(const struct repeats *repeats, uint64_t lsn)
{
	return repeats_has_chunk(repeats) &&
	       begun_lsn(repeats, repeats->repeated) <= lsn;
}

bool repeats_go_on(const struct repeats *repeats, uint64_t lsn)
{
	return repeats_has_chunk(repeats) || lsn < repeats->to_lsn;
}

void repeats_done_chunk(struct repeats *repeats)
{
	repeats->repeated += repeats_has_chunk(repeats);
}

void repeats_drop_chunks(struct repeats *repeats)
{
	repeats->repeated = repeats->chunks;
}

bool repeats_end(struct repeats *repeats, uint64_t lsn)
{
	if (repeats_has_chunk(repeats)) {
		return false;
	}
	repeats->to_lsn = lsn;
	return true;
}

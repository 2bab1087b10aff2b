/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/resume.h"

#include "src/base/buffer.h"
#include "src/config/shaping.h"

void resume_tell(const struct state_position *from, uint64_t chain,
		 struct sink_position *to)
{
	*to = (struct sink_position){.lsn = from->lsn,
				     .chain = chain,
				     .in_snapshot = from->in_snapshot,
				     .messages = from->messages,
				     .chunks = from->chunks,
				     .in_chunk = from->in_chunk,
				     .change_id = from->change_id,
				     .txn_change_id = from->txn_change_id,
				     .previous_lsn = from->previous_lsn,
				     .settings_hash = from->settings_hash};
}

void resume_adopt(const struct sink_position *from, struct state_position *to)
{
	to->lsn = from->lsn;
	to->in_snapshot = from->in_snapshot;
	to->messages = from->messages;
	to->chunks = from->chunks;
	to->in_chunk = from->in_chunk;
	to->change_id = from->change_id;
	to->txn_change_id = from->txn_change_id;
	to->previous_lsn = from->previous_lsn;
	to->settings_hash = from->settings_hash;
	to->in_sink = true;
}

static bool has_transaction(const void *context, uint64_t lsn, uint64_t chain)
{
	const struct kept_position *kept = context;

	return kept->has(kept, lsn, chain);
}

/* Where the last run wrote. */
struct last_run {
	struct buffer kind, prefix, delimiter;
	bool is_known;
};

static bool find_text(const char *settings, const char *name, struct buffer *out)
{
	bool found = shaping_find(settings, name, out);

	buffer_add_char(out, '\0');
	return found && buffer_ok(out);
}

static void last_run_read(struct last_run *last, const struct kept_position *kept)
{
	const char *settings = kept->last_settings.bytes;

	buffer_init(&last->kind);
	buffer_init(&last->prefix);
	buffer_init(&last->delimiter);
	last->is_known = settings && kept->last_hash == kept->position.settings_hash &&
			 find_text(settings, "--to", &last->kind) &&
			 find_text(settings, "topic.prefix", &last->prefix) &&
			 find_text(settings, "topic.delimiter", &last->delimiter);
}

static void last_run_clear(struct last_run *last)
{
	buffer_clear(&last->kind);
	buffer_clear(&last->prefix);
	buffer_clear(&last->delimiter);
}

/* What is kept, in the sink's words; `last` is for the caller to clear. */
static struct sink_own own_of(const struct config *config,
			      const struct kept_position *kept, struct last_run *last)
{
	struct sink_own own = {.is_new = kept->is_new,
			       .uuid = kept->uuid,
			       .database = kept->database,
			       .place = {.inode = kept->position.sink_inode,
					 .length = kept->position.sink_length,
					 .start = kept->position.sink_start,
					 .proof = kept->position.sink_proof},
			       .was_kept = kept->position.in_sink,
			       .has = has_transaction,
			       .context = kept,
			       .when_needed =
				   config->snapshot_mode == SNAPSHOT_MODE_WHEN_NEEDED};

	resume_tell(&kept->position, 0, &own.position);
	last_run_read(last, kept);
	if (!own.is_new && last->is_known) {
		own.last_kind = last->kind.bytes;
		own.last_prefix = last->prefix.bytes;
		own.last_delimiter = last->delimiter.bytes;
	}
	return own;
}

enum status resume_claim(struct sink *sink, const struct config *config,
			 const struct kept_position *kept, struct sink_claim *out,
			 struct error *err)
{
	struct last_run last;
	struct sink_own own = own_of(config, kept, &last);
	enum status status = sink->kind->claim(sink, &own, out, err);

	last_run_clear(&last);
	return status;
}

enum status resume_look(struct sink *sink, const struct config *config,
			const struct kept_position *kept, const struct sink_look *look,
			struct error *err)
{
	struct last_run last;
	struct sink_own own = own_of(config, kept, &last);
	enum status status =
	    sink->kind->look ? sink->kind->look(sink, &own, look, err) : ST_OK;

	last_run_clear(&last);
	return status;
}

enum status resume_keep(const struct sink *sink, const struct sink_position *from,
			struct kept_position *kept, struct error *err)
{
	struct state_position position = kept->position;

	resume_adopt(from, &position);
	if (sink->kind->place) { /* which says it by itself */
		position.in_sink = kept->position.in_sink;
	}
	return kept->put(kept, &position, NULL, true, err);
}

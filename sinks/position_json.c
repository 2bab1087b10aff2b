/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/position_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *hex(uint64_t v)
{
	return json_sprintf("%016" PRIx64, v);
}

static json_t *lsn_or_null(uint64_t lsn)
{
	return lsn == SINK_NO_LSN ? json_null() : json_integer((json_int_t)lsn);
}

/* Most have none. */
static json_t *with_chunks(json_t *json, const struct sink_position *p)
{
	if (json && (p->chunks > 0 || p->in_chunk) &&
	    json_object_update_new(json, json_pack("{s:I, s:b}", "chunks",
						   (json_int_t)p->chunks, "chunk",
						   p->in_chunk)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *position_json(const struct sink_position *p)
{
	json_t *json = json_pack(
	    "{s:I, s:o, s:b, s:I, s:I, s:I, s:o, s:o}", "lsn", (json_int_t)p->lsn,
	    "chain", hex(p->chain), "snapshot", p->in_snapshot, "messages",
	    (json_int_t)p->messages, "change_id", (json_int_t)p->change_id,
	    "txn_change_id", (json_int_t)p->txn_change_id, "previous_lsn",
	    lsn_or_null(p->previous_lsn), "settings", hex(p->settings_hash));

	return with_chunks(json, p);
}

static bool parse_hex(const char *text, uint64_t *out)
{
	char *end;

	if (!text || strlen(text) != 16 ||
	    strspn(text, "0123456789abcdef") != strlen(text)) {
		return false;
	}
	*out = strtoull(text, &end, 16);
	return true;
}

static bool take_number(json_int_t n, uint64_t *out)
{
	*out = (uint64_t)n;
	return n >= 0;
}

bool position_json_take(const json_t *json, struct sink_position *p)
{
	const char *chain = NULL, *settings = NULL;
	const json_t *previous = NULL;
	json_int_t lsn = 0, messages = 0, change_id = 0, txn_change_id = 0, chunks = 0;
	int in_snapshot = 0, in_chunk = 0;

	if (json_unpack((json_t *)(uintptr_t)json,
			"{s:I, s:s, s:b, s:I, s:I, s:I, s:o, s:s, s?I, s?b}", "lsn",
			&lsn, "chain", &chain, "snapshot", &in_snapshot, "messages",
			&messages, "change_id", &change_id, "txn_change_id",
			&txn_change_id, "previous_lsn", &previous, "settings",
			&settings, "chunks", &chunks, "chunk", &in_chunk) != 0) {
		return false;
	}
	p->in_snapshot = in_snapshot != 0;
	p->in_chunk = in_chunk != 0;
	p->previous_lsn = json_is_integer(previous)
			      ? (uint64_t)json_integer_value(previous)
			      : SINK_NO_LSN;
	return take_number(lsn, &p->lsn) && parse_hex(chain, &p->chain) &&
	       take_number(messages, &p->messages) && take_number(chunks, &p->chunks) &&
	       take_number(change_id, &p->change_id) &&
	       take_number(txn_change_id, &p->txn_change_id) &&
	       parse_hex(settings, &p->settings_hash);
}

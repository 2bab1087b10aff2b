/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/check.h"

#include <jansson.h>
#include <string.h>

/* Of a line that tells of the log itself: longer ones are not parsed. */
#define CONTROL_BYTES 65536

const char *audit_finding_name(enum audit_finding finding)
{
	static const char *const names[] = {
	    [AUDIT_NO_LOG] = "no audit log", [AUDIT_ALTERED] = "altered",
	    [AUDIT_MISSING] = "missing",     [AUDIT_EXTRA] = "inserted",
	    [AUDIT_FORGED] = "forged head",  [AUDIT_TORN] = "torn",
	    [AUDIT_OTHER_KEY] = "other key", [AUDIT_SHORTER] = "shortened",
	    [AUDIT_REMADE] = "remade",
	};

	return names[finding];
}

static void tell(struct audit_check *check, enum audit_finding finding, uint64_t first,
		 uint64_t last)
{
	struct audit_found found = {finding, first, last};

	check->found++;
	check->settings->found(check->settings->context, &found);
}

static enum status check_hasher(const struct audit_check *check, struct error *err)
{
	return check->hasher.failed ? error_no_memory(err, "hashing") : ST_OK;
}

bool audit_line_text(struct span line, const char *name, struct buffer *to)
{
	json_t *json = line.len <= CONTROL_BYTES
			   ? json_loadb(line.bytes, line.len, 0, NULL)
			   : NULL;
	const json_t *text = json_object_get(json, name);
	bool is_there = json_is_string(text);

	if (is_there) {
		buffer_add(to, json_string_value(text), json_string_length(text));
	}
	json_decref(json);
	return is_there && buffer_ok(to);
}

/* ---- keys ---- */

static bool is_trusted(const struct audit_check *check, const struct audit_key *key)
{
	for (size_t i = 0; i < check->settings->key_count; i++) {
		if (audit_key_is(&check->settings->keys[i], key)) {
			return true;
		}
	}
	return false;
}

bool audit_line_key(struct span line, struct audit_key *key)
{
	struct buffer text;
	struct error ignored;
	bool is_there;

	buffer_init(&text);
	is_there = audit_line_text(line, "key", &text) &&
		   audit_key_parse(text.bytes, text.len, key, &ignored) == ST_OK &&
		   !key->is_private;
	buffer_clear(&text);
	return is_there;
}

/* The first line. */
static void take_file(struct audit_check *check, struct span line,
		      const struct audit_line *what)
{
	if (what->kind != AUDIT_LINE_FILE || !audit_line_key(line, &check->key)) {
		tell(check, AUDIT_NO_LOG, 0, 0);
		return;
	}
	check->has_key = true;
	if (check->settings->key_count > 0 && !is_trusted(check, &check->key)) {
		tell(check, AUDIT_OTHER_KEY, 0, 0);
	}
}

/* Another key without a word of the one before it. */
static void take_key(struct audit_check *check, struct span line)
{
	uint64_t at = check->tree.count;
	struct audit_key key;

	if (!audit_line_key(line, &key)) {
		tell(check, AUDIT_FORGED, at, at);
		return;
	}
	if (!audit_key_is(&key, &check->key) && !is_trusted(check, &key)) {
		tell(check, AUDIT_OTHER_KEY, at, at);
	}
	check->key = key;
}

/* ---- heads ---- */

/* Does a line's note hold for the lines before it? */
static void take_head(struct audit_check *check, struct span line, bool *is_right)
{
	uint64_t at = check->tree.count;
	struct audit_note note;
	struct audit_hash root;
	struct buffer text;
	struct error ignored;

	*is_right = false;
	buffer_init(&text);
	if (!check->has_key || !audit_line_text(line, "note", &text) ||
	    audit_note_parse(text.bytes, text.len, &note, &ignored) != ST_OK ||
	    !audit_note_is_signed(&note, &check->key)) {
		tell(check, AUDIT_FORGED, at, at);
		buffer_clear(&text);
		return;
	}
	root = audit_tree_root(&check->tree, &check->hasher);
	if (note.head.size == at && audit_hash_is(&root, &note.head.root)) {
		check->head = note.head;
		check->heads++;
		*is_right = true;
		check->is_altered = false; /* it was accepted; what is next is news */
	} else if (!check->is_altered) {
		check->is_altered = true; /* no later one can fit, but one made since */
		tell(check, AUDIT_ALTERED, check->covered, at > 0 ? at - 1 : 0);
	}
	buffer_clear(&text);
}

/* Heads that were kept elsewhere, of the tree as it is now. */
static void compare_kept(struct audit_check *check)
{
	const struct audit_check_settings *s = check->settings;

	while (check->kept_next < s->kept_count &&
	       s->kept[check->kept_next].head.size == check->tree.count) {
		const struct audit_head *head = &s->kept[check->kept_next++].head;
		struct audit_hash root = audit_tree_root(&check->tree, &check->hasher);

		if (!audit_hash_is(&root, &head->root)) {
			tell(check, AUDIT_REMADE, 0,
			     head->size > 0 ? head->size - 1 : 0);
		}
	}
}

/* ---- lines ---- */

static void check_number(struct audit_check *check, const struct audit_line *what)
{
	uint64_t expected = check->tree.count + (uint64_t)check->shift;

	/* A run that accepted what it found numbers its lines by their place again. */
	if ((what->kind == AUDIT_LINE_GAP || what->kind == AUDIT_LINE_KEY) &&
	    what->has_number && what->number == check->tree.count) {
		check->shift = 0;
		return;
	}
	if (!what->has_number || what->number < expected) {
		tell(check, AUDIT_EXTRA, check->tree.count, check->tree.count);
		check->shift--;
	} else if (what->number > expected) {
		tell(check, AUDIT_MISSING, expected, what->number - 1);
		check->shift += (int64_t)(what->number - expected);
	}
}

enum status audit_check_open(struct audit_check *check,
			     const struct audit_check_settings *settings,
			     struct error *err)
{
	*check = (struct audit_check){.settings = settings};
	return audit_hasher_open(&check->hasher, err);
}

void audit_check_close(struct audit_check *check)
{
	audit_hasher_close(&check->hasher);
}

enum status audit_check_line(struct audit_check *check, struct span line,
			     const struct audit_hash *leaf, bool is_whole,
			     struct error *err)
{
	const struct audit_check_settings *s = check->settings;
	struct audit_line what;
	bool is_head = false;

	compare_kept(check);
	if (!is_whole) { /* it was never a leaf */
		tell(check, AUDIT_TORN, check->tree.count, check->tree.count);
		return check_hasher(check, err);
	}
	audit_line_read(line.bytes, line.len, &what);
	check_number(check, &what);
	if (check->tree.count == 0) {
		take_file(check, line, &what);
	} else if (what.kind == AUDIT_LINE_CHECKPOINT) {
		take_head(check, line, &is_head);
	} else if (what.kind == AUDIT_LINE_KEY) {
		take_key(check, line);
	} else if (what.kind == AUDIT_LINE_GAP) {
		check->gaps++;
		if (s->on_gap) {
			s->on_gap(s->context, check->tree.count, line);
		}
	}
	if (what.kind != AUDIT_LINE_CHECKPOINT) {
		check->is_stopped = what.kind == AUDIT_LINE_STOP;
	}
	if (leaf) {
		audit_tree_add_leaf(&check->tree, &check->hasher, *leaf);
	} else {
		audit_tree_add(&check->tree, &check->hasher, line.bytes, line.len);
	}
	if (is_head) {
		check->covered = check->tree.count;
		if (s->on_head) {
			s->on_head(s->context, line);
		}
	}
	return check_hasher(check, err);
}

enum status audit_check_end(struct audit_check *check, struct error *err)
{
	const struct audit_check_settings *s = check->settings;

	compare_kept(check);
	if (check->tree.count == 0) {
		tell(check, AUDIT_NO_LOG, 0, 0);
	}
	for (; check->kept_next < s->kept_count; check->kept_next++) {
		tell(check, AUDIT_SHORTER, check->tree.count,
		     s->kept[check->kept_next].head.size - 1);
	}
	return check_hasher(check, err);
}

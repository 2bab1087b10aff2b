/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/check.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"

/* Of a line that tells of the log itself: longer ones are not parsed. */
#define CONTROL_BYTES 65536
/* As many as a head can sign (src/audit/note.c). */
#define MOST_LINES INT64_C(999999999999999999)

const char *audit_finding_name(enum audit_finding finding)
{
	static const char *const names[] = {
	    [AUDIT_NO_LOG] = "no audit log", [AUDIT_ALTERED] = "altered",
	    [AUDIT_MISSING] = "missing",     [AUDIT_EXTRA] = "inserted",
	    [AUDIT_FORGED] = "forged head",  [AUDIT_TORN] = "torn",
	    [AUDIT_OTHER_KEY] = "other key", [AUDIT_SHORTER] = "shortened",
	    [AUDIT_REMADE] = "remade",       [AUDIT_DAMAGED] = "damaged",
	    [AUDIT_TAKEN_OUT] = "taken out",
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

json_t *audit_line_json(struct span line)
{
	return line.len <= CONTROL_BYTES ? json_loadb(line.bytes, line.len, 0, NULL)
					 : NULL;
}

bool audit_line_text(struct span line, const char *name, struct buffer *to)
{
	json_t *json = audit_line_json(line);
	const json_t *text = json_object_get(json, name);
	bool is_there = json_is_string(text);

	if (is_there) {
		buffer_add(to, json_string_value(text), json_string_length(text));
	}
	json_decref(json);
	return is_there && buffer_ok(to);
}

/* ---- keys ---- */

static bool is_trusted(const struct audit_check *check, const struct audit_key *key,
		       uint64_t at)
{
	for (size_t i = 0; i < check->settings->key_count; i++) {
		const struct audit_trusted *trusted = &check->settings->keys[i];

		if (trusted->from <= at && audit_key_is(&trusted->key, key)) {
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

/* Another key, and no word of the one before it that is right. */
static void meet_key(struct audit_check *check, const struct audit_key *key,
		     uint64_t at)
{
	if (!is_trusted(check, key, at)) {
		tell(check, AUDIT_OTHER_KEY, check->tree.count, check->tree.count);
	}
}

/* Nobody handed over to the key of a file. */
static void miss_handover(struct audit_check *check)
{
	check->is_new = false;
	if (check->has_before || check->settings->key_count > 0) {
		meet_key(check, &check->key, check->base.size);
	}
}

/* Has the key that signed the file before, or one that is trusted? */
static bool is_handed_over(const struct audit_check *check,
			   const struct audit_note *note)
{
	const struct audit_check_settings *s = check->settings;

	if (note->head.size != check->base.size ||
	    !audit_hash_is(&note->head.root, &check->base.root) ||
	    !audit_note_hands_over(note, &check->key)) {
		return false;
	}
	if (check->has_before) {
		return audit_note_is_signed(note, &check->before);
	}
	for (size_t i = 0; i < s->key_count; i++) {
		if (s->keys[i].from <= note->head.size &&
		    audit_note_is_signed(note, &s->keys[i].key)) {
			return true;
		}
	}
	/* The file before is gone, and nothing is trusted but the log's own words. */
	return s->key_count == 0;
}

/* A line of another key: at a file's beginning it hands over. */
static void take_key(struct audit_check *check, struct span line)
{
	uint64_t at = check->tree.count;
	struct audit_note note;
	struct audit_key key;
	struct buffer text;
	struct error ignored;

	if (!audit_line_key(line, &key)) {
		tell(check, AUDIT_FORGED, at, at);
		return;
	}
	if (!check->is_new) {
		if (!audit_key_is(&key, &check->key)) {
			meet_key(check, &key, at);
		}
		check->key = key;
		return;
	}
	buffer_init(&text);
	if (audit_key_is(&key, &check->key) && audit_line_text(line, "note", &text) &&
	    audit_note_parse(text.bytes, text.len, &note, &ignored) == ST_OK &&
	    is_handed_over(check, &note)) {
		check->is_new = false;
	} else {
		miss_handover(check);
	}
	buffer_clear(&text);
}

/* ---- files ---- */

/* "first" and "frontier" of a file's first line. */
static bool read_frontier(struct span line, struct audit_tree *out)
{
	json_t *json = audit_line_json(line);
	const json_t *first = json_object_get(json, "first");
	const json_t *roots = json_object_get(json, "frontier");
	bool is_right = json_is_integer(first) && json_integer_value(first) >= 0 &&
			json_integer_value(first) <= MOST_LINES &&
			json_array_size(roots) <= AUDIT_TREE_ROOTS;

	*out = (struct audit_tree){0};
	if (is_right) {
		out->count = (uint64_t)json_integer_value(first);
		out->root_count = (unsigned)json_array_size(roots);
		is_right =
		    out->root_count == (unsigned)__builtin_popcountll(out->count);
	}
	for (unsigned i = 0; is_right && i < out->root_count; i++) {
		const json_t *root = json_array_get(roots, i);

		is_right =
		    json_is_string(root) &&
		    audit_base64_read(json_string_value(root), json_string_length(root),
				      out->roots[i].bytes, AUDIT_HASH_BYTES);
	}
	json_decref(json);
	return is_right;
}

static bool is_same_tree(const struct audit_tree *a, const struct audit_tree *b)
{
	return a->count == b->count &&
	       memcmp(a->roots, b->roots, a->root_count * sizeof *a->roots) == 0;
}

/* Lines that had gone when the file began, as its first line says. */
static uint64_t read_retired(struct span line, uint64_t first)
{
	json_t *json = audit_line_json(line);
	json_int_t retired = json_integer_value(json_object_get(json, "retired"));

	json_decref(json);
	return retired > 0 && (uint64_t)retired <= first ? (uint64_t)retired : 0;
}

/* What the file before it ends with is not what it goes on from. It is judged by
 * itself. */
static void go_on_from(struct audit_check *check, const struct audit_tree *frontier)
{
	uint64_t here = check->tree.count;

	if (frontier->count > here) {
		tell(check, AUDIT_MISSING, here, frontier->count - 1);
	} else if (frontier->count < here) {
		tell(check, AUDIT_EXTRA, frontier->count, here - 1);
	} else if (!check->is_altered) {
		tell(check, AUDIT_ALTERED, check->covered, here - 1);
	}
	check->tree = *frontier;
	check->covered = frontier->count;
	check->is_altered = false;
	check->shift = 0;
}

/* The first line of a file. */
static void take_file(struct audit_check *check, struct span line,
		      const struct audit_line *what)
{
	struct audit_tree frontier;
	struct audit_key key;
	bool is_start = check->files == 0;

	/* The file before it ended with its first line: nobody vouches for its key,
	 * which could else vouch for this one's. */
	if (check->is_new) {
		miss_handover(check);
	}
	if (what->kind != AUDIT_LINE_FILE || !audit_line_key(line, &key) ||
	    !read_frontier(line, &frontier)) {
		if (is_start) {
			tell(check, AUDIT_NO_LOG, 0, 0);
		} else { /* its lines go on behind those before it, or do not */
			tell(check, AUDIT_ALTERED, check->tree.count,
			     check->tree.count);
		}
		return;
	}
	if (is_start) {
		check->tree = check->gone = frontier;
		check->begin = check->covered = frontier.count;
		check->retired = check->retiring = read_retired(line, frontier.count);
	} else if (!is_same_tree(&check->tree, &frontier)) {
		go_on_from(check, &frontier);
	}
	check->files++;
	check->base.size = frontier.count;
	check->base.root = audit_tree_root(&frontier, &check->hasher);
	check->has_before = check->has_key;
	check->before = check->key;
	check->key = key;
	check->has_key = true;
	check->is_new = frontier.count > 0;
	if (!check->is_new && check->settings->key_count > 0) {
		meet_key(check, &key, 0);
	}
}

/* The log says that files went with their time, the oldest ones. */
static void take_retention(struct audit_check *check, struct span line)
{
	json_t *json = audit_line_json(line);
	json_int_t first = json_integer_value(json_object_get(json, "first"));
	json_int_t last = json_integer_value(json_object_get(json, "last"));

	if (first >= 0 && last >= first && last <= MOST_LINES &&
	    (uint64_t)first <= check->retiring) {
		uint64_t end = (uint64_t)last + 1;

		check->retiring = end > check->retiring ? end : check->retiring;
	}
	json_decref(json);
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
		check->retired = check->retiring;
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

	/* Their lines are in a file that is not there: nothing can be said of them. */
	while (check->kept_next < s->kept_count &&
	       s->kept[check->kept_next].head.size < check->tree.count) {
		check->kept_next++;
		check->kept_gone++;
	}
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

/* ---- redactions ---- */

bool audit_line_leaf(const struct audit_line *what, struct audit_hash *leaf)
{
	return what->kind == AUDIT_LINE_REDACTED &&
	       audit_base64_read(what->leaf.bytes, what->leaf.len, leaf->bytes,
				 sizeof leaf->bytes);
}

static enum status add_redacted(struct audit_redacted_list *to, uint64_t first,
				uint64_t last, uint64_t by, struct error *err)
{
	struct audit_redacted *before = to->count > 0 ? &to->list[to->count - 1] : NULL;

	if (before && before->by == by && before->last + 1 == first) {
		before->last = last;
		return ST_OK;
	}
	if (!array_room(&to->list, &to->room, to->count + 1, sizeof *to->list)) {
		return error_no_memory(err, "redactions");
	}
	to->list[to->count++] =
	    (struct audit_redacted){.first = first, .last = last, .by = by};
	return ST_OK;
}

/* "lines":[[FIRST,LAST],…] of a redaction. */
static enum status take_redaction(struct audit_check *check, struct span line,
				  struct error *err)
{
	json_t *json = audit_line_json(line);
	const json_t *pair;
	size_t index;
	enum status status = ST_OK;

	check->redactions++;
	json_array_foreach(json_object_get(json, "lines"), index, pair)
	{
		json_int_t first = json_integer_value(json_array_get(pair, 0));
		json_int_t last = json_integer_value(json_array_get(pair, 1));

		/* Of lines that are to come nobody can say so. */
		if (status == ST_OK && first >= 0 && last >= first &&
		    (uint64_t)last < check->tree.count) {
			status = add_redacted(&check->told, (uint64_t)first,
					      (uint64_t)last, check->tree.count, err);
		}
	}
	json_decref(json);
	return status;
}

static int compare_redacted(const void *a, const void *b)
{
	const struct audit_redacted *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* What is not signed yet anybody may have written. */
static void sort_told(struct audit_check *check)
{
	struct audit_redacted_list *told = &check->told;
	size_t kept = 0;

	for (size_t i = 0; i < told->count; i++) {
		if (told->list[i].by < check->head.size) {
			told->list[kept++] = told->list[i];
		}
	}
	told->count = kept;
	if (kept > 0) {
		qsort(told->list, kept, sizeof *told->list, compare_redacted);
	}
}

/* Runs of lines that were taken out without a word: both lists are gone through once.
 */
static void miss_redactions(struct audit_check *check)
{
	const struct audit_redacted_list *told = &check->told;
	size_t next = 0;

	sort_told(check);
	for (size_t i = 0; i < check->redacted.count; i++) {
		uint64_t first = check->redacted.list[i].first;
		uint64_t end = check->redacted.list[i].last + 1;

		for (; next < told->count && told->list[next].first < end; next++) {
			const struct audit_redacted *by = &told->list[next];

			if (by->first > first) {
				tell(check, AUDIT_TAKEN_OUT, first, by->first - 1);
			}
			first = by->last + 1 > first ? by->last + 1 : first;
			if (first >= end) {
				break; /* and perhaps the next ones, too */
			}
		}
		if (first < end) {
			tell(check, AUDIT_TAKEN_OUT, first, end - 1);
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
	free(check->redacted.list);
	free(check->told.list);
}

/* What a line tells of the log itself. */
static void take_control(struct audit_check *check, struct span line,
			 const struct audit_line *what, bool *is_head)
{
	const struct audit_check_settings *s = check->settings;

	if (check->is_new && what->kind != AUDIT_LINE_KEY) {
		miss_handover(check);
	}
	switch (what->kind) {
	case AUDIT_LINE_CHECKPOINT:
		take_head(check, line, is_head);
		break;
	case AUDIT_LINE_KEY:
		take_key(check, line);
		break;
	case AUDIT_LINE_RETENTION:
		take_retention(check, line);
		break;
	case AUDIT_LINE_REDACTION:
		if (s->on_redaction) {
			s->on_redaction(s->context, check->tree.count, line);
		}
		break;
	case AUDIT_LINE_GAP:
		check->gaps++;
		if (s->on_gap) {
			s->on_gap(s->context, check->tree.count, line);
		}
		break;
	default:
		break;
	}
	if (what->kind != AUDIT_LINE_CHECKPOINT && what->kind != AUDIT_LINE_KEY &&
	    what->kind != AUDIT_LINE_REDACTION) {
		check->is_stopped = what->kind == AUDIT_LINE_STOP;
	}
}

enum status audit_check_line(struct audit_check *check, struct span line,
			     const struct audit_hash *leaf, bool is_first,
			     bool is_whole, struct error *err)
{
	const struct audit_check_settings *s = check->settings;
	struct audit_line what;
	struct audit_hash redacted;
	bool is_head = false;

	compare_kept(check);
	if (!is_whole) { /* it was never a leaf */
		tell(check, AUDIT_TORN, check->tree.count, check->tree.count);
		return check_hasher(check, err);
	}
	audit_line_read(line.bytes, line.len, &what);
	if (is_first) {
		take_file(check, line, &what);
	}
	check_number(check, &what);
	if (!is_first) {
		take_control(check, line, &what, &is_head);
	}
	if (what.kind == AUDIT_LINE_REDACTION &&
	    take_redaction(check, line, err) != ST_OK) {
		return err->status;
	}
	if (!leaf && audit_line_leaf(&what, &redacted)) {
		check->redacted_lines++;
		if (add_redacted(&check->redacted, check->tree.count, check->tree.count,
				 0, err) != ST_OK) {
			return err->status;
		}
		leaf = &redacted;
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

void audit_check_damaged(struct audit_check *check)
{
	tell(check, AUDIT_DAMAGED, check->tree.count, check->tree.count);
}

/* Are files gone of which the log does not say so? */
static void miss_oldest(struct audit_check *check)
{
	if (!check->is_part && check->begin > check->retired) {
		tell(check, AUDIT_MISSING, check->retired, check->begin - 1);
	}
}

enum status audit_check_end(struct audit_check *check, struct error *err)
{
	const struct audit_check_settings *s = check->settings;

	compare_kept(check);
	miss_oldest(check);
	if (!check->is_part) {
		miss_redactions(check);
	}
	if (check->tree.count == 0) {
		tell(check, AUDIT_NO_LOG, 0, 0);
	}
	for (; check->kept_next < s->kept_count; check->kept_next++) {
		tell(check, AUDIT_SHORTER, check->tree.count,
		     s->kept[check->kept_next].head.size - 1);
	}
	return check_hasher(check, err);
}

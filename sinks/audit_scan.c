/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_scan.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "sinks/position_json.h"
#include "src/base/quote.h"

struct scanner {
	struct audit_scan *scan;
	struct audit_reader reader;
	struct audit_check check;
	bool is_log;
};

uint64_t audit_scan_proof(const struct audit_tree *tree, struct audit_hasher *hasher)
{
	struct audit_hash root = audit_tree_root(tree, hasher);
	uint64_t proof;

	memcpy(&proof, root.bytes, sizeof proof);
	return proof;
}

static void found(void *context, const struct audit_found *what)
{
	struct scanner *s = context;
	struct audit_scan *scan = s->scan;

	if (what->finding == AUDIT_NO_LOG) {
		s->is_log = false;
	}
	/* A torn line was never acknowledged; a key that nobody handed over was
	 * accepted once. */
	if (what->finding == AUDIT_TORN || what->finding == AUDIT_OTHER_KEY ||
	    scan->seen.wrong) {
		return;
	}
	if (what->finding == AUDIT_FORGED) {
		(void)snprintf(scan->wrong, sizeof scan->wrong,
			       "the checkpoint in line %" PRIu64
			       " is not signed with its key",
			       what->first);
	} else {
		(void)snprintf(scan->wrong, sizeof scan->wrong,
			       "of lines %" PRIu64 " to %" PRIu64 " some are %s",
			       what->first, what->last,
			       audit_finding_name(what->finding));
	}
	scan->seen.wrong = scan->wrong;
}

/* Lines that a right head signs are what is there, whatever was before it. */
static void on_head(void *context, struct span line)
{
	struct scanner *s = context;
	struct audit_seen *seen = &s->scan->seen;
	json_t *json = json_loadb(line.bytes, line.len, 0, NULL);
	const json_t *position = json_object_get(json, "position");
	const char *uuid = json_string_value(json_object_get(position, "uuid"));

	seen->wrong = NULL;
	seen->has_head = true;
	seen->covered = s->check.tree.count;
	s->scan->head.offset = s->reader.offset;
	s->scan->head.tree = s->check.tree;
	(void)snprintf(seen->uuid, sizeof seen->uuid, "%s", uuid ? uuid : "");
	if (!uuid || !position_json_take(position, &seen->position)) {
		*seen->uuid = '\0'; /* signed, but none of ours: another one's */
	}
	json_decref(json);
}

static void compare_place(struct scanner *s)
{
	struct audit_scan *scan = s->scan;

	if (scan->remembered > 0 && s->check.tree.count == scan->remembered) {
		scan->seen.is_remembered =
		    audit_scan_proof(&s->check.tree, &s->check.hasher) == scan->proof;
		scan->place.offset = scan->end.offset;
		scan->place.tree = s->check.tree;
		/* What is wrong before it was accepted, and no head came since. */
		if (scan->seen.is_remembered) {
			scan->seen.wrong = NULL;
		}
	}
}

static void take_uuid(struct scanner *s, struct span line)
{
	struct buffer text;

	buffer_init(&text);
	if (audit_line_text(line, "uuid", &text)) {
		buffer_add_char(&text, '\0');
		(void)snprintf(s->scan->seen.uuid, sizeof s->scan->seen.uuid, "%s",
			       buffer_ok(&text) ? text.bytes : "");
	}
	buffer_clear(&text);
}

/* Half a line is all that there is: is it what a first start writes? Anything else is
 * somebody's file, and stays. */
static bool is_first_line(struct span line)
{
	static const char start[] = "{\"n\":0,\"time\":\"";
	size_t len = line.len < sizeof start - 1 ? line.len : sizeof start - 1;

	return memcmp(line.bytes, start, len) == 0;
}

static enum status scan_lines(struct scanner *s, struct error *err)
{
	struct audit_scan *scan = s->scan;
	struct span line;
	bool is_whole;
	enum status status;

	while ((status = audit_reader_next(&s->reader, &line, &is_whole, err)) ==
	       ST_OK) {
		if (audit_check_line(&s->check, line,
				     s->reader.is_long ? &s->reader.leaf : NULL,
				     is_whole, err) != ST_OK) {
			return err->status;
		}
		if (!is_whole && s->check.tree.count == 0) {
			s->is_log = is_first_line(line);
		}
		if (!s->is_log) {
			return ST_OK;
		}
		if (is_whole) {
			scan->end.offset = s->reader.offset;
			if (s->check.tree.count == 1) {
				take_uuid(s, line);
			}
			compare_place(s);
		}
	}
	return status == ST_END ? ST_OK : status;
}

enum status audit_scan_run(struct audit_scan *scan, int fd, const char *path,
			   struct error *err)
{
	struct scanner s = {.scan = scan, .is_log = true};
	struct audit_check_settings settings = {
	    .found = found, .on_head = on_head, .context = &s};
	enum status status = audit_check_open(&s.check, &settings, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open(&s.reader, fd, path);
	status = scan_lines(&s, err);
	if (status == ST_OK && !s.is_log) {
		status = error_set(err, ST_CONFIG,
				   "%s is there and is no audit log; name another "
				   "file with --to audit:",
				   quote(path).text);
	}
	scan->size = s.reader.offset;
	scan->end.tree = s.check.tree;
	scan->key = s.check.key;
	scan->seen.lines = s.check.tree.count;
	scan->seen.was_stopped = s.check.is_stopped;
	audit_reader_close(&s.reader);
	audit_check_close(&s.check);
	return status;
}

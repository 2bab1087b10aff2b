/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_scan.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sinks/position_json.h"
#include "src/audit/line.h"
#include "src/audit/reader.h"
#include "src/base/quote.h"
#include "src/base/time_text.h"

#define TORN_BYTES 65536 /* of a file whose first write was torn, at most */

struct scanner {
	struct audit_scan *scan;
	const struct audit_files *files;
	struct audit_reader reader;
	struct audit_check check;
	uint64_t begun_at; /* where the last file began that has a whole line */
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
	json_t *json = audit_line_json(line);
	const json_t *position = json_object_get(json, "position");
	const char *uuid = json_string_value(json_object_get(position, "uuid"));

	seen->wrong = NULL;
	seen->has_head = true;
	seen->covered = s->check.tree.count;
	s->scan->head.offset = s->reader.offset - s->reader.file_start;
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

/* A power cut may have left zeros where the first sector of the first write was to be:
 * in a file with the number of a first one, which nobody else makes. */
static bool is_torn_start(const struct scanner *s, struct span line)
{
	const struct audit_files *files = s->files;
	const struct audit_file *file = &files->list[0];
	bool is_compressed;
	uint64_t first;
	struct stat st, named;

	return s->scan->remembered == 0 && files->count == 1 && line.len > 0 &&
	       line.bytes[0] == '\0' &&
	       audit_files_number(file->path, &first, &is_compressed) && first == 0 &&
	       file->is_open && fstat(file->fd, &st) == 0 && st.st_size <= TORN_BYTES &&
	       lstat(file->path, &named) == 0 && named.st_dev == st.st_dev &&
	       named.st_ino == st.st_ino;
}

/* The first line of a file. */
static void begin_file(struct scanner *s, struct span line)
{
	struct audit_scan *scan = s->scan;
	struct audit_line what;
	char time[40];

	take_uuid(s, line);
	audit_line_read(line.bytes, line.len, &what);
	(void)snprintf(
	    time, sizeof time, "%.*s",
	    what.time.bytes && what.time.len < sizeof time ? (int)what.time.len : 0,
	    what.time.bytes ? what.time.bytes : "");
	if (!time_text_read(time, &scan->begun_ns)) {
		scan->begun_ns = 0;
	}
	scan->file_lines = 0;
	s->begun_at = s->reader.file_start;
	/* What is remembered of files before it is in its frontier. */
	scan->place.offset = scan->head.offset = 0;
	scan->handover[0] = '\0';
	scan->is_begun = s->check.base.size == 0;
}

/* The word of the key before, which PATH.keys has, too. */
static void keep_handover(struct audit_scan *scan, struct span line)
{
	struct buffer note;

	buffer_init(&note);
	if (audit_line_text(line, "note", &note) && note.len < sizeof scan->handover) {
		memcpy(scan->handover, note.bytes, note.len);
		scan->handover[note.len] = '\0';
	}
	buffer_clear(&note);
}

static void take_whole(struct scanner *s, struct span line)
{
	struct audit_scan *scan = s->scan;

	if (s->reader.is_first) {
		begin_file(s, line);
	}
	scan->file_lines++;
	scan->end.offset = s->reader.offset - s->reader.file_start;
	/* It is never cut back to before its key was handed over to. */
	if (scan->file_lines == 2 && s->check.base.size > 0 && !s->check.is_new) {
		scan->is_begun = true;
		scan->head.offset = scan->end.offset;
		scan->head.tree = s->check.tree;
		keep_handover(scan, line);
	}
	compare_place(s);
}

static enum status scan_lines(struct scanner *s, struct error *err)
{
	struct span line;
	bool is_whole, is_hole;
	enum status status;

	while ((status = audit_reader_next(&s->reader, &line, &is_whole, err)) ==
	       ST_OK) {
		/* A hole that a power cut left: what follows was never synced. */
		is_hole = is_whole && memchr(line.bytes, '\0', line.len);
		is_whole = is_whole && !is_hole;
		if (audit_check_line(&s->check, line,
				     s->reader.is_long ? &s->reader.leaf : NULL,
				     s->reader.is_first, is_whole, err) != ST_OK) {
			return err->status;
		}
		if (!is_whole && s->check.tree.count == 0) {
			s->is_log = is_first_line(line) || is_torn_start(s, line);
		}
		if (!s->is_log) {
			return ST_OK;
		}
		if (is_whole) {
			take_whole(s, line);
		}
		if (is_hole) {
			return ST_OK;
		}
	}
	return status == ST_END ? ST_OK : status;
}

/* Of the file as it is now, which is open. */
static uint64_t size_of(const struct audit_file *file)
{
	struct stat st;

	return file->is_open && fstat(file->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* The file that is read first. */
static size_t find_first(const struct audit_scan *scan, const struct audit_files *files)
{
	size_t at = files->count - 1;

	if (scan->remembered == 0) { /* its last head may be in the one before */
		return at > 0 ? at - 1 : 0;
	}
	while (at > 0 && files->list[at].first >= scan->remembered) {
		at--;
	}
	return at;
}

enum status audit_scan_run(struct audit_scan *scan, const struct audit_files *files,
			   const char *path, struct error *err)
{
	struct scanner s = {.scan = scan, .files = files, .is_log = true};
	struct audit_check_settings settings = {
	    .found = found, .on_head = on_head, .context = &s};
	enum status status = audit_check_open(&s.check, &settings, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open_files(&s.reader, files, find_first(scan, files));
	status = scan_lines(&s, err);
	if (status == ST_OK && !s.is_log) {
		status = error_set(err, ST_CONFIG,
				   "%s is there and is no audit log; name another "
				   "file with --to audit:",
				   quote(path).text);
	}
	if (s.begun_at != s.reader.file_start) { /* the newest has no whole line */
		scan->is_begun = false;
		scan->file_lines = scan->end.offset = 0;
	}
	scan->size = size_of(&files->list[files->count - 1]);
	scan->end.tree = s.check.tree;
	scan->key = s.check.key;
	scan->retired = s.check.retired;
	scan->seen.lines = s.check.tree.count;
	scan->seen.is_first = files->count == 1 && s.check.begin == 0;
	scan->seen.was_stopped = s.check.is_stopped;
	audit_reader_close(&s.reader);
	audit_check_close(&s.check);
	return status;
}

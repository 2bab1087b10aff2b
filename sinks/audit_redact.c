/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_redact.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/audit_lines.h"
#include "sinks/audit_scan.h"
#include "sinks/audit_turn.h"
#include "sinks/output_path.h"
#include "src/audit/line.h"
#include "src/audit/output.h"
#include "src/audit/reader.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"

#define TOLD_RANGES                                                       \
	500 /* in one line, at most: with `by` and `why` it is read whole \
	     */

struct redact {
	const struct audit_redaction *asked;
	struct audit_log log;
	struct audit_place file;
	struct audit_scan *scan;
	char *uuid, *database, *position; /* of the log; the caller's to free */
	size_t next;                      /* of the lines */
};

/* ---- the log as it is ---- */

static char *text_of(struct span line, const char *name)
{
	struct buffer text;

	buffer_init(&text);
	(void)audit_line_text(line, name, &text);
	buffer_add_char(&text, '\0');
	if (!buffer_ok(&text)) {
		buffer_clear(&text);
		return NULL;
	}
	return text.bytes;
}

static void take_position(struct redact *r, struct span line)
{
	json_t *json = audit_line_json(line);
	const json_t *position = json_object_get(json, "position");
	char *text =
	    json_is_object(position) ? json_dumps(position, JSON_COMPACT) : NULL;

	if (text) {
		free(r->position);
		r->position = text;
	}
	json_decref(json);
}

/* Whose log it is, and the position of its last head: new lines say the same. */
static enum status read_newest(struct redact *r, struct error *err)
{
	struct audit_reader reader;
	struct audit_line what;
	struct span line;
	bool is_whole;
	enum status status;

	audit_reader_open_files(&reader, &r->file.files, r->file.files.count - 1);
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		audit_line_read(line.bytes, line.len, &what);
		if (what.kind == AUDIT_LINE_FILE && reader.is_first) {
			r->uuid = text_of(line, "uuid");
			r->database = text_of(line, "database");
		} else if (what.kind == AUDIT_LINE_CHECKPOINT && !reader.is_long) {
			take_position(r, line);
		}
	}
	audit_reader_close(&reader);
	if (status != ST_END) {
		return status;
	}
	return r->uuid && r->database && r->position
		   ? ST_OK
		   : error_set(err, ST_CORRUPT,
			       "%s does not say whose log it is; ask rowtail audit "
			       "verify",
			       quote(r->asked->path).text);
}

static enum status check_log(const struct redact *r, struct error *err)
{
	const struct audit_seen *seen = &r->scan->seen;
	const char *path = r->asked->path;

	if (seen->wrong) {
		return error_set(err, ST_CORRUPT,
				 "%s is not what was written: %s; nothing was taken "
				 "out. See rowtail audit verify",
				 quote(path).text, seen->wrong);
	}
	if (!seen->has_head || seen->covered != seen->lines ||
	    r->scan->size != r->scan->end.offset) {
		return error_set(
		    err, ST_CONFIG,
		    "%s does not end with a checkpoint, as it does after a "
		    "stop: start rowtail, stop it, and do this again",
		    quote(path).text);
	}
	return ST_OK;
}

static enum status find_key(struct redact *r, struct error *err)
{
	const char *state = r->asked->state_path;
	bool is_there;
	enum status status =
	    audit_turn_read_key(state, &r->scan->key, &r->log.secrets, &is_there, err);

	return status != ST_END
		   ? status
		   : error_set(err, ST_CONFIG,
			       "--state %s: %s: give the state directory of this log",
			       quote(state).text,
			       is_there ? "its audit-key is another log's"
					: "there is no audit-key");
}

static enum status open_log(struct redact *r, struct error *err)
{
	enum status status = audit_log_init(&r->log, err);

	if (status == ST_OK) {
		status = audit_place_open(&r->file, r->asked->path, false, err);
	}
	if (status == ST_OK && !r->file.exists) {
		status = error_set(err, ST_CONFIG,
				   "%s: no such file; give the PATH of --to audit:PATH",
				   quote(r->asked->path).text);
	}
	if (status == ST_OK) {
		status = audit_scan_run(r->scan, &r->file.files, r->asked->path, err);
	}
	if (status == ST_OK) {
		status = check_log(r, err);
	}
	if (status == ST_OK) {
		status = find_key(r, err);
	}
	if (status != ST_OK) {
		return status;
	}
	r->log.path = strdup(r->asked->path);
	audit_log_set(&r->log, &r->scan->end.tree, r->scan->size);
	r->log.retired = r->scan->retired;
	r->log.writer.fd = r->file.fd;
	r->log.writer.path = r->file.file_path;
	return r->log.path ? read_newest(r, err) : error_no_memory(err, "a path");
}

/* ---- saying so ---- */

/* As many as one line tells, from the line at `*at` on. */
static void add_ranges(const struct audit_redaction *asked, size_t *at,
		       struct buffer *body)
{
	buffer_add_char(body, '[');
	for (unsigned n = 0; n < TOLD_RANGES && *at < asked->count; n++) {
		uint64_t first = asked->lines[*at], last = first;

		while (++*at < asked->count && asked->lines[*at] == last + 1) {
			last++;
		}
		buffer_add_str(body, n > 0 ? ",[" : "[");
		buffer_add_u64(body, first);
		buffer_add_char(body, ',');
		buffer_add_u64(body, last);
		buffer_add_char(body, ']');
	}
	buffer_add_char(body, ']');
}

static enum status tell(struct redact *r, struct error *err)
{
	const struct audit_redaction *asked = r->asked;
	enum status status = ST_OK;

	for (size_t at = 0; status == ST_OK && at < asked->count;) {
		struct buffer ranges;

		buffer_init(&ranges);
		add_ranges(asked, &at, &ranges);
		status =
		    audit_add_redaction(&r->log, asked->by, asked->why, &ranges, err);
		buffer_clear(&ranges);
	}
	if (status == ST_OK) {
		status = audit_log_sync(&r->log, err);
	}
	FAULT_POINT("audit-redaction-told");
	return status == ST_OK ? audit_log_sign(&r->log, r->position, err) : status;
}

/* ---- taking out ---- */

/* Is the next line that is asked for `n`? */
static bool is_asked(struct redact *r, uint64_t n)
{
	const struct audit_redaction *asked = r->asked;

	while (r->next < asked->count && asked->lines[r->next] < n) {
		r->next++;
	}
	return r->next < asked->count && asked->lines[r->next] == n;
}

static enum status put_redacted(struct audit_output *out, uint64_t n,
				struct audit_hash leaf, struct error *err)
{
	struct buffer line;
	enum status status;

	buffer_init(&line);
	buffer_add_str(&line, "{\"n\":");
	buffer_add_u64(&line, n);
	buffer_add_str(&line, ",\"op\":\"redacted\",\"leaf\":\"");
	audit_base64_add(&line, leaf.bytes, sizeof leaf.bytes);
	buffer_add_str(&line, "\"}\n");
	status = buffer_ok(&line) ? audit_output_put(out, line.bytes, line.len, err)
				  : error_no_memory(err, "a line");
	buffer_clear(&line);
	return status;
}

static enum status put_line(struct redact *r, const struct audit_reader *reader,
			    struct span line, uint64_t n, struct audit_output *out,
			    struct error *err)
{
	struct audit_hasher *hasher = &r->log.hasher;
	struct audit_line what;
	struct audit_hash leaf;

	audit_line_read(line.bytes, line.len, &what);
	if (!is_asked(r, n) || what.kind == AUDIT_LINE_REDACTED) {
		if (reader->is_long) {
			return error_set(err, ST_CONFIG,
					 "line %" PRIu64 " of %s has more than %zu "
					 "MiB, and cannot be copied",
					 n, quote(r->asked->path).text,
					 AUDIT_ASKED_BYTES >> 20);
		}
		/* With its LF, which stands behind it. */
		return audit_output_put(out, line.bytes, line.len + 1, err);
	}
	/* In a log that was altered, and accepted, it may be another one. */
	if (!what.has_number || what.number != n || what.kind != AUDIT_LINE_ROW) {
		return error_set(err, ST_CONFIG,
				 "line %" PRIu64 " of %s is not at its place: the log "
				 "was altered before it; leave it out",
				 n, quote(r->asked->path).text);
	}
	leaf = reader->leaf;
	if (!reader->is_long) {
		audit_leaf_begin(hasher);
		audit_leaf_more(hasher, line.bytes, line.len);
		leaf = audit_leaf_end(hasher);
	}
	return hasher->failed ? error_no_memory(err, "hashing")
			      : put_redacted(out, n, leaf, err);
}

static enum status copy_lines(struct redact *r, const struct audit_files *one,
			      struct audit_output *out, struct error *err)
{
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	uint64_t n = one->list[0].first;
	enum status status;

	audit_reader_open_files(&reader, one, 0);
	reader.most = AUDIT_ASKED_BYTES;
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		status = is_whole ? put_line(r, &reader, line, n++, out, err)
				  : error_set(err, ST_CORRUPT, "%s ends within a line",
					      quote(one->list[0].path).text);
		if (status != ST_OK) {
			break;
		}
	}
	if (reader.damaged > 0) {
		status = error_set(err, ST_CORRUPT,
				   "%s is damaged: see rowtail audit "
				   "verify",
				   quote(one->list[0].path).text);
	}
	audit_reader_close(&reader);
	return status == ST_END ? ST_OK : status;
}

static void ignore(void *context, const struct audit_found *what)
{
	(void)context;
	(void)what;
}

/* The tree over a file; `tree` is what it goes on from, too. */
static enum status root_of(const struct audit_files *one, struct audit_tree *tree,
			   struct error *err)
{
	static const struct audit_check_settings silent = {.found = ignore};
	struct audit_check check;
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	enum status status = audit_check_open(&check, &silent, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open_files(&reader, one, 0);
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		status =
		    audit_check_line(&check, line, reader.is_long ? &reader.leaf : NULL,
				     reader.is_first, is_whole, err);
		if (status != ST_OK) {
			break;
		}
	}
	*tree = check.tree;
	audit_reader_close(&reader);
	audit_check_close(&check);
	return status == ST_END ? ST_OK : status;
}

/* What was written has the same tree as what it is to replace. */
static enum status check_copy(const struct audit_files *one, const char *temp,
			      struct error *err)
{
	struct audit_file copy = one->list[0];
	struct audit_files copied = {.list = &copy, .count = 1};
	struct audit_tree was, is;
	char *path = strdup(temp);
	enum status status =
	    path ? root_of(one, &was, err) : error_no_memory(err, "a path");

	copy.path = path;
	if (status == ST_OK) {
		status = root_of(&copied, &is, err);
	}
	if (status == ST_OK &&
	    (was.count != is.count ||
	     memcmp(was.roots, is.roots, was.root_count * sizeof *was.roots) != 0)) {
		status = error_set(err, ST_IO,
				   "the copy of %s that was written is not what was "
				   "meant; it stays as it was",
				   quote(one->list[0].path).text);
	}
	free(path);
	return status;
}

/* What compressing left of the file when it was ended: the lines are in it. */
static enum status drop_others(const struct audit_file *file, struct error *err)
{
	static const char *const suffixes[] = {AUDIT_ZST, AUDIT_ZST ".tmp"};
	enum status status = ST_OK;

	for (size_t i = file->is_compressed; status == ST_OK && i < 2; i++) {
		char *path;

		if (asprintf(&path, "%.*s%s",
			     (int)(strlen(file->path) -
				   (file->is_compressed ? strlen(AUDIT_ZST) : 0)),
			     file->path, suffixes[i]) < 0) {
			return error_no_memory(err, "a path");
		}
		if (unlinkat(AT_FDCWD, path, 0) != 0 && errno != ENOENT) {
			status = error_set_errno(err, errno, "%s cannot be removed",
						 quote(path).text);
		}
		free(path);
	}
	return status;
}

static enum status rewrite(struct redact *r, struct audit_file *file, struct error *err)
{
	struct audit_files one = {.list = file, .count = 1};
	struct audit_output out;
	char *temp;
	enum status status;

	if (asprintf(&temp, "%s.tmp", file->path) < 0) {
		return error_no_memory(err, "a path");
	}
	status = audit_output_open(&out, temp, file->is_compressed, err);
	if (status == ST_OK) {
		status = copy_lines(r, &one, &out, err);
		if (status == ST_OK) {
			status = audit_output_end(&out, err);
		}
		audit_output_close(&out);
	}
	if (status == ST_OK) {
		status = check_copy(&one, temp, err);
	}
	FAULT_POINT("audit-redacted");
	if (status == ST_OK && renameat(AT_FDCWD, temp, AT_FDCWD, file->path) != 0) {
		status = error_set_errno(err, errno, "%s cannot be replaced",
					 quote(file->path).text);
	}
	if (status != ST_OK) {
		(void)unlinkat(AT_FDCWD, temp, 0);
	} else {
		status = drop_others(file, err);
	}
	free(temp);
	return status;
}

/* Has the file one of the lines? */
static bool has_asked(const struct redact *r, size_t file)
{
	const struct audit_files *files = &r->file.files;
	uint64_t end = r->log.count;

	if (file + 1 < files->count) {
		end = files->list[file + 1].first;
	} else if (r->file.first > files->list[file].first) { /* it was closed */
		end = r->file.first;
	}

	for (size_t i = 0; i < r->asked->count; i++) {
		if (r->asked->lines[i] >= files->list[file].first &&
		    r->asked->lines[i] < end) {
			return true;
		}
	}
	return false;
}

static enum status rewrite_all(struct redact *r, struct error *err)
{
	struct audit_files *files = &r->file.files;
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < files->count; i++) {
		if (has_asked(r, i)) {
			r->next = 0;
			status = rewrite(r, &files->list[i], err);
		}
	}
	if (status == ST_OK && !output_path_sync_folder(r->asked->path)) {
		status =
		    error_set_errno(err, errno, "the folder of %s cannot be synced",
				    quote(r->asked->path).text);
	}
	return status;
}

static enum status run(struct redact *r, struct error *err)
{
	struct audit_turn turn = {
	    .log = &r->log, .file = &r->file, .state_path = r->asked->state_path};
	enum status status = open_log(r, err);

	if (status != ST_OK) {
		return status;
	}
	turn.uuid = r->uuid;
	turn.database = r->database;
	if (has_asked(r, r->file.files.count - 1)) {
		r->file.files.list[r->file.files.count - 1].is_open = false;
		status = audit_turn_run(&turn, err);
	}
	if (status == ST_OK) {
		status = tell(r, err);
	}
	return status == ST_OK ? rewrite_all(r, err) : status;
}

enum status audit_redact(const struct audit_redaction *redaction, struct error *err)
{
	struct redact r = {.asked = redaction, .file = {.fd = -1}};
	enum status status;

	r.scan = calloc(1, sizeof *r.scan);
	status = r.scan ? run(&r, err) : error_no_memory(err, "the audit log");
	audit_log_clear(&r.log);
	audit_place_clear(&r.file);
	free(r.scan);
	free(r.uuid);
	free(r.database);
	free(r.position);
	return status;
}

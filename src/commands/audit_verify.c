/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_verify.c -- rowtail audit verify: is an audit log what was
 * written?
 *
 * The log is only read, also while it is written. What was found is a line each on
 * stdout, then what was read. With --database the last word of it on each row is
 * compared with the row (src/commands/audit_database.h).
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "src/audit/check.h"
#include "src/audit/open.h"
#include "src/audit/reader.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_database.h"
#include "src/commands/audit_text.h"

#define NOTE_BYTES 65536 /* of a checkpoint, at most */

static bool is_being_written(const struct audit_files *files)
{
	int fd = open(files->list[files->count - 1].path,
		      O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool is_written =
	    fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	if (fd >= 0) { /* and the lock, if it is ours, goes with it */
		(void)close(fd);
	}
	return is_written;
}

struct kept_note {
	char *text;
	bool is_signed; /* with one of the log's keys, or with the one given */
	struct audit_note note;
};

struct verify {
	const char *path;
	struct audit_files files;
	bool as_json;
	bool is_written; /* somebody does, at this moment */
	bool is_last;    /* the newest file is read */
	json_t *findings, *gaps, *redactions;
	struct audit_trusted *given; /* with --key, and what they handed over to */
	size_t given_count;
	struct kept_note *notes;
	struct audit_kept_head *kept;
	size_t kept_count;
	struct audit_check check;
	struct audit_key key; /* the notes were compared with it */
	uint64_t torn;        /* lines that are being written */
	bool compares;        /* with --database */
	struct audit_database database;
};

static void verify_clear(struct verify *v)
{
	for (size_t i = 0; i < v->kept_count; i++) {
		free(v->notes[i].text);
	}
	audit_files_clear(&v->files);
	free(v->given);
	free(v->notes);
	free(v->kept);
	json_decref(v->findings);
	json_decref(v->gaps);
	json_decref(v->redactions);
	audit_database_close(&v->database);
}

static enum status read_note(const char *path, struct kept_note *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct error inner;
	ssize_t n = -1, len = 0;

	out->text = malloc(NOTE_BYTES);
	while (fd >= 0 && out->text && len < NOTE_BYTES) { /* it may be a pipe */
		n = read(fd, out->text + len, (size_t)(NOTE_BYTES - len));
		if (n == 0 || (n < 0 && errno != EINTR)) {
			break;
		}
		len += n > 0 ? n : 0;
	}
	if (fd < 0 || n < 0) {
		int why = errno;

		if (fd >= 0) {
			(void)close(fd);
		}
		return error_set(err, ST_CONFIG, "--checkpoint %s: %s",
				 quote(path).text, strerror(why));
	}
	(void)close(fd);
	if (audit_note_parse(out->text, (size_t)len, &out->note, &inner) != ST_OK) {
		return error_set(err, ST_CONFIG,
				 "--checkpoint %s is none: give a copy of "
				 "PATH.checkpoint",
				 quote(path).text);
	}
	return ST_OK;
}

static int compare_heads(const void *a, const void *b)
{
	const struct audit_kept_head *x = a, *y = b;

	return (x->head.size > y->head.size) - (x->head.size < y->head.size);
}

static enum status read_notes(struct verify *v, const struct config *config,
			      struct error *err)
{
	size_t count = config->checkpoint_count;

	v->notes = calloc(count + 1, sizeof *v->notes);
	v->kept = calloc(count + 1, sizeof *v->kept);
	if (!v->notes || !v->kept) {
		return error_no_memory(err, "checkpoints");
	}
	for (size_t i = 0; i < count; i++) {
		v->kept_count++;
		if (read_note(config->checkpoints[i], &v->notes[i], err) != ST_OK) {
			return err->status;
		}
		v->kept[i] = (struct audit_kept_head){config->checkpoints[i],
						      v->notes[i].note.head};
	}
	qsort(v->kept, count, sizeof *v->kept, compare_heads);
	return ST_OK;
}

/* What is wrong, for people, of these lines. */
static void say(const struct audit_found *what)
{
	static const char *const meanings[] = {
	    [AUDIT_NO_LOG] = "it does not begin as an audit log does",
	    [AUDIT_ALTERED] = "not what the next checkpoint signs: one of them was "
			      "changed, removed or added",
	    [AUDIT_MISSING] = "their numbers are missing",
	    [AUDIT_EXTRA] = "a line whose number another one has, or that has none",
	    [AUDIT_FORGED] = "a checkpoint that the log's key has not signed",
	    [AUDIT_TORN] = "the last line has no end",
	    [AUDIT_OTHER_KEY] =
		"from here on another key signs, and no one vouches for "
		"it: give it with --key if you know it",
	    [AUDIT_SHORTER] =
		"a checkpoint that was kept elsewhere signs them, and they "
		"are gone",
	    [AUDIT_REMADE] =
		"not those that a checkpoint signs which was kept elsewhere",
	    [AUDIT_TAKEN_OUT] = "taken out, and no signed redaction says so",
	    [AUDIT_DAMAGED] = "here a compressed file is damaged, what it had behind "
			      "that is lost: restore it from a backup",
	};

	(void)printf("%s: line%s %" PRIu64, audit_finding_name(what->finding),
		     what->first == what->last ? "" : "s", what->first);
	if (what->first != what->last) {
		(void)printf(" to %" PRIu64, what->last);
	}
	(void)printf(": %s\n", meanings[what->finding]);
}

static void found(void *context, const struct audit_found *what)
{
	struct verify *v = context;

	if (what->finding == AUDIT_TORN && v->is_written && v->is_last) {
		v->torn++;
		v->check.found--;
		return;
	}
	if (v->as_json) {
		(void)json_array_append_new(v->findings,
					    json_pack("{s:s, s:I, s:I}", "finding",
						      audit_finding_name(what->finding),
						      "first", (json_int_t)what->first,
						      "last", (json_int_t)what->last));
	} else {
		say(what);
	}
}

static void on_gap(void *context, uint64_t number, struct span line)
{
	struct verify *v = context;
	struct buffer why;

	buffer_init(&why);
	(void)audit_line_text(line, "why", &why);
	buffer_add_char(&why, '\0');
	if (buffer_ok(&why)) {
		utf8_make_safe(why.bytes);
		if (v->as_json) {
			(void)json_array_append_new(
			    v->gaps, json_pack("{s:I, s:s}", "line", (json_int_t)number,
					       "why", why.bytes));
		} else {
			(void)printf("gap: line %" PRIu64 ": the log tells: %s\n",
				     number, why.bytes);
		}
	}
	buffer_clear(&why);
}

/* Lines were taken out, and here the log says so. */
static void on_redaction(void *context, uint64_t number, struct span line)
{
	struct verify *v = context;
	json_t *json = audit_line_json(line);
	json_t *by = json_object_get(json, "by"), *why = json_object_get(json, "why");
	json_t *lines = json_object_get(json, "lines");
	struct buffer text;

	if (v->as_json) {
		(void)json_array_append_new(v->redactions,
					    json_pack("{s:I, s:O?, s:O?, s:O?}", "line",
						      (json_int_t)number, "by", by,
						      "why", why, "lines", lines));
		json_decref(json);
		return;
	}
	buffer_init(&text);
	buffer_add_str(&text, json_is_string(by) ? json_string_value(by) : "");
	buffer_add_str(&text, ": ");
	buffer_add_str(&text, json_is_string(why) ? json_string_value(why) : "");
	buffer_add_char(&text, '\0');
	if (buffer_ok(&text)) {
		utf8_make_safe(text.bytes);
		(void)printf("redaction: line %" PRIu64
			     ": lines were taken out by %s\n",
			     number, text.bytes);
	}
	buffer_clear(&text);
	json_decref(json);
}

/* A key signs from here on, or was given: which notes has it signed? */
static void mark_notes(struct verify *v, const struct audit_key *key)
{
	v->key = *key;
	for (size_t i = 0; i < v->kept_count; i++) {
		struct kept_note *kept = &v->notes[i];

		kept->is_signed =
		    kept->is_signed || audit_note_is_signed(&kept->note, key);
	}
}

/* Are the checkpoints that were kept elsewhere this log's? */
static enum status check_notes(const struct verify *v, struct error *err)
{
	for (size_t i = 0; i < v->kept_count; i++) {
		const struct audit_note *note = &v->notes[i].note;

		/* Of lines that went the key may have gone, too. */
		if (!v->notes[i].is_signed && note->head.size >= v->check.begin) {
			return error_set(err, ST_CORRUPT,
					 "a checkpoint given with --checkpoint (size "
					 "%" PRIu64
					 ") is not signed with the key of %s: it is "
					 "another log's, or this one is",
					 note->head.size, quote(v->path).text);
		}
	}
	return ST_OK;
}

/* The first line was read. ST_END: nothing of what follows can be judged. */
static enum status look_at_first(const struct verify *v, struct span line,
				 struct error *err)
{
	struct audit_line what;

	if (v->check.has_key) {
		return ST_OK;
	}
	audit_line_read(line.bytes, line.len, &what);
	return what.has_number ? ST_END : audit_is_no_log(v->path, err);
}

static enum status take_line(struct verify *v, struct audit_reader *reader,
			     struct span line, bool is_whole, bool is_start,
			     struct error *err)
{
	enum status status =
	    audit_check_line(&v->check, line, reader->is_long ? &reader->leaf : NULL,
			     reader->is_first, is_whole, err);

	if (status == ST_OK && is_start) {
		status = look_at_first(v, line, err);
	}
	if (status == ST_OK && v->compares && is_whole) {
		status = audit_database_take(&v->database, line, err);
	}
	if (status == ST_OK && !audit_key_is(&v->key, &v->check.key)) {
		mark_notes(v, &v->check.key);
	}
	return status;
}

static enum status verify_lines(struct verify *v, struct error *err)
{
	struct audit_reader reader;
	struct span line;
	bool is_whole, is_start = true;
	unsigned damaged = 0;
	enum status status;

	audit_reader_open_files(&reader, &v->files, 0);
	reader.most = v->compares ? AUDIT_ASKED_BYTES : reader.most;
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK ||
	       reader.damaged > damaged) {
		if (reader.damaged > damaged) {
			audit_check_damaged(&v->check);
			damaged = reader.damaged;
		}
		if (status == ST_OK) {
			status = take_line(v, &reader, line, is_whole, is_start, err);
		}
		is_start = false;
		if (status != ST_OK) {
			break;
		}
	}
	audit_reader_close(&reader);
	return status == ST_END ? audit_check_end(&v->check, err) : status;
}

static enum status print_json(struct verify *v, bool is_sound, struct error *err)
{
	const struct audit_check *c = &v->check;
	struct buffer key;
	json_t *all;
	char *text, *path = strdup(v->path);

	buffer_init(&key);
	if (c->has_key) {
		audit_key_add(&key, &c->key, false);
	}
	buffer_add_char(&key, '\0');
	if (path) {
		utf8_make_safe(path);
	}
	all = json_pack(
	    "{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O, s:O, s:s, s:b}",
	    "log", path ? path : "", "sound", is_sound, "lines",
	    (json_int_t)c->tree.count, "first", (json_int_t)c->begin, "redacted",
	    (json_int_t)c->redacted_lines, "not_compared", (json_int_t)c->kept_gone,
	    "checkpoints", (json_int_t)c->heads, "signed", (json_int_t)c->covered,
	    "not_signed", (json_int_t)(c->tree.count - c->covered), "findings",
	    v->findings, "gaps", v->gaps, "redactions", v->redactions, "key",
	    buffer_ok(&key) ? key.bytes : "", "key_given", v->given_count > 0);
	buffer_clear(&key);
	free(path);
	if (all && v->compares) {
		(void)json_object_set_new(all, "database",
					  audit_database_json(&v->database));
	}
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	if (!text) {
		return error_no_memory(err, "the result");
	}
	(void)puts(text);
	free(text);
	return audit_text_flush(err);
}

static enum status print_result(struct verify *v, struct error *err)
{
	const struct audit_check *c = &v->check;

	(void)printf("read %" PRIu64 " lines; %" PRIu64
		     " checkpoints are right, the last one signs %" PRIu64 " lines",
		     c->tree.count - c->begin, c->heads, c->head.size);
	if (c->tree.count > c->covered) {
		(void)printf("; %" PRIu64 " at the end are not signed%s",
			     c->tree.count - c->covered,
			     c->found > 0 ? " as they are" : " yet");
	}
	(void)putchar('\n');
	if (c->begin > 0) {
		(void)printf(
		    "the first line that is there is %" PRIu64 "; those before it %s\n",
		    c->begin,
		    c->is_part ? "are in other files" : "went with their time");
	}
	if (c->redacted_lines > 0) {
		(void)printf("%" PRIu64
			     " lines were taken out; their hashes are there\n",
			     c->redacted_lines);
	}
	if (c->kept_gone > 0) {
		(void)printf(
		    "%zu of the checkpoints given are of lines in files that are "
		    "not there, and were not compared\n",
		    c->kept_gone);
	}
	if (v->given_count == 0) {
		(void)puts("the key is the log's own word: keep what rowtail audit key "
			   "prints elsewhere, and give it with --key");
	}
	if (v->kept_count == 0) {
		(void)puts("without a checkpoint that was kept elsewhere "
			   "(--checkpoint) lines cut off at the end do not show");
	}
	return audit_text_flush(err);
}

static enum status add_key(struct verify *v, const struct audit_key *key, uint64_t from,
			   struct error *err)
{
	struct audit_trusted *all =
	    reallocarray(v->given, v->given_count + 1, sizeof *all);

	if (!all) {
		return error_no_memory(err, "keys");
	}
	v->given = all;
	all[v->given_count++] = (struct audit_trusted){*key, from};
	return ST_OK;
}

/* As rowtail audit key prints them: one, or several with white space between them. */
static enum status read_keys(struct verify *v, const char *text, struct error *err)
{
	static const char space[] = " \t\n";
	const char *at = text + strspn(text, space);

	do {
		size_t len = strcspn(at, space);
		struct audit_key key;

		if (audit_key_parse(at, len, &key, err) != ST_OK) {
			err->status = ST_CONFIG;
			return error_wrap(err, "--key %s", quote(text).text);
		}
		if (add_key(v, &key, 0, err) != ST_OK) {
			return err->status;
		}
		at += len;
		at += strspn(at, space);
	} while (*at);
	return ST_OK;
}

static enum status add_handed_key(struct verify *v, struct span line, struct error *err)
{
	struct audit_key key;
	struct audit_note note;
	struct buffer text;
	struct error ignored;
	bool is_handed = false;
	uint64_t from = 0;

	buffer_init(&text);
	if (audit_line_key(line, &key) && audit_line_text(line, "note", &text) &&
	    audit_note_parse(text.bytes, text.len, &note, &ignored) == ST_OK &&
	    audit_note_hands_over(&note, &key)) {
		/* The one that was handed over to last is the likeliest. */
		for (size_t i = v->given_count; i > 0 && !is_handed; i--) {
			from = v->given[i - 1].from;
			is_handed = audit_note_is_signed(&note, &v->given[i - 1].key);
		}
		from = note.head.size > from ? note.head.size : from;
	}
	buffer_clear(&text);
	return is_handed ? add_key(v, &key, from, err) : ST_OK;
}

/* PATH.keys has a line for each key that one before it handed over to, also for files
 * that went with their time: those that begin at a key that is trusted are, too. */
static enum status add_handed(struct verify *v, struct error *err)
{
	const char *log = v->files.list[0].path;
	uint64_t first;
	bool is_whole, is_compressed;
	const char *number = audit_files_number(log, &first, &is_compressed);
	char *path;
	int fd;
	struct audit_reader reader;
	struct span line;
	enum status status = ST_OK;

	if (asprintf(&path, "%.*s.keys",
		     (int)(number ? (size_t)(number - log) : strlen(log)), log) < 0) {
		return error_no_memory(err, "a path");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		audit_reader_open(&reader, fd, path);
		while (status == ST_OK &&
		       (status = audit_reader_next(&reader, &line, &is_whole, err)) ==
			   ST_OK) {
			status = add_handed_key(v, line, err);
		}
		audit_reader_close(&reader);
		(void)close(fd);
	}
	free(path);
	return status == ST_END ? ST_OK : status;
}

static enum status verify_open(struct verify *v, const struct config *config,
			       struct error *err)
{
	if (config->audit_key && (read_keys(v, config->audit_key, err) != ST_OK ||
				  add_handed(v, err) != ST_OK)) {
		return err->status;
	}
	v->findings = json_array();
	v->gaps = json_array();
	v->redactions = json_array();
	v->is_written = is_being_written(&v->files);
	if (!v->findings || !v->gaps || !v->redactions) {
		return error_no_memory(err, "findings");
	}
	for (size_t i = 0; i < v->given_count; i++) {
		mark_notes(v, &v->given[i].key);
	}
	return ST_OK;
}

/* Is it what was written, and has the database what it tells? The log's own findings
 * come first. */
static enum status judge(const struct verify *v, struct error *err)
{
	if (check_notes(v, err) != ST_OK) {
		return err->status;
	}
	if (v->check.found > 0) {
		return error_set(err, ST_CORRUPT,
				 "%s is not what was written: %" PRIu64
				 " findings, on standard output; keep a copy of it as "
				 "it is",
				 quote(v->path).text, v->check.found);
	}
	if (v->kept_count > 0 && v->check.kept_gone == v->kept_count) {
		return error_set(
		    err, ST_CORRUPT,
		    "none of the checkpoints given could be compared with "
		    "%s: their lines are in files that are not there; give "
		    "a newer one",
		    quote(v->path).text);
	}
	return v->compares ? audit_database_result(&v->database, err) : ST_OK;
}

static enum status print_all(struct verify *v, bool is_sound, struct error *err)
{
	enum status status;

	if (v->as_json) {
		return print_json(v, is_sound, err);
	}
	status = print_result(v, err);
	return status == ST_OK && v->compares ? audit_database_print(&v->database, err)
					      : status;
}

static enum status open_check(struct verify *v, struct audit_check_settings *settings,
			      const struct config *config, struct error *err)
{
	enum status status = verify_open(v, config, err);

	settings->keys = v->given;
	settings->key_count = v->given_count;
	settings->kept = v->kept;
	settings->kept_count = v->kept_count;
	if (status == ST_OK) {
		status = audit_check_open(&v->check, settings, err);
		v->check.is_part = v->files.is_part;
	}
	if (status == ST_OK && config->audit_database) {
		v->compares = true;
		status =
		    audit_database_open(&v->database, config, v->path,
					v->files.list[0].first, v->is_written, err);
	}
	return status;
}

enum status audit_verify_run(const struct config *config, struct error *err)
{
	struct verify v = {.path = config->words[1], .as_json = config->json};
	struct audit_check_settings settings = {.found = found,
						.on_gap = on_gap,
						.on_redaction = on_redaction,
						.context = &v};
	struct error wrong;
	enum status status;

	if (config->until && !config->audit_database) {
		return error_set(err, ST_CONFIG,
				 "--until goes with rowtail audit report, and with "
				 "--database: leave it out, or name the copy");
	}
	/* The checkpoints first: the log is not shorter than one that was there. */
	status = read_notes(&v, config, err);
	if (status == ST_OK) {
		status = audit_files_find(v.path, &v.files, err);
	}
	if (status == ST_OK) {
		status = open_check(&v, &settings, config, err);
	}
	if (status == ST_OK) {
		status = verify_lines(&v, err);
	}
	v.compares = v.compares && v.check.has_key; /* else no line was read */
	if (status == ST_OK && v.compares) {
		status = audit_database_compare(&v.database,
						v.as_json ? v.findings : NULL, err);
	}
	if (status == ST_OK) {
		enum status judged = judge(&v, &wrong);

		status = print_all(&v, judged == ST_OK, err);
		if (status == ST_OK && judged != ST_OK) {
			*err = wrong;
			status = judged;
		}
	}
	audit_check_close(&v.check);
	verify_clear(&v);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_redact.c -- rowtail audit redact: take lines out of an audit log.
 *
 * Which: those of a row, by its table and key, and those of numbers that are given.
 * Only lines that tell of rows can be taken out; the log's own stay.
 */

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinks/audit_redact.h"
#include "src/audit/line.h"
#include "src/audit/open.h"
#include "src/audit/reader.h"
#include "src/base/array.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/commands/asked_row.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_text.h"

#define MOST_LINES ((size_t)10000000) /* at once: 80 MB of numbers */
#define WHO_BYTES  4096

struct range {
	uint64_t first, last;
};

struct redact {
	const struct config *config;
	const char *path;
	struct range *ranges; /* of --seq, sorted by their beginning */
	size_t range_count, range_room, next_range;
	struct asked_row row;
	uint64_t *lines; /* that are taken out */
	size_t count, room;
	uint64_t unsalted; /* of them */
	uint64_t before;   /* lines that were asked for and are redacted already */
};

/* ---- what is asked for ---- */

static bool read_number(const char **at, uint64_t *out)
{
	char *end;

	if (**at < '0' || **at > '9') {
		return false;
	}
	errno = 0;
	*out = strtoull(*at, &end, 10);
	*at = end;
	return errno == 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* "12,20-35". */
static enum status read_ranges(struct redact *r, const char *text, struct error *err)
{
	const char *at = text;
	bool is_right = false;

	do {
		struct range range;

		is_right = false;
		at += *at == ',' && r->range_count > 0;
		if (!read_number(&at, &range.first)) {
			break;
		}
		range.last = range.first;
		if (*at == '-') {
			at++;
			if (!read_number(&at, &range.last)) {
				break;
			}
		}
		if (range.last < range.first) {
			break;
		}
		if (!array_room(&r->ranges, &r->range_room, r->range_count + 1,
				sizeof *r->ranges)) {
			return error_no_memory(err, "--seq");
		}
		r->ranges[r->range_count++] = range;
		is_right = true;
	} while (*at == ',');
	if (!is_right || *at != '\0') {
		return error_set(err, ST_CONFIG,
				 "--seq %s: must be numbers of lines like 12,20-35",
				 SHORT_NAME(text));
	}
	qsort(r->ranges, r->range_count, sizeof *r->ranges, compare_ranges);
	return ST_OK;
}

static enum status check_question(const struct config *config, struct error *err)
{
	const struct report_options *asked = &config->report;

	if (config->checkpoint_count > 0) {
		return error_set(err, ST_CONFIG,
				 "--checkpoint: does not go with rowtail audit redact; "
				 "leave it out");
	}
	if (!asked->table != !config->audit_key) {
		return error_set(err, ST_CONFIG,
				 "--table and --key: a row needs both, as in --table "
				 "orders --key 42");
	}
	if (!asked->table && !asked->seq) {
		return error_set(
		    err, ST_CONFIG,
		    "no lines given: name a row with --table T --key K, or "
		    "lines with --seq 12,20-35");
	}
	if (!asked->why || !*asked->why) {
		return error_set(err, ST_CONFIG,
				 "--why: must say why, as the log keeps that");
	}
	if (strlen(asked->why) > WHO_BYTES ||
	    (asked->by && strlen(asked->by) > WHO_BYTES)) {
		return error_set(err, ST_CONFIG,
				 "--why and --by: must be shorter than %d bytes each",
				 WHO_BYTES);
	}
	if (!config->state_path) {
		return error_set(err, ST_CONFIG,
				 "--state: must be the state directory of this log, "
				 "where its key is");
	}
	return ST_OK;
}

static enum status prepare(struct redact *r, struct error *err)
{
	const struct report_options *asked = &r->config->report;
	enum status status = check_question(r->config, err);

	if (status == ST_OK && asked->seq) {
		status = read_ranges(r, asked->seq, err);
	}
	if (status == ST_OK && asked->table) {
		status =
		    asked_row_open(&r->row, asked->table, r->config->audit_key, err);
	}
	return status;
}

/* ---- finding it ---- */

static bool is_in_ranges(struct redact *r, uint64_t n)
{
	while (r->next_range < r->range_count && r->ranges[r->next_range].last < n) {
		r->next_range++;
	}
	for (size_t i = r->next_range; i < r->range_count && r->ranges[i].first <= n;
	     i++) {
		if (n <= r->ranges[i].last) {
			return true;
		}
	}
	return false;
}

/* Does a line tell of a row? Its own number and time are followed by a transaction's.
 */
static bool is_of_row(const struct audit_line *what, struct span line)
{
	static const char txn[] = "\",\"txn\":";
	const char *end = line.bytes + line.len;
	const char *at = what->time.bytes ? what->time.bytes + what->time.len : end;

	return what->kind == AUDIT_LINE_ROW && (size_t)(end - at) >= strlen(txn) &&
	       memcmp(at, txn, strlen(txn)) == 0;
}

static enum status take_line(struct redact *r, struct span line, struct error *err)
{
	static const char salt[] = "\"salt\":\"";
	struct audit_line what;
	bool is_seq;

	audit_line_read(line.bytes, line.len, &what);
	is_seq = what.has_number && is_in_ranges(r, what.number);
	if (!is_seq && !(r->row.table && asked_row_match(&r->row, line) == ASKED_ROW)) {
		return ST_OK;
	}
	if (what.kind == AUDIT_LINE_REDACTED) {
		r->before++;
		return ST_OK;
	}
	if (!is_of_row(&what, line)) {
		return error_set(err, ST_CONFIG,
				 "line %" PRIu64 " of %s tells of the log itself, and "
				 "stays: leave it out",
				 what.number, quote(r->path).text);
	}
	if (r->count >= MOST_LINES ||
	    !array_room(&r->lines, &r->room, r->count + 1, sizeof *r->lines)) {
		return error_no_memory(err, "the lines: take out fewer at once");
	}
	r->lines[r->count++] = what.number;
	r->unsalted += memmem(line.bytes, line.len < 64 ? line.len : 64, salt,
			      strlen(salt)) == NULL;
	return ST_OK;
}

static enum status find_lines(struct redact *r, struct error *err)
{
	char begin[AUDIT_TIME_BYTES];
	struct audit_files files;
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	enum status status = audit_open_log(r->path, &files, begin, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open_files(&reader, &files, 0);
	reader.most = AUDIT_ASKED_BYTES;
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		status = is_whole ? take_line(r, line, err) : ST_OK;
		if (status != ST_OK) {
			break;
		}
	}
	if (status == ST_END && files.is_part) {
		status = error_set(err, ST_CONFIG,
				   "%s is one file of a log; give the PATH of --to "
				   "audit:PATH",
				   quote(r->path).text);
	}
	if (status == ST_END && reader.damaged > 0) {
		status =
		    error_set(err, ST_CORRUPT,
			      "a file of %s is damaged, and was not searched to its "
			      "end: see rowtail audit verify",
			      quote(r->path).text);
	}
	audit_reader_close(&reader);
	audit_files_clear(&files);
	return status == ST_END ? ST_OK : status;
}

/* ---- the command ---- */

/* "alice (uid 1000)". */
static void name_user(char *out, size_t len)
{
	const struct passwd *user = getpwuid(getuid());

	(void)snprintf(out, len, "%s%suid %u%s", user ? user->pw_name : "",
		       user ? " (" : "", (unsigned)getuid(), user ? ")" : "");
}

static enum status take_out(struct redact *r, struct error *err)
{
	char user[128];
	struct audit_redaction redaction = {.path = r->path,
					    .state_path = r->config->state_path,
					    .lines = r->lines,
					    .count = r->count,
					    .by = r->config->report.by,
					    .why = r->config->report.why};
	enum status status;

	if (!redaction.by) {
		name_user(user, sizeof user);
		redaction.by = user;
	}
	status = audit_redact(&redaction, err);
	if (status != ST_OK) {
		return status;
	}
	(void)printf("taken out: %zu lines\n", r->count);
	if (r->unsalted > 0) {
		(void)printf("%" PRIu64
			     " of them had no salt: what is easily guessed of "
			     "them can be found by their hashes\n",
			     r->unsalted);
	}
	(void)puts("copies of them may be in the state directory, in an archive, in "
		   "Kafka, in backups, and in the database itself");
	return audit_text_flush(err);
}

enum status audit_redact_run(const struct config *config, struct error *err)
{
	struct redact r = {.config = config, .path = config->words[1]};
	enum status status = prepare(&r, err);

	if (status == ST_OK) {
		status = find_lines(&r, err);
	}
	if (status == ST_OK && r.count == 0 && r.before > 0) {
		(void)printf("%" PRIu64 " lines were taken out before\n", r.before);
		status = audit_text_flush(err);
	} else if (status == ST_OK && r.count == 0) {
		status =
		    error_set(err, ST_END, "%s has no such lines", quote(r.path).text);
	} else if (status == ST_OK) {
		status = take_out(&r, err);
	}
	asked_row_close(&r.row);
	free(r.ranges);
	free(r.lines);
	return status;
}

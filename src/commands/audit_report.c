/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_report.c -- rowtail audit report: who did what, counts first, then
 * the lines.
 *
 * The log is read twice, up to where it ended at first: so what is counted is what is
 * printed, and no more than a line is in memory.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/audit/open.h"
#include "src/audit/reader.h"
#include "src/base/quote.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_csv.h"
#include "src/commands/audit_filter.h"
#include "src/commands/audit_text.h"

#define NAMES_COUNTED 10000 /* of tables, ops, people, each; the rest are one */
#define NAMES_SHOWN   20    /* of them, to people */

struct report {
	const struct config *config;
	const char *path;
	struct audit_files files;
	struct audit_filter filter;
	uint64_t end; /* of what is read; UINT64_MAX: of all that is there */
	json_t *tables, *ops, *who, *programs;
	uint64_t lines, perhaps, unreadable, printed;
	char first[AUDIT_TIME_BYTES], last[AUDIT_TIME_BYTES];
	struct buffer text;
};

/* ---- counts ---- */

static bool count(json_t *counts, const char *name)
{
	json_t *old = json_object_get(counts, name);

	if (!old && json_object_size(counts) >= NAMES_COUNTED) {
		name = "(others)";
		old = json_object_get(counts, name);
	}
	return old ? json_integer_set(old, json_integer_value(old) + 1) == 0
		   : json_object_set_new(counts, name, json_integer(1)) == 0;
}

static enum status count_event(struct report *r, const struct audit_event *event,
			       struct span line, struct error *err)
{
	bool ok = count(r->ops, event->op);

	(void)line;
	r->lines++;
	(void)snprintf(r->last, sizeof r->last, "%.24s", event->time);
	if (!r->first[0]) {
		(void)snprintf(r->first, sizeof r->first, "%.24s", event->time);
	}
	if (event->table) {
		ok = ok && count(r->tables, event->table);
	}
	if (audit_event_is_row(event) || event->by) {
		buffer_reset(&r->text);
		audit_text_add_who(&r->text, event->by);
		buffer_add_char(&r->text, '\0');
		ok = ok && buffer_ok(&r->text) && count(r->who, r->text.bytes);
	}
	buffer_reset(&r->text);
	audit_text_add_program(&r->text, event);
	if (r->text.len > 0) {
		buffer_add_char(&r->text, '\0');
		ok = ok && buffer_ok(&r->text) && count(r->programs, r->text.bytes);
	}
	return ok ? ST_OK : error_no_memory(err, "counts");
}

struct counted {
	const char *name;
	json_int_t count;
};

static int compare_counted(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count ? 1 : -1)
				    : strcmp(x->name, y->name);
}

static enum status print_counts(struct report *r, const char *label, json_t *counts,
				struct error *err)
{
	size_t count = 0, shown;
	struct counted *all = calloc(json_object_size(counts) + 1, sizeof *all);
	const char *name;
	json_t *value;

	if (!all) {
		return error_no_memory(err, "counts");
	}
	json_object_foreach(counts, name, value)
	{
		all[count++] = (struct counted){name, json_integer_value(value)};
	}
	qsort(all, count, sizeof *all, compare_counted);
	buffer_reset(&r->text);
	buffer_add_str(&r->text, label);
	shown = count < NAMES_SHOWN ? count : NAMES_SHOWN;
	for (size_t i = 0; i < shown; i++) {
		buffer_add_str(&r->text, i > 0 ? ", " : " ");
		buffer_add_str(&r->text, all[i].name);
		buffer_add_char(&r->text, ' ');
		buffer_add_i64(&r->text, all[i].count);
	}
	if (shown < count) {
		buffer_add_str(&r->text, ", and ");
		buffer_add_u64(&r->text, count - shown);
		buffer_add_str(&r->text, " more");
	}
	free(all);
	return count > 0 ? audit_text_print(&r->text, err) : ST_OK;
}

/* ---- lines for people ---- */

static void add_sentence(struct buffer *b, const struct audit_event *e)
{
	static const struct {
		const char *op, *verb;
	} verbs[] = {
	    {"insert", " added "}, {"update", " changed "}, {"delete", " removed "}};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(e->op, verbs[i].op) == 0) {
			if (e->by) {
				audit_text_add_who(b, e->by);
			} else if (json_array_size(e->candidates) > 0) {
				buffer_add_str(b, "one of ");
				audit_text_add_candidates(b, e->candidates);
			} else if (e->process || json_array_size(e->processes) > 0) {
				audit_text_add_process(b, e);
			} else {
				buffer_add_str(b, "nobody named");
			}
			buffer_add_str(b, verbs[i].verb);
		}
	}
	buffer_add_str(b, strcmp(e->op, "read") == 0 ? "there was " : "");
	buffer_add_str(b, e->table);
	buffer_add_char(b, ' ');
	audit_text_add_key(b, e->key);
	buffer_add_str(b, ": ");
}

/* Behind who did it by the application's word; without that it was named first. */
static void add_process(struct buffer *b, const struct audit_event *event)
{
	size_t before = b->len;

	if (!audit_event_is_row(event) || event->by ||
	    json_array_size(event->candidates) > 0) {
		buffer_add_str(b, " (by ");
		audit_text_add_process(b, event);
		b->len = b->len > before + strlen(" (by ") ? b->len : before;
		buffer_add_str(b, b->len > before ? ")" : "");
	}
}

static enum status print_event(struct report *r, const struct audit_event *event,
			       struct span line, struct error *err)
{
	struct buffer *b = &r->text;
	size_t before;

	(void)line;
	buffer_reset(b);
	buffer_add_str(b, event->time);
	buffer_add_str(b, " line ");
	buffer_add_u64(b, event->number);
	buffer_add_str(b, ": ");
	if (audit_event_is_row(event)) {
		add_sentence(b, event);
		audit_text_add_changes(b, event, r->config->report.column);
	} else {
		buffer_add_str(b, event->op);
		buffer_add_str(b, event->table ? " " : "");
		buffer_add_str(b, event->table ? event->table : "");
		buffer_add_str(b, event->by ? " by " : "");
		if (event->by) {
			audit_text_add_who(b, event->by);
		}
		buffer_add_str(b, ": ");
		audit_text_add_rest(b, event);
	}
	before = b->len;
	buffer_add_str(b, " (");
	audit_text_add_why(b, event->by);
	b->len = b->len == before + 2 ? before : b->len;
	buffer_add_str(b, b->len > before ? ")" : "");
	add_process(b, event);
	if (event->since[0] && audit_event_is_row(event)) {
		buffer_add_str(b, " (at some time since ");
		buffer_add_str(b, event->since);
		buffer_add_char(b, ')');
	}
	return audit_text_print(b, err);
}

static enum status print_raw(struct report *r, const struct audit_event *event,
			     struct span line, struct error *err)
{
	(void)event;
	(void)err;
	(void)fputs(r->printed++ > 0 ? "," : "", stdout);
	(void)fwrite(line.bytes, 1, line.len, stdout);
	return ST_OK;
}

static enum status print_csv(struct report *r, const struct audit_event *event,
			     struct span line, struct error *err)
{
	(void)line;
	buffer_reset(&r->text);
	audit_csv_add(&r->text, event, r->config->report.column);
	if (!buffer_ok(&r->text)) {
		return error_no_memory(err, "a line");
	}
	(void)fwrite(r->text.bytes, 1, r->text.len, stdout);
	return ST_OK;
}

/* ---- reading ---- */

typedef enum status take_event(struct report *r, const struct audit_event *event,
			       struct span line, struct error *err);

static enum status take_line(struct report *r, struct span line, take_event *take,
			     struct error *err)
{
	struct audit_event event;
	enum audit_match match;
	enum status status = ST_OK;

	if (!audit_event_read(line, &event)) {
		r->unreadable += take == count_event;
		return ST_OK;
	}
	match = audit_filter_match(&r->filter, &event);
	if (match == AUDIT_YES) {
		status = take(r, &event, line, err);
	} else if (match == AUDIT_PERHAPS) {
		r->perhaps += take == count_event;
	}
	audit_event_clear(&event);
	return status;
}

static enum status read_lines(struct report *r, take_event *take, struct error *err)
{
	struct audit_needle needle = {
	    .bytes = {r->filter.needle.bytes, r->filter.needle.len}};
	struct span line;
	struct audit_reader reader;
	bool is_whole;
	enum status status;

	audit_reader_open_files(&reader, &r->files, 0);
	reader.most = AUDIT_ASKED_BYTES;
	while ((status = audit_reader_find(&reader, &needle, needle.bytes.len > 0,
					   &line, &is_whole, err)) == ST_OK &&
	       reader.offset <= r->end) {
		if (!is_whole) {
			continue;
		}
		r->unreadable += reader.is_long && take == count_event;
		status = reader.is_long ? ST_OK : take_line(r, line, take, err);
		if (status != ST_OK || ferror(stdout)) {
			break;
		}
	}
	if (r->end == UINT64_MAX) { /* what comes now is not in the counts */
		r->end = reader.offset;
		r->unreadable += reader.damaged;
	}
	audit_reader_close(&reader);
	return status == ST_END ? ST_OK : status;
}

/* ---- the three forms ---- */

static enum status print_text(struct report *r, struct error *err)
{
	buffer_reset(&r->text);
	buffer_add_str(&r->text, "lines: ");
	buffer_add_u64(&r->text, r->lines);
	if (r->lines > 0) {
		buffer_add_str(&r->text, ", from ");
		buffer_add_str(&r->text, r->first);
		buffer_add_str(&r->text, " to ");
		buffer_add_str(&r->text, r->last);
	}
	if (audit_text_print(&r->text, err) != ST_OK ||
	    print_counts(r, "by table:", r->tables, err) != ST_OK ||
	    print_counts(r, "by op:", r->ops, err) != ST_OK ||
	    print_counts(r, "by whom:", r->who, err) != ST_OK ||
	    print_counts(r, "by program:", r->programs, err) != ST_OK) {
		return err->status;
	}
	if (r->perhaps > 0) {
		(void)printf("perhaps also: %" PRIu64
			     " lines that stand for several transactions, of which one "
			     "names whom you ask for\n",
			     r->perhaps);
	}
	if (r->unreadable > 0) {
		(void)printf("lines that cannot be read: %" PRIu64
			     "; ask rowtail audit verify\n",
			     r->unreadable);
	}
	(void)puts("");
	return read_lines(r, print_event, err);
}

static enum status print_json(struct report *r, struct error *err)
{
	json_t *counts = json_pack(
	    "{s:I, s:I, s:I, s:O, s:O, s:O, s:O}", "lines", (json_int_t)r->lines,
	    "perhaps", (json_int_t)r->perhaps, "unreadable", (json_int_t)r->unreadable,
	    "tables", r->tables, "ops", r->ops, "who", r->who, "programs", r->programs);
	char *text = counts ? json_dumps(counts, JSON_COMPACT) : NULL;
	enum status status;

	json_decref(counts);
	if (!text) {
		return error_no_memory(err, "the result");
	}
	buffer_reset(&r->text);
	json_add_string(&r->text, r->path, strlen(r->path));
	(void)printf("{\"log\":%.*s,\"counts\":%s,\"lines\":[", (int)r->text.len,
		     r->text.bytes, text);
	free(text);
	status = read_lines(r, print_raw, err);
	(void)puts("]}");
	return status;
}

static enum status run_report(struct report *r, struct error *err)
{
	enum status status;

	r->end = UINT64_MAX;
	buffer_init(&r->text);
	r->tables = json_object();
	r->ops = json_object();
	r->who = json_object();
	r->programs = json_object();
	if (!r->tables || !r->ops || !r->who || !r->programs) {
		return error_no_memory(err, "counts");
	}
	if (r->config->report.csv) {
		(void)fputs(audit_csv_head, stdout);
		status = read_lines(r, print_csv, err);
	} else {
		status = read_lines(r, count_event, err);
		if (status == ST_OK) {
			status =
			    r->config->json ? print_json(r, err) : print_text(r, err);
		}
	}
	return status == ST_OK ? audit_text_flush(err) : status;
}

enum status audit_report_run(const struct config *config, struct error *err)
{
	struct report r = {.config = config, .path = config->words[1]};
	char begin[AUDIT_TIME_BYTES];
	enum status status;

	if (config->json && config->report.csv) {
		return error_set(err, ST_CONFIG,
				 "--json and --csv: leave out one of them");
	}
	status = audit_filter_open(&r.filter, config, err);
	if (status == ST_OK) {
		status = audit_open_log(r.path, &r.files, begin, err);
	}
	if (status == ST_OK) {
		status = run_report(&r, err);
	}
	json_decref(r.tables);
	json_decref(r.ops);
	json_decref(r.who);
	json_decref(r.programs);
	buffer_clear(&r.text);
	audit_filter_close(&r.filter);
	audit_files_clear(&r.files);
	return status;
}

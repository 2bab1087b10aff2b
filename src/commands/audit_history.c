/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_history.c -- rowtail audit history: what became of one row.
 *
 * Bytes are looked at first, for "table":"…", and the key right behind it; only what is
 * left is parsed.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/audit/open.h"
#include "src/audit/search.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/commands/asked_row.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_row.h"
#include "src/commands/audit_text.h"

struct history {
	const struct config *config;
	const char *path, *table;
	struct audit_files files;
	struct asked_row row_of;
	uint64_t found, unreadable;
	char at[AUDIT_TIME_BYTES]; /* "": not asked for */
	struct audit_row row;
	struct buffer line;
};

/* ---- lines for people ---- */

static void add_who(struct buffer *b, const struct audit_event *event)
{
	size_t before = b->len;
	bool is_known = event->by || json_array_size(event->candidates) > 0;

	buffer_add_str(b, "by ");
	audit_text_add_process(b, event);
	if (!is_known && b->len > before + strlen("by ")) {
		return;
	}
	b->len = before;
	if (event->by) {
		buffer_add_str(b, "by ");
		audit_text_add_who(b, event->by);
		before = b->len;
		buffer_add_str(b, " (");
		audit_text_add_why(b, event->by);
		if (b->len == before + 2) {
			b->len = before;
		} else {
			buffer_add_char(b, ')');
		}
	} else if (json_array_size(event->candidates) > 0) {
		buffer_add_str(b, "by one of: ");
		audit_text_add_candidates(b, event->candidates);
	} else {
		buffer_add_str(b, "by nobody named");
	}
	before = b->len;
	buffer_add_str(b, ", ");
	audit_text_add_process(b, event);
	b->len = b->len > before + strlen(", ") ? b->len : before;
}

static enum status print_event(struct history *h, const struct audit_event *event,
			       struct error *err)
{
	struct buffer *b = &h->line;

	buffer_reset(b);
	buffer_add_str(b, event->time);
	buffer_add_str(b, "  ");
	buffer_add_str(b, event->op);
	buffer_add_str(b, "  ");
	if (!audit_event_is_row(event)) {
		audit_text_add_rest(b, event);
		return audit_text_print(b, err);
	}
	if (strcmp(event->op, "read") == 0) {
		buffer_add_str(b, "it was there");
	} else {
		add_who(b, event);
	}
	buffer_add_str(b, "  ");
	audit_text_add_changes(b, event, NULL);
	if (event->since[0]) {
		buffer_add_str(b, "  (at some time since ");
		buffer_add_str(b, event->since);
		buffer_add_char(b, ')');
	}
	return audit_text_print(b, err);
}

/* ---- lines ---- */

static enum status take_event(struct history *h, const struct audit_event *event,
			      struct span line, struct error *err)
{
	bool is_row = audit_event_is_row(event);

	if (!event->table || strcmp(event->table, h->table) != 0 ||
	    (!is_row && strcmp(event->op, "schema") != 0)) {
		return ST_OK;
	}
	if (h->at[0]) {
		h->found += is_row;
		return audit_row_take(&h->row, event, err);
	}
	if (!is_row && h->found == 0) {
		return ST_OK; /* it is told of the row's table before there was a row */
	}
	if (h->config->json) {
		(void)putchar(h->found > 0 ? ',' : ' ');
		(void)fwrite(line.bytes, 1, line.len, stdout);
	}
	h->found++;
	return h->config->json ? ST_OK : print_event(h, event, err);
}

static enum status take_line(struct history *h, struct span line, struct error *err)
{
	struct audit_event event;
	enum status status;

	if (!audit_event_read(line, &event)) {
		h->unreadable++;
		return ST_OK;
	}
	status = take_event(h, &event, line, err);
	audit_event_clear(&event);
	return status;
}

/* audit_search_question's. */
static bool is_of_row(const void *context, struct span line)
{
	const struct history *h = context;

	return asked_row_match(&h->row_of, line) != ASKED_NO;
}

static enum status read_lines(struct history *h, struct error *err)
{
	static const char schema[] = "\"op\":\"schema\"";
	struct audit_needle needles[] = {
	    {.bytes = asked_row_needle(&h->row_of)},
	    {.bytes = {schema, strlen(schema)}},
	};
	struct audit_search_question question = {
	    .needles = needles, .count = 2, .wants = is_of_row, .context = h};
	struct audit_search_line line;
	struct audit_search *search;
	enum status status = audit_search_open(&h->files, &question, &search, err);

	if (status != ST_OK) {
		return status;
	}
	while ((status = audit_search_next(search, &line, err)) == ST_OK) {
		if (!line.is_whole) {
			continue;
		}
		h->unreadable += line.is_long;
		status = line.is_long ? ST_OK : take_line(h, line.bytes, err);
		if (status != ST_OK) {
			break;
		}
	}
	h->unreadable += audit_search_damaged(search);
	audit_search_close(search);
	return status == ST_END ? ST_OK : status;
}

/* ---- result ---- */

/* {"log":…,"table":…,"key":… */
static enum status begin_json(struct history *h, struct error *err)
{
	struct buffer *b = &h->line;

	buffer_reset(b);
	buffer_add_str(b, "{\"log\":");
	json_add_string(b, h->path, strlen(h->path));
	buffer_add_str(b, ",\"table\":");
	json_add_string(b, h->table, strlen(h->table));
	buffer_add_str(b, ",\"key\":");
	json_add_string(b, h->row_of.typed, strlen(h->row_of.typed));
	buffer_add_str(b, h->at[0] ? "," : ",\"lines\":[");
	if (!buffer_ok(b)) {
		return error_no_memory(err, "the result");
	}
	(void)fwrite(b->bytes, 1, b->len, stdout);
	return ST_OK;
}

static enum status nothing(const struct history *h, struct error *err)
{
	return error_set(err, ST_END,
			 "%s tells nothing of %s %s: names of tables are written as "
			 "they were created, a key of several columns as a JSON object",
			 quote(h->path).text, SHORT_NAME(h->table),
			 SHORT_NAME(h->row_of.typed));
}

static enum status print_end(struct history *h, struct error *err)
{
	enum status status = ST_OK;

	if (h->at[0] && h->found > 0) {
		status = audit_row_print(&h->row, h->config->json, err);
	} else if (h->at[0] && h->config->json) {
		(void)fputs("\"row\":null", stdout);
	}
	if (h->config->json) {
		(void)printf("%s,\"unreadable\":%" PRIu64 "}\n", h->at[0] ? "" : "]",
			     h->unreadable);
	} else if (h->unreadable > 0) {
		(void)printf("%" PRIu64
			     " lines of it cannot be read: ask rowtail audit verify\n",
			     h->unreadable);
	}
	if (status != ST_OK) {
		return status;
	}
	status = audit_text_flush(err);
	return status == ST_OK && h->found == 0 ? nothing(h, err) : status;
}

static enum status prepare(struct history *h, struct error *err)
{
	buffer_init(&h->line);
	if (asked_row_open(&h->row_of, h->table, h->config->words[3], err) != ST_OK) {
		return err->status;
	}
	return h->config->at ? audit_text_time("--at", h->config->at, h->at, err)
			     : ST_OK;
}

enum status audit_history_run(const struct config *config, struct error *err)
{
	struct history h = {
	    .config = config, .path = config->words[1], .table = config->words[2]};
	char begin[AUDIT_TIME_BYTES];
	enum status status = prepare(&h, err);

	if (status == ST_OK) {
		status = audit_open_log(h.path, &h.files, begin, err);
	}
	if (status == ST_OK) {
		audit_row_open(&h.row, h.at, begin);
		status = config->json ? begin_json(&h, err) : ST_OK;
		status = status == ST_OK ? read_lines(&h, err) : status;
		status = status == ST_OK ? print_end(&h, err) : status;
		audit_row_close(&h.row);
	}
	audit_files_clear(&h.files);
	asked_row_close(&h.row_of);
	buffer_clear(&h.line);
	return status;
}

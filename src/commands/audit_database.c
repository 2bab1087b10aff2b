/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/audit_line.h"
#include "schemas/catalog.h"
#include "schemas/table_plan.h"
#include "src/asked.h"
#include "src/audit/line.h"
#include "src/audit/reader.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/capture/database_file.h"
#include "src/commands/audit_text.h"
#include "src/config/shaping.h"
#include "src/decode/snapshot.h"

#define TRIES         5 /* while somebody writes to the database */
#define FIRST_WAIT_NS (100 * NS_PER_MS)
#define WAITS         6 /* each twice as long as the one before */

/* ---- the log ---- */

enum status audit_database_open(struct audit_database *d, const struct config *config,
				const char *log_path, uint64_t begin, bool is_written,
				struct error *err)
{
	*d = (struct audit_database){.config = config,
				     .log_path = log_path,
				     .begin = begin,
				     .is_written = is_written};
	if (config->encoder.skipped_operations) {
		return error_set(err, ST_CONFIG,
				 "skipped.operations leaves changes out of the log, so "
				 "that no database has what it tells; leave out "
				 "--database");
	}
	if (config->until &&
	    audit_text_time("--until", config->until, d->until, err) != ST_OK) {
		return err->status;
	}
	d->untold_tables = json_array();
	d->left_out = json_array();
	return d->untold_tables && d->left_out ? audit_told_open(&d->told, err)
					       : error_no_memory(err, "tables");
}

void audit_database_close(struct audit_database *d)
{
	audit_told_close(&d->told);
	json_decref(d->untold_tables);
	json_decref(d->left_out);
	*d = (struct audit_database){0};
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A run began: with which settings, on which database. */
static void take_start(struct audit_database *d, struct span line)
{
	struct audit_event event;
	const char *settings, *database;

	if (!audit_event_read(line, &event)) {
		return;
	}
	settings = json_string_value(json_object_get(event.json, "settings"));
	database = json_string_value(json_object_get(event.json, "database"));
	d->has_settings = settings && database;
	if (d->has_settings) {
		d->settings = strtoull(settings, NULL, 16);
		d->is_same_file =
		    strcmp(name_of(database), name_of(d->config->database_path)) == 0;
	}
	audit_event_clear(&event);
}

/* Than the copy's beginning. */
static bool comes_later(const struct audit_database *d, const struct audit_line *line)
{
	size_t len = strlen(d->until);

	return len > 0 && line->time.len == len &&
	       memcmp(line->time.bytes, d->until, len) > 0;
}

enum status audit_database_take(struct audit_database *d, struct span line,
				struct error *err)
{
	struct audit_line what;

	audit_line_read(line.bytes, line.len, &what);
	d->is_until = d->is_until || comes_later(d, &what);
	if (d->is_until && !d->told.is_settling) {
		return ST_OK;
	}
	if (what.time.bytes) {
		(void)snprintf(d->time, sizeof d->time, "%.*s",
			       what.time.len < sizeof d->time ? (int)what.time.len : 0,
			       what.time.bytes);
	}
	if (what.kind == AUDIT_LINE_START) {
		take_start(d, line);
	}
	return audit_told_take(&d->told, line, err);
}

/* Lines behind those that were taken. */
static enum status take_more(struct audit_database *d, struct error *err)
{
	struct audit_files files;
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	uint64_t number;
	enum status status = audit_files_find(d->log_path, &files, err);

	if (status != ST_OK) {
		return status;
	}
	number = files.list[0].first - d->begin;
	audit_reader_open_files(&reader, &files, 0);
	reader.most = AUDIT_ASKED_BYTES;
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK &&
	       is_whole) {
		if (number++ < d->told.lines) {
			continue;
		}
		status = audit_database_take(d, line, err);
		if (status != ST_OK) {
			break;
		}
	}
	audit_reader_close(&reader);
	audit_files_clear(&files);
	return status == ST_END ? ST_OK : status;
}

/* ---- the database ---- */

/* The rows of one state of it. */
struct reading {
	struct audit_database *d;
	struct encoder_settings settings;
	struct column_rules *rules; /* NULL: none */
	struct audit_lines lines;
	struct table_plan *plan;
	struct told_table *table; /* NULL: the log never told of it */
	struct buffer body, line;
};

static enum status visit_table(void *context, const struct table *table,
			       struct error *err)
{
	struct reading *r = context;

	table_plan_close(r->plan);
	r->plan = NULL;
	r->table = told_tables_find(&r->d->told.tables, table->name);
	return r->table ? table_plan_open(table, &r->settings, (struct span){"", 0},
					  &r->plan, err)
			: ST_OK;
}

static enum status visit_row(void *context, const struct change *change,
			     struct error *err)
{
	struct reading *r = context;
	struct audit_event event;
	enum status status = ST_OK;

	if (!r->table || r->table->is_left_out) {
		return ST_OK;
	}
	buffer_reset(&r->line);
	buffer_add_char(&r->line, '{');
	if (audit_lines_change(&r->lines, r->plan, change, 0, &r->body)) {
		buffer_add_buffer(&r->line, &r->body);
	} else {
		r->line.failed = true;
	}
	if (!buffer_ok(&r->line) ||
	    !audit_event_read((struct span){r->line.bytes, r->line.len}, &event)) {
		return error_no_memory(err, "a row of %s", SHORT_NAME(r->table->name));
	}
	if (event.key) {
		status = audit_told_compare(&r->d->told, r->table, &event, err);
	}
	audit_event_clear(&event);
	return status;
}

static void visit_nothing(void *context, uint64_t rows, uint64_t pages,
			  uint64_t page_count)
{
	(void)context;
	(void)rows;
	(void)pages;
	(void)page_count;
}

static void add_name(json_t *names, const char *name)
{
	char *text = strdup(name);

	if (text) {
		utf8_make_safe(text);
		(void)json_array_append_new(names, json_string(text));
	}
	free(text);
}

/* Is the table compared? */
static enum status mark_table(struct reading *r, const struct table *table,
			      struct error *err)
{
	struct audit_database *d = r->d;
	const char *context = r->settings.context_table;
	struct told_table *told = told_tables_find(&d->told.tables, table->name);
	bool is_context = context && strcasecmp(table->name, context) == 0;
	struct table_plan *plan;

	if (!told) {
		if (!table->left_out && !is_context && table->root_page > 0) {
			add_name(d->untold_tables, table->name);
		}
		return ST_OK;
	}
	told->is_left_out = table->left_out || is_context || table->root_page == 0;
	if (!told->is_left_out) {
		if (table_plan_open(table, &r->settings, (struct span){"", 0}, &plan,
				    err) != ST_OK) {
			return err->status;
		}
		/* Several rows may have one. */
		told->is_left_out = table_plan_has_own_key(plan);
		table_plan_close(plan);
	}
	told->is_compared = !told->is_left_out;
	d->tables += told->is_compared;
	if (told->is_left_out && !is_context) {
		add_name(d->left_out, table->name);
	}
	return ST_OK;
}

static enum status open_reading(struct reading *r, struct audit_database *d,
				struct error *err)
{
	const struct encoder_transaction txn = {0};
	struct transaction_context who = {0};

	*r = (struct reading){.d = d, .settings = d->config->encoder};
	buffer_init(&r->body);
	buffer_init(&r->line);
	if (column_options_open(&d->config->columns, &r->rules, err) != ST_OK) {
		return err->status;
	}
	r->settings.rules = r->rules;
	r->settings.audit_lines = true;
	audit_lines_begin(&r->lines, &txn, &who);
	return ST_OK;
}

static void close_reading(struct reading *r)
{
	table_plan_close(r->plan);
	column_rules_close(r->rules);
	audit_lines_clear(&r->lines);
	buffer_clear(&r->body);
	buffer_clear(&r->line);
}

static enum status read_rows(struct reading *r, struct page_source *pages,
			     struct error *err)
{
	const struct snapshot_events events = {.context = r,
					       .table = visit_table,
					       .change = visit_row,
					       .progress = visit_nothing};
	struct table_filter *filter = NULL;
	struct catalog *catalog = NULL;
	enum status status = asked_filter_open(r->d->config, &filter, err);

	if (status == ST_OK) {
		status = catalog_read(pages, filter, NULL, NULL, &catalog, err);
	}
	for (size_t i = 0; status == ST_OK && i < catalog->table_count; i++) {
		status = mark_table(r, catalog->tables[i], err);
	}
	if (status == ST_OK) {
		status = snapshot_run(pages, catalog, NULL, 0, &events, err);
	}
	catalog_close(catalog);
	table_filter_close(filter);
	return status;
}

/* "…Z" of the time that the database was written at. */
static enum status note_time(struct audit_database *d, const struct database_file *file,
			     struct error *err)
{
	struct buffer time;

	buffer_init(&time);
	audit_line_add_time(&time, database_file_time_ns(file));
	buffer_add_char(&time, '\0');
	if (!buffer_ok(&time)) {
		return error_no_memory(err, "a time");
	}
	d->is_later = strcmp(time.bytes + 1, d->time) > 0;
	buffer_clear(&time);
	return ST_OK;
}

/* One state of the database against what was told so far. ST_RETRY: it was written
 * meanwhile. */
static enum status compare_once(struct audit_database *d, struct error *err)
{
	struct database_file *file = NULL;
	struct error written;
	struct reading r;
	enum status status = audit_told_begin(&d->told, err);

	(void)json_array_clear(d->untold_tables);
	(void)json_array_clear(d->left_out);
	d->tables = 0;
	if (status == ST_OK) {
		status = database_file_open(d->config->database_path, &file, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = open_reading(&r, d, err);
	if (status == ST_OK && !database_file_is_empty(file)) {
		status = read_rows(&r, database_file_pages(file), err);
	}
	close_reading(&r);
	if (status == ST_CORRUPT) {
		(void)error_wrap(err, "%s is corrupt",
				 quote(d->config->database_path).text);
	}
	/* What is written meanwhile looks damaged. */
	if (database_file_check(file, &written) != ST_OK) {
		*err = written;
		status = written.status;
	}
	if (status == ST_OK) {
		status = note_time(d, file, err);
	}
	database_file_close(file);
	return status == ST_OK ? audit_told_end(&d->told, err) : status;
}

/* ---- comparing ---- */

static const char *finding_name(enum told_finding finding)
{
	static const char *const names[] = {
	    [TOLD_EQUAL] = "",
	    [TOLD_DIFFERS] = "differs from the database",
	    [TOLD_MISSING] = "missing in the database",
	    [TOLD_ADDED] = "not in the log",
	    [TOLD_GONE] = "missing in the database",
	};

	return names[finding];
}

static void print_found(struct audit_database *d, const struct audit_told_found *found)
{
	const char *between = ": ";
	struct buffer b;
	struct error ignored;

	buffer_init(&b);
	buffer_add_str(&b, finding_name(found->finding));
	buffer_add_str(&b, ": ");
	buffer_add_str(&b, found->table->name);
	if (found->key) {
		buffer_add_char(&b, ' ');
		audit_text_add_key(&b, found->key);
	} else {
		buffer_add_str(&b, ", all of it");
	}
	for (size_t i = 0; i < json_array_size(found->columns); i++) {
		buffer_add_str(&b, between);
		buffer_add_str(&b,
			       json_string_value(json_array_get(found->columns, i)));
		between = ", ";
	}
	if (found->rows > 1) {
		buffer_add_str(&b, " (");
		buffer_add_u64(&b, found->rows);
		buffer_add_str(&b, " rows)");
	}
	d->failed = audit_text_print(&b, &ignored) != ST_OK || d->failed;
	buffer_clear(&b);
}

static void add_found(json_t *findings, const struct audit_told_found *found)
{
	json_t *one =
	    json_pack("{s:s, s:s, s:I}", "finding", finding_name(found->finding),
		      "table", found->table->name, "rows", (json_int_t)found->rows);

	if (one && found->key) {
		(void)json_object_set(one, "key", found->key);
	}
	if (one && found->columns) {
		(void)json_object_set(one, "columns", found->columns);
	}
	(void)json_array_append_new(findings, one);
}

static void tell(void *context, const struct audit_told_found *found)
{
	struct audit_database *d = context;

	if (d->shown++ >= AUDIT_DATABASE_SHOWN) {
		return;
	}
	if (d->findings) {
		add_found(d->findings, found);
	} else {
		print_found(d, found);
	}
}

enum status audit_database_compare(struct audit_database *d, json_t *findings,
				   struct error *err)
{
	int64_t wait_ns = FIRST_WAIT_NS;
	enum status status = compare_once(d, err);

	for (int i = 1; status == ST_RETRY && i < TRIES; i++) {
		clock_sleep_ns(FIRST_WAIT_NS);
		d->told.is_settling = false;
		status = take_more(d, err);
		if (status == ST_OK) {
			status = compare_once(d, err);
		}
	}
	if (status == ST_OK && d->is_until) {
		status = take_more(d, err);
	}
	if (status == ST_OK) {
		status = audit_told_each(&d->told, NULL, NULL, &d->differ, err);
	}
	for (int i = 0; status == ST_OK && d->is_written && d->differ > 0 && i < WAITS;
	     i++, wait_ns *= 2) {
		clock_sleep_ns(wait_ns);
		status = take_more(d, err);
		if (status == ST_OK) {
			status = audit_told_each(&d->told, NULL, NULL, &d->differ, err);
		}
	}
	d->findings = findings;
	if (status == ST_OK) {
		status = audit_told_each(&d->told, tell, d, &d->differ, err);
	}
	return status == ST_OK && d->failed ? error_no_memory(err, "findings") : status;
}

/* ---- result ---- */

/* Are the settings that were given those of the log's last run? Of a copy that has
 * another name nobody can tell. */
static bool has_other_settings(const struct audit_database *d)
{
	struct buffer text;
	bool differs;

	if (!d->has_settings || !d->is_same_file) {
		return false;
	}
	buffer_init(&text);
	differs = shaping_add(d->config, &text) && buffer_ok(&text) &&
		  shaping_hash(text.bytes, text.len) != d->settings;
	buffer_clear(&text);
	return differs;
}

static enum status print_names(const char *what, const json_t *names, struct error *err)
{
	size_t count = json_array_size(names);
	struct buffer b;
	enum status status;

	if (count == 0) {
		return ST_OK;
	}
	buffer_init(&b);
	buffer_add_str(&b, what);
	for (size_t i = 0; i < count && i < 20; i++) {
		buffer_add_str(&b, i > 0 ? ", " : ": ");
		buffer_add_str(&b, json_string_value(json_array_get(names, i)));
	}
	buffer_add_str(&b, count > 20 ? " and others" : "");
	status = audit_text_print(&b, err);
	buffer_clear(&b);
	return status;
}

static void print_why(const struct audit_database *d)
{
	if (has_other_settings(d)) {
		(void)puts("the settings that were given are not those of the log's "
			   "last run: give the same -D and --config, or rows may "
			   "differ for that reason alone");
	}
	if (d->differ == 0) {
		return;
	}
	if (d->is_written) {
		(void)printf("rowtail is running, and the log ends at %s: it tells "
			     "later of what was committed since\n",
			     d->time);
	} else if (d->is_later) {
		(void)printf("the database was written after the log's last line, of "
			     "%s: what was changed while rowtail did not run its next "
			     "start tells\n",
			     d->time);
	}
	if (d->told.redacted > 0) {
		(void)printf("%" PRIu64 " lines were redacted, and what they told is "
			     "not known\n",
			     d->told.redacted);
	}
}

enum status audit_database_print(const struct audit_database *d, struct error *err)
{
	const struct audit_told *told = &d->told;

	if (d->shown > AUDIT_DATABASE_SHOWN) {
		(void)printf("and %" PRIu64 " more\n", d->shown - AUDIT_DATABASE_SHOWN);
	}
	(void)printf("compared %" PRIu64 " rows of %" PRIu64
		     " tables with the database: %" PRIu64 " differ",
		     told->rows - told->untold, d->tables, d->differ);
	if (told->untold > 0) {
		(void)printf("; of %" PRIu64 " more the log has neither baseline nor "
			     "change",
			     told->untold);
	}
	(void)putchar('\n');
	if (print_names("the log tells nothing of", d->untold_tables, err) != ST_OK ||
	    print_names("not compared, as the settings have it", d->left_out, err) !=
		ST_OK) {
		return err->status;
	}
	if (told->unreadable > 0) {
		(void)printf("%" PRIu64 " lines cannot be read\n", told->unreadable);
	}
	print_why(d);
	return audit_text_flush(err);
}

json_t *audit_database_json(const struct audit_database *d)
{
	const struct audit_told *told = &d->told;

	return json_pack("{s:I, s:I, s:I, s:I, s:O, s:O, s:b, s:b, s:s}", "rows",
			 (json_int_t)(told->rows - told->untold), "tables",
			 (json_int_t)d->tables, "differ", (json_int_t)d->differ,
			 "without_baseline", (json_int_t)told->untold,
			 "tables_without_lines", d->untold_tables, "tables_left_out",
			 d->left_out, "other_settings", has_other_settings(d),
			 "running", d->is_written, "log_ends", d->time);
}

enum status audit_database_result(const struct audit_database *d, struct error *err)
{
	return d->differ == 0
		   ? ST_OK
		   : error_set(err, ST_CORRUPT,
			       "%s is not what %s tells: %" PRIu64
			       " row%s, on standard output; rowtail audit history "
			       "shows what became of each",
			       quote(d->config->database_path).text,
			       quote(d->log_path).text, d->differ,
			       d->differ == 1 ? " differs" : "s differ");
}

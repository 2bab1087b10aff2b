/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/check_report.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"
#include "src/base/json_text.h"
#include "src/base/log.h"
#include "src/base/utf8.h"

static const char *const levels[] = {
    [CHECK_OK] = "ok", [CHECK_WARNING] = "warning", [CHECK_PROBLEM] = "problem"};

/* ---- what is found ---- */

void check_report_init(struct check_report *report)
{
	*report = (struct check_report){.about = "settings"};
}

static void clear_table(struct check_table *table)
{
	for (size_t i = 0; i < table->key_count; i++) {
		free(table->key[i]);
	}
	free(table->key);
	free(table->name);
	free(table->left_out);
	free(table->topic);
}

void check_report_clear(struct check_report *report)
{
	for (size_t i = 0; i < report->finding_count; i++) {
		free(report->findings[i].text);
	}
	for (size_t i = 0; i < report->table_count; i++) {
		clear_table(&report->tables[i]);
	}
	for (size_t i = 0; i < report->setting_count; i++) {
		free(report->settings[i].name);
		free(report->settings[i].was);
		free(report->settings[i].is);
	}
	free(report->findings);
	free(report->tables);
	free(report->settings);
}

/* Takes `text`, which is NULL without memory. */
static void add(struct check_report *report, enum check_level level, enum status status,
		char *text)
{
	if (!text || !array_room(&report->findings, &report->finding_cap,
				 report->finding_count + 1, sizeof *report->findings)) {
		report->is_out_of_memory = true;
		free(text);
		return;
	}
	utf8_make_safe(text);
	report->findings[report->finding_count++] =
	    (struct check_finding){level, status, report->about, text};
}

static char *make_text(const char *fmt, va_list args)
    __attribute__((format(printf, 1, 0)));
static char *make_text(const char *fmt, va_list args)
{
	char *text;

	return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

void check_report_ok(struct check_report *report, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(report, CHECK_OK, ST_OK, make_text(fmt, args));
	va_end(args);
}

void check_report_warn(struct check_report *report, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(report, CHECK_WARNING, ST_OK, make_text(fmt, args));
	va_end(args);
}

void check_report_problem(struct check_report *report, enum status status,
			  const char *text)
{
	add(report, CHECK_PROBLEM, status, strdup(text));
}

void check_report_move_last(struct check_report *report, size_t to)
{
	struct check_finding *all = report->findings;
	struct check_finding last;

	if (to + 1 < report->finding_count) {
		last = all[report->finding_count - 1];
		memmove(all + to + 1, all + to,
			(report->finding_count - 1 - to) * sizeof *all);
		all[to] = last;
	}
}

/* An error that is not the last word is one of settings. */
static void take_line(void *context, enum log_level level, const char *text)
{
	struct check_report *report = context;

	if (level == LOG_ERROR) {
		report->told_errors++;
		check_report_problem(report, ST_CONFIG, text);
	} else if (level == LOG_WARN) {
		check_report_warn(report, "%s", text);
	}
}

void check_report_about(struct check_report *report, const char *about)
{
	report->about = about;
	report->told_errors = 0;
	log_divert(take_line, report);
}

void check_report_end(struct check_report *report)
{
	(void)report;
	log_divert(NULL, NULL);
}

bool check_report_take(struct check_report *report, enum status status,
		       const struct error *err)
{
	if (status != ST_OK && report->told_errors == 0) {
		check_report_problem(report, status, err->text);
	}
	report->told_errors = 0;
	return status == ST_OK;
}

/* NULL stays NULL; without memory that is noted. */
static char *copy(struct check_report *report, const char *text)
{
	char *own = text ? strdup(text) : NULL;

	report->is_out_of_memory |= text && !own;
	return own;
}

struct check_table *check_report_table(struct check_report *report, const char *name)
{
	struct check_table *table;

	if (!array_room(&report->tables, &report->table_cap, report->table_count + 1,
			sizeof *report->tables)) {
		report->is_out_of_memory = true;
		return NULL;
	}
	table = &report->tables[report->table_count++];
	*table = (struct check_table){.name = copy(report, name)};
	return table;
}

void check_report_key(struct check_report *report, struct check_table *table,
		      const char *column)
{
	char **key = reallocarray(table->key, table->key_count + 1, sizeof *key);

	if (!key) {
		report->is_out_of_memory = true;
		return;
	}
	table->key = key;
	key[table->key_count++] = copy(report, column);
}

void check_report_setting(struct check_report *report, const char *name,
			  const char *was, const char *is)
{
	if (!array_room(&report->settings, &report->setting_cap,
			report->setting_count + 1, sizeof *report->settings)) {
		report->is_out_of_memory = true;
		return;
	}
	report->settings[report->setting_count++] = (struct check_setting){
	    copy(report, name), copy(report, was), copy(report, is)};
}

enum status check_report_status(const struct check_report *report)
{
	for (size_t i = 0; i < report->finding_count; i++) {
		if (report->findings[i].level == CHECK_PROBLEM) {
			return report->findings[i].status;
		}
	}
	return ST_OK;
}

size_t check_report_count(const struct check_report *report, enum check_level level)
{
	size_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++) {
		count += report->findings[i].level == level;
	}
	return count;
}

/* ---- lines ---- */

/* Nothing of a name may steer a terminal. */
static void put_safe(const char *text)
{
	char *safe = strdup(text);

	if (safe) {
		utf8_make_safe(safe);
	}
	(void)fputs(safe ? safe : "?", stdout);
	free(safe);
}

static void print_table(const struct check_table *table)
{
	(void)fputs("table    ", stdout);
	put_safe(table->name);
	if (table->left_out) {
		(void)fputs(": no events, ", stdout);
		put_safe(table->left_out);
		(void)putchar('\n');
		return;
	}
	(void)fputs(": events", stdout);
	if (table->topic) {
		(void)fputs(", topic ", stdout);
		put_safe(table->topic);
	}
	(void)fputs(table->key_count > 0 ? ", key " : ", no key", stdout);
	for (size_t i = 0; i < table->key_count; i++) {
		(void)fputs(i > 0 ? ", " : "", stdout);
		put_safe(table->key[i]);
	}
	(void)putchar('\n');
}

static void print_setting(const struct check_setting *setting)
{
	(void)fputs("setting  ", stdout);
	put_safe(setting->name);
	(void)fputs(": was ", stdout);
	put_safe(setting->was ? setting->was : "not set");
	(void)fputs(", is ", stdout);
	put_safe(setting->is ? setting->is : "not set");
	(void)putchar('\n');
}

static void print_lines(const struct check_report *report)
{
	for (size_t i = 0; i < report->finding_count; i++) {
		const struct check_finding *f = &report->findings[i];

		(void)printf("%-8s %s: %s\n", levels[f->level], f->about, f->text);
	}
	for (size_t i = 0; i < report->setting_count; i++) {
		print_setting(&report->settings[i]);
	}
	for (size_t i = 0; i < report->table_count; i++) {
		print_table(&report->tables[i]);
	}
}

/* ---- JSON ---- */

static json_t *json_finding(const struct check_finding *f)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "level", levels[f->level], "about",
			 f->about, "text", json_text(f->text), "exit",
			 f->level == CHECK_PROBLEM
			     ? json_integer(status_exit_code(f->status))
			     : json_null());
}

static json_t *json_table(const struct check_table *table)
{
	json_t *key = table->left_out ? json_null() : json_array();

	for (size_t i = 0; i < table->key_count; i++) {
		(void)json_array_append_new(key, json_text(table->key[i]));
	}
	return json_pack("{s:o, s:b, s:o, s:o, s:o}", "table", json_text(table->name),
			 "events", !table->left_out, "why", json_text(table->left_out),
			 "topic", json_text(table->topic), "key", key);
}

static json_t *json_setting(const struct check_setting *setting)
{
	return json_pack("{s:o, s:o, s:o}", "name", json_text(setting->name), "was",
			 json_text(setting->was), "is", json_text(setting->is));
}

static json_t *to_json(const struct check_report *report, const char *database)
{
	json_t *findings = json_array();
	json_t *tables = json_array();
	json_t *settings = json_array();
	enum status status = check_report_status(report);

	for (size_t i = 0; i < report->finding_count; i++) {
		(void)json_array_append_new(findings,
					    json_finding(&report->findings[i]));
	}
	for (size_t i = 0; i < report->table_count; i++) {
		(void)json_array_append_new(tables, json_table(&report->tables[i]));
	}
	for (size_t i = 0; i < report->setting_count; i++) {
		(void)json_array_append_new(settings,
					    json_setting(&report->settings[i]));
	}
	return json_pack("{s:o, s:b, s:i, s:o, s:o, s:o}", "database",
			 json_text(database), "ok", status == ST_OK, "exit",
			 status_exit_code(status), "findings", findings, "settings",
			 settings, "tables", tables);
}

static enum status print_json(const struct check_report *report, const char *database,
			      struct error *err)
{
	json_t *all = to_json(report, database);
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;

	json_decref(all);
	if (!text) {
		return error_no_memory(err, "the report");
	}
	(void)puts(text);
	free(text);
	return ST_OK;
}

enum status check_report_print(const struct check_report *report, const char *database,
			       bool as_json, struct error *err)
{
	if (report->is_out_of_memory) {
		return error_no_memory(err, "the report");
	}
	if (as_json) {
		return print_json(report, database, err);
	}
	print_lines(report);
	return ST_OK;
}

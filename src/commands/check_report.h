/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/check_report.h -- what rowtail check has found, and how it is printed.
 *
 * Findings stand in the order in which a run would come to them: it would end with the
 * first problem. What others say in the log while something is looked at is a finding,
 * too, so that a run and a check have the same words.
 *
 * OWNERSHIP  check_report_init / check_report_clear; the caller's struct.
 * THREADS    One.
 */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

enum check_level { CHECK_OK, CHECK_WARNING, CHECK_PROBLEM };

struct check_finding {
	enum check_level level;
	enum status status; /* of a problem: what a run would end with */
	const char *about;  /* borrowed for ever */
	char *text;
};

/* What becomes of a table. */
struct check_table {
	char *name;
	char *left_out; /* why it has no events; NULL: it has */
	char *topic;    /* NULL: there are no topics */
	char **key;     /* names of columns; none: its messages have no key */
	size_t key_count;
};

/* A setting that differs from that of the last run; NULL: not set. */
struct check_setting {
	char *name, *was, *is;
};

struct check_report {
	const char *about;  /* of what is found now */
	size_t told_errors; /* that were said in the log since then */
	bool is_out_of_memory;
	struct check_finding *findings;
	size_t finding_count, finding_cap;
	struct check_table *tables;
	size_t table_count, table_cap;
	struct check_setting *settings;
	size_t setting_count, setting_cap;
};

void check_report_init(struct check_report *report);
void check_report_clear(struct check_report *report);

/* What comes now is about that; what this thread logs becomes a finding. */
void check_report_about(struct check_report *report, const char *about);
/* Lines of the log are lines of the log again. */
void check_report_end(struct check_report *report);

void check_report_ok(struct check_report *report, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void check_report_warn(struct check_report *report, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void check_report_problem(struct check_report *report, enum status status,
			  const char *text);

/* A problem, unless it is ST_OK; or it was said in the log what is wrong, and the error
 * is only the last word of it. True: ST_OK. */
bool check_report_take(struct check_report *report, enum status status,
		       const struct error *err);

/* A run comes to the last finding before the one that is `to` now. */
void check_report_move_last(struct check_report *report, size_t to);

/* NULL: no memory, which is noted. Lives until the next call. */
struct check_table *check_report_table(struct check_report *report, const char *name);
void check_report_key(struct check_report *report, struct check_table *table,
		      const char *column);
void check_report_setting(struct check_report *report, const char *name,
			  const char *was, const char *is);

/* What a run would end with; ST_OK: no problem. */
enum status check_report_status(const struct check_report *report);
size_t check_report_count(const struct check_report *report, enum check_level level);

/* To stdout: lines, or one JSON object. */
enum status check_report_print(const struct check_report *report, const char *database,
			       bool as_json, struct error *err) MUST_CHECK;

#endif

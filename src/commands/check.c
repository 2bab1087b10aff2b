/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/check.c -- rowtail check: what a run with these options and properties
 * would meet, and what it would do, without a run.
 *
 * It uses the checks of a run itself, and changes nothing, also beside one.
 *
 * ERRORS  The status of the first problem that a run would meet, so that the exit code
 *         is that of a run; ST_IO when stdout takes nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "src/asked.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/capture/database_wait.h"
#include "src/capture/wal_events.h"
#include "src/command_table.h"
#include "src/commands/check_parts.h"
#include "src/monitor/listen_address.h"
#include "src/on_demand.h"

#define PATIENCE_NS (10 * NS_PER_S) /* with a broker, or an archive */

/* False: nothing that depends on settings can be looked at. */
static bool check_settings(struct checking *c)
{
	const struct config *config = c->config;
	struct check_report *report = &c->report;

	check_report_about(report, "settings");
	for (size_t i = 0; i < config->problems.count; i++) {
		check_report_problem(report, ST_CONFIG, config->problems.texts[i]);
	}
	for (size_t i = 0; i < config->warning_count; i++) {
		check_report_warn(report, "%s", config->warnings[i]);
	}
	if (config->problems.count > 0) {
		return false;
	}
	check_report_ok(report, "they can be taken");
	return true;
}

/* Where a run would be asked how it goes, which it takes before all else. */
static void check_metrics(struct checking *c)
{
	const char *listen = c->config->metrics_listen;
	struct error err;

	if (listen) {
		check_report_about(&c->report, "metrics");
		if (check_report_take(&c->report, listen_address_look(listen, &err),
				      &err)) {
			check_report_ok(&c->report, "%s", listen);
		}
	}
}

/* Of those that ask for something of the system, or hold expressions. */
static void check_demands(struct checking *c)
{
	const struct config *config = c->config;
	struct check_report *report = &c->report;
	struct error err;

	check_report_about(report, "settings");
	if (config->encoder.audit_process) {
		(void)check_report_take(report, wal_events_check(&err), &err);
	}
	(void)check_report_take(report, on_demand_check(config, &err), &err);
	if (!check_report_take(report, asked_filter_open(config, &c->filter, &err),
			       &err)) {
		c->filter = NULL;
	}
}

/* Opening a sink is no more than a look at where it leads. */
static void check_sink(struct checking *c)
{
	struct check_report *report = &c->report;
	struct error err;

	check_report_about(report, "sink");
	if (check_report_take(report, delivery_open(c->config, &c->delivery, &err),
			      &err)) {
		check_report_ok(report, "%s%s", c->config->sink->scheme,
				c->config->sink_target ? c->config->sink_target : "");
	} else {
		c->delivery = NULL;
	}
}

/* With --wait one that is to come is no problem. False: there is nothing to look at
 * yet. */
static bool is_there(struct checking *c)
{
	const char *path = c->config->database_path;
	const char *lacks = c->config->wait ? database_lacks(path) : NULL;

	if (lacks) {
		check_report_about(&c->report, "database");
		check_report_warn(&c->report,
				  "%s %s yet: a run waits for it (--wait), and what it "
				  "has could not be checked",
				  quote(path).text, lacks);
	}
	return !lacks;
}

static void tell(void *context, enum status status, const char *text)
{
	struct check_report *report = context;

	if (status == ST_OK) {
		check_report_ok(report, "%s", text);
	} else {
		check_report_problem(report, status, text);
	}
}

/* Whose it is is settled before the database is opened, unless a run goes on. */
static bool is_claimed_first(const struct checking *c)
{
	return c->config->sink->claim && (!c->kept || c->kept->is_new);
}

/* What it writes to: is that in reach, and nobody else's? */
static void look_at_sink(struct checking *c)
{
	/* Without a state directory that can be had nothing is known of a position. */
	struct sink_look look = {.is_in_use = c->is_in_use ||
					      (c->config->state_path && !c->kept),
				 .knows_topics = c->has_topics,
				 .patience_ns = PATIENCE_NS,
				 .tell = tell,
				 .context = &c->report};
	struct kept_position *kept = c->kept;
	struct error err;
	enum status status = kept ? ST_OK : kept_nowhere_open(&kept, &err);

	check_report_about(&c->report, "sink");
	if (status == ST_OK) {
		status = delivery_look(c->delivery, kept, &look, &err);
	}
	if (!check_report_take(&c->report, status, &err) && is_claimed_first(c)) {
		check_report_move_last(&c->report, c->before_database);
	}
	if (!c->kept && kept) {
		kept->close(kept);
	}
}

static void check_all(struct checking *c)
{
	bool has_settings = check_settings(c);
	char *real;

	if (!c->config->database_path) {
		return;
	}
	if (has_settings) {
		check_metrics(c);
		check_demands(c);
		check_sink(c);
	}
	if (!is_there(c)) {
		return;
	}
	real = realpath(c->config->database_path, NULL);
	if (has_settings && real) {
		check_state(c, real);
		check_archive(c);
	}
	free(real);
	c->before_database = c->report.finding_count;
	check_database(c);
	if (c->is_readable && c->filter && c->delivery) {
		check_tables(c);
	}
	if (c->is_readable) {
		check_disk(c);
	}
	if (c->delivery) {
		look_at_sink(c);
	}
}

/* The error is the last word; all before it is on stdout. */
static enum status conclude(const struct check_report *report, struct error *err)
{
	enum status status = check_report_status(report);
	size_t count = check_report_count(report, CHECK_PROBLEM);

	return status == ST_OK
		   ? ST_OK
		   : error_set(err, status,
			       "%zu problem%s: a run would exit with %d, for the first "
			       "of them",
			       count, count == 1 ? "" : "s", status_exit_code(status));
}

static enum status run(const struct config *config, struct error *err)
{
	struct checking c = {.config = config};
	enum status status;

	check_report_init(&c.report);
	check_all(&c);
	check_report_end(&c.report);
	status =
	    check_report_print(&c.report, config->database_path, config->json, err);
	if (status == ST_OK && fflush(stdout) != 0) {
		status = error_set(err, ST_IO, "stdout takes nothing");
	}
	if (status == ST_OK) {
		status = conclude(&c.report, err);
	}
	delivery_close(c.delivery);
	if (c.kept) {
		c.kept->close(c.kept);
	}
	catalog_close(c.catalog);
	table_filter_close(c.filter);
	check_report_clear(&c.report);
	return status;
}

static const char *const forms[] = {"DATABASE", NULL};

const struct command check_command = {
    .name = "check",
    .usage = "DATABASE [OPTION]... [--json]",
    .forms = forms,
    .help = "a dry run: what a run with these options would meet,\n"
	    "which tables give events, their topics and keys;\n"
	    "nothing is changed, and the exit code is that of a run\n",
    .takes_run = true,
    .takes_json = true,
    .run = run,
};

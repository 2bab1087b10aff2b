/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/check_tables.c -- which tables give events, where those go, and by which
 * key. */
#include <stdlib.h>
#include <string.h>

#include "schemas/table_plan.h"
#include "src/asked.h"
#include "src/base/clock.h"
#include "src/capture/database_peek.h"
#include "src/commands/check_parts.h"
#include "src/deliver/publisher.h"

#define TRIES    200
#define PAUSE_NS (10 * NS_PER_MS)

/* The schema as it is at one moment; ST_RETRY: it was changed meanwhile. */
static enum status read_once(struct checking *c, struct error *err)
{
	struct database_peek *peek;
	struct error changed;
	enum status status = database_peek_open(c->config->database_path, &peek, err);

	if (status != ST_OK) {
		return status;
	}
	status = catalog_read(database_peek_pages(peek), c->filter, NULL, NULL,
			      &c->catalog, err);
	/* What looks like damage may be two states. */
	if (database_peek_check(peek, &changed) == ST_RETRY) {
		catalog_close(c->catalog);
		c->catalog = NULL;
		*err = changed;
		status = ST_RETRY;
	}
	database_peek_close(peek);
	return status;
}

static enum status read_schema(struct checking *c, struct error *err)
{
	enum status status = read_once(c, err);

	for (int i = 1; status == ST_RETRY && i < TRIES; i++) {
		clock_sleep_ns(PAUSE_NS);
		status = read_once(c, err);
	}
	return status == ST_CORRUPT ? asked_unfit(c->config, err) : status;
}

/* Its rows are messages. */
static bool has_events(const struct table *table)
{
	return !table->left_out && !table->is_context;
}

static void list_table(struct checking *c, const struct table *table,
		       const struct table_plan *plan)
{
	struct check_report *report = &c->report;
	struct check_table *listed = check_report_table(report, table->name);

	if (!listed) {
		return;
	}
	if (!has_events(table)) {
		listed->left_out = strdup(table->left_out ? table->left_out
							  : "the table of the context");
		report->is_out_of_memory |= !listed->left_out;
		return;
	}
	if (!plan) { /* its problem is told */
		return;
	}
	if (c->config->sink->form != FORM_AUDIT) {
		struct span topic = table_plan_topic(plan);

		listed->topic = strndup(topic.bytes, topic.len);
		report->is_out_of_memory |= !listed->topic;
	}
	for (uint32_t i = 0; i < plan->key_count; i++) {
		check_report_key(report, listed,
				 table->columns[plan->keys[i].index].name);
	}
}

static bool is_system_name(const char *name)
{
	return strncmp(name, "sqlite_", 7) == 0;
}

static void list_tables(struct checking *c)
{
	const struct publisher *publisher = delivery_publisher(c->delivery);
	size_t captured = 0;

	for (size_t i = 0; i < c->catalog->table_count; i++) {
		const struct table *table = c->catalog->tables[i];

		if (table->left_out && is_system_name(table->name)) {
			continue;
		}
		captured += has_events(table);
		list_table(c, table, publisher_plan(publisher, i));
	}
	check_report_ok(&c->report, "%zu of %zu give events", captured,
			c->report.table_count);
}

void check_tables(struct checking *c)
{
	const struct asked asked = {.config = c->config,
				    .filter = c->filter,
				    .rules = delivery_rules(c->delivery)};
	struct check_report *report = &c->report;
	struct error err;

	check_report_about(report, "tables");
	if (!check_report_take(report, read_schema(c, &err), &err)) {
		return;
	}
	c->has_topics = check_report_take(
	    report,
	    publisher_catalog(delivery_publisher(c->delivery), c->catalog, NULL, &err),
	    &err);
	(void)check_report_take(report, asked_check(&asked, c->catalog, &err), &err);
	list_tables(c);
}

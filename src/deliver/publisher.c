/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/table_plan.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/config/problems.h"

struct publisher {
	struct encoder *encoder;
	struct sink *sink;
	const char *database; /* its path, for messages */
	char *reserved_topic;
	const _Atomic int *stop;
	const struct catalog *catalog; /* the plans' */
	struct table_plan **plans;     /* by place in the catalog; NULL: left out */
	size_t plan_count;
	struct metrics_events **counted; /* of each plan; NULL: not asked for yet */
	struct table_plan *plan;         /* of the table at hand */
	struct metrics_events *events;   /* its; NULL: they are not counted */
	bool is_context;                 /* it is the one of the context */
	bool splits;                     /* its updates may be two events */
	struct publisher_mark mark;
	uint64_t skip; /* messages of the next transaction */
};

enum status publisher_open(struct encoder *encoder, struct sink *sink,
			   const char *database, const char *reserved_topic,
			   const _Atomic int *stop, struct publisher **out,
			   struct error *err)
{
	struct publisher *publisher = calloc(1, sizeof *publisher);

	if (publisher && reserved_topic) {
		publisher->reserved_topic = strdup(reserved_topic);
	}
	if (!publisher || (reserved_topic && !publisher->reserved_topic)) {
		free(publisher);
		return error_set(err, ST_NOMEM, "out of memory for publishing");
	}
	publisher->encoder = encoder;
	publisher->sink = sink;
	publisher->database = database;
	publisher->stop = stop;
	*out = publisher;
	return ST_OK;
}

static void close_plans(struct table_plan **plans, size_t count)
{
	for (size_t i = 0; plans && i < count; i++) {
		table_plan_close(plans[i]);
	}
	free(plans);
}

void publisher_close(struct publisher *publisher)
{
	if (publisher) {
		close_plans(publisher->plans, publisher->plan_count);
		free(publisher->counted);
		free(publisher->reserved_topic);
		free(publisher);
	}
}

/* ---- topics ---- */

static bool same_topic(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

/* What else goes to the topic; NULL: nothing. */
static const char *reserved_for(const struct publisher *publisher, struct span topic)
{
	const struct encoder_topics topics = encoder_topics(publisher->encoder);
	const struct {
		struct span topic;
		const char *what;
	} reserved[] = {
	    {topics.transaction, "the transaction metadata"},
	    {topics.schema_change, "the schema changes"},
	    {topics.heartbeat, "the heartbeats"},
	    {topics.message, "the messages of a context alone"},
	    {topics.notification, "the notifications"},
	    {{publisher->reserved_topic,
	      publisher->reserved_topic ? strlen(publisher->reserved_topic) : 0},
	     "the positions"},
	};

	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
		if (reserved[i].topic.bytes && same_topic(reserved[i].topic, topic)) {
			return reserved[i].what;
		}
	}
	return NULL;
}

/* Was it captured before? Then it keeps its topic. */
static bool had_topic(const struct catalog *previous, const struct table *table)
{
	const struct table *was = previous ? catalog_find(previous, table->name) : NULL;

	return was && !was->left_out;
}

/* The plans of a new catalog in the making. */
struct planning {
	const struct catalog *catalog;
	const struct catalog *previous; /* NULL at start */
	struct table_plan **plans;
	bool *is_new;              /* the table is another object than in `previous` */
	size_t first, last;        /* all that are new lie in [first, last) */
	struct problems *problems; /* of the start */
};

/* A table loses its topic: a problem at start, left out and, the first time, named
 * while following. */
static enum status refuse(const struct planning *p, struct table *table,
			  struct span topic, const char *other, struct error *err)
{
	const struct table *was =
	    p->previous ? catalog_find(p->previous, table->name) : NULL;
	char name[UTF8_NAME_SIZE]; /* ASCII: sanitised */

	(void)snprintf(name, sizeof name, "%.*s", (int)topic.len, topic.bytes);
	if (!p->previous) {
		(void)error_set(
		    err, ST_CONFIG,
		    "table %s and %s would share the topic %s; leave one out "
		    "with table.exclude.list",
		    SHORT_NAME(table->name), SHORT_NAME(other), name);
		return problems_take(p->problems, ST_CONFIG, err);
	}
	if (!was || !was->left_out) {
		log_line(LOG_ERROR,
			 "table %s is left out: it and %s would share the topic %s; "
			 "exclude or rename one and start again",
			 SHORT_NAME(table->name), SHORT_NAME(other), name);
	}
	table->left_out = "its topic is taken";
	return ST_OK;
}

/* Its rows are messages, of its topic. */
static bool has_messages(const struct planning *p, size_t i)
{
	const struct table *table = p->catalog->tables[i];

	return p->plans[i] && !table->left_out && !table->is_context;
}

/* Tables i and j, j < i, want one topic. */
static enum status settle_pair(const struct planning *p, size_t i, size_t j,
			       struct error *err)
{
	struct table *table = p->catalog->tables[i];
	struct table *other = p->catalog->tables[j];
	struct span topic = table_plan_topic(p->plans[i]);

	return had_topic(p->previous, table)
		   ? refuse(p, other, topic, table->name, err)
		   : refuse(p, table, topic, other->name, err);
}

/* Settle table i against those before it; two that are not new are settled already.
 * Transforms may bring tables together: that was asked for. */
static enum status settle_topic(const struct planning *p, size_t i, struct error *err)
{
	struct table *const *tables = p->catalog->tables;
	struct span topic = table_plan_own_topic(p->plans[i]);
	enum status status = ST_OK;

	/* A table that is not new is compared only with new ones. */
	for (size_t j = p->is_new[i] ? 0 : p->first; status == ST_OK && j < i; j++) {
		if (!p->is_new[i] && j >= p->last) {
			break;
		}
		if ((p->is_new[i] || p->is_new[j]) && has_messages(p, j) &&
		    !tables[i]->left_out &&
		    same_topic(topic, table_plan_own_topic(p->plans[j]))) {
			status = settle_pair(p, i, j, err);
		}
	}
	return status;
}

/* Where two tables want one topic the newer one, which `previous` does not have or left
 * out, gives way. */
static enum status settle_topics(const struct publisher *publisher,
				 const struct planning *p, struct error *err)
{
	enum status status = ST_OK;

	if (publisher->sink->kind->form == FORM_AUDIT) {
		return ST_OK; /* a log has no topics */
	}
	for (size_t i = p->first; status == ST_OK && i < p->catalog->table_count; i++) {
		struct table *table = p->catalog->tables[i];
		const char *what;

		if (!has_messages(p, i)) {
			continue;
		}
		what = p->is_new[i]
			   ? reserved_for(publisher, table_plan_topic(p->plans[i]))
			   : NULL;
		status =
		    what ? refuse(p, table, table_plan_topic(p->plans[i]), what, err)
			 : settle_topic(p, i, err);
	}
	return status;
}

/* ---- tables ---- */

static bool is_system_name(const char *name)
{
	return strncmp(name, "sqlite_", 7) == 0;
}

/* Each left-out table is named once, when it is first seen. */
static void name_left_out(const struct planning *p)
{
	for (size_t i = 0; i < p->catalog->table_count; i++) {
		const struct table *table = p->catalog->tables[i];
		const struct table *was;

		if (!p->is_new[i] || !table->left_out || is_system_name(table->name)) {
			continue;
		}
		was = p->previous ? catalog_find(p->previous, table->name) : NULL;
		if (was && was->left_out) {
			continue;
		}
		log_line(table->is_undecided ? LOG_ERROR : LOG_INFO,
			 "table %s is left out: %s", SHORT_NAME(table->name),
			 table->left_out);
	}
}

/* Will there be messages without keys in the topic of table i? */
static bool is_keyless(const struct planning *p, size_t i)
{
	struct span topic = table_plan_topic(p->plans[i]);

	for (size_t j = 0;
	     table_plan_is_routed(p->plans[i]) && j < p->catalog->table_count; j++) {
		if (has_messages(p, j) && table_plan_is_keyless(p->plans[j]) &&
		    same_topic(topic, table_plan_topic(p->plans[j]))) {
			return true;
		}
	}
	return table_plan_is_keyless(p->plans[i]);
}

/* Of a table. Of one that transforms route the topic stands for it, as others may have
 * the same. */
static enum status announce_table(const struct publisher *publisher,
				  const struct planning *p, size_t i, struct error *err)
{
	struct span topic = table_plan_topic(p->plans[i]);

	return publisher->sink->kind->announce(publisher->sink, topic,
					       table_plan_is_routed(p->plans[i])
						   ? topic.bytes
						   : p->catalog->tables[i]->name,
					       is_keyless(p, i), err);
}

/* Only transforms can bring control messages there. */
static enum status check_control(const struct publisher *publisher, struct span topic,
				 struct error *err)
{
	const char *own = publisher->reserved_topic;

	return own && same_topic(topic, (struct span){own, strlen(own)})
		   ? error_set(
			 err, ST_CONFIG,
			 "transforms bring messages into %s, which is the topic "
			 "of the positions; write the router's expression so that "
			 "it does not",
			 own)
		   : ST_OK;
}

/* Tell the sink which topics there may be messages for. */
static enum status announce(const struct publisher *publisher, const struct planning *p,
			    struct error *err)
{
	const struct encoder_topics topics = encoder_topics(publisher->encoder);
	const struct span others[] = {topics.transaction, topics.schema_change,
				      topics.heartbeat, topics.message,
				      topics.notification};
	struct sink *sink = publisher->sink;
	enum status status = ST_OK;

	if (!sink->kind->announce || sink->kind->form == FORM_AUDIT) {
		return ST_OK;
	}
	for (size_t i = 0; status == ST_OK && i < sizeof others / sizeof *others; i++) {
		if (others[i].bytes) {
			status = check_control(publisher, others[i], err);
		}
		if (others[i].bytes && status == ST_OK) {
			status =
			    sink->kind->announce(sink, others[i], NULL, false, err);
		}
	}
	for (size_t i = 0; status == ST_OK && i < p->catalog->table_count; i++) {
		if (p->is_new[i] && has_messages(p, i)) {
			status = announce_table(publisher, p, i, err);
		}
	}
	return status;
}

/* All problems of the start are told: the last word is the error. */
static enum status settle_problems(const struct problems *problems, struct error *err)
{
	for (size_t i = 0; problems->count > 1 && i < problems->count; i++) {
		log_line(LOG_ERROR, "%s", problems->texts[i]);
	}
	return problems->count > 1
		   ? error_set(err, ST_CONFIG,
			       "%zu tables cannot be followed with these settings: see "
			       "the lines above",
			       problems->count)
		   : problems_settle(problems, err);
}

/* At start what cannot be decided is an error. */
static enum status check_decided(const struct planning *p, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < p->catalog->table_count; i++) {
		const struct table *table = p->catalog->tables[i];

		if (table->is_undecided) {
			(void)error_set(err, ST_CONFIG, "%s", table->left_out);
			status = problems_take(p->problems, ST_CONFIG, err);
		}
	}
	return status == ST_OK ? settle_problems(p->problems, err) : status;
}

/* Find out which tables are new, and keep the plans of the others. Both catalogs list
 * their tables by name. */
static void keep_plans(struct publisher *publisher, struct planning *p)
{
	const struct catalog *previous = p->previous;
	size_t old = 0;

	for (size_t i = 0; i < p->catalog->table_count; i++) {
		const struct table *table = p->catalog->tables[i];

		while (previous && old < previous->table_count &&
		       previous->tables[old] != table &&
		       strcmp(previous->tables[old]->sort_name, table->sort_name) < 0) {
			old++;
		}
		p->is_new[i] = !previous || old == previous->table_count ||
			       previous->tables[old] != table;
		if (p->is_new[i]) {
			p->first = i < p->first ? i : p->first;
			p->last = i + 1;
			continue;
		}
		if (publisher->catalog == previous) {
			p->plans[i] = publisher->plans[old];
			publisher->plans[old] = NULL;
		}
		old++;
	}
}

/* A plan for each table that is captured. One that the settings allow none for is an
 * error at start, and is left out while following. */
static enum status make_plans(const struct publisher *publisher,
			      const struct planning *p, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < p->catalog->table_count; i++) {
		struct table *table = p->catalog->tables[i];

		if (table->left_out || p->plans[i]) {
			continue;
		}
		status = encoder_plan(publisher->encoder, table, &p->plans[i], err);
		if (status == ST_CONFIG && p->previous) {
			const struct table *was =
			    catalog_find(p->previous, table->name);

			if (!was || !was->left_out) {
				log_line(LOG_ERROR, "table %s is left out: %s",
					 SHORT_NAME(table->name), err->text);
			}
			table->left_out = "its columns do not fit the settings";
			status = ST_OK;
		} else {
			status = problems_take(p->problems, status, err);
		}
	}
	return status;
}

static enum status plan_catalog(struct publisher *publisher, struct planning *p,
				struct error *err)
{
	enum status status = p->previous ? ST_OK : check_decided(p, err);

	keep_plans(publisher, p);
	if (status == ST_OK) {
		name_left_out(p);
		status = make_plans(publisher, p, err);
	}
	if (status == ST_OK) {
		status = settle_topics(publisher, p, err);
	}
	if (status == ST_OK) {
		status = settle_problems(p->problems, err);
	}
	return status == ST_OK ? announce(publisher, p, err) : status;
}

/* Mark the table of the context. */
static void mark_context(const struct publisher *publisher,
			 const struct catalog *catalog)
{
	const char *name = encoder_context_table(publisher->encoder);
	struct table *table = name ? catalog_find(catalog, name) : NULL;

	if (table && !table->left_out) {
		table->is_context = true;
	}
}

enum status publisher_catalog(void *context, struct catalog *catalog,
			      const struct catalog *previous, struct error *err)
{
	struct publisher *publisher = context;
	struct problems problems = {0};
	struct planning p = {
	    .catalog = catalog,
	    .previous = previous,
	    .problems = &problems,
	    .first = catalog->table_count,
	    .plans = calloc(catalog->table_count + 1, sizeof(struct table_plan *)),
	    .is_new = calloc(catalog->table_count + 1, sizeof *p.is_new)};
	struct metrics_events **counted =
	    calloc(catalog->table_count + 1, sizeof *counted);
	enum status status;

	mark_context(publisher, catalog);
	status = p.plans && p.is_new && counted
		     ? plan_catalog(publisher, &p, err)
		     : error_set(err, ST_NOMEM, "out of memory for table plans");

	problems_clear(&problems);
	free(p.is_new);
	/* Those of a start that fails may be looked at. */
	if (status != ST_OK && (previous || !p.plans)) {
		close_plans(p.plans, catalog->table_count);
		free(counted);
		return status;
	}
	close_plans(publisher->plans, publisher->plan_count);
	free(publisher->counted);
	publisher->plans = p.plans;
	publisher->counted = counted;
	publisher->plan_count = catalog->table_count;
	publisher->catalog = catalog;
	publisher->plan = NULL;
	return status;
}

const struct table_plan *publisher_plan(const struct publisher *publisher, size_t index)
{
	return index < publisher->plan_count ? publisher->plans[index] : NULL;
}

/* One line each, however many there are (src/base/log.h). */
static void log_ddl(enum ddl what, const struct table *old_table,
		    const struct table *new_table)
{
	switch (what) {
	case DDL_CREATED:
		log_line(LOG_INFO, "table %s was created", SHORT_NAME(new_table->name));
		break;
	case DDL_DROPPED:
		log_line(LOG_INFO, "table %s was dropped; no events for its rows",
			 SHORT_NAME(old_table->name));
		break;
	case DDL_RENAMED:
		log_line(LOG_INFO, "table %s was renamed to %s%s",
			 SHORT_NAME(old_table->name), SHORT_NAME(new_table->name),
			 old_table->left_out && !new_table->left_out
			     ? ", which is followed from now on"
			 : new_table->left_out && !old_table->left_out
			     ? ", which is not followed"
			     : "");
		break;
	case DDL_ALTERED:
		if (old_table->left_out && !new_table->left_out) {
			log_line(LOG_INFO, "table %s is followed from now on",
				 SHORT_NAME(new_table->name));
		}
		break;
	}
}

static enum status put_all(struct publisher *publisher, const struct message *messages,
			   size_t count, struct error *err);

static enum status put_schema_change(struct publisher *publisher,
				     const struct schema_change *change,
				     struct error *err)
{
	struct message message;
	size_t count = 0;
	enum status status =
	    encoder_schema_change(publisher->encoder, change, &message, &count, err);

	return status == ST_OK ? put_all(publisher, &message, count, err) : status;
}

/* What becomes of it is told: of the context's table to an audit log alone. */
static bool is_told(const struct publisher *publisher, const struct table *table)
{
	return table && !table->left_out &&
	       (!table->is_context || publisher->sink->kind->form == FORM_AUDIT);
}

enum status publisher_ddl(void *context, enum ddl what, const struct table *old_table,
			  const struct table *new_table, struct error *err)
{
	struct publisher *publisher = context;
	struct schema_change change = {.table = new_table};

	log_ddl(what, old_table, new_table);
	if (!is_told(publisher, old_table) && !is_told(publisher, new_table)) {
		return ST_OK;
	}
	if (!is_told(publisher, new_table)) {
		change.type = SCHEMA_DROPPED;
		change.table = old_table;
	} else if (!is_told(publisher, old_table)) {
		change.type = SCHEMA_CREATED;
	} else if (what == DDL_RENAMED) {
		change.type = SCHEMA_RENAMED;
		change.old_name = old_table->name;
	} else {
		change.type = SCHEMA_ALTERED;
	}
	return put_schema_change(publisher, &change, err);
}

void publisher_damaged(void *context, enum damaged_part part, const char *name,
		       const struct error *why)
{
	const struct publisher *publisher = context;
	struct quoted database = quote(publisher->database);
	const char *shown = SHORT_NAME(name);

	switch (part) {
	case DAMAGED_INDEX:
		log_warn("%s: index %s is damaged, which does not matter here: %s; run "
			 "REINDEX on it",
			 database.text, shown, why->text);
		break;
	case DAMAGED_TABLE:
		log_warn(
		    "%s: table %s, which is left out, is damaged: %s; restore it from "
		    "a backup",
		    database.text, shown, why->text);
		break;
	case DAMAGED_FREELIST:
		log_warn("%s: the list of free pages is damaged, which does not matter "
			 "here: %s; run VACUUM",
			 database.text, why->text);
		break;
	case DAMAGED_POINTER_MAP:
		log_warn(
		    "%s: the pointer map is damaged, which does not matter here: %s; "
		    "run VACUUM",
		    database.text, why->text);
		break;
	}
}

enum status publisher_structure(struct publisher *publisher, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < publisher->plan_count; i++) {
		struct schema_change change = {.type = SCHEMA_CREATED,
					       .table = publisher->catalog->tables[i]};

		if (is_told(publisher, change.table)) {
			status = put_schema_change(publisher, &change, err);
		}
	}
	return status;
}

enum status publisher_heartbeat(struct publisher *publisher, struct error *err)
{
	struct message message;
	enum status status = encoder_heartbeat(publisher->encoder, &message, err);

	return status == ST_OK ? sink_put(publisher->sink, &message, err) : status;
}

enum status publisher_table(void *context, const struct table *table, struct error *err)
{
	struct publisher *publisher = context;
	size_t low = 0, high = publisher->catalog->table_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(publisher->catalog->tables[middle]->sort_name,
			   table->sort_name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	publisher->plan =
	    low < publisher->catalog->table_count ? publisher->plans[low] : NULL;
	if (!publisher->plan) {
		return error_set(err, ST_CORRUPT, "no plan for table %s",
				 SHORT_NAME(table->name));
	}
	if (!publisher->counted[low]) {
		publisher->counted[low] = metrics_events_of(table->name);
	}
	publisher->events = publisher->counted[low];
	publisher->is_context = table->is_context;
	publisher->splits = table_plan_has_own_key(publisher->plan);
	return ST_OK;
}

/* ---- messages ---- */

static enum status put_all(struct publisher *publisher, const struct message *messages,
			   size_t count, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < count; i++) {
		if (publisher->mark.messages >= publisher->skip) {
			status = sink_put(publisher->sink, &messages[i], err);
		}
		publisher->mark.messages += status == ST_OK;
	}
	return status;
}

static enum metrics_op counted_as(enum change_op op)
{
	switch (op) {
	case CHANGE_CREATE:
		return METRICS_CREATE;
	case CHANGE_UPDATE:
		return METRICS_UPDATE;
	case CHANGE_DELETE:
		return METRICS_DELETE;
	default:
		return METRICS_READ;
	}
}

static inline enum status put_change(struct publisher *publisher,
				     const struct change *change, struct error *err)
{
	struct message messages[ENCODER_MESSAGES_MAX];
	size_t count = 0;
	enum status status;

	if (*publisher->stop) {
		return error_set(err, ST_STOPPED, "stopped");
	}
	status = encoder_change(publisher->encoder, publisher->plan, change, messages,
				&count, err);
	if (status == ST_OK && count > 0) {
		/* What an earlier run has put it has counted. */
		bool is_new = publisher->mark.messages + count > publisher->skip;

		status = put_all(publisher, messages, count, err);
		if (status == ST_OK && is_new) {
			metrics_event(publisher->events, counted_as(change->op));
		}
	}
	return status;
}

static enum status put_update(struct publisher *publisher, const struct change *change,
			      struct error *err)
{
	struct change parts[2];
	enum status status;

	if (!table_plan_splits(publisher->plan, change, parts)) {
		return put_change(publisher, change, err);
	}
	status = put_change(publisher, &parts[0], err);
	return status == ST_OK ? put_change(publisher, &parts[1], err) : status;
}

enum status publisher_change(void *context, const struct change *change,
			     struct error *err)
{
	struct publisher *publisher = context;

	if (publisher->is_context) {
		return *publisher->stop ? error_set(err, ST_STOPPED, "stopped")
					: encoder_context(publisher->encoder,
							  publisher->plan, change, err);
	}
	return publisher->splits && change->op == CHANGE_UPDATE
		   ? put_update(publisher, change, err)
		   : put_change(publisher, change, err);
}

void publisher_begin(struct publisher *publisher, const struct encoder_transaction *txn)
{
	publisher->mark = (struct publisher_mark){
	    .change_id = encoder_change_id(publisher->encoder),
	    .previous_lsn = encoder_previous_lsn(publisher->encoder)};
	encoder_begin(publisher->encoder, txn);
}

struct publisher_mark publisher_mark(const struct publisher *publisher)
{
	return publisher->mark;
}

void publisher_skip(struct publisher *publisher, uint64_t messages)
{
	publisher->skip = messages;
}

uint64_t publisher_skipped(const struct publisher *publisher)
{
	return publisher->skip;
}

enum status publisher_end(struct publisher *publisher, struct error *err)
{
	struct message message;
	size_t count = 0;
	enum status status = encoder_end(publisher->encoder, &message, &count, err);

	if (status == ST_OK) {
		status = put_all(publisher, &message, count, err);
	}
	publisher->skip = status == ST_OK ? 0 : publisher->skip;
	return status;
}

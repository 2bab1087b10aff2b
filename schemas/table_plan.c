/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btree/record.h"
#include "schemas/connect_schema.h"
#include "schemas/flat.h"
#include "schemas/transforms.h"
#include "schemas/typed_json.h"
#include "schemas/value_json.h"
#include "src/base/log.h"
#include "src/base/utf8.h"

#define MISFIT_WARNINGS 10 /* of one column */

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "an event");
}

/* ---- open and close ---- */

void table_plan_add_name(const struct table_plan *plan, struct buffer *b,
			 uint32_t index)
{
	name_adjustment_add(b, plan->table->columns[index].name,
			    plan->settings->field_names, true);
}

/* Append {"a":  or  ,"b": */
static void add_piece(struct table_plan *plan, struct plan_column *column,
		      bool is_first)
{
	struct buffer name;

	buffer_init(&name);
	table_plan_add_name(plan, &name, column->index);
	plan->text.failed = plan->text.failed || !buffer_ok(&name);
	column->offset = (uint32_t)plan->text.len;
	buffer_add_char(&plan->text, is_first ? '{' : ',');
	json_add_string(&plan->text, name.bytes ? name.bytes : "", name.len);
	buffer_add_char(&plan->text, ':');
	column->len = (uint32_t)plan->text.len - column->offset;
	buffer_clear(&name);
}

static void set_type(const struct table_plan *plan, struct plan_column *column)
{
	const struct encoder_settings *settings = plan->settings;
	const struct column *of = &plan->table->columns[column->index];

	if (settings->schemas) { /* what is not filled in is not looked at */
		column->type = column_type(plan->table, of, settings->type_mapping,
					   settings->decimal_mode);
		column->is_required = column_is_required(plan->table, of);
	}
}

static void set_mask(struct table_plan *plan, struct plan_column *column,
		     struct column_mask *mask)
{
	const struct column *of = &plan->table->columns[column->index];
	int length = declared_type_read(of->declared_type).length;

	column->mask = mask;
	plan->has_masks = true;
	if (column_mask_kind(mask) != MASK_TRUNCATE) {
		column->type = CONNECT_STRING;
		column->hash_limit = length > 0 ? (uint32_t)length : 0;
	}
}

static void add_row_column(struct table_plan *plan, uint32_t index,
			   const struct column_rule *rule)
{
	struct plan_column *column = &plan->columns[plan->column_count];

	column->index = index;
	add_piece(plan, column, plan->column_count == 0);
	plan->row_room += column->len + JSON_NUMBER_MAX;
	set_type(plan, column);
	if (rule->mask) {
		set_mask(plan, column, rule->mask);
	}
	plan->column_count++;
}

static void add_key_column(struct table_plan *plan, uint32_t index)
{
	struct plan_column *column = &plan->keys[plan->key_count];

	column->index = index;
	add_piece(plan, column, plan->key_count == 0);
	plan->key_room += column->len + JSON_NUMBER_MAX;
	set_type(plan, column);
	column->is_required = true;
	plan->key_count++;
}

static enum status add_columns(struct table_plan *plan, struct error *err)
{
	static const char padding[JSON_OVERRUN] = {0};
	const struct table *table = plan->table;
	struct column_rule rule;
	uint32_t i;

	plan->row_room = plan->key_room = 2 + JSON_OVERRUN;
	for (i = 0; i < table->column_count; i++) {
		if (column_rules_find(plan->settings->rules, table->name,
				      table->columns[i].name, &rule, err) != ST_OK) {
			return err->status;
		}
		if (!rule.is_left_out) {
			add_row_column(plan, i, &rule);
		}
		if (rule.is_key) {
			plan->has_own_key = true;
			add_key_column(plan, i);
		}
	}
	for (i = 0; i < table->key_count && !plan->has_own_key; i++) {
		add_key_column(plan, table->key_columns[i]);
	}
	buffer_add(&plan->text, padding, sizeof padding);
	return ST_OK;
}

static bool same_piece(const struct table_plan *plan, const struct plan_column *a,
		       const struct plan_column *b)
{
	return a->len == b->len &&
	       memcmp(plan->text.bytes + a->offset + 1,
		      plan->text.bytes + b->offset + 1, a->len - 1) == 0;
}

/* Of the row's column `place`. */
static const char *column_name(const struct table_plan *plan, uint32_t place)
{
	return plan->table->columns[plan->columns[place].index].name;
}

/* Names that differ may be adjusted to the same one. */
static enum status check_names(const struct table_plan *plan, struct error *err)
{
	if (plan->settings->field_names == NAMES_AS_THEY_ARE) {
		return ST_OK;
	}
	for (uint32_t i = 1; i < plan->column_count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (same_piece(plan, &plan->columns[i], &plan->columns[j])) {
				return error_set(
				    err, ST_CONFIG,
				    "table %s: columns %s and %s have the same name "
				    "under field.name.adjustment.mode; use "
				    "avro_unicode or leave one out",
				    SHORT_NAME(plan->table->name),
				    SHORT_NAME(column_name(plan, j)),
				    SHORT_NAME(column_name(plan, i)));
			}
		}
	}
	return ST_OK;
}

/* What a transform adds has other names than columns. */
static enum status check_added(const struct table_plan *plan, struct error *err)
{
	const struct flat *flat = transforms_flat(plan->settings->transforms);
	const struct span key_end = {plan->route.key_end.bytes,
				     plan->route.key_end.len};
	struct buffer name;
	enum status status = ST_OK;

	buffer_init(&name);
	if (plan->table->is_context) {
		flat = NULL; /* its rows are no messages */
	}
	for (uint32_t i = 0; status == ST_OK && flat && i < plan->column_count; i++) {
		buffer_reset(&name);
		table_plan_add_name(plan, &name, plan->columns[i].index);
		if (flat_has_field(flat, (struct span){name.bytes, name.len})) {
			status =
			    error_set(err, ST_CONFIG,
				      "table %s: column %s has the name of a field "
				      "that transforms add; see add.fields and "
				      "add.fields.prefix, or leave it out",
				      SHORT_NAME(plan->table->name),
				      SHORT_NAME(column_name(plan, i)));
		}
	}
	for (uint32_t i = 0; status == ST_OK && key_end.len > 0 && i < plan->key_count;
	     i++) {
		const struct plan_column *key = &plan->keys[i];

		if (memmem(key_end.bytes, key_end.len,
			   plan->text.bytes + key->offset + 1, key->len - 1)) {
			status = error_set(
			    err, ST_CONFIG,
			    "table %s: key column %s has the name of the field that a "
			    "transform adds; see key.field.name",
			    SHORT_NAME(plan->table->name),
			    SHORT_NAME(plan->table->columns[key->index].name));
		}
	}
	status = status == ST_OK && !buffer_ok(&name) ? out_of_memory(err) : status;
	buffer_clear(&name);
	return status;
}

/* Where its messages go, and what that makes of their keys. */
static enum status set_route(struct table_plan *plan, struct span topic,
			     struct error *err)
{
	buffer_add(&plan->topic, topic.bytes, topic.len);
	if (plan->settings->audit_lines) {
		return ST_OK;
	}
	return transforms_route(plan->settings->transforms, topic, &plan->route, err);
}

enum status table_plan_open(const struct table *table,
			    const struct encoder_settings *settings, struct span topic,
			    struct table_plan **out, struct error *err)
{
	struct table_plan *plan = calloc(1, sizeof *plan);
	enum status status = ST_OK;

	if (!plan) {
		return out_of_memory(err);
	}
	plan->table = table;
	plan->settings = settings;
	/* One more than needed: an allocation of 0 bytes may be NULL. */
	plan->columns = calloc((size_t)table->column_count + 1, sizeof *plan->columns);
	plan->keys = calloc((size_t)table->column_count + 1, sizeof *plan->keys);
	if (plan->columns && plan->keys) {
		status = add_columns(plan, err);
		json_add_string(&plan->name, table->name, strlen(table->name));
		status = status == ST_OK ? set_route(plan, topic, err) : status;
	} else {
		plan->text.failed = true;
	}
	if (status == ST_OK) {
		status = buffer_ok(&plan->text) && buffer_ok(&plan->name) &&
				 buffer_ok(&plan->topic)
			     ? check_names(plan, err)
			     : out_of_memory(err);
	}
	status = status == ST_OK ? check_added(plan, err) : status;
	if (status != ST_OK) {
		table_plan_close(plan);
		return status;
	}
	*out = plan;
	return ST_OK;
}

void table_plan_close(struct table_plan *plan)
{
	if (!plan) {
		return;
	}
	buffer_clear(&plan->text);
	free(plan->columns);
	free(plan->keys);
	buffer_clear(&plan->topic);
	buffer_clear(&plan->name);
	buffer_clear(&plan->value_head);
	buffer_clear(&plan->key_head);
	buffer_clear(&plan->header_head);
	route_clear(&plan->route);
	buffer_clear(&plan->source);
	free(plan);
}

struct span table_plan_topic(const struct table_plan *plan)
{
	return plan->route.topic.len > 0 ? route_topic(&plan->route)
					 : table_plan_own_topic(plan);
}

struct span table_plan_own_topic(const struct table_plan *plan)
{
	return (struct span){plan->topic.bytes, plan->topic.len};
}

bool table_plan_is_routed(const struct table_plan *plan)
{
	return plan->route.is_other;
}

bool table_plan_is_keyless(const struct table_plan *plan)
{
	return plan->key_count == 0;
}

bool table_plan_has_own_key(const struct table_plan *plan)
{
	return plan->has_own_key;
}

/* ---- values that do not fit ---- */

static void describe_place(const struct table_plan *plan,
			   const struct plan_column *column,
			   const struct change *change, char *text, size_t size)
{
	const char *name = plan->table->columns[column->index].name;

	if (plan->table->without_rowid || change->has_no_rowid) {
		(void)snprintf(text, size, "table %s, column %s",
			       SHORT_NAME(plan->table->name), SHORT_NAME(name));
	} else {
		(void)snprintf(text, size, "table %s, column %s, rowid %" PRId64,
			       SHORT_NAME(plan->table->name), SHORT_NAME(name),
			       change->rowid);
	}
}

static enum status handle_misfit(const struct table_plan *plan,
				 struct plan_column *column,
				 const struct change *change, const struct value *value,
				 bool *skip, struct error *err)
{
	enum conversion_failure how = plan->settings->on_conversion_failure;
	const char *type = connect_type_name(column->type);
	char place[400];

	if (how != CONVERSION_WARN || column->misfits < MISFIT_WARNINGS ||
	    column->is_required) {
		describe_place(plan, column, change, place, sizeof place);
	}
	if (how == CONVERSION_FAIL || (how == CONVERSION_WARN && column->is_required)) {
		return error_set(
		    err, ST_CONVERT,
		    "%s: %s %s does not fit its type in the schema, %s%s; correct the "
		    "row, or set event.converting.failure.handling.mode=%s",
		    place, typed_class_name(value),
		    value->class == VALUE_NULL ? "" : "value", type,
		    column->is_required ? ", which may not be null" : "",
		    how == CONVERSION_FAIL && !column->is_required
			? "warn"
			: "skip to leave the event out");
	}
	*skip = how == CONVERSION_SKIP;
	if (column->misfits < MISFIT_WARNINGS) {
		column->misfits++;
		log_warn("%s: %s value does not fit its type in the schema, %s; %s%s",
			 place, typed_class_name(value), type,
			 *skip ? "the event is left out" : "it is null in the event",
			 column->misfits == MISFIT_WARNINGS
			     ? "; no more is said of this column"
			     : "");
	}
	return ST_OK;
}

static enum status check_values(const struct table_plan *plan,
				struct plan_column *columns, uint32_t count,
				const struct change *change, const struct value *values,
				bool *skip, struct error *err)
{
	for (uint32_t i = 0; i < count && !*skip; i++) {
		const struct value *value = &values[columns[i].index];
		bool fits =
		    value->class == VALUE_NULL
			? !columns[i].is_required
			: typed_fits(value, columns[i].type, plan->table->encoding);

		if (!fits && handle_misfit(plan, &columns[i], change, value, skip,
					   err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static bool key_changes(const struct table_plan *plan, const struct change *change)
{
	for (uint32_t i = 0; plan->has_own_key && i < plan->key_count; i++) {
		uint32_t index = plan->keys[i].index;

		if (!value_same(&change->before[index], &change->after[index])) {
			return true;
		}
	}
	return false;
}

static bool table_is_known_by_rowid(const struct table *table)
{
	return table->key_count == 0 || table->columns[table->key_columns[0]].is_rowid;
}

bool table_plan_splits(const struct table_plan *plan, const struct change *change,
		       struct change parts[2])
{
	if (change->op != CHANGE_UPDATE || !key_changes(plan, change)) {
		return false;
	}
	parts[0] = parts[1] = *change;
	parts[0].op = CHANGE_DELETE;
	parts[0].after = NULL;
	parts[0].other_key_row = change->after;
	/* An update may move a row, but not where the rowid is what it is known by. */
	parts[0].has_no_rowid =
	    change->has_no_rowid || !table_is_known_by_rowid(plan->table);
	parts[1].op = CHANGE_CREATE;
	parts[1].before = NULL;
	parts[1].other_key_row = change->before;
	return true;
}

static bool has_key(const struct table_plan *plan, const struct value *values)
{
	for (uint32_t i = 0; i < plan->key_count; i++) {
		if (values[plan->keys[i].index].class == VALUE_NULL) {
			return false;
		}
	}
	return plan->key_count > 0;
}

/* A row of the change, or the one whose key stands in a header only. */
static enum status check_row(struct table_plan *plan, const struct change *change,
			     const struct value *row, bool is_key_only, bool *skip,
			     struct error *err)
{
	if (!row || *skip) {
		return ST_OK;
	}
	if (has_key(plan, row) && check_values(plan, plan->keys, plan->key_count,
					       change, row, skip, err) != ST_OK) {
		return err->status;
	}
	return is_key_only ? ST_OK
			   : check_values(plan, plan->columns, plan->column_count,
					  change, row, skip, err);
}

enum status table_plan_check(struct table_plan *plan, const struct change *change,
			     bool *skip, struct error *err)
{
	enum status status;

	*skip = false;
	status = check_row(plan, change, change->before, false, skip, err);
	if (status == ST_OK) {
		status = check_row(plan, change, change->after, false, skip, err);
	}
	if (status == ST_OK) {
		status =
		    check_row(plan, change, change->other_key_row, true, skip, err);
	}
	return status;
}

/* ---- rows and keys ---- */

/* Most names are short: one copy of a constant size, JSON_OVERRUN bytes are allowed. */
static inline char *put_piece(char *p, const char *text,
			      const struct plan_column *piece)
{
	if (piece->len <= JSON_OVERRUN) {
		memcpy(p, text + piece->offset, JSON_OVERRUN);
	} else {
		memcpy(p, text + piece->offset, piece->len);
	}
	return p + piece->len;
}

/* Names and values; '{' and '}' apart. Inline, as it is most of the work. */
static inline char *put_columns(const struct table_plan *plan,
				const struct plan_column *columns, uint32_t count,
				struct buffer *b, char *p, const struct value *values,
				size_t slack)
{
	enum text_encoding encoding = plan->table->encoding;
	enum binary_mode mode = plan->settings->binary_mode;
	uint32_t i;

	for (i = 0; p && i < count; i++) {
		p = put_piece(p, plan->text.bytes, &columns[i]);
		p = json_put_value(b, p, &values[columns[i].index], encoding, mode,
				   slack);
	}
	return p;
}

/* The same as the schema has them. */
static char *put_typed_columns(const struct table_plan *plan,
			       const struct plan_column *columns, uint32_t count,
			       struct buffer *b, char *p, const struct value *values,
			       size_t slack)
{
	enum text_encoding encoding = plan->table->encoding;
	enum binary_mode mode = plan->settings->binary_mode;
	uint32_t i;

	for (i = 0; p && i < count; i++) {
		p = put_piece(p, plan->text.bytes, &columns[i]);
		p = typed_put_value(b, p, &values[columns[i].index], columns[i].type,
				    encoding, mode, slack);
	}
	return p;
}

/* A value of a column with a mask. */
static char *put_masked(const struct table_plan *plan, const struct plan_column *column,
			struct buffer *b, char *p, const struct value *value,
			size_t slack)
{
	enum text_encoding encoding = plan->table->encoding;
	enum binary_mode mode = plan->settings->binary_mode;
	struct value left;

	if (column_mask_kind(column->mask) != MASK_TRUNCATE) {
		return column_mask_put(column->mask, b, p, value, encoding,
				       column->hash_limit, slack);
	}
	left = column_mask_cut(column->mask, value, encoding);
	return plan->settings->schemas
		   ? typed_put_value(b, p, &left, column->type, encoding, mode, slack)
		   : json_put_value(b, p, &left, encoding, mode, slack);
}

/* Any value of a row. */
static char *put_one(const struct table_plan *plan, const struct plan_column *column,
		     bool typed, struct buffer *b, char *p, const struct value *value,
		     size_t slack)
{
	if (column->mask) {
		return put_masked(plan, column, b, p, value, slack);
	}
	return typed ? typed_put_value(b, p, value, column->type, plan->table->encoding,
				       plan->settings->binary_mode, slack)
		     : json_put_value(b, p, value, plan->table->encoding,
				      plan->settings->binary_mode, slack);
}

/* Where there is a mask, or types do not count. */
static char *put_each(const struct table_plan *plan, bool typed, struct buffer *b,
		      char *p, const struct value *values, size_t slack)
{
	for (uint32_t i = 0; p && i < plan->column_count; i++) {
		const struct plan_column *column = &plan->columns[i];

		p = put_piece(p, plan->text.bytes, column);
		p = put_one(plan, column, typed, b, p, &values[column->index], slack);
	}
	return p;
}

static char *end_row(const struct table_plan *plan, char *p)
{
	if (plan->column_count == 0) {
		*p++ = '{';
	}
	*p++ = '}';
	return p;
}

char *table_plan_put_row(const struct table_plan *plan, struct buffer *b, char *p,
			 const struct value *values, size_t slack)
{
	if (plan->has_masks) {
		p = put_each(plan, plan->settings->schemas, b, p, values, slack);
	} else if (plan->settings->schemas) {
		p = put_typed_columns(plan, plan->columns, plan->column_count, b, p,
				      values, slack);
	} else {
		p = put_columns(plan, plan->columns, plan->column_count, b, p, values,
				slack);
	}
	return p ? end_row(plan, p) : NULL;
}

char *table_plan_put_plain_row(const struct table_plan *plan, struct buffer *b, char *p,
			       const struct value *values, size_t slack)
{
	p = put_each(plan, false, b, p, values, slack);
	return p ? end_row(plan, p) : NULL;
}

/* "a":[1,2] of a column whose values differ. */
static char *put_difference(const struct table_plan *plan,
			    const struct plan_column *column, struct buffer *b, char *p,
			    const struct change *change, char first, size_t slack)
{
	char *begin = p;

	p = put_piece(p, plan->text.bytes, column);
	*begin = first; /* the piece has that of whole rows */
	*p++ = '[';
	p = put_one(plan, column, false, b, p, &change->before[column->index], slack);
	if (!p) {
		return NULL;
	}
	*p++ = ',';
	p = put_one(plan, column, false, b, p, &change->after[column->index], slack);
	if (p) {
		*p++ = ']';
	}
	return p;
}

char *table_plan_put_changed(const struct table_plan *plan, struct buffer *b, char *p,
			     const struct change *change, size_t slack)
{
	char first = '{';

	for (uint32_t i = 0; i < plan->column_count; i++) {
		const struct plan_column *column = &plan->columns[i];

		if (value_same(&change->before[column->index],
			       &change->after[column->index])) {
			continue;
		}
		p = put_difference(plan, column, b, p, change, first, slack);
		if (!p) {
			return NULL;
		}
		first = ',';
	}
	if (first == '{') {
		*p++ = '{';
	}
	*p++ = '}';
	return p;
}

char *table_plan_put_key(const struct table_plan *plan, struct buffer *b, char *p,
			 const struct value *values, size_t slack)
{
	p = put_columns(plan, plan->keys, plan->key_count, b, p, values, slack);
	if (p) {
		*p++ = '}';
	}
	return p;
}

bool table_plan_has_key(const struct table_plan *plan, const struct value *values)
{
	return has_key(plan, values);
}

bool table_plan_build_key(const struct table_plan *plan, enum key_use use,
			  struct buffer *b, const struct value *values,
			  struct span *key)
{
	const struct buffer *head =
	    use == KEY_OF_MESSAGE ? &plan->key_head : &plan->header_head;
	const struct buffer *end = &plan->route.key_end;
	size_t end_len = use == KEY_OF_MESSAGE ? end->len : 0;
	size_t slack = plan->key_room + end_len;
	char *p;

	*key = (struct span){NULL, 0};
	if (!has_key(plan, values)) {
		return true;
	}
	buffer_reset(b);
	if (!buffer_reserve(b, head->len + slack)) {
		return false;
	}
	p = b->bytes;
	if (plan->settings->schemas) {
		memcpy(p, head->bytes, head->len);
		p = put_typed_columns(plan, plan->keys, plan->key_count, b,
				      p + head->len, values, slack);
	} else {
		p = put_columns(plan, plan->keys, plan->key_count, b, p, values, slack);
	}
	if (!p) {
		return false;
	}
	if (end_len > 0) {
		memcpy(p, end->bytes, end_len);
		p += end_len;
	}
	*p++ = '}';
	if (plan->settings->schemas) {
		*p++ = '}';
	}
	b->len = (size_t)(p - b->bytes);
	*key = (struct span){b->bytes, b->len};
	return true;
}

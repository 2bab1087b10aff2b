/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/row_key.h"

#include <sqlite3.h>

#include "btree/record.h"
#include "schemas/number_json.h"
#include "schemas/text_convert.h"
#include "src/base/utf8.h"

void row_key_init(struct row_key *key)
{
	*key = (struct row_key){0};
	buffer_init(&key->record);
}

void row_key_clear(struct row_key *key)
{
	buffer_clear(&key->record);
	row_key_init(key);
}

bool row_key_copy(struct row_key *to, const struct row_key *from)
{
	if (to == from) {
		return true;
	}
	buffer_reset(&to->record);
	if (from->is_set && !from->is_rowid) {
		buffer_add_buffer(&to->record, &from->record);
	}
	to->is_set = from->is_set && buffer_ok(&to->record);
	to->is_rowid = from->is_rowid;
	to->rowid = from->rowid;
	return buffer_ok(&to->record);
}

/* ---- as text ---- */

#define SHOWN_VALUES 8
#define SHOWN_BYTES  40 /* of a text */
#define SHOWN_BLOB   16 /* of a BLOB, two digits each */

#define ELLIPSIS "\xE2\x80\xA6"

/* What is not shown of a long text need not be valid, and is not converted. */
static void add_text(const struct value *value, enum text_encoding encoding,
		     struct buffer *out)
{
	struct value text = *value;
	char shown[SHOWN_BYTES + 1];
	struct buffer converted;
	size_t len;

	buffer_init(&converted);
	if (text.len > 2 * SHOWN_BYTES + 4) {
		text.len = 2 * SHOWN_BYTES + 4;
	}
	if (encoding != TEXT_UTF8 &&
	    !text_convert(&text, 1, encoding, TEXT_UTF8, &converted)) {
		out->failed = true;
		text.len = 0;
	}
	len = text.len <= SHOWN_BYTES
		  ? text.len
		  : utf8_cut((const char *)text.bytes, text.len, SHOWN_BYTES);
	for (size_t i = 0; i < len; i++) {
		shown[i] = text.bytes[i] ? (char)text.bytes[i] : '?';
	}
	shown[len] = '\0';
	utf8_make_safe(shown);
	buffer_add_char(out, '\'');
	for (const char *p = shown; *p != '\0'; p++) {
		buffer_add(out, "''", *p == '\'' ? 2 : 0);
		buffer_add(out, p, *p != '\'');
	}
	buffer_add_str(out, len < text.len ? ELLIPSIS "'" : "'");
	buffer_clear(&converted);
}

static void add_blob(const struct value *value, struct buffer *out)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t len = value->len < SHOWN_BLOB ? value->len : SHOWN_BLOB;

	buffer_add_str(out, "x'");
	for (uint32_t i = 0; i < len; i++) {
		buffer_add_char(out, digits[value->bytes[i] >> 4]);
		buffer_add_char(out, digits[value->bytes[i] & 15]);
	}
	buffer_add_str(out, len < value->len ? ELLIPSIS "'" : "'");
}

static void add_value(const struct value *value, enum text_encoding encoding,
		      struct buffer *out)
{
	switch (value->class) {
	case VALUE_INTEGER:
		buffer_add_i64(out, value->integer);
		break;
	case VALUE_REAL:
		if (buffer_reserve(out, JSON_NUMBER_MAX)) {
			char *end = json_put_double(out->bytes + out->len, value->real);

			out->len = (size_t)(end - out->bytes);
		}
		break;
	case VALUE_TEXT:
		add_text(value, encoding, out);
		break;
	case VALUE_BLOB:
		add_blob(value, out);
		break;
	case VALUE_NULL:
	default:
		buffer_add_str(out, "NULL");
		break;
	}
}

static void add_record(const struct buffer *record, enum text_encoding encoding,
		       struct buffer *out)
{
	struct value values[SHOWN_VALUES + 1];
	struct error err;
	uint32_t count;

	if (record_read((const uint8_t *)record->bytes, record->len, values,
			SHOWN_VALUES + 1, &count, &err) != ST_OK) {
		buffer_add_char(out, '?');
		return;
	}
	for (uint32_t i = 0; i < count && i < SHOWN_VALUES; i++) {
		buffer_add_str(out, i > 0 ? ", " : "");
		add_value(&values[i], encoding, out);
	}
	buffer_add_str(out, count > SHOWN_VALUES ? ", " ELLIPSIS : "");
}

void row_key_text(const struct row_key *key, enum text_encoding encoding,
		  struct buffer *out)
{
	buffer_add_char(out, '[');
	if (key->is_set && key->is_rowid) {
		buffer_add_i64(out, key->rowid);
	} else if (key->is_set) {
		add_record(&key->record, encoding, out);
	}
	buffer_add_char(out, ']');
}

/* ---- keys and tables ---- */

bool row_key_fits(const struct row_key *key, const struct table *table)
{
	return !key->is_set || key->is_rowid == !table->without_rowid;
}

enum status row_key_values(const struct row_key *key, const struct table *table,
			   struct value *values, struct error *err)
{
	uint32_t count;

	if (row_key_fits(key, table) &&
	    (key->is_rowid ||
	     (record_read((const uint8_t *)key->record.bytes, key->record.len, values,
			  table->tree_key_count + 1, &count, err) == ST_OK &&
	      count == table->tree_key_count))) {
		return ST_OK;
	}
	return error_set(err, ST_LOST,
			 "table %s: its key is another one than when its rows were "
			 "begun to be read",
			 SHORT_NAME(table->name));
}

bool row_key_order_is_known(const struct table *table)
{
	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		enum collation collation = table->tree_key[i].collation;

		if (collation == COLLATION_OTHER ||
		    (collation != COLLATION_BINARY && table->encoding != TEXT_UTF8)) {
			return false;
		}
	}
	return !table->without_rowid || table->tree_key_count > 0;
}

/* ---- order ---- */

/* An integer against a real, exactly: sqlite3IntFloatCompare of SQLite. */
static int compare_integer_real(int64_t i, double r)
{
	int64_t whole;
	double rest;

	if (r < -9223372036854775808.0) {
		return 1;
	}
	if (r >= 9223372036854775808.0) {
		return -1;
	}
	whole = (int64_t)r; /* towards 0 */
	if (i != whole) {
		return i < whole ? -1 : 1;
	}
	rest = r - (double)whole;
	return (rest < 0) - (rest > 0);
}

static int compare_numbers(const struct value *a, const struct value *b)
{
	if (a->class == VALUE_INTEGER && b->class == VALUE_INTEGER) {
		return (a->integer > b->integer) - (a->integer < b->integer);
	}
	if (a->class == VALUE_INTEGER) {
		return compare_integer_real(a->integer, b->real);
	}
	if (b->class == VALUE_INTEGER) {
		return -compare_integer_real(b->integer, a->real);
	}
	return (a->real > b->real) - (a->real < b->real);
}

static int compare_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b,
			 uint32_t b_len)
{
	uint32_t least = a_len < b_len ? a_len : b_len;
	int order = least == 0 ? 0 : memcmp(a, b, least);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static uint32_t without_spaces(const struct value *text)
{
	uint32_t len = text->len;

	while (len > 0 && text->bytes[len - 1] == ' ') {
		len--;
	}
	return len;
}

/* NOCASE as SQLite has it: sqlite3_strnicmp, which looks no further than a NUL, then
 * the lengths. */
static int compare_texts(const struct value *a, const struct value *b,
			 enum collation collation)
{
	uint32_t least = a->len < b->len ? a->len : b->len;
	int order;

	switch (collation) {
	case COLLATION_NOCASE:
		order = sqlite3_strnicmp((const char *)a->bytes, (const char *)b->bytes,
					 (int)least);
		return order ? order : (a->len > b->len) - (a->len < b->len);
	case COLLATION_RTRIM:
		return compare_bytes(a->bytes, without_spaces(a), b->bytes,
				     without_spaces(b));
	case COLLATION_BINARY:
	case COLLATION_OTHER:
	default:
		return compare_bytes(a->bytes, a->len, b->bytes, b->len);
	}
}

/* NULL, numbers, TEXT, BLOB. */
static int rank_of(const struct value *value)
{
	return value->class == VALUE_REAL ? VALUE_INTEGER : (int)value->class;
}

static int compare_values(const struct value *a, const struct value *b,
			  enum collation collation)
{
	int rank = rank_of(a);

	if (rank != rank_of(b)) {
		return rank < rank_of(b) ? -1 : 1;
	}
	switch (rank) {
	case VALUE_INTEGER:
		return compare_numbers(a, b);
	case VALUE_TEXT:
		return compare_texts(a, b, collation);
	case VALUE_BLOB:
		return compare_bytes(a->bytes, a->len, b->bytes, b->len);
	default:
		return 0;
	}
}

int row_key_order(const struct table *table, const struct value *a,
		  const struct value *b)
{
	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		const struct key_order *place = &table->tree_key[i];
		int order = compare_values(&a[i], &b[i], place->collation);

		if (order) {
			return place->is_descending ? (order < 0 ? 1 : -1) : order;
		}
	}
	return 0;
}

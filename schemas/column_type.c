/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/column_type.h"

#include <string.h>
#include <strings.h>

#define NUMBER_LIMIT 100000000 /* lengths and scales beyond it are not told */

/* The number at `*p`, which goes behind it; -1 if there is none. */
static int read_number(const char **p)
{
	int n = -1;

	*p += strspn(*p, " \t\r\n");
	while (**p >= '0' && **p <= '9') {
		n = n < 0 ? 0 : n;
		n = n < NUMBER_LIMIT ? 10 * n + (**p - '0') : NUMBER_LIMIT;
		(*p)++;
	}
	*p += strspn(*p, " \t\r\n");
	return n < NUMBER_LIMIT ? n : -1;
}

struct declared_type declared_type_read(const char *text)
{
	struct declared_type type = {
	    .name = text, .name_len = strcspn(text, "("), .length = -1, .scale = -1};
	const char *p = text + type.name_len;

	if (*p == '(') {
		p++;
		type.length = read_number(&p);
		if (*p == ',') {
			p++;
			type.scale = read_number(&p);
		}
	}
	while (type.name_len > 0 && strchr(" \t\r\n", text[type.name_len - 1])) {
		type.name_len--;
	}
	return type;
}

/* The first word of a declared type. */
static size_t word_len(const char *type)
{
	return strcspn(type, " \t\r\n(");
}

static bool is_word(const char *type, const char *word)
{
	size_t len = strlen(word);

	return word_len(type) == len && strncasecmp(type, word, len) == 0;
}

static bool begins_with(const char *type, const char *beginning)
{
	return strncasecmp(type, beginning, strlen(beginning)) == 0;
}

static enum connect_type declared_numeric(const char *type, enum decimal_mode decimals)
{
	static const char *const decimal_names[] = {"numeric", "decimal", "number",
						    "money"};

	if (is_word(type, "bool") || is_word(type, "boolean")) {
		return CONNECT_BOOLEAN;
	}
	if (begins_with(type, "date") || begins_with(type, "time")) {
		return CONNECT_STRING;
	}
	for (size_t i = 0; i < sizeof decimal_names / sizeof *decimal_names; i++) {
		if (is_word(type, decimal_names[i])) {
			return decimals == DECIMAL_STRING ? CONNECT_STRING
							  : CONNECT_DOUBLE;
		}
	}
	return CONNECT_STRING;
}

enum connect_type column_type(const struct table *table, const struct column *column,
			      enum type_mapping mapping, enum decimal_mode decimals)
{
	switch (column->affinity) {
	case AFFINITY_INTEGER:
		return CONNECT_INT64;
	case AFFINITY_REAL:
		return CONNECT_DOUBLE;
	case AFFINITY_TEXT:
		return CONNECT_STRING;
	case AFFINITY_NUMERIC:
		return mapping == TYPES_AFFINITY
			   ? CONNECT_DOUBLE
			   : declared_numeric(column->declared_type, decimals);
	case AFFINITY_BLOB:
		break;
	}
	if (table->strict && is_word(column->declared_type, "any")) {
		return CONNECT_STRING;
	}
	return mapping == TYPES_AFFINITY || column->declared_type[0] ? CONNECT_BYTES
								     : CONNECT_STRING;
}

bool column_is_required(const struct table *table, const struct column *column)
{
	if (column->generated == GENERATED_VIRTUAL) {
		return false; /* null where it cannot be computed here */
	}
	if (column->key_position > 0) {
		return column->is_rowid || table->without_rowid || column->not_null;
	}
	return table->strict && column->not_null;
}

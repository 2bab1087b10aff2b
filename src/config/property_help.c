/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/property_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/help_text.h"
#include "src/config/property_table.h"

#define TEXT_COLUMN 32 /* of --help */

static const char *name_of(const struct property *property)
{
	return property->shown_name ? property->shown_name : property->name;
}

/* The default that people are told of; NULL: none. */
static const char *fallback_of(const struct property *property)
{
	return property->shown_fallback ? property->shown_fallback : property->fallback;
}

/* ---- --help ---- */

static void add_line(struct buffer *out, const struct property *property)
{
	const char *name = name_of(property);
	size_t column = 2 + help_columns(name, strlen(name));
	struct buffer text;

	buffer_add_str(out, "  ");
	buffer_add_str(out, name);
	if (column >= TEXT_COLUMN) {
		buffer_add_char(out, '\n');
		column = 0;
	}
	buffer_init(&text);
	buffer_add_str(&text, property->text);
	if (fallback_of(property)) {
		buffer_add_str(&text, " (");
		buffer_add_str(&text, fallback_of(property));
		buffer_add_char(&text, ')');
	}
	buffer_add_char(&text, '\0');
	if (buffer_ok(&text)) {
		help_add_wrapped(out, text.bytes, column, TEXT_COLUMN);
	}
	out->failed |= !buffer_ok(&text);
	buffer_clear(&text);
}

void property_help_add(struct buffer *out)
{
	for (size_t i = 0; i < property_count(); i++) {
		if (property_at(i)->text) {
			add_line(out, property_at(i));
		}
	}
}

/* ---- docs/options.md ---- */

static void add_code(struct buffer *out, const char *text)
{
	const char *between = "";

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ",");

		buffer_add_str(out, between);
		buffer_add_char(out, '`');
		buffer_add(out, p, len);
		buffer_add_char(out, '`');
		p += len;
		p += strspn(p, ", ");
		between = ", ";
	}
}

void property_help_add_markdown(struct buffer *out)
{
	buffer_add_str(out, "| property | default | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);

		if (!p->text) {
			continue;
		}
		buffer_add_str(out, "| ");
		add_code(out, name_of(p));
		buffer_add_str(out, " | ");
		if (p->shown_fallback) {
			buffer_add_str(out, p->shown_fallback);
		} else if (p->fallback) {
			buffer_add_char(out, '`');
			buffer_add_str(out, p->fallback);
			buffer_add_char(out, '`');
		}
		buffer_add_str(out, " | ");
		buffer_add_str(out, p->text);
		if (p->more) {
			buffer_add_str(out, ". ");
			buffer_add_str(out, p->more);
		}
		if (p->page) {
			help_add_link(out, p->page);
		}
		buffer_add_str(out, " |\n");
	}
}

/* ---- the man page ---- */

static int by_name(const void *a, const void *b)
{
	const struct property *const *one = a;
	const struct property *const *other = b;

	return strcmp(name_of(*one), name_of(*other));
}

static void add_item(struct buffer *out, const struct property *property)
{
	buffer_add_str(out, ".It Cm ");
	buffer_add_str(out, name_of(property));
	buffer_add_char(out, '\n');
	help_add_sentence(out, property->text);
	if (property->more) {
		help_add_sentence(out, property->more);
	}
	if (fallback_of(property)) {
		bool is_bold = false;

		buffer_add_str(out, "Default: ");
		if (!property->shown_fallback) {
			help_add_roff(out, "`", 1, &is_bold);
		}
		help_add_roff(out, fallback_of(property), strlen(fallback_of(property)),
			      &is_bold);
		if (is_bold) {
			help_add_roff(out, "`", 1, &is_bold);
		}
		buffer_add_str(out, ".\n");
	}
}

void property_help_add_mdoc(struct buffer *out)
{
	const struct property **listed =
	    calloc(property_count(), sizeof(const struct property *));
	size_t count = 0;

	if (!listed) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < property_count(); i++) {
		if (property_at(i)->text) {
			listed[count++] = property_at(i);
		}
	}
	qsort(listed, count, sizeof *listed, by_name);
	for (size_t i = 0; i < count; i++) {
		add_item(out, listed[i]);
	}
	free(listed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/helpers/manual.c -- what documents say of properties, options and commands,
 * from their tables:
 *
 *     manual properties-markdown     the rows of the table of docs/options.md
 *     manual options-markdown        those of its other table
 *     manual properties              items of a man page (mdoc)
 *     manual synopsis NAME...        how these commands are called; "run": without one
 *     manual options NAME...         items, of the options of these
 *     manual brief                   all commands, without their options
 *     manual commands NAME=PAGE...   items: what commands do, and where more is said
 *     manual table                   for tests: forms of commands, and options
 *
 * tests/tools/manual.py puts them where they belong, or compares.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sinks/sink_table.h"
#include "src/command_table.h"
#include "src/config/help_text.h"
#include "src/config/property_help.h"
#include "src/option_help.h"

#define NAME_SIZE 64

/* ---- words of a synopsis, as mdoc has them ---- */

static bool is_typed(const char *word)
{
	return islower((unsigned char)word[0]) &&
	       !strpbrk(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static void add_lower(struct buffer *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		buffer_add_char(out, (char)tolower((unsigned char)text[i]));
	}
}

/* "DIR", "value|record", "KEY=VALUE". */
static void add_argument(struct buffer *out, const char *text)
{
	bool is_next = false;

	while (*text) {
		size_t len = strcspn(text, "|=");

		if (!is_next || !is_typed(text)) {
			buffer_add_str(out, is_typed(text) ? "Cm " : "Ar ");
		}
		add_lower(out, text, len);
		text += len;
		is_next = *text == '|';
		if (*text) {
			buffer_add_str(out, is_next ? " | " : " Ns = Ns ");
			text++;
		}
	}
}

static void add_option_words(struct buffer *out, const struct option_help *option)
{
	buffer_add_str(out, option->name[1] ? "Fl -" : "Fl ");
	buffer_add_str(out, option->name);
	if (option->argument) {
		buffer_add_str(out, is_typed(option->argument) ? " Ns = Ns " : " ");
		add_argument(out, option->argument);
	}
}

/* A blank-separated word of a form. */
static void add_form_word(struct buffer *out, const char *text, size_t len)
{
	const char *bar = memchr(text, '|', len);

	if (bar) {
		add_form_word(out, text, (size_t)(bar - text));
		buffer_add_str(out, " | ");
		add_form_word(out, bar + 1, len - (size_t)(bar + 1 - text));
	} else if (text[0] == '[') {
		buffer_add_str(out, "Op Ar ");
		add_lower(out, text + 1, len - 2);
	} else if (text[0] == '-') {
		buffer_add_str(out, "Fl ");
		buffer_add(out, text + 1, len - 1);
	} else {
		buffer_add_str(out, is_typed(text) ? "Cm " : "Ar ");
		add_lower(out, text, len);
	}
}

static void add_form(struct buffer *out, const struct command *command,
		     const char *form)
{
	buffer_add_str(out, ".Nm rowtail\n.Cm ");
	buffer_add_str(out, command->name);
	while (*form) {
		size_t len = strcspn(form, " ");

		buffer_add_char(out, ' ');
		add_form_word(out, form, len);
		form += len;
		form += strspn(form, " ");
	}
	buffer_add_char(out, '\n');
}

/* The name that options of a form go by: "status", "audit verify". */
static void name_form(char name[NAME_SIZE], const struct command *command,
		      const char *form)
{
	(void)snprintf(name, NAME_SIZE, "%s%s%.*s", command->name,
		       islower((unsigned char)form[0]) ? " " : "",
		       islower((unsigned char)form[0]) ? (int)strcspn(form, " ") : 0,
		       form);
}

/* ---- synopses ---- */

static void add_choices(struct buffer *out, const char *name)
{
	const struct option_help *option;

	for (size_t i = 0; (option = option_help_at(i)) != NULL; i++) {
		if (name ? !option_help_is_of(option, name) || option->is_in_form
			 : option->of || option->is_alone) {
			continue;
		}
		buffer_add_str(out, option->is_needed ? "." : ".Op ");
		add_option_words(out, option);
		buffer_add_str(out, option->may_repeat ? " ...\n" : "\n");
	}
}

static void add_run_synopsis(struct buffer *out)
{
	buffer_add_str(out, ".Nm rowtail\n.Ar database\n");
	add_choices(out, NULL);
	buffer_add_str(out, ".Nm rowtail\n.Fl -config Ar file\n.Op Ar option ...\n");
}

static void add_synopsis(struct buffer *out, const struct command *command)
{
	char name[NAME_SIZE];

	for (const char *const *form = command->forms; form && *form; form++) {
		name_form(name, command, *form);
		add_form(out, command, *form);
		add_choices(out, name);
		if (command->takes_archive || command->makes_events ||
		    command->takes_run) {
			buffer_add_str(out, ".Op Ar option ...\n");
		}
	}
}

static void add_brief(struct buffer *out)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		for (const char *const *form = command->forms; form && *form; form++) {
			add_form(out, command, *form);
			buffer_add_str(out, ".Op Ar option ...\n");
		}
	}
	buffer_add_str(out, ".Nm rowtail\n.Fl -help | -version\n");
}

/* ---- items ---- */

/* Is an option of one of the commands, or of one of their actions? */
static bool is_of_any(const struct option_help *option, char **names, int count)
{
	char name[NAME_SIZE];

	for (int n = 0; n < count; n++) {
		const struct command *command = command_table_find(names[n]);

		if (!command && !option->of) {
			return true;
		}
		for (const char *const *form = command ? command->forms : NULL;
		     form && *form; form++) {
			name_form(name, command, *form);
			if (option_help_is_of(option, name)) {
				return true;
			}
		}
	}
	return false;
}

static void add_sentence_of(struct buffer *out, const struct option_help *option,
			    bool says_of)
{
	struct buffer text;

	buffer_init(&text);
	if (says_of && option->of) {
		buffer_add_str(&text, "of ");
		option_help_add_of(&text, option);
		buffer_add_str(&text, ": ");
	}
	buffer_add_str(&text, option->text);
	buffer_add_char(&text, '\0');
	if (buffer_ok(&text)) {
		help_add_sentence(out, text.bytes);
	}
	out->failed |= !buffer_ok(&text);
	buffer_clear(&text);
}

static void add_option_items(struct buffer *out, char **names, int count)
{
	const struct option_help *option;
	const struct command *first = command_table_find(names[0]);
	bool is_one = count == 1 && first && first->forms && !first->forms[1];

	for (size_t i = 0; (option = option_help_at(i)) != NULL; i++) {
		if (!is_of_any(option, names, count)) {
			continue;
		}
		buffer_add_str(out, ".It ");
		buffer_add_str(out, strcmp(option->name, "help") == 0 ? "Fl h , " : "");
		add_option_words(out, option);
		buffer_add_char(out, '\n');
		add_sentence_of(out, option, !is_one);
		if (option->may_repeat) {
			help_add_sentence(out, "may be repeated");
		}
		if (option->more) {
			help_add_sentence(out, option->more);
		}
	}
}

/* `pages`: NAME=PAGE. */
static void add_command_items(struct buffer *out, char **pages, int count)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		size_t len = strlen(command->name);
		struct buffer text;

		buffer_init(&text);
		for (const char *p = command->help; *p; p++) {
			if (*p != '\n' || p[1]) {
				buffer_add_char(&text, *p == '\n' ? ' ' : *p);
			}
		}
		buffer_add_char(&text, '\0');
		buffer_add_str(out, ".It Cm ");
		buffer_add_str(out, command->name);
		buffer_add_char(out, '\n');
		if (buffer_ok(&text)) {
			help_add_sentence(out, text.bytes);
		}
		out->failed |= !buffer_ok(&text);
		buffer_clear(&text);
		for (int n = 0; n < count; n++) {
			if (strncmp(pages[n], command->name, len) == 0 &&
			    pages[n][len] == '=') {
				buffer_add_str(out, "See\n.Xr ");
				buffer_add_str(out, pages[n] + len + 1);
				buffer_add_str(out, " 1 .\n");
			}
		}
	}
}

/* ---- docs/options.md ---- */

static void add_markdown(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		buffer_add_str(out, *text == '|' ? "\\" : "");
		buffer_add_char(out, *text);
	}
}

static void add_markdown_row(struct buffer *out, const struct option_help *option)
{
	struct buffer name;

	buffer_init(&name);
	option_help_add_name(&name, option);
	buffer_add_char(&name, '\0');
	buffer_add_str(out, "| `");
	add_markdown(out, buffer_ok(&name) ? name.bytes : "");
	out->failed |= !buffer_ok(&name);
	buffer_clear(&name);
	buffer_add_str(out, "` | ");
	if (option->of) {
		buffer_add_str(out, "of ");
		option_help_add_of(out, option);
		buffer_add_str(out, ": ");
	}
	add_markdown(out, option->text);
	buffer_add_str(out, option->may_repeat ? "; may be repeated" : "");
	if (option->page) {
		help_add_link(out, option->page);
	}
	buffer_add_str(out, " |\n");
}

static void add_option_rows(struct buffer *out)
{
	const struct option_help *option;
	const struct sink_kind *kind;

	buffer_add_str(out, "| option | meaning |\n|---|---|\n");
	for (size_t i = 0; (option = option_help_at(i)) != NULL; i++) {
		add_markdown_row(out, option);
	}
	buffer_add_str(out, "\n| OUTPUT | meaning |\n|---|---|\n");
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		buffer_add_str(out, "| `");
		buffer_add_str(out, kind->scheme);
		buffer_add_str(out, kind->target ? kind->target : "");
		buffer_add_str(out, "` | ");
		for (const char *p = kind->help; *p; p++) {
			if (*p != '\n' || p[1]) {
				buffer_add_char(out, *p == '\n' ? ' ' : *p);
			}
		}
		buffer_add_str(out, " |\n");
	}
}

/* ---- for tests ---- */

static void add_table(struct buffer *out)
{
	const struct command *command;
	const struct option_help *option;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		for (const char *const *form = command->forms; form && *form; form++) {
			char name[NAME_SIZE];

			name_form(name, command, *form);
			buffer_add_str(out, "form\t");
			buffer_add_str(out, name);
			buffer_add_char(out, '\t');
			buffer_add_str(out, command->name);
			buffer_add_char(out, ' ');
			buffer_add_str(out, *form);
			buffer_add_char(out, '\n');
		}
		if (!command->forms) {
			buffer_add_str(out, "form\t");
			buffer_add_str(out, command->name);
			buffer_add_str(out, "\t\n");
		}
	}
	for (size_t i = 0; (option = option_help_at(i)) != NULL; i++) {
		buffer_add_str(out, "option\t");
		buffer_add_str(out, option->name);
		buffer_add_char(out, '\t');
		buffer_add_str(out, option->argument ? option->argument : "");
		buffer_add_char(out, '\t');
		buffer_add_str(out, option->of ? option->of : "");
		buffer_add_str(out, option->is_needed    ? "\tneeded\n"
				    : option->is_in_form ? "\tform\n"
							 : "\t\n");
	}
}

static bool add(struct buffer *out, const char *what, char **names, int count)
{
	if (strcmp(what, "properties-markdown") == 0) {
		property_help_add_markdown(out);
	} else if (strcmp(what, "options-markdown") == 0) {
		add_option_rows(out);
	} else if (strcmp(what, "properties") == 0) {
		property_help_add_mdoc(out);
	} else if (strcmp(what, "brief") == 0) {
		add_brief(out);
	} else if (strcmp(what, "commands") == 0) {
		add_command_items(out, names, count);
	} else if (strcmp(what, "table") == 0) {
		add_table(out);
	} else if (strcmp(what, "options") == 0 && count > 0) {
		add_option_items(out, names, count);
	} else if (strcmp(what, "synopsis") == 0) {
		for (int n = 0; n < count; n++) {
			const struct command *command = command_table_find(names[n]);

			if (command) {
				add_synopsis(out, command);
			} else {
				add_run_synopsis(out);
			}
		}
	} else {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct buffer text;
	int code = 1;

	buffer_init(&text);
	if (argc < 2 || !add(&text, argv[1], argv + 2, argc - 2)) {
		(void)fprintf(stderr, "usage: manual properties|options|… [NAME...]\n");
		return 2;
	}
	if (buffer_ok(&text) && fwrite(text.bytes, 1, text.len, stdout) == text.len) {
		code = 0;
	}
	buffer_clear(&text);
	return code;
}

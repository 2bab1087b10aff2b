/* SPDX-License-Identifier: Apache-2.0 */
/* src/cli_usage.c -- the text of --help (src/cli.h). */
#include <stdio.h>
#include <string.h>

#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/help_text.h"
#include "src/config/property_help.h"
#include "src/option_help.h"

static const char usage_first[] = "Usage: rowtail DATABASE [OPTION]...\n"
				  "       rowtail --config FILE [OPTION]...\n";

static const char usage_head[] =
    "\n"
    "Print a JSON event for each row that is inserted, updated or deleted in\n"
    "a SQLite database in WAL mode, from now on, in Debezium's format.\n"
    "\n";

static const char usage_commands[] =
    "\nCommands on a database and its state directory:\n";

static const char usage_archive[] =
    "\nCommands on an archive, a folder or s3://BUCKET/PREFIX that --archive or\n"
    "Litestream 0.5 wrote, or on database files:\n";

static const char usage_properties[] =
    "\nProperties, and what they are when they are not set:\n";

static const char usage_tail[] =
    "\nMore about them: see rowtail(1).\n"
    "\n"
    "Exit status: 0 done, 1 failed while running, 2 wrong usage or\n"
    "configuration, 3 this database cannot be followed. See rowtail(1).\n";

#define HELP_COLUMN 22

/* The lines of `help`, the first of them beside `name` if there is room. */
static void add_entry(struct buffer *out, const char *name, const char *argument,
		      const char *help)
{
	size_t column = out->len;

	buffer_add_str(out, "  ");
	buffer_add_str(out, name);
	buffer_add_str(out, argument ? argument : "");
	column = out->len - column;
	if (column >= HELP_COLUMN) {
		buffer_add_char(out, '\n');
		column = 0;
	}
	for (const char *line = help; *line; column = 0) {
		size_t len = strcspn(line, "\n") + 1;

		for (; column < HELP_COLUMN; column++) {
			buffer_add_char(out, ' ');
		}
		buffer_add(out, line, len);
		line += len;
	}
}

static void add_synopses(struct buffer *out)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		buffer_add_str(out, "       rowtail ");
		buffer_add_str(out, command->name);
		buffer_add_char(out, ' ');
		buffer_add_str(out, command->usage);
		buffer_add_char(out, '\n');
	}
}

static void add_commands(struct buffer *out, bool take_words)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		bool on_state = !command->takes_archive &&
				(command->words == 0 || command->takes_signal);

		if (on_state != take_words) {
			add_entry(out, command->name, NULL, command->help);
		}
	}
}

static void add_sinks(struct buffer *out)
{
	const struct sink_kind *kind;
	char option[64];

	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		(void)snprintf(option, sizeof option, "--to %s", kind->scheme);
		add_entry(out, option, kind->target, kind->help);
	}
}

/* "of status: print metrics": what it goes with, what it does. */
static void add_option_text(struct buffer *out, const struct option_help *option)
{
	if (option->of) {
		buffer_add_str(out, "of ");
		option_help_add_of(out, option);
		buffer_add_str(out, ": ");
	}
	buffer_add_str(out, option->text);
	buffer_add_str(out, option->may_repeat ? "; may be repeated" : "");
	buffer_add_char(out, '\0');
}

static void add_option(struct buffer *out, const struct option_help *option)
{
	size_t column = out->len;
	struct buffer text;

	buffer_add_str(out, strcmp(option->name, "help") == 0 ? "  -h, " : "  ");
	option_help_add_name(out, option);
	column = out->len - column;
	if (column >= HELP_COLUMN) {
		buffer_add_char(out, '\n');
		column = 0;
	}
	buffer_init(&text);
	add_option_text(&text, option);
	if (buffer_ok(&text)) {
		help_add_wrapped(out, text.bytes, column, HELP_COLUMN);
	}
	out->failed |= !buffer_ok(&text);
	buffer_clear(&text);
}

static void add_options(struct buffer *out)
{
	const struct option_help *option;

	for (size_t i = 0; (option = option_help_at(i)) != NULL; i++) {
		if (strcmp(option->name, "to") == 0) {
			add_sinks(out);
		} else {
			add_option(out, option);
		}
	}
}

void cli_add_usage(struct buffer *out)
{
	buffer_add_str(out, usage_first);
	add_synopses(out);
	buffer_add_str(out, usage_head);
	add_options(out);
	buffer_add_str(out, usage_commands);
	add_commands(out, false);
	buffer_add_str(out, usage_archive);
	add_commands(out, true);
	buffer_add_str(out, usage_properties);
	property_help_add(out);
	buffer_add_str(out, usage_tail);
}

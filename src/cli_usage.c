/* SPDX-License-Identifier: Apache-2.0 */
/* src/cli_usage.c -- the text of --help (src/cli.h). */
#include <stdio.h>
#include <string.h>

#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/property_help.h"

static const char usage_first[] = "Usage: rowtail DATABASE [OPTION]...\n"
				  "       rowtail --config FILE [OPTION]...\n";

static const char usage_head[] =
    "\n"
    "Print a JSON event for each row that is inserted, updated or deleted in\n"
    "a SQLite database in WAL mode, from now on, in Debezium's format.\n"
    "\n"
    "  --snapshot          print the rows that are there first, then follow\n"
    "  --state DIR         remember the position there; a later run goes on from\n"
    "                      it, whatever happened meanwhile\n"
    "  --wait              wait for a database that is not there, or not in WAL\n"
    "                      mode yet\n"
    "  --once              with --state or --snapshot: exit after what is\n"
    "                      committed by now\n";

static const char usage_options[] =
    "  --archive ARCHIVE   with --state: write the history of the database there,\n"
    "                      too, for rowtail restore: a path, or s3://BUCKET/PREFIX\n"
    "  --accept-gap        with --to audit: go on behind a log that was altered or\n"
    "                      shortened, or is another's, and tell of it in the log\n"
    "  --lines=value       a line is the event's value; the default\n"
    "  --lines=record      a line is {\"topic\",\"key\",\"value\",\"headers\"}\n"
    "  --lines=flat        a line is the row, with __deleted and __table\n"
    "  -D KEY=VALUE        set a property; may be repeated\n"
    "  --config FILE       read properties from a Java-style .properties file\n"
    "  --quiet             of messages on stderr only warnings, errors and\n"
    "                      the line \"rowtail: following\"\n"
    "  --verbose           more messages on stderr\n"
    "  --log-format=FORMAT of messages on stderr: text (default) or json\n"
    "  --json              of status, archive list and audit verify, history and\n"
    "                      report: print one JSON object\n"
    "  --format=FORMAT     of sql: json (default, an object a line), csv or table\n"
    "                      (default on a terminal)\n"
    "  --at WHEN           of restore and sql: latest (default), first, txid:HEX,\n"
    "                      lsn:N, a time like 2026-11-28T10:00:00Z, or -10m, -2h,\n"
    "                      -3d; of audit history: a time, the row as it was then\n"
    "  --key KEYS          of audit verify: the key that you kept, or all of them,\n"
    "                      as audit key prints them\n"
    "  --checkpoint FILE   of audit verify: a copy of PATH.checkpoint that you kept;\n"
    "                      may be repeated\n"
    "  --database DATABASE of audit verify: has it the rows that the log tells of?\n"
    "  --table, --by, --op, --column, --value X, --no-context\n"
    "                      of audit report: lines of that table, that somebody is\n"
    "                      named in, of that op, that changed that column, that\n"
    "                      have that value anywhere, that nobody is named in\n"
    "  --since TIME        of audit report: from then on; --until TIME: up to then\n"
    "  --csv               of audit report: as CSV\n"
    "  --table T --key K, --seq N[-M],…\n"
    "                      of audit redact: lines of that row, or of these numbers;\n"
    "                      --by WHO and --why TEXT: what the log is to say of it\n"
    "  --table PATTERN     of signal: tables whose names match; may be repeated\n"
    "  --where SQL         of signal: rows that this is true of, alone\n"
    "  --type=TYPE         of signal: incremental (default) or blocking\n"
    "  --id ID             of signal: what it is called in messages and logs\n"
    "  --dry-run           of archive prune: say what would be removed\n"
    "  --from WHEN         of events: what happened after that state; first is the\n"
    "                      default; of audit consistency: lines of an older head\n"
    "  --until WHEN        of events: up to that state (default: latest); --to WHEN\n"
    "                      is the same\n"
    "  --follow            of events: wait for more at the end\n"
    "  --sql               of diff: print one transaction of SQL instead of events\n"
    "  -h, --help          print this text\n"
    "  --version           print the version\n"
    "\n"
    "Commands on a state directory:\n";

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
		if ((command->words > 0 || command->takes_archive) == take_words) {
			add_entry(out, command->name, NULL, command->help);
		}
	}
}

void cli_add_usage(struct buffer *out)
{
	const struct sink_kind *kind;
	char option[64];

	buffer_add_str(out, usage_first);
	add_synopses(out);
	buffer_add_str(out, usage_head);
	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		(void)snprintf(option, sizeof option, "--to %s", kind->scheme);
		add_entry(out, option, kind->target, kind->help);
	}
	buffer_add_str(out, usage_options);
	add_commands(out, false);
	buffer_add_str(out, usage_archive);
	add_commands(out, true);
	buffer_add_str(out, usage_properties);
	property_help_add(out);
	buffer_add_str(out, usage_tail);
}

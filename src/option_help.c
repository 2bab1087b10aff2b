/* SPDX-License-Identifier: Apache-2.0 */
#include "src/option_help.h"

#include <string.h>

static const struct option_help options[] = {
    {.name = "snapshot",
     .text = "print the rows that are there first, then follow",
     .more = "They are events with `\"op\":\"r\"`. The same as `-D "
	     "snapshot.mode=initial`"},
    {.name = "state",
     .argument = "DIR",
     .text = "remember the position there; a later run goes on from it, whatever "
	     "happened meanwhile",
     .more =
	 "The first run copies the database into it and prints the rows that are "
	 "there, a later one prints what was committed since. Where the write-ahead "
	 "log does not prove what happened meanwhile, the database is compared with "
	 "the copy; the difference is one transaction, whose messages have the "
	 "header `rowtail.catch_up`. The directory is made if there is none, and the "
	 "first copy must leave a tenth of the disk free. A directory has one "
	 "position: another output needs a directory of its own. `none` goes with "
	 "`exactly.once.support=disabled` only: no position is kept",
     .page = "docs/going-on.md"},
    {.name = "wait",
     .text = "wait for a database that is not there, is empty, or is not in WAL mode "
	     "yet"},
    {.name = "once",
     .text = "with `--state` or `--snapshot`: exit after what is committed by now",
     .more = "An output that is out of reach is tried for a minute"},
    {.name = "to",
     .argument = "OUTPUT",
     .text = "where events go",
     .more = "The default is `stdout`. See OUTPUTS"},
    {.name = "archive",
     .argument = "ARCHIVE",
     .text = "with `--state`: write the history of the database there, too, for "
	     "`rowtail restore`: a path, or `s3://BUCKET/PREFIX`",
     .more = "First the whole database, then every `archive.interval.ms` what has "
	     "changed, as files that Litestream 0.5.16 or newer restores it from, too. "
	     "What cannot be uploaded waits in the state directory. What is due by "
	     "`archive.compaction.levels`, `archive.snapshot.interval`, "
	     "`archive.retention` and `archive.l0.retention` is done meanwhile. An "
	     "archive that something else writes to, or wrote, is refused; see "
	     "`archive.take.over`",
     .page = "docs/archive.md#writing"},
    {.name = "accept-gap",
     .text =
	 "with `--to audit:PATH`: go on behind a log that was altered or shortened, or "
	 "is another's, and tell of it in the log",
     .page = "docs/audit.md#starts"},
    {.name = "lines",
     .argument = "value|record|flat",
     .text = "a line is the event's `value` (default), a `record` "
	     "{\"topic\",\"key\",\"value\",\"headers\"}, or the row, `flat`",
     .more =
	 "With `record` the tombstone that follows a delete is a line, too. With "
	 "`flat` a line is the row alone, as it is after the change, or of a delete "
	 "as it was; `__deleted` is `\"true\"` or `\"false\"`, `__table` the table's "
	 "name",
     .page = "docs/transforms.md#lines"},
    {.name = "D",
     .argument = "KEY=VALUE",
     .may_repeat = true,
     .text = "set a property",
     .more = "See PROPERTIES"},
    {.name = "config",
     .argument = "FILE",
     .may_repeat = true,
     .text = "read properties from a Java-style .properties file, or a connector of "
	     "Kafka Connect as JSON",
     .more = "The command line takes precedence over `-D`, and `-D` over the files",
     .page = "docs/coming-from-debezium.md#a-configuration-that-is-there"},
    {.name = "quiet",
     .text = "of messages on stderr only warnings, errors and the line \"rowtail: "
	     "following\""},
    {.name = "verbose", .text = "more messages on stderr"},
    {.name = "log-format",
     .argument = "text|json",
     .text = "of messages on stderr; the default is `text`",
     .more =
	 "With `json` each line is an object, and the `msg` of the line \"rowtail: "
	 "following\" begins with \"following\". With `text` lines have a time, but "
	 "for that line, and unless stderr is a terminal or the journal of systemd"},

    {.name = "state",
     .argument = "DIR",
     .of = "status, verify, signal",
     .is_in_form = true,
     .text = "the state directory"},
    {.name = "json",
     .of = "status, check, archive list, audit verify, audit history, audit report",
     .text = "print one JSON object"},
    {.name = "prometheus",
     .of = "status",
     .text = "print metrics, in the text format of Prometheus",
     .page = "docs/status.md#for-monitors"},
    {.name = "check",
     .of = "status",
     .text = "exit 0 if all is well, or 1 with a line that says why not",
     .more = "No process runs; something has waited for the sink, or has not been "
	     "captured, for longer than `--max-lag`; sink or archive have been out of "
	     "reach for so long; or more than `--max-bytes` are not delivered",
     .page = "docs/status.md#for-monitors"},
    {.name = "max-lag",
     .argument = "DURATION",
     .of = "status",
     .text = "with `--check`: how long something may wait; the default is `10s`",
     .more = "A number and `s`, `m`, `h`, `d` or `w`"},
    {.name = "max-bytes",
     .argument = "BYTES",
     .of = "status",
     .text = "with `--check`: how much may wait; without it, as much as there is"},

    {.name = "table",
     .argument = "PATTERN",
     .of = "signal",
     .may_repeat = true,
     .text = "tables whose whole names this regular expression matches",
     .page = "docs/signals.md"},
    {.name = "where",
     .argument = "SQL",
     .of = "signal",
     .text = "of each of the tables the rows that this is true of, alone"},
    {.name = "type",
     .argument = "incremental|blocking",
     .of = "signal",
     .text = "between the changes (default), or before any more of them"},
    {.name = "id",
     .argument = "ID",
     .of = "signal",
     .text = "what it is called in messages and logs"},

    {.name = "at",
     .argument = "WHEN",
     .of = "restore, sql",
     .text =
	 "which state: `latest` (default), `first`, `txid:HEX`, `lsn:N`, a time like "
	 "`2026-11-28T10:00:00Z`, or `-10m`, `-2h`, `-3d`",
     .page = "docs/archive.md#which-state---at"},
    {.name = "format",
     .argument = "json|csv|table",
     .of = "sql",
     .text =
	 "an object a line (default), CSV with a line of names, or a table (default "
	 "on a terminal)"},
    {.name = "from",
     .argument = "WHEN",
     .of = "events",
     .text = "what happened after that state; the default is `first`"},
    {.name = "until",
     .argument = "WHEN",
     .of = "events",
     .text = "up to that state; the default is `latest`",
     .more = "`--to WHEN` is the same"},
    {.name = "follow",
     .of = "events",
     .text = "wait for more at the end",
     .more = "Not with `--until`"},
    {.name = "state",
     .argument = "DIR",
     .of = "archive verify",
     .text = "compare the newest state, page by page, with what this state directory, "
	     "which wrote the archive, has captured",
     .more = "No rowtail may run with it meanwhile"},
    {.name = "dry-run",
     .of = "archive prune",
     .text = "say what would be removed, and remove nothing"},

    {.name = "key",
     .argument = "KEYS",
     .of = "audit verify",
     .text = "the key that you kept, or all of them, as `audit key` prints them",
     .more = "Without it the log is taken at its own word for the key"},
    {.name = "checkpoint",
     .argument = "FILE",
     .of = "audit verify",
     .may_repeat = true,
     .text = "a copy of PATH.checkpoint that you kept",
     .more = "Without one it cannot be told that lines at the end were cut off"},
    {.name = "database",
     .argument = "DATABASE",
     .of = "audit verify",
     .text = "look whether it has the rows that the log tells of",
     .more =
	 "The log's last word on each row is compared with the row. `-D` and "
	 "`--config` have to be those of the run that wrote the log. The database is "
	 "only read",
     .page = "docs/audit.md#has-the-database-what-the-log-tells"},
    {.name = "until",
     .argument = "TIME",
     .of = "audit verify",
     .text = "with `--database`: it is a copy that was begun then; later lines make no "
	     "finding"},
    {.name = "at",
     .argument = "TIME",
     .of = "audit history",
     .text = "the row as it was then"},
    {.name = "table",
     .argument = "TABLE",
     .of = "audit report",
     .text = "lines of that table"},
    {.name = "op",
     .argument = "OP",
     .of = "audit report",
     .text = "of that op: `insert`, `update`, `delete`, `read`, `checkpoint`, …"},
    {.name = "by",
     .argument = "WHO",
     .of = "audit report",
     .text = "whose context names them"},
    {.name = "no-context", .of = "audit report", .text = "for which nobody is named"},
    {.name = "column",
     .argument = "COLUMN",
     .of = "audit report",
     .text = "that changed that column"},
    {.name = "value",
     .argument = "VALUE",
     .of = "audit report",
     .text = "that have it anywhere, in a text also as a part"},
    {.name = "since",
     .argument = "TIME",
     .of = "audit report",
     .text = "of that time and later"},
    {.name = "until",
     .argument = "TIME",
     .of = "audit report",
     .text = "of that time and earlier"},
    {.name = "csv",
     .of = "audit report",
     .text = "as CSV (RFC 4180), a record for each column that a line tells of"},
    {.name = "from",
     .argument = "SIZE",
     .of = "audit consistency",
     .is_needed = true,
     .text = "how many lines the older head signs"},
    {.name = "state",
     .argument = "DIR",
     .of = "audit redact",
     .is_needed = true,
     .text = "the state directory of the run that writes the log"},
    {.name = "why",
     .argument = "TEXT",
     .of = "audit redact",
     .is_needed = true,
     .text = "what the log is to say of it"},
    {.name = "table",
     .argument = "TABLE",
     .of = "audit redact",
     .text = "with `--key`: lines of a row of that table"},
    {.name = "key",
     .argument = "KEY",
     .of = "audit redact",
     .text = "of the row with that key"},
    {.name = "seq",
     .argument = "LINES",
     .of = "audit redact",
     .text = "lines of these numbers, such as `12,20-35`"},
    {.name = "by",
     .argument = "WHO",
     .of = "audit redact",
     .text = "who does it; the default is the user that runs it"},

    {.name = "sql",
     .of = "diff",
     .text = "print one transaction of SQL instead of events",
     .page = "docs/diff.md"},

    {.name = "help", .is_alone = true, .text = "print a short description and exit"},
    {.name = "version", .is_alone = true, .text = "print the version and exit"},
};

const struct option_help *option_help_at(size_t index)
{
	return index < sizeof options / sizeof *options ? &options[index] : NULL;
}

bool option_help_is_of(const struct option_help *option, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = option->of; p && *p;) {
		size_t word = strcspn(p, ",");

		if (word == len && memcmp(p, name, len) == 0) {
			return true;
		}
		p += word;
		p += strspn(p, ", ");
	}
	return false;
}

void option_help_add_name(struct buffer *out, const struct option_help *option)
{
	buffer_add_str(out, option->name[1] ? "--" : "-");
	buffer_add_str(out, option->name);
	if (option->argument) {
		/* What is typed is given as one word. */
		buffer_add_char(out, option->argument[0] >= 'a' ? '=' : ' ');
		buffer_add_str(out, option->argument);
	}
}

void option_help_add_of(struct buffer *out, const struct option_help *option)
{
	for (const char *p = option->of; p && *p;) {
		size_t word = strcspn(p, ",");

		buffer_add(out, p, word);
		p += word;
		p += strspn(p, ", ");
		if (*p) {
			buffer_add_str(out, strchr(p, ',') ? ", " : " and ");
		}
	}
}

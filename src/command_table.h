/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/command_table.h -- all commands, each of them once: those that work on a state
 * directory, and those that work on what the words behind them name (an archive, an
 * audit log).
 *
 * A new one is a file that defines its struct command, and one line in COMMANDS. The
 * command line, its errors and --help are made of that. Without a command the database
 * is followed (src/follow.h).
 *
 * THREADS  No shared state. A command runs on the main thread.
 */
#ifndef COMMAND_TABLE_H
#define COMMAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/config/config.h"

struct command {
	const char *name;  /* the first word that is no option */
	const char *usage; /* what follows it in --help: "--state DIR DATABASE" */
	/* The same for the man pages: each way to call it, up to NULL. One that begins
	 * with a small letter is an action of the command. */
	const char *const *forms;
	const char *help; /* of --help: lines of at most 57 characters and "\n" */
	unsigned words;   /* that follow it, exactly; 0: it takes a state directory */
	unsigned least_words; /* where fewer will do; 0: it takes all */
	bool takes_database;  /* one, always; else none */
	bool takes_json;      /* --json: it prints one JSON object */
	bool takes_at;        /* --at: a moment of an archive */
	bool takes_format;    /* --format: how rows are printed */
	bool takes_dry_run;   /* --dry-run: it says what it would do */
	bool takes_state;     /* --state beside its words */
	bool takes_audit;     /* --key and --checkpoint: what to trust of a log; --from,
			       * --until and those of reports: which lines of it */
	bool takes_signal;    /* --table, --where, --type and --id: what is asked for */
	bool takes_check;   /* --check, --max-lag, --max-bytes, --prometheus; a database
			     * in the place of --state: the folder beside it */
	bool takes_sql;     /* --sql: statements instead of events */
	bool makes_events;  /* of the second of two words, or an archive, the first of
			     * three, by the properties that shape them */
	bool takes_run;     /* a database, and what a run without a command takes: it
			     * is config->is_check */
	bool takes_archive; /* one, always, in the place of a database, and what a run
			     * without a command takes, and --from, --until, --follow */
	/* With its words or a state directory given, and config->json as asked for;
	 * prints on stdout. ST_OK: exit 0. Otherwise the error says why. */
	enum status (*run)(const struct config *config, struct error *err);
};

/* In the order of --help. */
#define COMMANDS(X)        \
	X(status_command)  \
	X(check_command)   \
	X(verify_command)  \
	X(signal_command)  \
	X(restore_command) \
	X(sql_command)     \
	X(archive_command) \
	X(audit_command)   \
	X(diff_command)    \
	X(events_command)

#define COMMAND_DECLARE(which) extern const struct command which;
COMMANDS(COMMAND_DECLARE)

/* NULL: no more. */
const struct command *command_table_at(size_t index);

/* NULL: there is none of that name. */
const struct command *command_table_find(const char *name);

#endif

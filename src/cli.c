/* SPDX-License-Identifier: Apache-2.0 */
#include "src/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/archive/when.h"
#include "src/command_table.h"
#include "src/config/property_help.h"
#include "src/config/settings.h"

enum option_id {
	OPTION_OPERAND = 1, /* getopt's code for what is no option */
	OPTION_ACCEPT_GAP = 256,
	OPTION_ARCHIVE,
	OPTION_AT,
	OPTION_BY,
	OPTION_SEQ,
	OPTION_WHY,
	OPTION_CHECKPOINT,
	OPTION_COLUMN,
	OPTION_CONFIG,
	OPTION_CSV,
	OPTION_DATABASE,
	OPTION_DRY_RUN,
	OPTION_FORMAT,
	OPTION_FOLLOW,
	OPTION_FROM,
	OPTION_HELP,
	OPTION_JSON,
	OPTION_KEY,
	OPTION_LINES,
	OPTION_LOG_FORMAT,
	OPTION_NO_CONTEXT,
	OPTION_ONCE,
	OPTION_OP,
	OPTION_QUIET,
	OPTION_SINCE,
	OPTION_SNAPSHOT,
	OPTION_SQL,
	OPTION_STATE,
	OPTION_TABLE,
	OPTION_TO,
	OPTION_UNTIL,
	OPTION_VALUE,
	OPTION_VERBOSE,
	OPTION_VERSION,
};

static const struct option options[] = {
    {"accept-gap", no_argument, NULL, OPTION_ACCEPT_GAP},
    {"archive", required_argument, NULL, OPTION_ARCHIVE},
    {"at", required_argument, NULL, OPTION_AT},
    {"by", required_argument, NULL, OPTION_BY},
    {"checkpoint", required_argument, NULL, OPTION_CHECKPOINT},
    {"column", required_argument, NULL, OPTION_COLUMN},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"database", required_argument, NULL, OPTION_DATABASE},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"from", required_argument, NULL, OPTION_FROM},
    {"help", no_argument, NULL, OPTION_HELP},
    {"json", no_argument, NULL, OPTION_JSON},
    {"key", required_argument, NULL, OPTION_KEY},
    {"lines", required_argument, NULL, OPTION_LINES},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"no-context", no_argument, NULL, OPTION_NO_CONTEXT},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"op", required_argument, NULL, OPTION_OP},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"snapshot", no_argument, NULL, OPTION_SNAPSHOT},
    {"sql", no_argument, NULL, OPTION_SQL},
    {"state", required_argument, NULL, OPTION_STATE},
    {"table", required_argument, NULL, OPTION_TABLE},
    {"to", required_argument, NULL, OPTION_TO},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"seq", required_argument, NULL, OPTION_SEQ},
    {"value", required_argument, NULL, OPTION_VALUE},
    {"why", required_argument, NULL, OPTION_WHY},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

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
    "  --once              with --state or --snapshot: exit after what is\n"
    "                      committed by now\n";

static const char usage_options[] =
    "  --archive ARCHIVE   with --state: write the history of the database there,\n"
    "                      too, for rowtail restore: a path, or s3://BUCKET/PREFIX\n"
    "  --accept-gap        with --to audit: go on behind a log that was altered or\n"
    "                      shortened, or is another's, and tell of it in the log\n"
    "  --lines=value       a line is the event's value; the default\n"
    "  --lines=record      a line is {\"topic\",\"key\",\"value\",\"headers\"}\n"
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

static enum status usage_error(struct error *err, const char *what, const char *subject)
{
	return error_set(err, ST_CONFIG, "%s %s; see rowtail --help", what, subject);
}

static enum status set_define(struct config *config, const char *text,
			      struct error *err)
{
	const char *equals = strchr(text, '=');
	char key[256];

	if (!equals || equals == text || (size_t)(equals - text) >= sizeof key) {
		return error_set(err, ST_CONFIG, "-D %s: must be KEY=VALUE", text);
	}
	memcpy(key, text, (size_t)(equals - text));
	key[equals - text] = '\0';
	return config_set(config, CONFIG_DEFINE, "-D ", key, equals + 1, err);
}

static enum status set_lines(struct config *config, const char *text, struct error *err)
{
	if (strcmp(text, "value") != 0 && strcmp(text, "record") != 0) {
		return error_set(err, ST_CONFIG, "--lines=%s: must be value or record",
				 text);
	}
	config->lines = strcmp(text, "value") == 0 ? LINES_VALUE : LINES_RECORD;
	return ST_OK;
}

static enum status set_log_format(struct config *config, const char *text,
				  struct error *err)
{
	if (strcmp(text, "text") != 0 && strcmp(text, "json") != 0) {
		return error_set(err, ST_CONFIG,
				 "--log-format=%s: must be text or json", text);
	}
	config->log_json = strcmp(text, "json") == 0;
	return ST_OK;
}

static enum status set_state(struct config *config, const char *text, struct error *err)
{
	if (*text == '\0') {
		return error_set(err, ST_CONFIG, "--state: must be a folder");
	}
	if (strcmp(text, "none") == 0) {
		free(config->state_path);
		config->state_path = NULL;
		config->state_is_none = true;
		return ST_OK;
	}
	free(config->state_path);
	config->state_is_none = false;
	config->state_path = strdup(text);
	return config->state_path ? ST_OK : error_no_memory(err, "the options");
}

static enum status set_sink(struct config *config, const char *text, struct error *err)
{
	const char *target;

	if (sink_table_find(text, &config->sink, &target, err) != ST_OK) {
		return err->status;
	}
	free(config->sink_target);
	config->sink_target = target ? strdup(target) : NULL;
	return !target || config->sink_target ? ST_OK
					      : error_no_memory(err, "the options");
}

/* What stands on the command line beside options. */
struct operands {
	unsigned count;
	unsigned databases;
};

static enum status set_text(char **field, const char *text, struct error *err)
{
	free(*field);
	*field = strdup(text);
	return *field ? ST_OK : error_no_memory(err, "the options");
}

static enum status add_checkpoint(struct config *config, const char *path,
				  struct error *err)
{
	size_t count = config->checkpoint_count;
	char **all = reallocarray(config->checkpoints, count + 1, sizeof *all);

	if (!all) {
		return error_no_memory(err, "the options");
	}
	config->checkpoints = all;
	all[count] = strdup(path);
	config->checkpoint_count += all[count] != NULL;
	return all[count] ? ST_OK : error_no_memory(err, "the options");
}

/* Behind a command that takes words. */
static enum status add_word(struct config *config, const char *text, struct error *err)
{
	if (config->word_count == config->command->words) {
		return error_set(err, ST_CONFIG,
				 "rowtail %s %s: unexpected %s; see rowtail --help",
				 config->command->name, config->command->usage, text);
	}
	return set_text(&config->words[config->word_count++], text, err);
}

static enum status set_archive(struct config *config, const char *text,
			       struct error *err)
{
	return config->archive
		   ? usage_error(err, "one archive at a time, unexpected", text)
		   : set_text(&config->archive, text, err);
}

static enum status add_operand(struct config *config, struct operands *operands,
			       const char *text, struct error *err)
{
	operands->count++;
	if (operands->count == 1 && (config->command = command_table_find(text))) {
		config->needs_no_database =
		    !config->command->takes_database && !config->command->takes_archive;
		return ST_OK;
	}
	if (config->command && config->command->takes_archive) {
		return set_archive(config, text, err);
	}
	if (config->command && config->command->words > 0) {
		return add_word(config, text, err);
	}
	if (config->needs_no_database) {
		return error_set(err, ST_CONFIG,
				 "%s takes no database, unexpected %s; see "
				 "rowtail --help",
				 config->command->name, text);
	}
	operands->databases++;
	if (operands->databases > 1) {
		return usage_error(err, "one database at a time, unexpected", text);
	}
	return config_set(config, CONFIG_COMMAND_LINE, "", "database.file.path", text,
			  err);
}

/* getopt_long returned '?': `word` is what it was looking at. */
static enum status bad_option(const char *word, struct error *err)
{
	size_t i;

	for (i = 0; options[i].name; i++) {
		if (optopt == options[i].val) {
			return error_set(err, ST_CONFIG,
					 "--%s takes no value; see rowtail --help",
					 options[i].name);
		}
	}
	if (optopt) {
		char letter[3] = {'-', (char)optopt, '\0'};

		return usage_error(err, "unknown option", letter);
	}
	return usage_error(err, "unknown option", word);
}

/* No sink is written like one: so --to may have both. */
static bool is_moment(const char *text)
{
	struct error unused;
	struct when when;

	return when_parse(text, 0, &when, &unused) == ST_OK;
}

/* An option without a value; false: it is none of these. */
static bool set_flag(struct config *config, int option)
{
	switch (option) {
	case 'h':
	case OPTION_HELP:
		config->wants_help = true;
		return true;
	case OPTION_VERSION:
		config->wants_version = true;
		return true;
	case OPTION_ONCE:
		config->once = true;
		return true;
	case OPTION_QUIET:
		config->log_most = LOG_WARN;
		return true;
	case OPTION_VERBOSE:
		config->log_most = LOG_DEBUG;
		return true;
	case OPTION_ACCEPT_GAP:
		config->accept_gap = true;
		return true;
	case OPTION_SQL:
		config->sql = true;
		return true;
	case OPTION_FOLLOW:
		config->follow = true;
		return true;
	case OPTION_JSON:
		config->json = true;
		return true;
	case OPTION_NO_CONTEXT:
		config->report.no_context = true;
		return true;
	case OPTION_CSV:
		config->report.csv = true;
		return true;
	case OPTION_DRY_RUN:
		config->dry_run = true;
		return true;
	default:
		return false;
	}
}

/* Where the value of an option of rowtail audit report or redact goes; NULL: it is
 * none. */
static char **report_field(struct report_options *report, int option)
{
	switch (option) {
	case OPTION_TABLE:
		return &report->table;
	case OPTION_BY:
		return &report->by;
	case OPTION_OP:
		return &report->op;
	case OPTION_COLUMN:
		return &report->column;
	case OPTION_SINCE:
		return &report->since;
	case OPTION_VALUE:
		return &report->value;
	case OPTION_SEQ:
		return &report->seq;
	case OPTION_WHY:
		return &report->why;
	default:
		return NULL;
	}
}

static enum status take_option(struct config *config, int option,
			       struct operands *operands, const char *word,
			       struct error *err)
{
	char **field = report_field(&config->report, option);

	if (field) {
		return set_text(field, optarg, err);
	}
	switch (option) {
	case OPTION_OPERAND:
		return add_operand(config, operands, optarg, err);
	case OPTION_ARCHIVE:
		if (*optarg == '\0') {
			return error_set(err, ST_CONFIG,
					 "--archive: must be a folder, file:PATH or "
					 "s3://BUCKET/PREFIX");
		}
		return set_text(&config->archive_to, optarg, err);
	case OPTION_AT:
		return set_text(&config->at, optarg, err);
	case OPTION_CHECKPOINT:
		return add_checkpoint(config, optarg, err);
	case OPTION_KEY:
		return set_text(&config->audit_key, optarg, err);
	case OPTION_DATABASE:
		config->audit_database = true;
		return config_set(config, CONFIG_COMMAND_LINE,
				  "--database: ", "database.file.path", optarg, err);
	case OPTION_FORMAT:
		return set_text(&config->format, optarg, err);
	case OPTION_CONFIG:
		return config_load(config, optarg, err);
	case 'D':
		return set_define(config, optarg, err);
	case OPTION_LINES:
		return set_lines(config, optarg, err);
	case OPTION_LOG_FORMAT:
		return set_log_format(config, optarg, err);
	case OPTION_SNAPSHOT:
		return config_set(config, CONFIG_COMMAND_LINE,
				  "--snapshot: ", "snapshot.mode", "initial", err);
	case OPTION_TO:
		return is_moment(optarg) ? set_text(&config->until, optarg, err)
					 : set_sink(config, optarg, err);
	case OPTION_FROM:
		return set_text(&config->from, optarg, err);
	case OPTION_UNTIL:
		return set_text(&config->until, optarg, err);
	case OPTION_STATE:
		return set_state(config, optarg, err);
	case ':':
		return usage_error(err, "a value is missing behind", word);
	default:
		return set_flag(config, option) ? ST_OK : bad_option(word, err);
	}
}

static enum status refuse_json(struct error *err)
{
	const struct command *command;
	char names[128] = "";
	size_t len = 0;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		if (command->takes_json && len < sizeof names) {
			len += (size_t)snprintf(names + len, sizeof names - len,
						"%srowtail %s", len > 0 ? " or " : "",
						command->name);
		}
	}
	return error_set(err, ST_CONFIG, "--json goes with %s only; leave it out",
			 names);
}

/* Of a command that takes words. */
static enum status check_words(const struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (config->word_count <
	    (command->least_words ? command->least_words : command->words)) {
		return error_set(err, ST_CONFIG,
				 "too few words: rowtail %s %s (a database of that "
				 "name is ./%s)",
				 command->name, command->usage, command->name);
	}
	if (config->state_path && !command->takes_state) {
		return error_set(err, ST_CONFIG,
				 "--state does not go with rowtail %s; leave it out",
				 command->name);
	}
	return ST_OK;
}

/* Events are of the database that was named last, or of an archive; an audit log's
 * database is one that is followed into it. */
static enum status name_database(struct config *config, struct error *err)
{
	const struct command *command = config->command;
	const char *target;

	if (config->audit_database) {
		config->needs_no_database = false;
		return sink_table_find("audit:PATH", &config->sink, &target, err);
	}
	if (!command || !command->makes_events) {
		return ST_OK;
	}
	config->needs_no_database = false;
	if (config->word_count == 3) {
		return set_text(&config->archive, config->words[0], err);
	}
	return config_set(config, CONFIG_COMMAND_LINE, "", "database.file.path",
			  config->words[config->word_count - 1], err);
}

/* Of a command that takes an archive in the place of a database. */
static enum status check_events(const struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (!config->archive) {
		return error_set(err, ST_CONFIG,
				 "no archive given: rowtail %s %s (a database of that "
				 "name is ./%s)",
				 command->name, command->usage, command->name);
	}
	if (config->follow && (config->until || config->once)) {
		return error_set(err, ST_CONFIG,
				 "--follow has no end, so %s does not go with it; "
				 "leave out one of them",
				 config->until ? "--until" : "--once");
	}
	return ST_OK;
}

static bool asks_for_report(const struct report_options *r)
{
	return r->table || r->by || r->op || r->column || r->since || r->value ||
	       r->no_context || r->csv || r->seq || r->why;
}

/* Options of audit logs. */
static enum status check_audit(const struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (config->accept_gap && (command || config->sink->form != FORM_AUDIT)) {
		return error_set(err, ST_CONFIG,
				 "--accept-gap goes with --to audit:PATH only; leave "
				 "it out");
	}
	if (asks_for_report(&config->report) && !(command && command->takes_audit)) {
		return error_set(err, ST_CONFIG,
				 "--table, --by, --op, --column, --since, --value, "
				 "--no-context and --csv go with rowtail audit report "
				 "only, --seq and --why with audit redact; leave them "
				 "out");
	}
	if ((config->audit_key || config->checkpoint_count > 0 ||
	     config->audit_database) &&
	    !(command && command->takes_audit)) {
		return error_set(err, ST_CONFIG,
				 "--key, --checkpoint and --database go with rowtail "
				 "audit verify only; leave them out");
	}
	return ST_OK;
}

/* What goes with a command, and what it cannot do without. */
static enum status check_command(const struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (check_audit(config, err) != ST_OK) {
		return err->status;
	}
	if (config->json && !(command && command->takes_json)) {
		return refuse_json(err);
	}
	if (config->archive_to && command) {
		return error_set(err, ST_CONFIG,
				 "--archive does not go with rowtail %s; leave it out",
				 command->name);
	}
	if (config->at && !(command && command->takes_at)) {
		return error_set(
		    err, ST_CONFIG,
		    "--at goes with rowtail restore, sql and audit history "
		    "only; leave it out");
	}
	if (config->format && !(command && command->takes_format)) {
		return error_set(err, ST_CONFIG,
				 "--format goes with rowtail sql only; leave it out");
	}
	if (config->dry_run && !(command && command->takes_dry_run)) {
		return error_set(err, ST_CONFIG,
				 "--dry-run goes with rowtail archive prune only; "
				 "leave it out");
	}
	if (((config->from || config->until) &&
	     !(command && (command->takes_archive || command->takes_audit))) ||
	    (config->follow && !(command && command->takes_archive))) {
		return error_set(
		    err, ST_CONFIG,
		    "--from, --until (also written --to WHEN) and --follow go with "
		    "rowtail events only; leave them out");
	}
	if (config->sql && !(command && command->takes_sql)) {
		return error_set(err, ST_CONFIG,
				 "--sql goes with rowtail diff only; leave it out");
	}
	if (command && command->words > 0) {
		return check_words(config, err);
	}
	if (command && command->takes_archive) {
		return check_events(config, err);
	}
	if (command && !config->state_path) {
		return error_set(err, ST_CONFIG,
				 "no state directory given: rowtail %s %s (a database "
				 "of that name is ./%s)",
				 command->name, command->usage, command->name);
	}
	return ST_OK;
}

/* Asked before options are read, so that an error in any of them is told as JSON. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--log-format=json") == 0 ||
		    (strcmp(argv[i], "--log-format") == 0 && i + 1 < argc &&
		     strcmp(argv[i + 1], "json") == 0)) {
			return true;
		}
	}
	return false;
}

/* "-1d" behind a command that takes words is one of them, and no option; so is a key
 * like -5. */
static bool is_word(const struct config *config, int argc, char **argv)
{
	const char *text = optind > 0 && optind < argc ? argv[optind] : "";

	return config->command && config->command->words > 0 && text[0] == '-' &&
	       text[1] >= '0' && text[1] <= '9' &&
	       (is_moment(text) || config->command->takes_audit);
}

enum status cli_parse(int argc, char **argv, struct config *config, struct error *err)
{
	struct operands operands = {0};
	enum status status = ST_OK;

	config->log_json = asks_for_json(argc, argv);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	for (;;) {
		int option;

		if (is_word(config, argc, argv)) {
			status = add_operand(config, &operands, argv[optind++], err);
			if (status != ST_OK) {
				return status;
			}
			continue;
		}
		/* '-': operands in their order, also under POSIXLY_CORRECT. */
		option = getopt_long(argc, argv, "-:D:h", options, NULL);

		if (option == -1) {
			break;
		}
		status = take_option(config, option, &operands, argv[optind - 1], err);
		if (status != ST_OK || config->wants_help || config->wants_version) {
			return status;
		}
	}
	for (; optind < argc; optind++) { /* behind "--" */
		status = add_operand(config, &operands, argv[optind], err);
		if (status != ST_OK) {
			return status;
		}
	}
	status = check_command(config, err);
	if (status == ST_OK) {
		status = name_database(config, err);
	}
	return status == ST_OK ? config_finish(config, err) : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/archive/when.h"
#include "src/command_table.h"
#include "src/config/settings.h"

enum option_id {
	OPTION_OPERAND = 1, /* getopt's code for what is no option */
	OPTION_ACCEPT_GAP = 256,
	OPTION_ARCHIVE,
	OPTION_AT,
	OPTION_BY,
	OPTION_SEQ,
	OPTION_WHY,
	OPTION_CHECK,
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
	OPTION_ID,
	OPTION_JSON,
	OPTION_KEY,
	OPTION_LINES,
	OPTION_LOG_FORMAT,
	OPTION_MAX_BYTES,
	OPTION_MAX_LAG,
	OPTION_NO_CONTEXT,
	OPTION_ONCE,
	OPTION_OP,
	OPTION_PROMETHEUS,
	OPTION_QUIET,
	OPTION_SINCE,
	OPTION_SNAPSHOT,
	OPTION_SQL,
	OPTION_STATE,
	OPTION_TABLE,
	OPTION_TO,
	OPTION_TYPE,
	OPTION_UNTIL,
	OPTION_VALUE,
	OPTION_VERBOSE,
	OPTION_VERSION,
	OPTION_WAIT,
	OPTION_WHERE,
};

static const struct option options[] = {
    {"accept-gap", no_argument, NULL, OPTION_ACCEPT_GAP},
    {"archive", required_argument, NULL, OPTION_ARCHIVE},
    {"at", required_argument, NULL, OPTION_AT},
    {"by", required_argument, NULL, OPTION_BY},
    {"check", no_argument, NULL, OPTION_CHECK},
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
    {"id", required_argument, NULL, OPTION_ID},
    {"json", no_argument, NULL, OPTION_JSON},
    {"key", required_argument, NULL, OPTION_KEY},
    {"lines", required_argument, NULL, OPTION_LINES},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"max-bytes", required_argument, NULL, OPTION_MAX_BYTES},
    {"max-lag", required_argument, NULL, OPTION_MAX_LAG},
    {"no-context", no_argument, NULL, OPTION_NO_CONTEXT},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"op", required_argument, NULL, OPTION_OP},
    {"prometheus", no_argument, NULL, OPTION_PROMETHEUS},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"snapshot", no_argument, NULL, OPTION_SNAPSHOT},
    {"sql", no_argument, NULL, OPTION_SQL},
    {"state", required_argument, NULL, OPTION_STATE},
    {"table", required_argument, NULL, OPTION_TABLE},
    {"to", required_argument, NULL, OPTION_TO},
    {"type", required_argument, NULL, OPTION_TYPE},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"seq", required_argument, NULL, OPTION_SEQ},
    {"value", required_argument, NULL, OPTION_VALUE},
    {"why", required_argument, NULL, OPTION_WHY},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"where", required_argument, NULL, OPTION_WHERE},
    {NULL, 0, NULL, 0},
};

static enum status usage_error(struct error *err, const char *what, const char *subject)
{
	return error_set(err, ST_CONFIG, "%s %s; see rowtail --help", what, subject);
}

/* It follows a database, or tells how that would be. */
static bool is_run(const struct config *config)
{
	return !config->command || config->is_check;
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
	/* All that cannot be taken is told at once. */
	return problems_take(
	    &config->problems,
	    config_set(config, CONFIG_DEFINE, "-D ", key, equals + 1, err), err);
}

static enum status load_file(struct config *config, const char *path, struct error *err)
{
	return problems_take(&config->problems, config_load(config, path, err), err);
}

static enum status set_lines(struct config *config, const char *text, struct error *err)
{
	static const char *const formats[] = {
	    [LINES_VALUE] = "value", [LINES_RECORD] = "record", [LINES_FLAT] = "flat"};

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (strcmp(text, formats[i]) == 0) {
			config->lines = (enum line_format)i;
			return ST_OK;
		}
	}
	return error_set(err, ST_CONFIG, "--lines=%s: must be value, record or flat",
			 text);
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
	config->sink_is_given = true;
	return problems_take(&config->problems, config_set_sink(config, text, err),
			     err);
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

/* Of an option that may be repeated. */
static enum status add_text(char ***list, size_t *count, const char *text,
			    struct error *err)
{
	char **all = reallocarray(*list, *count + 1, sizeof *all);

	if (!all) {
		return error_no_memory(err, "the options");
	}
	*list = all;
	all[*count] = strdup(text);
	if (!all[*count]) {
		return error_no_memory(err, "the options");
	}
	(*count)++;
	return ST_OK;
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
		config->is_check = config->command->takes_run;
		config->needs_no_database = !config->command->takes_database &&
					    !config->command->takes_archive &&
					    !config->command->takes_run;
		return ST_OK;
	}
	if (config->command && config->command->takes_archive) {
		return set_archive(config, text, err);
	}
	if (config->command && config->command->words > 0) {
		return add_word(config, text, err);
	}
	if (config->command && config->command->takes_check &&
	    !config->status.database) {
		return set_text(&config->status.database, text, err);
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
	case OPTION_WAIT:
		config->wait = true;
		return true;
	case OPTION_CHECK:
		config->status.check = true;
		return true;
	case OPTION_PROMETHEUS:
		config->status.prometheus = true;
		return true;
	default:
		return false;
	}
}

/* Where the value of an option of rowtail audit report or redact, of rowtail signal or
 * of rowtail status goes; NULL: it is none. */
static char **report_field(struct config *config, int option)
{
	struct report_options *report = &config->report;

	switch (option) {
	case OPTION_MAX_LAG:
		return &config->status.max_lag;
	case OPTION_MAX_BYTES:
		return &config->status.max_bytes;
	case OPTION_WHERE:
		return &config->signal.where;
	case OPTION_TYPE:
		return &config->signal.type;
	case OPTION_ID:
		return &config->signal.id;
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
	char **field = report_field(config, option);

	if (option == OPTION_TABLE &&
	    add_text(&config->signal.tables, &config->signal.table_count, optarg,
		     err) != ST_OK) {
		return err->status;
	}
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
		return add_text(&config->checkpoints, &config->checkpoint_count, optarg,
				err);
	case OPTION_KEY:
		return set_text(&config->audit_key, optarg, err);
	case OPTION_DATABASE:
		config->audit_database = true;
		return config_set(config, CONFIG_COMMAND_LINE,
				  "--database: ", "database.file.path", optarg, err);
	case OPTION_FORMAT:
		return set_text(&config->format, optarg, err);
	case OPTION_CONFIG:
		return load_file(config, optarg, err);
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
	char names[256] = "";
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

static bool asks_for_report(const struct config *config)
{
	const struct report_options *r = &config->report;
	bool is_signal = config->command && config->command->takes_signal;

	return (r->table && !is_signal) || r->by || r->op || r->column || r->since ||
	       r->value || r->no_context || r->csv || r->seq || r->why;
}

/* Options of audit logs. */
static enum status check_audit(const struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (config->accept_gap &&
	    (!is_run(config) || config->sink->form != FORM_AUDIT)) {
		return error_set(err, ST_CONFIG,
				 "--accept-gap goes with --to audit:PATH only; leave "
				 "it out");
	}
	if (asks_for_report(config) && !(command && command->takes_audit)) {
		return error_set(err, ST_CONFIG,
				 "--table, --by, --op, --column, --since, --value, "
				 "--no-context and --csv go with rowtail audit report "
				 "only (--table also with rowtail signal), --seq and "
				 "--why with audit redact; leave them "
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

static enum status check_signal(const struct config *config, struct error *err)
{
	const struct signal_options *s = &config->signal;

	if ((s->where || s->type || s->id) &&
	    !(config->command && config->command->takes_signal)) {
		return error_set(
		    err, ST_CONFIG,
		    "--where, --type and --id go with rowtail signal only; "
		    "leave them out");
	}
	return ST_OK;
}

/* The folder that a run keeps its state in unless --state says otherwise. */
static enum status find_state(struct config *config, struct error *err)
{
	if (config->state_path) {
		return error_set(err, ST_CONFIG,
				 "rowtail %s takes --state DIR or a database, not "
				 "both; leave out %s",
				 config->command->name, config->status.database);
	}
	config->state_path = config_default_state(config->status.database);
	return config->state_path ? ST_OK : error_no_memory(err, "the options");
}

static enum status check_status(struct config *config, struct error *err)
{
	const struct status_options *s = &config->status;

	if ((s->check || s->prometheus || s->max_lag || s->max_bytes) &&
	    !(config->command && config->command->takes_check)) {
		return error_set(err, ST_CONFIG,
				 "--check, --max-lag, --max-bytes and --prometheus go "
				 "with rowtail status only; leave them out");
	}
	if ((s->max_lag || s->max_bytes) && !s->check) {
		return error_set(err, ST_CONFIG,
				 "--max-lag and --max-bytes go with --check only; add "
				 "it");
	}
	if (s->check + s->prometheus + config->json > 1 &&
	    (s->check || s->prometheus)) {
		return error_set(err, ST_CONFIG,
				 "--check, --prometheus and --json are three ways to "
				 "tell it; leave out all but one");
	}
	return s->database ? find_state(config, err) : ST_OK;
}

static enum status check_wait(const struct config *config, struct error *err)
{
	if (config->wait && (!is_run(config) || config->audit_database)) {
		return error_set(err, ST_CONFIG,
				 "--wait goes with following a database only; leave it "
				 "out");
	}
	return ST_OK;
}

/* What goes with a command, and what it cannot do without. */
static enum status check_together(struct config *config, struct error *err)
{
	const struct command *command = config->command;

	if (check_audit(config, err) != ST_OK || check_signal(config, err) != ST_OK ||
	    check_status(config, err) != ST_OK || check_wait(config, err) != ST_OK) {
		return err->status;
	}
	if (config->json && !(command && command->takes_json)) {
		return refuse_json(err);
	}
	if (config->archive_to && !is_run(config)) {
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
	if (!is_run(config) && !config->state_path) {
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
		size_t len = strcspn(argv[i], "=");

		/* Or as much of it as no other option has, as getopt_long takes it. */
		if (len < strlen("--lo") ||
		    strncmp(argv[i], "--log-format", len) != 0) {
			continue;
		}
		if (strcmp(argv[i] + len, "=json") == 0 ||
		    (argv[i][len] == '\0' && i + 1 < argc &&
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
	status = check_together(config, err);
	if (status == ST_OK) {
		status = name_database(config, err);
	}
	if (status == ST_OK) {
		status = config_finish(config, err);
	}
	return status == ST_CONFIG && config->is_check && config->problems.count > 0
		   ? ST_OK
		   : status;
}

const char *cli_option_at(size_t index, bool *takes_value)
{
	*takes_value = options[index].name && options[index].has_arg != no_argument;
	return options[index].name;
}

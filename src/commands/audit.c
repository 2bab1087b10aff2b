/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit.c -- rowtail audit: which action, and its options; key and cat,
 * who signs a log and its lines.
 *
 * The other actions have files of their own: src/commands/audit_actions.h.
 *
 * ERRORS  As there.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/audit/check.h"
#include "src/audit/open.h"
#include "src/audit/reader.h"
#include "src/base/quote.h"
#include "src/command_table.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_text.h"

#define BLOCK_BYTES 65536

/* ---- key and cat ---- */

/* All keys that sign, the first one first, each on a line. */
static enum status print_keys(const struct audit_files *files, const char *path,
			      struct error *err)
{
	struct audit_key last = {.name = ""};
	struct audit_reader reader;
	struct audit_line what;
	struct span line;
	bool is_whole, is_log = false;
	enum status status;

	audit_reader_open_files(&reader, files, 0);
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		struct audit_key key;
		struct buffer text;

		audit_line_read(line.bytes, line.len, &what);
		if (is_whole &&
		    what.kind == (reader.is_first ? AUDIT_LINE_FILE : AUDIT_LINE_KEY) &&
		    audit_line_key(line, &key) && !audit_key_is(&key, &last)) {
			buffer_init(&text);
			audit_key_add(&text, &key, false);
			buffer_add_char(&text, '\n');
			(void)fwrite(text.bytes, 1, text.len, stdout);
			buffer_clear(&text);
			is_log = true;
			last = key;
		}
		if (!is_log) {
			break;
		}
	}
	audit_reader_close(&reader);
	if (status != ST_END && status != ST_OK) {
		return status;
	}
	return is_log ? audit_text_flush(err) : audit_is_no_log(path, err);
}

/* What is no line yet is not printed. */
static enum status print_file(const struct audit_file *file, struct buffer *held,
			      struct error *err)
{
	struct audit_input input;
	enum status status = audit_input_open(&input, file, err);
	size_t n = 1;

	buffer_reset(held);
	while (status == ST_OK && n > 0 && !ferror(stdout)) {
		const char *end;
		size_t len;

		if (!buffer_reserve(held, BLOCK_BYTES)) {
			status = error_no_memory(err, "a line");
			break;
		}
		status = audit_input_read(&input, held->bytes + held->len, BLOCK_BYTES,
					  &n, err);
		if (status != ST_OK) {
			break;
		}
		end = n > 0 ? memrchr(held->bytes + held->len, '\n', n) : NULL;
		held->len += n;
		if (end) {
			len = (size_t)(end + 1 - held->bytes);
			(void)fwrite(held->bytes, 1, len, stdout);
			held->len -= len;
			memmove(held->bytes, held->bytes + len, held->len);
		}
	}
	audit_input_close(&input);
	return status;
}

static enum status print_lines(const struct audit_files *files, const char *path,
			       struct error *err)
{
	struct buffer held;
	enum status status = ST_OK;

	(void)path;
	buffer_init(&held);
	for (size_t i = 0; status == ST_OK && i < files->count; i++) {
		status = print_file(&files->list[i], &held, err);
	}
	buffer_clear(&held);
	return status == ST_OK ? audit_text_flush(err) : status;
}

static enum status run_printing(const struct config *config,
				enum status (*print)(const struct audit_files *files,
						     const char *path,
						     struct error *err),
				struct error *err)
{
	struct audit_files files;
	enum status status = audit_files_find(config->words[1], &files, err);

	if (status == ST_OK) {
		status = print(&files, config->words[1], err);
		audit_files_clear(&files);
	}
	return status;
}

/* ---- actions ---- */

/* Options that an action may have been given. */
enum given {
	GIVEN_JSON = 1,
	GIVEN_KEY = 2,
	GIVEN_AT = 4,
	GIVEN_FROM = 8,
	GIVEN_UNTIL = 16,
	GIVEN_FILTERS = 32, /* those of report alone */
	GIVEN_DATABASE = 64,
	GIVEN_TABLE = 128,  /* --table and --by, also of redact */
	GIVEN_REDACT = 256, /* --seq and --why */
	GIVEN_STATE = 512,
	GIVEN_CHECKPOINT = 1024,
};

static const struct {
	enum given option;
	const char *name;
} options[] = {
    {GIVEN_JSON, "--json"},
    {GIVEN_KEY, "--key"},
    {GIVEN_CHECKPOINT, "--checkpoint"},
    {GIVEN_AT, "--at"},
    {GIVEN_DATABASE, "--database"},
    {GIVEN_FROM, "--from"},
    {GIVEN_UNTIL, "--until"},
    {GIVEN_FILTERS, "--op, --column, --since, --value, --no-context or --csv"},
    {GIVEN_TABLE, "--table or --by"},
    {GIVEN_REDACT, "--seq or --why"},
    {GIVEN_STATE, "--state"},
};

static unsigned given_options(const struct config *config)
{
	const struct report_options *r = &config->report;
	bool filters =
	    r->op || r->column || r->since || r->value || r->no_context || r->csv;

	return (config->json ? GIVEN_JSON : 0u) | (config->audit_key ? GIVEN_KEY : 0u) |
	       (config->checkpoint_count > 0 ? GIVEN_CHECKPOINT : 0u) |
	       (config->at ? GIVEN_AT : 0u) | (config->from ? GIVEN_FROM : 0u) |
	       (config->until ? GIVEN_UNTIL : 0u) | (filters ? GIVEN_FILTERS : 0u) |
	       (config->audit_database ? GIVEN_DATABASE : 0u) |
	       (r->table || r->by ? GIVEN_TABLE : 0u) |
	       (r->seq || r->why ? GIVEN_REDACT : 0u) |
	       ((config->state_path && !config->state_is_default) ||
			config->state_is_none
		    ? GIVEN_STATE
		    : 0u);
}

static enum status run_key(const struct config *config, struct error *err)
{
	return run_printing(config, print_keys, err);
}

static enum status run_cat(const struct config *config, struct error *err)
{
	return run_printing(config, print_lines, err);
}

static const struct action {
	const char *name;
	const char *words; /* behind PATH */
	unsigned word_count;
	unsigned takes; /* enum given */
	enum status (*run)(const struct config *config, struct error *err);
} actions[] = {
    {"verify", "", 0,
     GIVEN_JSON | GIVEN_KEY | GIVEN_CHECKPOINT | GIVEN_DATABASE | GIVEN_UNTIL,
     audit_verify_run},
    {"history", " TABLE KEY", 2, GIVEN_JSON | GIVEN_AT, audit_history_run},
    {"report", "", 0, GIVEN_JSON | GIVEN_UNTIL | GIVEN_FILTERS | GIVEN_TABLE,
     audit_report_run},
    {"redact", "", 0, GIVEN_KEY | GIVEN_TABLE | GIVEN_REDACT | GIVEN_STATE,
     audit_redact_run},
    {"prove", " N", 1, 0, audit_prove_run},
    {"consistency", " --from SIZE", 0, GIVEN_FROM, audit_consistency_run},
    {"key", "", 0, 0, run_key},
    {"cat", "", 0, 0, run_cat},
};

static enum status run_action(const struct action *action, const struct config *config,
			      struct error *err)
{
	unsigned refused = given_options(config) & ~action->takes;

	if (config->word_count != 2 + action->word_count) {
		return error_set(err, ST_CONFIG,
				 "too %s words: rowtail audit %s PATH%s (a database of "
				 "that name is ./audit)",
				 config->word_count < 2 + action->word_count ? "few"
									     : "many",
				 action->name, action->words);
	}
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		if (options[i].option & refused) {
			return error_set(err, ST_CONFIG,
					 "%s: does not go with rowtail audit %s; leave "
					 "it out",
					 options[i].name, action->name);
		}
	}
	return action->run(config, err);
}

static enum status run(const struct config *config, struct error *err)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		if (strcmp(config->words[0], actions[i].name) == 0) {
			return run_action(&actions[i], config, err);
		}
	}
	return error_set(err, ST_CONFIG,
			 "audit %s: must be verify, history, report, redact, prove, "
			 "consistency, key or cat (a database of that name is ./audit)",
			 config->words[0]);
}

static const char *const forms[] = {"verify PATH",
				    "history PATH TABLE KEY",
				    "report PATH",
				    "redact PATH",
				    "prove PATH N",
				    "consistency PATH",
				    "key PATH",
				    "cat PATH",
				    NULL};

const struct command audit_command = {
    .name = "audit",
    .usage = "ACTION PATH [TABLE KEY | N] [OPTION]...",
    .forms = forms,
    .help = "ask an audit log: verify: is it what was written?\n"
	    "history PATH TABLE KEY: what became of a row; report: who\n"
	    "did what; prove PATH N: a proof of one line; consistency:\n"
	    "one for a witness; key: who signs it (keep it elsewhere);\n"
	    "cat: its lines; redact: take lines out, and say so\n",
    .words = 4,
    .least_words = 2,
    .takes_json = true,
    .takes_at = true,
    .takes_audit = true,
    .takes_state = true,
    .run = run,
};

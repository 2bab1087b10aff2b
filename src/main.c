/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/main.c -- from the command line to an exit code; nothing else ends the program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schemas/compute_child.h"
#include "src/base/log.h"
#include "src/base/standard_fds.h"
#include "src/base/stop.h"
#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/settings.h"
#include "src/follow.h"

static void say_warnings(const struct config *config)
{
	for (size_t i = 0; i < config->warning_count; i++) {
		log_line(LOG_WARN, "%s", config->warnings[i]);
	}
}

/* Of settings; one may be the error itself. */
static void say_problems(const struct config *config, const struct error *err)
{
	for (size_t i = 0; i < config->problems.count; i++) {
		if (strcmp(config->problems.texts[i], err->text) != 0) {
			log_line(LOG_ERROR, "%s", config->problems.texts[i]);
		}
	}
}

static enum status print_usage(struct error *err)
{
	struct buffer text;
	bool ok;

	buffer_init(&text);
	cli_add_usage(&text);
	ok = buffer_ok(&text);
	if (ok) {
		(void)fwrite(text.bytes, 1, text.len, stdout);
	}
	buffer_clear(&text);
	return ok ? ST_OK : error_no_memory(err, "the help");
}

static enum status run(const struct config *config, struct error *err)
{
	enum status status = stop_setup(err);

	if (status != ST_OK) {
		return status;
	}
	return config->command ? config->command->run(config, err)
			       : follow_run(config, err);
}

/* What was printed; a reader that has gone is no error. */
static bool is_written(void)
{
	errno = 0;
	return (fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE;
}

int main(int argc, char **argv)
{
	struct config config;
	struct error err = {0};
	bool is_told = false;
	enum status status;

	if (compute_child_is(argc, argv)) {
		return compute_child_run();
	}
	if (!standard_fds_open()) {
		return 1;
	}
	config_init(&config);
	status = cli_parse(argc, argv, &config, &err);
	log_setup(config.log_most, config.log_json);
	if (!config.command || config.command->takes_archive) {
		log_setup_times(); /* what goes on is a log, what answers is none */
	}
	if (status == ST_OK && config.wants_help) {
		status = print_usage(&err);
	} else if (status == ST_OK && config.wants_version) {
		(void)puts("rowtail " ROWTAIL_VERSION);
	} else if (status == ST_OK) {
		is_told = config.is_check;
		if (!is_told) {
			say_warnings(&config);
		}
		status = run(&config, &err);
	}
	if (status_exit_code(status) == 0 && !is_written()) {
		status = error_set(&err, ST_IO, "standard output is closed or full");
	}
	if (status == ST_CONFIG && !is_told) {
		say_problems(&config, &err);
	}
	if (status_exit_code(status) != 0) {
		error_name_limits(&err);
		log_line(LOG_ERROR, "%s", err.text);
	}
	config_clear(&config);
	return status_exit_code(status);
}

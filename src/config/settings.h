/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/settings.h -- settings, as they are given, become the configuration.
 *
 * Properties (Debezium's names and rowtail's own) come from the command line, from -D
 * and from --config files, in this order of precedence, whatever order they are set
 * in; of two with the same rank the later one counts. An unknown key is an error at
 * once; values are checked by config_finish, and only those that count.
 *
 * OWNERSHIP  config_init / config_clear; all texts belong to the config.
 * THREADS    One thread at a time; read-only after config_finish.
 * ERRORS     ST_CONFIG: the text names where the setting comes from ("-D KEY",
 *            "FILE:LINE: KEY", "--option") and what it may be. ST_NOMEM.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "src/base/status.h"
#include "src/config/config.h"

enum config_rank { CONFIG_FILE, CONFIG_DEFINE, CONFIG_COMMAND_LINE };

/* All defaults; cannot fail. */
void config_init(struct config *config);
void config_clear(struct config *config);

/*
 * Note `key` = `value`. `where` goes in front of the key in messages ("-D ",
 * "FILE:12: "). ST_CONFIG for an unknown key, with the nearest known one.
 */
enum status config_set(struct config *config, enum config_rank rank, const char *where,
		       const char *key, const char *value,
		       struct error *err) MUST_CHECK;

/* `text` as --to has it. */
enum status config_set_sink(struct config *config, const char *text,
			    struct error *err) MUST_CHECK;

/*
 * config_set for each property of the file, a .properties file or a connector
 * (src/config/connector_file.h). What is wrong with a property is told by
 * config_finish, with all else that is.
 */
enum status config_load(struct config *config, const char *path,
			struct error *err) MUST_CHECK;

/* The state directory beside the database or archive `place`, by whatever link that is
 * named; the caller's. NULL: no memory. */
char *config_default_state(const char *place);

/* Check what was set, fill the fields, derive the defaults that depend on others. */
enum status config_finish(struct config *config, struct error *err) MUST_CHECK;

#endif

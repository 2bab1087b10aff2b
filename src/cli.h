/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/cli.h -- the command line.
 *
 * THREADS  Before any thread is started: getopt_long keeps state.
 * ERRORS   ST_CONFIG (exit 2): the text names the option and says what to do.
 *          ST_NOMEM.
 */
#ifndef CLI_H
#define CLI_H

#include "src/base/buffer.h"
#include "src/config/config.h"

/*
 * Read the command line and the files it names into `*config`, which the caller has
 * initialised; it must be cleared also after an error, and its log settings hold
 * then as far as they were read. With --help or --version nothing else is set.
 */
enum status cli_parse(int argc, char **argv, struct config *config,
		      struct error *err) MUST_CHECK;

/* The long options, without their dashes; NULL: no more. `*takes_value`: "--NAME
 * VALUE" or "--NAME=VALUE". */
const char *cli_option_at(size_t index, bool *takes_value);

/* Append the text of --help. */
void cli_add_usage(struct buffer *out);

#endif

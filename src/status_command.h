/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/status_command.h -- rowtail status: what a state directory says, on stdout.
 *
 * Nothing is taken or changed: a process may go on with the directory meanwhile.
 *
 * THREADS  One.
 * ERRORS   As state_dir_read and journal_scan; ST_IO when stdout takes nothing.
 */
#ifndef STATUS_COMMAND_H
#define STATUS_COMMAND_H

#include "src/config/config.h"

/* Lines "name: value", or one JSON object with config->json. */
enum status status_command(const struct config *config, struct error *err) MUST_CHECK;

#endif

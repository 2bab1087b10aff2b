/* SPDX-License-Identifier: Apache-2.0 */
#include "src/command_table.h"

#include <string.h>

#define COMMAND_ENTRY(which) &(which),
static const struct command *const commands[] = {COMMANDS(COMMAND_ENTRY)};

const struct command *command_table_at(size_t index)
{
	return index < sizeof commands / sizeof *commands ? commands[index] : NULL;
}

const struct command *command_table_find(const char *name)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		if (strcmp(command->name, name) == 0) {
			return command;
		}
	}
	return NULL;
}

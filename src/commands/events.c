/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/events.c -- rowtail events: change events out of an archive.
 *
 * It is a run like that of a live database (src/follow.h), with another source
 * (src/archive/archived.h).
 */
#include "src/command_table.h"
#include "src/follow.h"

static const char *const forms[] = {"ARCHIVE", NULL};

const struct command events_command = {
    .name = "events",
    .usage = "ARCHIVE [--from WHEN] [--until WHEN|--follow] [OPTION]...",
    .forms = forms,
    .help = "print the changes between two states, with all options\n"
	    "and sinks that there are for a database\n",
    .takes_archive = true,
    .run = follow_run,
};

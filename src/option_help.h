/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/option_help.h -- what people are told of the options, from one table: --help, the
 * synopses and options of the man pages, the table of docs/options.md.
 *
 * An option that means one thing to a run and another to a command is there twice. What
 * the command line takes is said in src/cli.c; tests hold that both say the same.
 *
 * THREADS  Constant.
 */
#ifndef OPTION_HELP_H
#define OPTION_HELP_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buffer.h"

struct option_help {
	const char *name;     /* without dashes; of one letter: -D */
	const char *argument; /* as a synopsis has it: what is typed is in small
			       * letters; NULL: none */
	const char *of;  /* NULL: following a database; else commands, or actions of
			  * them, "status, archive list" */
	bool is_needed;  /* by them: it is no choice */
	bool is_in_form; /* command->forms says so already */
	bool may_repeat;
	bool is_alone; /* with nothing else: --help */
	/* For people; `x` in backquotes is a word to be typed. */
	const char *text; /* one line */
	const char *more; /* NULL, or sentences for the man page */
	const char
	    *page; /* NULL, or where docs/options.md says more: "docs/kafka.md" */
};

/* In the order of --help. NULL: no more. */
const struct option_help *option_help_at(size_t index);

/* It goes with a command, or with `command action`. */
bool option_help_is_of(const struct option_help *option, const char *name);

/* Append "--state DIR". */
void option_help_add_name(struct buffer *out, const struct option_help *option);

/* Append the names that it goes with, "status, archive list and audit verify". */
void option_help_add_of(struct buffer *out, const struct option_help *option);

#endif

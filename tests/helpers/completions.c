/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/helpers/completions.c -- what a shell offers behind "rowtail", made from the
 * tables of options, commands, sinks and properties:
 *
 *     completions bash|zsh
 */
#include <stdio.h>
#include <string.h>

#include "sinks/sink_table.h"
#include "src/cli.h"
#include "src/command_table.h"
#include "src/config/property_table.h"

/* Those whose value is a path. */
static const char *const of_paths[] = {"archive",  "checkpoint", "config",
				       "database", "key",        "state"};

static bool is_of_paths(const char *name)
{
	for (size_t i = 0; i < sizeof of_paths / sizeof *of_paths; i++) {
		if (strcmp(name, of_paths[i]) == 0) {
			return true;
		}
	}
	return false;
}

static void print_commands(void)
{
	const struct command *command;

	for (size_t i = 0; (command = command_table_at(i)) != NULL; i++) {
		(void)printf("%s%s", i > 0 ? " " : "", command->name);
	}
}

static void print_sinks(void)
{
	const struct sink_kind *kind;

	for (size_t i = 0; (kind = sink_table_at(i)) != NULL; i++) {
		(void)printf("%s%s", i > 0 ? " " : "", kind->scheme);
	}
}

/* Families too, up to where their members differ. */
static void print_properties(void)
{
	bool is_first = true;

	for (size_t i = 0; i < property_count(); i++) {
		const struct property *p = property_at(i);

		if (p->kind == PROPERTY_BUILT && p->name[0] != '-') {
			(void)printf("%s%.*s", is_first ? "" : " ",
				     (int)strcspn(p->name, "*"), p->name);
			is_first = false;
		}
	}
}

static void print_options(bool paths_only, const char *between)
{
	const char *name;
	bool takes_value, is_first = true;

	for (size_t i = 0; (name = cli_option_at(i, &takes_value)) != NULL; i++) {
		if (!paths_only || is_of_paths(name)) {
			(void)printf("%s--%s", is_first ? "" : between, name);
			is_first = false;
		}
	}
}

/* Options with a value of which nothing is known: nothing is offered. */
static void print_others(void)
{
	const char *name;
	bool takes_value, is_first = true;

	for (size_t i = 0; (name = cli_option_at(i, &takes_value)) != NULL; i++) {
		if (takes_value && !is_of_paths(name) && strcmp(name, "to") != 0 &&
		    strcmp(name, "lines") != 0 && strcmp(name, "log-format") != 0) {
			(void)printf("%s--%s", is_first ? "" : "|", name);
			is_first = false;
		}
	}
}

static void print_bash(void)
{
	(void)puts(
	    "# bash completion for rowtail\n\n_rowtail()\n{\n"
	    "\tlocal cur prev words cword\n"
	    "\tif declare -F _init_completion >/dev/null; then\n"
	    "\t\t_init_completion -n =: || return\n\telse\n"
	    "\t\tcur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\t\tcword=$COMP_CWORD\n\tfi\n\tcase $prev in");
	(void)fputs("\t-D)\n\t\tCOMPREPLY=($(compgen -S = -W '", stdout);
	print_properties();
	(void)fputs("' -- \"$cur\"))\n\t\tcompopt -o nospace 2>/dev/null\n"
		    "\t\treturn ;;\n\t--to)\n\t\tCOMPREPLY=($(compgen -W '",
		    stdout);
	print_sinks();
	(void)fputs("' -- \"$cur\"))\n\t\tcompopt -o nospace 2>/dev/null\n"
		    "\t\treturn ;;\n\t--lines)\n"
		    "\t\tCOMPREPLY=($(compgen -W 'value record' -- \"$cur\"))\n"
		    "\t\treturn ;;\n\t--log-format)\n"
		    "\t\tCOMPREPLY=($(compgen -W 'text json' -- \"$cur\"))\n"
		    "\t\treturn ;;\n\t",
		    stdout);
	print_options(true, "|");
	(void)fputs(")\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		    "\t\tcompopt -o filenames 2>/dev/null\n\t\treturn ;;\n\t",
		    stdout);
	print_others();
	(void)fputs(")\n\t\tCOMPREPLY=()\n\t\treturn ;;\n\tesac\n"
		    "\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W '",
		    stdout);
	print_options(false, " ");
	(void)fputs(" -D' -- \"$cur\"))\n\t\treturn\n\tfi\n"
		    "\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		    "\tcompopt -o filenames 2>/dev/null\n"
		    "\tif ((cword == 1)); then\n\t\tCOMPREPLY+=($(compgen -W '",
		    stdout);
	print_commands();
	(void)puts("' -- \"$cur\"))\n\tfi\n}\n\ncomplete -F _rowtail rowtail");
}

static void print_zsh_option(const char *name, bool takes_value)
{
	const char *what = "value:";

	if (is_of_paths(name)) {
		what = "path:_files";
	} else if (strcmp(name, "lines") == 0) {
		what = "form:(value record)";
	} else if (strcmp(name, "log-format") == 0) {
		what = "form:(text json)";
	}
	(void)printf("\t'*--%s%s%s' \\\n", name, takes_value ? "=:" : "",
		     takes_value ? what : "");
}

static void print_zsh(void)
{
	const char *name;
	bool takes_value;

	(void)fputs("#compdef rowtail\n\n_rowtail_first()\n{\n\tcompadd -- ", stdout);
	print_commands();
	(void)fputs("\n\t_files\n}\n\n_rowtail_properties()\n{\n\tcompadd -S = -- ",
		    stdout);
	print_properties();
	(void)fputs("\n}\n\n_rowtail_sinks()\n{\n\tcompadd -S '' -- ", stdout);
	print_sinks();
	(void)puts("\n}\n\n_arguments -s \\");
	for (size_t i = 0; (name = cli_option_at(i, &takes_value)) != NULL; i++) {
		if (strcmp(name, "to") != 0) {
			print_zsh_option(name, takes_value);
		}
	}
	(void)puts("\t'*--to=:sink:_rowtail_sinks' \\\n"
		   "\t'*-D:property:_rowtail_properties' \\\n"
		   "\t'1:database or command:_rowtail_first' \\\n\t'*:file:_files'");
}

int main(int argc, char **argv)
{
	const char *shell = argc == 2 ? argv[1] : "";

	if (strcmp(shell, "bash") == 0) {
		print_bash();
	} else if (strcmp(shell, "zsh") == 0) {
		print_zsh();
	} else {
		(void)fprintf(stderr, "usage: completions bash|zsh\n");
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

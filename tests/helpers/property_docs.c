/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/helpers/property_docs.c -- what documents say of the properties:
 *
 *     property_docs markdown  the rows of the table of docs/options.md
 *     property_docs man       the items of the man page
 *
 * tests/tools/property_docs.py puts them where they belong, or compares.
 */
#include <stdio.h>
#include <string.h>

#include "src/config/property_help.h"

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	struct buffer text;
	int code = 1;

	buffer_init(&text);
	if (strcmp(what, "markdown") == 0) {
		property_help_add_markdown(&text);
	} else if (strcmp(what, "man") == 0) {
		property_help_add_mdoc(&text);
	} else {
		(void)fprintf(stderr, "usage: property_docs markdown|man\n");
		return 2;
	}
	if (buffer_ok(&text) && fwrite(text.bytes, 1, text.len, stdout) == text.len) {
		code = 0;
	}
	buffer_clear(&text);
	return code;
}

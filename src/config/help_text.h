/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/help_text.h -- how texts of the tables are set: for --help, where lines
 * are wrapped, and for man pages, as roff reads them. `x` in backquotes is a word to be
 * typed: bold, and in --help as it is.
 *
 * THREADS  No shared state.
 */
#ifndef HELP_TEXT_H
#define HELP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buffer.h"

/* Characters of UTF-8, not bytes. */
size_t help_columns(const char *text, size_t len);

/* `text` from column `text_column` on, where the line has come to `column`; backquotes
 * are left out. */
void help_add_wrapped(struct buffer *out, const char *text, size_t column,
		      size_t text_column);

/* A word as roff reads it: bold between backquotes. Where the line begins, a word that
 * is a request to roff is told to be none. */
void help_add_roff(struct buffer *out, const char *text, size_t len, bool *is_bold);

/* ": " and a link to a page, "docs/kafka.md#topics", in another page of docs/. */
void help_add_link(struct buffer *out, const char *page);

/* Lines of a man page, as a sentence: its first letter is a capital one, unless it
 * begins with a word to be typed, and it ends with a full stop. */
void help_add_sentence(struct buffer *out, const char *text);

#endif

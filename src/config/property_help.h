/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property_help.h -- what people are told of the properties, from their
 * table.
 *
 * THREADS  No shared state.
 */
#ifndef PROPERTY_HELP_H
#define PROPERTY_HELP_H

#include "src/base/buffer.h"

/* Append the lines of --help: names, what they are for, and their defaults. */
void property_help_add(struct buffer *out);

/* Append the rows of the table of docs/options.md. */
void property_help_add_markdown(struct buffer *out);

/* Append the items of the man page, by name. */
void property_help_add_mdoc(struct buffer *out);

#endif

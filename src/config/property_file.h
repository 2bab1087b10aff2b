/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property_file.h -- Java-style .properties files.
 *
 * As java.util.Properties.load, but UTF-8: '#' and '!' begin a comment line; key and
 * value are separated by '=', ':' or white space; a line that ends in an odd number of
 * '\' goes on with the next, whose leading white space is dropped; \t \n \r \f \uXXXX
 * (surrogates in pairs) are escapes, and '\' before any other character gives
 * that character.
 *
 * OWNERSHIP  Keys and values are borrowed for the length of the call.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG with "FILE:LINE: …" (bad \u escape, NUL byte; the file
 *            cannot be read), ST_NOMEM; whatever `set` returns is handed on.
 */
#ifndef PROPERTY_FILE_H
#define PROPERTY_FILE_H

#include <stddef.h>

#include "src/base/buffer.h"
#include "src/base/status.h"

/* Takes one property; `line` is the number, from 1, of the line where it begins. */
typedef enum status property_set(void *context, const char *key, const char *value,
				 unsigned line, struct error *err);

/* Call `set` for each property of the `len` bytes, in order. `name` is for messages. */
enum status property_file_parse(const char *name, const char *text, size_t len,
				property_set *set, void *context,
				struct error *err) MUST_CHECK;

/* Append what the file `path` has to `out`, which is initialised. */
enum status property_file_read(const char *path, struct buffer *out,
			       struct error *err) MUST_CHECK;

/* Read it and parse it. */
enum status property_file_load(const char *path, property_set *set, void *context,
			       struct error *err) MUST_CHECK;

#endif

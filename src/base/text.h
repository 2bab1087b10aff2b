/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/text.h -- questions about texts that end with a NUL.
 *
 * THREADS  Any; in signal handlers, too.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <string.h>

static inline bool text_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

#endif

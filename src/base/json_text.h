/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/json_text.h -- a text of any bytes as JSON can have it.
 *
 * OWNERSHIP  The caller's reference.
 * THREADS    No shared state.
 */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <jansson.h>

/* What is no UTF-8 is made safe (src/base/utf8.h). NULL is null. Gives NULL without
 * memory. */
json_t *json_text(const char *text);

#endif

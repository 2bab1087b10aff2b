/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PLAIN                                                               \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_" \
	"+:@%,=-"
#define CUT "...'"

struct quoted quote(const char *name)
{
	const char *before = name[0] == '-' ? "./" : "";
	struct quoted out;
	size_t len = strlen(name);
	size_t at;

	if (len > 0 && strspn(name, PLAIN) == len &&
	    len + sizeof "./" <= sizeof out.text) {
		(void)snprintf(out.text, sizeof out.text, "%s%s", before, name);
		return out;
	}
	at = (size_t)snprintf(out.text, sizeof out.text, "'%s", before);
	for (const char *p = name; *p; p++) {
		const char *piece = *p == '\'' ? "'\\''" : (const char[]){*p, '\0'};
		size_t piece_len = strlen(piece);

		if (at + piece_len + sizeof CUT > sizeof out.text) {
			memcpy(out.text + at, CUT, sizeof CUT);
			return out;
		}
		memcpy(out.text + at, piece, piece_len);
		at += piece_len;
	}
	memcpy(out.text + at, "'", 2);
	return out;
}

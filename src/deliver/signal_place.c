/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 128 /* more than any has */

bool signal_place_is_same(const struct signal_place *a, const struct signal_place *b)
{
	return a->inode == b->inode && a->taken == b->taken &&
	       a->tail_len == b->tail_len && a->tail_hash == b->tail_hash;
}

void signal_place_add(const struct signal_place *place, struct buffer *text)
{
	char line[LINE_BYTES];

	if (place->taken == 0) {
		return;
	}
	(void)snprintf(line, sizeof line,
		       "\nfile %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64,
		       place->inode, place->taken, place->tail_len, place->tail_hash);
	buffer_add_str(text, line);
}

static bool is_fit(const struct signal_place *place)
{
	return place->taken > 0 && place->taken <= INT64_MAX && place->tail_len > 0 &&
	       place->tail_len <= SIGNAL_TAIL_BYTES && place->tail_len <= place->taken;
}

struct span signal_place_take(struct span text, struct signal_place *place)
{
	const char *end = text.len > 0 ? memchr(text.bytes, '\n', text.len) : NULL;
	struct span before = {text.bytes, end ? (size_t)(end - text.bytes) : text.len};
	size_t len = text.len - before.len;
	char line[LINE_BYTES];
	int used = -1;

	*place = (struct signal_place){0};
	if (!end || len >= sizeof line) {
		return before;
	}
	memcpy(line, end, len);
	line[len] = '\0';
	if (sscanf(line, "\nfile %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 "%n",
		   &place->inode, &place->taken, &place->tail_len, &place->tail_hash,
		   &used) != 4 ||
	    used != (int)len || !is_fit(place)) {
		*place = (struct signal_place){0};
	}
	return before;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 128 /* more than any has */

bool signal_places_are_same(const struct signal_places *a,
			    const struct signal_places *b)
{
	return a->file.inode == b->file.inode && a->file.taken == b->file.taken &&
	       a->file.tail_len == b->file.tail_len &&
	       a->file.tail_hash == b->file.tail_hash &&
	       a->kafka.topic == b->kafka.topic && a->kafka.next == b->kafka.next &&
	       a->kafka.hash == b->kafka.hash;
}

void signal_places_add(const struct signal_places *places, struct buffer *text)
{
	const struct signal_place *file = &places->file;
	const struct kafka_signals_place *kafka = &places->kafka;
	char line[LINE_BYTES];

	if (file->taken > 0) {
		(void)snprintf(line, sizeof line,
			       "\nfile %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64,
			       file->inode, file->taken, file->tail_len,
			       file->tail_hash);
		buffer_add_str(text, line);
	}
	if (kafka->next > 0) {
		(void)snprintf(line, sizeof line,
			       "\nkafka %" PRIx64 " %" PRIu64 " %" PRIx64, kafka->topic,
			       kafka->next, kafka->hash);
		buffer_add_str(text, line);
	}
}

static bool take_file(const char *line, struct signal_place *place)
{
	int used = -1;

	return sscanf(line, "file %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 "%n",
		      &place->inode, &place->taken, &place->tail_len, &place->tail_hash,
		      &used) == 4 &&
	       used == (int)strlen(line) && place->taken > 0 &&
	       place->taken <= INT64_MAX && place->tail_len > 0 &&
	       place->tail_len <= SIGNAL_TAIL_BYTES && place->tail_len <= place->taken;
}

static bool take_kafka(const char *line, struct kafka_signals_place *place)
{
	int used = -1;

	return sscanf(line, "kafka %" SCNx64 " %" SCNu64 " %" SCNx64 "%n",
		      &place->topic, &place->next, &place->hash, &used) == 3 &&
	       used == (int)strlen(line) && place->next > 0 && place->next <= INT64_MAX;
}

static void take_line(struct span bytes, struct signal_places *places)
{
	struct signal_places found = {.file = {0}};
	char line[LINE_BYTES];

	if (bytes.len >= sizeof line) {
		return;
	}
	memcpy(line, bytes.bytes, bytes.len);
	line[bytes.len] = '\0';
	if (take_file(line, &found.file)) {
		places->file = found.file;
	}
	if (take_kafka(line, &found.kafka)) {
		places->kafka = found.kafka;
	}
}

/* Up to an end of line, or all. */
static struct span first_line(struct span text)
{
	const char *end = text.len > 0 ? memchr(text.bytes, '\n', text.len) : NULL;

	return (struct span){text.bytes, end ? (size_t)(end - text.bytes) : text.len};
}

struct span signal_places_take(struct span text, struct signal_places *places)
{
	struct span before = first_line(text);
	struct span line = before;

	*places = (struct signal_places){.file = {0}};
	while (line.len < text.len) {
		text.bytes += line.len + 1;
		text.len -= line.len + 1;
		line = first_line(text);
		take_line(line, places);
	}
	return before;
}

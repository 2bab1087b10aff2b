/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_writers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"

#define START_BYTES  8
#define WRITER_BYTES 16
#define TEXT_MOST    UINT16_MAX

static size_t text_bytes(const char *text)
{
	return text ? strnlen(text, TEXT_MOST) : 0;
}

size_t journal_writers_bytes(const struct writers *writers)
{
	size_t bytes = START_BYTES;

	for (size_t i = 0; i < writers->total; i++) {
		bytes += WRITER_BYTES + text_bytes(writers->list[i]->exe) +
			 text_bytes(writers->list[i]->unit);
	}
	return (bytes + 7) / 8 * 8;
}

void journal_writers_put(uint8_t *to, const struct writers *writers)
{
	size_t bytes = journal_writers_bytes(writers);
	const uint8_t *start = to;

	memset(to, 0, bytes);
	put_u32le(to, (uint32_t)writers->total);
	to += START_BYTES;
	for (size_t i = 0; i < writers->total; i++) {
		const struct writer *writer = writers->list[i];
		size_t exe = text_bytes(writer->exe);
		size_t unit = text_bytes(writer->unit);

		put_u32le(to, writer->pid);
		put_u32le(to + 4, writer->uid);
		put_u32le(to + 8, writer->loginuid);
		put_u32le(to + 12, (uint32_t)(exe | unit << 16));
		to += WRITER_BYTES;
		memcpy(to, exe > 0 ? writer->exe : "", exe);
		memcpy(to + exe, unit > 0 ? writer->unit : "", unit);
		to += exe + unit;
	}
	assert((size_t)(to - start) <= bytes);
}

/* The next of them; NULL: it is not so written, or no memory. */
static struct writer *get_writer(const uint8_t **at, const uint8_t *end)
{
	struct writer from = {0};
	struct writer *writer;
	char *texts;
	size_t exe, unit;

	if ((size_t)(end - *at) < WRITER_BYTES) {
		return NULL;
	}
	exe = get_u32le(*at + 12) & TEXT_MOST;
	unit = get_u32le(*at + 12) >> 16;
	if ((size_t)(end - *at) - WRITER_BYTES < exe + unit) {
		return NULL;
	}
	texts = calloc(1, exe + unit + 2);
	if (!texts) {
		return NULL;
	}
	memcpy(texts, *at + WRITER_BYTES, exe);
	memcpy(texts + exe + 1, *at + WRITER_BYTES + exe, unit);
	from.pid = get_u32le(*at);
	from.uid = get_u32le(*at + 4);
	from.loginuid = get_u32le(*at + 8);
	from.exe = exe > 0 ? texts : NULL;
	from.unit = unit > 0 ? texts + exe + 1 : NULL;
	*at += WRITER_BYTES + exe + unit;
	writer = writer_new(&from);
	free(texts);
	return writer;
}

struct writers *journal_writers_get(const uint8_t *from, size_t len)
{
	struct writer *list[WRITERS_MOST] = {NULL};
	struct writers *writers = NULL;
	const uint8_t *at = from + START_BYTES;
	size_t total = len >= JOURNAL_WRITERS_LEAST ? get_u32le(from) : 0;
	size_t got = 0;

	if (total == 0 || total > WRITERS_MOST) {
		return NULL;
	}
	while (got < total && (list[got] = get_writer(&at, from + len)) != NULL) {
		got++;
	}
	if (got == total) {
		writers = writers_new(list, total);
	}
	for (size_t i = 0; i < got; i++) {
		writer_drop(list[i]);
	}
	return writers;
}

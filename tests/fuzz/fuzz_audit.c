/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_audit.c -- the bytes of an audit log, of a key and of a checkpoint,
 * from a stranger.
 *
 * The lines are judged as a start and rowtail audit verify do; what is found must not
 * be more than a few findings a line, and nobody reads past a line's end. What a line
 * tells goes into texts, CSV and a row, as rowtail audit history and report do it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/audit/check.h"
#include "src/audit/event.h"
#include "src/commands/audit_csv.h"
#include "src/commands/audit_filter.h"
#include "src/commands/audit_row.h"
#include "src/commands/audit_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *context, const struct audit_found *what)
{
	uint64_t *count = context;

	if (!audit_finding_name(what->finding)) {
		abort();
	}
	(*count)++;
}

/* What a line tells, in all forms. */
static void tell(struct span line, struct audit_row *row)
{
	struct config config = {.report = {.value = (char *)(uintptr_t) "a",
					   .by = (char *)(uintptr_t) "a"}};
	struct audit_filter filter;
	struct audit_event event;
	struct buffer b;
	struct error err;

	if (!audit_event_read(line, &event)) {
		return;
	}
	buffer_init(&b);
	audit_text_add_key(&b, event.key);
	audit_text_add_changes(&b, &event, NULL);
	audit_text_add_who(&b, event.by);
	audit_text_add_why(&b, event.by);
	audit_text_add_candidates(&b, event.candidates);
	audit_text_add_process(&b, &event);
	audit_text_add_program(&b, &event);
	audit_text_add_rest(&b, &event);
	audit_csv_add(&b, &event, NULL);
	if (!buffer_ok(&b) || audit_filter_open(&filter, &config, &err) != ST_OK) {
		abort();
	}
	(void)audit_filter_match(&filter, &event);
	audit_filter_close(&filter);
	if (audit_row_take(row, &event, &err) != ST_OK) {
		abort();
	}
	buffer_clear(&b);
	audit_event_clear(&event);
}

static void check_lines(const char *bytes, size_t len)
{
	uint64_t count = 0, lines = 0;
	struct audit_check_settings settings = {.found = found, .context = &count};
	struct audit_check check;
	struct audit_row row;
	struct error err;

	audit_row_open(&row, "2026-11-07T13:37:55.200Z", "2026-11-07T13:37:00.000Z");
	if (audit_check_open(&check, &settings, &err) != ST_OK) {
		abort();
	}
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t line_len = end ? (size_t)(end - bytes) : len;
		char *line = malloc(line_len + 1); /* so that a read past it shows */

		if (!line) {
			abort();
		}
		memcpy(line, bytes, line_len);
		line = realloc(line, line_len > 0 ? line_len : 1);
		if (audit_check_line(&check, (struct span){line, line_len}, NULL,
				     lines == 0 || line_len % 3 == 0, end != NULL,
				     &err) != ST_OK) {
			abort();
		}
		tell((struct span){line, line_len}, &row);
		free(line);
		lines++;
		bytes += line_len + (end != NULL);
		len -= line_len + (end != NULL);
	}
	if (audit_check_end(&check, &err) != ST_OK || count > 4 * lines + 2) {
		abort();
	}
	audit_check_close(&check);
	audit_row_close(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct audit_note note;
	struct audit_key key;
	struct error err;

	check_lines(bytes, size);
	if (audit_key_parse(bytes, size, &key, &err) == ST_OK) {
		struct buffer text;

		buffer_init(&text);
		audit_key_add(&text, &key, key.is_private);
		if (text.len != size || memcmp(text.bytes, data, size) != 0) {
			abort(); /* a key has one text */
		}
		buffer_clear(&text);
	}
	if (audit_note_parse(bytes, size, &note, &err) == ST_OK) {
		(void)audit_note_is_signed(&note, &key);
	}
	return 0;
}

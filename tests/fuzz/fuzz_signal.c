/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_signal.c -- a signal from a stranger, and a damaged text of what was
 * asked for.
 *
 * A signal that is taken has what src/deliver/signal.h says. What is read of a text is
 * written as a text that is read again and is the same then.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/deliver/signal.h"
#include "src/deliver/signal_place.h"
#include "src/deliver/snapshots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_right)
{
	if (!is_right) {
		abort();
	}
}

static void check_signal(const struct signal *signal)
{
	size_t len = strlen(signal->id);

	must(len > 0 && len <= SIGNAL_MAX_ID);
	for (size_t i = 0; i < len; i++) {
		must((unsigned char)signal->id[i] >= ' ');
	}
	must((signal->message != NULL) == (signal->type == SIGNAL_LOG));
	must(signal->type != SIGNAL_EXECUTE_SNAPSHOT || signal->pattern_count > 0);
	must(signal->pattern_count <= SIGNAL_MAX_LIST &&
	     signal->condition_count <= SIGNAL_MAX_LIST);
	for (size_t i = 0; i < signal->pattern_count; i++) {
		must(signal->patterns[i] != NULL);
	}
	for (size_t i = 0; i < signal->condition_count; i++) {
		must(signal->conditions[i].table && signal->conditions[i].filter);
	}
}

static void read_signal(struct span line)
{
	struct signal *signal;
	struct error err;
	bool is_like;

	switch (signal_parse_line(line, &signal, &is_like, &err)) {
	case ST_OK:
		must(is_like);
		check_signal(signal);
		signal_free(signal);
		break;
	case ST_CONFIG:
		must(memchr(err.text, '\n', strlen(err.text)) == NULL);
		break;
	default:
		abort();
	}
}

/* As a later run takes it. False: it is none of ours. */
static bool take(struct span text, struct buffer *again)
{
	static const struct snapshots_events nobody = {.context = NULL};
	struct signal_places places;
	struct span asked = signal_places_take(text, &places);
	struct snapshots *snapshots;
	struct error err;

	if (snapshots_open(asked, &nobody, &snapshots, &err) != ST_OK) {
		must(err.status == ST_DAMAGED);
		return false;
	}
	(void)snapshots_are_due(snapshots);
	(void)snapshots_block(snapshots);
	must(snapshots_text(snapshots, again, &err) == ST_OK);
	signal_places_add(&places, again);
	must(buffer_ok(again));
	snapshots_close(snapshots);
	return true;
}

static void read_text(struct span text)
{
	struct buffer once, twice;

	buffer_init(&once);
	buffer_init(&twice);
	if (take(text, &once)) {
		must(take((struct span){once.bytes, once.len}, &twice));
		must(once.len == twice.len &&
		     memcmp(once.bytes, twice.bytes, once.len) == 0);
	}
	buffer_clear(&once);
	buffer_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size > 0 ? size : 1); /* so that a read past it shows */

	must(bytes != NULL);
	memcpy(bytes, data, size);
	read_signal((struct span){bytes, size});
	read_text((struct span){bytes, size});
	free(bytes);
	return 0;
}

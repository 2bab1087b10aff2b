/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/archive_look.h -- what an archive has, and whose it is, before anything
 * is written to it.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    No shared state.
 * ERRORS     As src/archive/uploader.h.
 */
#ifndef ARCHIVE_LOOK_H
#define ARCHIVE_LOOK_H

#include <stdbool.h>

#include "src/archive/archive_resume.h"
#include "src/storage/storage.h"
#include "src/storage/storage_settings.h"

/* May it be reached, or be as it should be, at another time? */
bool archive_may_pass(enum status status);

/* What the files of `list` are; `known` is zeros before. */
enum status archive_known_read(struct storage *storage, const struct archive_list *list,
			       struct archive_known *known,
			       struct error *err) MUST_CHECK;

/* Who writes to archives for that state directory; false: nobody does yet. */
bool archive_writer_of(int state_fd, char writer[OUTBOX_WRITER_BYTES]);

struct archive_looking {
	const char *location;
	const struct storage_settings *storage;
	const char *writer; /* 32 hex digits: us; "": we have none yet */
	bool takes_over;    /* archive.take.over */
};

/* What opening it to write to it would find; nothing is made, and nobody's note is
 * touched. `*is_there`: else it could be made, of a folder. */
enum status archive_look(const struct archive_looking *how, struct archive_known *known,
			 bool *is_there, struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/file_name.h -- the name of a file within its level: MIN-MAX.ltx.
 *
 * MIN and MAX are TXIDs of 16 lower-case hex digits: Litestream takes no others.
 *
 * THREADS  No shared state.
 */
#ifndef FILE_NAME_H
#define FILE_NAME_H

#include <stdbool.h>

#include "src/storage/storage.h"

#define FILE_NAME_BYTES 38u /* with the NUL */

/* Fill in the TXIDs; false: no file of an archive has that name. */
bool file_name_read(const char *name, struct archive_file *file);

void file_name_write(const struct archive_file *file, char name[FILE_NAME_BYTES]);

/* LEVEL/MIN-MAX.ltx: below ltx/ of an archive in a folder, and for messages. */
struct archive_name {
	char text[FILE_NAME_BYTES + 12];
};
struct archive_name archive_name(const struct archive_file *file);

#endif

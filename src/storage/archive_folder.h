/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/archive_folder.h -- what is written into an archive in a folder.
 *
 * A file gets its name when it is whole and synced, and never that of another one. On
 * the file system of its source it is a second name of the same file (a hard link),
 * elsewhere a copy, written as NAME.tmp. What a writer that was killed left of that is
 * removed by the next who writes the same file. Files have mode 0600, folders 0700:
 * they hold the whole database. Levels are folders; a link in the place of one is an
 * error, as it may lead anywhere.
 *
 * OWNERSHIP  All is borrowed.
 * THREADS    One at a time.
 * ERRORS     As the calls of src/storage/storage.h.
 */
#ifndef ARCHIVE_FOLDER_H
#define ARCHIVE_FOLDER_H

#include "src/storage/storage.h"

struct archive_folder {
	int root_fd;
	int ltx_fd; /* ROOT/ltx */
	char *root; /* path, for messages */
};

enum status archive_folder_put(const struct archive_folder *folder,
			       const struct archive_file *file, int fd,
			       struct error *err) MUST_CHECK;
enum status archive_folder_remove(const struct archive_folder *folder,
				  const struct archive_file *file,
				  struct error *err) MUST_CHECK;
enum status archive_folder_get_note(const struct archive_folder *folder,
				    const char *name, void *bytes, size_t cap,
				    size_t *len, struct error *err) MUST_CHECK;
enum status archive_folder_put_note(const struct archive_folder *folder,
				    const char *name, const void *bytes, size_t len,
				    struct error *err) MUST_CHECK;

#endif

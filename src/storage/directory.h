/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/directory.h -- an archive in a folder: ROOT/ltx/LEVEL/MIN-MAX.ltx.
 *
 * LEVEL is decimal; MIN and MAX are TXIDs of 16 lower-case hex digits. The time of a
 * file is its mtime. Whatever else lies there is none of ours.
 *
 * OWNERSHIP, THREADS, ERRORS  src/storage/storage.h.
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include "src/storage/storage.h"

enum status directory_open(const char *root, struct storage **storage,
			   struct error *err) MUST_CHECK;

/* The same to be written to, too (src/storage/archive_folder.h). `make`: where there is
 * none yet it is made, but for the folder above it. */
enum status directory_open_to_write(const char *root, bool make,
				    struct storage **storage,
				    struct error *err) MUST_CHECK;

/* What that would find, and nothing is made. `*storage` is NULL: there is none yet, and
 * it could be made. */
enum status directory_look(const char *root, struct storage **storage,
			   struct error *err) MUST_CHECK;

#endif

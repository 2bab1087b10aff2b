/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/files.h -- the files of an audit log, in the order of their lines.
 *
 * NAMES     Each file is PATH.N, where N is the number of its first line, of at least
 *           12 digits; one that is closed may be PATH.N.zst, compressed with Zstandard.
 *           PATH is a second name (a hard link, or a symbolic one) of the newest.
 * OWNERSHIP audit_files_clear frees what audit_files_find filled in.
 * THREADS   No shared state.
 * ERRORS    ST_CONFIG: there is no such file. ST_IO, ST_NOMEM.
 */
#ifndef AUDIT_FILES_H
#define AUDIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define AUDIT_ZST ".zst"

struct audit_file {
	char *path;
	uint64_t first; /* line; 0 where the name does not say it */
	bool is_compressed;
	int64_t bytes; /* as it lies there */
	bool is_open;  /* it is read by `fd`, which is borrowed */
	int fd;
};

struct audit_files {
	struct audit_file *list; /* by their first lines */
	size_t count, room;
	bool is_part; /* one file was asked for: what is before it is not missed */
};

/*
 * What is at PATH: all files of a log, also where it is a folder with the files of one
 * log, or one of the files alone. A PATH that is a file of its own takes the place of
 * the one that begins with the same line, and of the newest if it does not say with
 * which. ST_CONFIG: nothing is there.
 */
enum status audit_files_find(const char *path, struct audit_files *out,
			     struct error *err) MUST_CHECK;
/* Those with numbers in their names alone; none is no error. */
enum status audit_files_list(const char *path, struct audit_files *out,
			     struct error *err) MUST_CHECK;
/* One more, behind the others. The path is taken over, also where it fails. */
enum status audit_files_add(struct audit_files *files, char *path, uint64_t first,
			    struct error *err) MUST_CHECK;
void audit_files_clear(struct audit_files *files); /* one of zeros, too */

/* PATH.N; the caller frees it. NULL: out of memory. */
char *audit_files_name(const char *path, uint64_t first);
/* The same with a suffix. */
char *audit_files_name_with(const char *path, uint64_t first, const char *suffix);

/* Where .N or .N.zst begins, at the end of a name; NULL: it ends in neither. */
const char *audit_files_number(const char *name, uint64_t *first, bool *is_compressed);

#endif

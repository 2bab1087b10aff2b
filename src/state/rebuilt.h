/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/rebuilt.h -- a shadow that was made anew takes the place of the old one.
 *
 * It is made in DIR/convert (src/state/rebuild.h): `copy`, what SQLite wrote, and from
 * that `shadow` and `hashes`. When both are durable, meta gets the new page size. Then
 * what is in DIR/convert counts, and the next opening puts it in its place; with any
 * other page size it is left over from a kill, and removed.
 *
 * THREADS  Before there are threads.
 * ERRORS   ST_IO.
 */
#ifndef REBUILT_H
#define REBUILT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

#define REBUILT_FOLDER "convert"

/* What stands in DIR/convert counts, and not what is in its place. */
bool rebuilt_counts(int dir_fd, uint32_t page_size);

/* Before anything of the state directory but meta is opened. */
enum status rebuilt_install(int dir_fd, const char *folder, uint32_t page_size,
			    struct error *err) MUST_CHECK;

/* A file of that folder, of which `fd` is a descriptor; no error if there is none. */
enum status rebuilt_remove(int fd, const char *name, struct error *err) MUST_CHECK;
/* "convert cannot be `what`", with errno. */
enum status rebuilt_failed(const char *what, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/temp_file.h -- an unlinked temporary file that nobody else can open.
 *
 * It lies in $TMPDIR, else in /var/tmp, mode 0600. A tmpfs (it would take memory, not
 * disk) is used only when $TMPDIR names it. A file system on which others could open it
 * is an error.
 *
 * THREADS  Any.
 */
#ifndef BASE_TEMP_FILE_H
#define BASE_TEMP_FILE_H

#include "src/base/status.h"

/* Open one into `*fd` (the caller closes it). ST_IO names the folder and says to set
 * TMPDIR. */
enum status temp_file_open(int *fd, struct error *err) MUST_CHECK;

/* Where temporary files lie, for messages; borrowed from the environment. */
const char *temp_file_folder(void);

#endif

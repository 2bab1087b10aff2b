/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/notification_file.h -- lines at the end of notification.file.
 *
 * The file is found, judged and opened for each line (sinks/output_path.h,
 * src/base/owned_file.h): whoever reads it may move or remove it at any time. One that
 * is made has mode 0640. A line is written at once; what is left of one by a full disk
 * is ended before the next.
 *
 * THREADS  The decoding thread.
 * ERRORS   ST_CONFIG: it is a file of the database, the output, in the state directory,
 *          or not ours alone. ST_IO, ST_NOMEM. Each names the file.
 */
#ifndef NOTIFICATION_FILE_H
#define NOTIFICATION_FILE_H

#include "src/base/message.h"
#include "src/base/status.h"
#include "src/config/config.h"

/* Make it if there is none, and write nothing. */
enum status notification_file_check(const struct config *config,
				    struct error *err) MUST_CHECK;

/* `line` without its end. */
enum status notification_file_add(const struct config *config, struct span line,
				  struct error *err) MUST_CHECK;

#endif

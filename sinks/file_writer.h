/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/file_writer.h -- bytes to the end of a file, all of them, however full the disk
 * is.
 *
 * A full disk, a quota or a limit is said once and tried again every second; when there
 * is room again that is said, too.
 *
 * OWNERSHIP The caller's struct; all is borrowed.
 * ERRORS    ST_STOPPED: the stop flag was raised while the disk was full. ST_IO, with a
 *           full disk once patience is over.
 */
#ifndef SINKS_FILE_WRITER_H
#define SINKS_FILE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct file_writer {
	int fd;                  /* opened with O_APPEND */
	const char *path;        /* for messages */
	const _Atomic int *stop; /* may be NULL */
	int64_t patience_ns;     /* with a full disk; 0: no end */
	uint64_t written;        /* bytes; the caller may set it back */
	unsigned times_full;     /* the disk was full, and is no more */
	/* As settings have it (sinks/sink_settings.h); may be NULL. */
	void (*on_outage)(void *context, const char *why);
	void *context;
};

enum status file_writer_put(struct file_writer *writer, const char *bytes, size_t len,
			    struct error *err) MUST_CHECK;

#endif

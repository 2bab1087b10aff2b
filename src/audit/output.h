/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/output.h -- a file of an audit log that is written anew, compressed or not.
 *
 * OWNERSHIP audit_output_open / audit_output_close; the path is borrowed.
 * THREADS   No shared state.
 * ERRORS    ST_IO, ST_NOMEM. What is left of the file then is the caller's to remove.
 */
#ifndef AUDIT_OUTPUT_H
#define AUDIT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "src/base/status.h"

struct audit_output {
	const char *path;
	int fd; /* to be read, too */
	off_t at;
	void *packer; /* ZSTD_CCtx; NULL: not compressed */
	char *block;  /* block_len bytes that are not written yet */
	size_t block_len;
};

/* Mode 0600; whatever had the name goes. */
enum status audit_output_open(struct audit_output *out, const char *path,
			      bool compresses, struct error *err) MUST_CHECK;
enum status audit_output_put(struct audit_output *out, const char *bytes, size_t len,
			     struct error *err) MUST_CHECK;
/* All of it is on the disk. */
enum status audit_output_end(struct audit_output *out, struct error *err) MUST_CHECK;
void audit_output_close(struct audit_output *out);

#endif

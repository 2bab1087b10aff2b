/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/input.h -- the bytes of one file of an audit log, in their order, whether
 * it is compressed or not.
 *
 * OWNERSHIP audit_input_open / audit_input_close; with audit_input_use the descriptor
 *           is borrowed. The path is borrowed.
 * THREADS   No shared state.
 * ERRORS    ST_IO; ST_CONFIG: no regular file, or ENOENT in err->sys_errno: there is
 *           none; ST_NOMEM; ST_CORRUPT: what is compressed is damaged from here on.
 */
#ifndef AUDIT_INPUT_H
#define AUDIT_INPUT_H

#include "src/audit/files.h"

struct audit_input {
	const char *path;
	int fd; /* -1: not open */
	bool is_borrowed;
	bool at_end;    /* of the compressed file */
	uint64_t at;    /* of the next byte of the file as it lies there */
	void *unpacker; /* ZSTD_DCtx; NULL: a plain file */
	char *packed;   /* of the compressed bytes, packed_len, of which */
	size_t packed_len, packed_at; /* so many are unpacked */
};

/* A file that was compressed in the meantime is found by that name. */
enum status audit_input_open(struct audit_input *input, const struct audit_file *file,
			     struct error *err) MUST_CHECK;
void audit_input_use(struct audit_input *input, int fd, const char *path);
void audit_input_close(struct audit_input *input); /* one of zeros with fd -1, too */

/* The next bytes, at most `room`; *len 0: there are no more, or no more yet. */
enum status audit_input_read(struct audit_input *input, char *to, size_t room,
			     size_t *len, struct error *err) MUST_CHECK;

#endif

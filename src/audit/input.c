/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"

#define PACKED_BYTES 131072
#define WINDOW_LOG   27 /* 128 MiB are held at most, as zstd does by itself */

/* ---- opening ---- */

static int open_path(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int open_file(const struct audit_file *file, bool *is_compressed)
{
	int fd = open_path(file->path);
	char *packed = NULL;

	*is_compressed = file->is_compressed;
	if (fd < 0 && errno == ENOENT && !file->is_compressed &&
	    asprintf(&packed, "%s" AUDIT_ZST, file->path) >= 0) {
		fd = open_path(packed);
		*is_compressed = true;
		free(packed);
	}
	return fd;
}

static enum status prepare(struct audit_input *input, struct error *err)
{
	ZSTD_DCtx *unpacker = ZSTD_createDCtx();

	input->unpacker = unpacker;
	input->packed = malloc(PACKED_BYTES);
	if (!unpacker || !input->packed ||
	    ZSTD_isError(
		ZSTD_DCtx_setParameter(unpacker, ZSTD_d_windowLogMax, WINDOW_LOG))) {
		return error_no_memory(err, "reading %s", quote(input->path).text);
	}
	return ST_OK;
}

enum status audit_input_open(struct audit_input *input, const struct audit_file *file,
			     struct error *err)
{
	struct stat st;
	bool is_compressed;
	enum status status = ST_OK;

	if (file->is_open) {
		audit_input_use(input, file->fd, file->path);
		return ST_OK;
	}
	*input = (struct audit_input){.path = file->path,
				      .fd = open_file(file, &is_compressed)};
	if (input->fd < 0 || fstat(input->fd, &st) != 0) {
		status = error_set_errno(err, errno, "%s cannot be read",
					 quote(file->path).text);
	} else if (!S_ISREG(st.st_mode)) {
		status = error_set(err, ST_CONFIG,
				   "%s is no file; give the PATH of --to audit:PATH",
				   quote(file->path).text);
	} else if (is_compressed) {
		status = prepare(input, err);
	}
	if (status != ST_OK) {
		audit_input_close(input);
	}
	return status;
}

void audit_input_use(struct audit_input *input, int fd, const char *path)
{
	*input = (struct audit_input){.path = path, .fd = fd, .is_borrowed = true};
}

void audit_input_close(struct audit_input *input)
{
	(void)ZSTD_freeDCtx(input->unpacker);
	free(input->packed);
	if (input->fd >= 0 && !input->is_borrowed) {
		(void)close(input->fd);
	}
	*input = (struct audit_input){.fd = -1};
}

/* ---- reading ---- */

static enum status read_file(struct audit_input *input, char *to, size_t room,
			     size_t *len, struct error *err)
{
	ssize_t n = file_read_at(input->fd, to, room, (off_t)input->at);

	if (n < 0) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(input->path).text);
	}
	input->at += (uint64_t)n;
	*len = (size_t)n;
	return ST_OK;
}

static enum status is_damaged(const struct audit_input *input, const char *why,
			      struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "%s is damaged (%s): restore it from a backup",
			 quote(input->path).text, why);
}

static enum status unpack(struct audit_input *input, char *to, size_t room, size_t *len,
			  struct error *err)
{
	ZSTD_outBuffer out = {to, room, 0};

	while (out.pos == 0) {
		ZSTD_inBuffer in = {input->packed, input->packed_len, input->packed_at};
		size_t left;

		if (in.pos == in.size) {
			if (read_file(input, input->packed, PACKED_BYTES,
				      &input->packed_len, err) != ST_OK) {
				return err->status;
			}
			input->packed_at = 0;
			if (input->packed_len == 0) {
				*len = 0;
				return input->at_end
					   ? ST_OK
					   : is_damaged(input, "it ends before its end",
							err);
			}
			continue;
		}
		left = ZSTD_decompressStream(input->unpacker, &out, &in);
		input->packed_at = in.pos;
		input->at_end = left == 0; /* a frame is whole */
		if (ZSTD_isError(left)) {
			return is_damaged(input, ZSTD_getErrorName(left), err);
		}
	}
	*len = out.pos;
	return ST_OK;
}

enum status audit_input_read(struct audit_input *input, char *to, size_t room,
			     size_t *len, struct error *err)
{
	return input->unpacker ? unpack(input, to, room, len, err)
			       : read_file(input, to, room, len, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"

#define BLOCK ((size_t)131072)
#define LEVEL 3 /* of Zstandard */

enum status audit_output_open(struct audit_output *out, const char *path,
			      bool compresses, struct error *err)
{
	enum status status = ST_OK;

	*out = (struct audit_output){.path = path, .block = malloc(BLOCK)};
	(void)unlinkat(AT_FDCWD, path, 0);
	out->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out->fd < 0 || fchmod(out->fd, 0600) != 0) { /* whatever the umask */
		status =
		    error_set_errno(err, errno, "%s cannot be made", quote(path).text);
	} else if (compresses) {
		out->packer = ZSTD_createCCtx();
		if (!out->packer ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(
			out->packer, ZSTD_c_compressionLevel, LEVEL)) ||
		    ZSTD_isError(
			ZSTD_CCtx_setParameter(out->packer, ZSTD_c_checksumFlag, 1))) {
			status = error_no_memory(err, "compressing");
		}
	}
	if (status == ST_OK && !out->block) {
		status = error_no_memory(err, "a block");
	}
	if (status != ST_OK) {
		audit_output_close(out);
	}
	return status;
}

void audit_output_close(struct audit_output *out)
{
	(void)ZSTD_freeCCtx(out->packer);
	free(out->block);
	if (out->fd >= 0) {
		(void)close(out->fd);
	}
	*out = (struct audit_output){.fd = -1};
}

static enum status write_block(struct audit_output *out, size_t len, struct error *err)
{
	if (!file_write_at(out->fd, out->block, len, out->at)) {
		return error_set_errno(err, errno, "%s cannot be written",
				       quote(out->path).text);
	}
	out->at += (off_t)len;
	return ST_OK;
}

static enum status pack(struct audit_output *out, const char *bytes, size_t len,
			ZSTD_EndDirective how, struct error *err)
{
	ZSTD_inBuffer in = {bytes, len, 0};
	size_t left;

	do {
		ZSTD_outBuffer to = {out->block, BLOCK, 0};

		left = ZSTD_compressStream2(out->packer, &to, &in, how);
		if (ZSTD_isError(left)) {
			return error_no_memory(err, "compressing");
		}
		if (write_block(out, to.pos, err) != ST_OK) {
			return err->status;
		}
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return ST_OK;
}

enum status audit_output_put(struct audit_output *out, const char *bytes, size_t len,
			     struct error *err)
{
	if (out->packer) {
		return pack(out, bytes, len, ZSTD_e_continue, err);
	}
	while (len > 0) {
		size_t room = BLOCK - out->block_len;
		size_t part = len < room ? len : room;

		memcpy(out->block + out->block_len, bytes, part);
		out->block_len += part;
		bytes += part;
		len -= part;
		if (out->block_len == BLOCK) {
			out->block_len = 0;
			if (write_block(out, BLOCK, err) != ST_OK) {
				return err->status;
			}
		}
	}
	return ST_OK;
}

enum status audit_output_end(struct audit_output *out, struct error *err)
{
	enum status status = out->packer ? pack(out, "", 0, ZSTD_e_end, err)
					 : write_block(out, out->block_len, err);

	out->block_len = 0;
	if (status == ST_OK && !file_sync(out->fd)) {
		status = error_set_errno(err, errno, "%s cannot be synced",
					 quote(out->path).text);
	}
	return status;
}

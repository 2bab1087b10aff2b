/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/quote.h"

enum status audit_open(const char *path, int *fd, struct error *err)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) != 0) {
		int why = errno;

		if (*fd >= 0) {
			(void)close(*fd);
		}
		return error_set(
		    err, why == ENOENT ? ST_CONFIG : ST_IO, "%s: %s%s",
		    quote(path).text, why == ENOENT ? "no such file" : strerror(why),
		    why == ENOENT ? "; give the PATH of --to audit:PATH" : "");
	}
	if (!S_ISREG(st.st_mode)) {
		(void)close(*fd);
		return error_set(err, ST_CONFIG,
				 "%s is no file; give the PATH of --to audit:PATH",
				 quote(path).text);
	}
	return ST_OK;
}

enum status audit_is_no_log(const char *path, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s is no audit log; give the PATH of --to audit:PATH",
			 quote(path).text);
}

enum status audit_open_log(const char *path, int *fd, char time[AUDIT_TIME_BYTES],
			   struct error *err)
{
	struct audit_reader reader;
	struct audit_line what;
	struct span line;
	bool is_whole;
	enum status status = audit_open(path, fd, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open(&reader, *fd, path);
	status = audit_reader_next(&reader, &line, &is_whole, err);
	if (status == ST_OK) {
		audit_line_read(line.bytes, line.len, &what);
		if (is_whole && what.kind == AUDIT_LINE_FILE) {
			(void)snprintf(time, AUDIT_TIME_BYTES, "%.*s",
				       (int)(what.time.len < AUDIT_TIME_BYTES
						 ? what.time.len
						 : AUDIT_TIME_BYTES - 1),
				       what.time.bytes);
		} else {
			status = audit_is_no_log(path, err);
		}
	} else if (status == ST_END) {
		status = audit_is_no_log(path, err);
	}
	audit_reader_close(&reader);
	if (status != ST_OK) {
		(void)close(*fd);
	}
	return status;
}

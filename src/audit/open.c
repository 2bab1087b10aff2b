/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/open.h"

#include <stdio.h>

#include "src/audit/line.h"
#include "src/audit/reader.h"
#include "src/base/quote.h"

enum status audit_is_no_log(const char *path, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s is no audit log; give the PATH of --to audit:PATH",
			 quote(path).text);
}

enum status audit_open_log(const char *path, struct audit_files *files,
			   char time[AUDIT_TIME_BYTES], struct error *err)
{
	struct audit_reader reader;
	struct audit_line what;
	struct span line;
	bool is_whole;
	enum status status = audit_files_find(path, files, err);

	if (status != ST_OK) {
		return status;
	}
	audit_reader_open_files(&reader, files, 0);
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
		audit_files_clear(files);
	}
	return status;
}

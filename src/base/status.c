/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *status_text(enum status status)
{
#define STATUS_CASE(name, text) \
	case name:              \
		return text;
	switch (status) {
		STATUS_MAP(STATUS_CASE)
	}
#undef STATUS_CASE
	return "unknown status";
}

enum status error_set(struct error *err, enum status status, const char *fmt, ...)
{
	va_list args;

	err->status = status;
	err->sys_errno = 0;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, args);
	va_end(args);
	return status;
}

enum status error_set_errno(struct error *err, int sys_errno, const char *fmt, ...)
{
	va_list args;
	size_t used;
	char reason[128];

	err->status = ST_IO;
	err->sys_errno = sys_errno;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, args);
	va_end(args);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof err->text - used, ": %s",
		       strerror_r(sys_errno, reason, sizeof reason));
	return ST_IO;
}

enum status error_wrap(struct error *err, const char *fmt, ...)
{
	va_list args;
	char prefix[256];
	char inner[sizeof err->text];

	va_start(args, fmt);
	(void)vsnprintf(prefix, sizeof prefix, fmt, args);
	va_end(args);
	memcpy(inner, err->text, sizeof inner);
	(void)snprintf(err->text, sizeof err->text, "%s: %.*s", prefix,
		       (int)(sizeof err->text - sizeof prefix - 3), inner);
	return err->status;
}

bool error_is_full(const struct error *err)
{
	return err->status == ST_IO &&
	       (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT ||
		err->sys_errno == EFBIG);
}

enum status error_add(struct error *err, const char *text)
{
	size_t len = strlen(err->text);

	(void)snprintf(err->text + len, sizeof err->text - len, "%s", text);
	return err->status;
}

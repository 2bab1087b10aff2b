/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/notification_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/output_path.h"
#include "src/base/buffer.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"

#define FILE_MODE 0640

static enum status open_found(const char *real, int *fd, struct error *err)
{
	const struct owned_place place = {.dir_fd = AT_FDCWD,
					  .name = real,
					  .path = real,
					  .instead = "use another notification.file",
					  .closed = OWNED_READABLE};
	bool made;
	enum status status =
	    owned_file_open(&place, O_RDWR | O_APPEND | O_CREAT, fd, &made, err);

	if (status == ST_OK && made && fchmod(*fd, FILE_MODE) != 0) {
		status = error_set_errno(err, errno, "%s: its mode cannot be set",
					 quote(real).text);
		(void)close(*fd);
	}
	return status;
}

static enum status open_file(const struct config *config, int *fd, struct error *err)
{
	const struct output_path place = {.setting = "notification.file=",
					  .path = config->notification_file,
					  .database_path = config->database_path,
					  .state_path = config->state_path,
					  .output = config->sink_target};
	struct stat st;
	bool exists;
	char *real;
	enum status status = output_path_find(&place, &real, &exists, &st, err);

	if (status == ST_OK) {
		status = open_found(real, fd, err);
		free(real);
	}
	return status;
}

/* What is there does not end with a line's end. */
static bool is_torn(int fd)
{
	struct stat st;
	char last;

	return fstat(fd, &st) == 0 && st.st_size > 0 &&
	       file_read_exactly(fd, &last, 1, st.st_size - 1) && last != '\n';
}

/* O_APPEND: where others write, too, a line of one write stays whole. */
static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			errno = n == 0 ? ENOSPC : errno;
			return false;
		}
	}
	return true;
}

enum status notification_file_check(const struct config *config, struct error *err)
{
	int fd;
	enum status status = open_file(config, &fd, err);

	if (status == ST_OK) {
		(void)close(fd);
	}
	return status;
}

enum status notification_file_add(const struct config *config, struct span line,
				  struct error *err)
{
	struct buffer whole;
	int fd;
	enum status status = open_file(config, &fd, err);

	if (status != ST_OK) {
		return status;
	}
	buffer_init(&whole);
	buffer_add_str(&whole, is_torn(fd) ? "\n" : "");
	buffer_add(&whole, line.bytes, line.len);
	buffer_add_char(&whole, '\n');
	if (!buffer_ok(&whole)) {
		status = error_no_memory(err, "a notification");
	} else if (!write_all(fd, whole.bytes, whole.len)) {
		status = error_set_errno(err, errno, "%s cannot be written",
					 quote(config->notification_file).text);
	}
	buffer_clear(&whole);
	if (close(fd) != 0 && status == ST_OK) { /* NFS tells here */
		status = error_set_errno(err, errno, "%s cannot be written",
					 quote(config->notification_file).text);
	}
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/database_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/capture/source_wait.h"

#define LOOK_NS (100 * NS_PER_MS)
#define MAGIC   "SQLite format 3" /* and a NUL */

const char *database_lacks(const char *path)
{
	uint8_t head[DB_HEADER_SIZE];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *lacks = NULL;

	if (fd < 0) {
		return errno == ENOENT ? "is not there" : NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		lacks = NULL;
	} else if (st.st_size == 0) {
		lacks = "is empty";
	} else if (file_read_exactly(fd, head, sizeof head, 0) &&
		   memcmp(head, MAGIC, sizeof MAGIC) == 0 && !db_header_is_wal(head)) {
		lacks = "is not in WAL mode";
	}
	(void)close(fd);
	return lacks;
}

enum status database_wait(const char *path, struct error *err)
{
	const char *said = NULL, *lacks;

	while ((lacks = database_lacks(path)) != NULL) {
		if (said != lacks) {
			log_info("%s %s yet: waiting", quote(path).text, lacks);
			said = lacks;
		}
		if (source_pause(LOOK_NS, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

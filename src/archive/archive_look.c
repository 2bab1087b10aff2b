/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/archive_look.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/archive/ltx.h"
#include "src/archive/owner.h"
#include "src/archive/plan.h"
#include "src/base/file_io.h"
#include "src/storage/location.h"

bool archive_may_pass(enum status status)
{
	return status == ST_IO || status == ST_RETRY || status == ST_LOST;
}

enum status archive_known_read(struct storage *storage, const struct archive_list *list,
			       struct archive_known *known, struct error *err)
{
	const struct archive_file *newest = NULL;
	struct moments moments = {0};
	struct ltx_header header;
	enum status status = moments_init(&moments, list, err);

	for (size_t i = 0; status == ST_OK && i < moments.count; i++) {
		if (moments.all[i].is_reachable) {
			known->reach_txid = moments.all[i].txid;
		}
	}
	moments_clear(&moments);
	for (size_t i = 0; i < list->count; i++) {
		if (!newest || list->files[i].max_txid > newest->max_txid) {
			newest = &list->files[i];
		}
	}
	if (status != ST_OK || !newest) {
		return status;
	}
	known->has_files = true;
	known->max_txid = newest->max_txid;
	status = ltx_header_of(storage, newest, &header, err);
	if (status == ST_OK) {
		known->page_size = header.page_size;
		known->time_ns = ltx_time_ns(&header, newest);
	}
	return status;
}

bool archive_writer_of(int state_fd, char writer[OUTBOX_WRITER_BYTES])
{
	int fd = openat(state_fd, OUTBOX_FOLDER "/" OUTBOX_WRITER_FILE,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool is_there =
	    fd >= 0 && file_read_exactly(fd, writer, OUTBOX_WRITER_BYTES - 1, 0);

	writer[is_there ? OUTBOX_WRITER_BYTES - 1 : 0] = '\0';
	if (fd >= 0) {
		(void)close(fd);
	}
	return is_there;
}

static enum status look(struct storage *storage, const struct archive_looking *how,
			struct archive_known *known, struct error *err)
{
	struct owner owner = {.storage = storage,
			      .writer = how->writer,
			      .database = "",
			      .location = how->location,
			      .takes_over = how->takes_over};
	struct archive_list list = {0};
	enum status status = storage_list(storage, &list, err);

	if (status == ST_OK) {
		status = archive_known_read(storage, &list, known, err);
	}
	if (status == ST_OK) {
		status = owner_find(&owner, known->has_files, err);
	}
	archive_list_clear(&list);
	known->is_known = status == ST_OK;
	return status;
}

enum status archive_look(const struct archive_looking *how, struct archive_known *known,
			 bool *is_there, struct error *err)
{
	struct storage *storage = NULL;
	enum status status = location_look(how->location, how->storage, &storage, err);

	*known = (struct archive_known){0};
	*is_there = storage != NULL;
	if (status == ST_OK && storage) {
		status = look(storage, how, known, err);
	}
	storage_close(storage);
	return status;
}

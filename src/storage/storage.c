/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/storage.h"

#include <stdlib.h>

#include "src/base/array.h"
#include "src/base/temp_file.h"

/* ---- lists ---- */

void archive_list_clear(struct archive_list *list)
{
	free(list->files);
	*list = (struct archive_list){0};
}

enum status archive_list_add(struct archive_list *list, const struct archive_file *file,
			     struct error *err)
{
	if (!array_room(&list->files, &list->cap, list->count + 1,
			sizeof *list->files)) {
		return error_no_memory(err, "the list of an archive");
	}
	list->files[list->count++] = *file;
	return ST_OK;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_files(const void *left, const void *right)
{
	const struct archive_file *a = left;
	const struct archive_file *b = right;
	int order = compare(a->level, b->level);

	if (order == 0) {
		order = compare(a->max_txid, b->max_txid);
	}
	return order != 0 ? order : compare(a->min_txid, b->min_txid);
}

void archive_list_sort(struct archive_list *list)
{
	if (list->count > 1) {
		qsort(list->files, list->count, sizeof *list->files, compare_files);
	}
}

/* ---- storages ---- */

void storage_close(struct storage *storage)
{
	if (storage) {
		storage->calls->close(storage);
	}
}

enum status storage_list(struct storage *storage, struct archive_list *list,
			 struct error *err)
{
	enum status status = ST_OK;

	list->storage = storage;
	if (storage->calls->list_all) {
		status = storage->calls->list_all(storage, list, err);
		archive_list_sort(list);
		return status;
	}
	for (unsigned level = 0; status == ST_OK && level < ARCHIVE_LEVELS; level++) {
		status = storage->calls->list(storage, level, list, err);
	}
	archive_list_sort(list);
	return status;
}

enum status storage_time(struct storage *storage, const struct archive_file *file,
			 int64_t *time_ns, struct error *err)
{
	*time_ns = file->time_ns;
	return file->time_is_rough && storage
		   ? storage->calls->time(storage, file, time_ns, err)
		   : ST_OK;
}

enum status storage_list_times(struct archive_list *list, struct error *err)
{
	enum status status = ST_OK;
	size_t kept = 0;

	for (size_t i = 0; status == ST_OK && i < list->count; i++) {
		struct archive_file file = list->files[i];

		status = storage_time(list->storage, &file, &file.time_ns, err);
		if (status == ST_LOST) {
			status = ST_OK;
			continue;
		}
		file.time_is_rough = false;
		list->files[kept++] = file;
	}
	list->count = status == ST_OK ? kept : list->count;
	return status;
}

enum status storage_is_closed(struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "the archive was opened to be read: it is not written to");
}

enum status storage_temp(struct storage *storage, int *fd, struct error *err)
{
	return storage->calls->temp ? storage->calls->temp(storage, fd, err)
				    : temp_file_open(fd, err);
}

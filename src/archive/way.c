/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/way.h"

#include <stdlib.h>

/* Of those that end together, that which begins latest comes first. */
static int compare_ends(const void *left, const void *right)
{
	const struct archive_file *a = *(const struct archive_file *const *)left;
	const struct archive_file *b = *(const struct archive_file *const *)right;

	if (a->max_txid != b->max_txid) {
		return a->max_txid < b->max_txid ? -1 : 1;
	}
	if (a->min_txid != b->min_txid) {
		return a->min_txid > b->min_txid ? -1 : 1;
	}
	return a->level < b->level ? -1 : a->level > b->level;
}

enum status way_init(struct way *way, const struct archive_list *list,
		     struct error *err)
{
	*way = (struct way){
	    .ends = calloc(list->count + 1, sizeof(const struct archive_file *)),
	    .count = list->count,
	};
	if (!way->ends) {
		return error_no_memory(err, "the list of an archive");
	}
	for (size_t i = 0; i < list->count; i++) {
		way->ends[i] = &list->files[i];
	}
	if (list->count > 1) {
		qsort(way->ends, way->count, sizeof(const struct archive_file *),
		      compare_ends);
	}
	return ST_OK;
}

void way_clear(struct way *way)
{
	free(way->ends);
	*way = (struct way){0};
}

const struct archive_file *way_next(struct way *way, uint64_t txid, uint64_t until)
{
	while (way->at < way->count && way->ends[way->at]->max_txid <= txid) {
		way->at++;
	}
	for (size_t i = way->at; i < way->count && way->ends[i]->max_txid <= until;
	     i++) {
		if (way->ends[i]->min_txid - 1 <= txid) {
			return way->ends[i];
		}
	}
	return NULL;
}

const struct archive_file *way_beyond(const struct way *way, uint64_t txid)
{
	const struct archive_file *nearest = NULL;

	for (size_t i = way->at; i < way->count; i++) {
		const struct archive_file *file = way->ends[i];

		if (file->min_txid - 1 > txid &&
		    (!nearest || file->min_txid < nearest->min_txid)) {
			nearest = file;
		}
	}
	return nearest;
}

const struct archive_file *way_last(const struct way *way, uint64_t txid)
{
	const struct archive_file *smallest = NULL;

	for (size_t i = 0; i < way->count && way->ends[i]->max_txid <= txid; i++) {
		const struct archive_file *file = way->ends[i];

		if (file->max_txid == txid &&
		    (!smallest || file->size < smallest->size)) {
			smallest = file;
		}
	}
	return smallest;
}

uint64_t way_newest(const struct way *way)
{
	return way->count > 0 ? way->ends[way->count - 1]->max_txid : 0;
}

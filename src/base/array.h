/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/array.h -- arrays that grow: a pointer, a count and a capacity, all of them
 * the caller's.
 *
 *     if (!array_room(&list->rows, &list->cap, list->count + 1, sizeof *list->rows)) {
 *             return error_no_memory(err, "rows");
 *     }
 *     list->rows[list->count++] = row;
 *
 * OWNERSHIP  The array is the caller's, who frees it with free().
 * THREADS    No shared state.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

/* As array_room, when there is no room. */
bool array_grow(void *list, size_t *cap, size_t need, size_t size) MUST_CHECK;

/* Room for `need` elements of `size` bytes in the array that the pointer at `list`
 * points to (NULL while *cap is 0); it may move. One that is too small grows to at
 * least twice its size. False: memory ran out, or the size does not fit into a size_t;
 * nothing has changed then. */
static inline bool array_room(void *list, size_t *cap, size_t need,
			      size_t size) MUST_CHECK;
static inline bool array_room(void *list, size_t *cap, size_t need, size_t size)
{
	return need <= *cap || array_grow(list, cap, need, size);
}

#endif

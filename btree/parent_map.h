/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/parent_map.h -- which page points to a page, where the file does not say.
 *
 * A database without auto_vacuum has no pointer map, so the map is derived: four
 * bytes and a bit for each page. It is filled from the interior pages of every
 * tree (tables and indexes), which are few; pages that are then neither root,
 * child nor free can only be overflow pages and stay UNKNOWN until one is
 * asked for, when every leaf is read once (parent_map_complete).
 *
 * It is kept up to date only from pages that a walk of the new tree reaches,
 * never from a frame that merely stands in the WAL: without SECURE_DELETE,
 * freed interior pages look alive there and would poison it.
 *
 * An entry of a page that is in a tree is always right. A page that left all trees may
 * keep an entry as an overflow page: it makes the marked set larger than need be. As a
 * child it must not (tree_diff_end; trees that are gone are walked for that): a page
 * that did not change is not searched for its marked child, it is taken from here.
 *
 * OWNERSHIP  parent_map_init / parent_map_clear.
 * THREADS    One thread at a time.
 */
#ifndef BTREE_PARENT_MAP_H
#define BTREE_PARENT_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "btree/page_source.h"

#define PARENT_UNKNOWN 0u
#define PARENT_ROOT    UINT32_MAX
#define PARENT_FREE    (UINT32_MAX - 1)

struct parent_map {
	uint32_t *parents; /* by page number; PARENT_… or the page that points to it */
	uint64_t *overflow; /* bit by page number: it is an overflow page */
	uint32_t limit;     /* page numbers below it have an entry */
	bool is_filled;
	bool is_complete; /* leaves are scanned: nothing is UNKNOWN any more */
};

void parent_map_init(struct parent_map *map);
void parent_map_clear(struct parent_map *map); /* frees; empty and usable again */

/* Give pages up to `page_count` an entry; new ones are PARENT_FREE once the map is
 * filled (a page that a walk reaches is set by it), else PARENT_UNKNOWN. */
enum status parent_map_grow(struct parent_map *map, uint32_t page_count,
			    struct error *err) MUST_CHECK;

/*
 * Fill an empty map from the interior pages of the trees at `roots`, and the
 * freelist. Reads interior pages only: all leaves of a b-tree are at one depth.
 * ST_CORRUPT when a page is pointed to twice.
 */
enum status parent_map_fill(struct parent_map *map, struct page_source *source,
			    const uint32_t *roots, size_t root_count,
			    struct error *err) MUST_CHECK;

/*
 * Make the map anew and complete: fill it, then read every page once, in file order,
 * and find the owners of all overflow pages. (Anew, because an entry of a page that
 * left all trees may be stale, and what it says of the page's kind with it: seen, a
 * freed page of a dropped table taken for a leaf.)
 */
enum status parent_map_complete(struct parent_map *map, struct page_source *source,
				const uint32_t *roots, size_t root_count,
				struct error *err) MUST_CHECK;

static inline uint32_t parent_map_get(const struct parent_map *map, uint32_t page_no)
{
	return page_no < map->limit ? map->parents[page_no] : PARENT_FREE;
}

static inline bool parent_map_is_overflow(const struct parent_map *map,
					  uint32_t page_no)
{
	return page_no < map->limit &&
	       (map->overflow[page_no >> 6] >> (page_no & 63) & 1);
}

/* Pages at or past the map's limit are ignored (the caller has grown it). */
static inline void parent_map_set(struct parent_map *map, uint32_t page_no,
				  uint32_t parent, bool is_overflow)
{
	if (page_no < map->limit) {
		uint64_t bit = UINT64_C(1) << (page_no & 63);

		map->parents[page_no] = parent;
		if (is_overflow) {
			map->overflow[page_no >> 6] |= bit;
		} else {
			map->overflow[page_no >> 6] &= ~bit;
		}
	}
}

#endif

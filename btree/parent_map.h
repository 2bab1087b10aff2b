/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/parent_map.h -- which page points to a page, where the file does not say.
 *
 * A database without auto_vacuum has no pointer map, so the map is derived: four
 * bytes and two bits for each page. Only trees whose rows are asked for, the *needed*
 * ones, are in it. It is filled from their interior pages, which are few; a page
 * that is then no child of them can be an overflow page of theirs, and stays UNKNOWN
 * until one is asked for, when every leaf of theirs is read once
 * (parent_map_complete).
 *
 * So that this does not happen with every index page, the interior pages of all other
 * trees and the freelist are read, too: their pages are FREE, as nothing has to be
 * climbed from there. For pages of trees that is only a hint, marked OTHER: what a
 * needed tree says wins over it, and it counts only if the page, when it is first met,
 * is a b-tree page; else the page is as good as UNKNOWN. So damage there costs a scan
 * at most, and no row. (A freelist must be whole to be believed.) No later transaction
 * looks at those trees.
 *
 * The map is kept up to date only from pages that a walk of a new tree reaches,
 * never from a frame that merely stands in the WAL: without SECURE_DELETE,
 * freed interior pages look alive there and would poison it.
 *
 * The entry of a page that is in a needed tree is always right. A page that left all of
 * them may keep an entry as an overflow page: whoever climbs checks whether it is still
 * pointed to (parent_map_points). It must not keep one as a child (tree_diff_end; trees
 * that are gone are walked for that): a page that did not change is not searched for
 * its marked child, which is taken from here.
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
	uint64_t *other;    /* bit by page number: FREE is a hint, see above */
	uint32_t limit;     /* page numbers below it have an entry */
	bool is_filled;
	bool is_complete; /* leaves are scanned: nothing is UNKNOWN any more */
};

/* The b-trees of a database. */
struct map_trees {
	const uint32_t *roots;
	size_t count;
	size_t needed; /* the first ones: their rows are asked for */
	/* Damage that stops nothing: of the tree at `root`, one that is not needed, or
	 * with 0 of the freelist. NULL: nobody wants to know. */
	void (*damaged)(void *context, uint32_t root, const struct error *why);
	void *context;
	uint32_t failed; /* out, with ST_CORRUPT: root of the needed tree, if known */
};

void parent_map_init(struct parent_map *map);
void parent_map_clear(struct parent_map *map); /* frees; empty and usable again */

/* Give pages up to `page_count` an entry; new ones are PARENT_FREE once the map is
 * filled (a page that a walk reaches is set by it), else PARENT_UNKNOWN. */
enum status parent_map_grow(struct parent_map *map, uint32_t page_count,
			    struct error *err) MUST_CHECK;

/*
 * Fill an empty map: the interior pages of the needed trees; then those of the others,
 * and the freelist. Reads interior pages only: all leaves of a b-tree are at one depth.
 * ST_CORRUPT when a needed tree breaks the format, or a page is pointed to twice in
 * them; `trees` is told of what is wrong elsewhere, and it is left out.
 */
enum status parent_map_fill(struct parent_map *map, struct page_source *source,
			    struct map_trees *trees, struct error *err) MUST_CHECK;

/*
 * Make the map anew and complete: fill it from the needed trees, then read every page
 * of theirs once, in file order, and follow all overflow chains. Nothing is UNKNOWN or
 * a hint any more. (Anew, because an entry of a page that left all trees may be stale,
 * and what it says of the page's kind with it: seen, a freed page of a dropped table
 * taken for a leaf.)
 */
enum status parent_map_complete(struct parent_map *map, struct page_source *source,
				struct map_trees *trees, struct error *err) MUST_CHECK;

/*
 * Is `page_no`, an overflow page by its entry, still pointed to by the page that the
 * entry names? `*points` is true also where that page cannot be made out: whoever reads
 * its rows finds out. A page that is not becomes FREE.
 */
enum status parent_map_points(struct parent_map *map, struct page_source *source,
			      uint32_t page_no, bool *points,
			      struct error *err) MUST_CHECK;

/*
 * Is `page_no` UNKNOWN, or OTHER and yet no b-tree page? An OTHER page that is a b-tree
 * page becomes FREE for good.
 */
enum status parent_map_doubts(struct parent_map *map, struct page_source *source,
			      uint32_t page_no, bool *doubts,
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

static inline bool parent_map_is_other(const struct parent_map *map, uint32_t page_no)
{
	return page_no < map->limit && (map->other[page_no >> 6] >> (page_no & 63) & 1);
}

/* Pages at or past the map's limit are ignored (the caller has grown it). */
static inline void parent_map_set(struct parent_map *map, uint32_t page_no,
				  uint32_t parent, bool is_overflow)
{
	if (page_no < map->limit) {
		uint64_t bit = UINT64_C(1) << (page_no & 63);

		map->parents[page_no] = parent;
		map->other[page_no >> 6] &= ~bit;
		if (is_overflow) {
			map->overflow[page_no >> 6] |= bit;
		} else {
			map->overflow[page_no >> 6] &= ~bit;
		}
	}
}

#endif

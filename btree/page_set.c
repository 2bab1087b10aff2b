/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/page_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/array.h"

void page_set_init(struct page_set *set)
{
	*set = (struct page_set){0};
}

void page_set_clear(struct page_set *set)
{
	free(set->bits);
	free(set->pages);
	page_set_init(set);
}

void page_set_empty(struct page_set *set)
{
	assert(set->count <= set->cap);
	for (size_t i = 0; i < set->count; i++) {
		set->bits[set->pages[i] >> 6] = 0;
	}
	set->count = 0;
}

/* Give every page number up to and with `page_no` a bit. */
static bool grow_bits(struct page_set *set, uint32_t page_no)
{
	size_t old_words = set->limit / 64;
	size_t words = (size_t)page_no / 64 + 1;
	uint64_t *bits;

	if (words < old_words * 2) {
		words = old_words * 2;
	}
	if (words > (UINT32_MAX / 64)) {
		words = UINT32_MAX / 64;
		if (page_no / 64 >= words) {
			return false;
		}
	}
	bits = realloc(set->bits, words * sizeof *bits);
	if (!bits) {
		return false;
	}
	memset(bits + old_words, 0, (words - old_words) * sizeof *bits);
	set->bits = bits;
	set->limit = (uint32_t)(words * 64);
	return true;
}

enum status page_set_add(struct page_set *set, uint32_t page_no, bool *added,
			 struct error *err)
{
	bool is_new;

	if (page_no >= set->limit && !grow_bits(set, page_no)) {
		return error_no_memory(err, "a set of pages");
	}
	is_new = !page_set_has(set, page_no);
	if (added) {
		*added = is_new;
	}
	if (!is_new) {
		return ST_OK;
	}
	if (!array_room(&set->pages, &set->cap, set->count + 1, sizeof *set->pages)) {
		return error_no_memory(err, "a set of pages");
	}
	assert(set->count < set->limit); /* a bit for each member */
	set->pages[set->count++] = page_no;
	set->bits[page_no >> 6] |= UINT64_C(1) << (page_no & 63);
	return ST_OK;
}

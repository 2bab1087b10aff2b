/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/page_versions.h"

#include <stdlib.h>

void page_versions_init(struct page_versions *versions)
{
	*versions = (struct page_versions){0};
}

void page_versions_clear(struct page_versions *versions)
{
	free(versions->entries);
	page_versions_init(versions);
}

static size_t home_of(const struct page_versions *versions, uint32_t page_no)
{
	return (size_t)(page_no * UINT32_C(2654435761)) & (versions->cap - 1);
}

/* The entry of `page_no`, or the empty one where it would go. */
static struct page_version *entry_at(const struct page_versions *versions,
				     uint32_t page_no)
{
	size_t i = home_of(versions, page_no);

	while (versions->entries[i].page_no != 0 &&
	       versions->entries[i].page_no != page_no) {
		i = (i + 1) & (versions->cap - 1);
	}
	return &versions->entries[i];
}

enum status page_versions_reserve(struct page_versions *versions, size_t more,
				  struct error *err)
{
	struct page_versions grown = {.cap = versions->cap ? versions->cap : 256};

	while (grown.cap < 2 * (versions->total + more)) {
		grown.cap *= 2;
	}
	if (grown.cap == versions->cap) {
		return ST_OK;
	}
	grown.entries = calloc(grown.cap, sizeof *grown.entries);
	if (!grown.entries) {
		return error_no_memory(err, "%zu pages", versions->total + more);
	}
	for (size_t i = 0; i < versions->cap; i++) {
		if (versions->entries[i].page_no != 0) {
			page_versions_put(&grown, &versions->entries[i]);
		}
	}
	free(versions->entries);
	*versions = grown;
	return ST_OK;
}

struct page_version *page_versions_find(const struct page_versions *versions,
					uint32_t page_no)
{
	struct page_version *at;

	if (versions->total == 0) {
		return NULL;
	}
	at = entry_at(versions, page_no);
	return at->page_no == page_no ? at : NULL;
}

void page_versions_put(struct page_versions *versions,
		       const struct page_version *version)
{
	struct page_version *at = entry_at(versions, version->page_no);

	versions->total += at->page_no == 0;
	*at = *version;
}

void page_versions_remove(struct page_versions *versions, uint32_t page_no)
{
	struct page_version *found = page_versions_find(versions, page_no);
	size_t mask = versions->cap - 1;
	size_t hole;

	if (!found) {
		return;
	}
	hole = (size_t)(found - versions->entries);
	/* Close the hole, so that later entries stay reachable. */
	for (size_t i = (hole + 1) & mask; versions->entries[i].page_no != 0;
	     i = (i + 1) & mask) {
		size_t home = home_of(versions, versions->entries[i].page_no);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			versions->entries[hole] = versions->entries[i];
			hole = i;
		}
	}
	versions->entries[hole].page_no = 0;
	versions->total--;
}

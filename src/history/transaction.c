/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/transaction.h"

#include <stdlib.h>

#include "src/history/spool.h"

/* The struct and its arrays in one block. */
struct captured_txn *captured_txn_alloc(size_t page_total, size_t retired_total)
{
	struct captured_txn *txn =
	    malloc(sizeof *txn + (page_total + retired_total) * sizeof *txn->pages);

	if (txn) {
		*txn = (struct captured_txn){
		    .pages = (struct captured_page *)(void *)(txn + 1),
		    .page_total = page_total,
		    .retired_total = retired_total,
		};
		txn->retired = txn->pages + page_total;
	}
	return txn;
}

void captured_pages_drop(const struct captured_page *pages, size_t total,
			 struct spool *spool)
{
	for (size_t i = 0; i < total; i++) {
		spool_free(spool, &pages[i].slot, 1);
	}
}

void captured_txn_free_one(struct captured_txn *txn)
{
	if (txn) {
		writers_drop(txn->writers);
		free(txn);
	}
}

void captured_txn_free(struct captured_txn *first)
{
	while (first) {
		struct captured_txn *next = first->next;

		captured_txn_free_one(first);
		first = next;
	}
}

bool captured_txn_has_page(const struct captured_txn *txn, uint32_t page_no)
{
	size_t low = 0, high = txn->page_total;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (txn->pages[middle].page_no < page_no) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < txn->page_total && txn->pages[low].page_no == page_no;
}

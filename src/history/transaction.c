/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/transaction.h"

#include <stdlib.h>

#include "src/history/spool.h"

void captured_pages_drop(const struct captured_page *pages, size_t total,
			 struct spool *spool)
{
	for (size_t i = 0; i < total; i++) {
		spool_free(spool, &pages[i].slot, 1);
	}
}

void captured_txn_free(struct captured_txn *first)
{
	while (first) {
		struct captured_txn *next = first->next;

		free(first);
		first = next;
	}
}

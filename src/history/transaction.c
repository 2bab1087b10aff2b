/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/transaction.h"

#include <stdlib.h>

void captured_txn_free(struct captured_txn *first)
{
	while (first) {
		struct captured_txn *next = first->next;

		free(first);
		first = next;
	}
}

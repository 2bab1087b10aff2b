/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/state_when.h"

#include "src/archive/when.h"

enum status state_when_parse(const char *text, int64_t now_ns, struct state_when *when,
			     struct error *err)
{
	static const enum state_when_kind kinds[] = {
	    [WHEN_LATEST] = STATE_AT_LATEST,
	    [WHEN_FIRST] = STATE_AT_FIRST,
	    [WHEN_TXID] = STATE_AT_LSN,
	    [WHEN_TIME] = STATE_AT_TIME,
	};
	struct when given;
	enum status status = when_parse(text, now_ns, &given, err);

	if (status == ST_OK) {
		*when = (struct state_when){.kind = kinds[given.kind],
					    .time_ns = given.time_ns};
		if (given.kind == WHEN_TXID) {
			when->lsn = given.txid - 1;
		}
	}
	return status;
}

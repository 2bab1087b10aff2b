/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/change.h -- one changed row, decoded.
 *
 * OWNERSHIP  Everything is borrowed for the length of the call it is passed to.
 */
#ifndef SCHEMAS_CHANGE_H
#define SCHEMAS_CHANGE_H

#include <stdbool.h>

#include "schemas/table.h"

enum change_op {
	CHANGE_CREATE = 'c',
	CHANGE_UPDATE = 'u',
	CHANGE_DELETE = 'd',
	CHANGE_READ = 'r',
};

enum snapshot_mark {
	SNAPSHOT_FALSE,
	SNAPSHOT_TRUE,
	SNAPSHOT_FIRST,
	SNAPSHOT_FIRST_IN_DATA_COLLECTION,
	SNAPSHOT_LAST_IN_DATA_COLLECTION,
	SNAPSHOT_LAST,
	SNAPSHOT_INCREMENTAL,
};

struct change {
	enum change_op op;
	enum snapshot_mark snapshot;
	int64_t rowid;              /* of the row after, for a `d` before; unused for
				     * WITHOUT ROWID tables (source.rowid is null) */
	bool has_no_rowid;          /* source.rowid is null: the rowid is not known */
	const struct value *before; /* column_count values; NULL for c and r */
	const struct value *after;  /* column_count values; NULL for d */
	/* A changed primary key of presumably the same row: on the `d` the values of
	 * the row after (header __debezium.newkey), on the `c` those of the row
	 * before (header __debezium.oldkey); else NULL. */
	const struct value *other_key_row;
};

#endif

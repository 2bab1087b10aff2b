/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/ddl_reports.h"

#include <stdlib.h>

#include "src/base/array.h"

void ddl_reports_clear(struct ddl_reports *reports)
{
	free(reports->list);
	*reports = (struct ddl_reports){0};
}

enum status ddl_reports_add(struct ddl_reports *reports, enum ddl what,
			    const struct table *old_table,
			    const struct table *new_table, struct error *err)
{
	if (!array_room(&reports->list, &reports->cap, reports->count + 1,
			sizeof *reports->list)) {
		return error_no_memory(err, "schema changes");
	}
	reports->list[reports->count++] =
	    (struct ddl_report){what, old_table, new_table};
	return ST_OK;
}

enum status ddl_reports_tell(struct ddl_reports *reports, ddl_reports_taker *tell,
			     void *context, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < reports->count; i++) {
		const struct ddl_report *r = &reports->list[i];

		status = tell(context, r->what, r->old_table, r->new_table, err);
	}
	reports->count = 0;
	return status;
}

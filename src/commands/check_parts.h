/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/check_parts.h -- what rowtail check looks at, part by part, in the order
 * in which a run comes to it. Nothing is written, made, locked or taken.
 *
 * OWNERSHIP  struct checking is check.c's.
 * THREADS    One; of a process that has nothing open on the database.
 */
#ifndef CHECK_PARTS_H
#define CHECK_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/catalog.h"
#include "schemas/table_filter.h"
#include "src/commands/check_report.h"
#include "src/config/config.h"
#include "src/deliver/delivery.h"
#include "src/state/kept_position.h"

struct checking {
	const struct config *config;
	struct check_report report;
	struct delivery *delivery;   /* NULL: the sink cannot be opened */
	struct table_filter *filter; /* NULL: its lists cannot be taken */
	struct catalog *catalog;     /* NULL: it cannot be read */
	struct kept_position *kept;  /* NULL: no state directory, or of no use */
	size_t before_database;      /* findings that come before those of it */
	bool is_in_use;              /* another process has that */
	uint64_t database_bytes;     /* of its file */
	uint32_t page_size;          /* of it, bytes; 0: not known */
	bool is_readable;            /* the database is one, and can be read */
	bool has_topics;             /* the sink knows which topics there will be */
};

/* src/commands/check_database.c: its files, what may be done with them, and whether
 * somebody keeps others out. */
void check_database(struct checking *c);

/* src/commands/check_state.c: the state directory, against the database at `real`,
 * links resolved; and room for what a first start copies. */
void check_state(struct checking *c, const char *real);
void check_disk(struct checking *c);

/* src/commands/check_archive.c: what is there of --archive, and whose it is. */
void check_archive(struct checking *c);

/* src/commands/check_tables.c: what the settings make of its tables. */
void check_tables(struct checking *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/asked.h -- what the settings ask for, against what the database has.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    The one that opens everything.
 * ERRORS     ST_CONFIG: nothing is left to capture. Those of reading the schema; they
 *            are reported when it is opened for decoding.
 */
#ifndef ASKED_H
#define ASKED_H

#include "schemas/catalog.h"
#include "schemas/column_rules.h"
#include "schemas/table_filter.h"
#include "src/base/status.h"
#include "src/config/config.h"
#include "src/history/source.h"
#include "src/state/kept_position.h"

struct asked {
	const struct config *config;
	const struct table_filter *filter;
	const struct column_rules *rules; /* NULL: none */
};

/* The filter of tables that is asked for; of an archive Litestream's own are left out.
 */
enum status asked_filter_open(const struct config *config, struct table_filter **out,
			      struct error *err) MUST_CHECK;

/* Names that match nothing are warned of; nothing at all is an error. */
enum status asked_check(const struct asked *asked, const struct catalog *catalog,
			struct error *err) MUST_CHECK;

/* A snapshot was asked for, and there will be none. */
void asked_warn_of_snapshot(const struct config *config,
			    const struct kept_position *kept);

/* Damage was met in the pages of the database: name it, and say what to do. */
void asked_name_damage(const struct config *config, struct error *err);
/* The same at the start: ST_UNFIT. */
enum status asked_unfit(const struct config *config, struct error *err);

/*
 * asked_check before the first copy of the database, which may take long: the schema is
 * read from the source as it was opened (`first`, whose images are in
 * `spool`). ST_OK also if it cannot be read: `*is_checked` is false then.
 */
enum status asked_check_first(const struct asked *asked, struct spool *spool,
			      const struct source *source,
			      const struct captured_txn *first, bool *is_checked,
			      struct error *err) MUST_CHECK;

#endif

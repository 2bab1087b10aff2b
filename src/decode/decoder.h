/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/decoder.h -- captured transactions to changed rows.
 *
 * Finds the trees that a transaction touched, has each compared between the view
 * before and the view after, and hands on the changes table by table: that of the
 * context (table.is_context) first, then by names in ASCII lower case, as bytes. Keeps
 * the catalog and, in databases without ptrmap pages that can be believed, the derived
 * parent map.
 *
 * Damage in trees of which no row is asked for (indexes, tables that are left out), in
 * the freelist and in ptrmap pages is told once and stops nothing. What a table that
 * is captured needs and cannot be read is ST_CORRUPT, with the table's name.
 *
 * Tables match by name. A name that is gone is a DROP, a new one a CREATE; a pair of
 * them is a RENAME where sqlite_schema says so (schemas/table_rename.h), or where the
 * two share an untouched page or a row of equal bytes.
 *
 * OWNERSHIP  decoder_open / decoder_close. The view is borrowed for its lifetime.
 * THREADS    The decoding thread only.
 */
#ifndef DECODER_H
#define DECODER_H

#include "schemas/catalog.h"
#include "schemas/change.h"
#include "src/decode/ddl_reports.h"
#include "src/history/view.h"

/* Where the database is damaged without harm to what is followed. */
enum damaged_part {
	DAMAGED_INDEX,
	DAMAGED_TABLE, /* one that is left out */
	DAMAGED_FREELIST,
	DAMAGED_POINTER_MAP
};

/* Where the decoder's findings go; a status other than ST_OK ends the decoding and is
 * handed on. */
struct decoder_events {
	void *context;
	/* Rows are paired as statements need it (struct table_pair), and a table that
	 * was altered or renamed is another one: dropped and created. */
	bool for_statements;
	/* A new catalog, before anything that depends on it; `previous` is NULL at
	 * open. The callee may set left_out of its tables. */
	enum status (*catalog)(void *context, struct catalog *catalog,
			       const struct catalog *previous, struct error *err);
	/* A table that one of the catalogs captures came, went, was renamed or altered;
	 * all of them before the first change of the transaction that is not of the
	 * context's table (table.is_context). NULL: not there. */
	enum status (*ddl)(void *context, enum ddl what, const struct table *old_table,
			   const struct table *new_table, struct error *err);
	/* Damage that does not stop anything, each part once; `name` of the index or
	 * the table. */
	void (*damaged)(void *context, enum damaged_part part, const char *name,
			const struct error *why);
	/* The changes that follow are of this table of the new catalog. */
	enum status (*table)(void *context, const struct table *table,
			     struct error *err);
	enum status (*change)(void *context, const struct change *change,
			      struct error *err);
	/* Of the table at hand: see row_diff.moved (src/decode/row_diff.h). NULL:
	 * nobody asks. */
	void (*moved)(void *context, int64_t from, int64_t to);
};

struct decoder;

/* Reads the catalog of the view's old side. */
enum status decoder_open(struct view *view, const struct table_filter *filter,
			 const struct decoder_events *events, struct decoder **out,
			 struct error *err) MUST_CHECK;
void decoder_close(struct decoder *decoder); /* takes NULL */

/* The catalog as of the view's old side; borrowed until the next decoder_apply. */
const struct catalog *decoder_catalog(const struct decoder *decoder);

/* Go on with another view of the same state: its pages may have another size. What lies
 * in the one before is not asked for any more. */
void decoder_use_view(struct decoder *decoder, struct view *view);

/* Decode one transaction and move the view past it. After an error the decoder can
 * only be closed. */
enum status decoder_apply(struct decoder *decoder, const struct captured_txn *txn,
			  struct error *err) MUST_CHECK;

#endif

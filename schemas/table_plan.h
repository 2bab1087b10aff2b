/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table_plan.h -- how the rows and keys of one table are printed.
 *
 * The part of schemas/encoder.h that depends on the table alone: column names as they
 * stand before the values, Connect types, schema blocks. Made once for each version of
 * a table; printing a row copies from it and allocates nothing.
 *
 * OWNERSHIP  table_plan_open / table_plan_close. The table is borrowed for the plan's
 *            lifetime.
 * THREADS    One thread at a time.
 * ERRORS     ST_NOMEM. ST_CONFIG: two columns have one name once they are adjusted.
 *            ST_CONVERT: a value does not fit, and may not be lost.
 */
#ifndef SCHEMAS_TABLE_PLAN_H
#define SCHEMAS_TABLE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/change.h"
#include "schemas/column_rules.h"
#include "schemas/column_type.h"
#include "schemas/encoder_settings.h"
#include "schemas/name_adjustment.h"
#include "schemas/route.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/* A column of the row or of the key. */
struct plan_column {
	uint32_t offset; /* in table_plan.text, of {"a":  or  ,"b": */
	uint32_t len;
	uint32_t index; /* of the column in the table */
	enum connect_type type;
	bool is_required;
	struct column_mask *mask; /* NULL: it is shown as it is */
	uint32_t hash_limit;      /* digits of a hash, see schemas/column_mask.h */
	uint32_t misfits; /* values that did not fit, up to the limit of warnings */
};

struct table_plan {
	const struct table *table;
	const struct encoder_settings *settings; /* the encoder's */
	struct buffer text; /* the names' pieces; JSON_OVERRUN bytes behind the last */
	struct plan_column *columns;
	struct plan_column *keys;
	uint32_t column_count;
	uint32_t key_count;
	bool has_masks;
	bool has_own_key; /* message.key.columns says which columns */
	size_t row_room;  /* bytes of a row, TEXT and BLOB apart */
	size_t key_room;
	struct buffer topic; /* without transforms; names of schemas come of it */
	struct route route;
	struct buffer name; /* of the table, as a JSON string */

	/* {"schema":…,"payload": of events and keys, made when the first one comes;
	 * empty without schemas. */
	struct buffer value_head;
	struct buffer key_head;
	struct buffer header_head; /* of a key in a header: as no transform has it */

	/* The encoder's, of the transaction `serial`: */
	uint64_t serial;
	enum snapshot_mark source_mark;
	struct buffer source; /* up to "change_id": */
	size_t collection;    /* index in encoder.collections */
};

/* `topic` is copied. */
enum status table_plan_open(const struct table *table,
			    const struct encoder_settings *settings, struct span topic,
			    struct table_plan **out, struct error *err) MUST_CHECK;

/*
 * True for an update that changes the key of message.key.columns: the two changes in
 * `parts` are to be encoded in its place, one after the other. They borrow what the
 * change borrows.
 */
bool table_plan_splits(const struct table_plan *plan, const struct change *change,
		       struct change parts[2]);

/* With schemas: does every value of the change fit its column? What does not is
 * handled as the settings say: an error, `*skip`, or a warning, after which it is
 * printed as null. */
enum status table_plan_check(struct table_plan *plan, const struct change *change,
			     bool *skip, struct error *err) MUST_CHECK;

/*
 * Print a row at `p`, which lies in `b` with `slack` bytes reserved behind it, at least
 * row_room. Returns the position behind it, with `slack` bytes reserved there; NULL
 * when memory ran out.
 */
char *table_plan_put_row(const struct table_plan *plan, struct buffer *b, char *p,
			 const struct value *values, size_t slack);

/* The same as without schemas. */
char *table_plan_put_plain_row(const struct table_plan *plan, struct buffer *b, char *p,
			       const struct value *values, size_t slack);

/*
 * The same of what an update changes, {"a":[OLD,NEW],…}; `{}` where that is nothing
 * which is shown. Of `slack` bytes CHANGED_ROOM(plan) are used. Not with schemas.
 */
char *table_plan_put_changed(const struct table_plan *plan, struct buffer *b, char *p,
			     const struct change *change, size_t slack);
#define CHANGED_ROOM(plan) (2 * (plan)->row_room + 3 * (size_t)(plan)->column_count)

/* The same of the key of a row that has one, without a schema; at least key_room. */
char *table_plan_put_key(const struct table_plan *plan, struct buffer *b, char *p,
			 const struct value *values, size_t slack);
bool table_plan_has_key(const struct table_plan *plan, const struct value *values);

/* Headers have keys as they are without transforms. */
enum key_use { KEY_OF_MESSAGE, KEY_OF_HEADER };

/* Print the key of a row, its schema included, as the whole of `b`; `*key` is absent
 * where there is none (no key columns, or a NULL). False when memory ran out. */
bool table_plan_build_key(const struct table_plan *plan, enum key_use use,
			  struct buffer *b, const struct value *values,
			  struct span *key) MUST_CHECK;

/* Append the column's name as it stands in messages. */
void table_plan_add_name(const struct table_plan *plan, struct buffer *b,
			 uint32_t index);

void table_plan_close(struct table_plan *plan); /* takes NULL */
/* The topic of its messages, sanitised; borrowed from the plan. Its end is a NUL. */
struct span table_plan_topic(const struct table_plan *plan);
/* The same without transforms, which may bring several tables together; no NUL. */
struct span table_plan_own_topic(const struct table_plan *plan);
/* Transforms have given it another one. */
bool table_plan_is_routed(const struct table_plan *plan);
/* No message of the table has a key. */
bool table_plan_is_keyless(const struct table_plan *plan);
/* message.key.columns says what its key is. */
bool table_plan_has_own_key(const struct table_plan *plan);

#endif

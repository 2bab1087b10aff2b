/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_ddl.h -- the columns that a CREATE TABLE statement of an audit log
 * makes.
 *
 * The statement is a stranger's: SQLite parses it as a schema that it finds in a file
 * (schemas/sandbox.h), and executes nothing.
 *
 * OWNERSHIP  audit_ddl_clear; one of zeros, too.
 * THREADS    No shared state.
 * ERRORS     ST_NOMEM. A statement that makes no table has no columns.
 */
#ifndef AUDIT_DDL_H
#define AUDIT_DDL_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

struct audit_ddl_column {
	char *name;
	char *definition; /* type, NOT NULL and default; NULL: it is computed */
	int key_position; /* in the primary key, from 1; 0: not in it */
};

struct audit_ddl {
	struct audit_ddl_column *columns;
	size_t count;
};

enum status audit_ddl_read(const char *statement, struct audit_ddl *out,
			   struct error *err) MUST_CHECK;
void audit_ddl_clear(struct audit_ddl *ddl);

/* ASCII case is ignored; NULL: there is none. */
const struct audit_ddl_column *audit_ddl_find(const struct audit_ddl *ddl,
					      const char *name);

/* Does the column hold after the change what it held before, as no line tells of its
 * values? */
bool audit_ddl_keeps(const struct audit_ddl *was, const struct audit_ddl *is,
		     const char *name);

/* Have rows the same keys, but for names of columns? */
bool audit_ddl_keeps_key(const struct audit_ddl *was, const struct audit_ddl *is);

#endif

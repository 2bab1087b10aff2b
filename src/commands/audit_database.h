/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_database.h -- rowtail audit verify --database: has the database
 * what the log tells?
 *
 * The last word of the log on each row (src/commands/audit_told.h) is compared with the
 * row in the database file, encoded as the run's settings would have it. The file is
 * read without SQLite and without a lock (src/capture/database_file.h). If somebody
 * writes to it meanwhile it is read again, after the lines that came; if rowtail is
 * writing the log what differs is waited for, some seconds. With --until the file is a
 * copy that was begun then: lines of a later time are taken behind the comparison, and
 * what differs counts only if none of them made the row what the copy has.
 *
 * OWNERSHIP audit_database_open / audit_database_close; the configuration and the
 *          path are borrowed.
 * THREADS  The main thread.
 * ERRORS   ST_CONFIG: the settings leave changes out of the log. ST_UNFIT: not such a
 *          database. ST_RETRY: it is written all the time. ST_CORRUPT: rows differ.
 *          ST_IO, ST_NOMEM.
 */
#ifndef AUDIT_DATABASE_H
#define AUDIT_DATABASE_H

#include "src/commands/audit_told.h"
#include "src/config/config.h"

#define AUDIT_DATABASE_SHOWN 1000 /* findings that are told one by one, at most */

struct audit_database {
	const struct config *config;
	const char *log_path;
	uint64_t begin;  /* the first line of the log that is there */
	bool is_written; /* the log, at this moment */
	struct audit_told told;
	char until[25];    /* when the copy was begun; "": it is no copy */
	bool is_until;     /* a line was later than that */
	char time[25];     /* of the log's last line that was taken */
	uint64_t settings; /* of its last start, a hash; has_settings: it tells */
	bool has_settings;
	bool is_same_file; /* as the log was begun with */
	uint64_t differ;   /* rows */
	uint64_t tables;   /* that were compared */
	uint64_t shown;
	bool failed;           /* memory ran out while that was told */
	json_t *findings;      /* with --json; borrowed */
	json_t *untold_tables; /* names */
	json_t *left_out;      /* names */
	bool is_later;         /* the database was written after the last line's time */
};

enum status audit_database_open(struct audit_database *d, const struct config *config,
				const char *log_path, uint64_t begin, bool is_written,
				struct error *err) MUST_CHECK;
void audit_database_close(struct audit_database *d); /* one of zeros, too */

/* A whole line of the log. */
enum status audit_database_take(struct audit_database *d, struct span line,
				struct error *err) MUST_CHECK;
/* There are no more: compare, and find what differs. With `findings` that is added to
 * it, else it is printed. */
enum status audit_database_compare(struct audit_database *d, json_t *findings,
				   struct error *err) MUST_CHECK;

/* What came of it: for people, or an object, NULL when memory ran out. */
enum status audit_database_print(const struct audit_database *d,
				 struct error *err) MUST_CHECK;
json_t *audit_database_json(const struct audit_database *d);
/* ST_CORRUPT if rows differ. */
enum status audit_database_result(const struct audit_database *d, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/check_database.c -- can the database be followed? */
#include <fcntl.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/capture/db_fit.h"
#include "src/capture/db_users.h"
#include "src/commands/check_parts.h"

#define LOOK_NS (20 * NS_PER_MS)

/* Nobody has -shm open, whose locks who may only read it needs. */
static bool is_nobodys(const struct db_paths *paths, int fd)
{
	int shm = open(paths->shm, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool is_alone = shm < 0 || db_is_alone(fd, shm);

	if (shm >= 0) {
		(void)close(shm);
	}
	return is_alone;
}

/* A run waits until somebody has it open, with --once not for long. */
static void check_first(struct checking *c, const struct db_paths *paths, int fd,
			bool degraded)
{
	const char *path = c->config->database_path;
	struct error err;

	if (!db_fit_must_not_be_first(paths, degraded) ||
	    (db_paths_are_beside(paths) && !(degraded && is_nobodys(paths, fd)))) {
		return;
	}
	if (c->config->once) {
		check_report_problem(&c->report, db_fit_nobody(path, degraded, &err),
				     err.text);
	} else {
		check_report_warn(&c->report,
				  "%s: a run waits until an application has it open, "
				  "as rowtail %s",
				  quote(path).text, db_fit_why_not_first(degraded));
	}
}

/* As long as a run would try. */
static bool is_locked(const struct db_paths *paths, int fd)
{
	int64_t until = clock_mono_ns() + DB_LOCKED_TRIES_NS;
	bool is_locked = db_fit_is_locked(paths, fd);

	while (is_locked && clock_mono_ns() < until) {
		clock_sleep_ns(LOOK_NS);
		is_locked = db_fit_is_locked(paths, fd);
	}
	return is_locked;
}

static void check_beside(struct checking *c, int fd, bool is_fit)
{
	const char *path = c->config->database_path;
	struct check_report *report = &c->report;
	struct db_paths paths;
	struct error err;
	bool degraded = false;
	bool ok = check_report_take(report, db_paths_init(path, &paths, &err), &err) &&
		  check_report_take(report,
				    db_fit_rights(path, &paths, &degraded, &err), &err);

	if (ok && is_fit) {
		db_fit_warn(path, fd, degraded);
		check_first(c, &paths, fd, degraded);
		if (is_locked(&paths, fd)) {
			(void)db_fit_locked(path, &err);
			check_report_problem(report, ST_UNFIT, err.text);
			ok = false;
		}
	}
	c->is_readable = ok && is_fit;
	db_paths_clear(&paths);
}

void check_database(struct checking *c)
{
	const char *path = c->config->database_path;
	struct check_report *report = &c->report;
	uint32_t page_size = 0;
	struct error err;
	struct stat st;
	int fd = -1;

	check_report_about(report, "database");
	if (check_report_take(report, db_fit_open(path, &fd, &st, &err), &err)) {
		bool is_fit = check_report_take(
		    report, db_fit_header(path, fd, &st, &page_size, &err), &err);

		check_beside(c, fd, is_fit);
	}
	if (c->is_readable) {
		c->database_bytes = (uint64_t)st.st_size;
		c->page_size = page_size;
		check_report_ok(report, "%s: in WAL mode, pages of %u bytes",
				quote(path).text, (unsigned)page_size);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
}

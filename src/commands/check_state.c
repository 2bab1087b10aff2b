/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/check_state.c -- can a run begin, or go on, with the state directory? */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/asked.h"
#include "src/base/quote.h"
#include "src/commands/check_parts.h"
#include "src/config/shaping.h"
#include "src/deliver/other_settings.h"
#include "src/state/kept_look.h"
#include "src/state/same_database.h"
#include "src/state/shadow.h"

static void add_setting(void *context, const char *name, const char *was,
			const char *is)
{
	check_report_setting(context, name, was, is);
}

/* Property by property; the line of a run says what it means. */
static void compare_settings(struct checking *c)
{
	const struct kept_position *kept = c->kept;
	const char *is = c->delivery ? delivery_settings(c->delivery) : NULL;

	if (!is || kept->position.settings_hash == shaping_hash(is, strlen(is))) {
		return;
	}
	other_settings_say(c->config->state_path, kept, is);
	if (kept->last_settings.bytes &&
	    kept->last_hash == kept->position.settings_hash &&
	    shaping_compare(kept->last_settings.bytes, is, add_setting, &c->report) ==
		SIZE_MAX) {
		c->report.is_out_of_memory = true;
	}
}

static void say_going_on(struct checking *c)
{
	const struct kept_position *kept = c->kept;
	uint32_t page_size = database_page_size(c->config->database_path);

	check_report_ok(&c->report, "%s: goes on from LSN %" PRIu64,
			quote(c->config->state_path).text, kept->position.lsn);
	if (page_size > 0 && page_size != kept->page_size) {
		check_report_warn(
		    &c->report,
		    "%s: the database had pages of %u bytes and has pages "
		    "of %u now: what is kept is brought to that size "
		    "first, and compared",
		    quote(c->config->state_path).text, (unsigned)kept->page_size,
		    (unsigned)page_size);
	}
	asked_warn_of_snapshot(c->config, kept);
	compare_settings(c);
}

void check_state(struct checking *c, const char *real)
{
	const char *path = c->config->state_path;
	struct check_report *report = &c->report;
	const struct state_dir *dir;
	struct error err;

	check_report_about(report, "state");
	if (!path) {
		check_report_ok(report, "none: a run begins anew each time");
		return;
	}
	if (!check_report_take(report, same_database_check_place(real, path, &err),
			       &err) ||
	    !check_report_take(report, kept_look_open(path, real, &c->kept, &err),
			       &err)) {
		return;
	}
	dir = kept_look_dir(c->kept);
	c->is_in_use = dir && state_dir_holder(dir) != 0;
	if (c->is_in_use) {
		(void)check_report_take(report, state_dir_check_free(dir, &err), &err);
	}
	if (!c->kept->is_new) {
		say_going_on(c);
	} else {
		check_report_ok(report,
				"%s: %s, and the first start begins with a copy "
				"of the database",
				quote(path).text, dir ? "is empty" : "would be made");
	}
}

/* ---- the disk ---- */

/* The folder that it is, or would be made in; -1: errno. */
static int open_place(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *copy = fd < 0 && errno == ENOENT ? strdup(path) : NULL;

	if (copy) {
		fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	free(copy);
	return fd;
}

void check_disk(struct checking *c)
{
	const char *path = c->config->state_path;
	struct check_report *report = &c->report;
	struct error err;
	uint64_t pages;
	int fd;

	if (!c->kept || !c->kept->is_new || c->page_size == 0) {
		return;
	}
	check_report_about(report, "disk");
	fd = open_place(path);
	if (fd < 0) {
		return;
	}
	pages = c->database_bytes / c->page_size;
	if (shadow_check_room(fd, c->page_size, pages, &err) == ST_OK) {
		check_report_ok(report,
				"there is room for the copy of the database, "
				"%" PRIu64 " MiB",
				c->database_bytes >> 20);
	} else {
		(void)error_wrap(&err, "%s", quote(path).text);
		check_report_problem(report, err.status, err.text);
	}
	(void)close(fd);
}

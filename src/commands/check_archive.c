/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/check_archive.c -- can the archive be written to, and is it ours? */
#include "src/archive/archive_look.h"
#include "src/archive/outbox.h"
#include "src/base/quote.h"
#include "src/commands/check_parts.h"
#include "src/state/kept_look.h"

/* Does what it has lead on to what the state directory has? */
static enum status check_resume(const struct checking *c,
				const struct archive_known *known,
				const struct outbox_content *content,
				const struct state_dir *dir, struct error *err)
{
	const struct state_meta *meta = state_dir_meta(dir);
	struct archived_state ours = {.lsn = meta->base_lsn,
				      .end_lsn = c->kept->found_lsn,
				      .page_size = meta->page_size};
	struct archive_resume resume;

	if (ours.end_lsn < ours.lsn) {
		ours.end_lsn = ours.lsn;
	}
	return archive_resume(known, content, &ours, &resume, err);
}

/* Of one that is out of reach a run that goes on says so, and goes on. */
static void take(struct checking *c, bool is_new, enum status status,
		 const struct error *err)
{
	if (status != ST_OK && !is_new && archive_may_pass(status)) {
		check_report_warn(
		    &c->report,
		    "%s; a run goes on, and what is archived waits in the "
		    "state directory meanwhile",
		    err->text);
	} else {
		(void)check_report_take(&c->report, status, err);
	}
}

void check_archive(struct checking *c)
{
	const struct config *config = c->config;
	const struct state_dir *dir = c->kept ? kept_look_dir(c->kept) : NULL;
	char writer[OUTBOX_WRITER_BYTES] = "";
	struct archive_looking how = {.location = config->archive_to,
				      .storage = &config->storage,
				      .writer = writer,
				      .takes_over = config->archive_take_over};
	struct outbox_content content = {0};
	struct archive_known known;
	struct last_error away;
	bool is_there = false;
	bool is_new = !c->kept || c->kept->is_new;
	struct error err;
	enum status status;

	if (!config->archive_to) {
		return;
	}
	check_report_about(&c->report, "archive");
	if (dir) {
		(void)archive_writer_of(state_dir_fd(dir), writer);
		(void)outbox_peek(state_dir_fd(dir), &content, &away);
	}
	status = archive_look(&how, &known, &is_there, &err);
	if (status == ST_OK && !is_new && !c->is_in_use) {
		status = check_resume(c, &known, &content, dir, &err);
	}
	take(c, is_new, status, &err);
	if (status == ST_OK && !is_there && content.done_txid > 0) {
		check_report_warn(&c->report,
				  "%s was there before and is not now (a disk that is "
				  "not mounted?): a run goes on, and what is archived "
				  "waits in the state directory meanwhile",
				  quote(config->archive_to).text);
	} else if (status == ST_OK) {
		check_report_ok(&c->report, "%s: %s", quote(config->archive_to).text,
				!is_there         ? "would be made"
				: known.has_files ? "is in reach, and ours"
						  : "is in reach, and empty");
	}
}

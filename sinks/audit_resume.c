/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/quote.h"

#define ACCEPT                                                                         \
	"; nothing was appended. Keep a copy of it, see rowtail audit verify, and go " \
	"on behind it with --accept-gap, which the log will tell of"

/* There is a hole: with --accept-gap it is told in the log, else it is an error. */
static enum status need_gap(const struct audit_own *own, struct audit_decision *out,
			    const char *reason, struct error *err)
{
	if (!own->accepts_gap) {
		return err->status;
	}
	out->is_sound = false;
	(void)snprintf(out->gap, sizeof out->gap, "%s", reason);
	return ST_OK;
}

/* Which is ahead: > 0 the log. */
static int compare(const struct sink_position *log, const struct sink_position *own)
{
	if (log->lsn != own->lsn) {
		return log->lsn > own->lsn ? 1 : -1;
	}
	if (log->in_snapshot != own->in_snapshot) {
		return own->in_snapshot ? 1 : -1;
	}
	if (log->chunks != own->chunks) {
		return log->chunks > own->chunks ? 1 : -1;
	}
	return (log->messages > own->messages) - (log->messages < own->messages);
}

/* There is no log at PATH. */
static enum status meet_none(const struct audit_own *own, struct audit_decision *out,
			     struct error *err)
{
	if (own->remembered == 0) {
		return ST_OK;
	}
	(void)error_set(
	    err, ST_IO,
	    "%s is not there or empty, but had %" PRIu64
	    " lines: restore it, or give the PATH that it has now; or begin "
	    "a new log with --accept-gap, which will tell of it",
	    quote(own->path).text, own->remembered);
	return need_gap(own, out, "the log that was here before is gone", err);
}

/* The log has another directory's uuid. */
static enum status meet_foreign(const struct audit_own *own, struct audit_decision *out,
				struct error *err)
{
	(void)error_set(
	    err, ST_CONFIG,
	    "%s was written from another state directory: give that one "
	    "with --state, or another PATH; if it is lost, go on behind the "
	    "log with --accept-gap, which the log will tell of",
	    quote(own->path).text);
	return need_gap(own, out, "another state directory goes on from here", err);
}

static enum status meet_damaged(const struct audit_own *own,
				const struct audit_seen *seen,
				struct audit_decision *out, struct error *err)
{
	(void)error_set(err, ST_IO, "%s is not what was written: %s" ACCEPT,
			quote(own->path).text, seen->wrong);
	return need_gap(own, out, seen->wrong, err);
}

/* Fewer lines than are remembered, or others. */
static enum status meet_shorter(const struct audit_own *own,
				const struct audit_seen *seen,
				struct audit_decision *out, struct error *err)
{
	char reason[AUDIT_REASON_BYTES];

	if (seen->lines < own->remembered) {
		(void)snprintf(reason, sizeof reason,
			       "it was shortened: %" PRIu64 " lines of %" PRIu64
			       " are there",
			       seen->lines, own->remembered);
	} else {
		(void)snprintf(reason, sizeof reason,
			       "among its first %" PRIu64 " lines some were altered",
			       own->remembered);
	}
	(void)error_set(err, ST_IO, "%s is not what was written: %s" ACCEPT,
			quote(own->path).text, reason);
	return need_gap(own, out, reason, err);
}

/* The log was written from here and is as it was: who is ahead? */
static enum status meet_own(const struct audit_own *own, const struct audit_seen *seen,
			    struct audit_decision *out, struct error *err)
{
	/* The position is stored before it is signed: a head that follows what is
	 * remembered at once has none that is newer. Nobody signed that line yet, so it
	 * is not asked. Without a head the state directory alone knows. */
	bool is_newer = seen->has_head &&
			(own->remembered == 0 || seen->covered > own->remembered + 1);
	int order = is_newer ? compare(&seen->position, &own->here->position) : 0;

	if (order > 0 && !own->here->has(own->here->context, seen->position.lsn,
					 seen->position.chain)) {
		(void)error_set(err, ST_CONFIG,
				"the state directory is older than %s (LSN %" PRIu64
				", the log has %" PRIu64
				"), as from a backup: use the one that ran last, or go "
				"on with --accept-gap, which the log will tell of",
				quote(own->path).text, own->here->position.lsn,
				seen->position.lsn);
		return need_gap(own, out,
				"an older state directory goes on from here: changes "
				"may be told twice, or not at all",
				err);
	}
	out->verdict = order > 0 ? SINK_ADOPT : SINK_GO_ON;
	if (own->remembered == 0 && order < 0) {
		/* Behind the last head there may be lines that were acknowledged. */
		out->is_sound = false;
		(void)snprintf(out->gap, sizeof out->gap,
			       "changes up to LSN %" PRIu64
			       " went elsewhere; some of them may be told here, too",
			       own->here->position.lsn);
	} else if (!seen->was_stopped) {
		(void)snprintf(out->gap, sizeof out->gap,
			       "no stop before this start; every change that was "
			       "captured is told once");
	}
	return ST_OK;
}

enum status audit_resume_decide(const struct audit_own *own,
				const struct audit_seen *seen,
				struct audit_decision *out, struct error *err)
{
	/* A head of ours may still be to come: what is remembered is ours, too. */
	bool is_vouched = own->remembered > 0 && seen->is_remembered &&
			  seen->covered <= own->remembered;
	bool is_foreign = own->here->is_new ||
			  (!is_vouched && strcmp(seen->uuid, own->here->uuid) != 0);

	*out = (struct audit_decision){.verdict = SINK_GO_ON, .is_sound = true};
	if (seen->lines == 0 && !seen->wrong) {
		return meet_none(own, out, err);
	}
	if (seen->wrong) {
		return meet_damaged(own, seen, out, err);
	}
	if (is_foreign) {
		return meet_foreign(own, out, err);
	}
	if (own->remembered > 0 && !seen->is_remembered) {
		return meet_shorter(own, seen, out, err);
	}
	if (!seen->has_head && own->remembered == 0 && seen->is_first) {
		out->starts_over = true; /* the first start ended before it said so */
		return ST_OK;
	}
	return meet_own(own, seen, out, err);
}

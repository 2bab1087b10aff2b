/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/audit_clock.h"
#include "sinks/audit_lines.h"
#include "sinks/audit_log.h"
#include "sinks/audit_place.h"
#include "sinks/audit_retention.h"
#include "sinks/audit_scan.h"
#include "sinks/audit_turn.h"
#include "sinks/output_path.h"
#include "sinks/position_json.h"
#include "sinks/sink_settings.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/time_text.h"

#define HEAD_NS  NS_PER_S          /* between two heads, at least */
#define IDLE_NS  (3600 * NS_PER_S) /* at most: silence is proven, too */
#define RETRY_NS (60 * NS_PER_S)   /* a new file that could not be made is made later */

/* In the place of an inode: what is remembered is of an audit log. */
#define PLACE_MARK UINT64_C(0x6175646974206c6f)

struct audit_sink {
	struct sink sink; /* first */
	struct sink_settings settings;
	char uuid[64];  /* of the state directory, once it has begun */
	char *database; /* real path, likewise */
	struct audit_log log;
	struct audit_place file;           /* open from claim on */
	struct audit_retention *retention; /* once it has begun */
	struct audit_scan *found;          /* from claim to begin */
	struct audit_decision decision;
	bool needs_key;     /* the log's is lost, and that is accepted */
	uint64_t signed_at; /* lines when the last head was made, with its own */
	int64_t signed_ns;  /* when, monotonic; 0: not in this run */
	int64_t
	    begun_ns; /* when the file that is written was, wall clock; 0: unknown */
	int64_t retry_ns; /* monotonic: no new file before */
	unsigned times_full;
	struct audit_clock clock;
	uint64_t put_bytes;      /* since the last flush */
	struct sink_place place; /* as of the last one */
	uint64_t txn_start;      /* the line where the transaction began */
};

static struct audit_sink *sink_of(struct sink *sink)
{
	return (struct audit_sink *)sink;
}

/* ---- opening ---- */

static enum status check_folder(const struct audit_sink *s, struct error *err)
{
	char *folder = output_path_folder(s->log.path);
	enum status status = ST_OK;

	if (!folder) {
		return error_no_memory(err, "the path of the audit log");
	}
	if (*output_path_name(s->log.path) == '\0') {
		status = error_set(err, ST_CONFIG, "--to audit:%s: must name a file",
				   s->settings.target);
	} else if (access(folder, W_OK | X_OK) != 0) {
		status = error_set(err, ST_CONFIG,
				   "--to audit:%s: no file can be made in %s: %s",
				   s->settings.target, folder, strerror(errno));
	}
	free(folder);
	return status;
}

/* The files beside the log: first by their names, as a file of the database must not
 * even be opened here. */
static enum status check_beside(const struct audit_sink *s,
				const struct output_path *place, struct error *err)
{
	static const char *const suffixes[] = {".checkpoint", ".checkpoint.tmp",
					       ".keys", ".new", ".000000000000"};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < sizeof suffixes / sizeof *suffixes;
	     i++) {
		char *path;

		if (asprintf(&path, "%s%s", s->log.path, suffixes[i]) < 0) {
			return error_no_memory(err, "a path");
		}
		status = output_path_check_beside(place, path, err);
		free(path);
	}
	return status == ST_OK ? audit_log_check_beside(s->log.path, err) : status;
}

/* PATH is a link of ours to a file of the log: it is PATH all the same. */
static void take_back(const struct audit_sink *s, char *path)
{
	uint64_t first;
	bool is_compressed;
	const char *at = audit_files_number(path, &first, &is_compressed);
	const char *name = output_path_name(s->settings.target);

	if (at && (size_t)(at - path) >= strlen(name) &&
	    strncmp(at - strlen(name), name, strlen(name)) == 0 &&
	    output_path_name(path) == at - strlen(name)) {
		path[at - path] = '\0';
	}
}

static enum status find_path(struct audit_sink *s, struct error *err)
{
	const struct output_path place = {.scheme = audit_kind.scheme,
					  .path = s->settings.target,
					  .database_path = s->settings.database_path,
					  .state_path = s->settings.state_path};
	struct stat st;
	bool exists, is_compressed;
	uint64_t first;
	enum status status = output_path_find(&place, &s->log.path, &exists, &st, err);

	if (status != ST_OK) {
		return status;
	}
	take_back(s, s->log.path);
	if (audit_files_number(s->log.path, &first, &is_compressed)) {
		return error_set(err, ST_CONFIG,
				 "--to audit:%s: a name that ends so is one file of a "
				 "log: leave that end out",
				 s->settings.target);
	}
	status = check_beside(s, &place, err);
	return status == ST_OK && !exists ? check_folder(s, err) : status;
}

static void audit_close(struct sink *sink)
{
	struct audit_sink *s = sink_of(sink);

	free(s->found);
	audit_retention_close(s->retention);
	audit_log_clear(&s->log);
	audit_place_clear(&s->file);
	free(s->database);
	free(s);
}

static enum status audit_open(const struct sink_settings *settings, struct sink **out,
			      struct error *err)
{
	struct audit_sink *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "the audit log");
	}
	s->sink.kind = &audit_kind;
	s->settings = *settings;
	s->file.fd = -1;
	status = audit_log_init(&s->log, err);
	if (status == ST_OK) {
		status = find_path(s, err);
	}
	if (status != ST_OK) {
		audit_close(&s->sink);
		return status;
	}
	s->log.writer.stop = settings->stop;
	s->log.writer.patience_ns = settings->patience_ns;
	s->log.writer.on_outage = settings->on_outage;
	s->log.writer.context = settings->context;
	*out = &s->sink;
	return ST_OK;
}

/* ---- claim: what is there, and does it go with the state directory? ---- */

/* The key that the log is signed with, where lines follow others. */
static enum status find_key(struct audit_sink *s, bool only_looks, struct error *err)
{
	bool goes_on = s->found->seen.lines > 0 && !s->decision.starts_over;
	bool is_there = false, is_next;
	const char *state = s->settings.state_path;
	const struct audit_key *key = &s->found->key;
	struct error why;
	enum status status = ST_END;

	if (goes_on) {
		status = only_looks ? audit_turn_find_key(state, key, &s->log.secrets,
							  &is_there, &is_next, &why)
				    : audit_turn_read_key(state, key, &s->log.secrets,
							  &is_there, &why);
	}

	if (status == ST_OK) {
		return ST_OK;
	}
	s->needs_key = true;
	if (goes_on && s->settings.accepts_gap && !*s->decision.gap) {
		(void)snprintf(s->decision.gap, sizeof s->decision.gap,
			       "the key that signed is lost: a new one signs from here "
			       "on");
	}
	/* One that cannot be read just now is not lost. */
	if (!goes_on ||
	    (s->settings.accepts_gap && (status == ST_END || status == ST_CORRUPT))) {
		return ST_OK;
	}
	if (status != ST_END) {
		*err = why;
		err->status = status == ST_CORRUPT ? ST_CONFIG : status;
		return err->status;
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s/audit-key, with which %s is signed, is %s: restore it from "
	    "a backup; or go on with a new key with --accept-gap, which "
	    "the log will tell of",
	    quote(s->settings.state_path).text, quote(s->log.path).text,
	    is_there ? "another log's" : "not there");
}

/* What is in the newest file; one that was never whole is no file. */
static enum status scan(struct audit_sink *s, const struct audit_own *own,
			struct error *err)
{
	struct audit_scan *found = s->found;
	uint64_t proof = found->proof;
	enum status status;

	for (;;) {
		*found =
		    (struct audit_scan){.remembered = own->remembered, .proof = proof};
		status = audit_scan_run(found, &s->file.files, s->log.path, err);
		if (status != ST_OK || found->is_begun || s->file.first == 0 ||
		    found->file_lines > 1) {
			return status;
		}
		status = audit_place_drop(&s->file, err);
		if (status != ST_OK) {
			return status;
		}
	}
}

static struct audit_own own_of(const struct audit_sink *s, const struct sink_own *here)
{
	bool was_here = !here->is_new && here->place.inode == PLACE_MARK;

	return (struct audit_own){.here = here,
				  .path = s->log.path,
				  .remembered = was_here ? here->place.length : 0,
				  .accepts_gap = s->settings.accepts_gap};
}

static enum status settle(struct audit_sink *s, const struct sink_own *here,
			  struct error *err)
{
	struct audit_own own = own_of(s, here);
	/* A log that is gone is no reason to make one. */
	bool may_make = own.remembered == 0 || own.accepts_gap;
	enum status status;

	audit_place_clear(&s->file);
	status = audit_place_open(&s->file, s->log.path, may_make, err);
	if (status == ST_OK && s->file.exists) {
		s->found->proof = here->place.proof;
		status = scan(s, &own, err);
	}
	if (status == ST_OK) {
		status = audit_resume_decide(&own, &s->found->seen, &s->decision, err);
	}
	return status == ST_OK ? find_key(s, false, err) : status;
}

/* As settle, for a log that nobody writes to meanwhile. */
static enum status look_at_log(struct audit_sink *s, const struct audit_own *own,
			       const struct sink_look *look, struct error *err)
{
	enum status status = ST_OK;

	if (s->file.exists) {
		*s->found = (struct audit_scan){.remembered = own->remembered,
						.proof = own->here->place.proof};
		status = audit_scan_run(s->found, &s->file.files, s->log.path, err);
		if (status == ST_OK && !s->found->is_begun && s->file.first > 0 &&
		    s->found->file_lines <= 1) {
			look->tell(look->context, ST_OK,
				   "the newest file of the audit log was never whole, "
				   "and would be dropped");
			return ST_OK;
		}
	}
	if (status == ST_OK) {
		status = audit_resume_decide(own, &s->found->seen, &s->decision, err);
	}
	return status == ST_OK ? find_key(s, true, err) : status;
}

static enum status audit_look(struct sink *sink, const struct sink_own *here,
			      const struct sink_look *look, struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	struct audit_own own = own_of(s, here);
	enum status status;

	s->found = calloc(1, sizeof *s->found);
	if (!s->found) {
		return error_no_memory(err, "the audit log");
	}
	status = audit_place_look(&s->file, s->log.path, look->is_in_use, err);
	return status == ST_OK && !look->is_in_use ? look_at_log(s, &own, look, err)
						   : status;
}

static enum status audit_claim(struct sink *sink, const struct sink_own *own,
			       struct sink_claim *out, struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	enum status status;

	free(s->found);
	s->found = calloc(1, sizeof *s->found);
	status = s->found ? settle(s, own, err) : error_no_memory(err, "the audit log");
	if (status == ST_OK) {
		out->verdict = s->decision.verdict;
		out->position = s->found->seen.position;
	}
	return status;
}

/* ---- begin: lines of the start ---- */

/* From here on times are earlier than those before. */
static enum status note_clock(struct audit_sink *s, struct error *err)
{
	int64_t now_ns = clock_wall_ns();
	int64_t was_ns;
	char why[128];

	if (!audit_clock_is_back(&s->clock, now_ns, clock_mono_ns(), &was_ns)) {
		return ST_OK;
	}
	(void)snprintf(why, sizeof why, "the clock went back from %s to %s",
		       time_text_ms(was_ns).text, time_text_ms(now_ns).text);
	return audit_add_gap(&s->log, why, err);
}

/* The name of a new log: no other one has it. */
static enum status make_key(struct audit_sink *s, struct error *err)
{
	char name[AUDIT_NAME_BYTES];
	uint64_t random;

	if (s->found->key.name[0] && !s->decision.starts_over) {
		(void)snprintf(name, sizeof name, "%s", s->found->key.name);
	} else if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		return error_set_errno(err, errno, "random bytes for a name");
	} else {
		/* The number makes it one of a kind: it is never what is cut. */
		(void)snprintf(name, sizeof name, AUDIT_NAME_START "%.*s/%016" PRIx64,
			       (int)(sizeof name - sizeof AUDIT_NAME_START -
				     sizeof "/0123456789abcdef"),
			       s->settings.prefix, random);
	}
	return audit_key_file_make(s->settings.state_path, AUDIT_KEY_NOW, name,
				   &s->log.secrets, err);
}

/* Cut off what was never acknowledged, and nothing else. */
static enum status cut(struct audit_sink *s, struct error *err)
{
	const struct audit_scan *found = s->found;
	const struct audit_point *keep =
	    found->head.tree.count > found->place.tree.count ? &found->head
							     : &found->place;
	struct audit_point none = {0};

	if (s->decision.starts_over) {
		keep = &none;
	} else if (!s->decision.is_sound) {
		keep = &found->end;
	}
	audit_log_set(&s->log, &keep->tree, keep->offset);
	s->signed_at = found->seen.covered;
	if (found->size <= keep->offset) {
		return ST_OK;
	}
	FAULT_POINT("audit-before-cut");
	if (!file_set_length(s->log.writer.fd, (off_t)keep->offset) ||
	    !file_sync(s->log.writer.fd)) {
		return error_set_errno(err, errno,
				       "%s cannot be cut back by %" PRIu64
				       " bytes that were not acknowledged",
				       quote(s->log.path).text,
				       found->size - keep->offset);
	}
	FAULT_POINT("audit-cut");
	log_info("%s: cut back by %" PRIu64 " bytes that had not been acknowledged",
		 quote(s->log.path).text, found->size - keep->offset);
	return ST_OK;
}

/* A run may have ended before PATH.keys had the key. */
static enum status note_key(struct audit_sink *s, struct error *err)
{
	struct buffer handover;
	enum status status;

	buffer_init(&handover);
	buffer_add_str(&handover, s->found->handover);
	status = buffer_ok(&handover)
		     ? audit_log_note_key(&s->log, s->file.first,
					  handover.len > 0 ? &handover : NULL, err)
		     : error_no_memory(err, "a key");
	buffer_clear(&handover);
	return status;
}

static enum status add_lines(struct audit_sink *s, const struct sink_start *start,
			     struct error *err)
{
	struct sink_position now;
	enum status status = ST_OK;

	audit_clock_open(&s->clock, s->log.writer.fd);
	if (!s->needs_key) {
		status = note_key(s, err);
	} else {
		status = make_key(s, err);
		if (status == ST_OK) {
			status = audit_log_note_key(&s->log, s->log.count, NULL, err);
		}
		if (status == ST_OK) {
			status = s->log.count == 0 ? audit_add_file(&s->log, s->uuid,
								    s->database, err)
						   : audit_add_key(&s->log, NULL, err);
		}
	}
	if (status == ST_OK) {
		status = note_clock(s, err);
	}
	if (status == ST_OK && *s->decision.gap) {
		status = audit_add_gap(&s->log, s->decision.gap, err);
	}
	if (status == ST_OK) {
		s->settings.position(s->settings.context, &now);
		status = audit_add_start(&s->log, &now, start, err);
	}
	return status == ST_OK ? audit_log_sync(&s->log, err) : status;
}

static void note_place(struct audit_sink *s)
{
	s->place = (struct sink_place){
	    .inode = PLACE_MARK,
	    .length = s->log.count,
	    .start = s->txn_start,
	    .proof = audit_scan_proof(&s->log.tree, &s->log.hasher)};
	s->put_bytes = 0;
}

static enum status open_retention(struct audit_sink *s, struct error *err)
{
	const struct sink_audit *audit = &s->settings.audit;
	struct audit_retention_settings settings = {.path = s->log.path,
						    .compresses = audit->compresses,
						    .age_ns = audit->retention_ns,
						    .bytes = audit->retention_bytes,
						    .checkpoint =
							audit->retention_checkpoint};

	enum status status = audit_retention_open(&settings, &s->retention, err);

	if (status == ST_OK) {
		audit_retention_look(s->retention, s->file.first);
	}
	return status;
}

static enum status audit_begin(struct sink *sink, const struct sink_start *start,
			       struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	enum status status;

	(void)snprintf(s->uuid, sizeof s->uuid, "%s", start->uuid);
	s->database = strdup(start->database);
	s->log.writer.fd = s->file.fd;
	s->log.writer.path = s->file.file_path;
	s->log.retired = s->found->retired;
	status = s->database ? cut(s, err) : error_no_memory(err, "a path");
	if (status == ST_OK) {
		status = audit_place_name(&s->file, err);
	}
	if (status == ST_OK) {
		status = add_lines(s, start, err);
	}
	s->begun_ns = s->found->begun_ns > 0 ? s->found->begun_ns : clock_wall_ns();
	free(s->found);
	s->found = NULL;
	if (status == ST_OK) {
		status = open_retention(s, err);
	}
	if (status == ST_OK) {
		s->txn_start = s->log.count;
		note_place(s);
	}
	return status;
}

/* ---- heads ---- */

/* How long until one is due; 0: now. */
static int64_t head_due_ns(const struct audit_sink *s)
{
	bool is_new = s->log.count != s->signed_at;
	int64_t left = s->signed_ns + (is_new ? HEAD_NS : IDLE_NS) - clock_mono_ns();

	return s->signed_ns == 0 || left < 0 ? 0 : left;
}

/* The position as the line of a head has it; the caller frees it. */
static char *position_text(const struct audit_sink *s)
{
	struct sink_position now;
	json_t *json = json_pack("{s:s}", "uuid", s->uuid);
	char *text = NULL;

	s->settings.position(s->settings.context, &now);
	if (json_object_update_new(json, position_json(&now)) == 0) {
		text = json_dumps(json, JSON_COMPACT);
	}
	json_decref(json);
	return text;
}

/* Everything is synced. Its position lasts before it is signed. */
static enum status sign(struct audit_sink *s, struct error *err)
{
	enum status status = s->settings.acknowledged(s->settings.context, true, err);
	char *position;

	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("audit-before-sign");
	position = position_text(s);
	status = position ? audit_log_sign(&s->log, position, err)
			  : error_no_memory(err, "a checkpoint");
	free(position);
	s->signed_at = s->log.count;
	s->signed_ns = clock_mono_ns();
	if (status != ST_OK) {
		return status;
	}
	/* The head's own line is signed by the next one only: until then the state
	 * directory vouches for it. */
	note_place(s);
	return s->settings.acknowledged(s->settings.context, false, err);
}

/* ---- files ---- */

static bool is_full(const struct audit_sink *s)
{
	const struct sink_audit *audit = &s->settings.audit;
	int64_t age = clock_wall_ns() - s->begun_ns;

	return s->log.start + s->log.writer.written >= audit->rotate_bytes ||
	       (audit->rotate_ns > 0 && age >= audit->rotate_ns);
}

/* All lines are signed: others go into a new file. */
static enum status rotate(struct audit_sink *s, struct error *err)
{
	const struct audit_turn turn = {.log = &s->log,
					.file = &s->file,
					.state_path = s->settings.state_path,
					.uuid = s->uuid,
					.database = s->database};
	uint64_t first = s->log.count;
	enum status status = audit_turn_run(&turn, err);

	/* Nothing was begun: the old file is as good. */
	if (status == ST_IO && s->file.first != first &&
	    errno_is_limit(err->sys_errno)) {
		log_warn("%s; the log goes on in %s and a new file is tried again "
			 "later",
			 err->text, quote(s->file.file_path).text);
		s->retry_ns = clock_mono_ns() + RETRY_NS;
		return ST_OK;
	}
	s->begun_ns = clock_wall_ns();
	if (status == ST_OK) {
		status = sign(s, err);
	}
	if (status == ST_OK) {
		audit_retention_look(s->retention, s->file.first);
	}
	return status;
}

/* Files whose time has come go, once the log has said so. */
static enum status retire(struct audit_sink *s, struct error *err)
{
	struct audit_gone gone;
	enum status status = audit_retention_due(s->retention, &gone, err);

	if (status != ST_OK || gone.files == 0) {
		return status;
	}
	status = audit_add_retention(&s->log, gone.files, gone.first, gone.end, err);
	s->log.retired = gone.end;
	if (status == ST_OK) {
		status = audit_log_sync(&s->log, err);
	}
	if (status == ST_OK) {
		note_place(s);
		status = sign(s, err);
	}
	return status == ST_OK ? audit_retention_remove(s->retention, &gone, err)
			       : status;
}

/* What was put is on disk, and remembered. */
static enum status flush(struct audit_sink *s, struct error *err)
{
	enum status status;

	if (s->log.writer.times_full != s->times_full) {
		s->times_full = s->log.writer.times_full;
		if (audit_add_full_disk(&s->log, err) != ST_OK) {
			return err->status;
		}
	}
	if (note_clock(s, err) != ST_OK) {
		return err->status;
	}
	status = audit_log_sync(&s->log, err);
	if (status == ST_OK) {
		note_place(s);
	}
	return status;
}

static enum status audit_flush(struct sink *sink, struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	bool turns;
	enum status status;

	if (s->log.count == 0) { /* it has not begun */
		return ST_OK;
	}
	turns = is_full(s) && clock_mono_ns() >= s->retry_ns;
	if (s->settings.reopen && *s->settings.reopen) {
		*s->settings.reopen = 0;
		turns = true;
	}
	status = flush(s, err);
	if (status != ST_OK) {
		return status;
	}
	if (!turns && head_due_ns(s) > 0) {
		return s->settings.acknowledged(s->settings.context, false, err);
	}
	status = sign(s, err);
	if (status == ST_OK && turns) {
		status = rotate(s, err);
	}
	return status == ST_OK ? retire(s, err) : status;
}

static enum status audit_put(struct sink *sink, const struct message *message,
			     struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	enum status status = ST_OK;

	if (s->put_bytes >= AUDIT_SYNC_BYTES ||
	    (s->settings.reopen && *s->settings.reopen)) {
		status = audit_flush(sink, err);
	}
	if (message->index == 0) {
		status = status == ST_OK ? note_clock(s, err) : status;
		s->txn_start = s->log.count;
	}
	s->put_bytes += message->value.len;
	return status == ST_OK ? audit_log_add(&s->log, message->value,
					       s->settings.audit.redactable, err)
			       : status;
}

static enum status audit_finish(struct sink *sink, const char *reason,
				struct error *err)
{
	struct audit_sink *s = sink_of(sink);
	enum status status;

	if (s->log.count == 0) {
		return ST_OK;
	}
	if (note_clock(s, err) != ST_OK) {
		return err->status;
	}
	status = audit_add_stop(&s->log, reason, err);
	if (status == ST_OK) {
		status = flush(s, err);
	}
	return status == ST_OK ? sign(s, err) : status;
}

static int audit_wake_ms(const struct sink *sink)
{
	int64_t left = head_due_ns((const struct audit_sink *)sink);

	return (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static struct sink_place audit_place(const struct sink *sink)
{
	return ((const struct audit_sink *)sink)->place;
}

const struct sink_kind audit_kind = {
    .name = "audit",
    .title = "the audit log",
    .scheme = "audit:",
    .target = "PATH",
    .help = "write an audit log: a line a row change, signed so that\n"
	    "what is altered shows (rowtail audit verify); state as\n"
	    "with file:\n",
    .form = FORM_AUDIT,
    .has_state = true,
    .keeps_position = true,
    .reopens = true,
    .open = audit_open,
    .close = audit_close,
    .put = audit_put,
    .flush = audit_flush,
    .claim = audit_claim,
    .begin = audit_begin,
    .look = audit_look,
    .place = audit_place,
    .finish = audit_finish,
    .wake_ms = audit_wake_ms,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_lines.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sinks/audit_body.h"
#include "src/base/log.h"
#include "src/base/quote.h"

static enum status add(struct audit_log *log, struct buffer *body, struct error *err)
{
	enum status status;

	buffer_add_char(body, '}');
	status =
	    buffer_ok(body)
		? audit_log_add(log, (struct span){body->bytes, body->len}, false, err)
		: error_no_memory(err, "a line of the audit log");
	buffer_clear(body);
	return status;
}

static void add_key(struct audit_log *log, struct buffer *body)
{
	buffer_add_str(body, ",\"key\":\"");
	audit_key_add(body, &log->secrets.key, false);
	buffer_add_char(body, '"');
}

enum status audit_add_file(struct audit_log *log, const char *uuid,
			   const char *database, struct error *err)
{
	const struct audit_tree *tree = &log->tree;
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, "file");
	audit_body_number(&body, "version", 1);
	audit_body_text(&body, "origin", log->secrets.key.name);
	assert(tree->count == log->count); /* all that is before it is synced */
	audit_body_number(&body, "first", tree->count);
	buffer_add_str(&body, ",\"frontier\":[");
	for (unsigned i = 0; i < tree->root_count; i++) {
		buffer_add_str(&body, i > 0 ? ",\"" : "\"");
		audit_base64_add(&body, tree->roots[i].bytes, AUDIT_HASH_BYTES);
		buffer_add_char(&body, '"');
	}
	buffer_add_char(&body, ']');
	if (log->retired > 0) {
		audit_body_number(&body, "retired", log->retired);
	}
	add_key(log, &body);
	audit_body_text(&body, "uuid", uuid);
	audit_body_text(&body, "database", database);
	return add(log, &body, err);
}

enum status audit_add_key(struct audit_log *log, const struct buffer *handover,
			  struct error *err)
{
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, "key");
	add_key(log, &body);
	buffer_add_str(&body, ",\"handed_over\":");
	buffer_add_str(&body, handover ? "true" : "false");
	if (handover) {
		audit_body_note(&body, handover);
	}
	return add(log, &body, err);
}

enum status audit_add_start(struct audit_log *log, const struct sink_position *now,
			    const struct sink_start *start, struct error *err)
{
	struct buffer body;
	struct stat st = {0};
	char settings[17];

	(void)stat(start->database, &st);
	(void)snprintf(settings, sizeof settings, "%016" PRIx64, now->settings_hash);
	buffer_init(&body);
	audit_body_begin(&body, "start");
	audit_body_text(&body, "version", ROWTAIL_VERSION);
	audit_body_text(&body, "database", start->database);
	audit_body_number(&body, "device", (uint64_t)st.st_dev);
	audit_body_number(&body, "inode", (uint64_t)st.st_ino);
	audit_body_number(&body, "lsn", now->lsn);
	audit_body_number(&body, "change_id", now->change_id);
	audit_body_text(&body, "settings", settings);
	if (start->at_start) {
		buffer_add_str(&body, ",\"repeats_transaction\":true");
	}
	return add(log, &body, err);
}

static enum status add_why(struct audit_log *log, const char *op, const char *why,
			   struct error *err)
{
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, op);
	audit_body_text(&body, "why", why);
	return add(log, &body, err);
}

enum status audit_add_stop(struct audit_log *log, const char *why, struct error *err)
{
	return add_why(log, "stop", why, err);
}

enum status audit_add_gap(struct audit_log *log, const char *why, struct error *err)
{
	log_info("%s: the log tells of a gap: %s", quote(log->path).text, why);
	return add_why(log, "gap", why, err);
}

enum status audit_add_full_disk(struct audit_log *log, struct error *err)
{
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, "full_disk");
	return add(log, &body, err);
}

enum status audit_add_retention(struct audit_log *log, uint64_t files, uint64_t first,
				uint64_t end, struct error *err)
{
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, "retention");
	audit_body_number(&body, "files", files);
	audit_body_number(&body, "first", first);
	audit_body_number(&body, "last", end - 1);
	return add(log, &body, err);
}

enum status audit_add_redaction(struct audit_log *log, const char *by, const char *why,
				const struct buffer *lines, struct error *err)
{
	struct buffer body;

	buffer_init(&body);
	audit_body_begin(&body, "redaction");
	audit_body_text(&body, "by", by);
	audit_body_text(&body, "why", why);
	buffer_add_str(&body, ",\"lines\":");
	buffer_add_buffer(&body, lines);
	return add(log, &body, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_prove.c -- rowtail audit prove and consistency: proofs for
 * somebody who has not the log.
 *
 * FORMAT  prove: c2sp.org/tlog-proof. consistency: the body of add-checkpoint of
 *         c2sp.org/tlog-witness. Both end with the log's last head that is right, as it
 *         stands in the log.
 *
 * The log is read twice: for that head, then for the proof, whose tree must be the
 * head's.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/audit/check.h"
#include "src/audit/line.h"
#include "src/audit/open.h"
#include "src/audit/proof.h"
#include "src/audit/reader.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/commands/audit_actions.h"
#include "src/commands/audit_text.h"

struct prove {
	const char *path;
	uint64_t asked; /* the line, or the size of the older head */
	struct audit_files files;
	struct buffer note; /* of the last head that is right */
	struct audit_head head;
	struct audit_tree gone; /* of lines before the first that is there */
	uint64_t lines;         /* one past the last */
	struct audit_proof proof;
	struct buffer out;
};

/* ---- the head ---- */

static void found(void *context, const struct audit_found *what)
{
	(void)
	    context; /* what is wrong behind the last right head is not in the proof */
	(void)what;
}

static void on_head(void *context, struct span line)
{
	struct prove *p = context;

	buffer_reset(&p->note);
	if (!audit_line_text(line, "note", &p->note)) {
		p->note.failed = true;
	}
}

static enum status check_lines(struct audit_check *check,
			       const struct audit_files *files, struct error *err)
{
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	enum status status;

	audit_reader_open_files(&reader, files, 0);
	while ((status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK &&
	       is_whole) {
		status =
		    audit_check_line(check, line, reader.is_long ? &reader.leaf : NULL,
				     reader.is_first, is_whole, err);
		if (status != ST_OK) {
			break;
		}
	}
	audit_reader_close(&reader);
	return status == ST_END ? ST_OK : status;
}

static enum status find_head(struct prove *p, struct error *err)
{
	struct audit_check_settings settings = {
	    .found = found, .on_head = on_head, .context = p};
	struct audit_check check;
	enum status status = audit_check_open(&check, &settings, err);

	if (status == ST_OK) {
		status = check_lines(&check, &p->files, err);
	}
	p->head = check.head;
	p->gone = check.gone;
	p->lines = check.tree.count;
	audit_check_close(&check);
	if (status == ST_OK && !buffer_ok(&p->note)) {
		status = error_no_memory(err, "a checkpoint");
	}
	if (status == ST_OK && p->note.len == 0) {
		status =
		    error_set(err, ST_CORRUPT,
			      "%s has no checkpoint that is right; ask rowtail audit "
			      "verify",
			      quote(p->path).text);
	}
	return status;
}

/* ---- the proof ---- */

static enum status make_proof(struct prove *p, struct error *err)
{
	struct audit_hasher hasher;
	struct audit_reader reader;
	struct span line;
	bool is_whole;
	enum status status = audit_hasher_open(&hasher, err);

	if (status != ST_OK) {
		return status;
	}
	audit_proof_start(&p->proof, &p->gone);
	if (p->proof.is_lost) {
		audit_hasher_close(&hasher);
		return error_set(err, ST_END,
				 "%s begins with line %" PRIu64
				 ", and the proof needs lines before that: they went "
				 "with their time",
				 quote(p->path).text, p->gone.count);
	}
	audit_reader_open_files(&reader, &p->files, 0);
	while (p->proof.whole.count < p->head.size &&
	       (status = audit_reader_next(&reader, &line, &is_whole, err)) == ST_OK) {
		struct audit_hash leaf = reader.leaf;
		struct audit_line what;

		audit_line_read(line.bytes, line.len, &what);
		if (!reader.is_long && !audit_line_leaf(&what, &leaf)) {
			audit_leaf_begin(&hasher);
			audit_leaf_more(&hasher, line.bytes, line.len);
			leaf = audit_leaf_end(&hasher);
		}
		audit_proof_add(&p->proof, &hasher, leaf);
	}
	audit_reader_close(&reader);
	if (status == ST_OK || status == ST_END) {
		bool is_right = audit_proof_is_of(&p->proof, &hasher, &p->head.root);

		status = hasher.failed ? error_no_memory(err, "hashing")
			 : is_right    ? ST_OK
				       : error_set(err, ST_CORRUPT,
						   "%s was changed while it was read; "
						      "ask rowtail audit verify",
						   quote(p->path).text);
	}
	audit_hasher_close(&hasher);
	return status;
}

/* Behind its first lines: the hashes, an empty line, the head. */
static enum status print_proof(struct prove *p, struct error *err)
{
	struct buffer *b = &p->out;

	for (unsigned i = 0; i < p->proof.count; i++) {
		audit_base64_add(b, p->proof.parts[i].root.bytes, AUDIT_HASH_BYTES);
		buffer_add_char(b, '\n');
	}
	buffer_add_char(b, '\n');
	buffer_add_buffer(b, &p->note);
	if (!buffer_ok(b)) {
		return error_no_memory(err, "the proof");
	}
	(void)fwrite(b->bytes, 1, b->len, stdout);
	return audit_text_flush(err);
}

/* ---- the two commands ---- */

/* Decimal, as it would be written: a proof has it so. */
static bool read_number(const char *text, uint64_t *out)
{
	size_t len = strspn(text, "0123456789");

	*out = 0;
	for (size_t i = 0; i < len && len <= 18; i++) {
		*out = *out * 10 + (uint64_t)(text[i] - '0');
	}
	return len > 0 && len <= 18 && text[len] == '\0' &&
	       (len == 1 || text[0] != '0');
}

static enum status prove_line(struct prove *p, struct error *err)
{
	if (p->asked >= p->head.size) {
		return error_set(err, ST_END,
				 "line %" PRIu64 " of %s %s: %" PRIu64
				 " lines are there, the last checkpoint that is right "
				 "signs 0 to %" PRIu64,
				 p->asked, quote(p->path).text,
				 p->asked < p->lines ? "is not signed yet"
						     : "is not there",
				 p->lines, p->head.size - 1);
	}
	if (p->asked < p->gone.count) {
		return error_set(err, ST_END,
				 "line %" PRIu64 " of %s is not there any more: the "
				 "first one is %" PRIu64,
				 p->asked, quote(p->path).text, p->gone.count);
	}
	audit_proof_of_line(&p->proof, p->asked, p->head.size);
	buffer_add_str(&p->out, "c2sp.org/tlog-proof@v1\nindex ");
	buffer_add_u64(&p->out, p->asked);
	buffer_add_char(&p->out, '\n');
	return ST_OK;
}

static enum status prove_growth(struct prove *p, struct error *err)
{
	if (p->asked > p->head.size) {
		return error_set(err, ST_END,
				 "--from %" PRIu64
				 ": the last checkpoint of %s that is "
				 "right signs %" PRIu64 " lines: if one of so many was "
				 "ever seen, ask rowtail audit verify with it",
				 p->asked, quote(p->path).text, p->head.size);
	}
	audit_proof_of_growth(&p->proof, p->asked, p->head.size);
	buffer_add_str(&p->out, "old ");
	buffer_add_u64(&p->out, p->asked);
	buffer_add_char(&p->out, '\n');
	return ST_OK;
}

static enum status run_prove(struct prove *p,
			     enum status (*ask)(struct prove *p, struct error *err),
			     struct error *err)
{
	char begin[AUDIT_TIME_BYTES];
	enum status status = audit_open_log(p->path, &p->files, begin, err);

	if (status != ST_OK) {
		return status;
	}
	buffer_init(&p->note);
	buffer_init(&p->out);
	status = find_head(p, err);
	status = status == ST_OK ? ask(p, err) : status;
	status = status == ST_OK ? make_proof(p, err) : status;
	status = status == ST_OK ? print_proof(p, err) : status;
	buffer_clear(&p->note);
	buffer_clear(&p->out);
	audit_files_clear(&p->files);
	return status;
}

enum status audit_prove_run(const struct config *config, struct error *err)
{
	struct prove p = {.path = config->words[1]};

	if (!read_number(config->words[2], &p.asked)) {
		return error_set(err, ST_CONFIG,
				 "%s: must be the number of a line, its \"n\"",
				 SHORT_NAME(config->words[2]));
	}
	return run_prove(&p, prove_line, err);
}

enum status audit_consistency_run(const struct config *config, struct error *err)
{
	struct prove p = {.path = config->words[1]};

	if (!config->from || !read_number(config->from, &p.asked)) {
		return error_set(err, ST_CONFIG,
				 "--from %s: must be the size of an older checkpoint, "
				 "its second line; 0 if there is none",
				 config->from ? SHORT_NAME(config->from)
					      : "is missing");
	}
	return run_prove(&p, prove_growth, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/compute_child.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schemas/compute_wire.h"
#include "schemas/evaluator.h"

struct child {
	struct buffer request;
	struct buffer answer;
	struct buffer bytes;  /* of computed values */
	struct buffer opened; /* the table's texts */
	struct table table;
	bool *is_off;
	struct evaluator *evaluator;
	struct value *values; /* of a row; NULL before OPEN */
	uint64_t memory;      /* bytes that SQLite may have for the request at hand */
};

bool compute_child_is(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], COMPUTE_ARGUMENT) == 0;
}

/* ---- the socket ---- */

static bool receive(void *to, size_t len)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = recv(COMPUTE_FD, at, len, 0);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool reply(enum wire_kind kind, const char *bytes, size_t len)
{
	struct wire_head head = {.kind = kind, .len = len};

	return wire_send(COMPUTE_FD, &head, sizeof head) &&
	       wire_send(COMPUTE_FD, bytes, len);
}

/* Can so much be had? If not, a limit of this process or machine is in the way, and not
 * what a row may use. */
static bool has_memory(uint64_t bytes)
{
	void *volatile memory = malloc((size_t)bytes);
	bool has = memory != NULL;

	free(memory);
	return has;
}

static bool complain(const struct child *child, enum status status, bool is_broken,
		     const struct error *err)
{
	enum wire_kind kind = is_broken ? WIRE_BROKEN : WIRE_FAILED;

	if (status == ST_NOMEM) {
		kind = has_memory(child->memory) ? WIRE_MEMORY : WIRE_SHORT;
	}
	return reply(kind, err->text, strlen(err->text));
}

/* ---- requests ---- */

static struct wire_reader read_from(const struct buffer *b)
{
	const uint8_t *at = (const uint8_t *)b->bytes;

	return (struct wire_reader){at, at + b->len, !buffer_ok(b)};
}

/* False when there is nothing that could be asked more. */
static bool open_table(struct child *child)
{
	struct wire_reader r;
	struct error complaint = {.text = ""}, err = {.text = ""};
	bool has_complaint = false;
	enum status status;

	buffer_add(&child->opened, child->request.bytes, child->request.len);
	if (!buffer_ok(&child->opened)) {
		(void)reply(WIRE_SHORT, "", 0);
		return false;
	}
	r = read_from(&child->opened);
	if (child->values || !wire_take_table(&r, &child->table, &child->is_off)) {
		return false;
	}
	child->values = calloc(child->table.column_count + 1, sizeof *child->values);
	status = child->values ? evaluator_open(&child->table, child->is_off,
						&child->evaluator, &err)
			       : error_no_memory(&err, "a row");
	if (status != ST_OK) {
		(void)complain(child, status, true, &err);
		return false;
	}
	status = evaluator_prepare(child->evaluator, &has_complaint, &complaint, &err);
	if (status != ST_OK) {
		(void)complain(child, status, true, &err);
		return false;
	}
	return reply(WIRE_OK, complaint.text,
		     has_complaint ? strlen(complaint.text) : 0);
}

static enum status write_row(struct child *child, struct error *err)
{
	const struct table *table = &child->table;
	struct wire_reader r = read_from(&child->request);
	struct value rowid;

	wire_take_value(&r, &rowid);
	for (uint32_t i = 0; i < table->stored_count; i++) {
		wire_take_value(&r, &child->values[table->stored[i]]);
	}
	return r.failed ? error_set(err, ST_CORRUPT, "the row is no row")
			: evaluator_write(child->evaluator, rowid.integer,
					  child->values, err);
}

static void add_answer(struct child *child, const struct value *value)
{
	bool has_bytes = value->class == VALUE_TEXT || value->class == VALUE_BLOB;

	wire_add_value(&child->answer, value,
		       has_bytes ? child->bytes.bytes + value->integer : NULL);
}

static enum status read_row(struct child *child, struct error *err)
{
	const struct table *table = &child->table;
	enum status status =
	    evaluator_read_all(child->evaluator, child->values, &child->bytes, err);
	uint32_t next = 0;

	for (uint32_t i = 0; i < table->column_count && status == ST_OK; i++) {
		if (table->columns[i].generated == GENERATED_VIRTUAL &&
		    !child->is_off[next++]) {
			add_answer(child, &child->values[i]);
		}
	}
	return status;
}

static enum status read_column(struct child *child, uint32_t index, bool *is_broken,
			       struct error *err)
{
	struct value value;
	enum status status;

	if (index >= evaluator_count(&child->table)) {
		return error_set(err, ST_CORRUPT, "no such column");
	}
	status = evaluator_read_one(child->evaluator, index, &value, &child->bytes,
				    is_broken, err);
	if (status == ST_OK) {
		add_answer(child, &value);
	}
	return status;
}

static bool answer(struct child *child, const struct wire_head *head)
{
	struct error err = {.text = ""};
	enum status status = ST_OK;
	bool is_broken = false;

	buffer_reset(&child->answer);
	buffer_reset(&child->bytes);
	child->memory = head->memory;
	(void)sqlite3_hard_heap_limit64((sqlite3_int64)head->memory);
	if (head->kind == WIRE_OPEN) {
		return open_table(child);
	}
	if (!child->evaluator) {
		return false;
	}
	evaluator_limit(child->evaluator, head->length);
	if (head->kind != WIRE_COLUMN) {
		status = write_row(child, &err);
	}
	if (status == ST_OK && head->kind == WIRE_ROW) {
		status = read_row(child, &err);
	} else if (status == ST_OK && head->kind == WIRE_COLUMN) {
		status = read_column(child, head->index, &is_broken, &err);
	}
	if (status == ST_OK && !buffer_ok(&child->answer)) {
		status = error_no_memory(&err, "an answer");
	}
	return status == ST_OK ? reply(WIRE_OK, child->answer.bytes, child->answer.len)
			       : complain(child, status, is_broken, &err);
}

int compute_child_run(void)
{
	struct child child = {.values = NULL};
	struct wire_head head;

	/* Ends with whoever started it, in the middle of a column, too. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close_range(COMPUTE_FD + 1, ~0U, 0);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1); /* memory is limited */
	while (receive(&head, sizeof head)) {
		buffer_reset(&child.request);
		if (!buffer_reserve(&child.request, (size_t)head.len + 1)) {
			(void)reply(WIRE_SHORT, "", 0);
			break;
		}
		if (!receive(child.request.bytes, (size_t)head.len)) {
			break;
		}
		child.request.len = (size_t)head.len;
		if (!answer(&child, &head)) {
			break;
		}
	}
	evaluator_close(child.evaluator);
	wire_free_table(&child.table, child.is_off);
	free(child.values);
	buffer_clear(&child.request);
	buffer_clear(&child.answer);
	buffer_clear(&child.bytes);
	buffer_clear(&child.opened);
	return 0;
}

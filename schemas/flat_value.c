/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/flat_value.h"

/* A member that begins with a comma. */
static void add_member(struct buffer *b, const char *piece, size_t len)
{
	bool is_first = b->len > 0 && b->bytes[b->len - 1] == '{';

	buffer_add(b, piece + is_first, len - is_first);
}

bool flat_build(const struct flat *flat, const struct table_plan *plan,
		const struct value *row, const struct event_facts *facts,
		struct buffer *b)
{
	static const char deleted[] = ",\"" FLAT_DELETED "\":\"true\"";
	static const char not_deleted[] = ",\"" FLAT_DELETED "\":\"false\"";
	bool is_delete = facts->op == CHANGE_DELETE;
	char *p;

	buffer_reset(b);
	buffer_add_buffer(b, &plan->value_head);
	if (!buffer_reserve(b, plan->row_room)) {
		return false;
	}
	p = table_plan_put_row(plan, b, b->bytes + b->len, row, plan->row_room);
	if (!p) {
		return false;
	}
	b->len = (size_t)(p - b->bytes) - 1; /* without the '}' */
	if (flat_rewrites(flat)) {
		add_member(b, is_delete ? deleted : not_deleted,
			   is_delete ? sizeof deleted - 1 : sizeof not_deleted - 1);
	}
	for (size_t i = 0; i < flat->field_count; i++) {
		const struct flat_field *field = &flat->fields[i];

		add_member(b, field->piece.bytes, field->piece.len);
		event_field_add(b, field->field, facts);
	}
	buffer_add_str(b, facts->settings->schemas ? "}}" : "}");
	return buffer_ok(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/deliver/asked_snapshot.h"

static struct asked_snapshot *make(bool is_blocking)
{
	struct asked_snapshot *asked = asked_snapshot_new("an id", is_blocking);

	assert_non_null(asked);
	assert_true(asked_snapshot_add(asked, "t", NULL));
	assert_true(asked_snapshot_add(asked, "a \"b\" 'ü", "x = '\"' -- \n"));
	assert_true(asked_snapshot_add(asked, "u", ""));
	return asked;
}

static void set_rowid(struct row_key *key, int64_t rowid)
{
	key->is_set = true;
	key->is_rowid = true;
	key->rowid = rowid;
}

static void set_record(struct row_key *key, const void *bytes, size_t len)
{
	key->is_set = true;
	key->is_rowid = false;
	buffer_add(&key->record, bytes, len);
}

static void assert_same_key(const struct row_key *a, const struct row_key *b)
{
	assert_int_equal(a->is_set, b->is_set);
	if (!a->is_set) {
		return;
	}
	assert_int_equal(a->is_rowid, b->is_rowid);
	if (a->is_rowid) {
		assert_true(a->rowid == b->rowid);
	} else {
		assert_int_equal(a->record.len, b->record.len);
		assert_memory_equal(a->record.bytes, b->record.bytes, a->record.len);
	}
}

static void assert_same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a) {
		assert_string_equal(a, b);
	}
}

static void assert_same(const struct asked_snapshot *a, const struct asked_snapshot *b)
{
	assert_string_equal(a->id, b->id);
	assert_int_equal(a->is_blocking, b->is_blocking);
	assert_int_equal(a->table_count, b->table_count);
	for (size_t i = 0; i < a->table_count; i++) {
		assert_string_equal(a->tables[i].name, b->tables[i].name);
		assert_same_text(asked_snapshot_where(a, i),
				 asked_snapshot_where(b, i));
	}
	assert_int_equal(a->condition_count, b->condition_count);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->at, b->at);
	assert_int_equal(a->is_begun, b->is_begun);
	assert_int_equal(a->shape, b->shape);
	assert_same_key(&a->after, &b->after);
	assert_same_key(&a->until, &b->until);
	assert_int_equal(a->rows, b->rows);
	assert_int_equal(a->total, b->total);
}

/* Through a text, as it is kept; frees it. */
static void assert_comes_back(struct asked_snapshot *asked)
{
	json_t *json = asked_snapshot_json(asked);
	struct asked_snapshot *back;
	char *text;
	json_t *again;

	assert_non_null(json);
	text = json_dumps(json, JSON_COMPACT);
	assert_non_null(text);
	again = json_loads(text, 0, NULL);
	back = asked_snapshot_take(again);
	assert_non_null(back);
	assert_same(asked, back);
	asked_snapshot_free(back);
	asked_snapshot_free(asked);
	free(text);
	json_decref(again);
	json_decref(json);
}

/* ---- there and back ---- */

static void test_one_that_has_not_begun(void **state)
{
	(void)state;
	assert_comes_back(make(false));
	assert_comes_back(make(true));
}

static void test_rowids(void **state)
{
	static const int64_t rowids[] = {INT64_MIN, -1, 0, 1, (INT64_C(1) << 53) + 1,
					 INT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof rowids / sizeof *rowids; i++) {
		struct asked_snapshot *asked = make(i % 2 == 0);

		asked->is_begun = true;
		asked->shape = UINT64_MAX - 5;
		set_rowid(&asked->after, rowids[i]);
		set_rowid(&asked->until, rowids[sizeof rowids / sizeof *rowids - 1]);
		asked->rows = 3;
		asked->total = UINT64_C(1) << 60;
		assert_comes_back(asked);
	}
}

static void test_records(void **state)
{
	struct asked_snapshot *asked = make(false);
	uint8_t bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (uint8_t)i;
	}
	asked->is_begun = true;
	asked->at = 2;
	set_record(&asked->after, bytes, sizeof bytes);
	set_record(&asked->until, "\x00", 1);
	assert_comes_back(asked);
}

static void test_one_key_only(void **state)
{
	struct asked_snapshot *asked = make(false);

	(void)state;
	asked->is_begun = true;
	asked->shape = UINT64_MAX - 5;
	asked->at = 1;
	set_rowid(&asked->until, 0);
	assert_comes_back(asked);
}

/* ---- lists ---- */

static void test_a_condition_of_several_tables_is_kept_once(void **state)
{
	struct asked_snapshot *asked = make(false);
	size_t bytes = asked->bytes;
	char where[64];

	(void)state;
	assert_int_equal(asked->condition_count, 2); /* an empty one is none as well */
	for (int i = 0; i < 50; i++) {
		/* Other bytes at another place. */
		(void)strcpy(where, i % 2 == 0 ? "x = '\"' -- \n" : "y");
		assert_true(asked_snapshot_add(asked, "more", where));
	}
	assert_int_equal(asked->condition_count, 3);
	for (size_t i = 3; i < asked->table_count; i++) {
		assert_string_equal(asked_snapshot_where(asked, i),
				    i % 2 == 1 ? "x = '\"' -- \n" : "y");
	}
	assert_null(asked_snapshot_where(asked, 0));
	assert_int_equal(asked->bytes - bytes, 50 * (32 + 4) + 32 + 1);
	for (size_t i = asked->table_count; i > 3;) {
		asked_snapshot_drop(asked, --i);
	}
	assert_int_equal(asked->bytes - bytes, 32 + 1);
	assert_comes_back(asked);
}

/* What the limit of all that waits counts is no less than what is kept. */
static void test_bytes_are_those_of_the_text_at_most(void **state)
{
	struct asked_snapshot *asked = asked_snapshot_new("\"\\", true);
	char name[128];
	json_t *json;

	(void)state;
	for (int i = 0; i < 127; i++) {
		name[i] = (char)(i + 1);
	}
	name[127] = '\0';
	for (size_t i = 0; i < 500; i++) {
		assert_true(asked_snapshot_add(asked, name + i % 127,
					       i % 3 > 0 ? name + i % 120 : NULL));
	}
	asked->at = asked->table_count - 1;
	asked->rows = asked->total = INT64_MAX;
	json = asked_snapshot_json(asked);
	assert_non_null(json);
	assert_in_range(json_dumpb(json, NULL, 0, JSON_COMPACT), asked->bytes / 3,
			asked->bytes);
	json_decref(json);
	asked_snapshot_free(asked);
}

static void test_dropping(void **state)
{
	struct asked_snapshot *asked = make(false);

	(void)state;
	asked->at = 1;
	asked->is_begun = true;
	asked->rows = 7;
	set_rowid(&asked->after, 4);
	set_rowid(&asked->until, 9);
	asked_snapshot_drop(asked,
			    2); /* of one to come the one at hand knows nothing */
	assert_int_equal(asked->table_count, 2);
	assert_true(asked->is_begun && asked->after.is_set && asked->rows == 7);
	asked_snapshot_drop(asked, 1); /* the one at hand */
	assert_int_equal(asked->table_count, 1);
	assert_string_equal(asked->tables[0].name, "t");
	assert_int_equal(asked->at, 1);
	assert_false(asked->is_begun || asked->after.is_set || asked->until.is_set);
	assert_int_equal(asked->rows, 0);
	asked_snapshot_free(asked);
	asked_snapshot_free(NULL);
}

static void test_rewinding(void **state)
{
	struct asked_snapshot *asked = make(false);

	(void)state;
	asked->is_begun = true;
	asked->total = 5;
	asked->rows = 7;
	set_record(&asked->after, "abc", 3);
	set_record(&asked->until, "abd", 3);
	asked_snapshot_rewind(asked);
	assert_false(asked->is_begun || asked->after.is_set || asked->until.is_set);
	assert_int_equal(asked->after.record.len, 0);
	assert_int_equal(asked->rows, 0);
	assert_int_equal(asked->total, 5);
	asked_snapshot_free(asked);
}

/* ---- what is none of ours ---- */

static bool is_taken(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	struct asked_snapshot *asked;
	bool taken;

	assert_non_null(json);
	asked = asked_snapshot_take(json);
	taken = asked != NULL;
	asked_snapshot_free(asked);
	json_decref(json);
	return taken;
}

#define MEMBERS                                                       \
	"\"id\":\"i\",\"blocking\":false,\"begun\":true,\"shape\":1," \
	"\"rows\":1,\"total\":2,\"conditions\":[\"x\"],"

static void test_right_json_is_taken(void **state)
{
	(void)state;
	assert_true(is_taken("{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":"
			     "null,\"until\":3}"));
	assert_true(is_taken("{" MEMBERS "\"tables\":[[\"t\",1]],\"at\":0,"
			     "\"after\":\"00fF\",\"until\":\"\"}") == false);
	assert_true(is_taken("{" MEMBERS "\"tables\":[[\"t\",1]],\"at\":0,"
			     "\"after\":\"00ff\",\"until\":\"\"}"));
}

static void test_other_json_is_refused(void **state)
{
	static const char *const texts[] = {
	    "null",
	    "7",
	    "\"text\"",
	    "[]",
	    "{}",
	    "{" MEMBERS "\"tables\":[],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":{},\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":7,\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":null,\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":[\"t\"],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":[[]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\"]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",2]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",-1]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",\"x\"]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"conditions\":[7],\"tables\":[[\"t\",0]],\"at\":0,"
	    "\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"conditions\":null,\"tables\":[[\"t\",0]],\"at\":0,"
	    "\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":[[null]],\"at\":0,\"after\":null,\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0],[1,0]],\"at\":0,\"after\":null,"
	    "\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",0]],\"at\":1,\"after\":null,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",0]],\"at\":-1,\"after\":null,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",0]],\"at\":9223372036854775807,\"after\":null,"
	    "\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":\"0\",\"after\":null,"
	    "\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":1.5,\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",0]],\"at\":0,\"after\":true,\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":[],\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":{},\"until\":null}",
	    "{" MEMBERS
	    "\"tables\":[[\"t\",0]],\"at\":0,\"after\":\"0\",\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":\"0g\","
	    "\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":\"000\","
	    "\"until\":null}",
	    "{" MEMBERS "\"tables\":[[\"t\",0]],\"at\":0,\"after\":1,\"until\":\"x0\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (is_taken(texts[i])) {
			fail_msg("it was taken: %s", texts[i]);
		}
	}
}

/* Without any of its members, and with each of another kind. */
static void test_members_that_are_missing_or_of_another_kind(void **state)
{
	struct asked_snapshot *asked = make(false);
	json_t *right = asked_snapshot_json(asked);
	const char *name;
	json_t *value;

	(void)state;
	assert_non_null(right);
	json_object_foreach(right, name, value)
	{
		json_t *wrong = json_deep_copy(right);

		(void)value;
		assert_int_equal(json_object_del(wrong, name), 0);
		assert_null(asked_snapshot_take(wrong));
		assert_int_equal(json_object_set_new(wrong, name, json_real(0.5)), 0);
		assert_null(asked_snapshot_take(wrong));
		assert_int_equal(json_object_set_new(wrong, name, json_object()), 0);
		assert_null(asked_snapshot_take(wrong));
		json_decref(wrong);
	}
	assert_null(asked_snapshot_take(NULL));
	json_decref(right);
	asked_snapshot_free(asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_that_has_not_begun),
	    cmocka_unit_test(test_rowids),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_one_key_only),
	    cmocka_unit_test(test_a_condition_of_several_tables_is_kept_once),
	    cmocka_unit_test(test_bytes_are_those_of_the_text_at_most),
	    cmocka_unit_test(test_dropping),
	    cmocka_unit_test(test_rewinding),
	    cmocka_unit_test(test_right_json_is_taken),
	    cmocka_unit_test(test_other_json_is_refused),
	    cmocka_unit_test(test_members_that_are_missing_or_of_another_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

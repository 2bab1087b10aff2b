/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile records: the first byte is how many values are asked for, the rest is the
 * payload.
 */
#include <stdlib.h>
#include <string.h>

#include "btree/record.h"

#define MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct value *v, const uint8_t *payload, size_t len)
{
	volatile uint8_t sum = 0;

	if (!value_same(v, v)) {
		abort();
	}
	if (v->class != VALUE_TEXT && v->class != VALUE_BLOB) {
		return;
	}
	if (v->bytes < payload || v->bytes > payload + len ||
	    v->len > (size_t)(payload + len - v->bytes)) {
		abort();
	}
	for (uint32_t i = 0; i < v->len; i++) {
		sum = (uint8_t)(sum + v->bytes[i]);
	}
}

/* Asked for fewer values, a record gives the same ones. */
static void check_prefix(const uint8_t *payload, size_t len, const struct value *all,
			 uint32_t count)
{
	struct value some[MAX];
	struct error err;
	uint32_t got;

	if (record_read(payload, len, some, count / 2, &got, &err) != ST_OK ||
	    got != count / 2) {
		abort();
	}
	for (uint32_t i = 0; i < got; i++) {
		if (!value_same(&some[i], &all[i])) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value values[MAX];
	struct error err;
	uint32_t count;
	uint32_t max;
	uint8_t *payload;
	size_t len;

	if (size == 0) {
		return 0;
	}
	max = data[0] % (MAX + 1);
	len = size - 1;
	payload = malloc(len ? len : 1); /* a block of its own: nothing around it */
	if (!payload) {
		return 0;
	}
	memcpy(payload, data + 1, len);
	if (record_read(payload, len, values, max, &count, &err) == ST_OK) {
		if (count > max) {
			abort();
		}
		for (uint32_t i = 0; i < count; i++) {
			check_value(&values[i], payload, len);
		}
		check_prefix(payload, len, values, count);
	}
	free(payload);
	return 0;
}

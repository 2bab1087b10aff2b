/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/route.h"

void route_clear(struct route *route)
{
	buffer_clear(&route->topic);
	buffer_clear(&route->key_name);
	buffer_clear(&route->value_prefix);
	buffer_clear(&route->key_end);
	buffer_clear(&route->key_fields);
}

void route_end_key(const struct route *route, struct buffer *key)
{
	if (route->key_end.len > 0 && key->len > 0) {
		key->len--; /* the '}' */
		buffer_add_buffer(key, &route->key_end);
		buffer_add_char(key, '}');
	}
}

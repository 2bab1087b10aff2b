/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/message.h -- one finished record on its way to a sink.
 *
 * OWNERSHIP  All bytes are borrowed until the call that takes the message returns.
 */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct span {
	const char *bytes; /* NULL: absent (a null key, a tombstone's value) */
	size_t len;
};

struct message_header {
	struct span name;
	struct span value; /* JSON */
};

struct message {
	struct span topic;
	struct span key;   /* JSON; bytes NULL for a null key */
	struct span value; /* JSON; bytes NULL for a tombstone */
	const struct message_header *headers;
	size_t header_count;
	uint64_t lsn;               /* of the message's transaction */
	uint64_t index;             /* of the message in its transaction, from 0 */
#define MESSAGE_NO_INDEX UINT64_MAX /* it belongs to none */
};

#endif

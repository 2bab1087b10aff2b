/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/event_headers.h -- the headers of messages: another key, those of the
 * transaction, who sent it, and what a transform adds, in this order.
 *
 * OWNERSHIP  event_headers_clear; the storage of the struct is the caller's, all zero.
 *            What was made is valid until the next event.
 * THREADS    One thread at a time.
 * ERRORS     Out of memory shows in the results.
 */
#ifndef SCHEMAS_EVENT_HEADERS_H
#define SCHEMAS_EVENT_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/context_headers.h"
#include "schemas/encoder_settings.h"
#include "schemas/encoder_transaction.h"
#include "schemas/flat.h"
#include "schemas/message_heads.h"
#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

/* newkey or oldkey, rowtail.catch_up, rowtail.merged, and who sent it */
#define HEADERS_MAX (3 + CONTEXT_HEADERS)

enum headers_of {
	HEADERS_OF_CONTROL, /* those of the transaction */
	HEADERS_COMMON,     /* and who sent it */
	HEADERS_OF_EVENT,   /* and those added */
	HEADERS_OF_TOMBSTONE,
	HEADER_LISTS,
};

struct event_headers {
	const struct encoder_settings *settings;
	const struct flat *flat;       /* whose headers are added; NULL: none */
	struct context_headers sender; /* with extended.headers.enabled */
	bool has_sender;
	struct buffer catch_up, merged; /* values */
	struct buffer other;            /* the same for Connect's header converter */
	struct buffer added;            /* all that a transform adds to an event */
	struct buffer deleted;          /* __op of a tombstone */
	/* [0] is the event's own (newkey, oldkey), behind it those of the transaction,
	 * the sender's, and those added; of a tombstone fewer are added. */
	struct message_header list[HEADERS_MAX + FLAT_HEADERS_MAX];
	struct message_header of_tombstone[HEADERS_MAX + FLAT_HEADERS_MAX];
	size_t transaction_count;
	size_t counts[HEADER_LISTS]; /* without the own one */
};

/* `settings` and `heads` are borrowed. */
enum status event_headers_open(struct event_headers *headers,
			       const struct encoder_settings *settings,
			       const struct message_heads *heads,
			       struct error *err) MUST_CHECK;
void event_headers_clear(struct event_headers *headers);

void event_headers_begin(struct event_headers *headers,
			 const struct encoder_transaction *txn,
			 const struct message_heads *heads);

/* The other key of an event, in its plain form; `head_len` is that of its schema. */
bool event_headers_set_own(struct event_headers *headers, enum change_op op,
			   struct span other, size_t head_len) MUST_CHECK;

/* Those that a transform adds to an event and its tombstone. */
bool event_headers_add(struct event_headers *headers,
		       const struct event_facts *facts) MUST_CHECK;

/* Put them into the message; `has_own`: that of the event, too. */
static inline void event_headers_get(const struct event_headers *headers,
				     enum headers_of which, bool has_own,
				     struct message *message)
{
	message->headers =
	    (which == HEADERS_OF_TOMBSTONE && headers->flat ? headers->of_tombstone
							    : headers->list) +
	    !has_own;
	message->header_count = headers->counts[which] + has_own;
}

#endif

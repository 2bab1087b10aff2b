/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/delivery.h -- from changed rows to what the sink has acknowledged.
 *
 * Opens the sink, encodes and puts what decoding finds, and keeps A, the position
 * that a later run goes on from: it moves when the sink has acknowledged what was
 * put, also in the middle of a transaction, and never before.
 *
 *     open ─► claim ─► restore ─► begin ─► changes ─► end ─► … ─► finish ─► close
 *
 * OWNERSHIP  delivery_open / delivery_close. Configuration and kept position are
 *            borrowed.
 * THREADS    The decoding thread only.
 * ERRORS     Those of the sink (sinks/sink.h), the encoder and the kept position.
 */
#ifndef DELIVERY_H
#define DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/notification.h"
#include "sinks/sink.h"
#include "src/config/config.h"
#include "src/deliver/publisher.h"
#include "src/state/kept_position.h"

struct delivery;

/* The sink, an encoder and a publisher as `config` says. */
enum status delivery_open(const struct config *config, struct delivery **out,
			  struct error *err) MUST_CHECK;
void delivery_close(struct delivery *delivery); /* takes NULL */

/* Who is told that the sink takes nothing, and why; NULL: it does again. */
struct delivery_listener {
	void (*tell)(void *context, const char *why);
	void *context;
};
void delivery_tell_outages(struct delivery *delivery, struct delivery_listener to);

/* The rules for single columns; NULL: none. Borrowed. */
const struct column_rules *delivery_rules(const struct delivery *delivery);

/* What decoding hands its changes to; borrowed. */
struct publisher *delivery_publisher(struct delivery *delivery);

/*
 * The position is kept in `kept`. Settle where to go on with a sink that keeps one of
 * its own, and put an end to whoever wrote there before; nothing is done for other
 * sinks. May move the position. Waits for the sink; `waits` (may be NULL) is called if
 * that is out of reach. `*starts_over`: what was kept was of no use and is forgotten;
 * open all again, with delivery_floor taken over.
 */
enum status delivery_claim(struct delivery *delivery, struct kept_position *kept,
			   void (*waits)(void *context), void *context,
			   bool *starts_over, struct error *err) MUST_CHECK;
/* In the place of claim: what would the sink say? (sinks/sink.h) Then close. */
enum status delivery_look(struct delivery *delivery, const struct kept_position *kept,
			  const struct sink_look *look, struct error *err) MUST_CHECK;
/* What shapes the messages (src/config/shaping.h); borrowed. */
const char *delivery_settings(const struct delivery *delivery);
/* Where LSNs of a new history begin, and which change_ids are used up. */
struct sink_floor delivery_floor(const struct delivery *delivery);
void delivery_raise_floor(struct delivery *delivery, struct sink_floor floor);

/*
 * Everything up to `lsn` is delivered; `chain` is the journal's checksum there. Events
 * go on with the numbers of the position, what was acknowledged of the next transaction
 * is not put again, and the sink is brought to where it was. From now on the position
 * moves.
 */
enum status delivery_restore(struct delivery *delivery, uint64_t lsn, uint64_t chain,
			     struct error *err) MUST_CHECK;

/* The initial snapshot is not wholly out. */
bool delivery_in_snapshot(const struct delivery *delivery);
/* Everything up to here was put, and the journal's checksum there. */
uint64_t delivery_lsn(const struct delivery *delivery);
uint64_t delivery_chain(const struct delivery *delivery);

/* Around the changes of each transaction; `chain` is the journal's checksum after it.
 */
enum status delivery_begin(struct delivery *delivery,
			   const struct encoder_transaction *txn, uint64_t chain,
			   struct error *err) MUST_CHECK;
enum status delivery_end(struct delivery *delivery, struct error *err) MUST_CHECK;

/*
 * Around the rows of a chunk of a snapshot on demand, which is delivered between two
 * transactions, as of delivery_lsn. `asked`: what is asked for of snapshots behind it,
 * as text.
 */
enum status delivery_begin_chunk(struct delivery *delivery,
				 struct error *err) MUST_CHECK;
enum status delivery_end_chunk(struct delivery *delivery, struct span asked,
			       struct error *err) MUST_CHECK;
/*
 * An earlier run may have handed over what comes next: it is to be the same again, with
 * no chunk that it had not begun, and no signal, before it.
 */
bool delivery_repeats(const struct delivery *delivery);
/* It has handed over no transaction from here on; false while a chunk is to come. */
bool delivery_end_repeats(struct delivery *delivery);
/* A chunk was begun here: it comes before anything else. */
bool delivery_owes_chunk(const struct delivery *delivery);
/* Nothing is known of one that is owed. */
void delivery_drop_chunk(struct delivery *delivery);

/* What was asked for of snapshots where delivery_restore has brought us; empty:
 * nothing. Borrowed. */
struct span delivery_asked(const struct delivery *delivery);
/* Between transactions, all is flushed: this is asked for from now on. It survives a
 * power cut when this returns. */
enum status delivery_keep_asked(struct delivery *delivery, struct span asked,
				struct error *err) MUST_CHECK;
/* In a transaction, before delivery_end: this is asked for behind it. */
enum status delivery_keep_asked_behind(struct delivery *delivery, struct span asked,
				       struct error *err) MUST_CHECK;

/* Between transactions: so much was put that it should be flushed. */
bool delivery_wants_flush(const struct delivery *delivery);
/* Everything that was put goes out, and the position moves. */
enum status delivery_flush(struct delivery *delivery, struct error *err) MUST_CHECK;

/* Tell how a snapshot goes (src/deliver/notifications.h): between transactions, or
 * within one, which does not count it. */
enum status delivery_notify(struct delivery *delivery, enum notification_kind kind,
			    const struct notification_of *of,
			    struct error *err) MUST_CHECK;

/* Between transactions: put a heartbeat if one is due. */
enum status delivery_beat(struct delivery *delivery, struct error *err) MUST_CHECK;
/* For poll: milliseconds until a heartbeat is due, or the sink wants a flush by itself;
 * -1: never. */
int delivery_wake_ms(const struct delivery *delivery);

/* For poll: shows POLLERR or POLLHUP when the reader goes away; -1: there is none. */
int delivery_watch_fd(const struct delivery *delivery);

/* The run has ended with `ended`: what was made goes out, if it can, and the position
 * is kept. */
enum status delivery_finish(struct delivery *delivery, enum status ended,
			    struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/on_demand.h -- signals, and the snapshots that they ask for, beside the stream.
 *
 * Signals come by the channels of src/deliver/signals.h, or as rows that are inserted
 * into signal.data.collection. What they ask for is kept with the position before they
 * are taken out of their channel; a signal of a row is a part of its transaction.
 * Chunks are delivered between transactions, half of the time at most while
 * transactions wait.
 *
 *     open ─► [events of decoding] ─► start ─► take, chunk, behind … ─► close
 *
 * OWNERSHIP  on_demand_open / on_demand_close. Configuration, delivery, history and
 *            decoder are borrowed.
 * THREADS    The decoding thread.
 * ERRORS     Those of delivery, decoding and the channels. A signal that cannot be
 *            followed is a line in the log.
 */
#ifndef ON_DEMAND_H
#define ON_DEMAND_H

#include <stdbool.h>

#include "src/config/config.h"
#include "src/decode/decoder.h"
#include "src/deliver/delivery.h"
#include "src/history/history.h"
#include "src/history/source.h"

struct on_demand;

/* May signal.file be what it names, and what Kafka is told be so? ST_CONFIG. */
enum status on_demand_check(const struct config *config, struct error *err) MUST_CHECK;

enum status on_demand_open(const struct config *config, struct delivery *delivery,
			   struct on_demand **out, struct error *err) MUST_CHECK;
void on_demand_close(struct on_demand *on_demand); /* takes NULL */

/* Where decoding's findings go: to the publisher, and signals to us. */
struct decoder_events on_demand_events(struct on_demand *on_demand);

/* The position is restored: go on with what was asked for. `history` and `source` are
 * where those at work stand; without a source no signals are taken. */
enum status on_demand_start(struct on_demand *on_demand, struct history *const *history,
			    struct source *const *source, struct decoder *decoder,
			    struct error *err) MUST_CHECK;
/* At the first start of this process: ask for what the settings ask for that this state
 * directory has not seen: tables that the last run left out, or all of them. */
enum status on_demand_ask_first(struct on_demand *on_demand,
				const struct kept_position *kept,
				struct error *err) MUST_CHECK;

/* For poll: readable when a signal came, -1: none can; and milliseconds until it is
 * time to look for one, -1: never. */
int on_demand_fd(const struct on_demand *on_demand);
int on_demand_wake_ms(const struct on_demand *on_demand);

/* There was nothing to do but to wait: look at the channels now. */
void on_demand_woken(struct on_demand *on_demand);
/* Has a signal come by a channel, or do the settings ask for a snapshot now, or is
 * there something to keep? Then flush, and take it. */
bool on_demand_has_signal(struct on_demand *on_demand);
enum status on_demand_take(struct on_demand *on_demand, struct error *err) MUST_CHECK;

/* Is it time for a chunk? `txn_waits`: a transaction could be next. */
bool on_demand_is_due(const struct on_demand *on_demand, bool txn_waits);
/* No transaction may come before a chunk. */
bool on_demand_is_first(struct on_demand *on_demand);
/* Deliver one. */
enum status on_demand_chunk(struct on_demand *on_demand, struct error *err) MUST_CHECK;
/* It was begun at `begun_ns` (clock_mono_ns), and what it has put is flushed, if it had
 * to be. */
void on_demand_took(struct on_demand *on_demand, int64_t begun_ns);

/* In a transaction, when it is decoded: follow the signals that were rows of it. */
enum status on_demand_behind(struct on_demand *on_demand, struct error *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_resume.h"

#include <inttypes.h>
#include <string.h>

#include "src/base/log.h"

/* More frames than a transaction that is half in Kafka can have had. */
#define OPEN_FRAMES (UINT64_C(1) << 32)

/* Only a new snapshot helps. */
static enum status need_snapshot(const struct kafka_own *own, bool may_start_over,
				 enum sink_verdict *verdict, struct error *err)
{
	if (own->here.when_needed && may_start_over) {
		*verdict = SINK_START_OVER;
		return ST_OK;
	}
	return error_add(err, "; snapshot.mode=when_needed takes a new snapshot "
			      "(deletes made meanwhile are not announced)");
}

/* The record has another directory's uuid. */
static enum status meet_foreign(const struct kafka_own *own,
				const struct kafka_position *found,
				enum sink_verdict *verdict, struct error *err)
{
	bool same_path = strcmp(found->database, own->here.database) == 0;

	if (!same_path) {
		return error_set(err, ST_CONFIG,
				 "topic.prefix %s belongs to another database, %s "
				 "(topic %s); choose another topic.prefix",
				 own->prefix, found->database, own->topic);
	}
	(void)error_set(err, ST_CONFIG,
			"Kafka has topic.prefix %s from another state directory of %s: "
			"give that one with --state%s",
			own->prefix, own->here.database,
			own->here.is_new ? ", if it is not lost" : "");
	return need_snapshot(own, own->here.is_new || !own->here.was_kept, verdict,
			     err);
}

/* Which is ahead: > 0 the record. */
static int compare(const struct sink_position *found, const struct sink_position *own)
{
	if (found->lsn != own->lsn) {
		return found->lsn > own->lsn ? 1 : -1;
	}
	if (found->in_snapshot != own->in_snapshot) {
		return own->in_snapshot ? 1 : -1;
	}
	if (found->chunks != own->chunks) {
		return found->chunks > own->chunks ? 1 : -1;
	}
	return (found->messages > own->messages) - (found->messages < own->messages);
}

/* The record is this directory's. */
static enum status meet_own(const struct kafka_own *own,
			    const struct kafka_position *found,
			    enum sink_verdict *verdict, struct error *err)
{
	int order = compare(&found->at, &own->here.position);

	*verdict = order > 0 ? SINK_ADOPT : SINK_GO_ON;
	if (!own->exactly_once || !found->exactly_once) {
		*verdict = SINK_GO_ON;
		return ST_OK;
	}
	if (order < 0) {
		(void)error_set(err, ST_CONFIG,
				"Kafka is behind the state directory (LSN %" PRIu64
				", here %" PRIu64
				"): it has lost what was acknowledged",
				found->at.lsn, own->here.position.lsn);
		return need_snapshot(own, true, verdict, err);
	}
	if (!own->here.has(own->here.context, found->at.lsn, found->at.chain)) {
		(void)error_set(err, ST_CONFIG,
				"the state directory is older than what Kafka has (LSN "
				"%" PRIu64 ", here %" PRIu64
				"), as from a backup: use the one that ran last",
				found->at.lsn, own->here.position.lsn);
		return need_snapshot(own, true, verdict, err);
	}
	return ST_OK;
}

/* There is no record, though the position says that one was written. */
static void say_no_record(const struct kafka_own *own, struct error *err)
{
	if (own->last_topic && strcmp(own->last_topic, own->topic) != 0) {
		(void)error_set(
		    err, ST_CONFIG,
		    "this state directory goes on from position topic %s, "
		    "but with topic.prefix and topic.delimiter as they are "
		    "now it is %s, which is not there: set them as they "
		    "were, or give another --state for a new snapshot under "
		    "the new names",
		    own->last_topic, own->topic);
		return;
	}
	(void)error_set(
	    err, ST_CONFIG,
	    "Kafka has no topic %s, where this state directory's position "
	    "was written: %sor it was lost, and nobody knows what the other "
	    "topics have",
	    own->topic,
	    own->last_topic
		? "--to names another Kafka, "
		: "--to names another Kafka, topic.prefix was another one, ");
}

enum status kafka_resume_decide(const struct kafka_own *own,
				const struct kafka_found *found,
				enum sink_verdict *verdict, struct error *err)
{
	*verdict = SINK_GO_ON;
	if (!found->is_there) {
		if (own->here.is_new || !own->here.was_kept || !own->exactly_once) {
			return ST_OK;
		}
		say_no_record(own, err);
		return need_snapshot(own, true, verdict, err);
	}
	if (own->here.is_new || strcmp(found->position.uuid, own->here.uuid) != 0) {
		return meet_foreign(own, &found->position, verdict, err);
	}
	return meet_own(own, &found->position, verdict, err);
}

struct sink_floor kafka_resume_floor(const struct kafka_own *own,
				     const struct kafka_found *found)
{
	struct sink_floor floor = {0, 0};
	uint64_t messages = 0;

	if (!own->here.is_new) {
		floor.lsn = own->here.position.lsn;
		floor.change_id = own->here.position.change_id;
		messages = own->here.position.messages;
	}
	if (found->is_there) {
		const struct sink_position *p = &found->position.at;

		floor.lsn = p->lsn > floor.lsn ? p->lsn : floor.lsn;
		floor.change_id =
		    p->change_id > floor.change_id ? p->change_id : floor.change_id;
		messages += p->messages;
	}
	floor.lsn += messages > 0 ? OPEN_FRAMES : 1;
	return floor;
}

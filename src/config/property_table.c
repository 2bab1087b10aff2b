/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/property_table.h"

#include <stdint.h>
#include <string.h>

#define BUILT(name)                          \
	{                                    \
		(name), PROPERTY_BUILT, NULL \
	}
#define NOT_BUILT(name, value)                      \
	{                                           \
		(name), PROPERTY_NOT_BUILT, (value) \
	}
#define IGNORED(name)                          \
	{                                      \
		(name), PROPERTY_IGNORED, NULL \
	}

static const struct property properties[] = {
    BUILT("binary.handling.mode"),
    BUILT("database.file.path"),
    BUILT("exactly.once.support"),
    BUILT("hold.escalate"),
    BUILT("hold.max.wal.bytes"),
    BUILT("journal.max.bytes"),
    BUILT("message.too.large"),
    BUILT("producer.*"),
    BUILT("provide.transaction.metadata"),
    BUILT("skipped.operations"),
    BUILT("snapshot.mode"),
    BUILT("table.exclude.list"),
    BUILT("table.include.list"),
    BUILT("tombstones.on.delete"),
    BUILT("topic.creation.*"),
    BUILT("topic.delimiter"),
    BUILT("topic.prefix"),
    BUILT("topic.transaction"),

    BUILT("column.exclude.list"),
    BUILT("column.include.list"),
    BUILT("column.mask.hash.*"),
    BUILT("column.mask.with.*"),
    BUILT("column.truncate.to.*"),
    BUILT("decimal.handling.mode"),
    BUILT("event.converting.failure.handling.mode"),
    BUILT("extended.headers.enabled"),
    BUILT("field.name.adjustment.mode"),
    BUILT("header.converter.schemas.enable"),
    BUILT("heartbeat.interval.ms"),
    BUILT("include.schema.changes"),
    NOT_BUILT("incremental.snapshot.chunk.size", "1024"),
    NOT_BUILT("max.batch.size", "2048"),
    BUILT("message.key.columns"),
    NOT_BUILT("notification.enabled.channels", NULL),
    NOT_BUILT("notification.sink.topic.name", NULL),
    BUILT("schema.name.adjustment.mode"),
    BUILT("schemas.enable"),
    NOT_BUILT("signal.data.collection", NULL),
    NOT_BUILT("signal.enabled.channels", "source"),
    NOT_BUILT("signal.file", NULL),
    NOT_BUILT("signal.kafka.*", NULL),
    NOT_BUILT("signal.poll.interval.ms", "5000"),
    BUILT("snapshot.select.statement.overrides"),
    BUILT("snapshot.select.statement.overrides.*"),
    BUILT("topic.heartbeat.prefix"),
    BUILT("type.mapping"),

    IGNORED("bigint.unsigned.handling.mode"),
    IGNORED("binlog.*"),
    IGNORED("cdc.log.batch.size"),
    IGNORED("column.propagate.source.type"),
    IGNORED("config.action.reload"),
    IGNORED("config.providers"),
    IGNORED("config.providers.*"),
    IGNORED("connect.keep.alive"),
    IGNORED("connect.keep.alive.interval.ms"),
    IGNORED("connect.timeout.ms"),
    IGNORED("connection.validation.timeout.ms"),
    IGNORED("connector.class"),
    IGNORED("converters"),
    IGNORED("custom.metric.tags"),
    IGNORED("custom.sanitize.pattern"),
    IGNORED("database.dbname"),
    IGNORED("database.exclude.list"),
    IGNORED("database.hostname"),
    IGNORED("database.include.list"),
    IGNORED("database.initial.statements"),
    IGNORED("database.names"),
    IGNORED("database.password"),
    IGNORED("database.port"),
    IGNORED("database.query.timeout.ms"),
    IGNORED("database.server.id"),
    IGNORED("database.server.id.offset"),
    IGNORED("database.server.name"),
    IGNORED("database.ssl.*"),
    IGNORED("database.sslcert"),
    IGNORED("database.sslfactory"),
    IGNORED("database.sslkey"),
    IGNORED("database.sslmode"),
    IGNORED("database.sslpassword"),
    IGNORED("database.sslrootcert"),
    IGNORED("database.tcpKeepAlive"),
    IGNORED("database.user"),
    IGNORED("datatype.propagate.source.type"),
    IGNORED("driver.*"),
    IGNORED("enable.time.adjuster"),
    IGNORED("errors.*"),
    IGNORED("event.deserialization.failure.handling.mode"),
    IGNORED("event.processing.failure.handling.mode"),
    IGNORED("executor.shutdown.timeout.ms"),
    IGNORED("flush.lsn.source"),
    IGNORED("gtid.source.*"),
    IGNORED("guardrail.collections.*"),
    IGNORED("header.converter"),
    IGNORED("heartbeat.action.query"),
    IGNORED("heartbeat.topics.prefix"),
    IGNORED("hstore.handling.mode"),
    IGNORED("include.query"),
    IGNORED("include.schema.comments"),
    IGNORED("include.unknown.datatypes"),
    IGNORED("inconsistent.schema.handling.mode"),
    IGNORED("incremental.snapshot.allow.schema.changes"),
    IGNORED("incremental.snapshot.watermarking.strategy"),
    IGNORED("internal.*"),
    IGNORED("interval.handling.mode"),
    IGNORED("key.converter"),
    IGNORED("key.converter.*"),
    IGNORED("legacy.snapshot.max.threads"),
    IGNORED("lsn.flush.*"),
    IGNORED("max.queue.size"),
    IGNORED("max.queue.size.in.bytes"),
    IGNORED("memory.management.*"),
    IGNORED("message.prefix.exclude.list"),
    IGNORED("message.prefix.include.list"),
    IGNORED("min.row.count.to.stream.results"),
    IGNORED("name"),
    IGNORED("nonnull.affinity.mismatch.fallback"),
    IGNORED("offset.flush.*"),
    IGNORED("offset.storage"),
    IGNORED("offset.storage.*"),
    IGNORED("openlineage.integration.*"),
    IGNORED("plugin.name"),
    IGNORED("poll.interval.ms"),
    IGNORED("post.processors"),
    IGNORED("predicates"),
    IGNORED("predicates.*"),
    IGNORED("publication.*"),
    IGNORED("publish.via.partition.root"),
    IGNORED("query.fetch.size"),
    IGNORED("replica.identity.autoset.values"),
    IGNORED("retriable.restart.connector.wait.ms"),
    IGNORED("schema.exclude.list"),
    IGNORED("schema.history.internal"),
    IGNORED("schema.history.internal.*"),
    IGNORED("schema.include.list"),
    IGNORED("schema.refresh.mode"),
    IGNORED("skip.messages.without.change"),
    IGNORED("slot.*"),
    IGNORED("snapshot.delay.ms"),
    IGNORED("snapshot.fetch.size"),
    IGNORED("snapshot.include.collection.list"),
    IGNORED("snapshot.isolation.mode"),
    IGNORED("snapshot.lock.timeout.ms"),
    IGNORED("snapshot.locking.mode"),
    IGNORED("snapshot.locking.mode.custom.name"),
    IGNORED("snapshot.max.threads"),
    IGNORED("snapshot.max.threads.multiplier"),
    IGNORED("snapshot.mode.configuration.based.*"),
    IGNORED("snapshot.mode.custom.name"),
    IGNORED("snapshot.query.mode"),
    IGNORED("snapshot.query.mode.custom.name"),
    IGNORED("snapshot.tables.order.by.row.count"),
    IGNORED("sourceinfo.struct.maker"),
    IGNORED("statistics.metrics.enabled"),
    IGNORED("status.update.interval.ms"),
    IGNORED("streaming.delay.ms"),
    IGNORED("table.ignore.builtin"),
    IGNORED("tasks.max"),
    IGNORED("time.precision.mode"),
    IGNORED("topic.cache.size"),
    IGNORED("topic.naming.strategy"),
    IGNORED("transaction.metadata.factory"),
    IGNORED("transforms"),
    IGNORED("transforms.*"),
    IGNORED("unavailable.value.placeholder"),
    IGNORED("use.nongraceful.disconnect"),
    IGNORED("value.converter"),
    IGNORED("value.converter.*"),
    IGNORED("xmin.fetch.interval.ms"),
};

#define PROPERTY_COUNT (sizeof properties / sizeof *properties)

size_t property_count(void)
{
	return PROPERTY_COUNT;
}

const struct property *property_at(size_t index)
{
	return &properties[index];
}

size_t property_find(const char *key)
{
	size_t family = PROPERTY_COUNT;
	size_t i;

	for (i = 0; i < PROPERTY_COUNT; i++) {
		const char *name = properties[i].name;
		size_t len = strlen(name) - 1;

		if (strcmp(name, key) == 0) {
			return i;
		}
		if (name[len] == '*' && strncmp(name, key, len) == 0) {
			family = i;
		}
	}
	return family;
}

/* ---- the nearest name ---- */

/* Rather one that does something. */
#define IGNORED_HANDICAP 3
#define NAME_MAX_LEN     64 /* longer keys are compared by their beginning */

/* Insertions, deletions and replacements that make `b` of `a`. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t a_len = strnlen(a, NAME_MAX_LEN);
	size_t b_len = strnlen(b, NAME_MAX_LEN);
	size_t i;
	size_t j;

	for (j = 0; j <= b_len; j++) {
		row[j] = (unsigned)j;
	}
	for (i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[b_len];
}

const char *property_nearest(const char *key)
{
	const char *nearest = properties[0].name;
	unsigned least = UINT32_MAX;
	size_t i;

	for (i = 0; i < PROPERTY_COUNT; i++) {
		unsigned distance = edit_distance(key, properties[i].name);

		if (properties[i].kind == PROPERTY_IGNORED) {
			distance += IGNORED_HANDICAP;
		}
		if (distance < least && !strchr(properties[i].name, '*')) {
			least = distance;
			nearest = properties[i].name;
		}
	}
	return nearest;
}

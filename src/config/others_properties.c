/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/others_properties.h"

#define IGNORED(pattern)                                    \
	{                                                   \
		.name = (pattern), .kind = PROPERTY_IGNORED \
	}
#define REFUSED(pattern, values, what_instead)                                     \
	{                                                                          \
		.name = (pattern), .kind = PROPERTY_REFUSED, .accepted = (values), \
		.advice = (what_instead)                                           \
	}
#define NOT_BUILT(pattern, values)                                                  \
	{                                                                           \
		.name = (pattern), .kind = PROPERTY_NOT_BUILT, .accepted = (values) \
	}

const struct property others_properties[] = {
    /* Known, and not built yet. */
    NOT_BUILT("max.batch.size", "2048"),

    /* Would change the messages. */
    REFUSED("bigint.unsigned.handling.mode", "long",
	    "SQLite's integers are int64; leave it out"),
    REFUSED("column.propagate.source.type", NULL,
	    "include.schema.changes=true tells the declared types; leave it out"),
    REFUSED("converters", "",
	    "values are those of docs/schemas.md, see type.mapping; leave it out"),
    REFUSED("datatype.propagate.source.type", NULL,
	    "include.schema.changes=true tells the declared types; leave it out"),
    REFUSED(
	"errors.tolerance", "none",
	"use event.converting.failure.handling.mode=skip and message.too.large=skip"),
    REFUSED("event.deserialization.failure.handling.mode", "fail",
	    "what cannot be read ends rowtail; leave it out"),
    REFUSED("event.processing.failure.handling.mode", "fail",
	    "what cannot be read ends rowtail; leave it out, or see "
	    "event.converting.failure.handling.mode"),
    REFUSED("guardrail.collections.max", "0",
	    "there is no limit of tables; use table.include.list"),
    REFUSED("header.converter",
	    "org.apache.kafka.connect.storage.SimpleHeaderConverter|org.apache.kafka."
	    "connect.json.JsonConverter",
	    "header values are as these two read them; leave it out, and see "
	    "header.converter.schemas.enable"),
    REFUSED("header.converter.*", NULL,
	    "of converters only schemas.enable is built; leave it out"),
    REFUSED("heartbeat.action.query", "",
	    "rowtail writes nothing to the database; heartbeat.interval.ms alone gives "
	    "heartbeats"),
    REFUSED("include.query", "false",
	    "statements are not in SQLite's log; leave it out"),
    REFUSED("key.converter", "org.apache.kafka.connect.json.JsonConverter",
	    "keys are JSON as JsonConverter writes it; leave it out, and convert "
	    "behind rowtail"),
    REFUSED("key.converter.replace.null.with.default", "false",
	    "NULL is always null here; set it to false"),
    REFUSED("key.converter.*", NULL,
	    "of converters only schemas.enable is built; leave it out"),
    REFUSED("nonnull.affinity.mismatch.fallback", "false",
	    "use event.converting.failure.handling.mode"),
    REFUSED("post.processors", "",
	    "rows are always whole, and nothing works on them; leave it out, or do it "
	    "behind rowtail"),
    REFUSED("predicates", "",
	    "transforms have no predicates here; a router's own expression says which "
	    "topics it takes"),
    REFUSED("predicates.*", NULL,
	    "transforms have no predicates here; a router's own expression says which "
	    "topics it takes"),
    REFUSED("skip.messages.without.change", "false",
	    "an UPDATE that changes nothing gives no event anyway, one of excluded "
	    "columns alone does; leave it out"),
    REFUSED("snapshot.include.collection.list", "",
	    "use table.include.list, or snapshot.select.statement.overrides with a "
	    "SELECT of no rows"),
    REFUSED("snapshot.query.mode", "select_all",
	    "use snapshot.select.statement.overrides"),
    REFUSED("snapshot.tables.order.by.row.count", "disabled",
	    "tables come by name; leave it out"),
    REFUSED("sourceinfo.struct.maker", NULL,
	    "the source block is as documented; leave it out"),
    REFUSED("table.ignore.builtin", "true",
	    "SQLite's own tables are left out unless table.include.list names them; "
	    "leave it out"),
    REFUSED("time.precision.mode", "adaptive",
	    "dates and times are strings as stored; leave it out"),
    REFUSED("topic.heartbeat.name", NULL, "use topic.heartbeat.prefix"),
    REFUSED("topic.naming.strategy",
	    "io.debezium.schema.SchemaTopicNamingStrategy|io.debezium.schema."
	    "DefaultTopicNamingStrategy",
	    "use topic.prefix and topic.delimiter"),
    REFUSED("transaction.metadata.factory",
	    "io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory",
	    "transactions are told as documented; leave it out"),
    REFUSED("value.converter", "org.apache.kafka.connect.json.JsonConverter",
	    "values are JSON as JsonConverter writes it; leave it out, and convert "
	    "behind rowtail"),
    REFUSED("value.converter.replace.null.with.default", "false",
	    "NULL is always null here; set it to false"),
    REFUSED("value.converter.*", NULL,
	    "of converters only schemas.enable is built; leave it out"),

    /* Cannot matter: servers, logs and types that SQLite does not have, and how other
     * programs run. */
    IGNORED("binlog.*"),
    IGNORED("cdc.log.batch.size"),
    IGNORED("config.action.reload"),
    IGNORED("config.providers"),
    IGNORED("config.providers.*"),
    IGNORED("connect.keep.alive"),
    IGNORED("connect.keep.alive.interval.ms"),
    IGNORED("connect.timeout.ms"),
    IGNORED("connection.validation.timeout.ms"),
    IGNORED("connector.class"),
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
    IGNORED("driver.*"),
    IGNORED("enable.time.adjuster"),
    IGNORED("errors.*"),
    IGNORED("executor.shutdown.timeout.ms"),
    IGNORED("flush.lsn.source"),
    IGNORED("gtid.source.*"),
    IGNORED("guardrail.collections.limit.action"),
    IGNORED("header.converter.decimal.format"),
    IGNORED("header.converter.schemas.cache.size"),
    IGNORED("hstore.handling.mode"),
    IGNORED("include.schema.comments"),
    IGNORED("include.unknown.datatypes"),
    IGNORED("inconsistent.schema.handling.mode"),
    IGNORED("incremental.snapshot.allow.schema.changes"),
    IGNORED("incremental.snapshot.watermarking.strategy"),
    IGNORED("internal.*"),
    IGNORED("interval.handling.mode"),
    IGNORED("key.converter.decimal.format"),
    IGNORED("key.converter.schemas.cache.size"),
    IGNORED("legacy.snapshot.max.threads"),
    IGNORED("lsn.flush.*"),
    IGNORED("max.queue.size"),
    IGNORED("max.queue.size.in.bytes"),
    IGNORED("memory.management.*"),
    IGNORED("message.prefix.exclude.list"),
    IGNORED("message.prefix.include.list"),
    IGNORED("min.row.count.to.stream.results"),
    IGNORED("name"),
    IGNORED("offset.flush.*"),
    IGNORED("offset.storage"),
    IGNORED("offset.storage.*"),
    IGNORED("openlineage.integration.*"),
    IGNORED("plugin.name"),
    IGNORED("poll.interval.ms"),
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
    IGNORED("signal.kafka.poll.timeout.ms"),
    IGNORED("slot.*"),
    IGNORED("snapshot.delay.ms"),
    IGNORED("snapshot.fetch.size"),
    IGNORED("snapshot.isolation.mode"),
    IGNORED("snapshot.lock.timeout.ms"),
    IGNORED("snapshot.locking.mode"),
    IGNORED("snapshot.locking.mode.custom.name"),
    IGNORED("snapshot.max.threads"),
    IGNORED("snapshot.max.threads.multiplier"),
    IGNORED("snapshot.mode.configuration.based.*"),
    IGNORED("snapshot.mode.custom.name"),
    IGNORED("snapshot.query.mode.custom.name"),
    IGNORED("statistics.metrics.enabled"),
    IGNORED("status.update.interval.ms"),
    IGNORED("streaming.delay.ms"),
    IGNORED("tasks.max"),
    IGNORED("topic.cache.size"),
    IGNORED("unavailable.value.placeholder"),
    IGNORED("use.nongraceful.disconnect"),
    IGNORED("value.converter.decimal.format"),
    IGNORED("value.converter.schemas.cache.size"),
    IGNORED("xmin.fetch.interval.ms"),
};

const size_t others_property_count =
    sizeof others_properties / sizeof *others_properties;

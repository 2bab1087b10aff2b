"""What stands in the topics: order, keys, partitions, tombstones, headers."""

import json
import re
import subprocess
import time

from harness.box import expect
from kafka.librdkafka import Admin
from kafka.murmur2 import check_known, partition_of
from kafka.scene import Scene
from state.consumer import summary

PARTITIONS = ["-D", "topic.creation.default.partitions=3"]


def test_rows_then_changes_each_once_and_in_order(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "CREATE TABLE keyless(a, b)",
                  "INSERT INTO t VALUES (1, 'one'), (2, 2.5), (3, x'00ff')",
                  "INSERT INTO keyless VALUES (1, NULL), (1, NULL)", args=PARTITIONS)
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (4, 'new')", "UPDATE t SET a = NULL WHERE id = 1",
              "BEGIN", "DELETE FROM t WHERE id = 2", "UPDATE keyless SET b = 7", "COMMIT",
              "DELETE FROM keyless", "UPDATE t SET id = 30 WHERE id = 3")
    scene.wait_events(14)
    scene.stop(run)
    events = [m for m in scene.check() if m.is_event]
    expect(len(events) == 14, "%d events: %s", len(events), summary(events))
    expect([e.op for e in events[:5]] == list("rrrrr"), "%s", summary(events))


def test_a_random_history_arrives_whole(box):
    """Many tables, all kinds of statements; the consumer ends with the same rows."""
    scene = Scene(box, "CREATE TABLE a(id INTEGER PRIMARY KEY, n, s)",
                  "CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
                  "CREATE TABLE c(x, y)", args=PARTITIONS)
    run = scene.start()
    for i in range(60):
        scene.sql("BEGIN",
                  "INSERT INTO a(n, s) SELECT value * %d, 'text ' || value"
                  " FROM json_each('[1,2,3,4,5]')" % i,
                  "INSERT OR REPLACE INTO b VALUES ('k' || %d, %d)" % (i % 7, i),
                  "INSERT INTO c VALUES (%d, %d), (%d, NULL)" % (i, i % 3, i % 5),
                  "COMMIT",
                  "UPDATE a SET n = n + 1 WHERE id %% 11 = %d" % (i % 11),
                  "DELETE FROM c WHERE x = %d" % (i % 4),
                  "DELETE FROM a WHERE id = %d" % (i * 3),
                  "UPDATE b SET k = k || '!' WHERE v %% 5 = %d" % (i % 5))
    scene.stop(run)
    scene.once()
    events = sum(m.is_event for m in scene.check())
    expect(events > 1000, "%d events only", events)


def test_keys_are_partitioned_as_java_does(box):
    check_known()
    scene = Scene(box, "CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY(a, b))",
                  args=["-D", "topic.creation.default.partitions=7"])
    scene.sql(*["INSERT INTO t VALUES ('%s', %d)" % ("kéy-" * (i % 5) + str(i), i * i)
                for i in range(40)])
    scene.once()
    records = scene.records("t")
    expect(len(records) == 40, "%d records", len(records))
    for record in records:
        want = partition_of(record.key, 7)
        expect(record.partition == want, "partition %d, Java has %d: %r",
               record.partition, want, record)
    placed = {r.key: r.partition for r in records}
    with Admin(scene.broker.address) as admin:
        admin.create_topic(scene.prefix + ".java", 7)
    lines = b"".join(key + b"\tx\n" for key in placed)
    done = subprocess.run(
        scene.broker.command(
            "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server",
            scene.broker.address, "--topic", scene.prefix + ".java",
            "--property", "parse.key=true"),
        input=lines, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0, "%s", done.stdout[-2000:])
    theirs = {r.key: r.partition for r in scene.records("java")}
    expect(theirs == placed, "Java's producer: %s\nrowtail: %s", theirs, placed)


def test_messages_without_a_key_share_one_partition(box):
    tables = ["n%d" % i for i in range(6)]
    scene = Scene(box, *["CREATE TABLE %s(a)" % t for t in tables],
                  "CREATE TABLE p(k PRIMARY KEY, v)",
                  args=["-D", "topic.creation.default.partitions=5"])
    for table in tables:
        scene.sql("INSERT INTO %s VALUES (1), (2), (3), (NULL)" % table,
                  "DELETE FROM %s WHERE a = 2" % table)
    scene.sql("INSERT INTO p VALUES (NULL, 1), (NULL, 2), (NULL, 3), ('k', 4)")
    scene.once()
    scene.check()
    chosen = set()
    for table in tables + ["p"]:
        records = [r for r in scene.records(table) if r.key is None]
        places = {r.partition for r in records}
        expect(len(records) >= 3 and len(places) == 1, "%s: %s", table, records)
        chosen |= places
    expect(len(chosen) > 1, "all tables use partition %s", chosen)


def test_deletes_are_followed_by_tombstones(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t VALUES (1, 'x'), (2, 'y')", "CREATE TABLE n(a)",
                  "INSERT INTO n VALUES (1)")
    scene.once()
    scene.sql("DELETE FROM t WHERE id = 1", "DELETE FROM n")
    scene.once()
    scene.check()
    deleted = [r for r in scene.records("t") if r.key == b'{"id":1}']
    expect([r.value is None for r in deleted] == [False, False, True], "%s", deleted)
    last = scene.records("n")[-1]
    expect(last.key is None and last.value is None, "%s", last)
    more = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY)",
                 "INSERT INTO t VALUES (1)", name="more.db",
                 args=["-D", "tombstones.on.delete=false"])
    more.once()
    more.sql("DELETE FROM t")
    more.once()
    values = [r.value for r in more.records("t")]
    expect(len(values) == 2 and None not in values, "%s", values)


def test_a_changed_key_names_the_other_key_in_headers(box):
    scene = Scene(box, "CREATE TABLE t(k TEXT PRIMARY KEY, v)",
                  "INSERT INTO t VALUES ('old', 1)")
    scene.once()
    scene.sql("UPDATE t SET k = 'new'")
    scene.once()
    scene.check()
    seen = [(json.loads(r.key), r.value and json.loads(r.value)["op"], r.headers)
            for r in scene.records("t")[1:]]
    expect(seen == [
        ({"k": "old"}, "d", [("__debezium.newkey", b'{"k":"new"}')]),
        ({"k": "old"}, None, [("__debezium.newkey", b'{"k":"new"}')]),
        ({"k": "new"}, "c", [("__debezium.oldkey", b'{"k":"old"}')])], "%s", seen)


def test_changes_found_by_comparing_say_so(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t VALUES (1, 'x')")
    scene.once()
    scene.sql("INSERT INTO t VALUES (2, 'y')", "PRAGMA wal_checkpoint(TRUNCATE)",
              "INSERT INTO t VALUES (3, 'z')", "PRAGMA wal_checkpoint(TRUNCATE)",
              "DELETE FROM t WHERE id = 1")
    scene.once()
    messages = scene.check()
    expect([bool(m.headers.get("rowtail.catch_up")) for m in messages] ==
           [False, True, True, True, True], "%s", messages)


def test_transaction_metadata_has_a_topic(box):
    scene = Scene(box, args=["-D", "provide.transaction.metadata=true"])
    scene.once()
    scene.sql("BEGIN", "INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (2, 2)",
              "COMMIT")
    scene.once()
    scene.check()
    found = [(json.loads(r.key), json.loads(r.value)) for r in
             scene.records("transaction")]
    lsn = str(scene.messages()[0].lsn)
    expect([v["status"] for _, v in found] == ["BEGIN", "END"], "%s", found)
    expect(all(k == {"id": lsn} and v["id"] == lsn for k, v in found), "%s", found)
    expect(found[1][1]["event_count"] == 2, "%s", found)


def test_missing_topics_are_created_as_configured(box):
    """The broker creates none by itself."""
    scene = Scene(box, args=["-D", "topic.creation.default.partitions=4",
                             "-D", "topic.creation.default.replication.factor=1",
                             "-D", "topic.creation.default.cleanup.policy=compact"])
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.once()
    expect(scene.topics().get(scene.prefix + ".t") == 4, "%s", scene.topics())
    with Admin(scene.broker.address) as admin:
        config = admin.topic_config(scene.prefix + ".t")
        position = admin.topic_config("__rowtail-position." + scene.prefix)
    expect(config["cleanup.policy"] == "compact", "%s", config)
    expect(position["cleanup.policy"] == "compact", "%s", position)


def test_a_topic_that_is_there_is_left_as_it_is(box):
    scene = Scene(box)
    with Admin(scene.broker.address) as admin:
        admin.create_topic(scene.prefix + ".t", 2, retention_ms=12345678)
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.once()
    scene.check()
    with Admin(scene.broker.address) as admin:
        config = admin.topic_config(scene.prefix + ".t")
    expect(scene.topics()[scene.prefix + ".t"] == 2, "%s", scene.topics())
    expect(config["retention.ms"] == "12345678", "%s", config["retention.ms"])


def test_a_table_without_key_and_a_compacted_topic_is_an_error_at_start(box):
    scene = Scene(box, "CREATE TABLE n(a)", "INSERT INTO n VALUES (1)")
    with Admin(scene.broker.address) as admin:
        admin.create_topic(scene.prefix + ".n", 1, cleanup_policy="compact")
    said = scene.once(code=2).error_lines[-1]
    expect(re.search(r"\bn\b", said) and "compact" in said, "%s", said)


def test_a_transaction_of_the_source_is_one_in_kafka(box):
    """Between two events of one transaction there is no end of a Kafka transaction,
    which would take an offset."""
    scene = Scene(box)
    run = scene.start()
    for i in range(40):
        scene.sql("INSERT INTO t(a) SELECT value FROM json_each('[%s]')"
                  % ",".join(["0"] * (1 + i * 7 % 400)))
        time.sleep(0.02)
    scene.stop(run)
    scene.once()
    scene.check()
    records = scene.records("t")
    lsns = [json.loads(r.value)["source"]["lsn"] for r in records]
    ends = sum(b.offset != a.offset + 1 for a, b in zip(records, records[1:]))
    split = [a for a, b, m, n in zip(records, records[1:], lsns, lsns[1:])
             if m == n and b.offset != a.offset + 1]
    expect(not split, "split behind %s", split[:3])
    expect(ends > 1, "all came in one Kafka transaction: this shows nothing")


def test_kcat_reads_them(box):
    kcat = box.need_tool("kcat")
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t VALUES (1, 'x')")
    scene.once()
    scene.sql("DELETE FROM t")
    scene.once()
    done = subprocess.run(
        [kcat, "-b", scene.broker.address, "-C", "-t", scene.prefix + ".t", "-e", "-q",
         "-X", "isolation.level=read_committed", "-J"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    expect(done.returncode == 0, "%s", done.stderr)
    lines = [json.loads(t) for t in done.stdout.splitlines()]
    expect([t["key"] for t in lines] == ['{"id":1}'] * 3, "%s", lines)
    values = [t["payload"] and json.loads(t["payload"])["op"] for t in lines]
    expect(values == ["r", "d", None], "%s", values)

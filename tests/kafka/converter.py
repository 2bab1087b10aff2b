"""Kafka Connect's JsonConverter reads every record of every topic.

It compares each value with its schema, and the connector's task fails on the first one
that does not fit.
"""

import time

from harness.box import expect
from kafka.env.connect import Connect
from kafka.scene import Scene

SETTINGS = ["-D", "schemas.enable=true", "-D", "provide.transaction.metadata=true",
            "-D", "include.schema.changes=true", "-D", "heartbeat.interval.ms=200"]


def lines_of(path):
    try:
        with open(path, errors="replace") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def test_every_record_of_every_topic(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB, r REAL, x TEXT,"
                       " yes BOOLEAN, at DATETIME, n NUMERIC, v)",
                  "INSERT INTO t VALUES (1, x'00ff', 1e300, 'é', 1, '2024-01-01', 2, 3),"
                  " (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", args=SETTINGS)
    run = scene.start()
    scene.sql("UPDATE t SET x = 'y' WHERE id = 2", "DELETE FROM t WHERE id = 1",
              "ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'd'",
              "INSERT INTO t(id, more) VALUES (3, 'z')",
              "CREATE TABLE other(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
              "INSERT INTO other VALUES ('a', 1)", "UPDATE other SET k = 'b'",
              "DROP TABLE other")
    time.sleep(1)
    scene.stop(run)
    names = ["t", "other", "transaction"]
    topics = ["%s.%s" % (scene.prefix, n) for n in names] + [
        scene.prefix, "__debezium-heartbeat." + scene.prefix]
    counts = {t: len(scene.records_of(t)) for t in topics}
    expect(all(counts.values()), "topics without records: %s", counts)
    connectors = {t: {
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "tasks.max": "1", "topics": t, "file": box.path(t),
        "consumer.override.isolation.level": "read_committed"} for t in topics}
    connect = Connect(box.path("connect"), scene.broker.address, connectors)
    box.opened.append(connect)
    connect.start()
    # Tombstones are lines, too: "null". Values with line ends there are none of.
    deadline = time.monotonic() + 40 * box.slow
    while {t: len(lines_of(box.path(t))) for t in topics} != counts:
        failed = connect.failures()
        expect(not failed, "it does not read them: %s", failed)
        expect(time.monotonic() < deadline, "%s of %s", {
            t: len(lines_of(box.path(t))) for t in topics}, counts)
        time.sleep(0.3)
    row = next(t for t in lines_of(box.path(topics[0])) if "op=r" in t and "id=1" in t)
    for part in ["r=1.0E300", "x=é", "yes=true", "at=2024-01-01", "n=2.0", "v=3"]:
        expect(part in row, "%s is not in %s", part, row)


test_every_record_of_every_topic.timeout = 120

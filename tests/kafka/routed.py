"""Transforms with a real broker, and consumers of what they make."""

import json
import random
import sqlite3
import time

from harness.box import NotRun, expect
from kafka.env import postgres
from kafka.env.connect import Connect, jdbc_sink
from kafka.jdbc import Workload, make_tables, rows_of_sqlite, wait_equal
from kafka.kills import Load
from kafka.scene import Scene

FLAT = "io.debezium.transforms.ExtractNewRecordState"
TABLES = ["CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER, s TEXT)",
          "CREATE TABLE b(k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
          "CREATE TABLE c(x, y)"]


def routed(prefix_of_all):
    """All tables into one topic, rows alone."""
    return ["-D", "include.schema.changes=false", "-D", "transforms=l,u",
            "-D", "transforms.l.type=ByLogicalTableRouter",
            "-D", r"transforms.l.topic.regex=(.*)\.[abc]",
            "-D", "transforms.l.topic.replacement=$1." + prefix_of_all,
            "-D", "transforms.l.key.field.name=from",
            "-D", r"transforms.l.key.field.regex=.*\.(.)",
            "-D", "transforms.l.key.field.replacement=$1",
            "-D", "transforms.u.type=" + FLAT,
            "-D", "transforms.u.add.fields=change_id:number,table,op",
            "-D", "transforms.u.delete.tombstone.handling.mode=rewrite-with-tombstone"]


class Consumer:
    """Of flat records of all tables in one topic."""

    def __init__(self, records):
        self.rows = {"a": {}, "b": {}}
        self.numbers, self.tombstones = [], 0
        self.last = None            # the key before, and whether it was a delete's
        for record in sorted(records, key=lambda r: (r.partition, r.offset)):
            key = record.key and json.loads(record.key)
            if record.value is None:
                expect(self.last == (key, True), "a tombstone of %s behind %s", key,
                       self.last)
                self.tombstones += 1
                continue
            value = json.loads(record.value)
            self.last = (key, value["__deleted"] == "true")
            expect(self.last[1] == (value["__op"] == "d"), "%r", record)
            self.numbers.append(value["__number"])
            self.keep(record, key, value)

    def keep(self, record, key, value):
        table = value["__table"]
        if table == "c":
            expect(key is None, "%r", record)
            return
        expect(key["from"] == table and len(key) == 2, "%r", record)
        name = next(v for k, v in key.items() if k != "from")
        self.rows[table].pop(name, None)
        if value["__deleted"] == "false":
            self.rows[table][name] = {k: v for k, v in value.items() if k[0] != "_"}


def rows(scene, table, key):
    db = sqlite3.connect(scene.path)
    db.row_factory = sqlite3.Row
    try:
        return {r[key]: dict(r) for r in db.execute("SELECT * FROM " + table)}
    finally:
        db.close()


def test_rows_of_routed_tables_once_over_kills(box):
    scene = Scene(box, *TABLES, args=routed("all"))
    chance = random.Random(11)
    load = Load(scene, 11)
    run = scene.start()
    try:
        for _ in range(6):
            time.sleep(0.2 + chance.random())
            run.kill()
            run = scene.start()
    finally:
        load.stop()
    scene.stop(run)
    scene.once()
    topic = scene.prefix + ".all"
    expect(list(scene.topics()) == [topic], "topics: %s", scene.topics())
    records = scene.records_of(topic)
    got = Consumer(records)
    numbers = sorted(got.numbers)
    expect(numbers == list(range(1, len(numbers) + 1)), "numbers: %d, up to %s",
           len(numbers), numbers[-1:])
    for table, name in (("a", "id"), ("b", "k")):
        there = rows(scene, table, name)
        expect(got.rows[table] == there, "%s: %d rows, %d in SQLite", table,
               len(got.rows[table]), len(there))
    return 1, "%d events, %d tombstones" % (len(numbers), got.tombstones)


test_rows_of_routed_tables_once_over_kills.timeout = 120


def test_flat_rows_and_tombstones_end_equal_in_postgresql(box):
    """Debezium's JDBC sink without a transform of its own."""
    box.options.bed.shared()
    if postgres.lacking():
        raise NotRun(postgres.lacking())
    server = postgres.Postgres()
    box.opened.append(server)
    server.start()
    tables = make_tables()
    scene = Scene(box, *[t.create() for t in tables], args=[
        "-D", "schemas.enable=true", "-D", "transforms=u",
        "-D", "transforms.u.type=" + FLAT])
    load = Workload(scene, tables, 3)
    for _ in range(20):
        load.transaction()
    run = scene.start()
    topics = r"%s\.(%s)" % (scene.prefix, "|".join(t.name for t in tables))
    connect = Connect(box.path("connect"), scene.broker.address, {
        "flat": jdbc_sink(server.jdbc_url, topics,
                          **{"collection.name.format": "flat_${topic}"})})
    box.opened.append(connect)
    connect.start()
    for number in range(200):
        load.transaction()
        if number == 100:
            load.add_column()
    load.seen_everywhere()
    scene.stop(run)
    scene.once()
    wait_equal(box, scene, server, tables, connect, 60, ["flat_%s_" % scene.prefix])
    nulls = sum(r.value is None for r in scene.records())
    expect(nulls > 0, "no delete is a tombstone")
    return 1, "%d rows equal, %d tombstones" % (
        sum(len(rows_of_sqlite(scene, t)) for t in tables), nulls)


test_flat_rows_and_tombstones_end_equal_in_postgresql.timeout = 180

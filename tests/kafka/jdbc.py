"""Debezium's JDBC sink, in a real Kafka Connect, fills PostgreSQL from our events.

The workload is random; rowtail and the broker are killed meanwhile. At the end each
table in PostgreSQL must be equal to SQLite's: once as the sink reads Debezium's events
itself, once behind Debezium's transform ExtractNewRecordState. Values that Connect or
PostgreSQL cannot hold (infinities, NUL in text) are left out.

KILLS (environment) is the number of kills, by default 24.
"""

import base64
import json
import os
import random
import sqlite3
import time

from harness.box import Failed, NotRun, expect
from kafka.env import postgres
from kafka.env.connect import Connect, jdbc_sink
from kafka.signals import signals_of
from kafka.scene import Scene, own_broker

KILLS = int(os.environ.get("KILLS", "24"))

# A column: its declared type, how a random value of it is made, and what the sink has
# to store for what SQLite holds. The mapping is that of docs/schemas.md.
TEXTS = ["", "plain", "it's", 'say "x"', "back\\slash", "tab\tline\nend", "naïve 漢字 🎈",
         "1", "1.5", "null", "x" * 3000]


def integer(chance):
    return chance.choice([0, 1, -1, chance.getrandbits(31), 2 ** 63 - 1, -2 ** 63])


def real(chance):
    return chance.choice([0.5, -1.25, 1e300, -1e-300, 0.1, 3.0, chance.random() * 1e6])


def text(chance):
    return chance.choice(TEXTS)


def blob(chance):
    return chance.choice([b"", b"\x00\xff", bytes(range(256)),
                          chance.getrandbits(64).to_bytes(8, "big")])


def boolean(chance):
    return chance.randrange(2)


def moment(chance):
    return "20%02d-03-04 05:06:07.%03d" % (chance.randrange(100), chance.randrange(1000))


def number(chance):
    return chance.choice([1, 2.5, -3, 99.99, chance.randrange(10 ** 6)])


def anything(chance):
    """In a column without a type: a string; numbers as text, blobs as base64."""
    return chance.choice([chance.randrange(1000), text(chance), blob(chance)])


def same(value):
    return value


def as_bool(value):
    return bool(value)


def as_double(value):
    return float(value)


def as_string(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else str(value)


KINDS = {
    "INTEGER": (integer, same), "BIGINT": (integer, same), "REAL": (real, as_double),
    "DOUBLE PRECISION": (real, as_double), "TEXT": (text, same),
    "VARCHAR(40)": (text, same), "BLOB": (blob, same), "BOOLEAN": (boolean, as_bool),
    "DATETIME": (moment, same), "DATE": (moment, same), "DECIMAL(10,2)": (number, as_double),
    "NUMERIC": (number, as_double), "JSON": (text, as_string), "UUID": (text, as_string),
    "": (anything, as_string),
}


class Table:
    """Columns by name, in order: (declared type, is key)."""

    def __init__(self, name, key, columns, tail=""):
        self.name = name
        self.key = key
        self.columns = dict(columns)
        self.tail = tail

    def create(self):
        return "CREATE TABLE %s(%s, PRIMARY KEY(%s))%s" % (
            self.name, ", ".join("%s %s" % c for c in self.columns.items()),
            ", ".join(self.key), self.tail)

    def value(self, column, chance):
        kind = self.columns[column]
        if column not in self.key and chance.random() < 0.15:
            return None
        return KINDS[kind][0](chance)

    def expected(self, row):
        return {name: None if value is None else KINDS[self.columns[name]][1](value)
                for name, value in zip(self.columns, row)}


def make_tables():
    all_kinds = [("c%d" % i, kind) for i, kind in enumerate(KINDS)]
    return [
        Table("every", ["id"], [("id", "INTEGER")] + all_kinds),
        Table("pair", ["a", "b"], [("a", "TEXT"), ("b", "INTEGER"), ("v", "REAL")],
              " WITHOUT ROWID"),
        Table("firm", ["id"], [("id", "INTEGER"), ("i", "INTEGER"), ("r", "REAL"),
                               ("t", "TEXT"), ("x", "BLOB")], " STRICT"),
    ]


class Workload:
    def __init__(self, scene, tables, seed):
        self.scene = scene
        self.tables = tables
        self.chance = random.Random(seed)
        self.added = 0
        self.number = 0

    def run(self, steps):
        results = self.scene.writer.run("c", [("x", *step) for step in steps], False)
        for step, result in zip(steps, results):
            if isinstance(result, str) and "UNIQUE" not in result:
                raise Failed("%s: %s" % (step[0], result))

    def transaction(self):
        self.run([("BEGIN",)] + [self.statement()
                                 for _ in range(self.chance.randrange(1, 8))]
                 + [("COMMIT",)])

    def key(self, table):
        small = {"INTEGER": self.chance.randrange(300),
                 "TEXT": "key %d" % self.chance.randrange(40)}
        return [small[table.columns[name]] for name in table.key]

    def statement(self):
        table = self.chance.choice(self.tables)
        where = " WHERE " + " AND ".join("%s = ?" % k for k in table.key)
        kind = self.chance.randrange(10)
        rest = [c for c in table.columns if c not in table.key]
        if kind < 4:
            names = table.key + rest
            values = self.key(table) + [table.value(c, self.chance) for c in rest]
            return ("INSERT OR REPLACE INTO %s(%s) VALUES (%s)" % (
                table.name, ", ".join(names), ", ".join("?" * len(names))), values)
        if kind < 7:
            column = self.chance.choice(rest)
            return ("UPDATE %s SET %s = ?" % (table.name, column) + where,
                    [table.value(column, self.chance)] + self.key(table))
        if kind < 8:
            return ("UPDATE OR IGNORE %s SET %s" % (
                table.name, ", ".join("%s = ?" % k for k in table.key)) + where,
                self.key(table) + self.key(table))
        return ("DELETE FROM %s" % table.name + where, self.key(table))

    def add_column(self):
        table = self.chance.choice(self.tables)
        kind = self.chance.choice(["INTEGER", "TEXT", "REAL", "BLOB"])
        self.added += 1
        name = "added%d" % self.added
        self.run([("ALTER TABLE %s ADD COLUMN %s %s" % (table.name, name, kind),)])
        table.columns[name] = kind

    def seen_everywhere(self):
        """One more change of every table, so that each has its last columns."""
        for table in self.tables:
            names = table.key + [c for c in table.columns if c not in table.key]
            values = [self.chance.randrange(1000, 2000)
                      if table.columns[n] == "INTEGER" else "last"
                      for n in table.key]
            values += [KINDS[table.columns[n]][0](self.chance)
                       for n in names[len(table.key):]]
            self.run([("INSERT OR REPLACE INTO %s(%s) VALUES (%s)" % (
                table.name, ", ".join(names), ", ".join("?" * len(names))), values)])


def canonical(row):
    """A row as text that is the same for equal values."""
    return json.dumps({n: {"x": v.hex()} if isinstance(v, bytes) else v
                       for n, v in row.items()}, sort_keys=True, ensure_ascii=False)


def rows_of_sqlite(scene, table):
    db = sqlite3.connect(scene.path)
    try:
        found = db.execute("SELECT %s FROM %s" % (
            ", ".join(table.columns), table.name)).fetchall()
    finally:
        db.close()
    return sorted(canonical(table.expected(row)) for row in found)


def rows_of_postgres(server, name, table):
    """None while there is no such table with these columns."""
    try:
        lines = server.query("SELECT row_to_json(q) FROM (SELECT %s FROM \"%s\") q" % (
            ", ".join(table.columns), name))
    except postgres.EnvError as problem:
        if "does not exist" in str(problem):
            return None
        raise
    rows = []
    for line in lines:
        row = json.loads(line)
        for column, kind in table.columns.items():
            if row[column] is None:
                continue
            if kind == "BLOB":
                row[column] = bytes.fromhex(row[column][2:])
            elif KINDS[kind][1] is as_double:
                row[column] = float(row[column])
        rows.append(canonical({c: row[c] for c in table.columns}))
    return sorted(rows)


def rows_apart(mine, theirs):
    """The first rows that only one side has, cut short."""
    return ["%.400s" % r for r in mine if r not in set(theirs)][:2]


def difference(scene, server, tables, prefixes=None):
    """What is not equal yet, or None."""
    for prefix in prefixes or ["", "flat_%s_" % scene.prefix]:
        for table in tables:
            mine = rows_of_sqlite(scene, table)
            theirs = rows_of_postgres(server, prefix + table.name, table)
            if theirs is None:
                return "%s%s is not there, or lacks columns" % (prefix, table.name)
            if mine != theirs:
                return "%s%s: %d rows, SQLite has %d\nonly in SQLite: %s\nonly in" \
                    " PostgreSQL: %s" % (
                        prefix, table.name, len(theirs), len(mine),
                        rows_apart(mine, theirs), rows_apart(theirs, mine))
    return None


def sinks(scene, server, tables):
    topics = r"%s\.(%s)" % (scene.prefix, "|".join(t.name for t in tables))
    return {
        "events": jdbc_sink(server.jdbc_url, topics),
        "flat": jdbc_sink(server.jdbc_url, topics, **{
            "collection.name.format": "flat_${topic}",
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.tombstone.handling.mode": "tombstone"})}


def wait_equal(box, scene, server, tables, connect, timeout, prefixes=None):
    deadline = time.monotonic() + timeout * box.slow
    while True:
        found = difference(scene, server, tables, prefixes)
        if not found:
            return
        failed = connect.failures()
        expect(not failed, "a sink failed: %s", failed)
        expect(time.monotonic() < deadline, "not equal after %g s: %s", timeout, found)
        time.sleep(0.5)


def test_tables_in_postgresql_end_equal_over_kills(box):
    box.options.bed.shared()
    if postgres.lacking():
        raise NotRun(postgres.lacking())
    chance = random.Random(7)
    server = postgres.Postgres()
    box.opened.append(server)
    server.start()
    broker = own_broker(box).start()
    tables = make_tables()
    scene = Scene(box, *[t.create() for t in tables], broker=broker,
                  args=["-D", "schemas.enable=true"])
    load = Workload(scene, tables, 7)
    for _ in range(20):
        load.transaction()
    run = scene.start()
    connect = Connect(box.path("connect"), broker.address, sinks(scene, server, tables))
    box.opened.append(connect)
    connect.start()
    killed = {"rowtail": 0, "broker": 0}
    for number_ in range(KILLS):
        for _ in range(chance.randrange(10, 80)):
            load.transaction()
            time.sleep(0.002)
        if number_ % 5 == 2:
            load.add_column()
        if chance.random() < 0.25:
            broker.kill()
            killed["broker"] += 1
            load.transaction()
            broker.start()
        else:
            run.kill()
            killed["rowtail"] += 1
            load.transaction()
            run = scene.start()
    load.seen_everywhere()
    scene.stop(run)
    scene.once()
    wait_equal(box, scene, server, tables, connect, 90)
    rows = sum(len(rows_of_sqlite(scene, t)) for t in tables)
    return 1, "%d kills of rowtail, %d of the broker: %d rows of %d tables equal in" \
        " PostgreSQL, twice" % (killed["rowtail"], killed["broker"], rows, len(tables))


test_tables_in_postgresql_end_equal_over_kills.timeout = 240 + 12 * KILLS


def test_a_table_that_is_included_later_comes_by_a_signal(box):
    """Its rows are in PostgreSQL when a signal that came by Kafka has asked for them, beside
    changes of that table and over a kill."""
    box.options.bed.shared()
    if postgres.lacking():
        raise NotRun(postgres.lacking())
    server = postgres.Postgres()
    box.opened.append(server)
    server.start()
    broker = own_broker(box).start()
    tables = make_tables()
    always = ["-D", "schemas.enable=true", "-D", "signal.enabled.channels=kafka",
              "-D", "snapshot.new.tables=no_data",
              "-D", "incremental.snapshot.chunk.size=7"]
    scene = Scene(box, *[t.create() for t in tables], broker=broker,
                  args=always + ["-D", "table.include.list=every"])
    signals = signals_of(scene)
    signals.make_topic()
    load = Workload(scene, tables, 8)
    for _ in range(60):
        load.transaction()
    run = scene.start()
    connect = Connect(box.path("connect"), broker.address, sinks(scene, server, tables))
    box.opened.append(connect)
    connect.start()
    wait_equal(box, scene, server, tables[:1], connect, 90)
    for _ in range(40):
        load.transaction()
    scene.stop(run)
    scene.args = always
    run = scene.start()
    for _ in range(10):
        load.transaction()
    scene.wait_events(1)
    expect(difference(scene, server, tables), "all rows are there, and nobody has asked")
    signals.send("execute-snapshot", {"data-collections": ["pair", "f.*"]}, id="later")
    time.sleep(0.1)
    run.kill()
    run = scene.start()
    for _ in range(40):
        load.transaction()
        time.sleep(0.002)
    wait_equal(box, scene, server, tables, connect, 90)
    scene.stop(run)
    rows = sum(len(rows_of_sqlite(scene, t)) for t in tables)
    return 1, "%d rows of %d tables equal in PostgreSQL, twice" % (rows, len(tables))


test_a_table_that_is_included_later_comes_by_a_signal.timeout = 400

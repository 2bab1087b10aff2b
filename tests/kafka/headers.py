"""Headers with keys, read by Connect's header converters and a real sink.

Connect's default, SimpleHeaderConverter, guesses types; Debezium's JDBC sink puts the
headers of each record into a struct, and so fails on what has no type. JsonConverter
reads them with and without schemas.
"""

import json
import time

from harness.box import NotRun, expect
from kafka.env import postgres
from kafka.env.connect import Connect, jdbc_sink
from kafka.scene import Scene

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"

TEXTS = ["", " ", "x", "-1.5", "null", "[1,2]", '{"a":1}', '"', "a\\", "\\\"", "}", "a,b:c",
         "tab\tline\nend", "2024-01-02", "12:30:00.000Z", "2024-01-02T03:04:05.678Z",
         "1-1-1abcde", "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0660\u0662",
         "n\u00e4ive \u6f22\u5b57 \U0001f388", "\u0001", "Infinity", "x" * 3000]
INTEGERS = [0, -1, 127, 128, 2 ** 31, 2 ** 63 - 1, -2 ** 63]
REALS = [0.5, -1.25, 3.0, 1e300, -1e-300, 0.1, 1e22, 1.5e39, 123456789.125]
BLOBS = [b"", b"\x00\xff", b"abc", bytes(range(256)), b"2024-01-02"]
BOOLEANS = [0, 1]
KINDS = {"INTEGER": INTEGERS, "TEXT": TEXTS, "REAL": REALS, "BLOB": BLOBS, "BOOLEAN": BOOLEANS}


# Types of the columns of keys.
KEYS = [("TEXT",), ("TEXT", "INTEGER"), ("TEXT", "TEXT"), ("INTEGER", "REAL"),
        ("BOOLEAN", "BOOLEAN"), ("TEXT", "INTEGER", "TEXT"), ("BLOB", "REAL", "BOOLEAN")]


def tables():
    """{name: types of the key's columns}."""
    return {"_".join(k).lower(): k for k in KEYS}


def create(name, kinds):
    columns = ["k%d" % i for i in range(len(kinds))]
    return "CREATE TABLE %s(%s, v INTEGER, PRIMARY KEY(%s))" % (
        name, ", ".join("%s %s" % c for c in zip(columns, kinds)), ", ".join(columns))


def key_changes(name, kinds):
    """One row whose key becomes one value of each kind after the other."""
    columns = ["k%d" % i for i in range(len(kinds))]
    longest = max(len(KINDS[k]) for k in kinds)
    keys = [[KINDS[kind][(step + step // len(KINDS[kind]) * i) % len(KINDS[kind])]
             for i, kind in enumerate(kinds)] for step in range(longest)]
    yield ("INSERT INTO %s VALUES (%s, 7)" % (name, ", ".join("?" * len(kinds))), keys[0])
    update = "UPDATE %s SET %s" % (name, ", ".join("%s = ?" % c for c in columns))
    for key in keys[1:]:
        yield (update, key)


def run_changes(scene, found):
    for name, kinds in found.items():
        steps = [("x", *step) for step in key_changes(name, kinds)]
        for result in scene.writer.run("c", steps, False):
            expect(not isinstance(result, str), "%s: %s", name, result)


def payload(text, with_schema):
    value = json.loads(text)
    return value["payload"] if with_schema else value


def check_headers(scene, found, with_schema):
    """Each header has the key of the event that it speaks of; how many there were."""
    count = 0
    for name in found:
        newkey = None
        for record in scene.records(name):
            headers = dict(record.headers)
            if "__debezium.newkey" in headers:
                newkey = payload(headers["__debezium.newkey"], with_schema)
            if "__debezium.oldkey" in headers:
                key = payload(record.key, True)
                same = newkey == key if with_schema or newkey == key else \
                    {k: json.loads(v) if not isinstance(key[k], str) else v
                     for k, v in newkey.items()} == key
                expect(same, "%s: newkey %s, then key %s", name, newkey, key)
                count += 1
    return count


def wait_rows(box, server, connect, found, timeout):
    """Until PostgreSQL has the one row of each table that SQLite has."""
    deadline = time.monotonic() + timeout * box.slow
    while True:
        missing = []
        for name in found:
            try:
                rows = server.query('SELECT count(*) || \' \' || sum(v) FROM "%s"' % name)
            except postgres.EnvError as problem:
                if "does not exist" not in str(problem):
                    raise
                rows = []
            if rows != ["1 8"]:
                missing.append("%s: %s" % (name, rows))
        if not missing:
            return
        failed = connect.failures()
        expect(not failed, "a sink failed: %s", failed)
        expect(time.monotonic() < deadline, "after %g s: %s", timeout, missing)
        time.sleep(0.5)


def run_sinks(box, args, converter, with_schema, more):
    box.options.bed.shared()
    if postgres.lacking():
        raise NotRun(postgres.lacking())
    server = postgres.Postgres()
    box.opened.append(server)
    server.start()
    found = tables()
    # NUL in text and infinities are left out: PostgreSQL and Connect have neither.
    scene = Scene(box, *[create(n, k) for n, k in found.items()],
                  create("nulls", ("TEXT", "INTEGER")),
                  args=["-D", "schemas.enable=true", "-D", "extended.headers.enabled=true",
                        *args])
    topics = r"%s\.(%s)" % (scene.prefix, "|".join(found))
    every = topics[:-1] + "|nulls)"
    connectors = {"jdbc": jdbc_sink(server.jdbc_url, topics, **converter)}
    connectors.update({name: {
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "tasks.max": "1", "topics.regex": every, "file": box.path(name),
        "consumer.override.isolation.level": "read_committed", **config}
        for name, config in more})
    run = scene.start()
    run_changes(scene, found)
    # SQLite allows a NULL in a key; it is no key then, and a sink cannot store the row.
    scene.sql("INSERT INTO nulls VALUES ('a', 1, 7)", "UPDATE nulls SET k0 = NULL",
              "UPDATE nulls SET k0 = 'b'")
    for name in found:                       # what shows that all before it was read
        scene.sql("UPDATE %s SET v = 8" % name)
    scene.stop(run)
    # Changes that were made meanwhile, so that rowtail.catch_up is read as well.
    for name, kinds in found.items():
        scene.writer.run("c", [("x", "UPDATE %s SET k0 = ?" % name, [KINDS[kinds[0]][0]])],
                         False)
    scene.once()
    count = check_headers(scene, found, with_schema)
    expect(count > 100, "only %d changed keys", count)
    connect = Connect(box.path("connect"), scene.broker.address, connectors)
    box.opened.append(connect)
    connect.start()
    wait_rows(box, server, connect, found, 200)
    records = len(scene.records(*found, "nulls"))
    deadline = time.monotonic() + 100 * box.slow
    for name, _ in more:
        while lines(box.path(name)) < records:
            failed = connect.failures()
            expect(not failed, "%s does not read them: %s", name, failed)
            expect(time.monotonic() < deadline, "%s: %d of %d records", name,
                   lines(box.path(name)), records)
            time.sleep(0.5)
    failed = connect.failures()
    expect(not failed, "a sink failed: %s", failed)
    return count, "changed keys of %d tables" % len(found)


def lines(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def test_the_default_header_converter_reads_every_key(box):
    return run_sinks(box, [], {}, False, [
        ("default", {}),
        ("json", {"header.converter": JSON_CONVERTER,
                  "header.converter.schemas.enable": "false"})])


def test_the_json_converter_reads_every_key_with_its_schema(box):
    converter = {"header.converter": JSON_CONVERTER,
                 "header.converter.schemas.enable": "true"}
    return run_sinks(box, ["-D", "header.converter.schemas.enable=true"], converter, True,
                     [("json", converter)])


test_the_default_header_converter_reads_every_key.timeout = 480
test_the_json_converter_reads_every_key_with_its_schema.timeout = 480

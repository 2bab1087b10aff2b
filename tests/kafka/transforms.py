"""The transforms that are built in against those of Kafka Connect and Debezium.

A database is archived while it changes. `rowtail events` prints the archive without
transforms, the real ones work on these records (env/Transform.java), and what they make
must be what `rowtail events` prints with the same transforms: each topic, key, value and
header, schemas included, in the same order. Of times of printing the unit is compared.
"""

import json
import os
import random
import subprocess
import threading
import time

from harness.box import Failed, NotRun, expect

from kafka.env import jars

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "env",
                      "Transform.java")
FLAT = "io.debezium.transforms.ExtractNewRecordState"
REGEX = "org.apache.kafka.connect.transforms.RegexRouter"
LOGICAL = "io.debezium.transforms.ByLogicalTableRouter"
MODES = ["drop", "tombstone", "delete-to-tombstone", "rewrite", "rewrite-with-tombstone"]

ALIKE = "s_strict|s_two|s_one|s_bare"     # values are the same with schemas and without
CREATE = [
    "CREATE TABLE every(id INTEGER PRIMARY KEY, i INTEGER, r REAL, x TEXT, b BLOB,"
    " yes BOOLEAN, at DATETIME, n NUMERIC, v, d DECIMAL(10,2))",
    "CREATE TABLE s_strict(k TEXT PRIMARY KEY, n INTEGER NOT NULL, r REAL, b BLOB, x TEXT)"
    " STRICT",
    "CREATE TABLE s_two(a TEXT, b INTEGER, v TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID",
    "CREATE TABLE s_one(id INTEGER PRIMARY KEY)",
    "CREATE TABLE s_bare(a INTEGER, b TEXT)",
    'CREATE TABLE "odd é name"(id INTEGER PRIMARY KEY, "col é.1" TEXT, "a""b\\" REAL)',
]
CHANGES = [
    ["INSERT INTO every VALUES (1, 9223372036854775807, 1e300, 'é\"\\\n', x'00ff', 1,"
     " '2024-01-01', 2, 3, 1.25), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
     " (3, -1, -0.5, '', x'', 0, 7, 1e20, x'41', '12.50')"],
    ["INSERT INTO s_strict VALUES ('a', 1, 0.1, x'41', 'x'), ('b', 2, NULL, NULL, NULL)",
     "INSERT INTO s_two VALUES ('a', 1, 'x'), ('a', 2, NULL), ('2024-01-02', 3, '')",
     "INSERT INTO s_one VALUES (1), (2), (3)", "INSERT INTO s_bare VALUES (1, 'x'), (NULL, NULL)",
     "INSERT INTO \"odd é name\" VALUES (1, 'z', 0.5)"],
    ["UPDATE every SET x = 'y', b = NULL WHERE id <= 2", "DELETE FROM every WHERE id = 3"],
    ["UPDATE s_two SET a = 'c' WHERE b = 1", "UPDATE s_strict SET k = 'c' WHERE k = 'a'"],
    ["DELETE FROM s_bare WHERE a = 1", "UPDATE s_bare SET b = 'z'"],
    ["UPDATE s_one SET id = 9 WHERE id = 1", "DELETE FROM s_one WHERE id = 2"],
    ["DELETE FROM s_two", "DELETE FROM s_strict WHERE k = 'b'", "DELETE FROM s_bare"],
    ["UPDATE \"odd é name\" SET \"col é.1\" = NULL", "DELETE FROM \"odd é name\""],
]
FIELDS = ["op", "ts_ms", "ts_us", "ts_ns", "version", "connector", "name", "snapshot", "db",
          "sequence", "table", "change_id", "lsn", "rowid", "id", "total_order",
          "data_collection_order", "source.ts_ms", "source.ts_us", "source.ts_ns",
          "source.table", "source.op", "transaction.id", "transaction.total_order",
          "source.lsn:position", "op:What"]
CONTEXT = ",context,context_rows,context_candidates"
BASE = ["-D", "topic.prefix=app", "-D", "provide.transaction.metadata=true",
        "-D", "include.schema.changes=true"]
# Of times, in a second.
UNITS = {"ms": 1e3, "us": 1e6, "ns": 1e9}


class Real:
    """The transforms of others, in one Java."""

    def __init__(self, box):
        problem = jars.lacking()
        if problem:
            raise NotRun(problem)
        self.log = open(box.path("java.log"), "wb")
        self.java = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", jars.classpath(),
             SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        box.opened.append(self)

    def apply(self, transforms, schemas, lines):
        """The answers, one for each record that is left."""
        job = json.dumps({"schemas": schemas, "transforms": transforms})
        text = "\n".join([job] + lines) + "\n\n"
        # It answers while it reads: both pipes must go on.
        answers = []
        writer = threading.Thread(target=self.send, args=(text,))
        writer.start()
        for line in iter(self.java.stdout.readline, b""):
            if line == b"\n":
                break
            answers.append(json.loads(line))
        else:
            raise Failed("the transforms of others ended: %s" % self.said())
        writer.join()
        return answers

    def send(self, text):
        try:
            self.java.stdin.write(text.encode())
            self.java.stdin.flush()
        except OSError:
            pass                        # it has ended, which is seen elsewhere

    def said(self):
        self.log.flush()
        with open(self.log.name, errors="replace") as file:
            return file.read()[-2000:]

    def close(self):
        self.java.kill()
        self.java.wait()
        self.java.stdin.close()
        self.java.stdout.close()
        self.log.close()


class Archived:
    """A database's changes, to be printed again and again."""

    def __init__(self, box):
        self.box = box
        self.archive = box.path("archive")
        writer, path = box.database(*CREATE)
        writer.sql("c", "INSERT INTO s_one VALUES (100)",
                   "INSERT INTO every(id, x) VALUES (100, 'at first')",
                   "INSERT INTO every(id) VALUES (101)")
        tail = box.tail(path, "--state", box.path("state"), "--archive", self.archive,
                        "--to", "none", "-D", "archive.interval.ms=0")
        for change in CHANGES:
            before = self.files()
            writer.sql("c", "BEGIN", *change, "COMMIT")
            # A file of its own for each: those that wait together are merged.
            deadline = time.monotonic() + 20 * box.slow
            while self.files() == before:
                expect(time.monotonic() < deadline, "no file: %s", tail.error_text())
                time.sleep(0.005)
        box.stop(tail)
        self.end = time.time()      # what is printed is printed later
        self.count = 0

    def files(self):
        return sorted(name for _, _, names in os.walk(self.archive) for name in names
                      if name.endswith(".ltx"))

    def lines(self, *args):
        self.count += 1
        result = self.box.run(
            "events", self.archive, "--lines=record", "--quiet", "--snapshot",
            "--state", self.box.path("events-%d" % self.count), *args)
        expect(result.code == 0, "events: %s", result)
        return result.out.decode().splitlines()


def pairs(text):
    """JSON with the order of its members; numbers by value."""
    return json.loads(text, object_pairs_hook=lambda p: ("object", p))


def without_times(value, since):
    """Of times since then the unit is left."""
    if isinstance(value, tuple):
        return ("object", [(n, without_times(v, since)) for n, v in value[1]])
    if isinstance(value, list):
        return [without_times(v, since) for v in value]
    if type(value) is int:
        for unit in UNITS:
            if since < value / UNITS[unit] < time.time() + 3600:
                return unit
    return value


def is_null(text):
    """A converter writes a null of a known type as such; it is a tombstone here."""
    if text is None:
        return True
    value = json.loads(text)
    return value is None or (isinstance(value, dict) and list(value) == ["schema", "payload"]
                             and value["payload"] is None)


def text_or_none(text, since):
    return None if text is None else without_times(pairs(text), since)


def of_real(answer, since):
    expect("error" not in answer, "the real one refuses a record: %s", answer)
    value = None if is_null(answer["value"]) else answer["value"]
    return (answer["topic"], text_or_none(answer["key"], since), text_or_none(value, since),
            [(h["name"], text_or_none(h["value"], since)) for h in answer["headers"]])


def of_ours(line, since):
    record = without_times(pairs(line), since)[1]
    expect([n for n, _ in record] == ["topic", "key", "value", "headers"], "%s", line)
    values = dict(record)
    return values["topic"], values["key"], values["value"], values["headers"][1]


def properties(transforms):
    args = ["-D", "transforms=" + transforms["transforms"]]
    for name, value in transforms.items():
        if name != "transforms":
            args += ["-D", "transforms.%s=%s" % (name, value)]
    return args


def compare(archived, real, transforms, schemas, more=()):
    """How many records are the same, and how many of their topics are others."""
    with_schemas = ["-D", "schemas.enable=true", "-D", "header.converter.schemas.enable=true"]
    base = [*BASE, *more]
    if not schemas:
        base += ["-D", "table.include.list=" + ALIKE.replace("|", ",")]
    plain = archived.lines(*base, *with_schemas)
    want = [of_real(a, archived.end) for a in real.apply(transforms, schemas, plain)]
    got = [of_ours(line, archived.end) for line in archived.lines(
        *base, *(with_schemas if schemas else []), *properties(transforms))]
    for number, (a, b) in enumerate(zip(want, got)):
        expect(a == b, "%s, record %d:\nreal: %s\nours: %s", transforms, number, a, b)
    expect(len(want) == len(got), "%s: %d records of the real ones, %d of ours", transforms,
           len(want), len(got))
    expect(len(got) > 10, "%s: %d records", transforms, len(got))
    was = {dict(pairs(line)[1])["topic"] for line in plain}
    return len(got), sum(record[0] not in was for record in got)


def flat(name, **more):
    return {name + ".type": FLAT, **{name + "." + k.replace("__", "."): v
                                     for k, v in more.items()}}


def test_rows_are_flat_as_debezium_makes_them(box):
    real, archived = Real(box), Archived(box)
    count = 0
    for mode in MODES:
        for schemas in (True, False):
            # With all of the fields, and with none.
            for fields, headers in (("", ""), (",".join(FIELDS), ",".join(FIELDS))):
                count += compare(archived, real, {
                    "transforms": "u", "u.type": FLAT,
                    "u.delete.tombstone.handling.mode": mode, "u.add.fields": fields,
                    "u.add.headers": headers, "u.add.headers.prefix": "h."}, schemas)[0]
    for more in (["-D", "tombstones.on.delete=false"], ["-D", "skipped.operations=c"],
                 ["-D", "message.key.columns=every:x;s_one:id"],
                 ["-D", "column.exclude.list=every\\.(x|b)"],
                 ["-D", "field.name.adjustment.mode=avro",
                  "-D", "schema.name.adjustment.mode=avro"],
                 ["-D", "column.mask.with.3.chars=every\\.x"],
                 ["-D", "transaction.context.table=s_one"]):
        for mode in ("tombstone", "rewrite-with-tombstone"):
            count += compare(archived, real, {
                "transforms": "u", "u.type": FLAT, "u.add.fields": "op:kind,lsn" + (
                    CONTEXT if "transaction.context.table=s_one" in more else ""),
                "u.add.headers": "op,table",
                "u.delete.tombstone.handling.mode": mode}, True, more)[0]
    return 1, "%d records are the same" % count


test_rows_are_flat_as_debezium_makes_them.timeout = 240

ROUTES = [
    {"transforms": "r", "r.type": REGEX, "r.regex": r"app\.(.*)", "r.replacement": "$1"},
    # Whole, but what is found first is replaced.
    {"transforms": "r", "r.type": REGEX, "r.regex": r"app|app\.s_one", "r.replacement": "b"},
    {"transforms": "r", "r.type": REGEX, "r.regex": r"(?<p>[^.]+)\.(s)_(one|two)(x)?",
     "r.replacement": r"${p}\-$2$3$4-$10"},
    {"transforms": "r", "r.type": REGEX, "r.regex": r"APP\..*", "r.replacement": "x"},
    {"transforms": "r", "r.type": REGEX, "r.regex": r"(?i)APP\..*[^n]", "r.replacement": "$0.x"},
    {"transforms": "l", "l.type": LOGICAL, "l.topic.regex": r"app\.s_(.*)",
     "l.topic.replacement": "app.all"},
    {"transforms": "l", "l.type": LOGICAL, "l.topic.regex": r"(.*)\.s_(.*)",
     "l.topic.replacement": "$1.all", "l.key.enforce.uniqueness": "false"},
    {"transforms": "l", "l.type": LOGICAL, "l.topic.regex": r"(.*)",
     "l.topic.replacement": "all-$1", "l.key.field.regex": r"app\.(s_)?(.*)",
     "l.key.field.replacement": "$2", "l.schema.name.adjustment.mode": "avro"},
    {"transforms": "l", "l.type": LOGICAL, "l.topic.regex": r"app\.s_t.*",
     "l.topic.replacement": "a-b", "l.key.field.regex": r"app\.(s_)",
     "l.key.field.replacement": "$1", "l.schema.name.adjustment.mode": "avro_unicode"},
    # An empty topic: it stays as it is.
    {"transforms": "l", "l.type": LOGICAL, "l.topic.regex": r"app\.s_(x?).*",
     "l.topic.replacement": "$1"},
    {"transforms": "l,u", "l.type": LOGICAL, "l.topic.regex": r"app\.s_(.*)",
     "l.topic.replacement": "app.all", **flat("u")},
    {"transforms": "u,l", "l.type": LOGICAL, "l.topic.regex": r"app\.s_(.*)",
     "l.topic.replacement": "app.all",
     "u.type": FLAT, "u.delete.tombstone.handling.mode": "rewrite-with-tombstone"},
    {"transforms": "a,r,b", "a.type": LOGICAL, "a.topic.regex": r"app\.s_(.*)",
     "a.topic.replacement": "app.first.$1", "r.type": REGEX, "r.regex": r"(.*)\.first\.(.*)",
     "r.replacement": "$1.second.$2", "b.type": LOGICAL, "b.topic.regex": r"app\.second\..*",
     "b.topic.replacement": "third", "b.key.field.name": "where"},
]


def test_topics_are_routed_as_connect_routes_them(box):
    real, archived = Real(box), Archived(box)
    count = 0
    for transforms in ROUTES:
        for schemas in (True, False):
            same, routed = compare(archived, real, transforms, schemas)
            count += same
            stays = (transforms.get("r.regex", "").startswith("APP")
                     or transforms.get("l.topic.replacement") == "$1")
            expect(bool(routed) != stays, "%s: %d other topics", transforms, routed)
    return 1, "%d records are the same" % count


test_topics_are_routed_as_connect_routes_them.timeout = 240


def random_chain(chance):
    """Some transforms, each with some of its options."""
    names = ["t%d" % i for i in range(chance.randint(1, 4))]
    chain = {"transforms": ",".join(names)}
    has_flat = False
    for name in names:
        kind = chance.choice([REGEX, LOGICAL, LOGICAL, FLAT])
        if kind == FLAT and has_flat:
            kind = REGEX
        has_flat = has_flat or kind == FLAT
        chain[name + ".type"] = kind
        regex = chance.choice([r"app\.(s_)?(.*)", r"(.)(.*)", r"([^_]*)_(.*)", r"(app).(every|e)",
                               r"(.*?)(e?)", r"x(.*)(.*)", r"(app|app\..*)()"])
        replacement = chance.choice(["$1$2", "n.$2", "$2-x", "$0", r"\a$1b", "one"])
        if kind == FLAT:
            chain[name + ".delete.tombstone.handling.mode"] = chance.choice(MODES)
            chain[name + ".add.fields"] = ",".join(
                chance.sample(FIELDS, chance.randint(0, 4)))
            chain[name + ".add.headers"] = ",".join(
                chance.sample(FIELDS, chance.randint(0, 4)))
            chain[name + ".add.fields.prefix"] = chance.choice(["__", "m.", "é"])
        elif kind == REGEX:
            chain[name + ".regex"] = regex
            chain[name + ".replacement"] = replacement
        else:
            chain[name + ".topic.regex"] = regex
            chain[name + ".topic.replacement"] = replacement
            chain[name + ".key.field.name"] = "from_" + name
            chain[name + ".key.enforce.uniqueness"] = chance.choice(["true", "false"])
            if chance.random() < 0.5:
                chain[name + ".key.field.regex"] = regex
                chain[name + ".key.field.replacement"] = chance.choice(["$2", "k$1"])
    return chain


def test_chains_of_transforms_are_as_connect_runs_them(box):
    seed = int(os.environ.get("ROWTAIL_TRANSFORMS_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    real, archived = Real(box), Archived(box)
    records = done = 0
    try:
        while done < 12:
            chain = random_chain(chance)
            schemas = chance.random() < 0.7
            if archived.box.run("events", archived.archive, "--quiet", "--lines=record",
                                *BASE, *properties(chain)).code == 2:
                continue                # two things would share a topic, say
            records += compare(archived, real, chain, schemas)[0]
            done += 1
    except Failed as problem:
        raise Failed("ROWTAIL_TRANSFORMS_SEED=%d: %s" % (seed, problem))
    return 1, "%d records of %d chains are the same (seed %d)" % (records, done, seed)


test_chains_of_transforms_are_as_connect_runs_them.timeout = 240

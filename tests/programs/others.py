"""Programs that others wrote, with a SQLite database of their own in WAL mode.

Nothing of them is ours: they run as they are, several processes at a time, and every
event is applied to a copy of the tables that must equal the database at the end. An
event whose `before` is not the copy's row ends the test.
"""

import os
import subprocess
import sys
import time

from harness.box import Failed, NotRun, expect
from harness.events import Mismatch
from harness.model import Model
from harness.state import read_state
from harness.tail import TailFailed


def need_package(name):
    done = subprocess.run([sys.executable, "-c", "import " + name],
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        raise NotRun("the Python package %s is not installed" % name)


def python(box, source, *args):
    script = box.path("program-%d.py" % len(os.listdir(box.folder)))
    with open(script, "w") as out:
        out.write(source)
    return [sys.executable, script] + [str(a) for a in args]


def follow_programs(box, path, commands, args=()):
    """Runs `commands` at once beside rowtail; (events, transactions) when all is
    compared."""
    model = Model(read_state(path))
    tail = box.tail(path, *args)
    if "--snapshot" in args:
        model.forget_rows()
    programs = [subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT) for c in commands]
    transactions = set()
    try:
        while any(p.poll() is None for p in programs) or tail.available():
            take(tail, model, transactions)
            time.sleep(0.002)
        for program in programs:
            said = program.stdout.read().decode("utf-8", "replace")
            expect(program.returncode == 0, "the program failed:\n%s", said[-2000:])
        while tail.wait_lines(1, 1.0):
            take(tail, model, transactions)
        model.compare(read_state(path))
    except (Mismatch, TailFailed) as problem:
        raise Failed(str(problem))
    finally:
        for program in programs:
            if program.poll() is None:
                program.kill()
            program.wait()
            program.stdout.close()
    box.stop(tail)
    expect(model.events > 100, "only %d events", model.events)
    return model.events, len(transactions)


def take(tail, model, transactions):
    for line in tail.take_all():
        value = model.apply_line(line)
        transactions.add(value["source"]["lsn"])


def note(name, result):
    return 1, "%s: %d events of %d transactions" % ((name,) + result)


DISKCACHE = """
import random, sys
import diskcache
folder, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
cache = diskcache.Cache(folder, size_limit=300000, cull_limit=5, eviction_policy=rng.choice(
    ["least-recently-used", "least-frequently-used", "least-recently-stored"]))
for i in range(700):
    key = rng.choice([rng.randrange(120), "key %d" % rng.randrange(120), (1, "a", i % 9)])
    what = rng.random()
    if what < 0.45:
        value = rng.choice([i, "text " * rng.randrange(300), rng.random(), None,
                            rng.randbytes(rng.randrange(9000)), {"a": [i]}])
        cache.set(key, value, expire=rng.choice([None, None, 0.05, 30]),
                  tag=rng.choice([None, "red", "blue"]))
    elif what < 0.6:
        cache.get(key)
    elif what < 0.7:
        cache.delete(key)
    elif what < 0.8:
        cache.incr("count %d" % (i % 5), default=0)
    elif what < 0.86:
        cache.push(i, prefix="queue")
    elif what < 0.92:
        cache.pull(prefix="queue")
    elif what < 0.95:
        cache.touch(key, expire=rng.choice([None, 10]))
    elif what < 0.97:
        with cache.transact():
            for j in range(10):
                cache["batch %d" % j] = "x" * i
    elif what < 0.98:
        cache.evict("red")
    elif what < 0.99:
        cache.expire()
    else:
        cache.cull()
if seed == 1:
    cache.create_tag_index()
    cache.check(fix=False)
    cache.clear()
    cache["last"] = "one"
cache.close()
"""


def test_diskcache(box):
    need_package("diskcache")
    folder = box.path("cache")
    subprocess.run([sys.executable, "-c", "import diskcache, sys;"
                    "c = diskcache.Cache(sys.argv[1]); c['first'] = 1; c.close()",
                    folder], check=True)
    result = follow_programs(box, os.path.join(folder, "cache.db"), [
        python(box, DISKCACHE, folder, seed) for seed in (1, 2, 3)])
    return note("diskcache", result)


test_diskcache.timeout = 180

DEQUE = """
import random, sys
import diskcache
rng = random.Random(int(sys.argv[2]))
index = diskcache.Index(sys.argv[1])
for i in range(400):
    index[rng.randrange(50)] = "value %d " % i * rng.randrange(1, 80)
    if i % 7 == 0:
        index.popitem(last=rng.random() < 0.5)
    if i % 50 == 0:
        index.update({("k", j): j for j in range(20)})
        index.pop(("k", 3), None)
index.clear()
index["end"] = "of it"
"""


def test_diskcache_index_from_a_snapshot_on(box):
    need_package("diskcache")
    folder = box.path("index")
    subprocess.run([sys.executable, "-c", "import diskcache, sys;"
                    "i = diskcache.Index(sys.argv[1]);"
                    "i.update((n, 'v' * n) for n in range(300))", folder], check=True)
    result = follow_programs(box, os.path.join(folder, "cache.db"),
                             [python(box, DEQUE, folder, 5)], ["--snapshot"])
    return note("diskcache.Index", result)


PERSIST_QUEUE = """
import random, sys
import persistqueue
folder, role = sys.argv[1], sys.argv[2]
if role == "acks":
    q = persistqueue.SQLiteAckQueue(folder, name="acks", multithreading=True)
    for i in range(250):
        q.put({"number": i, "text": "x" * (i * 7 % 900)})
        if i % 3 == 0:
            item = q.get()
            (q.ack if i % 2 else q.nack)(item)
        if i % 40 == 39:
            q.clear_acked_data(max_delete=5, keep_latest=2)
    while q.size:
        item = q.get()
        (q.ack if random.random() < 0.9 else q.ack_failed)(item)
    q.clear_acked_data(keep_latest=0)
elif role == "fifo":
    q = persistqueue.SQLiteQueue(folder, name="fifo", auto_commit=True,
                                 multithreading=True)
    for i in range(300):
        q.put(b"z" * (i * 37 % 6000))
        if i % 2:
            q.get()
    while q.size > 5:
        q.get()
elif role == "batch":
    q = persistqueue.SQLiteQueue(folder, name="batch", auto_commit=False)
    for i in range(300):
        q.put("item %d" % i)
        if i % 25 == 24:
            q.task_done()
    for i in range(150):
        q.get()
    q.task_done()
elif role == "unique":
    q = persistqueue.UniqueQ(folder, name="unique", multithreading=True)
    for i in range(300):
        q.put("item %d" % (i % 60))
elif role == "dict":
    d = persistqueue.PDict(folder, "dict", multithreading=True)
    for i in range(300):
        d["key %d" % (i % 40)] = list(range(i))
        if i % 9 == 8 and "key %d" % (i % 30) in d:
            del d["key %d" % (i % 30)]
"""


def test_persist_queue(box):
    """Each class keeps a data.db of its own tables in one folder."""
    need_package("persistqueue")
    folder = box.path("queue")
    start = ("import persistqueue, sys; f = sys.argv[1];"
             "persistqueue.SQLiteAckQueue(f, name='acks');"
             "persistqueue.SQLiteQueue(f, name='fifo');"
             "persistqueue.SQLiteQueue(f, name='batch');"
             "persistqueue.UniqueQ(f, name='unique');"
             "persistqueue.PDict(f, 'dict')")
    subprocess.run([sys.executable, "-c", start, folder], check=True)
    names = [n for n in os.listdir(folder) if n.endswith(".db")]
    expect(names, "no database in %s", os.listdir(folder))
    events, transactions = 0, 0
    for name in names:
        path = os.path.join(folder, name)
        tables = read_state(path).tables
        roles = [r for r in ("acks", "fifo", "batch", "unique", "dict")
                 if any(r in t for t in tables)]
        got = follow_programs(box, path, [
            python(box, PERSIST_QUEUE, folder, r) for r in roles])
        events, transactions = events + got[0], transactions + got[1]
    return note("persist-queue", (events, transactions))


test_persist_queue.timeout = 180


def shell_benchmark():
    """In the manner of SQLite's own speed tests: many small statements, then bulk."""
    lines = [".bail on", "PRAGMA synchronous=OFF;"]
    for i in range(300):
        lines.append("INSERT INTO t1 VALUES(%d, %d, 'number %d');" % (
            i, i * 7919 % 100000, i))
    lines.append("BEGIN;")
    for i in range(300, 3000):
        lines.append("INSERT INTO t1 VALUES(%d, %d, 'number %d');" % (
            i, i * 7919 % 100000, i))
    lines.append("COMMIT;")
    lines.append("CREATE INDEX i1b ON t1(b);")
    lines.append("BEGIN;")
    for i in range(400):
        lines.append("UPDATE t1 SET b = b * 2 WHERE a >= %d AND a < %d;" % (
            i * 10, i * 10 + 10))
    lines.append("COMMIT;")
    lines.append("INSERT INTO t2 SELECT b || '-' || a, c FROM t1;")
    lines.append("CREATE UNIQUE INDEX i2 ON t2(k, v);")
    for i in range(200):
        lines.append("UPDATE t2 SET v = 'changed %d' WHERE k LIKE '%d-%%';" % (
            i, i * 2 * 7919 % 100000))
    lines.append("DELETE FROM t2 WHERE k LIKE '%9-%';")
    lines.append("DELETE FROM t1 WHERE a > 10 AND a < 2000;")
    lines.append("REPLACE INTO t1(a, b, c) SELECT a, b + 1, c || ' again' FROM t1;")
    lines.append("VACUUM;")
    lines.append("PRAGMA wal_checkpoint(TRUNCATE);")
    lines.append("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE"
                 " i < 4000) INSERT INTO t3 SELECT 'w' || (i * 7919 % 4001), i,"
                 " zeroblob(i % 700) FROM n;")
    lines.append("DROP INDEX i1b;")
    lines.append("ANALYZE;")
    lines.append("UPDATE t3 SET n = n + 1 WHERE n % 3 = 0;")
    lines.append("DELETE FROM t3 WHERE w < 'w3';")
    lines.append("INSERT INTO t1 SELECT n + 100000, n, w FROM t3 WHERE true ON CONFLICT DO NOTHING;")
    lines.append("DELETE FROM t3;")
    lines.append("PRAGMA integrity_check;")
    return "\n".join(lines) + "\n"


def test_sqlite_shell_benchmark(box):
    shell = box.need_tool("sqlite3")
    path = box.path("bench.db")
    subprocess.run([shell, path, "PRAGMA journal_mode=WAL;"
                    "CREATE TABLE t1(a INTEGER PRIMARY KEY, b INT, c TEXT);"
                    "CREATE TABLE t2(k TEXT PRIMARY KEY, v TEXT);"
                    "CREATE TABLE t3(w TEXT PRIMARY KEY, n INT, z BLOB) WITHOUT ROWID;"],
                   check=True, stdout=subprocess.DEVNULL)
    script = box.path("bench.sql")
    with open(script, "w") as out:
        out.write(shell_benchmark())
    result = follow_programs(box, path, [[shell, path, ".read '%s'" % script]])
    return note("sqlite3 shell", result)


test_sqlite_shell_benchmark.timeout = 120

"""rowtail sql on database files and state directories, which are only looked at."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import threading

from harness.box import expect

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
ROWS = 400
CHECK = "SELECT sum(v) s, count(*) c, (SELECT v FROM t WHERE id = 1) f FROM t"


def ask(box, source, query, *args):
    done = box.run("sql", source, query, *args)
    expect(done.code == 0 and not done.err, "%s: %s", query, done)
    return [json.loads(line) for line in done.out.splitlines()]


def refused(box, code, part, *args):
    done = box.run("sql", *args)
    expect(done.code == code and not done.out and len(done.error_lines) == 1
           and part in done.error_lines[0], "expected %d and %r: %s", code, part, done)


def snapshot(folder):
    """All files with their content and times."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            st = os.stat(path)
            with open(path, "rb") as file:
                found[name] = (st.st_mtime_ns, st.st_ino, st.st_size,
                               hashlib.sha256(file.read()).hexdigest())
    return found


def connect(path, *pragmas):
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in pragmas:
        db.execute("PRAGMA " + pragma)
    return db


def test_database_files_of_all_kinds(box):
    for n, pragmas in enumerate((
            ("page_size=512", "journal_mode=DELETE"),
            ("page_size=65536", "journal_mode=WAL", "wal_autocheckpoint=0"),
            ("page_size=4096", "encoding='UTF-16le'", "journal_mode=WAL"),
            ("page_size=1024", "encoding='UTF-16be'", "journal_mode=PERSIST"),
            ("page_size=2048", "auto_vacuum=1", "journal_mode=TRUNCATE"))):
        path = box.path("kind%d.db" % n)
        db = connect(path, "synchronous=OFF", *pragmas)
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.executemany("INSERT INTO t(v) VALUES(?)",
                       [("tëxt %d" % i * (i % 50),) for i in range(300)])
        right = [dict(zip("iv", row)) for row in db.execute("SELECT id, v FROM t")]
        query = "SELECT id AS i, v FROM t"
        before = snapshot(box.folder)
        expect(ask(box, path, query) == right, "while it is open: %s", pragmas)
        expect(snapshot(box.folder) == before, "something was changed: %s", pragmas)
        db.close()
        before = snapshot(box.folder)
        expect(ask(box, path, query) == right, "while nobody has it: %s", pragmas)
        expect(snapshot(box.folder) == before, "something was changed: %s", pragmas)
        expect(ask(box, path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}],
               "integrity: %s", pragmas)


def test_a_wal_that_was_left_behind_counts(box):
    """As after a kill: nobody has the database, and -wal has commits."""
    path, left = box.path("app.db"), box.path("left")
    os.mkdir(left)
    db = connect(path, "journal_mode=WAL", "wal_autocheckpoint=0")
    db.execute("CREATE TABLE t(a)")
    db.execute("INSERT INTO t VALUES(1)")
    for suffix in ("", "-wal"):
        with open(path + suffix, "rb") as source, \
                open(left + "/app.db" + suffix, "wb") as to:
            to.write(source.read())
    before = snapshot(left)
    expect(ask(box, left + "/app.db", "SELECT a FROM t") == [{"a": 1}], "the row")
    expect(snapshot(left) == before, "something was changed: %s", os.listdir(left))
    db.close()


def test_what_is_no_database(box):
    text, empty, folder = box.path("text"), box.path("empty"), box.path("folder")
    with open(text, "w", encoding="utf-8") as file:
        file.write("no database" * 100)
    with open(empty, "w", encoding="utf-8"):
        pass
    os.mkdir(folder)
    refused(box, 3, "is no SQLite database", text, "SELECT 1")
    refused(box, 2, "has no folder ltx, so it is no archive", folder, "SELECT 1")
    refused(box, 2, "none: no such file; give an archive, a state directory or a data",
            box.path("none"), "SELECT 1")
    expect(ask(box, empty, "SELECT count(*) c FROM sqlite_schema") == [{"c": 0}],
           "an empty file is an empty database")
    refused(box, 2, "--at goes with an archive", text, "SELECT 1", "--at", "latest")


def test_a_transaction_that_was_interrupted_is_refused(box):
    path = box.path("app.db")
    db = connect(path, "journal_mode=DELETE", "cache_size=5", "cache_spill=1")
    db.execute("CREATE TABLE t(a)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES(?)", [("x" * 500,)] * 500)
    refused(box, 3, "a transaction that is open or was interrupted", path,
            "SELECT count(*) FROM t")
    db.execute("COMMIT")
    expect(ask(box, path, "SELECT count(*) c FROM t") == [{"c": 500}], "after it")
    db.close()


def bank(path, *pragmas):
    """A table whose sum stays 0 whatever is moved from row to row."""
    db = connect(path, "page_size=1024", "synchronous=OFF", *pragmas)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT, pad)")
    db.executemany("INSERT INTO t(v, pad) VALUES(0, ?)", [("x" * 200,)] * ROWS)
    return db


class Storm:
    """Moves amounts between rows, as fast as it can, until it is left."""

    def __init__(self, path):
        self.path = path
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.moves = 0

    def run(self):
        db = connect(self.path, "busy_timeout=10000", "synchronous=OFF",
                     "wal_autocheckpoint=100")
        while not self.stop.is_set():
            self.moves += 1
            n = self.moves
            db.execute("BEGIN IMMEDIATE")
            for row, amount in ((1, 1), (n * 37 % (ROWS - 1) + 2, -1)):
                db.execute("UPDATE t SET v = v + ? WHERE id = ?", (amount, row))
            db.execute("COMMIT")
            self.stop.wait(0.02 if n % 40 == 0 else 0)
        db.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def ask_in_a_storm(box, source, storm, wanted):
    """Whatever is answered is of one state; what cannot be is an error."""
    answered, last = 0, -1
    for n in range(400):
        done = box.run("sql", source, CHECK)
        if done.code == 0:
            row = json.loads(done.out)
            expect(row["s"] == 0 and row["c"] == ROWS, "of two states: %s", done)
            expect(row["f"] >= last, "older than before: %s", done)
            last = row["f"]
            answered += 1
        else:
            expect(done.code == 1 and not done.out and len(done.error_lines) == 1
                   and "try again" in done.error_lines[0], "%s", done)
        if answered >= wanted and n >= 60 and last > 0:
            break
    expect(answered >= wanted, "%d answers beside %d moves", answered, storm.moves)
    return n + 1, "%d answered" % answered


def test_a_database_in_a_storm(box):
    path = box.path("app.db")
    db = bank(path, "journal_mode=WAL")
    with Storm(path) as storm:
        result = ask_in_a_storm(box, path, storm, 5)
    db.close()
    return result


def test_a_state_directory_in_a_storm(box):
    path, state = box.path("app.db"), box.path("state")
    db = bank(path, "journal_mode=WAL")
    tail = box.tail(path, "--state", state, "--to", "null:")
    with Storm(path) as storm:
        result = ask_in_a_storm(box, state, storm, 5)
    box.stop(tail)
    expect(ask(box, state, CHECK) == ask(box, path, CHECK), "after the end")
    db.close()
    return result


def test_earlier_moments_of_a_state_directory_in_a_storm(box):
    """Beside folds, which bring later pages into the copy: of one state, or an error."""
    program = box.options.rowtail + "-faults"   # it folds what is 400 KB
    box.need("" if os.access(program, os.X_OK) else "%s is not built" % program)
    box.options = type(box.options)(program, box.options.wrapper, box.options.slow)
    path, state = box.path("app.db"), box.path("state")
    db = bank(path, "journal_mode=WAL")
    tail = box.tail(path, "--state", state, "--to", "null:")
    answered, bases = 0, set()
    with Storm(path):
        for n in range(400):
            told = json.loads(box.run("status", "--state", state, "--json").out)
            for at in ("first", "-0s", "lsn:%d" % told["base_lsn"]):
                done = box.run("sql", state, CHECK, "--at", at)
                if done.code == 0:
                    row = json.loads(done.out)
                    expect(row["s"] == 0 and row["c"] == ROWS, "%s: %s", at, done)
                    answered += 1
                    bases.add(told["base_lsn"])
                else:
                    expect(not done.out and len(done.error_lines) == 1, "%s: %s", at, done)
            if n >= 60 and len(bases) > 5:
                break
    box.stop(tail)
    db.close()
    expect(answered and len(bases) > 5, "%d answers, of %d bases", answered, len(bases))
    return answered, "of %d bases" % len(bases)


def test_a_state_directory_after_any_end(box):
    path, state = box.path("app.db"), box.path("state")
    db = bank(path, "journal_mode=WAL")
    for n in range(1, 4):
        tail = box.tail(path, "--state", state)
        for i in range(20):
            db.execute("UPDATE t SET v = v + 1 WHERE id = ?", (n * 20 + i,))
        right = ask(box, path, CHECK)
        box.wait_until(lambda: ask(box, state, CHECK) == right, 20)
        tail.process.send_signal(signal.SIGKILL if n % 2 else signal.SIGTERM)
        tail.process.wait()
        expect(ask(box, state, CHECK) == right, "after it ended")
        before = snapshot(state)
        expect(ask(box, state, "PRAGMA integrity_check") ==
               [{"integrity_check": "ok"}], "integrity")
        expect(snapshot(state) == before, "the state directory was changed")
        db.execute("UPDATE t SET v = 0")
    # What came while nobody followed is not in it.
    expect(ask(box, state, CHECK) == right, "the last that was followed")
    db.close()


def test_a_query_is_in_nobodys_way(box):
    """A run begins, and ends, while a query on its directory is open."""
    path, state = box.path("app.db"), box.path("state")
    db = bank(path, "journal_mode=WAL")
    box.stop(box.tail(path, "--state", state, "--to", "null:"))
    open_ones = []
    for source in (path, state):
        process = subprocess.Popen(
            box.command("sql", source, ENDLESS + "SELECT i, t.v FROM n CROSS JOIN t"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect(process.stdout.readline() == b'{"i":1,"v":0}\n', "the first row")
        open_ones.append(process)
    box.stop(box.tail(path, "--state", state, "--to", "null:"))
    db.execute("UPDATE t SET v = 1 WHERE id = 1")
    expect(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0,
           "a checkpoint waits for a query")
    db.execute("PRAGMA journal_mode=DELETE")
    db.close()
    for process in open_ones:
        process.kill()
        process.communicate()


def test_a_state_directory_that_goes_on_while_it_is_read(box):
    """What is printed is of one state, and that it is not all is said."""
    path, state = box.path("app.db"), box.path("state")
    db = connect(path, "synchronous=OFF", "journal_mode=WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v, pad)")
    db.execute("INSERT INTO t(v, pad) " + ENDLESS + "SELECT 0, randomblob(3000)"
               " FROM n LIMIT 5000")
    tail = box.tail(path, "--state", state, "--to", "null:")
    process = subprocess.Popen(
        box.command("sql", state, "SELECT id, v, pad FROM t"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [process.stdout.readline()]
    with open(os.path.join(state, "shadow"), "rb") as shadow:
        shadow.seek(4000 * 4096)
        before = shadow.read(4096)
        for _ in range(30):
            db.execute("UPDATE t SET v = v + 1, pad = randomblob(3000)")
            shadow.seek(4000 * 4096)
            if shadow.read(4096) != before:
                break
    box.stop(tail)
    lines += process.stdout.read().splitlines()
    err = process.stderr.read()
    process.wait()
    expect(process.returncode == 1 and b"has gone on meanwhile; try again" in err,
           "exit %d, %d rows: %s", process.returncode, len(lines), err)
    rows = [json.loads(line) for line in lines]
    expect(0 < len(rows) < 5000 and all(row["v"] == 0 for row in rows) and
           [row["id"] for row in rows] == list(range(1, len(rows) + 1)),
           "%d rows, the last %s", len(rows), str(rows[-1])[:80])
    expect(ask(box, state, "SELECT count(*) c, min(v) > 0 m FROM t") ==
           [{"c": 5000, "m": 1}], "another try")
    db.close()


def test_damage_of_a_state_directory_is_named(box):
    path, state = box.path("app.db"), box.path("state")
    db = bank(path, "journal_mode=WAL")
    box.stop(box.tail(path, "--state", state, "--to", "null:"))
    db.close()
    with open(os.path.join(state, "shadow"), "r+b") as file:
        file.seek(20 * 1024)
        byte = file.read(1)[0]
        file.seek(20 * 1024)
        file.write(bytes([byte ^ 1]))
    refused(box, 1, "page 21 is damaged; rowtail verify --state says more", state,
            CHECK)
    expect(ask(box, state, "SELECT v FROM t WHERE id = 1") == [{"v": 0}],
           "what does not need it")
    with open(os.path.join(state, "meta"), "r+b") as file:
        file.write(b"x")
    done = box.run("sql", state, CHECK)
    expect(done.code in (1, 2) and len(done.error_lines) == 1, "%s", done)


for test in (test_a_database_in_a_storm, test_a_state_directory_in_a_storm,
             test_earlier_moments_of_a_state_directory_in_a_storm):
    test.timeout = 200

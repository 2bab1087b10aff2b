"""Another file is put in the database's place while rowtail follows: by cp, by mv, by
SQLite's own .restore; right after the application has ended or later; and the
application comes again at once or later. (In the first second after its end, docs/limits.md
says, and before rowtail has seen it, a copy is not safe: the WAL is still there.)

What the application was told is committed, after that, is in the database as it would be
without rowtail; the events are those of the database, or, without a state directory, the
run ends with exit 1 and the reason.
"""

import os
import sqlite3
import subprocess
import time

from harness.box import expect
from harm.sidecars import is_complete
from state.consumer import Session

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def backup(box, rows, name="backup.db"):
    path = box.path(name)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(TABLE)
    db.execute("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
               " FROM n WHERE i < %d) SELECT i, 'backup ' || i FROM n" % rows)
    db.close()
    return path


def by_cp(box, other, path):
    subprocess.run(["cp", other, path], check=True)


def by_mv(box, other, path):
    subprocess.run(["mv", other, path], check=True)


def by_restore(box, other, path):
    box.need_tool("sqlite3")
    for _ in range(20):
        done = subprocess.run(["sqlite3", path, ".timeout 5000",
                               ".restore '%s'" % other], stderr=subprocess.PIPE)
        if done.returncode == 0 and not done.stderr:
            return
        time.sleep(0.1)
    expect(False, ".restore: %s", done.stderr)


def rows_of(path):
    db = sqlite3.connect(path, timeout=20)
    try:
        answer = db.execute("PRAGMA integrity_check").fetchone()[0]
        expect(answer == "ok", "the database is damaged: %s", answer)
        return [r[0] for r in db.execute("SELECT id FROM t ORDER BY id")]
    finally:
        db.close()


def begin(box, library, rows=40):
    writer, path = box.database(TABLE, library=library)
    return writer, path


def is_emptied(path):
    return os.path.getsize(path + "-wal") == 0


def restored(box, tail, writer, path, how, moment, start, rows):
    """`moment`: the application goes on ("running"), has just ended ("ended"; what it
    committed is in the file), or its WAL is empty ("emptied"). `start`: it comes again at
    once, or when rowtail has seen what happened ("seen")."""
    other = backup(box, rows)
    for i in range(1, 41):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'row')" % i)
    if moment != "running":
        writer.close_connection("c")
        box.wait_until(lambda: is_complete(path, 40), 10, "the file is not complete")
    if moment == "emptied":
        box.wait_until(lambda: is_emptied(path), 10, "the WAL is not emptied")
    how(box, other, path)
    if start == "seen" and how is not by_restore:
        box.wait_until(lambda: any("app.db: was " in e for e in tail.errors), 10,
                       "it is not seen")
    if moment != "running":
        writer.open("c", path)
    acknowledged = []
    for i in range(100001, 100021):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'after')" % i)
        acknowledged.append(i)
        time.sleep(0.01)
    return list(range(1, rows + 1)) + acknowledged


def with_state(box, how, moment, start, rows, library):
    writer, path = begin(box, library)
    session = Session(box, path)
    run = session.start()
    want = restored(box, run.tail, writer, path, how, moment, start, rows)
    box.wait_until(lambda: len(run.pull()) and run.pull()[-1].after is not None
                   and run.pull()[-1].after["id"] == 100020, 30,
                   "it does not go on: " + run.tail.error_text())
    writer.close()
    expect(rows_of(path) == want, "%d rows, wanted %d", len(rows_of(path)), len(want))
    run.stop()
    session.matches()


def without_state(box, how, moment, start, rows, library):
    writer, path = begin(box, library)
    tail = box.tail(path)
    want = restored(box, tail, writer, path, how, moment, start, rows)
    if how is by_restore:
        expect(tail.wait_lines(60, 20), "%d events", tail.available())
        box.stop(tail)
    else:
        code = tail.wait_exit(15)
        expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
        reasons = [e for e in tail.errors if not e.startswith("rowtail: following")]
        expect(len(reasons) == 1 and "app.db" in reasons[0], "%s", reasons)
    writer.close()
    expect(rows_of(path) == want, "%d rows, wanted %d", len(rows_of(path)), len(want))


def make(function, number, *args):
    def test(box):
        function(box, *args, library=("std", "apsw")[number % 2])
    test.timeout = 120
    return test


def make_all():
    number = 0
    for how, moment, start in (
            [(how, moment, start) for how in (by_cp, by_mv)
             for moment, start in (("ended", "seen"), ("emptied", "at_once"),
                                   ("emptied", "seen"))]
            + [(by_restore, moment, "at_once")
               for moment in ("running", "ended", "emptied")]):
        for function in (with_state, without_state):
            for rows in (3000, 3):
                name = "test_%s_%s_%s_of_%d_rows_%s" % (
                    how.__name__, moment, start, rows, function.__name__)
                globals()[name] = make(function, number, how, moment, start, rows)
                number += 1


make_all()

"""Another file is put in the database's place while rowtail follows: by cp, by mv, by
SQLite's own .restore; right after the application has ended or later; and the
application comes again at once or later.

What the application was told is committed, after that, is in the database as it would be
without rowtail; the events are those of the database, or, without a state directory, the
run ends with exit 1 and the reason.
"""

import os
import sqlite3
import subprocess
import time

from harness.box import expect
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


def restored(box, writer, path, how, before, after, rows):
    """`before`: seconds from the application's end to the restore, None: it goes on;
    `after`: from there to its start."""
    other = backup(box, rows)
    for i in range(1, 41):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'row')" % i)
    if before is not None:
        writer.close_connection("c")
        time.sleep(before)
    how(box, other, path)
    if before is not None:
        time.sleep(after)
        writer.open("c", path)
    acknowledged = []
    for i in range(100001, 100021):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'after')" % i)
        acknowledged.append(i)
        time.sleep(0.01)
    return list(range(1, rows + 1)) + acknowledged


def with_state(box, how, before, after, rows, library):
    writer, path = begin(box, library)
    session = Session(box, path)
    run = session.start()
    want = restored(box, writer, path, how, before, after, rows)
    box.wait_until(lambda: len(run.pull()) and run.pull()[-1].after is not None
                   and run.pull()[-1].after["id"] == 100020, 30,
                   "it does not go on: " + run.tail.error_text())
    writer.close()
    expect(rows_of(path) == want, "%d rows, wanted %d", len(rows_of(path)), len(want))
    run.stop()
    session.matches()


def without_state(box, how, before, after, rows, library):
    writer, path = begin(box, library)
    tail = box.tail(path)
    want = restored(box, writer, path, how, before, after, rows)
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
    for how in (by_cp, by_mv, by_restore):
        moments = [(b, a) for b in (0.0, 0.02, 0.3, 1.0, 2.2) for a in (0.0, 2.0)
                   if a == 0.0 or b in (0.0, 2.2)]
        if how is by_restore:
            moments = [(None, 0.0), (0.0, 0.0), (2.2, 0.0)]
        for before, after in moments:
            for function in (with_state, without_state):
                name = "test_%s_%s_after_the_end_%s_%s" % (
                    how.__name__, str(before).replace(".", "_"),
                    "and_a_start_at_once" if after == 0 else "and_a_start_later",
                    function.__name__)
                globals()[name] = make(function, number, how, before, after,
                                       (3000, 3)[number // 2 % 2])
                number += 1


make_all()

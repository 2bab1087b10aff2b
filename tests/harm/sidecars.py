"""-wal and -shm are removed, replaced or cut while rowtail follows.

What an application was told is committed must be in the database as it would be without
rowtail; the events are those of the database, or, without a state directory, the run
ends with exit 1 and the reason.
"""

import os
import re
import sqlite3
import subprocess
import time

from harness.box import expect
from state.consumer import Session

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def remove(path):
    subprocess.run(["rm", "-f", path], check=True)


def replace(path):
    with open(path + ".new", "wb"):
        pass
    os.rename(path + ".new", path)


def cut(path):
    with open(path, "wb"):
        pass


HOWS = {"removed": remove, "replaced": replace, "cut": cut}
WHATS = {"wal": ["-wal"], "shm": ["-shm"], "both": ["-wal", "-shm"]}


def rows_of(path):
    db = sqlite3.connect(path, timeout=20)
    try:
        expect(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok",
               "the database is damaged")
        return [r[0] for r in db.execute("SELECT id FROM t ORDER BY id")]
    finally:
        db.close()


def insert(writer, first, count, acknowledged):
    for i in range(first, first + count):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'row')" % i)
        acknowledged.append(i)


def lose_locks(writer, path):
    """As a program does that hashes or copies its own database."""
    writer.call("touch", path)


def happens(box, path, writer, who, how, what, acknowledged):
    """The files are changed, and the application goes on, or comes again."""
    insert(writer, 1, 30, acknowledged)
    if who == "whose-locks-are-lost":
        lose_locks(writer, path)
    if who == "that-has-ended":
        writer.close_connection("c")
        box.wait_until(lambda: is_complete(path, 30), 10, "the file is not complete")
    for suffix in WHATS[what]:
        HOWS[how](path + suffix)
    if who == "that-has-ended":
        writer.open("c", path)
    insert(writer, 31, 20, acknowledged)
    time.sleep(0.3)
    writer.close()


def is_complete(path, count):
    """The file alone has all rows: asked of a copy, to leave the locks in peace."""
    copy = path + ".copy"
    subprocess.run(["cp", path, copy], check=True)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(copy + suffix):
            os.unlink(copy + suffix)
    db = sqlite3.connect("file:%s?immutable=1" % copy, uri=True)
    try:
        return db.execute("SELECT count(*) FROM t").fetchone()[0] == count
    except sqlite3.Error:
        return False
    finally:
        db.close()


def with_state(box, how, what, who, library):
    writer, path = box.database(TABLE, library=library)
    session = Session(box, path)
    run = session.start()
    acknowledged = []
    happens(box, path, writer, who, how, what, acknowledged)
    run.wait(len(acknowledged), 30)
    expect(rows_of(path) == acknowledged, "%d rows of %d", len(rows_of(path)),
           len(acknowledged))
    run.stop()
    session.matches()


def without_state(box, how, what, who, library):
    writer, path = box.database(TABLE, library=library)
    tail = box.tail(path)
    acknowledged = []
    happens(box, path, writer, who, how, what, acknowledged)
    code = tail.wait_exit(10)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    reasons = [e for e in tail.errors if not e.startswith("rowtail: following")]
    expect(len(reasons) == 1 and re.search("app.db.*-(wal|shm)", reasons[0]),
           "%s", reasons)
    expect("rm " not in reasons[0], "it advises to remove: %s", reasons)
    expect(rows_of(path) == acknowledged, "%d rows of %d", len(rows_of(path)),
           len(acknowledged))


def make(function, number, *args):
    def test(box):
        function(box, *args, library=("std", "apsw")[number % 2])
    test.timeout = 90
    return test


def make_all():
    number = 0
    for how, what, who in [
            (how, what, who) for how in ("removed", "replaced")
            for what in WHATS for who in ("that-is-there", "whose-locks-are-lost",
                                          "that-has-ended")]:
        for function in (with_state, without_state):
            name = "test_%s_%s_beside_an_application_%s_%s" % (
                what, how, who.replace("-", "_"), function.__name__)
            globals()[name] = make(function, number, how, what, who)
            number += 1


make_all()


def test_the_wal_is_cut_in_place(box):
    """Nothing is left in it that is not in the file, so nothing is lost."""
    for with_one in (True, False):
        writer, path = box.database(TABLE, name="%d.db" % with_one)
        args = [path] + (["--state", path + "-state"] if with_one else [])
        tail = box.tail(*args)
        insert(writer, 1, 30, [])
        box.wait_until(lambda: is_complete(path, 30), 10, "the file is not complete")
        cut(path + "-wal")
        if not with_one:
            code = tail.wait_exit(10)
            expect(code == 1 and "-wal was cut" in tail.error_text(), "%s",
                   tail.error_text())
        writer.close_connection("c")
        writer.open("c", path)
        insert(writer, 31, 5, [])
        if with_one:
            expect(tail.wait_lines(35, 20), "%d events", tail.available())
            box.stop(tail)
        writer.close()
        expect(rows_of(path) == list(range(1, 36)), "rows are lost")


def test_shm_cut_in_place_is_told(box):
    """Who touches it then dies of SIGBUS, also within SQLite."""
    writer, path = box.database(TABLE)
    insert(writer, 1, 5, [])
    writer.close()
    tail = box.tail(path)
    cut(path + "-shm")
    code = tail.wait_exit(10)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    expect(any("app.db" in e and "-shm" in e for e in tail.errors), "%s", tail.errors)

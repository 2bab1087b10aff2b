"""rowtail diff: what makes one database file of another."""

import collections
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

from harness.box import expect
from harness.events import parse_line
from harness.expect import json_value
from harness.pairs import Pair, tables_of
from harness.state import ascii_lower

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)"


def refused(box, code, part, *args):
    done = box.run("diff", *args)
    expect(done.code == code and part in done.error_lines[-1] and not done.out,
           "expected exit %d and %r: %s", code, part, done)


def make(path, *statements):
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    return db


def ends(box):
    """A database, and what became of a copy."""
    old, new = box.path("old.db"), box.path("new.db")
    make(old, TABLE, "INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', NULL)").close()
    shutil.copy(old, new)
    make(new, "UPDATE t SET a = 'zwei' WHERE id = 2", "DELETE FROM t WHERE id = 1",
         "INSERT INTO t VALUES (7, x'00ff', -1)").close()
    return old, new


def changes(done):
    """(op, before, after) of each line."""
    found = []
    for line in done.out.splitlines(True):
        value = parse_line(line)
        found.append((value["op"], value["before"], value["after"]))
    return found


RIGHT = [("d", {"id": 1, "a": "one", "b": 1.5}, None),
         ("u", {"id": 2, "a": "two", "b": None}, {"id": 2, "a": "zwei", "b": None}),
         ("c", None, {"id": 7, "a": "AP8=", "b": -1})]


def test_the_changes_are_events_and_the_other_way_round_they_are_the_reverse(box):
    old, new = ends(box)
    done = box.run("diff", old, new)
    expect(done.code == 0 and not done.err and changes(done) == RIGHT, "%s", done)
    first = parse_line(done.out.splitlines(True)[0])
    expect(first["source"]["db"] == "new.db" and first["source"]["name"] == "new"
           and first["source"]["lsn"] == 0 and first["source"]["table"] == "t", "%s",
           first)
    back = [{"c": "d", "d": "c"}.get(op, op) for op, _, _ in changes(
        box.run("diff", new, old))]
    expect(sorted(back) == ["c", "d", "u"], "%s", back)
    same = box.run("diff", old, old)
    expect(same.code == 0 and not same.out and not same.err, "%s", same)


def test_options_of_events_and_filters_hold(box):
    old, new = ends(box)
    make(new, "CREATE TABLE other(x)", "INSERT INTO other VALUES (1)").close()
    done = box.run("diff", old, new, "-D", "table.include.list=t",
                   "-D", "skipped.operations=d", "-D", "topic.prefix=shop",
                   "-D", "column.exclude.list=t.b", "--lines=record", "--quiet")
    lines = [parse_line(line) for line in done.out.splitlines(True)]
    expect(done.code == 0 and len(lines) == 2, "%s", done)
    expect([line["topic"] for line in lines] == ["shop.t", "shop.t"], "%s", lines)
    expect(lines[1]["value"]["after"] == {"id": 7, "a": "AP8="}, "%s", lines[1])
    expect(lines[0]["headers"]["rowtail.catch_up"] is True, "%s", lines[0])
    done = box.run("diff", old, new, "-D", "table.include.list=nix")
    expect(done.code == 2 and "leaves nothing to capture" in done.error_lines[-1], "%s", done)


def test_an_empty_file_is_a_database_without_tables(box):
    _, new = ends(box)
    empty = box.path("empty.db")
    with open(empty, "wb"):
        pass
    done = box.run("diff", empty, new)
    expect(done.code == 0 and [c[0] for c in changes(done)] == ["c", "c"], "%s", done)
    done = box.run("diff", new, empty)
    expect(done.code == 0 and not done.out
           and "table t was dropped; no events" in done.error_lines[0], "%s", done)
    done = box.run("diff", empty, empty)
    expect(done.code == 0 and not done.out and not done.err, "%s", done)
    expect(os.path.getsize(empty) == 0, "it was written")


def test_what_is_no_database_is_named(box):
    old, new = ends(box)
    refused(box, 3, "nix.db: no such file", box.path("nix.db"), new)
    refused(box, 3, "is no file", box.folder, new)
    with open(box.path("text"), "w", encoding="utf-8") as file:
        file.write("no database\n" * 100)
    refused(box, 3, "is no SQLite database", old, box.path("text"))
    with open(box.path("short"), "w", encoding="utf-8") as file:
        file.write("SQLite format 3")
    refused(box, 3, "too short", box.path("short"), new)
    os.mkfifo(box.path("fifo"))
    refused(box, 3, "is no file", old, box.path("fifo"))
    with open(old, "r+b") as file:
        file.truncate(os.path.getsize(old) - 4096)
    refused(box, 3, "is cut off", old, new)
    refused(box, 2, "rowtail diff", old)
    refused(box, 2, "standard output", new, new, "--to", "file:" + box.path("out"))


def folder_state(box):
    state = {}
    for name in sorted(os.listdir(box.folder)):
        path = box.path(name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                state[name] = (hashlib.sha256(file.read()).hexdigest(),
                               os.stat(path).st_mtime_ns)
    return state


def test_rows_in_the_wal_count_while_an_application_has_it_open(box):
    old, _ = ends(box)
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'one', 1.5)",
                                "INSERT INTO t VALUES (2, 'two', NULL)")
    writer.sql("c", "BEGIN", "UPDATE t SET a = 'zwei' WHERE id = 2",
               "DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (7, x'00ff', -1)",
               "COMMIT")
    expect(os.path.getsize(path + "-wal") > 0, "no WAL")
    before = folder_state(box)
    done = box.run("diff", old, path)
    expect(done.code == 0 and changes(done) == RIGHT, "%s", done)
    expect(folder_state(box) == before, "something was written")


def test_rows_in_a_wal_that_a_kill_has_left_count_as_recovery_has_them(box):
    old, _ = ends(box)
    path, copy = box.path("app.db"), box.path("copy.db")
    db = make(path, "PRAGMA journal_mode=WAL", TABLE,
              "INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', NULL)",
              "PRAGMA wal_checkpoint(TRUNCATE)",
              "UPDATE t SET a = 'zwei' WHERE id = 2", "DELETE FROM t WHERE id = 1",
              "INSERT INTO t VALUES (7, x'00ff', -1)")
    shutil.copy(path, copy)
    shutil.copy(path + "-wal", copy + "-wal")
    db.close()
    done = box.run("diff", old, copy)
    expect(done.code == 0 and changes(done) == RIGHT, "%s", done)
    with open(copy + "-wal", "r+b") as wal:  # the last commit is torn
        wal.truncate(os.path.getsize(copy + "-wal") - 100)
    before = folder_state(box)
    done = box.run("diff", old, copy)
    expect(done.code == 0 and changes(done) == RIGHT[:2], "%s", done)
    expect(folder_state(box) == before, "something was written")
    with open(copy + "-wal", "r+b") as wal:  # so is its header
        wal.write(b"nothing")
    done = box.run("diff", old, copy)
    expect(done.code == 0 and not done.out, "%s", done)


def test_a_transaction_that_is_not_finished_is_refused(box):
    old, new = ends(box)
    program = ("import sqlite3, sys, os\n"
               "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
               "db.execute('PRAGMA cache_size=1')\n"
               "db.execute('BEGIN IMMEDIATE')\n"
               "for i in range(1000): db.execute('INSERT INTO t VALUES (?, ?, 1)',"
               " (i + 100, 'x' * 200))\n"
               "print('ready', flush=True)\n"
               "sys.stdin.read()\n")
    process = subprocess.Popen([sys.executable, "-c", program, new],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        refused(box, 3, "has a transaction that is open or was interrupted", old, new)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    refused(box, 3, "let sqlite3 open it once, which rolls that back", old, new)
    make(new, "SELECT count(*) FROM t").close()
    done = box.run("diff", old, new)
    expect(done.code == 0 and changes(done) == RIGHT, "%s", done)


def test_a_file_that_is_being_written_is_noticed(box):
    old, new = box.path("old.db"), box.path("new.db")
    make(old, TABLE, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) "
         "INSERT INTO t SELECT i, hex(zeroblob(100)), 0 FROM n").close()
    shutil.copy(old, new)
    program = ("import sqlite3, sys, threading\n"
               "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
               "end = threading.Event()\n"
               "threading.Thread(target=lambda: (sys.stdin.read(), end.set())).start()\n"
               "db.execute('PRAGMA synchronous=OFF')\n"
               "db.execute('UPDATE t SET b=b+1')\n"
               "print('ready', flush=True)\n"
               "while not end.is_set(): db.execute('UPDATE t SET b=b+1')\n")
    process = subprocess.Popen([sys.executable, "-c", program, new],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    noticed = 0
    try:
        process.stdout.readline()
        for _ in range(50):
            done = box.run("diff", old, new)
            said = [text for text in (
                "is being written", "was written while it was read",
                "has a transaction that is open") if text in done.err.decode()]
            values = {after["b"] for _, _, after in changes(done)} if not done.code else ()
            expect(said or len(values) == 1, "neither one state nor an error: %s", done)
            noticed += bool(said)
            if noticed > 4:
                break
    finally:
        process.stdin.close()
        process.wait()
    expect(noticed, "nothing was noticed in 50 runs")


def test_damage_is_an_error_that_names_both(box):
    old, new = ends(box)
    with open(new, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    done = box.run("diff", old, new)
    expect(done.code == 1 and "is corrupt: table t" in done.error_lines[-1]
           and "integrity_check" in done.error_lines[-1], "%s", done)


def test_another_geometry_changes_nothing_about_rows(box):
    old, new = ends(box)
    for size, vacuum in ((512, 1), (65536, 0), (1024, 2)):
        make(new, "PRAGMA page_size=%d" % size, "PRAGMA auto_vacuum=%d" % vacuum,
             "VACUUM").close()
        done = box.run("diff", old, new)
        expect(done.code == 0 and changes(done) == RIGHT, "%d: %s", size, done)
    other = box.path("utf16.db")
    make(other, "PRAGMA encoding='UTF-16be'", TABLE,
         "INSERT INTO t VALUES (2, 'zwei', NULL), (7, x'00ff', -1)").close()
    done = box.run("diff", old, other)
    expect(done.code == 0 and changes(done) == RIGHT, "%s", done)
    done = box.run("diff", new, other)
    expect(done.code == 0 and not done.out, "%s", done)


def bag(columns, rows):
    """The rows as events have them; NaN does not come out of SQLite."""
    count = len(columns)
    return collections.Counter(
        repr(dict(zip(columns, [json_value(row[1 + 4 * i + 3]) for i in range(count)])))
        for row in rows)


def check_events(box, pair):
    """The old rows, the events applied, are the new ones, of tables that were not made
    anew or altered."""
    was, now = tables_of(pair.old), tables_of(pair.new)
    done = box.run("diff", pair.old, pair.new)
    expect(done.code == 0, "seed %d: %s", pair.seed, done)
    mine = {ascii_lower(name): bag(columns, rows)
            for name, (sql, rows, columns) in was.items()
            if name in now and now[name][0] == sql and name != "sqlite_sequence"}
    for line in done.out.splitlines(True):
        value = parse_line(line)
        rows = mine.get(ascii_lower(value["source"]["table"]))
        if rows is None:
            continue
        if value["before"] is not None:
            there = repr(value["before"])
            expect(rows[there] > 0, "seed %d: no such row: %s", pair.seed, value)
            rows[there] -= 1
        if value["after"] is not None:
            rows[repr(value["after"])] += 1
    for name, (_, rows, columns) in now.items():
        if ascii_lower(name) in mine:
            expect(+mine[ascii_lower(name)] == bag(columns, rows), "seed %d: %s",
                   pair.seed, name)


def test_random_pairs_of_databases(box):
    for seed in range(60):
        check_events(box, Pair(box.folder, seed))

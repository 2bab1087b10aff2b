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
    for more in ((), ("--sql",)):
        done = box.run("diff", old, new, *more)
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
    for seed in range(40):
        check_events(box, Pair(box.folder, seed))


def test_a_leaf_of_a_smaller_page_size_has_its_own_length(box):
    pair = Pair(box.folder, 3079)       # a leaf of 4 KiB is compared with one of 64 KiB
    check_events(box, pair)
    pair.old, pair.new = pair.new, pair.old
    check_events(box, pair)


# -- --sql ----------------------------------------------------------------------------


def apply_sql(box, path, statements):
    """By the sqlite3 of this machine: what everybody has."""
    copy = box.path("patched.db")
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.exists(copy + suffix):
            os.remove(copy + suffix)
    shutil.copy(path, copy)
    done = subprocess.run(["sqlite3", "-bail", copy], input=statements,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0 and not done.stdout, "sqlite3 says %r to %r",
           done.stdout[-600:], statements[-3000:])
    return copy


def schema_of(path):
    db = sqlite3.connect(path)
    try:
        return sorted(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema "
                                 "WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'").fetchall())
    finally:
        db.close()


def check_sql(box, old, new, note="", schema=True):
    """The statements, applied to the old one, give the new one."""
    box.need_tool("sqlite3")
    done = box.run("diff", old, new, "--sql")
    expect(done.code == 0, "%s: %s", note, done)
    patched = apply_sql(box, old, done.out)
    mine, theirs = tables_of(patched), tables_of(new)
    if "sqlite_sequence" in mine and not mine["sqlite_sequence"][1]:
        theirs.setdefault("sqlite_sequence", mine["sqlite_sequence"])
    expect(sorted(mine) == sorted(theirs), "%s: tables %s and %s", note, sorted(mine),
           sorted(theirs))
    for name, (sql, rows, _) in theirs.items():
        expect(mine[name][0] == sql, "%s: %s and %s", note, mine[name][0], sql)
        for a, b in zip(mine[name][1], rows):
            expect(repr(a) == repr(b), "%s: table %s\n%r\n%r", note, name, a, b)
        expect(len(mine[name][1]) == len(rows), "%s: table %s", note, name)
    if schema:
        expect(schema_of(patched) == schema_of(new), "%s: schemas", note)
    return done.out.decode("utf-8", "replace")


def test_statements_make_the_new_one_and_undo_it(box):
    old, new = ends(box)
    text = check_sql(box, old, new)
    expect(text == "BEGIN;\nPRAGMA defer_foreign_keys=ON;\n"
           "DELETE FROM \"t\" WHERE \"id\"=1;\n"
           "UPDATE \"t\" SET \"a\"='zwei' WHERE \"id\"=2;\n"
           "INSERT INTO \"t\"(\"id\",\"a\",\"b\") VALUES(7,x'00ff',-1);\nCOMMIT;\n",
           "%s", text)
    check_sql(box, new, old)
    expect(not check_sql(box, new, new), "statements where nothing differs")


def test_statements_of_random_pairs(box):
    for seed in range(1000, 1030):
        pair = Pair(box.folder, seed)
        check_sql(box, pair.old, pair.new, "seed %d" % seed)
        check_sql(box, pair.new, pair.old, "seed %d, undo" % seed)


SHOP = ["CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE)",
        "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(u) ON DELETE CASCADE "
        "ON UPDATE CASCADE)",
        "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "INSERT INTO c VALUES (1, 'a'), (2, 'b'), (3, 'c')"]


def two(box, before, after):
    old, new = box.path("before.db"), box.path("after.db")
    for path in (old, new):
        if os.path.exists(path):
            os.remove(path)
    make(old, *before).close()
    shutil.copy(old, new)
    make(new, *after).close()
    return old, new


def both_ways(box, before, after):
    old, new = two(box, before, after)
    check_sql(box, new, old, "undo")
    return check_sql(box, old, new)


def test_unique_values_change_places_and_keys_cascade_only_once(box):
    swap = ["UPDATE p SET u = 'x' WHERE id = 1", "UPDATE p SET u = 'a' WHERE id = 2",
            "UPDATE p SET u = 'b' WHERE id = 1", "DELETE FROM p WHERE id = 3"]
    text = both_ways(box, SHOP, swap)
    expect("PRAGMA foreign_keys=OFF;\nBEGIN;\n" in text, "%s", text)
    old, new = two(box, SHOP, swap)
    patched = apply_sql(box, old, b"PRAGMA foreign_keys=ON;\n" + text.encode())
    expect(tables_of(patched) == tables_of(new), "%s", tables_of(patched))
    text = both_ways(box, SHOP, ["UPDATE c SET p = NULL WHERE id = 2"])
    expect("UPDATE \"c\" SET \"p\"=NULL WHERE \"id\"=2;" in text, "%s", text)


def test_tables_whose_rows_are_hard_to_name(box):
    text = both_ways(box, [
        "CREATE TABLE h(rowid, _rowid_, oid)", "INSERT INTO h VALUES (1, 2, 3), (4, 5, 6)",
        "CREATE TABLE w(k TEXT COLLATE NOCASE, a, PRIMARY KEY (k COLLATE BINARY)) "
        "WITHOUT ROWID", "INSERT INTO w VALUES ('a', 1), ('A', 2), ('b', 3)",
        "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
        "INSERT INTO s VALUES (5, 'five')", "CREATE TABLE k(a)",
        "INSERT INTO k(rowid, a) VALUES (-9223372036854775808, 1), (7, 1), (9, 1)"], [
        "DELETE FROM h WHERE oid = 3", "INSERT INTO h VALUES (NULL, NULL, 7)",
        "DELETE FROM w WHERE k COLLATE BINARY = 'A'", "UPDATE w SET a = 5 WHERE k = 'a'",
        "INSERT INTO s VALUES (90, 'ninety')", "UPDATE sqlite_sequence SET seq = 6",
        "DELETE FROM k WHERE rowid = 7", "UPDATE k SET a = 2 WHERE rowid < 0"])
    expect("DELETE FROM \"h\";\n" in text and "DELETE FROM \"k\" WHERE rowid=7;" in text,
           "%s", text)
    both_ways(box, ["CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)",
                    "INSERT INTO s VALUES (5)"],
              ["DELETE FROM sqlite_sequence", "INSERT INTO s VALUES (3)",
               "DELETE FROM sqlite_sequence"])


def test_the_schema_changes_around_the_rows(box):
    text = both_ways(box, [
        "CREATE TABLE t(a, b)", "INSERT INTO t VALUES (1, 2), (1, 3)",
        "CREATE TABLE gone(a INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO gone VALUES (1)", "CREATE INDEX i ON t(a)", "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER vt INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
        "CREATE TABLE altered(a)", "INSERT INTO altered VALUES ('x')",
        "CREATE INDEX ai ON altered(a)",
        "CREATE TRIGGER at AFTER INSERT ON altered BEGIN DELETE FROM t; END"], [
        "DELETE FROM t WHERE b = 3", "DROP INDEX i", "CREATE UNIQUE INDEX i ON t(a)",
        "DROP TABLE gone", "DROP VIEW v", "CREATE VIEW v AS SELECT 2 -- two\n",
        "CREATE TRIGGER vt INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
        "ALTER TABLE altered ADD COLUMN b DEFAULT 'y'",
        "CREATE TABLE fresh(a, b UNIQUE) -- new\n", "INSERT INTO fresh VALUES (1, 1)",
        "PRAGMA user_version=-7", "PRAGMA application_id=99"])
    expect("PRAGMA user_version=-7;\nPRAGMA application_id=99;\n" in text, "%s", text)
    expect("-- triggers" not in text, "%s", text)


def test_triggers_are_named_and_filters_leave_the_rest_alone(box):
    old, new = two(box, ["CREATE TABLE t(a)", "CREATE TABLE u(a)",
                         "CREATE TRIGGER \"x\ny\" AFTER INSERT ON t "
                         "BEGIN INSERT INTO u VALUES (1); END"],
                   ["DROP TRIGGER \"x\ny\"", "INSERT INTO t VALUES (1)",
                    "INSERT INTO u VALUES (7)", "CREATE VIEW v AS SELECT 1",
                    "CREATE TRIGGER \"x\ny\" AFTER INSERT ON t "
                    "BEGIN INSERT INTO u VALUES (1); END"])
    done = box.run("diff", old, new, "--sql")
    expect(done.code == 0 and done.out.startswith(b"-- triggers: x?y\n-- They run"), "%s",
           done)
    done = box.run("diff", old, new, "--sql", "-D", "table.include.list=u")
    expect(done.out == b"BEGIN;\nPRAGMA defer_foreign_keys=ON;\n"
           b"INSERT INTO \"u\"(rowid,\"a\") VALUES(1,7);\nCOMMIT;\n", "%s", done)


def test_virtual_tables_change_by_their_own_tables(box):
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
    except sqlite3.OperationalError:
        box.need("this SQLite has no fts5")
    db.close()
    old, new = two(box, ["CREATE VIRTUAL TABLE f USING fts5(x)",
                         "INSERT INTO f VALUES ('one text')"],
                   ["INSERT INTO f VALUES ('another')", "DELETE FROM f WHERE rowid = 1"])
    box.need_tool("sqlite3")
    done = box.run("diff", old, new, "--sql")
    patched = apply_sql(box, old, done.out)
    db = make(patched, "INSERT INTO f(f) VALUES ('integrity-check')")
    expect(db.execute("SELECT x FROM f WHERE f MATCH 'another'").fetchall() == [("another",)],
           "%s", done)
    db.close()
    old, new = two(box, [TABLE], ["CREATE VIRTUAL TABLE f USING fts5(x)"])
    for pair in ((old, new), (new, old)):
        done = box.run("diff", *pair, "--sql")
        expect(done.code == 2 and not done.out
               and "virtual table f is not the same in both" in done.error_lines[-1],
               "%s", done)


def test_a_schema_text_of_two_statements_is_refused(box):
    for text in ("CREATE TABLE t(a); DROP TABLE x", "CREATE TABLE t(a) /* open"):
        old, new = two(box, [], [
            "CREATE TABLE t(a)", "PRAGMA writable_schema=ON",
            "UPDATE sqlite_schema SET sql = '%s'" % text])
        done = box.run("diff", old, new, "--sql")
        expect(done.code in (1, 2) and not done.out and done.error_lines, "%s", done)


def test_statements_that_are_not_all_end_with_rollback(box):
    rows = ["WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000) "
            "INSERT INTO t SELECT i, hex(zeroblob(50)), i FROM n"]
    old, new = two(box, [TABLE] + rows, ["UPDATE t SET b = -b"])
    with open(new, "r+b") as file:  # a leaf near the end
        file.seek(os.path.getsize(new) - 4096 * 3)
        file.write(b"\xff" * 4096)
    done = box.run("diff", old, new, "--sql")
    expect(done.code == 1 and "is corrupt" in done.error_lines[-1], "%s", done)
    expect(b"COMMIT" not in done.out and done.out.endswith(
        b"ROLLBACK;\n-- Not all changes were found.\n") or not done.out, "%s", done)
    patched = apply_sql(box, old, done.out)
    expect(tables_of(patched) == tables_of(old), "something was applied")

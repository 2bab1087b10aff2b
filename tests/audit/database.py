"""rowtail audit verify --database: has the database what the log tells of each row?"""

import datetime
import json
import os
import shutil
import signal
import sqlite3
import threading
import time

from audit.log import Audited, Turned
from harness.box import expect
from harness.pairs import Pair
from harness.state import lossless_text, quote

SEEDS = range(1, 7)


class Compared:
    """A log, and databases that are compared with it."""

    def __init__(self, box, path, *args):
        self.box, self.audited = box, Audited(box, path, *args)
        self.args = args

    def verify(self, *more, database=None, code=0, text=False):
        result = self.box.run("audit", "verify", self.audited.path, "--database",
                              database or self.audited.database, *self.args,
                              *([] if text else ["--json"]), *more, timeout=60)
        expect(result.code == code or (code is None and result.code < 2), "%s", result)
        expect(len(result.error_lines) == (result.code != 0), "%s", result)
        return result.out.decode() if text else json.loads(result.out)

    def equal(self, **how):
        """It has all of it, and no row is left out of the comparison."""
        report = self.verify(**how)
        database = report["database"]
        expect(report["sound"] and not report["findings"] and database["differ"] == 0,
               "%s", report)
        expect(not database["other_settings"], "%s", report)
        return database

    def live(self, writer, *statements):
        """Done while rowtail follows, which tells of all of it; needs a table `done`."""
        tail = self.audited.start()
        writer.sql("c", *statements)
        writer.sql("c", "INSERT INTO done VALUES (1)")
        count = sqlite3.connect(self.audited.database).execute(
            "SELECT count(*) FROM done").fetchone()[0]
        self.box.wait_until(lambda: open(self.audited.path, "rb").read().count(
            b'"op":"insert","table":"done"') == count, timeout=20)
        self.box.stop(tail)

    def copy(self):
        """Of the database, of the same name; rowtail does not run, and left no WAL."""
        folder = self.box.path("copy")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, os.path.basename(self.audited.database))
        shutil.copy(self.audited.database, path)
        return path

    def changed(self, *statements, code=1):
        """What is found in a copy that they were done to."""
        path = self.copy()
        db = sqlite3.connect(path, isolation_level=None)
        db.text_factory = lossless_text
        for sql in statements:
            db.execute(*([sql] if isinstance(sql, str) else sql))
        db.close()
        return self.verify(database=path, code=code)["findings"]


def told(findings):
    return sorted((f["finding"], f["table"], json.dumps(f.get("key")),
                   ",".join(f.get("columns", ""))) for f in findings)


# ---- all kinds of tables and values ----

TABLES = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
    "CREATE TABLE k(k TEXT PRIMARY KEY, a)",
    "CREATE TABLE w(p TEXT, q INT, a, PRIMARY KEY (p, q)) WITHOUT ROWID",
    "CREATE TABLE n(a, b)",
    "CREATE TABLE \"it's \"\"q\"(id INTEGER PRIMARY KEY, \"a b\")",
    "INSERT INTO t VALUES (1, 9007199254740993, 0.1), (2, 2.0, NULL), (3, x'00ff', ''),"
    " (4, 'text', -0.0), (5, 9223372036854775807, 1e999), (6, char(0, 10, 34), 'é')",
    "INSERT INTO t VALUES (7, %s, zeroblob(70000))" % quote("long " * 9000).replace('"', "'"),
    "INSERT INTO k VALUES ('a', 1), ('B', 2), (NULL, 3), (NULL, 3), ('YQ==', 5)",
    "INSERT INTO w VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, NULL)",
    "INSERT INTO n VALUES (1, 2), (1, 2), (1, 3), (NULL, 'z')",
    "INSERT INTO \"it's \"\"q\" VALUES (1, 1), (2, 2)",
]


def all_kinds(box, *args):
    _, path = box.database(*TABLES)
    compared = Compared(box, path, *args)
    compared.audited.once()
    return compared


def test_every_kind_of_change_past_the_log_is_found(box):
    compared = all_kinds(box)
    rows = compared.equal()["rows"]
    expect(rows == 21, "%d rows", rows)
    differs, missing, added = ("differs from the database", "missing in the database",
                               "not in the log")
    ways = [
        ("UPDATE t SET a = a - 1 WHERE id = 1", [(differs, "t", '{"id": 1}', "a")]),
        ("UPDATE t SET b = 0.1000000000000001 WHERE id = 1",
         [(differs, "t", '{"id": 1}', "b")]),
        ("UPDATE t SET a = 2, b = '' WHERE id = 2", [(differs, "t", '{"id": 2}', "a,b")]),
        ("UPDATE t SET a = x'00fe' WHERE id = 3", [(differs, "t", '{"id": 3}', "a")]),
        ("UPDATE t SET b = NULL WHERE id = 3", [(differs, "t", '{"id": 3}', "b")]),
        ("UPDATE t SET b = 0.0 WHERE id = 4", [(differs, "t", '{"id": 4}', "b")]),
        ("UPDATE t SET a = 9.223372036854775807e18 WHERE id = 5",
         [(differs, "t", '{"id": 5}', "a")]),
        ("UPDATE t SET b = -1e999 WHERE id = 5", [(differs, "t", '{"id": 5}', "b")]),
        ("UPDATE t SET a = char(0, 10, 35) WHERE id = 6",
         [(differs, "t", '{"id": 6}', "a")]),
        ("UPDATE t SET a = replace(a, 'g long long long', 'g long lang long')"
         " WHERE id = 7", [(differs, "t", '{"id": 7}', "a")]),
        ("UPDATE t SET b = zeroblob(69999) || x'01' WHERE id = 7",
         [(differs, "t", '{"id": 7}', "b")]),
        ("UPDATE t SET id = 8 WHERE id = 4", [(missing, "t", '{"id": 4}', ""),
                                              (added, "t", '{"id": 8}', "")]),
        ("DELETE FROM k WHERE k = 'a'", [(missing, "k", '{"k": "a"}', "")]),
        ("UPDATE k SET k = 'A' WHERE k = 'a'", [(missing, "k", '{"k": "a"}', ""),
                                                (added, "k", '{"k": "A"}', "")]),
        # As JSON has it, the blob is the same key.
        ("INSERT INTO k VALUES (x'61', 5)", [(added, "k", '{"k": "YQ=="}', "")]),
        ("UPDATE k SET k = x'61' WHERE k = 'YQ=='", []),
        ("UPDATE w SET a = 'z' WHERE p = 'b'", [(differs, "w", '{"p": "b", "q": 1}', "a")]),
        ("INSERT INTO w VALUES ('b', 2, 1)", [(added, "w", '{"p": "b", "q": 2}', "")]),
        ("DELETE FROM w WHERE p = 'a'", [(missing, "w", '{"p": "a", "q": 1}', ""),
                                         (missing, "w", '{"p": "a", "q": 2}', "")]),
        ("DELETE FROM n WHERE rowid = 2", [(missing, "n", '{"rowid": 2}', "")]),
        ("INSERT INTO n VALUES (1, 2)", [(added, "n", '{"rowid": 5}', "")]),
        ("UPDATE n SET b = 4 WHERE rowid = 3", [(missing, "n", '{"rowid": 3}', ""),
                                                (added, "n", '{"rowid": 3}', "")]),
        ("UPDATE k SET a = 4 WHERE rowid = 4", [(missing, "k", '{"rowid": 4}', ""),
                                                (added, "k", '{"rowid": 4}', "")]),
        ("UPDATE \"it's \"\"q\" SET \"a b\" = 3 WHERE id = 2",
         [(differs, "it's \"q", '{"id": 2}', "a b")]),
        ("DROP TABLE w", [(missing, "w", "null", "")]),
    ]
    for sql, expected in ways:
        found = told(compared.changed(sql, code=1 if expected else 0))
        expect(found == sorted(expected), "%s: %s", sql, found)
    # What changes no row is no finding.
    expect(not compared.changed("VACUUM", "CREATE INDEX i ON t(a)",
                                "UPDATE t SET a = a", code=0), "no row")
    return len(ways)


def test_what_people_read(box):
    compared = all_kinds(box)
    text = compared.verify(text=True)
    expect("compared 21 rows of 5 tables with the database: 0 differ\n" in text, "%s", text)
    path = compared.copy()
    db = sqlite3.connect(path)
    db.executescript("UPDATE t SET a = 1, b = 2 WHERE id = 1; DELETE FROM w; "
                     "CREATE TABLE other(a); INSERT INTO other VALUES (1)")
    db.close()
    text = compared.verify(text=True, database=path, code=1)
    for line in ("differs from the database: t 1: a, b\n",
                 "missing in the database: w p: a, q: 1\n", ": 4 differ\n",
                 "the log tells nothing of: other\n",
                 "the database was written after the log's last line"):
        expect(line in text, "%r: %s", line, text)


# ---- random work ----

class Work(Pair):
    """Random tables and changes of them, in a database in WAL mode."""

    def __init__(self, box, seed):
        super().__init__(box.folder, seed)

    def begin(self):
        self.wal = True
        super().begin()

    def end(self, schema_changes, page_size_changes):
        pass

    def step(self):
        db = sqlite3.connect(self.old, isolation_level=None)
        db.text_factory = lossless_text
        for _ in range(self.rng.randrange(1, 6)):
            db.execute("BEGIN")
            for _ in range(self.rng.choice([1, 3, 30])):
                if self.tables:
                    self.change(db, self.rng.choice(list(self.tables)))
            if self.tables and self.rng.random() < 0.3:
                try:
                    self.change_schema(db)
                except sqlite3.OperationalError:
                    pass            # of a name or a column that is there already
                there = [row[0] for row in db.execute("SELECT name FROM sqlite_schema")]
                for name in [n for n in self.tables if n not in there]:
                    del self.tables[name]
            db.execute("COMMIT")
        if self.rng.random() < 0.2:
            db.execute("VACUUM")
        db.close()

    def rows(self):
        db = sqlite3.connect(self.old)
        names = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE"
            " 'sqlite_%'")]
        count = sum(db.execute("SELECT count(*) FROM %s" % quote(n)).fetchone()[0]
                    for n in names)
        db.close()
        return count


def tamper(work, compared):
    """One row, past the log: (statements, table), or None."""
    rng = work.rng
    names = [n for n in work.tables]
    if not names:
        return None
    name = rng.choice(names)
    column = work.tables[name][-1]
    if rng.random() < 0.5:
        key = "rowid" if "WITHOUT" not in sql_of(work, name) else None
        if key is None or "rowid" in work.tables[name]:
            key = work.tables[name][0]
        where = "WHERE %s = (SELECT min(%s) FROM %s)" % (quote(key), quote(key), quote(name))
        return name, ("UPDATE %s SET %s = 'past the log' %s" % (
            quote(name), quote(column), where) if rng.random() < 0.5 else
            "DELETE FROM %s %s" % (quote(name), where))
    columns = work.tables[name]
    return name, "INSERT INTO %s (%s) VALUES (%s)" % (
        quote(name), ", ".join(map(quote, columns)),
        ", ".join("'past the log %d'" % i for i in range(len(columns))))


def sql_of(work, name):
    db = sqlite3.connect(work.old)
    sql = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    db.close()
    return sql


def count_changed(work, sql, path):
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = lossless_text
    before = db.total_changes
    try:
        db.execute(sql)
    except (sqlite3.IntegrityError, sqlite3.OperationalError):
        pass
    changed = db.total_changes - before
    db.close()
    return changed


def run_work(box, seed):
    work = Work(box, seed)
    compared = Compared(box, work.old)
    compared.audited.path = box.path("%d.audit" % seed)
    compared.audited.state = box.path("state%d" % seed)
    compared.audited.once()
    found = untold = 0
    for _ in range(4):
        if work.rng.random() < 0.5:
            tail = compared.audited.start(wait=True)
            work.step()
            box.stop(tail)
        else:
            work.step()
        compared.audited.once()
        database = compared.equal()
        expect(database["rows"] + database["without_baseline"] == work.rows(),
               "seed %d: %s, %d rows", seed, database, work.rows())
        untold += database["without_baseline"]
        for _ in range(3):
            change = tamper(work, compared)
            path = compared.copy()
            if not change or count_changed(work, change[1], path) != 1:
                continue
            report = compared.verify(database=path, code=None)
            names = {f["table"] for f in report["findings"]}
            # Of a table that was altered not all is known, nor of '' beside x''.
            unknown = report["database"]["without_baseline"] > 0
            expect(names == {change[0]} or (not names and unknown),
                   "seed %d: %s: %s", seed, change, report)
            found += len(names)
    return found, untold


def test_random_work_is_equal_and_each_change_past_it_is_found(box):
    found = 0
    for seed in SEEDS:
        found += run_work(box, seed)[0]
    expect(found > 2 * len(SEEDS), "only %d were found", found)
    return found


test_random_work_is_equal_and_each_change_past_it_is_found.timeout = 120


# ---- what the log does not tell of ----

def test_rows_without_baseline_are_no_finding(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
                                "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
                                "CREATE TABLE n(a)", "INSERT INTO n VALUES (1), (2)")
    compared = Compared(box, path)
    compared.audited.once("-D", "snapshot.mode=no_data")
    writer.sql("c", "UPDATE t SET a = 9 WHERE id = 1", "DELETE FROM t WHERE id = 2",
               "INSERT INTO t VALUES (4, 4, 4)", "INSERT INTO n VALUES (1)",
               "CREATE TABLE made(a)", "INSERT INTO made VALUES (1)")
    compared.audited.once()
    database = compared.equal()
    expect((database["rows"], database["without_baseline"]) == (4, 3), "%s", database)
    # Of row 1 only the column that a line has is known.
    found = told(compared.changed("UPDATE t SET a = 0, b = 0 WHERE id = 1"))
    expect(found == [("differs from the database", "t", '{"id": 1}', "a")], "%s", found)
    expect(not compared.changed("UPDATE t SET a = 0 WHERE id = 3", code=0), "row 3")
    for sql, table in (("INSERT INTO t VALUES (2, 2, 2)", "t"),
                       ("INSERT INTO made VALUES (2)", "made"),
                       ("DELETE FROM n WHERE a = 1", "n")):
        found = compared.changed(sql)
        expect([f["table"] for f in found] == [table], "%s: %s", sql, found)


def test_columns_and_tables_that_settings_leave_out(box):
    _, path = box.database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, mail, name, card)",
        "INSERT INTO t VALUES (1, 'a@b', 'Ann', '4111'), (2, 'c@d', NULL, '4222')",
        "CREATE TABLE secret(a)", "INSERT INTO secret VALUES (1)",
        "CREATE TABLE rowtail_context(id INTEGER PRIMARY KEY, seq, actor)")
    compared = Compared(
        box, path, "-D", "column.exclude.list=t\\.card", "-D",
        "column.mask.hash.SHA-256.with.salt.pepper=t\\.mail", "-D",
        "column.truncate.to.2.chars=t\\.name", "-D", "table.exclude.list=secret",
        "-D", "transaction.context.table=rowtail_context")
    compared.audited.once()
    database = compared.equal()
    expect(database["rows"] == 2, "%s", database)
    expect(not compared.changed("UPDATE t SET card = 'x', name = 'Any'",
                                "UPDATE secret SET a = 2",
                                "INSERT INTO rowtail_context VALUES (1, 1, 'x')",
                                "UPDATE t SET name = NULL WHERE id = 2",
                                code=0), "what the log does not have")
    found = told(compared.changed("UPDATE t SET mail = 'e@f', name = 'Bob'"))
    expect(found == [("differs from the database", "t", '{"id": %d}' % i, "mail,name")
                     for i in (1, 2)], "%s", found)
    # Without the settings masked columns differ, and it says why.
    compared.args = ()
    text = compared.verify(text=True, code=1)
    expect("the settings that were given are not those of the log's last run" in text,
           "%s", text)


def test_what_other_settings_made_otherwise_is_forgotten(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
                                "INSERT INTO t VALUES (1, x'01', 1), (2, x'02', 2)",
                                "CREATE TABLE n(a)", "INSERT INTO n VALUES (x'01')")
    compared = Compared(box, path)
    compared.audited.once()
    compared.args = compared.audited.args = ("-D", "binary.handling.mode=hex")
    writer.sql("c", "UPDATE t SET a = x'03' WHERE id = 1")
    compared.audited.once()
    database = compared.equal()
    expect(database["without_baseline"] == 1, "%s", database)
    found = told(compared.changed("UPDATE t SET a = x'04'", "DELETE FROM t WHERE id = 2"))
    expect(found == [("differs from the database", "t", '{"id": 1}', "a"),
                     ("missing in the database", "t", '{"id": 2}', "")], "%s", found)
    compared.args = compared.audited.args = (*compared.args, "-D", "table.exclude.list=n")
    compared.audited.once()
    database = compared.equal()
    expect(database["tables_left_out"] == ["n"] and database["without_baseline"] == 2,
           "%s", database)


def test_columns_that_became_others(box):
    """No line tells what rows have in a column that was added, renamed or made anew."""
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
                                "INSERT INTO t VALUES (1, 1, 10), (2, 2, 20)")
    compared = Compared(box, path)
    compared.audited.once()
    for step in (["ALTER TABLE t ADD COLUMN c DEFAULT 7"],
                 ["ALTER TABLE t RENAME COLUMN a TO z"],
                 ["ALTER TABLE t ADD COLUMN a DEFAULT 8"],
                 ["BEGIN", "ALTER TABLE t DROP COLUMN a",
                  "ALTER TABLE t ADD COLUMN a DEFAULT 9", "COMMIT"],
                 ["ALTER TABLE t RENAME TO u"],
                 ["ALTER TABLE u RENAME COLUMN id TO key"],
                 ["ALTER TABLE u RENAME COLUMN z TO y"]):
        for sql in step:
            writer.sql("c", sql)
        compared.audited.once()
        expect(compared.equal()["rows"] == 2, "%s", step)
    found = told(compared.changed("UPDATE u SET b = 0, y = 0 WHERE key = 1",
                                  "DELETE FROM u WHERE key = 2"))
    expect(found == [("differs from the database", "u", '{"key": 1}', "b"),
                     ("missing in the database", "u", '{"key": 2}', "")], "%s", found)
    writer.sql("c", "BEGIN", "CREATE TABLE v(k TEXT PRIMARY KEY, b)",
               "INSERT INTO v SELECT 'k' || key, b FROM u", "DROP TABLE u",
               "ALTER TABLE v RENAME TO u", "COMMIT")
    compared.audited.once()
    expect(compared.equal()["rows"] == 2, "made anew")
    # By another name of the key's column, and each row has the other's key.
    writer.sql("c", "CREATE TABLE done(i)")
    compared.live(writer, "BEGIN", "CREATE TABLE v(l TEXT PRIMARY KEY, b)",
                  "INSERT INTO v SELECT CASE k WHEN 'k1' THEN 'k2' ELSE 'k1' END, b FROM u"
                  " ORDER BY rowid", "DROP TABLE u", "ALTER TABLE v RENAME TO u", "COMMIT")
    expect(compared.equal()["rows"] == 3, "made anew with other keys")
    writer.sql("c", "DROP TABLE done")
    writer.sql("c", "DROP TABLE u")
    compared.audited.once()
    expect(compared.equal()["rows"] == 0, "dropped")
    found = compared.changed("CREATE TABLE u(a)", "INSERT INTO u VALUES (1)")
    expect([f["finding"] for f in found] == ["not in the log"], "%s", found)


def test_rowids_that_vacuum_changed(box):
    """The log has no line of it: rows without a key are known by what is in them."""
    writer, path = box.database("CREATE TABLE n(a, b)",
                                "INSERT INTO n VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
                                "DELETE FROM n WHERE a < 3", "CREATE TABLE done(i)")
    compared = Compared(box, path)
    compared.audited.once()
    writer.sql("c", "VACUUM")
    compared.audited.once()
    db = sqlite3.connect(path)
    expect(db.execute("SELECT min(rowid) FROM n").fetchone()[0] == 1, "no other rowid")
    db.close()
    database = compared.equal()
    expect((database["rows"], database["without_baseline"]) == (2, 0), "%s", database)
    expect(len(compared.changed("UPDATE n SET b = 9 WHERE a = 3")) == 2, "not found")
    for sql in ("UPDATE n SET b = 5 WHERE a = 3", "DELETE FROM n WHERE a = 4",
                "INSERT INTO n VALUES (6, 6), (7, 7)", "UPDATE n SET a = a + 1",
                "DELETE FROM n WHERE a = 7", "INSERT INTO n VALUES (9, 9)"):
        compared.live(writer, sql)
        expect(compared.equal()["differ"] == 0, "%s", sql)
    expect(compared.changed("DELETE FROM n WHERE a = 9"), "a row that was told")


# ---- while rowtail runs ----

def test_a_log_that_is_behind_is_waited_for(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                                "CREATE TABLE n(a)", "INSERT INTO t VALUES (1, 1), (2, 2)",
                                "INSERT INTO n VALUES (1)")
    compared = Compared(box, path)
    tail = compared.audited.start()
    box.wait_until(lambda: b'"op":"checkpoint"' in open(compared.audited.path, "rb").read(),
                   timeout=20)
    tail.process.send_signal(signal.SIGSTOP)
    writer.sql("c", "UPDATE t SET a = 5 WHERE id = 1", "INSERT INTO t VALUES (3, 3)",
               "DELETE FROM t WHERE id = 2", "UPDATE n SET a = 2")
    text = compared.verify(text=True, code=1)
    expect("rowtail is running, and the log ends at" in text and ": 5 differ\n" in text,
           "%s", text)

    def go_on():
        time.sleep(0.5)
        tail.process.send_signal(signal.SIGCONT)
    later = threading.Thread(target=go_on)
    later.start()
    expect(compared.equal()["running"], "it runs")
    later.join()
    box.stop(tail)
    compared.equal()


def test_beside_a_writer_it_is_equal_or_says_that_it_cannot_tell(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    compared = Compared(box, path)
    tail = compared.audited.start()
    is_over = threading.Event()

    def write():
        db = sqlite3.connect(path, timeout=20, isolation_level=None)
        i = 0
        while not is_over.is_set():
            db.execute("INSERT INTO t VALUES (NULL, ?)", (i,))
            db.execute("UPDATE t SET a = a + 1 WHERE id = ?", (i // 2,))
            i += 1
            time.sleep(0.002 if i % 100 else 0.3)
        db.close()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        codes = set()
        for _ in range(6):
            result = box.run("audit", "verify", compared.audited.path, "--database", path,
                             timeout=60)
            codes.add(result.code)
            expect(result.code == 0 or "written" in result.error_lines[-1], "%s", result)
    finally:
        is_over.set()
        thread.join()
    box.stop(tail)
    compared.audited.once()
    compared.equal()
    return len(codes)


def test_a_copy_that_was_made_beside_a_writer(box):
    """With the time when it was begun; what came later is no finding, and hides none."""
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                                "CREATE TABLE n(a)", "CREATE TABLE done(i)")
    writer.sql("c", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE"
               " i<200) INSERT INTO t SELECT i, i FROM n", "INSERT INTO n SELECT a FROM t")
    compared = Compared(box, path)
    tail = compared.audited.start()
    is_over = threading.Event()
    db = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)

    def write():
        i = 0
        while not is_over.is_set():
            i += 1
            db.execute("UPDATE t SET a = a + 1000 WHERE id %% 7 = %d" % (i % 6))
            db.execute("DELETE FROM t WHERE id = (SELECT max(id) - 50 FROM t)")
            db.execute("INSERT INTO t VALUES (NULL, ?)", (i,))
            db.execute("UPDATE n SET a = a + 1 WHERE rowid = ?", (i % 200 + 1,))
    thread = threading.Thread(target=write)
    thread.start()
    try:
        time.sleep(0.3)
        began = datetime.datetime.now(datetime.timezone.utc)
        time.sleep(0.3)         # what is written meanwhile is in the copy
        copy = sqlite3.connect(os.path.join(box.folder, "copy.db"))
        sqlite3.connect(path, timeout=20).backup(copy)
        time.sleep(0.3)
    finally:
        is_over.set()
        thread.join()
    until = "%s.%03dZ" % (began.strftime("%Y-%m-%dT%H:%M:%S"), began.microsecond // 1000)
    db.execute("INSERT INTO done VALUES (1)")
    box.wait_until(lambda: b'"table":"done","key"' in open(
        compared.audited.path, "rb").read(), timeout=60)
    box.stop(tail)
    name = box.path("copy.db")
    report = compared.verify("--until", until, database=name)
    expect(report["database"]["differ"] == 0 and report["database"]["rows"] > 300, "%s",
           report)
    expect(compared.verify(database=name, code=1)["findings"], "it is the newest state")
    kept = copy.execute("SELECT min(id) FROM t WHERE id % 7 = 6").fetchone()[0]
    copy.execute("UPDATE t SET a = -1 WHERE id = ?", (kept,))
    copy.execute("UPDATE n SET a = -1 WHERE rowid = 1")
    copy.commit()
    copy.close()
    found = told(compared.verify("--until", until, database=name, code=1)["findings"])
    # What the row without a key was is missing, too, unless it changed meanwhile.
    expect(("differs from the database", "t", '{"id": %d}' % kept, "a") in found and
           ("not in the log", "n", '{"rowid": 1}', "") in found and
           {f[1] for f in found if f[0] == "missing in the database"} <= {"n"} and
           len(found) <= 3, "%s", found)
    result = box.run("audit", "verify", compared.audited.path, "--until", until)
    expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)


# ---- other logs, and none ----

def test_what_cannot_be_compared(box):
    compared = all_kinds(box)
    log, path = compared.audited.path, compared.audited.database
    for words in (("audit", "history", log, "t", "1", "--database", path),
                  ("audit", "report", log, "--database", path),
                  (path, "--database", path),
                  ("audit", "verify", log, "--database", path,
                   "-D", "skipped.operations=u")):
        result = box.run(*words)
        expect(result.code == 2 and len(result.error_lines) == 1, "%s: %s", words, result)
    for words in (("audit", "verify", log, "--database", path + "-no"),
                  ("audit", "verify", log, "--database", box.folder),
                  ("audit", "verify", log, "--database", log)):
        result = box.run(*words)
        expect(result.code == 3 and len(result.error_lines) == 1, "%s: %s", words, result)
    result = box.run("audit", "verify", path, "--database", path)
    expect(result.code == 2, "%s", result)


def test_a_damaged_database_is_an_error_and_a_forged_log_a_finding(box):
    compared = all_kinds(box)
    path = compared.copy()
    db = sqlite3.connect(path)
    root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 't'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 200)
    result = box.run("audit", "verify", compared.audited.path, "--database", path)
    expect(result.code == 1 and "corrupt" in result.error_lines[-1], "%s", result)

    with open(compared.audited.path, "rb") as file:
        content = file.read()
    compared.audited.path = box.path("forged.audit")
    with open(compared.audited.path, "wb") as file:
        file.write(content.replace(b'"new":{"a":1,"b":3}', b'"new":{"a":1,"b":4}', 1))
    report = compared.verify(code=1)
    names = {f["finding"] for f in report["findings"]}
    expect("altered" in names and "not in the log" in names, "%s", report)


def test_the_database_is_left_as_it_is(box):
    """No file beside it is made, and none is written, also where there is a WAL."""
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    compared = Compared(box, path)
    compared.audited.once()
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")

    def look():
        return {name: (os.stat(box.path(name)).st_mtime_ns, os.stat(box.path(name)).st_size)
                for name in os.listdir(box.folder) if name.startswith("app.db")}
    before = look()
    expect("app.db-wal" in before, "%s", before)
    found = told(compared.verify(code=1)["findings"])
    expect(found == [("not in the log", "t", '{"id": 1}', "")], "%s", found)
    expect(look() == before, "%s", look())


def test_a_log_of_many_files(box):
    """Compressed ones, and what only a file told that is gone is a row without baseline."""
    turned = Turned(box)
    compared = Compared(box, turned.database)
    compared.audited = turned
    rows = len(turned.rows())
    expect(compared.equal()["rows"] == rows, "rows")
    db = sqlite3.connect(turned.database)
    db.execute("UPDATE t SET a = 'other' WHERE id = (SELECT min(id) FROM t)")
    db.commit()
    db.close()
    found = compared.verify(code=1)["findings"]
    expect([f["finding"] for f in found] == ["differs from the database"], "%s", found)
    turned.once()
    expect(compared.equal()["rows"] == rows, "rows that the next start told")
    for _, name in turned.files()[:-1]:
        os.remove(name)
    report = compared.verify(code=None)
    database = report["database"]
    expect(database["differ"] == 0 and database["without_baseline"] > 0 and
           database["rows"] + database["without_baseline"] == rows, "%s", report)

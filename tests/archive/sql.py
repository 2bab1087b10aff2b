"""rowtail sql on archives: what SQLite itself answers on the database as it was then."""

import base64
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import sqlite3
import subprocess

from harness import ltx
from harness.box import TESTS, expect

FIXTURE = os.path.join(TESTS, "archive", "fixtures", "litestream-0.5.18", "archive")
ENCODINGS = ("UTF-8", "UTF-16le", "UTF-16be")
QUERIES = (
    "SELECT * FROM t ORDER BY id",
    "SELECT id, length(v) n, typeof(v) FROM t WHERE k BETWEEN 20 AND 60 ORDER BY id",
    "SELECT k, count(*) c, total(id) FROM t GROUP BY k ORDER BY k DESC",
    "SELECT a.id x, b.id y FROM t a JOIN t b ON a.k = b.id ORDER BY 1, 2 LIMIT 50",
    "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY name",
    "PRAGMA integrity_check",
)


class History:
    """A database that changes, and its archive: a file for each change."""

    def __init__(self, box, page_size, encoding="UTF-8", journal="WAL", vacuum=0):
        self.path = box.path("source.db")
        self.archive = box.path("archive")
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.page_size = page_size
        self.pages = []
        self.txid = 0
        self.sql("PRAGMA page_size=%d" % page_size, "PRAGMA encoding='%s'" % encoding,
                 "PRAGMA auto_vacuum=%d" % vacuum, "PRAGMA journal_mode=" + journal)

    def sql(self, *statements):
        for statement in statements:
            self.db.execute(statement)

    def keep(self):
        """The database as it is becomes a state of the archive."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(self.path, "rb") as file:
            content = file.read()
        size = self.page_size
        pages = [content[i:i + size] for i in range(0, len(content), size)]
        changed = {n + 1: page for n, page in enumerate(pages)
                   if n >= len(self.pages) or self.pages[n] != page}
        self.txid += 1
        ltx.write(self.archive, 0 if self.txid > 1 else 9, self.txid, self.txid, size,
                  len(pages), changed)
        self.pages = pages

    def at(self, box, txid):
        """A connection to the state, restored."""
        out = box.path("restored-%d.db" % txid)
        done = box.run("restore", self.archive, out, "--at", "txid:%x" % txid)
        expect(done.code == 0, "restore: %s", done)
        return sqlite3.connect("file:%s?immutable=1" % out, uri=True)


def random_value(rng):
    return rng.choice((
        None, rng.randrange(-9, 9), rng.randrange(-2**63, 2**63), rng.random(),
        rng.uniform(-1e300, 1e300), 0.0, float("inf"), "", "text 'of' \"some\" kind",
        "umläut \U0001f600 " * rng.randrange(9), "line\nend\t\x01", b"",
        rng.randbytes(rng.randrange(300)), "x" * rng.randrange(3000)))


def change(history, rng):
    what = rng.randrange(12)
    if what == 0:
        history.sql("DELETE FROM t WHERE id % 3 = 1")
    elif what == 1:
        history.sql("VACUUM")
    elif what == 2:
        history.sql("DROP INDEX IF EXISTS t_k", "CREATE INDEX t_k ON t(k)")
    elif what == 3:
        history.sql("CREATE TABLE IF NOT EXISTS u(a PRIMARY KEY, b) WITHOUT ROWID",
                    "INSERT OR REPLACE INTO u VALUES(%d, 'b')" % rng.randrange(99))
    elif what < 6:
        history.sql("UPDATE t SET k = (k * 7) %% 90 WHERE id %% %d = 0"
                    % rng.randrange(2, 9))
    else:
        history.db.executemany("INSERT INTO t(k, v) VALUES(?, ?)", [
            (rng.randrange(90), random_value(rng)) for _ in range(rng.randrange(25))])


def as_json(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def answers(db, query):
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, map(as_json, row))) for row in cursor]


def ask(box, archive, query, *args, **more):
    done = box.run("sql", archive, query, *args, **more)
    expect(done.code == 0 and not done.err, "%s: %s", query, done)
    return done.out.decode()


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def compare(box, history, rng, query):
    txid = rng.randrange(1, history.txid + 1)
    db = history.at(box, txid)
    try:
        right = answers(db, query)
    finally:
        db.close()
        os.remove(box.path("restored-%d.db" % txid))
    got = rows_of(ask(box, history.archive, query, "--at", "txid:%x" % txid))
    expect(got == right, "txid %d, %s: %s instead of %s", txid, query, got[:5],
           right[:5])


def check_workload(box, seed, **of_database):
    rng = random.Random(seed)
    history = History(box, **of_database)
    history.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, v)")
    history.keep()
    for _ in range(25):
        for _ in range(rng.randrange(1, 4)):
            change(history, rng)
        history.keep()
    for query in QUERIES * 2:
        compare(box, history, rng, query)
    return len(QUERIES) * 2, None


def test_answers_on_a_database_in_wal_mode(box):
    return check_workload(box, 1, page_size=1024)


def test_answers_with_a_rollback_journal_and_utf_16(box):
    return check_workload(box, 2, page_size=512, encoding="UTF-16le", journal="DELETE",
                          vacuum=1)


def test_answers_with_utf_16_of_the_other_byte_order(box):
    return check_workload(box, 3, page_size=2048, encoding="UTF-16be", vacuum=2)


def test_answers_with_the_largest_pages(box):
    rng = random.Random(4)
    history = History(box, 65536)
    history.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, v)")
    history.keep()
    for _ in range(3):
        change(history, rng)
        history.keep()
    for query in QUERIES:
        compare(box, history, rng, query)


def test_moments_are_named_as_for_restore(box):
    history = History(box, 512)
    history.sql("CREATE TABLE t(a)")
    for n in range(1, 5):
        history.sql("INSERT INTO t VALUES(%d)" % n)
        history.keep()
    archive = history.archive
    for at, right in (("latest", 4), ("first", 1), ("lsn:1", 2), ("txid:3", 3),
                      ("1970-01-01T00:00:02.5Z", 2)):
        got = rows_of(ask(box, archive, "SELECT max(a) a FROM t", "--at", at))
        expect(got == [{"a": right}], "%s: %s", at, got)
    expect(rows_of(ask(box, "file:" + archive, "SELECT max(a) a FROM t"))
           == [{"a": 4}], "the newest")
    done = box.run("sql", archive, "SELECT 1", "--at", "txid:9")
    expect(done.code == 2 and "the nearest that it has is txid:4" in
           done.error_lines[0], "%s", done)


def test_an_empty_database(box):
    archive = box.path("archive")
    ltx.write(archive, 9, 1, 1, 512, 0, {})
    expect(ask(box, archive, "SELECT * FROM sqlite_schema") == "", "rows")
    expect(rows_of(ask(box, archive, "SELECT 1 a")) == [{"a": 1}], "a constant")


VALUES = ("SELECT 1 AS a, 2 AS a, 3 AS \"a:1\", 4.0 AS a, NULL AS n, '' AS e,"
          " x'00ff' AS b, 'x\"y, z' AS t, 0.1 + 0.2 AS r, -9e999 AS i,"
          " CAST(x'41ff42' AS TEXT) AS bad, 'a' || char(27, 10) || 'b' AS c")


def test_formats(box):
    out = ask(box, FIXTURE, VALUES, "--format=json")
    expect(out == '{"a":1,"a:2":2,"a:1":3,"a:3":4.0,"n":null,"e":"","b":"AP8=",'
           '"t":"x\\"y, z","r":0.30000000000000004,"i":"-Infinity",'
           '"bad":"A\ufffdB","c":"a\\u001b\\nb"}\n', "%s", out)
    expect(ask(box, FIXTURE, VALUES) == out, "a pipe gets JSON")
    out = ask(box, FIXTURE, VALUES, "--format", "csv")
    expect(out == 'a,a:2,a:1,a:3,n,e,b,t,r,i,bad,c\n1,2,3,4.0,,"",AP8=,"x""y, z",'
           '0.30000000000000004,-Infinity,A\ufffdB,"a\x1b\nb"\n', "%s", out)
    out = ask(box, FIXTURE, "SELECT 7 AS number, 'äö' AS text UNION ALL"
              " SELECT 1234567890, NULL UNION ALL SELECT x'00', char(27) || '[2J'",
              "--format=table")
    expect(out == "    number  text\n"[4:] .replace("number", "number    ") +
           "----------  ----\n         7  äö\n1234567890  NULL\nAA==        ?[2J\n",
           "%s", out)
    expect(ask(box, FIXTURE, "SELECT 1 AS x WHERE 0", "--format=table") == "x\n-\n",
           "a table without rows")
    expect(ask(box, FIXTURE, "SELECT 1 AS x WHERE 0", "--format=csv") == "x\n",
           "CSV without rows")


def test_a_table_that_is_longer_than_what_lays_it_out(box):
    out = ask(box, FIXTURE, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i * 2"
              " FROM n LIMIT 61), m(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM m"
              " LIMIT 10) SELECT i, 'end' e FROM n, m ORDER BY i", "--format=table")
    lines = out.splitlines()
    expect(len(lines) == 612 and lines[0].split() == ["i", "e"], "%s", lines[:3])
    expect([line.split() for line in lines[2:]] ==
           [[str(2 ** (n // 10)), "end"] for n in range(610)], "the rows")


def test_a_terminal_gets_a_table(box):
    master, slave = pty.openpty()
    process = subprocess.Popen(box.command("sql", FIXTURE, "SELECT 1 AS one"),
                               stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    err = process.communicate(timeout=30 * box.slow)[1]
    out = b""
    while select.select([master], [], [], 0)[0]:
        try:
            out += os.read(master, 1000)
        except OSError:
            break
    os.close(master)
    expect(process.returncode == 0 and out.split() == [b"one", b"---", b"1"],
           "%r %r", out, err)


def test_what_writes_is_refused(box):
    archive = box.path("archive")
    shutil.copytree(FIXTURE, archive)
    before = sorted((root, names) for root, _, names in os.walk(box.folder))
    for sql, part in (
            ("INSERT INTO t VALUES(99, 1)", "would write"),
            ("UPDATE t SET v = 1", "would write"),
            ("DELETE FROM t RETURNING id", "would write"),
            ("CREATE TEMP TABLE x(a)", "would write"),
            ("DROP TABLE t", "would write"),
            ("VACUUM", "would write"),
            ("VACUUM INTO 'copy.db'", "would write"),
            ("REINDEX", "give a SELECT"),
            ("PRAGMA wal_checkpoint", "would write"),
            ("PRAGMA journal_mode=DELETE", "not allowed here"),
            ("PRAGMA user_version=7", "not allowed here"),
            ("PRAGMA temp_store_directory='/'", "not allowed here"),
            ("PRAGMA writable_schema=1", "not allowed here"),
            ("ATTACH 'other.db' AS o", "not allowed here"),
            ("ATTACH 'file:other.db?vfs=unix' AS o", "not allowed here"),
            ("DETACH main", "not allowed here"),
            ("BEGIN IMMEDIATE", "give a SELECT"),
            ("SAVEPOINT s", "returns no rows"),
            ("SELECT load_extension('x')", "not authorized"),
            ("SELECT readfile('/etc/passwd')", "no such function"),
            ("SELECT writefile('x', 'y')", "no such function"),
            ("SELECT edit('x')", "no such function"),
            ("SELECT fts3_tokenizer('simple', x'00')", "")):
        done = box.run("sql", archive, sql, cwd=box.folder)
        expect(done.code in (1, 2) and not done.out and len(done.error_lines) == 1
               and part in done.error_lines[0], "%s: %s", sql, done)
    after = sorted((root, names) for root, _, names in os.walk(box.folder))
    expect(before == after, "files were made: %s", after)


def test_one_statement(box):
    for sql in ("SELECT 1 AS a;", " SELECT 1 AS a ; -- and no more\n",
                "/* first */ SELECT 1 AS a;;; /* last */"):
        expect(rows_of(ask(box, FIXTURE, sql)) == [{"a": 1}], "%s", sql)
    for sql, part in (("SELECT 1; SELECT 2", "more than one statement"),
                      ("SELECT 1; x", "more than one statement"),
                      ("SELECT 1; PRAGMA user_version=1", "more than one statement"),
                      ("", "no statement given"), (" ; ", "no statement given"),
                      ("SELECT * FROM absent", "SQLite: no such table: absent"),
                      ("SELEC", 'SQLite: near "SELEC": syntax error'),
                      ("SELECT '\x1b", "SQLite: unrecognized token")):
        done = box.run("sql", FIXTURE, sql)
        expect(done.code == 2 and not done.out and len(done.error_lines) == 1
               and part in done.error_lines[0] and "\x1b" not in done.error_lines[0],
               "%s: %s", sql, done)
    done = box.run("sql", FIXTURE, "SELECT abs(-9223372036854775807 - 1)")
    expect(done.code == 1 and "integer overflow" in done.error_lines[0], "%s", done)
    done = box.run("sql", FIXTURE, "SELECT 1 AS a UNION ALL SELECT abs(v) FROM ("
                   "SELECT -9223372036854775807 - 1 AS v)")
    expect(done.code == 1 and done.out == b'{"a":1}\n', "what came before: %s", done)


def test_a_statement_from_stdin(box):
    read, write = os.pipe()
    os.write(write, b"SELECT 'from stdin'\n AS a;\n")
    os.close(write)
    done = box.run("sql", FIXTURE, "-", stdin=read)
    os.close(read)
    expect(done.code == 0 and done.out == b'{"a":"from stdin"}\n', "%s", done)


def test_usage(box):
    for args, part in (
            (("sql",), "too few words: rowtail sql "),
            (("sql", FIXTURE), "(a database of that name is ./sql)"),
            (("sql", FIXTURE, "SELECT 1", "2"), "unexpected 2"),
            (("sql", FIXTURE, "SELECT 1", "--format=xml"), "must be json, csv or table"),
            (("sql", FIXTURE, "SELECT 1", "--at", "x"), "--at x: must be latest, first"),
            (("sql", box.path("none"), "SELECT 1"), "none: no such file; give an"),
            (("sql", __file__ + "/none", "SELECT 1"), "none: no such file; give an"),
            (("restore", "a", "b", "--format=csv"), "--format goes with rowtail sql")):
        done = box.run(*args)
        expect(done.code == 2 and len(done.error_lines) == 1 and
               part in done.error_lines[0], "%s: %s", args, done)


def test_what_cannot_be_looked_at_is_no_archive(box):
    done = box.run("sql", "x" * 300, "SELECT 1")
    expect(done.code == 1 and len(done.error_lines) == 1 and
           "x cannot be looked at: File name too long" in done.error_lines[0], "%s", done)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


def test_a_reader_that_goes_away_is_no_error(box):
    process = subprocess.Popen(box.command("sql", FIXTURE, ENDLESS + "SELECT i FROM n"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(process.stdout.readline() == b'{"i":1}\n', "the first row")
    process.stdout.close()
    err = process.stderr.read()
    expect(process.wait(30 * box.slow) == 0 and not err, "%r", err)


def test_a_signal_ends_a_query(box):
    for sig in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            box.command("sql", FIXTURE, ENDLESS + "SELECT count(*) FROM n"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        box.wait_until(lambda: "rowtail" in status_of(process), 20)
        process.send_signal(sig)
        out, err = process.communicate(timeout=30 * box.slow)
        expect(process.returncode == 1 and not out and b"interrupted" in err,
               "exit %s: %r", process.returncode, err)


def status_of(process):
    """Once its handlers are there."""
    with open("/proc/%d/status" % process.pid, encoding="utf-8") as file:
        text = file.read()
    caught = int(re.search(r"SigCgt:\s*(\w+)", text).group(1), 16)
    return text if caught >> (signal.SIGTERM - 1) & 1 else ""


def test_an_unknown_collation_is_an_error_and_no_wrong_order(box):
    history = History(box, 1024)
    history.db.create_collation("mine", lambda a, b: (a > b) - (a < b))
    history.sql("CREATE TABLE t(a TEXT COLLATE mine)", "INSERT INTO t VALUES('x')")
    history.keep()
    expect(rows_of(ask(box, history.archive, "SELECT a FROM t")) == [{"a": "x"}],
           "without an order")
    done = box.run("sql", history.archive, "SELECT a FROM t ORDER BY a")
    expect(done.code == 2 and "no such collation sequence: mine" in
           done.error_lines[0], "%s", done)


def test_thousands_of_files_with_few_descriptors(box):
    history = History(box, 512)
    history.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    history.db.executemany("INSERT INTO t(v) VALUES(?)", [("x" * 300,)] * 300)
    history.keep()
    for n in range(1, 301):
        history.sql("UPDATE t SET v = %d || substr(v, 4) WHERE id = %d" % (n, n))
        history.keep()

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (28, 28))
    got = rows_of(ask(box, history.archive, "SELECT sum(CAST(v AS INT)) s FROM t",
                      preexec=limit, timeout=60))
    expect(got == [{"s": 300 * 301 // 2}], "%s", got)


def test_hostile_archives(box):
    """Whatever is changed in a file: an answer or one line, and no crash."""
    rng = random.Random(5)
    archive = box.path("archive")
    answered = refused = 0
    for n in range(90):
        shutil.copytree(FIXTURE, archive)
        paths = sorted(os.path.join(root, name) for root, _, names in
                       os.walk(os.path.join(archive, "ltx")) for name in names)
        path = rng.choice(paths)
        with open(path, "r+b") as file:
            content = bytearray(file.read())
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(content) if n % 2 else 100)
                content[-1 - at if n % 3 == 0 else at] = rng.randrange(256)
            if n % 7 == 0:
                del content[rng.randrange(len(content)):]
            file.seek(0)
            file.truncate()
            file.write(content)
        for at in ("latest", "txid:3"):
            done = box.run("sql", archive, "SELECT * FROM t, _litestream_seq",
                           "--at", at)
            expect(done.code in (0, 1, 2) and len(done.error_lines) == (done.code > 0),
                   "%s: %s", path, done)
            answered += done.code == 0
            refused += done.code == 1
        shutil.rmtree(archive)
    expect(answered > 10 and refused > 10, "%d and %d", answered, refused)


def test_a_file_that_vanishes_is_named_or_replaced(box):
    """A gap is an error as for a restore."""
    archive = box.path("archive")
    shutil.copytree(FIXTURE, archive)
    for level in "19":
        shutil.rmtree(os.path.join(archive, "ltx", level))
    os.remove(ltx.path_of(archive, 0, 3, 3))
    done = box.run("sql", archive, "SELECT 1", "--at", "latest")
    expect(done.code == 1 and "files are missing between" in done.error_lines[0],
           "%s", done)


for test in (test_answers_on_a_database_in_wal_mode, test_hostile_archives,
             test_answers_with_a_rollback_journal_and_utf_16,
             test_answers_with_utf_16_of_the_other_byte_order):
    test.timeout = 200

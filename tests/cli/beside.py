"""What others do to the database meanwhile: checkpoints, kills, copies, replacement."""

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

from harness.box import Failed, expect
from harness.events import parse_line
from harness.model import Model
from harness.state import read_state

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
COUNTER = ["CREATE TABLE counter(id INTEGER PRIMARY KEY, n INT)",
           "INSERT INTO counter VALUES (1, 0)"]


def digest(path):
    with open(path, "rb") as source:
        return hashlib.sha256(source.read()).hexdigest()


def wal_restarts(path):
    """The checkpoint sequence number in the header of the WAL."""
    with open(path + "-wal", "rb") as wal:
        return int.from_bytes(wal.read(16)[12:], "big")


def apply_all(tail, model, quiet=0.5):
    while tail.wait_lines(1, quiet):
        for line in tail.take_all():
            model.apply_line(line)


def test_explicit_checkpoints_with_a_timeout_succeed(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    writer.sql("c", "PRAGMA busy_timeout=5000")
    for i in range(20):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % i)
        for mode in ("FULL", "RESTART", "TRUNCATE"):
            busy = writer.sql("c", "PRAGMA wal_checkpoint(%s)" % mode)[0][0]
            expect(busy == 0, "%s: BUSY", mode)
    expect(tail.wait_lines(20), "%d events of 20", tail.available())
    box.stop(tail)


def test_ordinary_reads_and_writes_never_see_busy(box):
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA busy_timeout=0", "PRAGMA synchronous=NORMAL")
    tail = box.tail(path)
    steps = []
    for i in range(600):
        steps += [("x", "INSERT INTO t VALUES (%d, 'x')" % i),
                  ("x", "SELECT count(*) FROM t"), ("sleep", 0.001)]
    problems = [r for r in writer.run("c", steps) if isinstance(r, str)]
    expect(not problems, "%d errors: %s", len(problems), problems[:2])
    expect(tail.wait_lines(600), "%d events of 600", tail.available())
    box.stop(tail)


def test_exclusive_mode_is_refused_while_it_follows(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    writer.sql("c", "PRAGMA busy_timeout=0", "PRAGMA locking_mode=EXCLUSIVE")
    result = writer.run("c", [("x", "INSERT INTO t VALUES (1, 1)")])[0]
    expect(isinstance(result, str) and "locked" in result, "%r", result)
    writer.close_connection("c")
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    expect(tail.wait_lines(1) and b'"id":2' in tail.peek(), "no event")
    box.stop(tail)


def test_leaving_wal_mode_is_refused_while_it_follows(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    result = writer.run("c", [("x", "PRAGMA busy_timeout=0"),
                              ("x", "PRAGMA journal_mode=DELETE")])[1]
    expect(isinstance(result, str) or result[0][0] == "wal", "%r", result)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def test_a_paced_writers_wal_stays_small(box):
    """Near SQLite's own auto-checkpoint size: 1000 pages of 4 KiB."""
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA synchronous=NORMAL")
    tail = box.tail(path)
    peak = 0
    for i in range(300):
        writer.run("c", [("x", "INSERT INTO t(a) VALUES (randomblob(3000))"),
                         ("sleep", 0.001)] * 20)
        peak = max(peak, os.path.getsize(path + "-wal"))
    expect(tail.wait_lines(6000), "%d events of 6000", tail.available())
    # How short, `make bench` tells: on a busy disk it may grow before it is restarted.
    restarts = wal_restarts(path)
    expect(restarts > 0, "it was never restarted, and grew to %d KiB", peak >> 10)
    box.stop(tail)
    return 1, "WAL peak %d KiB with a paced writer" % (peak >> 10)


test_a_paced_writers_wal_stays_small.timeout = 120


def test_a_stopped_program_misses_nothing(box):
    """SIGSTOP for a while: locks are kept, so nothing can be overwritten."""
    writer, path = box.database(*COUNTER)
    writer.sql("c", "PRAGMA synchronous=OFF")
    model = Model(read_state(path))
    tail = box.tail(path)
    for round_ in range(4):
        tail.process.send_signal(signal.SIGSTOP)
        steps = [("x", "UPDATE counter SET n = n + 1")] * 800
        steps += [("x", "PRAGMA wal_checkpoint(PASSIVE)")]
        problems = [r for r in writer.run("c", steps) if isinstance(r, str)]
        expect(not problems, "%s", problems[:2])
        tail.process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    expect(tail.wait_lines(3200), "%d events of 3200", tail.available())
    apply_all(tail, model, 0.2)
    model.compare(read_state(path))
    box.stop(tail)


def test_a_backfill_that_leaves_out_a_page_is_not_taken_for_one_of_it(box):
    """A checkpoint that must stop before the newest frame of a page copies no older one
    either, and counts both as done up to where it stopped."""
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA wal_autocheckpoint=0", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM"
               " n WHERE i < 6000) SELECT i, hex(zeroblob(1500)) FROM n")
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    model = Model(read_state(path))
    tail = box.tail(path)
    writer.open("reader", path)
    writer.sql("reader", "BEGIN", "SELECT count(*) FROM t")
    writer.sql("c", "UPDATE t SET a = 'y' || a")
    expect(tail.wait_lines(6000, 20), "%d events of 6000", tail.available())
    apply_all(tail, model)
    time.sleep(0.5)
    for _ in range(50):  # not while it is at a checkpoint of its own
        tail.process.send_signal(signal.SIGSTOP)
        if writer.sql("c", "PRAGMA wal_checkpoint(PASSIVE)")[0][0] == 0:
            break
        tail.process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    writer.sql("reader", "COMMIT")
    writer.sql("c", "UPDATE t SET a = 'z' || a WHERE id % 1000 = 0")
    backfill = writer.sql("c", "PRAGMA wal_checkpoint(PASSIVE)")[0]
    expect(5000 < backfill[2] < backfill[1], "no such backfill: %r", backfill)
    tail.process.send_signal(signal.SIGCONT)
    expect(tail.wait_lines(6), "%d events of 6", tail.available())
    apply_all(tail, model)
    model.compare(read_state(path))
    box.stop(tail)


KILLED = """
import sqlite3, sys, random
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("PRAGMA synchronous=OFF")
db.execute("PRAGMA cache_size=%d" % (5 if sys.argv[2] == "spill" else -2000))
db.execute("PRAGMA wal_autocheckpoint=%s" % sys.argv[3])
while True:
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE counter SET n = n + 1")
    if sys.argv[2] == "spill":
        db.execute("UPDATE filler SET v = randomblob(400) WHERE id % 9 = abs(random()) % 9")
    db.execute("COMMIT")
"""


def test_killed_writers_cost_nothing(box):
    """kill -9 at any instruction, over and over."""
    filler = ["CREATE TABLE filler(id INTEGER PRIMARY KEY, v)",
              "INSERT INTO filler WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
              " i + 1 FROM n WHERE i < 200) SELECT i, randomblob(400) FROM n"]
    writer, path = box.database("PRAGMA page_size=1024", *(COUNTER + filler))
    model = Model(read_state(path))
    tail = box.tail(path)
    rng = random.Random(3)
    for i in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, path, rng.choice(["spill", "plain"]),
             rng.choice(["1000", "20", "0"])])
        time.sleep(0.06 + rng.random() * 0.06)
        process.kill()
        process.wait()
        if i % 4 == 3:
            writer.close_connection("c")
            writer.open("c", path)
            writer.sql("c", "UPDATE counter SET n = n + 1")
    apply_all(tail, model, 1.0)
    model.compare(read_state(path))
    numbers = model.tables["counter"]
    expect(list(numbers.values())[0][1] > 200, "only %s commits", numbers)
    box.stop(tail)
    return 1, "%d events beside 40 killed writers" % model.events


test_killed_writers_cost_nothing.timeout = 120


def test_two_programs_on_one_database_miss_nothing(box):
    writer, path = box.database(*COUNTER)
    writer.sql("c", "PRAGMA synchronous=OFF")
    model_a, model_b = Model(read_state(path)), Model(read_state(path))
    a, b = box.tail(path), box.tail(path)
    for i in range(10):
        writer.run("c", [("x", "UPDATE counter SET n = n + 1")] * 300)
        writer.run("c", [("x", "PRAGMA wal_checkpoint(PASSIVE)")])
        time.sleep(0.02)
    for tail in (a, b):
        expect(tail.wait_lines(3000), "%d events of 3000", tail.available())
    size = os.path.getsize(path + "-wal")
    apply_all(a, model_a, 0.2)
    apply_all(b, model_b, 0.2)
    box.stop(a)
    writer.sql("c", "UPDATE counter SET n = n + 1")
    apply_all(b, model_b, 1.0)
    model_b.compare(read_state(path))
    box.stop(b)
    return 1, "WAL %d KiB at the end with two programs" % (size >> 10)


LITESTREAM = """
import sqlite3, sys, time
path = sys.argv[1]
db = sqlite3.connect(path, isolation_level=None, timeout=5)
held = sqlite3.connect(path, isolation_level=None, timeout=5)
while True:
    held.execute("BEGIN")
    held.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    time.sleep(0.05)
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    held.execute("COMMIT")
    db.execute("PRAGMA busy_timeout=%d" % 200)
    db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    time.sleep(0.01)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
"""


def test_beside_a_process_that_holds_reads_and_checkpoints(box):
    writer, path = box.database(*COUNTER)
    writer.sql("c", "PRAGMA synchronous=OFF", "PRAGMA wal_autocheckpoint=0")
    model = Model(read_state(path))
    tail = box.tail(path)
    other = subprocess.Popen([sys.executable, "-c", LITESTREAM, path])
    try:
        for i in range(60):
            problems = [r for r in writer.run(
                "c", [("x", "UPDATE counter SET n = n + 1")] * 50) if isinstance(r, str)]
            expect(not problems, "%s", problems[:2])
            time.sleep(0.02)
    finally:
        other.kill()
        other.wait()
    expect(tail.wait_lines(3000), "%d events of 3000", tail.available())
    apply_all(tail, model, 0.3)
    model.compare(read_state(path))
    box.stop(tail)


def test_a_program_that_opens_writes_and_closes_in_a_loop(box):
    """As shell scripts do; nobody else has the database open in between."""
    writer, path = box.database(*COUNTER)
    writer.close()
    model = Model(read_state(path))
    tail = box.tail(path)
    script = ("import sqlite3, sys\n"
              "for i in range(%d):\n"
              "    db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)\n"
              "    db.execute('UPDATE counter SET n = n + 1')\n"
              "    db.close()\n")
    for count in (300, 1, 1, 200):
        subprocess.run([sys.executable, "-c", script % count, path], check=True)
        time.sleep(0.2)
    expect(tail.wait_lines(502), "%d events of 502", tail.available())
    apply_all(tail, model, 0.3)
    model.compare(read_state(path))
    box.stop(tail)


def only_opener(box, rows=200):
    """Writes, closes all, and waits until rowtail is alone and the WAL is cut."""
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    for i in range(rows):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'row')" % i)
    expect(tail.wait_lines(rows), "no events")
    tail.take_all()
    writer.close()
    wal = path + "-wal"
    box.wait_until(lambda: not os.path.exists(wal) or os.path.getsize(wal) == 0, 5,
                   "the WAL was not cut")
    return tail, path


def test_a_copy_while_it_is_alone_is_complete(box):
    tail, path = only_opener(box)
    copy = box.path("copy.db")
    subprocess.run(["cp", path, copy], check=True)
    db = sqlite3.connect(copy)
    count = db.execute("SELECT count(*) FROM t").fetchone()[0]
    answer = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    expect(count == 200 and answer == "ok", "%d rows of 200, %s", count, answer)
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (9999, 'later')")
    expect(tail.wait_lines(1) and b"9999" in tail.peek(), "no event after the copy")
    box.stop(tail)


def backup(box, rows, name="backup.db"):
    other = box.path(name)
    db = sqlite3.connect(other, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(TABLE)
    db.execute("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
               " FROM n WHERE i < %d) SELECT i, 'backup ' || i FROM n" % rows)
    db.close()
    return other


def test_a_copy_over_it_while_it_is_alone_is_safe(box):
    for rows in (20000, 3):
        tail, path = only_opener(box)
        other = backup(box, rows)
        subprocess.run(["cp", other, path], check=True)
        want = digest(other)
        code = tail.wait_exit(8)
        expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
        errors = [e for e in tail.errors if not e.startswith("rowtail: following")]
        expect(len(errors) == 1 and "app.db" in errors[0], "stderr: %s", errors)
        expect(not tail.available(), "events: %r", list(tail.lines)[:2])
        for suffix in ("-wal", "-shm"):
            expect(not os.path.exists(path + suffix)
                   or suffix == "-shm" or os.path.getsize(path + suffix) == 0,
                   "%s is left", suffix)
        expect(digest(path) == want, "the copied file was changed")
        db = sqlite3.connect(path)
        count = db.execute("SELECT count(*) FROM t").fetchone()[0]
        answer = db.execute("PRAGMA integrity_check").fetchone()[0]
        db.close()
        expect(count == rows and answer == "ok", "%d rows, %s", count, answer)
        for name in os.listdir(box.folder):
            os.unlink(box.path(name))


def test_an_application_opens_the_copied_file_at_once(box):
    """The wal-index must not remember the old file's size."""
    tail, path = only_opener(box)
    other = backup(box, 20000)
    subprocess.run(["cp", other, path], check=True)
    db = sqlite3.connect(path, timeout=5)
    count = db.execute("SELECT count(*) FROM t").fetchone()[0]
    answer = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    expect(count == 20000 and answer == "ok", "%d rows, %s", count, answer)
    tail.stop()


def test_replaced_by_rename_is_told_and_nothing_is_touched(box):
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA wal_autocheckpoint=0")
    tail = box.tail(path)
    for i in range(50):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'old')" % i)
    expect(tail.wait_lines(50), "no events")
    other = backup(box, 500)
    want = digest(other)
    os.rename(other, path)
    code = tail.wait_exit(8)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    errors = [e for e in tail.errors if not e.startswith("rowtail: following")]
    expect(len(errors) == 1 and "app.db" in errors[0], "stderr: %s", errors)
    expect("replace" in errors[0] or "moved" in errors[0] or "renam" in errors[0],
           "stderr: %s", errors)
    expect(digest(path) == want, "the new file was changed")


def test_replaced_beside_a_writer_its_commits_stay_in_the_wal(box):
    """A checkpoint of ours would move the application's commits into the unlinked
    file and remove them from the WAL."""
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA wal_autocheckpoint=0")
    tail = box.tail(path)
    other = backup(box, 500)
    want = digest(other)
    os.rename(other, path)
    problems = [r for r in writer.run("c", [
        ("x", "INSERT INTO t VALUES (%d, 'after the rename')" % i)
        for i in range(1000, 1050)]) if isinstance(r, str)]
    size = os.path.getsize(path + "-wal")
    code = tail.wait_exit(8)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    expect(os.path.exists(path + "-wal") and os.path.getsize(path + "-wal") >= size,
           "the application's WAL was cut (%d commits failed)", len(problems))
    rows = writer.sql("c", "SELECT count(*) FROM t")
    expect(rows == [(50 - len(problems),)], "%r rows", rows)
    expect(digest(path) == want, "the new file was changed")


def test_a_deleted_database_is_told(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    os.unlink(path)
    code = tail.wait_exit(8)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    errors = [e for e in tail.errors if not e.startswith("rowtail: following")]
    expect(len(errors) == 1 and "app.db" in errors[0], "stderr: %s", errors)
    expect(not os.path.exists(path), "it made the file again")


def test_a_corrupt_page_met_while_following_is_told(box):
    """A leaf of the table is overwritten in the file; the writer still has it in its
    cache and updates a row on it."""
    writer, path = box.database(
        "PRAGMA page_size=1024", "CREATE TABLE victim(id INTEGER PRIMARY KEY, a)",
        "INSERT INTO victim WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM"
        " n WHERE i < 300) SELECT i, 'row ' || i || '" + "x" * 60 + "' FROM n")
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)", "SELECT * FROM victim")
    page = writer.sql("c", "SELECT pageno FROM dbstat WHERE name = 'victim' AND"
                           " pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 5")[0][0]
    writer.sql("c", "SELECT * FROM victim")
    spoil = ("import os,sys; f=os.open(sys.argv[1], os.O_WRONLY);"
             "os.pwrite(f, b'\\xee' * 1024, %d)" % ((page - 1) * 1024))
    subprocess.run([sys.executable, "-c", spoil, path], check=True)
    tail = box.tail(path)
    results = writer.run("c", [("x", "UPDATE victim SET a = a || '!'")])
    if isinstance(results[0], str):
        raise Failed("the writer itself stumbled: %s" % results[0])
    code = tail.wait_exit(8)
    expect(code == 1, "exit %s; stderr:\n%s", code, tail.error_text())
    errors = [e for e in tail.errors if not e.startswith("rowtail: following")]
    expect(len(errors) == 1 and "victim" in errors[0] and str(page) in errors[0],
           "the error does not name page %d and table victim: %s", page, errors)
    for line in tail.take_all():
        value = parse_line(line)
        good = "row %d%s" % (value["before"]["id"], "x" * 60)
        expect(value["before"]["a"] == good and value["after"]["a"] == good + "!",
               "a wrong event: %r", line[:300])


def test_the_last_to_close_leaves_a_complete_file_and_an_empty_wal(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    writer.close()
    box.stop_with_empty_wal(tail, path)
    os.mkdir(box.path("copy"))
    subprocess.run(["cp", path, box.path("copy")], check=True)
    db = sqlite3.connect(box.path("copy/app.db"))
    expect(db.execute("SELECT count(*) FROM t").fetchone() == (1,), "no row in the copy")
    db.close()
    db = sqlite3.connect(path)  # the application's last close removes what it always does
    expect(db.execute("SELECT count(*) FROM t").fetchone() == (1,), "no row")
    db.close()
    expect(sorted(os.listdir(box.folder)) == ["app.db", "copy"], "files: %s",
           os.listdir(box.folder))


def test_it_opens_the_database_first_and_an_application_comes_later(box):
    writer, path = box.database(TABLE)
    writer.close()
    tail = box.tail(path)
    mode = os.stat(path + "-shm").st_mode & 0o777
    expect(mode == os.stat(path).st_mode & 0o777, "-shm has mode %o", mode)
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def test_nothing_of_the_databases_content_is_changed(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    writer.close()
    want = digest(path)
    tail = box.tail(path, "--snapshot")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    expect(digest(path) == want, "the file was changed by following it")



"""What happens to the database and the disk while rowtail follows with a directory."""

import os
import resource
import signal
import subprocess
import sys
import time

from harness.box import expect
from state.consumer import Session, each_alone, one_catch_up, summary

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def many(first, last, text="row"):
    return ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1"
            " FROM n WHERE i < %d) SELECT i, '%s ' || i FROM n" % (first, last, text))


def another(box, name, *statements):
    """A closed database in WAL mode, to be put in the place of the followed one."""
    writer = box.writer()
    writer.open("c", box.path(name), pragmas=["PRAGMA page_size=4096"])
    first = [s for s in statements if s.startswith(("PRAGMA", "VACUUM"))]
    writer.sql("c", *first, "PRAGMA journal_mode=WAL", *statements[len(first):])
    writer.close()
    return box.path(name)


def followed(box, *statements):
    writer, path = box.database(TABLE, many(1, 100), *statements)
    session = Session(box, path)
    run = session.start()
    run.wait(100)
    return writer, session, run


def goes_on(box, session, run, seen):
    """The new file is followed: single commits come one by one."""
    writer = box.writer()
    writer.open("c", session.path)
    writer.sql("c", "INSERT INTO t VALUES (5001, 'x')", "DELETE FROM t WHERE id = 5001")
    events = run.wait(seen + 2)[seen:]
    expect(summary(events) == [("c", 5001), ("d", 5001)], "%s", summary(events))
    each_alone(events)
    run.stop()
    session.matches()
    writer.close()
    expect(not session.once(), "something comes after the end")


def caught_up(run, count):
    """What has come behind the snapshot, `count` events at least, in this very run."""
    events = run.wait(100 + count)[100:]
    said = [e for e in run.tail.errors if "opening it again" in e]
    expect(len(said) == 1, "%s", run.tail.errors)
    return events


def wait_alone(box, session, writer):
    """Until the WAL is cut: what lies in it would get into the file that comes."""
    writer.close()
    box.wait_until(lambda: not os.path.exists(session.path + "-wal")
                   or os.path.getsize(session.path + "-wal") == 0, 5,
                   "the WAL was not cut")


def test_replaced_by_rename(box):
    """The application is stopped, another file comes in its place."""
    writer, session, run = followed(box)
    wait_alone(box, session, writer)
    other = another(box, "other.db", TABLE, many(2, 103), "UPDATE t SET a = 'x' WHERE"
                    " id = 50")
    os.rename(other, session.path)
    events = caught_up(run, 5)
    expect(summary(events) == [("d", 1), ("u", 50), ("c", 101), ("c", 102), ("c", 103)],
           "%s", summary(events))
    one_catch_up(events)
    goes_on(box, session, run, 100 + len(events))


def test_replaced_by_rename_beside_a_writer(box):
    """What the application still writes into the unlinked file belongs to nobody, nor
    does its WAL, which SQLite would take for that of the new file."""
    writer, session, run = followed(box)
    other = another(box, "other.db", TABLE, many(1, 99))
    os.rename(other, session.path)
    with open(session.path, "rb") as source:
        new = source.read()
    writer.run("c", [("x", "INSERT INTO t VALUES (900, 'into the old file')")])
    time.sleep(2)
    expect(run.tail.process.poll() is None, "%s", run.tail.error_text())
    expect(len(run.pull()) == 100, "%s", summary(run.pull()[100:]))
    writer.close()
    for suffix in ("-wal", "-shm"):
        if os.path.exists(session.path + suffix):
            os.unlink(session.path + suffix)
    events = caught_up(run, 1)
    expect(summary(events) == [("d", 100)], "%s", summary(events))
    with open(session.path, "rb") as source:
        expect(source.read() == new, "the new file was written to")
    run.stop()
    session.matches()


def test_copied_over_while_it_is_alone(box):
    """As `cp backup.db app.db` does; docs/limits.md says to wait two seconds before."""
    writer, session, run = followed(box)
    wait_alone(box, session, writer)
    other = another(box, "other.db", TABLE, many(1, 3000), "DELETE FROM t WHERE id = 7")
    subprocess.run(["cp", other, session.path], check=True)
    events = caught_up(run, 2901)
    expect(len(events) == 2901 and summary(events)[0] == ("d", 7), "%s",
           summary(events))
    one_catch_up(events)
    goes_on(box, session, run, 100 + len(events))


def test_replaced_by_one_of_another_page_size(box):
    writer, session, run = followed(box)
    wait_alone(box, session, writer)
    other = another(box, "other.db", "PRAGMA page_size=1024", "VACUUM", TABLE,
                    many(1, 101), "DELETE FROM t WHERE id = 7")
    with open(other, "rb") as source:
        expect(source.read(18)[16:] == b"\x04\x00", "it has other pages")
    os.rename(other, session.path)
    events = caught_up(run, 2)
    expect(summary(events) == [("d", 7), ("c", 101)], "%s", summary(events))
    one_catch_up(events)
    goes_on(box, session, run, 100 + len(events))


def test_copied_over_slowly(box):
    """Half a copy is no database: nothing may come of it."""
    writer, session, run = followed(box)
    wait_alone(box, session, writer)
    other = another(box, "other.db", TABLE, many(1, 3000), "DELETE FROM t WHERE id = 7")
    script = ("import sys, time\n"
              "data = open(sys.argv[1], 'rb').read()\n"
              "with open(sys.argv[2], 'wb', 0) as out:\n"
              "    for i in range(0, len(data), 8192):\n"
              "        out.write(data[i:i + 8192])\n"
              "        time.sleep(0.05)\n")
    subprocess.run([sys.executable, "-c", script, other, session.path], check=True)
    events = caught_up(run, 2901)
    expect(len(events) == 2901, "%s", summary(events))
    one_catch_up(events)
    goes_on(box, session, run, 100 + len(events))


def test_removed(box):
    """It ends and says so; put back, it goes on."""
    writer, session, run = followed(box)
    writer.sql("c", "INSERT INTO t VALUES (101, 'x')")
    run.wait(101)
    writer.close()
    os.rename(session.path, box.path("elsewhere"))
    code = run.tail.wait_exit(15)
    expect(code == 1, "exit %s: %s", code, run.tail.error_text())
    errors = [e for e in run.tail.errors if not e.startswith("rowtail: following")]
    expect(len(errors) == 2 and "app.db" in errors[1], "%s", errors)
    expect(not os.path.exists(session.path), "it made the file again")
    run.end(clean=True)
    os.rename(box.path("elsewhere"), session.path)
    expect(not session.once(), "events of nothing")
    session.matches()


def test_a_disk_that_becomes_full(box):
    """The limit of a file's size stands for a full disk: commits wait in the WAL, it
    says so, and a later run goes on where it was."""
    writer, session, run = followed(box)
    run.stop()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, 6 << 20))
    run = session.start(preexec=limit)
    writer.sql("c", "INSERT INTO t VALUES (101, 'small')")
    run.wait(1)
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT"
               " i + 1 FROM n WHERE i < 4000) SELECT i, hex(zeroblob(2000)) FROM n",
               "INSERT INTO t VALUES (102, 'behind it')")
    box.wait_until(lambda: any("commits wait in the WAL" in e for e in run.tail.errors), 10,
                   "it does not say that the disk is full")
    time.sleep(0.5)
    errors = [e for e in run.tail.errors if "commits wait in the WAL" in e]
    expect(len(errors) == 1, "%s", errors)
    if run.tail.process.poll() is None:
        run.stop()
    else:
        run.end(clean=True)
    events = session.once()
    expect(len(events) == 3002, "%d events", len(events))
    each_alone([events[0], events[-1]])
    session.matches()


def test_a_disk_that_stays_full(box):
    """Past hold.max.wal.bytes the application's WAL is let go; once there is room again,
    what was missed is found by comparing, by the same process."""
    writer, session, run = followed(box)
    run.stop()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, resource.RLIM_INFINITY))
    run = session.start("-D", "hold.max.wal.bytes=1000000", preexec=limit)
    writer.sql("c", "INSERT INTO t VALUES (101, 'small')")
    run.wait(1)
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT"
               " i + 1 FROM n WHERE i < 4000) SELECT i, hex(zeroblob(2000)) FROM n",
               "INSERT INTO t VALUES (102, 'behind it')")
    box.wait_until(lambda: any("opening it again" in e for e in run.tail.errors), 10,
                   "the hold is not let go")
    answer = writer.run("c", [("x", "PRAGMA wal_checkpoint(TRUNCATE)")])
    expect(answer == [[(0, 0, 0)]], "%s", answer)
    time.sleep(1.5)
    expect(run.tail.process.poll() is None, "it ended: %s", run.tail.error_text())
    resource.prlimit(run.tail.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    events = run.wait(3003)
    one_catch_up(events[1:])
    goes_on(box, session, run, len(events))


def test_a_journal_that_is_long(box):
    """A reader that stands still while thousands of commits come: all are kept, over a
    kill and a stop, and come one by one."""
    writer, session, run = followed(box)
    run.stop()
    run = session.start(take=False)
    writer.sql("c", "PRAGMA synchronous=OFF")
    for i in range(0, 6000, 100):
        writer.run("c", [("x", "UPDATE t SET a = 'n %d' WHERE id = %d" % (i + j, j + 1))
                         for j in range(100)])
    time.sleep(0.5)
    run.kill()
    writer.run("c", [("x", "UPDATE t SET a = 'last'")])
    run = session.start()
    run.wait(1)
    run.stop()
    session.once(timeout=60)
    session.matches()
    events = session.stream.events[100:]
    single = [e for e in events if not e.is_catch_up]
    expect(len(single) >= 6000 and len(events) == 6100, "%d events, %d alone",
           len(events), len(single))


def test_tables_come_and_go_over_many_runs(box):
    """The schema of a position is that of its time, also when the table is gone."""
    writer, session, run = followed(box)
    run.stop()
    for i in range(4):
        run = session.start(take=False)
        writer.sql("c", "CREATE TABLE n%d(id INTEGER PRIMARY KEY, a, b%d)" % (i, i),
                   "INSERT INTO n%d SELECT id, a, 'b' FROM t" % i,
                   "UPDATE n%d SET b%d = 'c' WHERE id < 20" % (i, i),
                   "ALTER TABLE n%d ADD COLUMN c DEFAULT 5" % i,
                   "UPDATE n%d SET c = 6 WHERE id < 10" % i,
                   "DROP TABLE n%d" % i, "UPDATE t SET a = 'x %d' WHERE id = 1" % i)
        run.read(60)
        if i % 2:
            run.kill()
        else:
            run.stop()
    session.once()
    counts = {}
    for event in session.stream.events[100:]:
        key = event.table, event.op
        counts[key] = counts.get(key, 0) + 1
    want = {("t", "u"): 4}
    for i in range(4):
        want["n%d" % i, "c"] = 100
        want["n%d" % i, "u"] = 28
    expect(counts == want, "%s", counts)

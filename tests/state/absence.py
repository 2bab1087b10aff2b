"""What happens to a database while nobody follows it; how a later start heals it."""

import json
import os
import pty
import subprocess
import sys
import time

from harness.box import expect
from state.consumer import (CATCH_UP, Brief, Session, each_alone, one_catch_up,
                            read_state, summary)

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
BARE = "CREATE TABLE bare(a, b)"


def many(first, last, text="row", table="t"):
    return ("INSERT INTO %s WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1"
            " FROM n WHERE i < %d) SELECT i, '%s ' || i FROM n" % (
                table, first, last, text))


def begun(box, *statements, args=(), kill=False, name="app.db", **more):
    """A database whose snapshot was taken and that nobody follows now."""
    writer, path = box.database(*(statements or (TABLE, many(1, 3))), name=name, **more)
    session = Session(box, path, *args, directory="state-" + name)
    run = session.start()
    run.wait(sum(len(t.rows) for t in read_state(path).tables.values()))
    if kill:
        time.sleep(0.3)
        run.kill()
    else:
        run.stop()
    return writer, session


def again(box, session, *statements):
    """All connections were closed: another process opens the database."""
    writer = box.writer()
    writer.open("c", session.path)
    if statements:
        writer.sql("c", *statements)
    return writer


def away(box, writer, session, how, *statements):
    """Statements while nobody follows. "kept": a connection keeps the WAL. "closed":
    the last one closes, the WAL goes."""
    writer.sql("c", *statements)
    if how == "closed":
        writer.close()
        expect(not os.path.exists(session.path + "-wal"), "the WAL is still there")
        return again(box, session)
    return writer


def goes_on(box, writer, session, table="t"):
    """After whatever there was: single commits come one by one again."""
    run = session.start()
    writer.sql("c", "INSERT INTO %s(id) VALUES (987001)" % table,
               "DELETE FROM %s WHERE id = 987001" % table)
    run.wait(2)
    events = run.stop()
    expect(summary(events) == [("c", 987001), ("d", 987001)], "%s", summary(events))
    each_alone(events)
    session.matches()


def healed(session, *want):
    """--once gives the events (op, id), as one catch-up or each as its transaction."""
    events = session.once()
    session.first_errors = session.errors
    if want or want == ():
        expect(summary(events) == list(want), "%s, expected %s", summary(events),
               Brief(want))
    if any(e.is_catch_up for e in events):
        one_catch_up(events)
    session.matches()
    expect(not session.once(), "something comes after the end")
    return events


# -- the WAL goes or begins again ------------------------------------------------------


def test_the_last_close_deletes_the_wal(box):
    writer, session = begun(box)
    for i in range(3):
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % (10 + i),
                   "UPDATE t SET a = %d WHERE id = 1" % i)
        writer.close()
        expect(not os.path.exists(session.path + "-wal"), "the WAL is still there")
        healed(session, ("u", 1), ("c", 10 + i))
        writer = again(box, session)
    goes_on(box, writer, session)


def test_several_programs_open_write_and_close(box):
    writer, session = begun(box)
    writer.close()
    for i in range(10, 15):
        again(box, session, "INSERT INTO t VALUES (%d, 1)" % i).close()
    healed(session, *[("c", i) for i in range(10, 15)])


def test_checkpoints_any_number_of_times(box):
    """RESTART and TRUNCATE, with and without frames in between; the new generation is
    shorter or longer than what was known of the old one."""
    writer, session = begun(box)
    number = 100
    for mode in ("RESTART", "TRUNCATE"):
        for times in (1, 2, 3):
            for between in (0, 1):
                for last in (0, 1, 30):
                    run = session.start()
                    writer.sql("c", *["UPDATE t SET a = a || 1 WHERE id = 2"] * 5)
                    run.wait(5)
                    run.stop()
                    first = number
                    for i in range(times):
                        if between or i == 0:
                            writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % number)
                            number += 1
                        writer.sql("c", "PRAGMA busy_timeout=2000",
                                   "PRAGMA wal_checkpoint(%s)" % mode)
                    for _ in range(last):
                        writer.sql("c", "INSERT INTO t VALUES (%d, 2)" % number)
                        number += 1
                    events = session.once()
                    expect(summary(events) == [("c", i) for i in range(first, number)],
                           "%s %d %d %d: %s", mode, times, between, last,
                           summary(events))
                    session.matches()
    goes_on(box, writer, session)


test_checkpoints_any_number_of_times.timeout = 120


def check_litestream(box, kill, checkpoints, frames, rows=610):
    """Litestream 0.5.18 replicated 100 of 610 rows here: after its stop the application
    wrote on, a RESTART checkpoint ran, and a few frames of a new generation came, whose
    salt is the old one plus one."""
    writer, path = box.database(TABLE)
    session = Session(box, path)
    run = session.start()
    for i in range(1, 101):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'before')" % i)
    run.wait(100)
    if kill:
        time.sleep(0.3)
        run.kill()
    else:
        run.stop()
    for i in range(101, rows - frames + 1):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'away')" % i)
    for mode in checkpoints:
        answer = writer.sql("c", "PRAGMA wal_checkpoint(%s)" % mode)[0]
        expect(answer[0] == 0, "%s: %r", mode, answer)
    for i in range(rows - frames + 1, rows + 1):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'new generation')" % i)
    events = session.once()
    got = summary(events)
    expect(got == [("c", i) for i in range(101, rows + 1)], "%d events of %d: %s …",
           len(got), rows - 100, got[:5])
    session.matches()
    goes_on(box, writer, session)


def test_litestreams_lost_rows_restart_and_few_frames(box):
    check_litestream(box, False, ["RESTART"], 10)


def test_litestreams_lost_rows_restart_after_kill_9(box):
    check_litestream(box, True, ["RESTART"], 10)


def test_litestreams_lost_rows_passive_and_few_frames(box):
    check_litestream(box, False, ["PASSIVE"], 10)


def test_litestreams_lost_rows_truncate(box):
    check_litestream(box, False, ["TRUNCATE"], 10)


def test_litestreams_lost_rows_two_restarts(box):
    check_litestream(box, True, ["RESTART", "RESTART"], 10)


def test_litestreams_lost_rows_as_many_frames_as_were_known(box):
    check_litestream(box, True, ["RESTART"], 100)


def test_litestreams_lost_rows_more_frames_than_were_known(box):
    check_litestream(box, True, ["RESTART"], 300)


def test_litestreams_lost_rows_no_new_frame(box):
    check_litestream(box, True, ["RESTART"], 0)


def test_an_application_killed_while_away(box):
    """It leaves its WAL, which the next to open recovers."""
    writer, session = begun(box)
    writer.sql("c", "INSERT INTO t VALUES (10, 1)", "BEGIN",
               "INSERT INTO t VALUES (11, 1)")
    writer.kill()
    expect(os.path.exists(session.path + "-wal"), "no WAL was left")
    healed(session, ("c", 10))
    writer = again(box, session, "INSERT INTO t VALUES (12, 1)")
    healed(session, ("c", 12))
    goes_on(box, writer, session)


# -- the header, the numbers, the block ------------------------------------------------


def test_a_catch_up_says_so(box):
    writer, session = begun(box, TABLE, BARE, many(1, 10),
                            "INSERT INTO bare VALUES (1, 2)",
                            args=["-D", "provide.transaction.metadata=true"])
    writer = away(box, writer, session, "closed", "DELETE FROM t WHERE id = 3",
                  "UPDATE t SET a = 'x' WHERE id = 4", "INSERT INTO t VALUES (11, 'y')",
                  "INSERT INTO bare VALUES (3, 4)", "UPDATE t SET id = 20 WHERE id = 5")
    before = len(session.stream.messages)
    events = session.once()
    expect([(e.table, e.op, e.source["rowid"])
            for e in events] == [
        ("bare", "c", 2), ("t", "d", 3), ("t", "d", 5), ("t", "u", 4), ("t", "c", 11),
        ("t", "c", 20)], "%s", Brief(events))
    one_catch_up(events)
    messages = session.stream.messages[before:]
    tombstones = [m for m in messages if m.is_tombstone]
    expect(len(tombstones) == 2 and all(m.headers.get(CATCH_UP) is True
                                        for m in tombstones), "%s", tombstones)
    expect(messages[0].value["status"] == "BEGIN"
           and messages[-1].value["status"] == "END"
           and messages[-1].value["event_count"] == 6, "%s", messages[-1])
    expect(events[0].value["transaction"]["total_order"] == 1
           and events[-1].value["transaction"]["total_order"] == 6, "%s", events[-1])
    session.matches()
    goes_on(box, writer, session)


def test_what_cancels_while_away_gives_nothing(box):
    for how in ("closed", "kept"):
        writer, session = begun(box, TABLE, many(1, 10), name=how + ".db")
        writer = away(box, writer, session, how, "INSERT INTO t VALUES (50, 1)",
                      "DELETE FROM t WHERE id = 50", "UPDATE t SET a = a",
                      "BEGIN", "DELETE FROM t WHERE id = 1",
                      "INSERT INTO t VALUES (1, 'row 1')", "COMMIT",
                      "CREATE INDEX i ON t(a)", "REINDEX", "ANALYZE")
        if how == "closed":
            healed(session)
        else:
            healed(session, ("c", 50), ("d", 50))
        writer.close()


def test_a_large_catch_up_in_pieces(box):
    """Ended by SIGTERM it repeats nothing, by kill -9 only what is the same; what is
    written in between comes afterwards."""
    for clean in (True, False):
        rows = 20000
        name = "app%d.db" % clean
        writer, path = box.database(TABLE, many(1, 3), name=name)
        session = Session(box, path, directory="state%d" % clean)
        session.once()
        writer = away(box, writer, session, "closed", "DELETE FROM t",
                      many(1000, 999 + rows, "while away"))
        changes = 0
        for number in range(100):
            if len(session.stream.events) >= 6 + rows:
                break
            run = session.start(wait=False)
            left = 6 + rows - len(session.stream.events)
            run.wait(min(4000, left) if number < 3 else 1, 30)
            if clean:
                run.stop()
            else:
                run.kill()
            if number < 2:
                changes += 1
                writer.sql("c", "UPDATE t SET a = 'later %d' WHERE id = %d" % (
                    number, 1000 + number))
                writer.close()
                writer = again(box, session)
        session.once()
        events = session.stream.events[3:]
        expect(len(events) == 3 + rows + changes, "%d events", len(events))
        one_catch_up(events[:3 + rows])
        session.matches()
        writer.close()


test_a_large_catch_up_in_pieces.timeout = 120


def test_a_catch_up_beside_a_writer(box):
    """Commits that come while it compares are in it or behind it, and only once."""
    script = ("import sqlite3, sys, time, random\n"
              "db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n"
              "db.execute('PRAGMA synchronous=OFF')\n"
              "rng = random.Random(int(sys.argv[2]))\n"
              "end = time.time() + 1.5\n"
              "while time.time() < end:\n"
              "    i = rng.randrange(1, 30000)\n"
              "    db.execute(rng.choice(['INSERT OR REPLACE INTO t VALUES (?1, ?2)',\n"
              "        'UPDATE t SET a = ?2 WHERE id = ?1',\n"
              "        'DELETE FROM t WHERE id = ?1 AND ?2']), (i, rng.random()))\n"
              "    time.sleep(0.0005)\n")
    import sys
    writer, session = begun(box, TABLE, many(1, 20000, "some text"))
    caught = 0
    for round_ in range(3):
        writer = away(box, writer, session, "closed",
                      "UPDATE t SET a = 'away' WHERE id %% 7 = %d" % round_)
        process = subprocess.Popen([sys.executable, "-c", script, session.path,
                                    str(round_)])
        time.sleep(0.3)
        run = session.start()
        process.wait()
        time.sleep(0.3)
        events = run.stop()
        expect(process.returncode == 0, "the writer failed")
        catch_up = [e for e in events if e.is_catch_up]
        one_catch_up(catch_up)
        expect(events[:len(catch_up)] == catch_up, "the catch-up does not come first")
        caught += len(catch_up)
        expect(len(events) > len(catch_up), "nothing came while it followed")
        session.matches()
    expect(caught > 2000, "only %d events by catch-up", caught)


# -- rewritten while away --------------------------------------------------------------


def filled(box, *pragmas, **more):
    """Tables with and without a key, with gaps, so that VACUUM renumbers rowids."""
    writer, session = begun(
        box, *pragmas, TABLE, BARE, many(1, 300), many(1, 300, table="bare"),
        "CREATE TABLE tree(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "INSERT INTO tree SELECT a, id FROM t",
        "DELETE FROM bare WHERE a % 3 = 0", "DELETE FROM t WHERE id % 4 = 0", **more)
    return writer, session


def test_vacuum_while_away(box):
    writer, session = filled(box)
    for how in ("kept", "closed"):
        writer = away(box, writer, session, how, "VACUUM")
        healed(session)
        writer = away(box, writer, session, how,
                      "DELETE FROM bare WHERE a BETWEEN 50 AND 60",
                      "UPDATE t SET a = 'x' WHERE id = 7", "VACUUM")
        session.once()
        session.matches()
        writer = away(box, writer, session, how,
                      "UPDATE bare SET b = 'x' WHERE a = 100",
                      "DELETE FROM bare WHERE a = 200", "VACUUM", "VACUUM",
                      "INSERT INTO bare VALUES (1000, 'last')")
        events = session.once()
        expect(2 <= len(events) <= 4 and {e.table for e in events} == {"bare"}, "%s",
               events)
        session.matches()
        writer.sql("c", "DELETE FROM bare WHERE a = 1000",
                   "UPDATE bare SET b = 'y' WHERE a = 100",
                   "INSERT INTO bare VALUES (200, 'back')")
        session.once()
    goes_on(box, writer, session)


def test_auto_vacuum_changed_while_away(box):
    writer, session = filled(box)
    for mode in (1, 2, 0):
        for how in ("kept", "closed"):
            writer = away(box, writer, session, how, "PRAGMA auto_vacuum=%d" % mode,
                          "VACUUM")
            healed(session)
            number = 1000 + mode * 10 + (how == "kept")
            writer = away(box, writer, session, how, "PRAGMA auto_vacuum=%d" % mode,
                          "INSERT INTO t VALUES (%d, 'new')" % number, "VACUUM")
            healed(session, ("c", number))
    goes_on(box, writer, session)


def with_pages_of(writer, size, *statements):
    writer.sql("c", "PRAGMA journal_mode=DELETE", "PRAGMA page_size=%d" % size, "VACUUM",
               "PRAGMA journal_mode=WAL", *statements)


def test_a_comparison_shows_how_far_it_is(box):
    """On a terminal, on a line of its own that is gone before the next message."""
    writer, session = begun(box, TABLE, many(1, 3), "CREATE TABLE blobs(b)",
                            "INSERT INTO blobs SELECT randomblob(3000000)")
    away(box, writer, session, "closed", "UPDATE t SET a = 'x' WHERE id = 2")
    ours, theirs = pty.openpty()
    done = subprocess.run([box.options.rowtail, *session.arguments("--once")],
                          stdout=subprocess.PIPE, stderr=theirs, timeout=30)
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    expect(done.returncode == 0, "exit %d: %r", done.returncode, said)
    expect(b"rowtail: comparison: " in said and b" pages/s, " in said, "%r", said)
    last = said.index(b" differ")
    expect(b"\r\x1b[Krowtail: " in said[:last] and b"comparison:" not in said[last:],
           "%r", said)
    session.take_output(done.stdout, clean=True)
    session.matches()


def test_another_page_size(box):
    """VACUUM out of WAL mode gives every page another size: only what changed is told,
    also of tables without a key."""
    writer, session = filled(
        box, "PRAGMA page_size=4096", "CREATE TABLE long(id INTEGER PRIMARY KEY, a)",
        "INSERT INTO long SELECT 1, hex(zeroblob(30000))", "CREATE INDEX i ON long(a)",
        "CREATE TABLE w(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID",
        "INSERT INTO w VALUES ('a', 1), ('B', 2), ('c', 3)")
    for size in (8192, 512, 65536, 4096):
        with_pages_of(writer, size, "INSERT INTO t VALUES (%d, 'new')" % (100000 + size),
                      "DELETE FROM bare WHERE rowid = 1")
        healed(session, ("d", None), ("c", 100000 + size))
        writer.sql("c", "UPDATE w SET v = v + 1 WHERE k = 'B'", "VACUUM")
        session.once()
        session.matches()
        result = box.run("verify", "--state", session.directory, session.path)
        expect(result.code == 0, "%s", result)
    goes_on(box, writer, session)


def test_another_page_size_while_some_waits(box):
    """What is in the journal is told first, each commit as it was; then the rest."""
    writer, session = filled(box, "PRAGMA page_size=4096")
    run = session.start(take=False)
    writer.sql("c", *("UPDATE t SET a = 'n %d ' || hex(zeroblob(400)) WHERE id = 1" % i
                      for i in range(300)))
    box.wait_until(lambda: status_of(box, session)["lag_transactions"] > 50, 10,
                   "nothing waits")
    run.kill()
    with_pages_of(writer, 1024, "UPDATE t SET a = 'last' WHERE id = 2")
    run = session.start()
    run.wait(1)
    deadline = time.monotonic() + 20
    while not any(e.is_catch_up for e in run.pull()):
        expect(time.monotonic() < deadline, "no catch-up: %s", run.tail.error_text())
        time.sleep(0.05)
    run.stop()
    events = [e for e in session.stream.events if e.op == "u"]
    expect(len(events) == 301, "%d updates", len(events))
    each_alone(events[:-1])
    expect(events[-1].is_catch_up, "%r", events[-1])
    session.matches()
    goes_on(box, writer, session)


def test_another_page_size_over_kills(box):
    """Killed again and again on the way."""
    writer, session = filled(box, "PRAGMA page_size=4096")
    for number, size in enumerate((1024, 2048, 8192, 512)):
        with_pages_of(writer, size, "UPDATE t SET a = 'v %d' WHERE id = 2" % number)
        for i in range(6):
            run = session.start("--quiet", wait=False)
            time.sleep(0.01 * i * box.slow)
            run.kill()
        session.once()
        session.matches()
    goes_on(box, writer, session)


def test_another_page_size_before_the_snapshot_is_told(box):
    writer, path = box.database("PRAGMA page_size=4096", TABLE, many(1, 3000))
    session = Session(box, path)
    run = session.start(take=False)
    run.read(100)
    run.kill()
    with_pages_of(writer, 1024, "DELETE FROM t WHERE id = 3")
    events = session.once()
    expect(summary(events[-1:]) == [("d", 3)], "%s", summary(events[-1:]))
    session.matches()
    expect(len(session.stream.events) == 3001, "%d events", len(session.stream.events))


def status_of(box, session):
    return json.loads(box.run("status", "--state", session.directory, "--json").out)


def dumped(box, session, name, *pragmas):
    """The database read into a new file by its SQL dump; two rows are changed there."""
    script = ("import sqlite3, sys\n"
              "old, new = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])\n"
              "for pragma in sys.argv[3:]:\n"
              "    new.execute(pragma)\n"
              "new.execute('PRAGMA journal_mode=WAL')\n"
              "new.executescript('\\n'.join(old.iterdump()))\n"
              "new.execute(\"UPDATE t SET a = 'new \u2028 \U0001f600' WHERE id = 2\")\n"
              "new.execute(\"DELETE FROM t WHERE id = 3\")\n"
              "new.commit()\n")
    subprocess.run([sys.executable, "-c", script, session.path, box.path(name), *pragmas],
                   check=True)
    return box.path(name)


def test_another_text_encoding(box):
    """An SQL dump read into a new file of another encoding, and back: only what changed
    is told, keys of TEXT and virtual columns too."""
    writer, session = filled(
        box, "CREATE TABLE w(k TEXT PRIMARY KEY, v, x AS (k || v)) WITHOUT ROWID",
        "INSERT INTO w VALUES ('ä', 'ö'), ('z', 3), ('\U0001f600', 1.5)")
    writer.sql("c", "UPDATE t SET a = 'ü' WHERE id = 1",
               "INSERT INTO bare VALUES ('ü', 1), ('ü', 1), (2, 'x')")
    session.once()
    for encoding in ("UTF-16le", "UTF-16be", "UTF-8"):
        writer.close()
        os.rename(dumped(box, session, "fresh.db", "PRAGMA encoding='%s'" % encoding),
                  session.path)
        writer = box.writer()
        writer.open("c", session.path)
        healed(session, ("d", 3), *([("u", 2)] if encoding == "UTF-16le" else []))
        writer.sql("c", "INSERT INTO t VALUES (3, 'again')")
        session.once()
        writer.sql("c", "UPDATE w SET k = k || 'x'")
        session.once()
        session.matches()
    goes_on(box, writer, session)


def test_another_journal_mode_for_a_while(box):
    writer, session = begun(box, TABLE, many(1, 100))
    writer.sql("c", "PRAGMA journal_mode=DELETE", "UPDATE t SET a = 'x' WHERE id = 50",
               "INSERT INTO t VALUES (101, 'y')")
    result = box.run(*session.arguments("--once"))
    expect(result.code == 3 and len(result.error_lines) == 1
           and "wal" in result.error_lines[0].lower() and not result.out, "%s", result)
    writer.sql("c", "INSERT INTO t VALUES (102, 'y')", "PRAGMA journal_mode=WAL")
    healed(session, ("u", 50), ("c", 101), ("c", 102))
    writer.sql("c", "PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL")
    healed(session)
    writer.sql("c", "PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL",
               "DELETE FROM t WHERE id = 1")
    healed(session, ("d", 1))
    goes_on(box, writer, session)


# -- another file ----------------------------------------------------------------------


def copy(*paths):
    """By a process of its own: closing a descriptor here would drop locks."""
    subprocess.run(["cp", "--"] + list(paths), check=True)


def test_an_older_backup_put_back(box):
    """In place and by rename; rows that were made since are gone, deleted ones back."""
    for how in ("in place", "by rename"):
        name = "in.db" if how == "in place" else "by.db"
        writer, path = box.database(TABLE, many(1, 500), name=name)
        session = Session(box, path, directory="state-" + name)
        session.once()
        writer.close()
        copy(path, box.path("backup"))
        writer = again(box, session, "DELETE FROM t WHERE id BETWEEN 100 AND 102",
                       many(501, 2000), "UPDATE t SET a = 'x' WHERE id = 7")
        session.once()
        session.matches()
        writer.close()
        if how == "in place":
            copy(box.path("backup"), path)
        else:
            os.rename(box.path("backup"), path)
        events = healed(session, *[("d", i) for i in range(501, 2001)],
                        ("u", 7), ("c", 100), ("c", 101), ("c", 102))
        one_catch_up(events)
        expect(events[0].is_catch_up, "no header")
        writer = again(box, session)
        goes_on(box, writer, session)
        writer.close()


def test_a_backup_of_the_same_rows_gives_nothing(box):
    writer, session = begun(box, TABLE, many(1, 500))
    writer.close()
    copy(session.path, box.path("backup"))
    copy(box.path("backup"), session.path)
    healed(session)
    os.rename(box.path("backup"), session.path)
    healed(session)
    subprocess.run(["touch", session.path], check=True)
    healed(session)
    goes_on(box, again(box, session), session)


def test_a_backup_put_back_while_an_old_wal_lies_there(box):
    """rm and mv as people do it, the old -wal removed too."""
    writer, session = begun(box, TABLE, many(1, 50))
    copy(session.path, box.path("backup"))
    copy(session.path + "-wal", box.path("backup-wal"))
    writer.sql("c", many(51, 90))
    expect(len(session.once()) == 40, "the rows did not come")
    writer.kill()
    for suffix in ("", "-wal", "-shm"):
        os.unlink(session.path + suffix)
    copy(box.path("backup"), session.path)
    copy(box.path("backup-wal"), session.path + "-wal")
    events = healed(session, *[("d", i) for i in range(51, 91)])
    one_catch_up(events)
    goes_on(box, again(box, session), session)


def test_a_source_that_lost_its_last_commits(box):
    """Published, but not yet on the disk when the power went: file and WAL are what
    they were earlier. Undone commits are announced."""
    for rewrite in (False, True):
        name = "app%d.db" % rewrite
        writer, path = box.database(TABLE, many(1, 50), name=name)
        session = Session(box, path, directory="state%d" % rewrite)
        run = session.start()
        run.wait(50)
        writer.sql("c", "INSERT INTO t VALUES (60, 'stays')")
        run.wait(51)
        time.sleep(0.2)
        for suffix in ("", "-wal"):
            copy(path + suffix, box.path("earlier") + suffix)
        writer.sql("c", "INSERT INTO t VALUES (61, 'lost')",
                   "DELETE FROM t WHERE id = 1", "UPDATE t SET a = 'lost' WHERE id = 2")
        run.wait(54)
        time.sleep(0.2)
        run.kill()
        writer.kill()
        for suffix in ("", "-wal"):
            copy(box.path("earlier") + suffix, path + suffix)
        os.unlink(path + "-shm")
        want = [("d", 61), ("u", 2), ("c", 1)]
        if rewrite:             # the same frames again, with another content
            again(box, session, "INSERT INTO t VALUES (61, 'other')",
                  "DELETE FROM t WHERE id = 3",
                  "UPDATE t SET a = 'other' WHERE id = 4",
                  "UPDATE t SET a = 'other' WHERE id = 5").kill()
            want = [("d", 3), ("c", 1), ("u", 2), ("u", 4), ("u", 5), ("u", 61)]
        events = session.once()
        expect(sorted(summary(events)) == sorted(want), "%s", summary(events))
        one_catch_up(events)
        session.matches()
        writer = again(box, session)
        goes_on(box, writer, session)
        writer.close()


def test_a_wal_that_lost_its_tail(box):
    """The last frames of the WAL were never written (power loss)."""
    writer, path = box.database(TABLE, many(1, 50))
    session = Session(box, path)
    run = session.start()
    run.wait(50)
    writer.sql("c", *["INSERT INTO t VALUES (%d, 'x')" % i for i in range(100, 110)])
    run.wait(60)
    time.sleep(0.2)
    run.kill()
    writer.kill()
    size = os.path.getsize(path + "-wal")
    frames = (size - 32) // (24 + 4096)
    expect(frames > 8, "only %d frames", frames)
    os.truncate(path + "-wal", 32 + (frames - 4) * (24 + 4096))
    os.unlink(path + "-shm")
    writer = again(box, session)
    rows = {r[0] for r in writer.sql("c", "SELECT id FROM t")}
    gone = [i for i in range(100, 110) if i not in rows]
    expect(gone, "SQLite lost nothing")
    events = healed(session, *[("d", i) for i in gone])
    one_catch_up(events)
    goes_on(box, writer, session)


def test_a_wal_that_was_removed(box):
    """An application was killed and somebody removed its -wal: its commits are gone."""
    writer, path = box.database(TABLE, many(1, 50))
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_autocheckpoint=0")
    session = Session(box, path)
    session.once()
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (60, 'x')", "DELETE FROM t WHERE id = 1")
    run.wait(2)
    time.sleep(0.3)
    run.kill()
    writer.kill()
    os.unlink(path + "-wal")
    os.unlink(path + "-shm")
    session.once()
    session.matches()
    goes_on(box, again(box, session), session)


def test_another_database_in_its_place(box):
    """Nothing is the same: other tables; larger, then empty."""
    writer, session = begun(box, TABLE, many(1, 500))
    writer.close()
    other = box.writer()
    other.open("c", box.path("other.db"), pragmas=["PRAGMA journal_mode=WAL"])
    other.sql("c", "CREATE TABLE other(id INTEGER PRIMARY KEY, x)",
              many(1, 3000, table="other"), TABLE, "INSERT INTO t VALUES (1, 'row 1')")
    other.close()
    copy(box.path("other.db"), session.path)
    events = session.once()
    one_catch_up(events)
    expect(len(events) == 3499, "%d events", len(events))
    session.matches()
    writer = again(box, session)
    goes_on(box, writer, session)
    writer.close()
    other.close()
    empty = box.writer()
    empty.open("c", box.path("empty.db"), pragmas=["PRAGMA journal_mode=WAL"])
    empty.sql("c", "CREATE TABLE none_of_it(x)")
    empty.close()
    os.rename(box.path("empty.db"), session.path)
    expect(not session.once(), "events for tables that are gone")
    session.replica.tables.clear()
    writer = again(box, session, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    goes_on(box, writer, session)


def test_a_database_that_is_gone(box):
    writer, session = begun(box)
    writer.close()
    os.rename(session.path, box.path("elsewhere"))
    result = box.run(*session.arguments("--once"))
    expect(result.code == 3 and len(result.error_lines) == 1
           and "app.db" in result.error_lines[0], "%s", result)
    expect(not os.path.exists(session.path), "it made the file")
    os.rename(box.path("elsewhere"), session.path)
    healed(session)


# -- the schema ------------------------------------------------------------------------

HOW = ("kept", "closed")


def test_a_column_added_while_away(box):
    writer, session = begun(box, TABLE, many(1, 20))
    for i, how in enumerate(HOW):
        writer = away(box, writer, session, how,
                      "ALTER TABLE t ADD COLUMN n%d INT DEFAULT %d" % (i, i + 5))
        healed(session)
        writer = away(box, writer, session, how,
                      "ALTER TABLE t ADD COLUMN m%d DEFAULT 'm'" % i,
                      "UPDATE t SET n%d = 100 WHERE id = 3" % i)
        events = healed(session, ("u", 3))
        expect(events[0].before["m%d" % i] == "m"
               and events[0].before["n%d" % i] == i + 5
               and events[0].after["n%d" % i] == 100, "%s", Brief(events))
    goes_on(box, writer, session)


def test_a_column_dropped_or_renamed_while_away(box):
    writer, session = begun(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c)",
                            "INSERT INTO t VALUES (1, 2, 3, 4), (2, 3, 4, 5)")
    for drop, old, new, how in (("a", "b", "bb", "kept"), ("bb", "c", "cc", "closed")):
        writer = away(box, writer, session, how, "ALTER TABLE t DROP COLUMN " + drop,
                      "ALTER TABLE t RENAME COLUMN %s TO %s" % (old, new))
        expect(not session.once(), "events")
        for row in session.replica.tables["t"].values():
            row.pop(drop)
            row[new] = row.pop(old)
        session.replica.tables["t"] = {
            k: {"id": r["id"], **{n: r[n] for n in ("bb", "c", "cc") if n in r}}
            for k, r in session.replica.tables["t"].items()}
        session.matches()
        writer.sql("c", "UPDATE t SET %s = %s + 1" % (new, new))
        healed(session, ("u", 1), ("u", 2))
    goes_on(box, writer, session)


def test_a_table_dropped_while_away(box):
    for how in HOW:
        writer, session = begun(box, TABLE, "CREATE TABLE gone(x INTEGER PRIMARY KEY)",
                                many(1, 5), "INSERT INTO gone VALUES (1), (2), (3)",
                                name=how + ".db")
        writer = away(box, writer, session, how, "DROP TABLE gone",
                      "INSERT INTO t VALUES (6, 'x')")
        events = session.once()
        expect(summary(events) == [("c", 6)], "%s", summary(events))
        said = [e for e in session.errors if "gone" in e]
        expect(len(said) == 1, "DROP is not told: %s", session.errors)
        writer.close()


def test_a_table_made_while_away(box):
    writer, session = begun(box)
    for i, how in enumerate(HOW):
        writer = away(box, writer, session, how,
                      "CREATE TABLE fresh%d(id INTEGER PRIMARY KEY, a)" % i,
                      many(1, 40, table="fresh%d" % i),
                      "CREATE TABLE empty%d(id INTEGER PRIMARY KEY)" % i)
        events = healed(session, *[("c", n) for n in range(1, 41)])
        expect({e.table for e in events} == {"fresh%d" % i}, "%s", events[0])
        said = [e for e in session.first_errors if "fresh%d" % i in e]
        expect(len(said) == 1, "CREATE is not told: %s", session.first_errors)
        goes_on(box, writer, session, "empty%d" % i)
    goes_on(box, writer, session)


def test_a_table_renamed_while_away(box):
    writer, session = begun(box, TABLE, many(1, 400))
    names = ["t", "u", "v", "w", "x"]
    for i, how in enumerate(HOW * 2):
        old, new = names[i:i + 2]
        statements = ["ALTER TABLE %s RENAME TO %s" % (old, new)]
        if i >= 2:
            statements.append("UPDATE %s SET a = 'renamed' WHERE id = %d" % (new, i))
        writer = away(box, writer, session, how, *statements)
        session.replica.rename(old, new)
        events = healed(session, *([("u", i)] if i >= 2 else []))
        expect({e.table for e in events} <= {new}, "%s", Brief(events))
        goes_on(box, writer, session, new)


def test_a_table_rebuilt_while_away(box):
    """The twelve steps: equal rows give nothing."""
    writer, session = begun(box, TABLE, many(1, 400))
    for i, how in enumerate(HOW):
        writer = away(box, writer, session, how, "BEGIN",
                      "CREATE TABLE fresh(id INTEGER PRIMARY KEY, a, b%d DEFAULT 1)"
                      % i,
                      "INSERT INTO fresh(id, a) SELECT id, a FROM t", "DROP TABLE t",
                      "ALTER TABLE fresh RENAME TO t", "COMMIT")
        if i:
            for row in session.replica.tables["t"].values():
                row.pop("b0", None)
        healed(session)
        writer = away(box, writer, session, how, "UPDATE t SET a = 'x' WHERE id = 9",
                      "BEGIN", "DROP TABLE t",
                      "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b%d DEFAULT 1)" % i,
                      "INSERT INTO t(id, a) VALUES (1, 'row 1')", "COMMIT")
        session.once()
        session.matches()
        writer.sql("c", "INSERT OR IGNORE " + many(1, 400)[6:].replace(
            "INTO t", "INTO t(id, a)"))
        session.once()
        session.matches()
    goes_on(box, writer, session)


def test_a_table_that_changes_its_kind_while_away(box):
    """From rowids to none and back, under one name: rows are compared."""
    writer, session = begun(box, TABLE, many(1, 50))
    for i, how in enumerate(HOW):
        more = " WITHOUT ROWID" if not i else ""
        writer = away(box, writer, session, how, "BEGIN",
                      "CREATE TABLE fresh(id INTEGER PRIMARY KEY, a)" + more,
                      "INSERT INTO fresh SELECT * FROM t",
                      "UPDATE fresh SET a = 'kind %d' WHERE id = 7" % i, "DROP TABLE t",
                      "ALTER TABLE fresh RENAME TO t", "COMMIT")
        healed(session, ("u", 7))
    goes_on(box, writer, session)


def test_many_generations_of_everything(box):
    """A week of an application's life between two runs."""
    writer, session = begun(box, TABLE, BARE, many(1, 300), many(1, 50, table="bare"))
    for i in range(6):
        writer.sql("c", "UPDATE t SET a = 'week %d' WHERE id %% 13 = %d" % (i, i))
        writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM",
                   "DELETE FROM bare WHERE a = %d" % (i + 3),
                   "INSERT INTO bare VALUES (%d, 'new')" % (1000 + i))
        writer.close()
        writer = again(box, session, "PRAGMA auto_vacuum=%d" % (i % 3), "VACUUM",
                       "CREATE TABLE x%d AS SELECT * FROM t LIMIT 20" % i)
        if i > 1:
            writer.sql("c", "DROP TABLE x%d" % (i - 2))
    events = session.once()
    session.matches()
    tables = {e.table for e in events}
    expect(tables == {"t", "bare", "x4", "x5"}, "%s", tables)
    goes_on(box, writer, session)

"""What rowtail status sees of the database and of the sink, whether a process runs or not."""

import os
import re
import resource
import shutil
import signal
import sqlite3
import threading
import time

from harness.box import expect
from state.asking import execute, rows
from state.commands import contents, lines, status
from state.consumer import Session
from state.file_sink import Output, wait_error
from state.starts import TABLE, begun, many, refused


def unseen(session):
    got = status(session)["unseen"]
    expect(got["exact"] == (got["text"] is None), "%s", got)
    return got["transactions"], got["exact"]


def check(session, *options):
    """None: all is well; else what it says."""
    result = session.box.run("status", "--state", session.directory, "--check", *options)
    if result.code == 0:
        expect(result.err == b"" and result.out.startswith(b"well: "), "%s", result)
        return None
    expect(result.code == 1 and result.out == b"" and len(result.error_lines) == 1, "%s",
           result)
    return result.error_lines[0]


def test_commits_that_nobody_has_seen_are_counted(box):
    """While no rowtail runs."""
    writer, session = begun(box)
    expect(unseen(session) == (0, True), "%s", status(session))
    before = contents(session.directory, session.path)
    writer.sql("c", "INSERT INTO t VALUES (10, 1)", "UPDATE t SET a = 2",
               "DELETE FROM t WHERE id = 10")
    wal = contents(session.path + "-wal")
    expect(unseen(session) == (3, True), "%s", status(session))
    expect(lines(session)["not captured"].startswith("3 transactions, "), "%s",
           lines(session))
    expect(contents(session.directory, session.path) == before
           and contents(session.path + "-wal") == wal, "a file was changed")
    session.once()
    expect(unseen(session) == (0, True), "%s", status(session))
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    writer.sql("c", "INSERT INTO t VALUES (11, 1)", "PRAGMA wal_checkpoint(TRUNCATE)")
    count, is_exact = unseen(session)
    expect(count == 0 and not is_exact, "%s", status(session))
    writer.sql("c", "INSERT INTO t VALUES (12, 1)")
    expect(unseen(session) == (1, False), "%s", status(session))
    expect(lines(session)["not captured"].startswith("at least 1 transactions, "), "%s",
           lines(session))
    session.once()
    session.matches()


def test_after_a_kill_they_are_counted_from_the_last_one(box):
    writer, session = begun(box)
    run = session.start()
    writer.sql("c", *["INSERT INTO t VALUES (%d, 1)" % i for i in range(10, 15)])
    run.wait(5)
    run.kill()
    writer.sql("c", "INSERT INTO t VALUES (20, 1)", "INSERT INTO t VALUES (21, 1)")
    expect(unseen(session) == (2, True), "%s", status(session))
    session.once()
    session.matches()


def test_a_process_that_captures_nothing_is_seen(box):
    writer, session = begun(box)
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (10, 1)")
    run.wait(1)
    expect(unseen(session) == (0, True) and check(session) is None, "%s", status(session))
    run.tail.process.send_signal(signal.SIGSTOP)
    writer.sql("c", "INSERT INTO t VALUES (11, 1)", "INSERT INTO t VALUES (12, 1)")
    expect(unseen(session) == (2, True), "%s", status(session))
    box.wait_until(lambda: check(session, "--max-lag", "1s"), timeout=20)
    expect("2 transactions in the WAL are not captured" in check(
        session, "--max-lag", "1s"), "%s", check(session, "--max-lag", "1s"))
    expect("bytes are not delivered" in check(
        session, "--max-lag", "1s", "--max-bytes", "100"), "it is well")
    run.tail.process.send_signal(signal.SIGCONT)
    run.wait(3)
    box.wait_until(lambda: unseen(session) == (0, True))
    run.stop()
    expect("no rowtail runs" in check(session), "%s", check(session))
    session.matches()


def test_what_a_slow_process_has_not_captured_is_never_zero(box):
    """Seen: a transaction of many pages moves the LSN by more than one."""
    writer, session = begun(box)
    run = session.start()
    for _ in range(5):
        run.tail.process.send_signal(signal.SIGSTOP)
        writer.sql("c", *["INSERT INTO t(a) VALUES (zeroblob(20000))" for _ in range(30)])
        expect(unseen(session) == (30, True), "%s", status(session))
        run.tail.process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
        run.tail.process.send_signal(signal.SIGSTOP)
        got, again = status(session), status(session)
        expect(got["journalled_lsn"] == again["journalled_lsn"]
               and got["unseen"] == again["unseen"], "%s, then %s", got, again)
        run.tail.process.send_signal(signal.SIGCONT)
        box.wait_until(lambda: unseen(session) == (0, True))
    run.stop()
    session.matches()


def test_a_database_in_another_ones_place_is_no_reason_for_zero(box):
    """Seen: an older file, with the time that it had."""
    writer, session = begun(box)
    writer.close()
    shutil.copy2(session.path, session.path + "-old")
    os.utime(session.path + "-old", (1e9, 1e9))
    run = session.start()
    other = box.writer()
    other.open("c", session.path)
    other.sql("c", "INSERT INTO t VALUES (10, 1)")
    run.wait(1)
    run.kill()
    other.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    for name in ("-wal", "-shm"):
        if os.path.exists(session.path + name):
            os.remove(session.path + name)
    os.rename(session.path + "-old", session.path)
    expect(unseen(session)[1] is False, "%s", status(session))


def test_a_database_that_is_named_is_the_one_that_is_looked_at(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    writer.close()
    os.mkdir(box.path("copy"))
    for name in os.listdir(os.path.dirname(path)):
        if name.startswith("app.db"):
            full = os.path.join(os.path.dirname(path), name)
            copy = shutil.copytree if os.path.isdir(full) else shutil.copy2
            copy(full, box.path("copy/" + name))
    writer = box.writer()
    writer.open("c", box.path("copy/app.db"))
    writer.sql("c", "INSERT INTO t VALUES (10, 1)")
    result = box.run("status", box.path("copy/app.db"))
    expect(result.code == 0 and b"at least 1 transactions" in result.out
           and b"of a database at another path" in result.out, "%s", result)


def test_a_wal_that_is_cut_all_the_time_ends_no_status(box):
    """Seen: SIGBUS."""
    writer, session = begun(box)
    stop = threading.Event()

    def cut():
        other = sqlite3.connect(session.path, isolation_level=None, timeout=5)
        while not stop.is_set():
            for _ in range(10):
                other.execute("UPDATE t SET a = zeroblob(9000)")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for _ in range(40):
            status(session)
    finally:
        stop.set()
        thread.join()
    session.once()
    session.matches()


def test_beside_a_busy_writer_nothing_is_missed_for_long(box):
    """What was there at the first look is captured soon."""
    writer, session = begun(box)
    run = session.start()
    for i in range(40):
        writer.sql("c", *["UPDATE t SET a = %d" % (100 * i + k) for k in range(20)])
        expect(unseen(session) == (0, True), "%s", status(session))
    run.stop()
    session.matches()
    return 40


def test_a_reader_that_stands_still_lags(box):
    writer, session = begun(box)
    run = session.start(take=False)
    for i in range(30):
        writer.sql("c", "UPDATE t SET a = '%s'" % ("x%d" % i * 3000))
    box.wait_until(lambda: status(session)["lag_transactions"] > 5)
    box.wait_until(lambda: check(session, "--max-lag", "1s"), timeout=20)
    expect("wait for the sink" in check(session, "--max-lag", "1s"), "%s",
           check(session, "--max-lag", "1s"))
    run.tail.start_taking()
    run.stop()


def test_a_full_disk_is_seen(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.directory = path + "-rowtail"
    output.once()
    expect(status(output)["sink_away"] is None, "%s", status(output))
    tail = output.start()
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE,
                     (30001, resource.RLIM_INFINITY))
    for i in range(4):
        writer.sql("c", many(1000 + 100 * i, 1099 + 100 * i, "a text that takes space"))
    wait_error(box, tail, "cannot be written")
    got = status(output)["sink_away"]
    expect(got and "cannot be written" in got["text"] and output.out in got["text"]
           and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", got["since"]), "%s", got)
    expect(lines(output)["sink away"] == "since %s: %s" % (got["since"], got["text"]), "%s",
           lines(output))
    box.wait_until(lambda: check(output, "--max-lag", "1s"), timeout=20)
    expect("cannot be written" in check(output, "--max-lag", "1s"), "%s", check(output))
    tail.kill()
    expect(status(output)["sink_away"] == got, "it went with the process")
    tail = output.start()
    expect(status(output)["sink_away"] is None, "it stays")
    box.stop(tail)


def test_room_again_is_seen(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.directory = path + "-rowtail"
    output.once()
    tail = output.start()
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE,
                     (30001, resource.RLIM_INFINITY))
    writer.sql("c", many(1000, 1399, "a text that takes space"))
    wait_error(box, tail, "cannot be written")
    expect(status(output)["sink_away"], "%s", status(output))
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_error(box, tail, "written again")
    box.wait_until(lambda: status(output)["sink_away"] is None)
    box.stop(tail)
    output.matches()


def test_a_snapshot_on_demand_is_told_of(box):
    writer, session = begun(box, "CREATE TABLE b(id INTEGER PRIMARY KEY, a)")
    writer.sql("c", rows(1, 20000, "b"))
    session.once()
    expect(status(session)["snapshot"] is None, "%s", status(session))
    run = session.start(take=False)
    execute(session, "b", "t", more=["--id", "mine"])
    got = status(session)["snapshot"]
    expect(0 <= got.pop("rows") < 20000, "%s", got)
    expect(got == {"id": "mine", "table": "b", "asked": 1, "paused": False}, "%s", got)
    expect(re.fullmatch(r"mine of b: \d+ rows", lines(session)["snapshot"]), "%s",
           lines(session))
    run.tail.start_taking()
    box.wait_until(lambda: status(session)["snapshot"] is None)
    run.stop()


def test_a_database_finds_its_folder(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    os.symlink(path, box.path("link.db"))
    for name in (path, box.path("link.db")):
        result = box.run("status", name)
        expect(result.code == 0 and os.path.realpath(path) + "-rowtail" in
               result.out.decode(), "%s", result)
    refused(box.run("status", box.path("nothing.db")), 2, "nothing.db-rowtail")
    refused(box.run("status", path, "--check", "--max-lag", "soon"), 2, "--max-lag=soon")
    refused(box.run("status", path, "--check", "--max-bytes", "-5"), 2, "--max-bytes=-5")


def test_a_database_that_is_gone_is_said(box):
    writer, session = begun(box)
    writer.close()
    os.rename(session.path, session.path + "-moved")
    got = status(session)["unseen"]
    expect(got["transactions"] is None and session.path in got["text"], "%s", got)
    expect(session.path in lines(session)["not captured"], "%s", lines(session))


def test_metrics_are_of_the_form_that_prometheus_reads(box):
    writer, session = begun(box)
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (10, 1)")
    run.wait(1)
    result = box.run("status", "--state", session.directory, "--prometheus")
    run.stop()
    expect(result.code == 0 and result.err == b"", "%s", result)
    found = {}
    text = result.out.decode().splitlines()
    for i in range(0, len(text), 3):
        name = re.fullmatch(r"# HELP (rowtail_[a-z_]+) [^\n]+\.", text[i])
        expect(name, "%r", text[i])
        expect(text[i + 1] == "# TYPE %s gauge" % name[1], "%r", text[i + 1])
        value = re.fullmatch(r'%s\{database="([^"]*)",state="([^"]*)"\} (\S+)' % name[1],
                             text[i + 2])
        expect(value and value[1] == os.path.realpath(session.path)
               and value[2] == session.directory, "%r", text[i + 2])
        expect(name[1] not in found, "%s twice", name[1])
        found[name[1]] = float(value[3])
    expect(found["rowtail_running"] == found["rowtail_following"] == 1, "%s", found)
    expect(found["rowtail_lag_transactions"] == found["rowtail_sink_away"]
           == found["rowtail_not_captured_transactions"] == 0, "%s", found)
    expect(found["rowtail_not_captured_is_exact"] == 1 and found["rowtail_events"] >= 3,
           "%s", found)
    return len(found)

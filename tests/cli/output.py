"""Signals, readers that go away or stand still, snapshots beside a writer."""

import json
import os
import signal
import subprocess
import threading
import time

from harness.box import Failed, NotRun, expect
from harness.events import Mismatch, parse_line
from harness.model import Model
from harness.state import StateReader
from harness.tail import TailFailed

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def many(first, last, text="row"):
    return ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM"
            " n WHERE i < %d) SELECT i, '%s ' || i FROM n" % (first, last, text))


def follow(box, writer, path, *args):
    tail = box.tail(path, *args)
    writer.sql("c", "INSERT INTO t VALUES (-1, 'first')")
    expect(tail.wait_lines(1), "no event")
    tail.take(1)
    return tail


def test_sigterm_and_sigint_end_with_0(box):
    writer, path = box.database(TABLE)
    for sig in (signal.SIGTERM, signal.SIGINT):
        tail = box.tail(path)
        writer.sql("c", "INSERT INTO t(a) VALUES (1)")
        expect(tail.wait_lines(1), "no event")
        start = time.monotonic()
        box.stop(tail, sig)
        expect(time.monotonic() - start < 30, "took too long")
        expect(not tail.rest, "half a line: %r", tail.rest)


def test_sigterm_while_starting(box):
    _, path = box.database(TABLE, many(1, 50000))
    for delay in (0, 0.001, 0.003, 0.01, 0.03):
        tail = box.tail(path, "--snapshot", wait=False)
        time.sleep(delay)
        tail.process.send_signal(signal.SIGTERM)
        code = tail.wait_exit(60)
        expect(code in (0, -15), "exit %s: %s", code, tail.error_text())
        expect(not tail.rest, "half a line: %r", tail.rest)


def test_sigterm_while_the_reader_stands_still(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path, take=False)
    writer.sql("c", many(1, 20000))
    time.sleep(0.3)
    start = time.monotonic()
    tail.process.send_signal(signal.SIGTERM)
    code = tail.wait_exit(60)
    expect(code == 0, "exit %s: %s", code, tail.error_text())
    expect(time.monotonic() - start < 50, "took too long")


def test_sigterm_inside_a_large_transaction_ends_with_a_whole_line(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path, take=False)
    writer.sql("c", many(1, 60000))
    time.sleep(0.2)
    tail.process.send_signal(signal.SIGTERM)
    tail.start_taking()
    code = tail.wait_exit(60)
    expect(code == 0, "exit %s: %s", code, tail.error_text())
    expect(not tail.rest, "half a line: %r", tail.rest[-200:])
    for line in tail.take_all():
        parse_line(line)


def test_a_reader_that_goes_away_ends_it_quietly(box):
    writer, path = box.database(TABLE)
    command = box.command(path)
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    head = subprocess.Popen(["head", "-1"], stdin=tail.stdout, stdout=subprocess.PIPE)
    tail.stdout.close()
    errors = [tail.stderr.readline()]
    expect(errors[0].startswith(b"rowtail: following"), "%r", errors)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    line = head.stdout.readline()
    expect(json.loads(line)["op"] == "c", "%r", line)
    head.wait()
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    try:
        code = tail.wait(5 * box.slow)
    except subprocess.TimeoutExpired:
        tail.kill()
        raise Failed("it goes on without a reader")
    rest = tail.stderr.read()
    expect(code == 0 and rest == b"", "exit %s, stderr %r", code, rest)


def test_a_reader_that_goes_away_ends_it_while_idle(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path, take=False)
    tail.process.stdout.close()
    code = tail.wait_exit(60)
    if code is None:
        tail.kill()
    expect(code == 0, "exit %s 5 s after its reader left", code)
    expect(len(tail.errors) == 1, "stderr: %s", tail.error_text())


def test_a_reader_that_goes_away_in_a_snapshot(box):
    _, path = box.database(TABLE, many(1, 30000))
    tail = box.tail(path, "--snapshot", take=False, wait=False)
    os.read(tail.process.stdout.fileno(), 1000)
    tail.process.stdout.close()
    code = tail.wait_exit(60)
    if code is None:
        tail.kill()
    expect(code == 0, "exit %s: %s", code, tail.error_text())


def test_a_socket_whose_peer_goes_away(box):
    import socket
    writer, path = box.database(TABLE)
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(box.command(path), stdout=theirs.fileno(),
                               stderr=subprocess.PIPE)
    theirs.close()
    process.stderr.readline()
    ours.close()
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    try:
        code = process.wait(5 * box.slow)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed("it goes on without a reader")
    expect(code == 0, "exit %s: %r", code, process.stderr.read())


def test_a_full_disk_under_stdout_is_an_error(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(box.command(path, "--snapshot"), stdout=full,
                                   stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=5 * box.slow)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("it goes on writing into a full disk")
    errors = [e for e in err.decode().splitlines()
              if not e.startswith("rowtail: following")]
    expect(process.returncode == 1 and len(errors) == 1, "exit %s: %r",
           process.returncode, err)


def test_output_to_a_file_is_complete(box):
    writer, path = box.database(TABLE, many(1, 5000))
    with open(box.path("out"), "wb") as out:
        code = subprocess.call(box.command(path, "--snapshot", "--once"), stdout=out,
                               stderr=subprocess.DEVNULL)
    with open(box.path("out"), "rb") as source:
        lines = source.readlines()
    expect(code == 0 and len(lines) == 5000, "exit %d, %d lines", code, len(lines))
    expect(json.loads(lines[-1])["source"]["snapshot"] == "last", "the last is not last")


def test_an_event_comes_at_once(box):
    writer, path = box.database(TABLE)
    tail = follow(box, writer, path)
    waits = []
    for i in range(50):
        time.sleep(0.01)
        start = time.monotonic()
        writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % i)
        expect(tail.wait_lines(1), "no event")
        waits.append(time.monotonic() - start)
        tail.take(1)
    waits.sort()
    expect(waits[25] < 0.03 * box.slow and waits[45] < 0.15 * box.slow,
           "half after %.1f ms, nine tenths after %.1f ms", waits[25] * 1e3,
           waits[45] * 1e3)
    box.stop(tail)


def test_a_slow_reader_gets_everything_and_before_is_exact(box):
    """The application checkpoints after each commit while nobody reads: old pages
    must have been saved before they are overwritten."""
    writer, path = box.database("PRAGMA page_size=512", TABLE, many(1, 300))
    writer.sql("c", "PRAGMA wal_autocheckpoint=1", "PRAGMA synchronous=OFF")
    tail = box.tail(path, take=False)
    reader = StateReader(path)
    reader.open()
    model = Model(reader.read())
    steps = []
    for n in range(1500):
        steps.append(("x", "UPDATE t SET a = a || '%d' WHERE id %% 300 = %d"
                      % (n % 10, n * 7 % 300)))
        if n % 40 == 39:
            steps.append(("x", "DELETE FROM t WHERE id BETWEEN %d AND %d" % (
                n % 290, n % 290 + 8)))
            steps.append(("x", many(1000 + n * 10, 1008 + n * 10)))
    peak = 0
    for i in range(0, len(steps), 50):
        writer.run("c", steps[i:i + 50])
        peak = max(peak, os.path.getsize(path + "-wal"))
    state = reader.read()
    reader.close()
    time.sleep(0.2)
    wal = os.path.getsize(path + "-wal")
    expect(peak < 8 << 20, "the WAL grew to %d bytes while the reader stood still", peak)
    tail.start_taking()
    try:
        while tail.wait_lines(1, 2):
            for line in tail.take_all():
                model.apply_line(line)
    except TailFailed as problem:
        raise Failed(str(problem))
    model.compare(state)
    box.stop(tail)
    return 1, "WAL peak %d KiB with a reader that stands still" % (max(peak, wal) >> 10)


test_a_slow_reader_gets_everything_and_before_is_exact.timeout = 120


class BusyWriter(threading.Thread):
    """Goes on writing random rows through its own process until stopped."""

    def __init__(self, writer, seed):
        super().__init__(daemon=True)
        import random
        self.writer = writer
        self.rng = random.Random(seed)
        self.stopped = False
        self.commits = 0
        self.problem = None

    def run(self):
        rng = self.rng
        try:
            while not self.stopped:
                steps = [("x", "BEGIN")]
                for _ in range(rng.randrange(1, 6)):
                    i = rng.randrange(1, 20000)
                    steps.append(("x", rng.choice([
                        "INSERT OR REPLACE INTO t VALUES (%d, 'put %d')",
                        "UPDATE t SET a = 'set %d' WHERE id = %d",
                        "DELETE FROM t WHERE id IN (%d, %d)",
                        "INSERT OR IGNORE INTO t VALUES (%d, 'new %d')"])
                        % (i, i)))
                steps.append(("x", "COMMIT"))
                results = self.writer.run("c", steps)
                bad = [r for r in results if isinstance(r, str)]
                if bad:
                    self.problem = bad[0]
                    return
                self.commits += 1
        except Exception as problem:        # shown by the test
            self.problem = str(problem)

    def stop(self):
        self.stopped = True
        self.join(20)
        expect(self.problem is None, "the writer failed: %s", self.problem)


def test_a_snapshot_beside_a_writer_misses_and_doubles_nothing(box):
    for attempt, library in enumerate(("std", "std")):
        name = "app%d.db" % attempt
        writer, path = box.database("PRAGMA page_size=1024", TABLE, many(1, 15000),
                                    "CREATE TABLE u(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
                                    "INSERT INTO u SELECT a, id FROM t", name=name,
                                    library=library)
        writer.sql("c", "PRAGMA synchronous=OFF",
                   "PRAGMA wal_autocheckpoint=%d" % (1000 if attempt else 20))
        reader = StateReader(path)
        reader.open()
        model = Model(reader.read())
        model.forget_rows()
        busy = BusyWriter(writer, attempt)
        busy.start()
        time.sleep(0.1)
        tail = box.tail(path, "--snapshot")
        time.sleep(1.0)
        busy.stop()
        state = reader.read()
        reader.close()
        seen = {}
        while tail.wait_lines(1, 1.0):
            for line in tail.take_all():
                value = model.apply_line(line)
                op = value["op"]
                seen[op] = seen.get(op, 0) + 1
                expect(op == "r" or value["source"]["snapshot"] == "false", "%s", value)
                expect(not (op == "r" and len(seen) > 1), "r after following events")
        try:
            model.compare(state)
        except Mismatch as problem:
            raise Failed("%d commits, %s: %s" % (busy.commits, seen, problem))
        expect(seen.get("r", 0) > 20000 and busy.commits > 100, "%s, %d commits", seen,
               busy.commits)
        box.stop(tail)
        writer.close()


test_a_snapshot_beside_a_writer_misses_and_doubles_nothing.timeout = 120


def test_nothing_committed_after_following_is_missed(box):
    """The line on stderr is the promise; the first commit comes right behind it."""
    writer, path = box.database(TABLE)
    for i in range(25):
        tail = box.tail(path)
        writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % i)
        expect(tail.wait_lines(1, 5), "the commit after 'following' is missed, run %d", i)
        expect(tail.available() == 1, "more than one event")
        box.stop(tail)
        tail.close()


def anonymous_memory(pid):
    total = 0
    with open("/proc/%d/status" % pid) as source:
        for line in source:
            if line.startswith(("RssAnon", "RssShmem")):
                total += int(line.split()[1])
    return total


def test_a_huge_transaction_streams_in_bounded_memory(box):
    if box.options.wrapper or box.slow > 1:
        raise NotRun("memory is not measured with sanitizers or valgrind")
    writer, path = box.database(TABLE)
    tail = box.tail(path, take=False)
    rows = 600000
    writer.sql("c", "PRAGMA synchronous=OFF", many(1, rows, "a longer text of the row"))
    count, peak, rest = 0, 0, b""
    descriptor = tail.process.stdout.fileno()
    previous = 0
    while count < rows:
        data = os.read(descriptor, 1 << 20)
        expect(data, "ended after %d rows: %s", count, tail.error_text())
        count += data.count(b"\n")
        if count - previous > 20000:
            previous = count
            peak = max(peak, anonymous_memory(tail.pid))
        rest = data
    expect(peak < 100 << 10, "%d MiB of memory for %d rows", peak >> 10, rows)
    expect(b'"change_id":%d,' % rows in rest, "the last is not number %d", rows)
    box.stop(tail)
    return 1, "%d MiB at most in a transaction of %d rows" % (peak >> 10, rows)


test_a_huge_transaction_streams_in_bounded_memory.timeout = 180

"""rowtail events of a bucket whose files go, and whose server is away, while they are
read: what was told is right, and what cannot be told is one line."""

import json
import sqlite3
import subprocess
import time

from archive.events import images
from archive.s3_faults import ARCHIVE, ONE, key_of, of_files, rfc3339
from harness import ltx
from harness.box import expect
from harness.events import parse_line
from harness.s3 import environment
from harness.s3_fake import FakeS3

NO_STATE = ["-D", "snapshot.mode=no_data"]


def put(fake, level, low, high, states):
    """The file that leads over the states from `low` to `high`, which count from 1."""
    pages = states[high - 1]
    if low > 1:
        pages = {}
        for n in range(low - 1, high):
            pages.update({p: b for p, b in states[n].items() if states[n - 1].get(p) != b})
        pages = {p: b for p, b in pages.items() if p in states[high - 1]}
    fake.put(key_of(level, low, high), ltx.encode(
        low, high, len(states[high - 1][1]), len(states[high - 1]), pages,
        time_ms=1000 * high), rfc3339(high))


def filled(box, count):
    fake, states = FakeS3(box), images(box)
    for n in range(1, count + 1):
        put(fake, 9 if n == 1 else 0, n, n, states)
    return fake, states


def lsns(out):
    return sorted({parse_line(line)["source"]["lsn"] for line in out.splitlines(True)})


def when_asked(fake, txid, then):
    """A fault that does `then` before the file of level 0 that ends there is served."""
    def fault(handler):
        if handler.path.endswith("%016x.ltx" % txid) and "/0000/" in handler.path:
            then()
        return False
    fake.faults = [fault] * 500


def remove(fake, low, high):
    for n in range(low, high + 1):
        fake.objects.pop(key_of(0, n, n), None)


def test_what_was_merged_meanwhile_is_told_out_of_the_merged_file(box):
    for settings in (ONE, ()):
        fake, states = filled(box, 8)
        right = fake.run("events", ARCHIVE)
        single = lsns(right.out)
        expect(right.code == 0 and {2, 3, 4, 7} <= set(single), "%s", right)

        def merge(fake=fake, states=states):
            remove(fake, 4, 6)
            put(fake, 1, 2, 6, states)
        # Of several at once the one that is asked for first is not always the first.
        when_asked(fake, 4, merge)
        done = fake.run("events", ARCHIVE, settings=settings)
        expect(done.code == 0, "%s", done)
        told = lsns(done.out)
        wanted = sorted({n for n in single if n <= 2 or n > 5} | {5})
        expect(told == wanted if settings == ONE else 5 in told and told[-1] == 7,
               "%s, not %s", told, wanted)


def test_what_was_removed_meanwhile_is_said_after_what_is_before_it(box):
    fake, _ = filled(box, 8)
    when_asked(fake, 6, lambda: remove(fake, 6, 8))
    done = fake.run("events", ARCHIVE, settings=ONE)
    expect(done.code == 1 and lsns(done.out) == [2, 3, 4], "%s", done)
    expect("the files that lead from txid:5 to txid:8 were removed meanwhile; give "
           "another --until" in done.error_lines[-1], "%s", done)


def test_a_first_state_that_vanishes_each_time_is_given_up(box):
    fake, _ = filled(box, 3)

    def gone(handler):
        if "/0009/" in handler.path and handler.headers["Range"] != "bytes=0-99":
            handler.fail(404, "NoSuchKey")
            return True
        return False
    for args in ([], ["--state", box.path("state"), *NO_STATE]):
        fake.requests = []
        fake.faults = [gone] * 1000
        done = fake.run("events", ARCHIVE, *args, settings=ONE)
        expect(done.code == 1 and not done.out and "was removed while the archive was read; "
               "try again" in done.error_lines[-1], "%s", done)
        lists = [path for _, path, _ in fake.requests if "list-type=2" in path]
        expect(len(lists) <= 30, "%d lists", len(lists))


def test_the_last_file_of_a_run_before_cannot_be_read(box):
    fake, states = filled(box, 3)
    state = ["--state", box.path("state"), *NO_STATE]
    done = fake.run("events", ARCHIVE, *state, settings=ONE)
    expect(done.code == 0 and lsns(done.out) == [2], "%s", done)
    put(fake, 0, 4, 4, states)

    def broken(code, name):
        def fault(handler):
            if handler.path.endswith("%016x.ltx" % 3) and handler.headers[
                    "Range"] != "bytes=0-99":
                handler.fail(code, name)
                return True
            return False
        return fault
    for code, name, exit_code in ((403, "AccessDenied", 2), (418, "Teapot", 1)):
        fake.faults = [broken(code, name)] * 100
        done = fake.run("events", ARCHIVE, *state, settings=ONE)
        fake.faults = []
        expect(done.code == exit_code and not done.out, "%s: %s", name, done)
    done = fake.run("events", ARCHIVE, *state, settings=ONE)
    expect(done.code == 0 and lsns(done.out) == [3], "%s", done)


def test_a_server_that_is_away_for_a_while_is_said_once(box):
    """At each request of a run that follows: lists of all and of what is new, files."""
    for kind in ("list", "file"):
        fake, states = filled(box, 3)
        tail = box.tail("events", ARCHIVE, "--follow", "-D",
                        "archive.s3.endpoint=" + fake.endpoint, wait=False,
                        env=environment())
        seen = 0

        def told(n):
            lines = [tail.peek(i) for i in range(tail.available())]
            return any(parse_line(line)["source"]["lsn"] == n for line in lines if line)
        def count(text):
            return len([e for e in tail.errors if text in e])
        box.wait_until(lambda: told(2), 30, "the first event")
        for n in (4, 5):
            away = [True]

            def gone(handler, away=away):
                if away[0] and ("list-type" in handler.path) == (kind == "list"):
                    handler.fail(418, "Teapot")     # which is not tried again at once
                    return True
                return False
            fake.faults = [gone] * 10000
            put(fake, 0, n, n, states)
            box.wait_until(lambda: len([e for e in tail.errors if "trying again" in e])
                           > seen, 60, "it is not said")
            asked = len(fake.requests)
            box.wait_until(lambda: len(fake.requests) > asked + 3, 60, "it gave up")
            away[0] = False
            box.wait_until(lambda n=n: told(n - 1), 60, "what came meanwhile")
            # An answer that was asked for before may be given after others.
            box.wait_until(lambda: count("can be read again") == count("trying again"),
                           60, "its end is not said")
            expect(seen < count("trying again") <= seen + 2, "%s", tail.errors)
            expect("418 Teapot" in [e for e in tail.errors if "trying again" in e][-1],
                   "%s", tail.errors)
            seen = count("trying again")
        box.stop(tail)


def test_no_more_is_read_than_has_room(box):
    """While nobody takes events: a thousand files ahead of them, and no more."""
    fake = FakeS3(box)
    path, page_size, count = box.path("many.db"), 512, 1500
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size=%d" % page_size)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES(1, 0)")
    before = {}
    for n in range(1, count + 1):
        if n > 1:
            db.execute("UPDATE t SET v = %d" % n)
        with open(path, "rb") as file:
            body = file.read()
        pages = {i // page_size + 1: body[i:i + page_size]
                 for i in range(0, len(body), page_size)}
        changed = {p: b for p, b in pages.items() if before.get(p) != b}
        fake.put(key_of(9 if n == 1 else 0, n, n), ltx.encode(
            n, n, page_size, len(pages), changed, time_ms=n), rfc3339(n))
        before = pages
    db.close()
    process = subprocess.Popen(
        box.command("events", ARCHIVE, "-D", "archive.s3.endpoint=" + fake.endpoint,
                    "-D", ONE[0]), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment())
    box.wait_until(lambda: len(of_files(fake)) > 1024, 60, "files are not read ahead")
    asked = -1
    while asked != len(of_files(fake)):
        asked = len(of_files(fake))
        time.sleep(1)
    expect(asked < count, "%d of %d files were read", asked, count)
    out, err = process.communicate(timeout=100 * box.slow)
    expect(process.returncode == 0, "exit %d: %s", process.returncode, err)
    values = [json.loads(line)["after"]["v"] for line in out.splitlines()]
    expect(values == list(range(2, count + 1)), "%d events", len(values))


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 180

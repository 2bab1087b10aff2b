"""rowtail --archive into a bucket: of a server of our own, which can hang."""

import os
import signal
import threading
import time

from archive.archiver import small, waits
from archive.s3_faults import KeyFile
from harness.box import expect
from harness.pages import image
from harness.s3 import BUCKET, environment
from harness.s3_fake import FakeS3, cut, failing

ARCHIVE = "s3://%s/app" % BUCKET


def follow(box, fake, path, *more, **how):
    return box.tail(path, "--state", box.path("state"), "--archive", ARCHIVE, "-D",
                    "archive.s3.endpoint=" + fake.endpoint, "-D",
                    "snapshot.mode=no_data", *more, env=environment(), **how)


def files(fake):
    with fake.lock:
        return sorted(k for k in fake.objects if k.endswith(".ltx"))


def same(box, fake, path):
    out = box.path("restored.db")
    done = fake.run("restore", ARCHIVE, out)
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        expect(file.read() == image(path), "another database")
    os.remove(out)


class Hanging:
    """A server that takes requests and never answers, until it is let go."""

    def __init__(self, fake):
        self.asked = threading.Event()
        self.ends = threading.Event()
        fake.faults[:] = [self] * 1000
        self.fake = fake

    def __call__(self, handler):
        self.asked.set()
        self.ends.wait(120)
        handler.cut()
        return True

    def let_go(self):
        self.fake.faults[:] = []
        self.ends.set()


def test_what_was_captured_is_uploaded_at_a_stop(box):
    writer, path = small(box)
    fake = FakeS3(box)
    for n in range(3):
        tail = follow(box, fake, path, "-D", "archive.interval.ms=3600000")
        box.wait_until(lambda: files(fake), 30, "no first file")
        before = files(fake)
        writer.sql("c", "INSERT INTO t(v) VALUES('number %d')" % n)
        expect(tail.wait_lines(1, 20), "no event")
        expect(files(fake) == before, "uploaded before the interval")
        box.stop(tail)
        expect(not waits(box), "not uploaded: %s; %s", waits(box), tail.error_text())
        same(box, fake, path)


def test_a_server_that_never_answers_holds_up_neither_a_stop_nor_a_commit(box):
    writer, path = small(box)
    fake = FakeS3(box)
    tail = follow(box, fake, path, "-D", "archive.interval.ms=0")
    box.wait_until(lambda: files(fake), 30, "no first file")
    hanging = Hanging(fake)
    for sig in (signal.SIGTERM, signal.SIGINT):
        writer.sql("c", "INSERT INTO t(v) VALUES('a')")
        expect(hanging.asked.wait(30), "no request")
        for n in range(20):
            writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        expect(tail.wait_lines(21, 20), "events wait for the archive")
        expect(tail.stop(sig) == 0, "exit %s: %s", tail.process.returncode,
               tail.error_text())
        expect(any("for the archive" in e and "wait" in e and "the next run uploads" in e
                   for e in tail.errors), "nothing said: %s", tail.error_text())
        expect(waits(box), "nothing waits")
        hanging.let_go()
        tail = follow(box, fake, path, "-D", "archive.interval.ms=0")
        box.wait_until(lambda: not waits(box), 30, "files wait still")
        same(box, fake, path)
        hanging = Hanging(fake)
    hanging.let_go()
    box.stop(tail)


def slow_answer(handler):
    time.sleep(1.2)


def test_a_stop_does_not_wait_for_all_that_a_slow_server_has_to_take(box):
    writer, path = small(box)
    # As large as what may wait without being merged.
    writer.sql("c", "INSERT INTO t(v) SELECT randomblob(400000)")
    fake = FakeS3(box)
    tail = follow(box, fake, path, "-D", "archive.interval.ms=0")
    box.wait_until(lambda: files(fake), 30, "no first file")
    fake.faults[:] = [slow_answer] * 1000
    for n in range(40):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        box.wait_until(lambda: len(waits(box)) + len(files(fake)) > n, 30, "no file")
    box.stop(tail)
    expect(any("wait in the state directory" in e for e in tail.errors),
           "it ended without a word: %s", tail.error_text())
    fake.faults[:] = []
    tail = follow(box, fake, path)
    box.wait_until(lambda: not waits(box), 120, "files wait still")
    box.stop(tail)
    same(box, fake, path)


def test_keys_in_a_file_may_be_exchanged_while_an_archive_is_written(box):
    """Those of the uploads and those of the merges, each with a connection of its own."""
    writer, path = small(box)
    fake = FakeS3(box)
    keys = KeyFile(box, fake)
    keys.write(0)
    keys.take(0)
    tail = follow(box, fake, path, "-D", "archive.interval.ms=0", "-D",
                  "archive.compaction.levels=1s", *keys.options())
    box.wait_until(lambda: files(fake), 30, "no first file")
    for n in range(1, 4):
        keys.write(n)
        keys.take(n)
        before = len(files(fake))
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        box.wait_until(lambda: len(files(fake)) > before, 30, "no upload")
        merged = [k for k in files(fake) if "/0001/" in k]
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        box.wait_until(lambda: [k for k in files(fake) if "/0001/" in k] != merged, 30,
                       "no merge")
    box.stop(tail)
    expect(not any("credentials" in e or "denied" in e for e in tail.errors), "%s",
           tail.error_text())
    keys.check_unsaid(tail.errors)
    out = box.path("restored.db")
    done = fake.run("restore", ARCHIVE, out, settings=keys.settings)
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        expect(file.read() == image(path), "another database")


def of_files(fault, first):
    """A fault of those requests that put a file, before which `first` is called."""
    def put(handler):
        if handler.command != "PUT" or not handler.key.endswith(".ltx"):
            return False
        first()
        return fault(handler)
    return put


def test_an_archive_that_is_listed_and_takes_no_file_is_still_away(box):
    writer, path = small(box)
    fake = FakeS3(box)
    tail = follow(box, fake, path)
    box.wait_until(lambda: files(fake), 30, "no first file")
    box.stop(tail)
    reason = os.path.join(box.path("state"), "archive", "error")
    expect(not os.path.exists(reason), "it is away")
    refused = threading.Event()
    fake.faults[:] = [cut] * 1000
    tail = follow(box, fake, path, "-D", "archive.interval.ms=0")
    expect(os.path.exists(reason), "nothing says that it is away: %s", tail.error_text())
    writer.sql("c", "INSERT INTO t(v) VALUES('a')")
    fake.faults[:] = [of_files(failing(503, "SlowDown"), refused.set)] * 1000
    expect(refused.wait(120), "no file came")
    box.stop(tail)
    expect(os.path.exists(reason), "it is said to take files")
    fake.faults[:] = []
    tail = follow(box, fake, path)
    box.wait_until(lambda: not waits(box), 120, "files wait still")
    box.wait_until(lambda: not os.path.exists(reason), 30, "it is away still")
    box.stop(tail)


def test_a_run_that_ends_while_its_file_is_refused_says_so(box):
    _, path = small(box)
    fake = FakeS3(box)
    # For good, once the run has nothing else to do.
    fake.faults[:] = [of_files(failing(403, "AccessDenied"), lambda: time.sleep(2))] * 100
    done = fake.run(path, "--state", box.path("state"), "--archive", ARCHIVE, "--once")
    expect(done.code == 2, "exit %s: %s", done.code, done)
    expect(b"s3:PutObject" in done.err and b"next run" not in done.err and
           b"the other one" not in done.err, "%s", done)


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 300

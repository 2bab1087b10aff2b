"""What runs out while rowtail follows: descriptors, threads and processes, memory. The
application notices nothing, no event is lost or has another value than its row, and who
has to end says in one line what ran out; a later run goes on where that one ended.
"""

import json
import os
import random
import resource
import shutil
import signal

from harness.box import NotRun, expect

TABLE = ("CREATE TABLE t(id INTEGER PRIMARY KEY, a,"
         " v GENERATED ALWAYS AS (upper(a)) VIRTUAL)")
ROWS = ("INSERT INTO t(id, a) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
        " FROM n WHERE i < %d) SELECT %d + i, 'a' || hex(randomblob(300)) FROM n")
USER = 64321


class Run:
    """A database, its application, and a rowtail of which something is taken away."""

    def __init__(self, box, mode, preexec=None):
        self.box, self.mode, self.count = box, mode, 0
        for name in os.listdir(box.folder):
            shutil.rmtree(box.path(name)) if os.path.isdir(box.path(name)) else \
                os.unlink(box.path(name))
        if preexec:
            os.chown(box.folder, USER, USER)
        self.writer, self.path = box.database(TABLE)
        if preexec:
            for end in ("", "-wal", "-shm"):
                os.chown(self.path + end, USER, USER)
        self.preexec = preexec
        self.args = [self.path]
        if mode != "stdout":
            self.args += ["--state", box.path("state"), "-D",
                          "journal.max.bytes=300000"]
        if mode == "file":
            self.args += ["--to", "file:" + box.path("out")]
        self.tail = box.tail(*self.args, preexec=preexec)
        self.add(20)

    @property
    def pid(self):
        return self.tail.process.pid

    def is_running(self):
        return self.tail.process.poll() is None

    def add(self, total, at_once=1):
        for _ in range(total):
            self.writer.sql("c", ROWS % (at_once, self.count))
            self.count += at_once

    def work(self):
        """All that needs something anew: large and small transactions, a changed
        schema, a large row, another connection, the file's end."""
        self.add(60)
        self.add(12, at_once=400)
        self.writer.sql("c", "CREATE TABLE u%d(x)" % self.count)
        self.writer.sql("c", "ALTER TABLE t ADD COLUMN z%d" % self.count)
        self.add(20)
        self.writer.sql("c", "INSERT INTO t(id, a) SELECT %d, 'b' || hex(zeroblob(1500"
                        "000))" % (self.count + 1))
        self.count += 1
        self.writer.call("close", "c")
        if self.is_running():
            self.tail.process.send_signal(
                signal.SIGHUP if self.mode == "file" else signal.SIGCONT)
        self.writer.open("c", self.path)
        self.add(60)

    def limit(self, kind, most=None):
        """As its own user, who needs no privilege for that; None: as much as may be."""
        child = os.fork()
        if child == 0:
            try:
                if self.preexec:
                    self.preexec()
                hard = resource.prlimit(self.pid, kind)[1]
                resource.prlimit(self.pid, kind, (hard if most is None else most, hard))
                os._exit(0)
            finally:
                os._exit(1)
        expect(os.waitpid(child, 0)[1] == 0, "the limit cannot be set")

    def lines(self):
        if self.mode != "file":
            return list(self.tail.lines)
        with open(self.box.path("out"), "rb") as source:
            return source.read().splitlines()

    def has_come(self):
        return not self.is_running() or len(self.lines()) >= self.count

    def work_with(self, kind, most, where, reason):
        """Take away what is above `most`, and give it back; look at all that came.
        True: it went on all the time."""
        self.limit(kind, most)
        self.work()
        if self.is_running():
            self.box.wait_until(self.has_come, 30, where + ": not all came")
        went_on = self.is_running()
        if went_on:
            self.limit(kind)
            self.add(20)
            self.box.wait_until(self.has_come, 30, where + ": it does not go on")
        if self.is_running():
            self.box.stop(self.tail)
        else:
            self.judge(where, reason)
        lines = self.lines()
        if self.mode != "stdout":
            again = self.box.run(*self.args, "--once", timeout=60, preexec=self.preexec)
            expect(again.code == 0, "%s: the next run: %s", where, again)
            lines = self.lines() + again.out.splitlines()
        self.compare(where, lines)
        self.writer.close()
        return went_on

    def judge(self, where, reason):
        code = self.tail.wait_exit(10)
        expect(code == 1, "%s: exit %s\n%s", where, code, self.tail.error_text())
        last = self.tail.errors[-1]
        expect(reason in last, "%s: it does not say what ran out:\n%s",
               where, self.tail.error_text())

    def compare(self, where, lines):
        """Each row once and in order, with the values of the row."""
        rows = dict(self.writer.run("c", [("x", "SELECT id, v FROM t")], False)[0])
        expect(len(rows) == self.count, "%s: the application has %d rows of %d", where,
               len(rows), self.count)
        answer = self.writer.sql("c", "PRAGMA integrity_check")
        expect("ok" in str(answer), "%s: %s", where, answer)
        at = 0
        for line in lines:
            event = json.loads(line)
            if event.get("source", {}).get("table") != "t":
                continue
            at += 1
            row = event["after"]
            expect(event["op"] == "c" and row["id"] == at, "%s: event %d is %s of %d",
                   where, at, event["op"], row["id"])
            expect(row["v"] == rows[at], "%s: row %d has another v: %.40r\n%s", where, at,
                   row["v"], self.tail.error_text())
        expect(at == self.count if self.mode != "stdout" else at <= self.count,
               "%s: %d events of %d", where, at, self.count)


def no_sanitizer(box):
    if box.options.wrapper or box.slow > 1:
        raise NotRun("sanitizers and valgrind need more than these limits")


def free_descriptors(pid):
    used = {int(f) for f in os.listdir("/proc/%d/fd" % pid)}
    return [n for n in range(1000) if n not in used]


def descriptors(box, mode):
    """None at all, none but those that are open, and some more."""
    no_sanitizer(box)
    went_on = 0
    for more in (-1, 0, 1, 2, 3, 5, 8, 20):
        run = Run(box, mode)
        most = free_descriptors(run.pid)[more] if more >= 0 else 0
        went_on += run.work_with(resource.RLIMIT_NOFILE, most,
                                 "%d descriptors" % most, "Too many open files")
    expect(went_on, "it never went on")


def test_descriptors(box):
    descriptors(box, "stdout")


def test_descriptors_with_a_state_directory(box):
    descriptors(box, "state")


def test_descriptors_with_a_file(box):
    descriptors(box, "file")


def memory(box, mode):
    no_sanitizer(box)
    dice = random.Random(5)
    for more in (0, 200 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 512 << 20):
        run = Run(box, mode)
        with open("/proc/%d/statm" % run.pid) as source:
            now = int(source.read().split()[0]) * resource.getpagesize()
        most = now + more + dice.randrange(100) * 4096
        run.work_with(resource.RLIMIT_AS, most, "%d KiB more" % (more >> 10),
                      "limits: ulimit -v")


def test_memory(box):
    memory(box, "stdout")


def test_memory_with_a_state_directory(box):
    memory(box, "state")


def test_memory_with_a_file(box):
    memory(box, "file")


def threads(box, mode):
    """Another user's, as root has no such limit: no new thread, no new process."""
    no_sanitizer(box)
    if os.getuid() != 0:
        raise NotRun("only root can be a user without other processes")

    def become():
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
    for more in (0, 1, 3):
        try:
            run = Run(box, mode, become)
        except PermissionError:
            raise NotRun("another user cannot run %s" % box.options.rowtail)
        now = len(os.listdir("/proc/%d/task" % run.pid))
        run.work_with(resource.RLIMIT_NPROC, now + more, "%d threads more" % more,
                      "no more threads or processes")


def test_threads(box):
    threads(box, "stdout")


def test_threads_with_a_state_directory(box):
    threads(box, "state")

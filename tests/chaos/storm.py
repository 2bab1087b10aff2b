"""One storm: a database, its writers, what is done to it, and rowtail, which is started
again and again with other limits, and killed, stopped or paused.

All that is done comes from the seed; when each of it happens does not.
"""

import os
import random
import signal
import sqlite3
import subprocess
import time

from chaos.ledger import Ledger
from chaos.writers import KINDS, SETUP, Writer, missing
from harness.box import Failed, expect
from harness.events import Mismatch
from harness.state import read_state

JOURNAL_LIMITS = [256 << 10, 256 << 10, 300000, 1 << 20, 8 << 20, None]
HOLD_LIMITS = [None, None, None, 1 << 20, 4 << 20]
LEAST = 30                          # transactions in a storm
LINE_BYTES = 4000                   # of what a transaction gives, and more
PATIENCE = 90                       # seconds, for what a busy machine does some day


class Limits:
    """What a storm may do."""

    def __init__(self, to_file=False, restores=True, ddl=True, sleep=None, kinds=KINDS,
                 journal=None, hold=None, kills=True):
        self.to_file, self.restores, self.ddl = to_file, restores, ddl
        self.sleep, self.kinds, self.kills = sleep, kinds, kills
        self.journal = journal or JOURNAL_LIMITS
        self.hold = hold or HOLD_LIMITS


class Storm:
    def __init__(self, box, seed, seconds, limits):
        self.box, self.seconds, self.limits = box, seconds, limits
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.path = box.path()
        self.out = box.path("out.jsonl")
        self.older = []
        self.tail = None
        self.told = []              # what was done, newest last
        self.runs = self.kills = 0
        self.backups = 0
        self.tables = {}            # number -> its name now
        self.errand = None          # of the shell, under way
        self.writers = []
        self.begun = time.monotonic()
        self.left_out = {}          # writers that cannot run here, and why

    def note(self, text, *args):
        self.told.append("%7.2f %s" % (
            time.monotonic() - self.begun, text % args if args else text))

    # -- the application -----------------------------------------------------------

    def make_database(self):
        page_size = self.random.choice([1024, 4096, 4096])
        self.note("pages of %d bytes", page_size)
        db = sqlite3.connect(self.path, isolation_level=None)
        try:
            db.execute("PRAGMA page_size=%d" % page_size)
            db.execute("PRAGMA auto_vacuum=%d" % self.random.choice([0, 0, 0, 1]))
            db.execute("PRAGMA journal_mode=WAL")
            for statement in SETUP:
                db.execute(statement)
        finally:
            db.close()

    def start_writers(self):
        for kind in self.limits.kinds:
            reason = missing(kind)
            if reason:
                self.left_out[kind] = reason
                continue
            pause_us = self.random.choice([300, 2000, 8000])
            writer = Writer(self.box, self.path, kind, self.random.randrange(10 ** 6),
                            pause_us)
            self.writers.append(writer)
            self.box.opened.append(writer)
            writer.start()

    def shell(self, *commands):
        """Hands the sqlite3 shell an errand; one at a time, and it may be killed."""
        if self.errand and self.errand.poll() is None:
            return
        self.note("shell: %s", "; ".join(commands))
        self.errand = subprocess.Popen(
            ["sqlite3", "-batch", self.path, ".timeout 20000", *commands],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def errand_of_ddl(self):
        number = self.random.randrange(6)
        name = self.tables.get(number)
        if name is None:
            self.tables[number] = name = "x%d" % number
            return ["BEGIN; CREATE TABLE %s(a, b TEXT); INSERT INTO %s SELECT id, note FROM"
                    " stock WHERE id < 12; COMMIT" % (name, name)]
        draw = self.random.random()
        if draw < 0.3:
            del self.tables[number]
            return ["DROP TABLE %s" % name]
        if draw < 0.6:
            self.tables[number] = "y%d" % number if name[0] == "x" else "x%d" % number
            return ["ALTER TABLE %s RENAME TO %s" % (name, self.tables[number])]
        if draw < 0.8:
            return ["ALTER TABLE %s ADD COLUMN c%d DEFAULT 7" % (
                name, self.random.randrange(1000))]
        return ["UPDATE %s SET b = b || 'u' WHERE a %% 2 = 0" % name]

    def run_errand(self):
        draw = self.random.random()
        if draw < 0.15:
            self.shell("VACUUM")
        elif draw < 0.3:
            self.shell("PRAGMA wal_checkpoint(%s)" % self.random.choice(
                ["PASSIVE", "FULL", "RESTART", "TRUNCATE"]))
        elif draw < 0.4:
            self.backups += 1
            self.shell(".backup " + self.box.path("backup-%d" % self.backups))
        elif draw < 0.5 and self.limits.restores and self.backups:
            name = self.box.path("backup-%d" % self.random.randrange(1, self.backups + 1))
            if self.is_whole(name):
                self.ledger.restores = True
                self.shell(".restore " + name)
        elif self.limits.ddl:
            self.shell(*self.errand_of_ddl())

    def is_whole(self, name):
        """A backup whose making was not cut short; of a shell that is done."""
        if not os.path.exists(name) or (self.errand and self.errand.poll() is None):
            return False
        db = sqlite3.connect(name)
        try:
            return db.execute("PRAGMA quick_check").fetchone() == ("ok",) and db.execute(
                "SELECT count(*) FROM stock").fetchone() is not None
        except sqlite3.Error:
            return False
        finally:
            db.close()

    def disturb_application(self):
        draw = self.random.random()
        if draw < 0.5:
            self.run_errand()
        elif draw < 0.85 and self.limits.kills:
            writer = self.random.choice(self.writers)
            self.note("writer %s is killed", writer.name)
            writer.kill()
            writer.start()
        elif self.errand and self.limits.kills:
            self.errand.kill()

    # -- rowtail -------------------------------------------------------------------

    def arguments(self, *more):
        sink = ["--to", "file:" + self.out] if self.limits.to_file else []
        return [self.path, "--state", self.box.path("state"), "--lines=record",
                "-D", "include.schema.changes=true", "-D", "tombstones.on.delete=false",
                *sink, *more]

    def start(self):
        draw = self.random
        more = []
        journal, hold = draw.choice(self.limits.journal), draw.choice(self.limits.hold)
        if journal:
            more += ["-D", "journal.max.bytes=%d" % journal]
        if hold:
            more += ["-D", "hold.max.wal.bytes=%d" % hold]
        if draw.random() < 0.2:
            more += ["-D", "hold.escalate=false"]
        env = dict(os.environ)
        if self.limits.sleep:
            env["ROWTAIL_SLEEP"] = self.limits.sleep
            # A stop that takes too long ends without joining its threads.
            env["TSAN_OPTIONS"] = env.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"
        self.runs += 1
        self.ledger.begin_run()
        self.rest = b""
        self.note("rowtail starts: %s", " ".join(more))
        self.tail = self.box.tail(*self.arguments(*more), wait=False, take=False, env=env)
        os.set_blocking(self.tail.process.stdout.fileno(), False)

    def read(self, seconds):
        """What comes in so much time goes into the ledger."""
        until = time.monotonic() + seconds
        while True:
            try:
                data = os.read(self.tail.process.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                data = None
            if data == b"":
                return
            if data:
                self.feed(data)
            left = until - time.monotonic()
            if left <= 0:
                return
            if data is None:
                time.sleep(min(left, 0.005))

    def feed(self, data):
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.ledger.take(line + b"\n")

    def rotate(self):
        if not self.limits.to_file or not os.path.exists(self.out):
            return
        self.note("rotation")
        self.older.append("%s.%d" % (self.out, len(self.older)))
        os.rename(self.out, self.older[-1])
        if self.random.random() < 0.8:      # else the next start makes a new one
            self.tail.process.send_signal(signal.SIGHUP)

    def pause(self):
        seconds = self.random.choice([0.02, 0.2, 0.8])
        self.note("rowtail is paused for %.2f s", seconds)
        self.tail.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.tail.process.send_signal(signal.SIGCONT)

    def live(self):
        """One run, until it is killed or stopped."""
        draw = self.random
        self.start()
        is_slow = draw.random() < 0.6
        until = time.monotonic() + draw.choice([0.05, 0.5, 1.5, 3, 5]) * self.box.slow
        while time.monotonic() < until and self.tail.process.poll() is None:
            kind = draw.random()
            if kind < 0.35:
                self.disturb_application()
            elif kind < 0.40 and self.tail.following.is_set():
                self.pause()
            elif kind < 0.45 and self.tail.following.is_set():
                self.rotate()
            if is_slow:
                time.sleep(draw.choice([0.02, 0.1, 0.3]))
            self.read(draw.choice([0.02, 0.1, 0.3]))
        self.check_alive()
        self.end(draw.random() < 0.5 and self.limits.kills)

    def check_alive(self):
        if self.tail.process.poll() is not None:
            self.tail.error_end.wait(5)
            raise Failed("rowtail ended by itself, exit %s; stderr:\n%s" % (
                self.tail.process.returncode, self.tail.error_text()))

    def end(self, kills):
        self.note("rowtail is %s", "killed" if kills else "stopped")
        self.tail.process.send_signal(signal.SIGKILL if kills else signal.SIGTERM)
        self.await_end(kills)

    def await_end(self, kills):
        deadline = time.monotonic() + PATIENCE * self.box.slow
        while self.tail.process.poll() is None:
            expect(time.monotonic() < deadline, "rowtail does not end; stderr:\n%s",
                   self.tail.error_text())
            self.read(0.02)
        self.read(0.0)
        while self.drain():
            pass
        self.tail.error_end.wait(5)
        self.box.complain(self.tail.errors)
        code = self.tail.process.returncode
        expect(code == (-signal.SIGKILL if kills else 0), "exit %s; stderr:\n%s", code,
               self.tail.error_text())
        expect(kills or not self.rest, "half a line: %r", self.rest[-200:])
        self.kills += kills
        self.ledger.end_run(clean=not kills)
        self.tail.close()
        self.box.opened.remove(self.tail)
        self.tail = None

    def drain(self):
        try:
            data = os.read(self.tail.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        if data:
            self.feed(data)
        return bool(data)

    # -- the whole -----------------------------------------------------------------

    def run(self):
        self.make_database()
        if self.limits.sleep or self.random.random() < 0.5:
            self.check()            # else the first copy is under the storm, too
        self.start_writers()
        until = time.monotonic() + self.seconds * self.box.slow
        while time.monotonic() < until or self.is_too_early(until):
            self.live()
            for _ in range(self.random.choice([0, 0, 1, 3])):
                self.disturb_application()
                time.sleep(self.random.choice([0, 0.05, 0.3]))
        self.calm_down()
        self.check()
        return self.ledger.counts() + (self.runs, self.kills)

    def is_too_early(self, until):
        """A busy machine has told too little for anything to be found out."""
        if self.limits.to_file:
            told = sum(os.path.getsize(name) for name in (*self.older, self.out)
                       if os.path.exists(name)) // LINE_BYTES
        else:
            told = self.ledger.transactions
        return told < LEAST and time.monotonic() < until + PATIENCE * self.box.slow

    def calm_down(self):
        self.note("all writers end")
        for writer in self.writers:
            writer.kill()
        if self.errand:
            self.errand.wait(PATIENCE)

    def check(self):
        """All that is committed comes now, once, and is what the database has."""
        self.ledger.begin_run()
        self.rest = b""
        self.tail = self.box.tail(*self.arguments("--once"), wait=False, take=False)
        os.set_blocking(self.tail.process.stdout.fileno(), False)
        self.await_end(kills=False)
        if self.limits.to_file:
            self.read_files()
        state = read_state(self.path)
        self.ledger.complete(state)
        result = self.box.run("verify", "--state", self.box.path("state"), self.path,
                              timeout=PATIENCE)
        expect(result.code == 0, "verify: %s", result)
        self.check_application(state)

    def read_files(self):
        """Each line once, over all of them."""
        restores = self.ledger.restores
        self.ledger = Ledger()
        self.ledger.restores = restores
        self.ledger.begin_run()
        for name in (*self.older, self.out):
            with open(name, "rb") as source:
                for line in source:
                    expect(line.endswith(b"\n"), "%s ends in %r", name, line[-80:])
                    self.ledger.take(line)
        expect(self.ledger.repeated == 0, "%d events stand in the files twice",
               self.ledger.repeated)

    def check_application(self, state):
        """Not one commit that a writer was told of is missing."""
        db = sqlite3.connect(self.path)
        whole = db.execute("PRAGMA integrity_check").fetchall()
        db.close()
        expect(whole == [("ok",)], "integrity_check: %s", whole[:3])
        if self.ledger.restores:
            return
        numbers = {row[1]: row[2] for row in state.tables["counter"].rows}
        for writer in self.writers:
            got = numbers.get(writer.name, 0)
            expect(got >= writer.acknowledged, "writer %s: %d commits of %d are there",
                   writer.name, got, writer.acknowledged)

    def report(self):
        return "\n".join("  " + t for t in self.told[-40:])


def run_storm(box, seed, seconds, limits, again):
    """The counts; raises Failed with the seed and how to do it again."""
    storm = Storm(box, seed, seconds, limits)
    try:
        counts = storm.run()
        return counts, storm.left_out
    except (Failed, Mismatch) as problem:
        raise Failed("%s\nseed %d, after:\n%s\n%sagain: %s" % (
            problem, seed, storm.report(), errors_of(storm), again))


def errors_of(storm):
    return "stderr:\n%s\n" % storm.tail.error_text() if storm.tail else ""

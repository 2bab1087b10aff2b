"""Rounds of random work, stops, kills and starts on one state directory.

A hostile application (oracle/workload.py) writes, checkpoints, closes, vacuums, while
rowtail runs, is started, is stopped or killed, or is away. Now and then --once must
bring the consumer to what the database is: every message, each once, must lead from one
committed state to the next (history.py), with exact before images and numbers without
gaps; what comes again after kill -9 must be the same message (consumer.py: Stream).
"""

import contextlib
import fcntl
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from harness.events import LineChecker, Mismatch, Settings
from harness.expect import json_value, short
from harness.state import ascii_lower
from harness.tail import Tail, TailFailed, sanitizer_report
from harness.writers import Writer, WriterFailed, WriterGone
from oracle import oracle
from oracle.oracle import SeedFailed, SeedRun
from oracle.workload import Unit

from state.consumer import Message, Stream, dump
from state.history import History

CHECK_EVERY = 4                     # rounds, about
F_SETPIPE_SZ = 1031


class Counts:
    """What a seed was: added up by the runner."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def __add__(self, other):
        return Counts(*map(sum, zip(self.numbers, other.numbers)))

    def __str__(self):
        return ("%d seeds: %d runs, %d killed; %d commits, %d messages, %d of them"
                " again; %d transactions, %d by catch-up, %d merged" % self.numbers)


class ResumeRun(SeedRun):
    """All that one seed needs, and the loop."""

    may_have_context = False

    def __init__(self, seed, settings, rounds, folder):
        super().__init__(seed, oracle.Options(
            settings.rowtail, 0, settings.wrapper, settings.slow, fake=settings.fake),
            folder)
        p, rng = self.profile, self.rng
        p.record = True
        p.lonely = rng.random() < 0.5
        p.deep = p.deep and rng.random() < 0.5
        p.restores = rng.random() < 0.3
        p.excursions = rng.random() < 0.3
        p.signals = rng.choice([0, 0, 1, 2, 5, 100]) if not settings.fake else 0
        p.slow_reader = rng.random() < 0.3 and not settings.fake
        p.backlog = rng.choice([None, None, 5000, 50000])
        p.slow_reader |= p.backlog is not None and not settings.fake
        self.rounds = rounds
        self.directory = os.path.join(folder, "state")
        self.settings = Settings("app.db", record=True, metadata=p.metadata)
        self.stream = Stream()
        self.history = History(LineChecker(self.settings))
        self.history.merges = p.backlog is not None
        self.told = 0               # messages that history has seen
        self.is_broken = True       # nothing proves what happened since the last run
        self.backup = None          # a copy of the database
        self.kills = 0
        self.runs = 0
        self.asked = []             # snapshots whose signal was acknowledged

    # -- the application -------------------------------------------------------

    def look(self, unit):
        """Reads the state after a unit."""
        if self.options.fake and self.tail:
            self.wait_for_fake()
        if not self.reader.db:
            self.reader.open()
        self.workload.state = self.reader.read()
        self.history.add(self.workload.state, unit)
        self.commits += 1

    def wait_for_fake(self):
        """The stand-in sees one commit at a time only."""
        with open(self.path + ".asked", "w") as out:
            out.write(str(self.commits + 1))
        while self.tail.process.poll() is None:
            with open(self.path + ".seen", "a+") as source:
                source.seek(0)
                if source.read() == str(self.commits + 1):
                    return
            time.sleep(0.001)

    def work(self, count):
        for _ in range(count):
            if self.rng.random() < self.profile.maintenance:
                self.maintain()
            else:
                self.run_unit(self.workload.unit())

    def maintain(self):
        self.is_broken = True
        super().maintain()

    def close_application(self):
        """Every connection of the application; opens() brings them back."""
        self.note("all connections closed")
        for writer in self.writers.values():
            writer.call("close_all")
        self.readers_open.clear()
        self.reader.close()
        self.is_broken = True

    def open_application(self):
        for library in self.writers:
            for i in range(self.profile.connections):
                self.open_connection(library, "c%d" % i)
        self.reader.open()

    def away(self):
        """What happens while nobody follows."""
        rng, p = self.rng, self.profile
        draw = rng.random()
        if draw < 0.15:
            return
        self.work(rng.choice([0, 1, 1, 2, 3, 6, 12]))
        if draw < 0.35:
            self.close_application()
            self.open_application()
            self.work(rng.choice([0, 1, 2]))
        elif draw < 0.45 and p.restores:
            self.back_up_or_restore()
            self.work(rng.choice([0, 1, 2]))
        elif draw < 0.5 and p.excursions:
            self.leave_wal_mode()
            self.work(rng.choice([0, 1, 2]))
        elif draw < 0.65:
            for _ in range(rng.choice([1, 2, 3])):
                self.do_checkpoint(rng.choice(p.libraries), None)
                self.work(rng.choice([0, 0, 1, 2]))
            self.is_broken = True

    def back_up_or_restore(self):
        """cp and mv of the file while it is closed."""
        rng = self.rng
        self.close_application()
        copy = os.path.join(self.folder, "backup")
        if self.backup and rng.random() < 0.6:
            way = rng.choice(["cp", "mv"])
            self.note("the backup is put back by " + way)
            subprocess.run([way, copy, self.path], check=True)
            self.backup = way == "cp"
        elif not os.path.exists(self.path + "-wal"):
            self.note("a backup is made")
            subprocess.run(["cp", self.path, copy], check=True)
            self.backup = True
        self.open_application()
        self.look(Unit("backup", []))

    def leave_wal_mode(self):
        """Another journal mode, work in it, and back."""
        rng = self.rng
        self.close_application()
        writer = Writer(rng.choice(self.profile.libraries))
        path, uri = self.uri()
        steps = ["PRAGMA journal_mode=DELETE"]
        for _ in range(rng.choice([0, 1, 3])):
            steps += self.workload.unit().steps
        vacuum = rng.random() < 0.3
        if vacuum:
            steps.append("VACUUM")
        steps.append("PRAGMA journal_mode=WAL")
        steps = [("x", s) if isinstance(s, str) else s for s in steps]
        self.note("out of WAL mode:\n%s" % "\n".join(
            "    " + oracle.describe(s) for s in steps))
        try:
            writer.open("c", path, uri=uri)
            writer.run("c", steps[:-1])
            answer = writer.run("c", steps[-1:])
            if answer != [[("wal",)]]:
                raise SeedFailed("not back in WAL mode: %r" % answer)
        finally:
            writer.close()
        self.open_application()
        self.look(Unit("another journal mode", [], vacuum=vacuum))

    # -- rowtail ---------------------------------------------------------------

    def start(self, *more, take=True, work=False):
        """`work`: the application may commit before rowtail holds its position; with
        checkpoints in between it may then have missed some."""
        command = [self.options.rowtail, self.path, "--state", self.directory]
        command += self.settings.arguments() + list(more)
        if self.profile.signals:    # rows of a chunk
            command += ["-D", "incremental.snapshot.chunk.size=%d" % self.profile.signals]
        if self.profile.backlog:
            command += ["-D", "journal.max.bytes=%d" % self.profile.backlog]
        self.runs += 1
        is_loose = self.is_broken or work or self.options.fake
        self.history.begin(is_loose)
        self.note("-- start %d%s%s" % (self.runs, " ".join(("",) + more),
                                       ", it may catch up" if is_loose else ""))
        self.tail = Tail(command, self.options.wrapper, slow=self.options.slow,
                         take=take)
        if not take and self.profile.backlog:   # little is handed over, then it waits
            try:
                fcntl.fcntl(self.tail.process.stdout, F_SETPIPE_SZ, 4096)
            except OSError:
                pass                        # it holds more already
        return self.tail

    def finish(self, sig=None, timeout=6):
        """Sends a signal, unless it is 0 or was sent, and takes what has come."""
        tail = self.tail
        if sig and tail.process.poll() is None:
            tail.process.send_signal(sig)
        if not tail.line_thread:
            if self.rng.random() < 0.5:
                time.sleep(0.05)
            tail.start_taking()
        code = tail.wait_exit(timeout)
        if code is None:
            tail.kill()
            raise TailFailed("did not end; stderr:\n%s" % tail.error_text())
        tail.line_thread.join(10)
        self.history.end()
        complaint = sanitizer_report(tail.errors)
        if complaint:
            raise TailFailed("%s\n%s" % (complaint, tail.error_text()))
        if code not in (0, -signal.SIGTERM, -signal.SIGKILL):
            raise TailFailed("exit %s; stderr:\n%s" % (code, tail.error_text()))
        clean = code == 0
        self.kills += not clean
        if clean and tail.rest:
            raise Mismatch("half a line: %r" % tail.rest[-200:])
        messages = [Message(t) for t in tail.take_all()]
        again = self.stream.repeated
        fresh = self.stream.add(messages, clean)
        self.note("-- end %d: exit %d, %d messages, %d of them again" % (
            self.runs, code, len(messages), self.stream.repeated - again))
        followed = any(e.startswith("rowtail: following ") for e in tail.errors)
        self.is_broken = not (clean and followed)
        if not clean:
            self.is_broken = True
        self.tail = None
        tail.close()
        return fresh

    def round(self):
        rng = self.rng
        draw = rng.random()
        sig = rng.choice([signal.SIGTERM, signal.SIGKILL])
        if draw < 0.12:                     # hardly started
            self.start(*rng.choice([[], ["--once"]]))
            time.sleep(rng.random() * 0.05)
            self.finish(sig)
        elif draw < 0.2:                    # nobody else has it open
            self.close_application()
            if not self.profile.crashes:
                sig = signal.SIGTERM        # a WAL may not survive recovery
            self.start()
            time.sleep(rng.random() * 0.15)
            self.finish(sig)
            self.open_application()
            self.is_broken = True
            self.look(Unit("opened again", []))
        elif draw < 0.3:
            count = rng.choice([0, 0, 1, 3])
            self.start("--once", work=count > 0)
            self.work(count)
            self.finish(timeout=30)
        else:
            take = not (self.profile.slow_reader and rng.random() < (
                0.7 if self.profile.backlog else 0.3))
            wait = rng.random() < 0.6
            self.start(take=take, work=not wait)
            if wait:
                self.tail.wait_following(20)
            broken = self.is_broken
            self.work_until_signal(sig)
            self.is_broken = broken
            self.finish(sig)
        # An auto-checkpoint lets the next commit begin the WAL again.
        self.is_broken |= self.profile.auto_checkpoint != 0

    def work_until_signal(self, sig):
        rng = self.rng
        timer = None
        if rng.random() < 0.5:
            timer = threading.Timer(rng.random() * 0.1, self.tail.process.send_signal,
                                    [sig])
            timer.start()
        if self.profile.signals and rng.random() < 0.5:
            self.send_signal()
        self.work(rng.choice([0, 1, 2, 4, 8]))
        if timer:
            timer.join()
        elif rng.random() < 0.6:
            time.sleep(rng.random() * 0.05)

    # -- snapshots that are asked for ------------------------------------------

    def send_signal(self):
        """Something about a snapshot; what was acknowledged must happen."""
        rng = self.rng
        names = sorted(self.workload.state.tables)
        kind = rng.choice(["execute"] * 6 + ["pause", "resume", "stop"])
        chosen = rng.sample(names, rng.randint(0, len(names))) or names
        asked = Asked(self, chosen)
        data = {}
        if kind == "execute":
            data = {"type": rng.choice(["incremental"] * 4 + ["blocking"]),
                    "data-collections": [pattern_of(n) for n in chosen]}
        answer = ask(self.directory, {"id": asked.id, "type": kind + "-snapshot",
                                      "data": data})
        self.note("signal %s of %s: %s" % (kind, chosen, answer))
        if answer is None or "error" in answer:
            return
        if kind == "stop":          # nobody knows which of them it was
            self.asked = []
        elif kind == "execute":
            self.asked.append(asked)

    def resume_snapshots(self):
        """None is left paused."""
        if not self.profile.signals:
            return
        self.start()
        self.tail.wait_following(20)
        deadline = time.monotonic() + 20 * self.options.slow
        while ask(self.directory, {"type": "resume-snapshot"}) is None:
            if time.monotonic() > deadline:
                raise Mismatch("no answer to a signal")
        self.finish(signal.SIGTERM)

    def check(self):
        """--once must tell all that is not told yet."""
        self.resume_snapshots()
        self.start("--once")
        self.finish(timeout=60)
        messages = self.stream.messages[self.told:]
        self.history.tell(messages)
        self.history.complete()
        for asked in self.asked:
            asked.check(self)
        self.asked = []
        self.told = len(self.stream.messages)
        self.history.forget()
        if not self.options.fake and self.rng.random() < 0.4:
            self.verify()

    def verify(self):
        """What it keeps is the database, page by page."""
        command = shlex.split(self.options.wrapper) + [
            self.options.rowtail, "verify", "--state", self.directory, self.path]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Mismatch("verify: exit %d: %s" % (
                done.returncode, (done.stdout + done.stderr).decode()))

    # -- the loop --------------------------------------------------------------

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        self.journal = open(os.path.join(self.folder, "statements.log"), "w")
        self.failed_commit = self.failed_lines = None
        self.note("seed %d: %s" % (self.seed, self.profile.line()))
        try:
            self.create_database()
            self.start_writers()
            self.reader.open()
            self.look(Unit("setup", []))
            for number in range(self.rounds):
                self.note("== round %d" % number)
                self.round()
                self.away()
                if self.rng.random() < 1 / CHECK_EVERY or number == self.rounds - 1:
                    self.check()
            self.end()
        except (Mismatch, TailFailed, WriterFailed, SeedFailed, WriterGone,
                sqlite3.Error) as problem:
            raise SeedFailed(self.report(problem))
        finally:
            self.journal.close()
            self.close()

    def end(self):
        """Nothing more comes, and the database is whole."""
        self.close_application()
        for writer in self.writers.values():
            writer.close()
        count = len(self.stream.messages)
        self.start("--once")
        self.finish(timeout=30)
        if len(self.stream.messages) > count:
            raise Mismatch("after the end: %r" % self.stream.messages[count])
        self.check_database()

    def check_database(self, was_cut=False):
        try:
            super().check_database(was_cut)
        except Mismatch as problem:
            # An index on a generated column: the two libraries (the reader's is "std")
            # do not print all REALs alike, so that one misses entries of the other.
            if "missing from index" not in str(problem) or (
                    self.profile.libraries == ["std"]):
                raise

    def keep(self):
        """What was printed and what was there, for whoever looks for the cause."""
        with open(os.path.join(self.folder, "messages.jsonl"), "wb") as out:
            out.writelines(m.line for m in self.stream.messages)
        states = [({name: (t.schema.sql, t.rows) for name, t in s.tables.items()},
                   [row.all() for row in s.schema.values()], s.cookie)
                  for s in self.history.states]
        with open(os.path.join(self.folder, "states.pickle"), "wb") as out:
            pickle.dump((states, [u.steps for u in self.history.units]), out)

    def report(self, problem):
        self.keep()
        lines = ["seed %d failed in run %d: %s" % (self.seed, self.runs, problem),
                 "profile: " + self.profile.line(), "last units:"]
        lines += ["  " + entry[:1500] for entry in list(self.log)[-12:]]
        if self.tail:
            lines.append("stderr: " + self.tail.error_text())
        return "\n".join(lines)


class Asked:
    """A snapshot: of each of its tables every row comes, or an event tells of it."""

    def __init__(self, run, names):
        self.id = "%d-%d" % (run.runs, run.rng.randrange(1 << 30))
        self.tables = {n: run.workload.state.tables[n].schema.sql for n in names}
        self.known = len(run.stream.messages)

    def check(self, run):
        told = {}
        for message in run.stream.messages[self.known:]:
            if message.is_event and message.after is not None:
                told.setdefault(ascii_lower(message.table), set()).add(
                    content(message.after.values()))
        state = run.workload.state
        for name, sql in self.tables.items():
            table = state.tables.get(name)
            if table is None or table.schema.sql != sql:
                continue            # another table by now, or rows of other columns
            for row in table.rows:
                if content(map(json_value, row[1:])) not in told.get(name, ()):
                    raise Mismatch("snapshot %s of %s lacks the row %s" % (
                        self.id, name, short(row)))


def content(values):
    return re.sub("(\ufffd)+", "\ufffd", dump(list(values)))


def pattern_of(name):
    """A regular expression that is that name."""
    return re.sub(r"([^A-Za-z0-9_ ])", r"\\\1", name)


def ask(directory, message):
    """Sends a signal; the answer, or None: nobody was there, or has answered soon."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            with open_folder(directory) as folder:
                client.connect("/proc/self/fd/%d/signals.sock" % folder)
            client.sendall(json.dumps(message).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                data = client.recv(4096)
                if not data:
                    return None
                answer += data
            return json.loads(answer)
    except OSError:
        return None


@contextlib.contextmanager
def open_folder(directory):
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield folder
    finally:
        os.close(folder)


def run_seed(seed, options, settings, folder):
    """(1, note) for the runner; raises SeedFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    run = ResumeRun(seed, settings, options.rounds_per_seed, folder)
    run.run()
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1, Counts(1, run.runs, run.kills, run.commits, len(run.stream.messages),
                     run.stream.repeated, run.history.transactions,
                     run.history.catch_ups, run.history.merged)

# SPDX-License-Identifier: Apache-2.0
"""The ways to get changes out of SQLite that tests/bench/peers.py compares.

Each way prepares a database, starts what follows it, and says what the writer has to be
told. A way whose program cannot be had raises NotRun, with the reason.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from processes import BenchError, Usage, pinned

HERE = pathlib.Path(__file__).resolve().parent
LITESTREAM = pathlib.Path(os.environ.get(
    "LITESTREAM", "build/litestream/litestream")).resolve()
START_LIMIT_S = 60
QUIET_S = 3  # of Litestream's folder: more than its intervals


class NotRun(BenchError):
    """The program cannot be had here: the text says why."""


class Program:
    """A program that follows: what it uses, and its lines on stdout, a pipe; without
    lines it talks there as on stderr."""

    def __init__(self, command, says, core=None, has_lines=True):
        self.process = subprocess.Popen(
            pinned(core, [str(word) for word in command]), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if has_lines else subprocess.STDOUT,
            env=environment())
        self.talk = self.process.stderr if has_lines else self.process.stdout
        self.usage = Usage(self.process.pid)
        self.said = []
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._read, args=[says.encode()],
                                       daemon=True)
        self.thread.start()
        if not self.ready.wait(START_LIMIT_S) or self.process.poll() is not None:
            self.stop()
            raise BenchError(f"{command[0]}: " + "".join(self.said).strip())

    def _read(self, says):
        for line in self.talk:
            self.said.append(line.decode("utf-8", "replace"))
            if says in line:
                self.ready.set()
        self.ready.set()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join(5)
        self.talk.close()
        if self.process.stdout:
            self.process.stdout.close()


def environment():
    """Litestream does not start with AWS_CA_BUNDLE."""
    return {k: v for k, v in os.environ.items() if k != "AWS_CA_BUNDLE"}


def bytes_under(folder):
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
    return total


class Way:
    """`name` is the column of the table; `settings` is printed below it. Folders and
    programs are those of the figures (`base`)."""

    name = settings = ""
    has_lines = True
    tells_every_change = False  # also two of one row in one transaction

    def __init__(self, base):
        self.base = base
        self.folder = base.folder / "peer"

    def prepare(self, path):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def follow(self, path, core=None):
        raise NotImplementedError

    def writer_arguments(self):
        return []

    def elsewhere(self):
        """Folders that grow beside the database."""
        return [self.folder]


class Rowtail(Way):
    name = "rowtail"
    settings = "rowtail DATABASE"

    def arguments(self):
        return []

    def follow(self, path, core=None):
        return Program([self.base.rowtail, path, *self.arguments()],
                       "rowtail: following", core)


class RowtailState(Rowtail):
    name = "rowtail --state"
    settings = "rowtail DATABASE --state DIR, on the same disk"

    def arguments(self):
        return ["--state", self.folder / "state", "-D", "snapshot.mode=no_data"]


class Triggers(Way):
    name = "triggers"
    settings = ("triggers: tests/bench/peers/change_log.sql; its reader looks each ms"
                " whether there was a commit, and keeps the log")
    tells_every_change = True
    options = []

    def prepare(self, path):
        super().prepare(path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript((HERE / "change_log.sql").read_text(encoding="utf-8"))

    def follow(self, path, core=None):
        return Program([self.base.tools.folder / "peers/log_lines", path, *self.options],
                       "log_lines: reading", core)


class TriggersPruned(Triggers):
    name = "triggers, pruned"
    settings = ("triggers, pruned: the reader deletes what it has printed, 10,000 rows"
                " at a time or each second")
    options = ["--prune", "10000"]


class Session(Way):
    name = "session extension"
    settings = ("session extension: the writer takes a changeset of each transaction and"
                " sends it through a pipe; its reader makes lines of it")

    def _pipe(self):
        return self.folder / "changesets"

    def prepare(self, path):
        super().prepare(path)
        os.mkfifo(self._pipe())

    def follow(self, path, core=None):
        return Program([self.base.tools.folder / "peers/changeset_lines", path,
                        self._pipe()], "changeset_lines: reading", core)

    def writer_arguments(self):
        return ["--changesets", self._pipe()]


class Litestream(Way):
    name = "Litestream"
    settings = ("Litestream: replicates into a folder on the same disk, of pages and not"
                " of rows; all its settings are the defaults (looks each second)")
    has_lines = False
    intervals = ""

    def prepare(self, path):
        if not LITESTREAM.exists():
            raise NotRun("no Litestream (make deps-peers builds it with Go)")
        super().prepare(path)
        for left in self._own(path):
            shutil.rmtree(left, ignore_errors=True)
        self.path = path

    @staticmethod
    def _own(path):
        return [path.parent / f".{path.name}-litestream"]

    def elsewhere(self):
        return [self.folder, *self._own(self.path)]

    def follow(self, path, core=None):
        config = self.folder / "litestream.yml"
        lines = ["dbs:", f"  - path: {path}", *self._monitor(), "    replica:",
                 "      type: file", f"      path: {self.folder / 'replica'}",
                 *self._sync()]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = Program([LITESTREAM, "replicate", "-config", config],
                          "replicating to", core, has_lines=False)
        deadline = time.monotonic() + START_LIMIT_S
        while not self.files() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.last_written_s()
        return program

    def _monitor(self):
        return [f"    monitor-interval: {self.intervals}"] if self.intervals else []

    def _sync(self):
        return [f"      sync-interval: {self.intervals}"] if self.intervals else []

    def files(self):
        return sorted((self.folder / "replica/ltx/0").glob("*.ltx"))

    def last_written_s(self):
        """Monotonic time of the last file of the replica, once no more come."""
        count, changed_s = -1, time.monotonic()
        while time.monotonic() - changed_s < QUIET_S:
            if len(self.files()) != count:
                count, changed_s = len(self.files()), time.monotonic()
            time.sleep(0.02)
        last = max((f.stat().st_ctime for f in self.files()), default=0)
        return last - time.time() + time.monotonic()

    def latency_ms(self):
        """Of the rows of `latency`: from the INSERT to the file of the replica that has
        it, which is looked up when all is over."""
        offset = time.time_ns() - time.monotonic_ns()
        written = {int(f.stem.split("-")[1], 16): f.stat().st_ctime_ns - offset
                   for f in self.files()}
        done = subprocess.run(
            [str(self.base.rowtail), "events", str(self.folder / "replica"),
             "-D", "table.include.list=latency"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())
        for line in done.stdout.splitlines():
            event = json.loads(line)
            if event["op"] == "c":
                yield (written[event["source"]["lsn"] + 1]
                       - event["after"]["stamp"]) / 1e6


def litestream_version():
    return subprocess.run([LITESTREAM, "version"], stdout=subprocess.PIPE, check=False,
                          env=environment()).stdout.decode().strip()


class LitestreamQuick(Litestream):
    name = "Litestream, 10 ms"
    settings = "Litestream, 10 ms: monitor-interval and sync-interval are 10 ms"
    intervals = "10ms"


ALL = [Triggers, TriggersPruned, Session, Litestream, LitestreamQuick, Rowtail,
       RowtailState]

# What is not run, and why.
LEFT_OUT = {
    "rqlite's CDC": "it is in version 9 and later, whose module is not taken here: among"
                    " its notices is a licence that is not open source. It tells changes"
                    " that are written through rqlite, not those of an application's own"
                    " SQLite",
}

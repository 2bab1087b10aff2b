"""The power goes: what was not synced is there, or not, or in part.

One run is recorded (trace.h). Then it is cut at many places, and for each the state
directory is made as a disk may have it: what a sync had covered, and of all later calls
some, chosen at random. The application's database is as the run left it, or as it was at
some moment before the cut, as after a power cut that took its unsynced commits. The next
start has to make of it what is right for the consumer, who keeps what he got.
"""

import os
import random
import shutil
import signal
import time

from faults.application import Application
from faults.consumer import Consumer
from faults.kills import Counts
from harness.box import Failed, expect

SECTOR = 512
# What a run is: into a file or not, and more of its environment (%s is the folder) in its
# first part: a sync that fails; or in all: syncs that take long.
RUNS = {
    "stdout": (False, {}),
    "file": (True, {}),
    "after-a-failed-sync-of-records": (False, {
        "ROWTAIL_FAIL": "sync %s/state/log-* 12 1 EIO"}),
    "after-a-failed-sync-of-images": (False, {
        "ROWTAIL_FAIL": "sync %s/state/frames 12 1 EIO"}),
    "slow-syncs": (False, {"ROWTAIL_SLEEP": "journal-images-synced:4000"}),
}


class Record:
    """One line of the trace."""

    __slots__ = ("kind", "first", "second", "path", "other", "data")

    def __init__(self, line, source):
        parts = line.split()
        self.kind = parts[0].decode()
        self.first, self.second = int(parts[1]), int(parts[2])
        self.path = parts[3].decode()
        self.other = parts[4].decode() if len(parts) > 4 else None
        self.data = None
        if self.kind in "WO":
            self.data = source.read(self.second)
            expect(source.read(1) == b"\n", "the trace is broken: %r", line)


def read_trace(path):
    records = []
    with open(path, "rb") as source:
        while True:
            line = source.readline()
            if not line:
                return records
            records.append(Record(line, source))


class File:
    """What happened to the bytes of one file: (number of the record, record)."""

    def __init__(self):
        self.changes = []
        self.durable = -1           # changes of records before this one are on the disk
        self.lost = set()           # numbers that a failed sync may have lost for good


class Disk:
    """All of it up to record `end`, as it may be after a power cut there."""

    def __init__(self, records, end, folder):
        self.folder = folder
        self.files = {}             # name -> File, as the process sees it
        self.names = []             # (number, record, File): changes of names
        self.durable_names = -1     # of the state directory; and of the folder above:
        self.durable_above = -1
        self.begun = {}
        self.output = b""
        for number, record in enumerate(records[:end]):
            self._take(number, record)

    def _take(self, number, record):
        kind, path = record.kind, record.path
        if kind == "O":
            self.output += record.data
        elif kind == "C":
            self.files[path] = File()
            self.names.append((number, record, self.files[path]))
        elif kind == "R":
            self.files[record.other] = self.files.pop(path)
            self.names.append((number, record, self.files[record.other]))
        elif kind == "L":
            self.files[record.other] = self.files[path]
            self.names.append((number, record, self.files[path]))
        elif kind in "UM":
            self.names.append((number, record, self.files.pop(path, None)))
        elif kind == "B":
            self.begun[record.first] = number
        elif kind == "S":
            self._synced(self.begun.pop(record.first), record)
        elif path in self.files:
            self.files[path].changes.append((number, record))

    def _synced(self, begun, record):
        file = self.files.get(record.path)
        if file is None and record.second:
            if record.path == self.folder:
                self.durable_above = max(self.durable_above, begun)
            else:
                self.durable_names = max(self.durable_names, begun)
        elif file and record.second:
            file.durable = max(file.durable, begun)
        elif file:
            file.lost |= {n for n, _ in file.changes if file.durable <= n < begun}

    # -- what is there afterwards --------------------------------------------------

    def survive(self, chance, mode):
        """name -> bytes. `mode`: none, all, calls or sectors of what is not durable."""
        names, dropped = {}, set()
        for number, record, file in self.names:
            touched = {record.path, record.other} - {None}
            above = os.path.dirname(record.path) == self.folder
            durable = number < (self.durable_above if above else self.durable_names)
            if not durable and (touched & dropped or not keeps(chance, mode)):
                dropped |= touched
                continue
            if record.kind == "C":
                names[record.path] = file
            elif record.kind == "R":
                names[record.other] = names.pop(record.path, file)
            elif record.kind == "L":
                names[record.other] = file
            elif record.kind == "U":
                names.pop(record.path, None)
            elif record.kind == "M":
                names[record.path] = None
        folders = {p for p, f in names.items() if f is None}
        self.survived = {path: file for path, file in names.items()
                         if file and (os.path.dirname(path) in folders | {self.folder})}
        bytes_of = {id(file): content(file, chance, mode)      # once for all its names
                    for file in self.survived.values()}
        return {path: bytes_of[id(file)] for path, file in self.survived.items()}


def keeps(chance, mode):
    return mode == "all" or (mode in ("calls", "sectors") and chance.random() < 0.5)


def content(file, chance, mode):
    data = bytearray()
    for number, record in file.changes:
        durable = number < file.durable and number not in file.lost
        if not durable and mode == "sectors" and record.kind == "W":
            write_sectors(data, record, chance)
        elif durable or keeps(chance, mode):
            apply(data, record)
    return bytes(data)


def apply(data, record):
    if record.kind == "W":
        reach(data, record.first + len(record.data))
        data[record.first:record.first + len(record.data)] = record.data
    elif record.kind == "T":
        del data[record.first:]
        reach(data, record.first)
    elif record.kind == "G":
        reach(data, record.first + record.second)
    elif record.kind == "P":
        end = min(len(data), record.first + record.second)
        if record.first < end:
            data[record.first:end] = bytes(end - record.first)


def write_sectors(data, record, chance):
    """Some of the sectors that a write touches."""
    at, end = record.first, record.first + len(record.data)
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        if chance.random() < 0.5:
            reach(data, stop)
            data[at:stop] = record.data[at - record.first:stop - record.first]
        at = stop


def reach(data, length):
    if len(data) < length:
        data.extend(bytes(length - len(data)))


# -- a run, and cuts of it -----------------------------------------------------------------


class Cuts:
    def __init__(self, box, seed, to_file):
        self.box = box
        self.to_file = to_file
        self.chance = random.Random(seed)
        self.folder = box.path("disk")
        self.directory = os.path.join(self.folder, "state")
        self.out = os.path.join(self.folder, "out")
        self.trace = box.path("trace")
        self.inode = None
        self.sources = []           # (length of the trace, folder with a copy)
        os.mkdir(self.folder)
        self.application = Application(box, seed)
        self.path = self.application.path

    def arguments(self, *more):
        sink = ["--to", "file:" + self.out] if self.to_file else []
        return [self.path, "--state", self.directory, "--lines=record", "--quiet", *sink,
                *more]

    def copy_source(self):
        """The database and its WAL as they are now; nobody writes meanwhile."""
        copy = self.box.path("source-%d" % len(self.sources))
        os.mkdir(copy)
        length = os.path.getsize(self.trace) if os.path.exists(self.trace) else 0
        for name in ("app.db-wal", "app.db"):
            if os.path.exists(self.box.path(name)):
                shutil.copyfile(self.box.path(name), os.path.join(copy, name))
        self.sources.append((length, copy, self.application.number))

    def run(self, more_env):
        """First start, work, kill; work, start, work, stop; work, start, work, kill. With
        an error, a sync fails in the first part."""
        env = dict(os.environ, ROWTAIL_TRACE="%s %s" % (self.folder, self.trace))
        error = more_env.get("ROWTAIL_FAIL")
        if not error:
            env.update(more_env)
        for part in range(3):
            more = {}
            if error and part == 0:
                more["ROWTAIL_FAIL"] = error % self.folder
            elif part != 1:
                more["ROWTAIL_KILL"] = "capture-made:%d" % self.chance.randrange(
                    100, 250)
            tail = self.box.tail(*self.arguments(), env=dict(env, **more), wait=False)
            tail.following.wait(20)
            for _ in range(4 if part == 1 else 60):
                self.application.steps(self.chance.randrange(3, 15))
                time.sleep(0.01)            # it is to send some of it, too
                if tail.process.poll() is not None:
                    break
                self.copy_source()
            if part == 1:
                tail.process.send_signal(signal.SIGTERM)
            expect(tail.wait_exit(20) is not None, "part %d goes on; stderr:\n%s", part,
                   tail.error_text())
            code = tail.process.returncode
            expect(code == (0 if part == 1 else 1 if part == 0 and error
                            else -signal.SIGKILL), "exit %d; stderr:\n%s", code,
                   tail.error_text())
            self.box.complain(tail.errors)
            self.application.steps(3)
        self.application.writer.kill()
        self.copy_source()
        self.records = read_trace(self.trace)
        expect(len(self.records) > 500, "%d records", len(self.records))
        self.lengths = self.find_lengths()
        if self.to_file:
            self.inode = os.stat(self.out).st_ino
            self.take_out()

    def find_lengths(self):
        """Of the trace, before each record: to place the copies of the source."""
        at, found = 0, []
        for r in self.records:
            found.append(at)
            at += len("%s %d %d %s%s\n" % (r.kind, r.first, r.second, r.path,
                                           " " + r.other if r.other else ""))
            at += len(r.data) + 1 if r.data is not None else 0
        return found

    def take_out(self):
        """The file of the sink goes; what the run wrote to is kept, as its inode has to
        stay, with one name."""
        if os.path.exists(self.out):
            if os.stat(self.out).st_ino == self.inode:
                os.rename(self.out, self.box.path("same-inode"))
            else:
                os.unlink(self.out)

    def restore(self, files, source):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.take_out()
        if any(os.path.dirname(path) == self.directory for path in files):
            os.mkdir(self.directory, 0o700)
        for path, data in files.items():
            if path == self.out:
                os.rename(self.box.path("same-inode"), path)
            with open(path, "r+b" if path == self.out else "wb") as target:
                target.truncate(0)
                target.write(data)
                os.chmod(path, 0o600)       # as it was: others it would refuse
        for suffix in ("", "-wal", "-shm"):
            kept = os.path.join(source, "app.db" + suffix)
            if os.path.exists(kept):
                shutil.copyfile(kept, self.path + suffix)
            elif os.path.exists(self.path + suffix):
                os.unlink(self.path + suffix)

    def ends_of_output(self):
        """Places right behind something that the consumer was given."""
        return [n + 1 for n, r in enumerate(self.records)
                if r.kind == "O" and b"\n" in r.data]

    def choose_source(self, end, delivered):
        """As the run left it, or as it was before, when commits that are in the WAL were
        not synced (synchronous=NORMAL, OFF). With `delivered`, it has lost that one."""
        before = [s for s in self.sources if s[0] <= self.lengths[end - 1]]
        if delivered is not None:
            before = [s for s in before if s[2] < delivered][-1:]
        elif self.chance.random() >= 0.4:
            before = []
        return self.chance.choice(before[-3:]) if before else self.sources[-1]

    def cut(self, end, mode, loses_delivered):
        """Whether the source has lost commits."""
        disk = Disk(self.records, end, self.folder)
        consumer = Consumer()
        if not self.to_file:
            consumer.take(disk.output.splitlines(keepends=True)[
                :disk.output.count(b"\n")], clean=False)
        source = self.choose_source(end, consumer.number if loses_delivered else None)
        self.restore(disk.survive(self.chance, mode), source[1])
        result = self.box.run(*self.arguments("--once"), timeout=30)
        expect(result.code == 0, "commit %d: %s", source[2], result)
        lines = result.out
        if self.to_file:
            with open(self.out, "rb") as target:
                lines = target.read()
        consumer.take(lines.splitlines(keepends=True), clean=True)
        consumer.complete(self.path, source[2])
        return source is not self.sources[-1]


def run_cuts(box, to_file, seed, count, more_env):
    cuts = Cuts(box, seed, to_file)
    cuts.run(more_env)
    outputs = cuts.ends_of_output()
    chance = cuts.chance
    undone = behind = 0
    for i in range(count):
        # What was delivered is in the journal, also where the source has lost it and
        # nothing was synced since.
        is_behind = bool(outputs) and chance.random() < 0.5
        if is_behind:
            end = chance.choice(outputs)
        else:
            end = chance.randrange(1, len(cuts.records) + 1)
        mode = chance.choice(["none", "all", "calls", "calls", "sectors"])
        try:
            undone += cuts.cut(end, mode, is_behind)
            behind += is_behind
        except Failed as problem:
            raise Failed("seed %d, cut %d (before record %d of %d, %s):"
                         " %s" % (seed, i, end, len(cuts.records), mode, problem))
    return 1, Counts({"power cuts": count, "with commits undone": undone,
                      "right behind a delivery": behind})

"""kill -9 at every place that src/base/fault.h names, and what comes after it.

A chain is one database with one state directory that rowtail is killed on again and
again: each leg starts it, lets it come to the place, and goes on with what is left. A
first pass without kills finds out which leg comes to which places, and how often. What
consumers got must be right all the time (consumer.py), and after a clean run to the end
complete; then the archive that is written beside must give the database, byte for byte.
"""

import collections
import glob
import os
import random
import re
import signal
import time

from faults import upkeep
from faults.application import Application
from faults.consumer import Consumer
from harness.box import Box, Failed, TESTS, expect
from harness.pages import image

COMMITS = 120                       # of a leg that follows
UPKEEP = ("compaction.levels=1s,2s", "snapshot.interval=2s", "retention=1s",
          "l0.retention=1s")
MESSAGES = 20000                    # of one state directory; all are kept, and compared


def names():
    """Of all places, from the sources, but for those of archives, of audit logs
    (tests/audit/kills.py) and of snapshots on demand (tests/state/on_demand_kills.py)."""
    found = set()
    for path in glob.glob(os.path.join(os.path.dirname(TESTS), "s*", "**", "*.c"),
                          recursive=True):
        with open(path) as source:
            found |= set(re.findall(r'FAULT_POINT\("([a-z-]+)"\)', source.read()))
    return {name for name in found - upkeep.names()
            if not name.startswith(("audit-", "snapshots-"))}


class Chain:
    """`to_file`: the events go to a file. What is printed otherwise is taken at once."""

    def __init__(self, box, seed, to_file):
        self.box = box
        self.to_file = to_file
        self.random = random.Random(seed)
        self.application = Application(box, seed)
        self.consumer = None
        self.patience = 1           # how many times the usual commits a leg gets
        self.generation = 0         # of the state directory and all that belongs to it
        self.transactions = 0       # of the lives that are over
        self.catch_ups = 0
        self.renew()
        self.check()

    # -- one life of a state directory --------------------------------------------

    def renew(self):
        self.generation += 1
        self.count()
        self.directory = self.box.path("state-%d" % self.generation)
        self.archive = self.box.path("archive-%d" % self.generation)
        self.out = self.box.path("out-%d" % self.generation)
        self.older = []
        self.consumer = Consumer()

    def count(self):
        """What the consumer has seen so far counts."""
        if self.consumer:
            self.transactions += self.consumer.transactions
            self.catch_ups += self.consumer.catch_ups

    archives = True

    def arguments(self, *more):
        sink = ["--to", "file:" + self.out] if self.to_file else []
        archive = ["--archive", self.archive, "-D", "archive.interval.ms=5",
                   *(word for one in UPKEEP for word in ("-D", "archive." + one))]
        return [self.application.path, "--state", self.directory, "--lines=record",
                *(archive if self.archives else []), *sink, *more]

    def rotate(self, tail):
        if not tail.following.is_set():
            return      # before it has begun a hangup ends it, as it does any program
        if os.path.exists(self.out) and os.path.getsize(self.out) > 0:
            self.older.append("%s.%d" % (self.out, len(self.older)))
            os.rename(self.out, self.older[-1])
            tail.process.send_signal(signal.SIGHUP)

    def check(self):
        """Everything comes now, and is right."""
        tail = self.box.tail(*self.arguments("--once"), wait=False)
        self.end(tail, 0)
        if self.to_file:
            self.consumer = Consumer()      # each line once, over all files
            self.consumer.take(self.lines(), clean=True)
        self.consumer.complete(self.application.path, self.application.number)
        self.check_archive()
        if len(self.consumer.stream.messages) > MESSAGES:
            self.renew()
            self.check()

    def check_archive(self):
        if not self.archives:
            return
        out = self.box.path("restored.db")
        result = self.box.run("restore", self.archive, out, timeout=60)
        expect(result.code == 0, "restore: %s", result)
        with open(out, "rb") as file:
            expect(file.read() == image(self.application.path),
                   "the archive has another database")
        os.remove(out)
        result = self.box.run("archive", "verify", self.archive, timeout=60)
        expect(result.code == 0, "archive verify: %s", result)

    def lines(self):
        found = []
        for name in (*self.older, self.out):
            with open(name, "rb") as source:
                data = source.read()
            expect(not data or data.endswith(b"\n"), "%s ends in %r", name, data[-80:])
            found += data.splitlines(keepends=True)
        return found

    def verify(self):
        result = self.box.run("verify", "--state", self.directory, self.application.path)
        expect(result.code == 0, "verify: %s", result)

    # -- legs ----------------------------------------------------------------------

    def start(self, env, *more):
        return self.box.tail(*self.arguments(*more), wait=False,
                             env=dict(os.environ, **env))

    def end(self, tail, *codes):
        code = tail.wait_exit(20)
        expect(code is not None, "it does not end; stderr:\n%s", tail.error_text())
        expect(code in codes, "exit %d; stderr:\n%s", code, tail.error_text())
        self.box.complain(tail.errors)
        lines = tail.take_all()
        tail.close()
        self.box.opened.remove(tail)
        expect(code != 0 or not tail.rest, "half a line: %r", tail.rest)
        expect(not (self.to_file and lines), "lines on stdout")
        if not self.to_file:
            self.consumer.take(lines, clean=code == 0)
        return code != 0

    def work(self, tail, commits=COMMITS, hangups=False):
        for i in range(commits):
            if tail.process.poll() is not None:
                return
            self.application.step()
            if hangups and i % 20 == 10:
                self.rotate(tail)
            elif i % 50 == 49:
                time.sleep(0.02)

    def leg(self, kind, env):
        """True: it was killed on the way."""
        application = self.application
        if kind == "first":
            self.renew()
        elif kind == "again":       # after a first start that was killed
            self.renew()
            self.leg_of("follow", {"ROWTAIL_KILL": "copy-before-head:1"})
        elif kind == "absent":
            application.steps(self.random.randrange(1, 20))
            application.begin_wal_again()
        elif kind == "resized":
            application.change_page_size()
        elif kind == "away":        # files wait, and are merged
            os.rename(self.archive, self.archive + "-away")
            try:
                return self.leg_of(kind, env)
            finally:
                os.rename(self.archive + "-away", self.archive)
        elif kind == "torn":        # half a record of the journal is left over
            self.leg_of("follow", {"ROWTAIL_FAIL": "write %s/log-* %d 1 KILL" % (
                self.directory, self.random.randrange(1, 40))})
        elif kind == "cut":         # the file has lines that are not acknowledged
            self.leg_of("follow", {"ROWTAIL_KILL": "file-synced:%d"
                                   % self.random.randrange(1, 40)})
        return self.leg_of(kind, env)

    def leg_of(self, kind, env):
        if kind == "backlog":
            return self.leg_of_backlog(env)
        tail = self.start(env)
        if kind in ("stop", "alone", "absent", "resized", "torn", "cut"):
            tail.following.wait(20)
            self.work(tail, self.random.randrange(12) * self.patience ** 2)
        else:
            commits = 25 if kind in ("first", "again") else COMMITS
            self.work(tail, commits * self.patience, hangups=kind == "hangups")
        if kind == "alone":         # nobody else has the database open at the stop
            self.application.leave()
        if tail.process.poll() is None:
            tail.following.wait(20)
            tail.process.send_signal(signal.SIGTERM)
        was_killed = self.end(tail, 0, -signal.SIGKILL)
        if kind == "alone":
            self.application.come_back()
        return was_killed

    def leg_of_backlog(self, env):
        """The reader stands still, then takes all of it, while commits go on."""
        tail = self.box.tail(*self.arguments("-D", "journal.max.bytes=40000"),
                             wait=False, take=False, env=dict(os.environ, **env))
        self.work(tail, COMMITS * self.patience)
        tail.start_taking()
        self.work(tail, COMMITS // 4)
        if tail.process.poll() is None:
            tail.following.wait(20)
            tail.process.send_signal(signal.SIGTERM)
        return self.end(tail, 0, -signal.SIGKILL)


# A chain is made of one group, so that several run side by side.
GROUPS = {
    "stdout-first": (False, ["first", "again"]),
    "stdout-follow": (False, ["follow", "torn"]),
    "stdout-away": (False, ["away"]),
    "stdout-stop": (False, ["stop", "absent", "alone"]),
    "stdout-backlog": (False, ["backlog"]),
    "stdout-resized": (False, ["resized"]),
    "file-first": (True, ["first", "again"]),
    "file-follow": (True, ["hangups", "follow", "cut"]),
    "file-stop": (True, ["stop", "absent"]),
}


def reached(chain, kind):
    """How often a leg comes to which place."""
    path = chain.box.path("reached")
    if os.path.exists(path):
        os.unlink(path)
    expect(not chain.leg(kind, {"ROWTAIL_REACHED": path}), "killed by nobody")
    with open(path) as source:
        return collections.Counter(source.read().split())


def check_places(box):
    """Every place that the sources name is come to by some leg."""
    left = names()
    expect(len(left) > 40, "only %d places in the sources", len(left))
    count = len(left)
    for group, (to_file, kinds) in GROUPS.items():
        place = Box(box.options, group)
        try:
            chain = Chain(place, 1, to_file)
            for kind in kinds:
                left -= set(reached(chain, kind))
        finally:
            place.close()
    expect(not left, "never come to: %s", ", ".join(sorted(left)))
    return 1, Counts({"places": count})


def plan(chain, kinds, more):
    """(kind, place, times) in a random order. Each place once, in a leg that happens to
    come to it; with `more` in every kind of leg: the first time, the second, and so many
    times after that."""
    counts = {kind: reached(chain, kind) for kind in kinds}
    places = sorted(set().union(*counts.values()))
    draw = chain.random
    legs = set()
    for place in places:
        having = [kind for kind in kinds if place in counts[kind]]
        for kind in having if more else [draw.choice(having)]:
            count = counts[kind][place]
            times = {1, min(count, 2)} if more else {draw.choice([1, 1, draw.randint(
                1, count)])}
            times |= {draw.randint(1, count) for _ in range(more)}
            legs |= {(kind, place, n) for n in times}
    legs = sorted(legs)
    draw.shuffle(legs)
    return legs


def run_chain(box, group, seed, more):
    to_file, kinds = GROUPS[group]
    chain = Chain(box, seed, to_file)
    legs = collections.deque(plan(chain, kinds, more))
    killed = collections.Counter()
    missed = collections.Counter()
    number = 0
    while legs:
        kind, place, times = legs.popleft()
        number += 1
        chain.patience = 1 + 2 * missed[place]
        try:
            if chain.leg(kind, {"ROWTAIL_KILL": "%s:%d" % (place, times)}):
                killed[place] += 1
            elif missed[place] < 4:     # it is not always come to so often
                missed[place] += 1
                legs.append((kind, place, (times + 1) // 2))
            if number % 9 == 8 or not legs or kind in ("first", "again"):
                chain.check()
                chain.verify()
        except Failed as problem:
            raise Failed("group %s, seed %d, leg %d (%s, %s:%d): %s" % (
                group, seed, number, kind, place, times, problem))
    chain.count()
    never = set(missed) - set(killed)   # some are come to only when a thread is late
    expect(len(never) <= len(killed) // 8, "never killed at %s", ", ".join(sorted(never)))
    return 1, Counts({"kills": sum(killed.values()), "places missed": len(never),
                      "transactions checked": chain.transactions,
                      "catch-ups": chain.catch_ups})


class Counts(collections.Counter):
    """What the checks were: added up by the runner."""

    def __str__(self):
        return ", ".join("%d %s" % (n, what) for what, n in self.items())

"""kill -9 at every place of a restore, and of what merges, puts and removes files of an
archive: what is left is an archive that is whole, and the next run comes to the end that
an undisturbed one comes to.
"""

import collections
import glob
import os
import re
import shutil
import signal

from archive import upkeep
from harness import ltx
from harness.box import Failed, NotRun, TESTS, expect

PLACE = re.compile(r'FAULT_POINT\("((?:put|compaction|removal|restore)-[a-z-]+)"\)')
LEVELS = ("-D", "archive.compaction.levels=3s", "-D", "archive.snapshot.interval=5s")
ELSEWHERE = "/dev/shm"


def names():
    found = set()
    for path in glob.glob(os.path.join(os.path.dirname(TESTS), "src", "*", "*.c")):
        with open(path) as source:
            found |= set(PLACE.findall(source.read()))
    return found


class Way:
    """A command on an archive, again and again from the same beginning."""

    def __init__(self, box, archive, *args, **env):
        self.box = box
        self.archive = archive
        self.args = args
        self.env = env
        self.fresh = archive + "-fresh"
        shutil.copytree(archive, self.fresh)
        self.before = upkeep.states(box, archive)

    def begin(self):
        for path in (self.archive, self.box.path("out.db"), self.box.path("out.db.tmp")):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
        shutil.copytree(self.fresh, self.archive)

    def run(self, **more):
        env = dict(os.environ, **self.env, **more)
        return self.box.run(*self.args, env=env, timeout=60)

    def reached(self):
        path = self.box.path("reached")
        if os.path.exists(path):
            os.remove(path)
        self.begin()
        done = self.run(ROWTAIL_REACHED=path)
        expect(done.code == 0, "killed by nobody: %s", done)
        with open(path) as source:
            return collections.Counter(source.read().split())

    def end(self):
        """What there is when it has come to its end."""
        found = upkeep.names(self.box, self.archive)
        states = upkeep.states(self.box, self.archive)
        expect(all(self.before[t] == states[t] for t in states), "another state")
        expect(max(states) == max(self.before), "the newest state is gone")
        upkeep.verified(self.box, self.archive)
        if os.path.exists(self.box.path("out.db")):
            with open(self.box.path("out.db"), "rb") as file:
                found.add(file.read())
        return found

    def check_killed(self, place):
        """Files that are there are whole, and no state is gone that had to stay."""
        done = self.box.run("archive", "verify", self.archive, timeout=60)
        expect(done.code == 0, "after a kill at %s: %s", place, done)
        states = upkeep.states(self.box, self.archive)
        expect(all(self.before[t] == states[t] for t in states), "another state")
        expect("prune" in self.args or len(states) == len(self.before),
               "a state is gone after a kill at %s", place)
        out = self.box.path("out.db")
        if os.path.exists(out):
            with open(out, "rb") as file:
                expect(file.read() == self.before[max(self.before)], "half a database")
        if os.path.exists(out + ".tmp"):    # as its message says
            os.remove(out + ".tmp")

    def kill(self, place, count, right):
        self.begin()
        done = self.run(ROWTAIL_KILL="%s:%d" % (place, count))
        expect(done.code == -signal.SIGKILL, "not killed at %s: %s", place, done)
        self.check_killed(place)
        done = self.run()
        if not (done.code == 2 and os.path.exists(self.box.path("out.db"))):
            expect(done.code == 0, "after a kill at %s: %s", place, done)
        found = self.end()
        expect(found == right, "after a kill at %s there is %s, and not %s", place,
               found, right)


def archive_of(box):
    archive = box.path("archive")
    upkeep.make(archive, 11)
    return archive


def compact(box):
    archive = archive_of(box)
    return Way(box, archive, "archive", "compact", archive, *LEVELS)


def compact_copied(box):
    """What is made lies on another disk than the archive, and is copied."""
    if not os.path.isdir(ELSEWHERE) or \
            os.stat(ELSEWHERE).st_dev == os.stat(box.folder).st_dev:
        raise NotRun("no other file system than that of TMPDIR")
    archive = archive_of(box)
    return Way(box, archive, "archive", "compact", archive, *LEVELS, TMPDIR=ELSEWHERE,
               ROWTAIL_FAIL="make %s/ltx/. 1 0 EROFS" % archive)


def prune(box):
    archive = archive_of(box)
    for end in (4, 7):
        done = box.run("restore", archive, box.path("one.db"), "--at", "txid:%d" % end)
        expect(done.code == 0, "%s", done)
        with open(box.path("one.db"), "rb") as file:
            content = file.read()
        os.remove(box.path("one.db"))
        pages = {n + 1: content[n * 512:n * 512 + 512] for n in range(len(content) // 512)}
        ltx.write(archive, 9, 1, end, 512, len(pages), pages)
    upkeep.run(box, "compact", archive, *LEVELS)
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S=upkeep.AHEAD)
    return Way(box, archive, "archive", "prune", archive, LD_PRELOAD=env["LD_PRELOAD"],
               CLOCK_AHEAD_S=upkeep.AHEAD)


def restore(box):
    archive = archive_of(box)
    return Way(box, archive, "restore", archive, box.path("out.db"))


WAYS = {"compact": compact, "compact-copied": compact_copied, "prune": prune,
        "restore": restore}


def check_places(box):
    """Every place that the sources name is come to by some way."""
    left = names()
    expect(len(left) > 8, "only %d places in the sources", len(left))
    count = len(left)
    for way in WAYS.values():
        left -= set(way(box).reached())
        shutil.rmtree(box.path("archive"))
        shutil.rmtree(box.path("archive-fresh"))
    expect(not left, "never come to: %s", ", ".join(sorted(left)))
    return count, None


def run_way(box, name):
    way = WAYS[name](box)
    counts = way.reached()
    right = way.end()
    kills = 0
    for place in sorted(set(counts) & names()):
        for count in sorted({1, counts[place]}):
            try:
                way.kill(place, count, right)
            except Failed as failed:
                raise Failed("%s:%d: %s" % (place, count, failed))
            kills += 1
    expect(kills > 0, "no places")
    return kills, None

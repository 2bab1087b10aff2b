"""Some seeds are archived, too. At their end the archive must have, at the LSN of each
commit, the database as it was then: restored, asked by SQL, made of another moment by the
statements of `diff --sql`, and told by `events`.
"""

import json
import os
import random
import sqlite3
import subprocess
import time

from harness.events import Mismatch, parse_line
from harness.model import Model
from harness.state import exact, quote, read_state
from harness.tail import sanitizer_report

MOMENTS = 6                 # that are restored, of each seed
PAIRS = 3                   # of them that are compared, in both directions
QUESTIONS = 4
NO_TEXT = "\ufffd".encode()  # keys that differ may look alike
PATIENCE = 30               # seconds until a commit is in the archive


class Commit:
    """One that gave events: its state, and what was printed of it."""

    __slots__ = ("number", "state", "lines")

    def __init__(self, number, state, lines):
        self.number = number
        self.state = state
        self.lines = lines


class Archived:
    """The archive of one seed. What is drawn here leaves the seed's own draws alone."""

    def __init__(self, seed, options, folder):
        self.rng = rng = random.Random("archive %d" % seed)
        self.options = options
        self.folder = folder
        self.is_on = rng.random() < 0.4 and not options.fake
        self.interval = rng.choice([0, 0, 0, 20, 1000])
        # Each commit is awaited in the archive before the next one is made.
        self.is_apart = self.is_on and self.interval == 0 and rng.random() < 0.6
        self.path = os.path.join(folder, "archive")
        self.commits = {}           # LSN -> Commit
        self.news = set()           # numbers of units that may have committed
        self.vacuums = set()
        self.seen = None            # a connection and its data_version
        self.files = 0              # of level 0, after the last unit

    def arguments(self, snapshot):
        if not self.is_on:
            return ["--snapshot"] if snapshot else []
        return ["--state", os.path.join(self.folder, "state"), "--archive", self.path,
                "-D", "archive.interval.ms=%d" % self.interval,
                "-D", "snapshot.mode=%s" % ("initial" if snapshot else "no_data")]

    # -- while the application works ---------------------------------------------

    def has_news(self, db):
        """Perhaps something was committed since the last look; a WAL that began anew
        looks like that, too."""
        version = (db, db.execute("PRAGMA data_version").fetchone()[0])
        was, self.seen = self.seen, version
        return was is None or was[0] is not db or was[1] != version[1]

    def looked(self, number, unit, db):
        if self.is_on and self.has_news(db):
            self.news.add(number)
        if unit.vacuum:
            self.vacuums.add(number)

    def printed(self, lsn, number, state, lines):
        if self.is_on:
            self.commits[lsn] = Commit(number, state, lines)

    def count(self):
        try:
            return len(os.listdir(os.path.join(self.path, "ltx", "0")))
        except FileNotFoundError:
            return 0

    def ends(self):
        """TXIDs."""
        found = set()
        for level in ("0", "9"):
            try:
                names = os.listdir(os.path.join(self.path, "ltx", level))
            except FileNotFoundError:
                continue
            found |= {int(n[17:33], 16) for n in names if n.endswith(".ltx")}
        return found

    def wait(self, number):
        """The unit is archived, if it committed."""
        lsn = max((n for n, c in self.commits.items() if c.number == number),
                  default=None)
        if lsn is None:
            self.wait_perhaps(number)
            return
        until = time.monotonic() + PATIENCE * self.options.slow
        while lsn + 1 not in self.ends():
            if time.monotonic() > until:
                raise Mismatch("LSN %d is not archived; ends: %s" % (
                    lsn, sorted(self.ends())[-5:]))
            time.sleep(0.002)
        self.files = self.count()

    def wait_perhaps(self, number):
        """It gave no event, so its LSN is not known, nor whether it has one."""
        until = time.monotonic() + 0.1
        while (number in self.news and self.count() <= self.files
               and time.monotonic() < until):
            time.sleep(0.002)
        self.files = self.count()

    # -- at the end --------------------------------------------------------------

    def run(self, *args, code=0):
        command = self.options.wrapper.split() + [self.options.rowtail, *args]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120 * self.options.slow)
        errors = done.stderr.decode("utf-8", "replace")
        if done.returncode != code or sanitizer_report(errors.splitlines()):
            raise Mismatch("%s: exit %d\n%s" % (" ".join(args), done.returncode, errors))
        return done.stdout

    def check(self, setup, settings):
        """The application has closed its database."""
        if not self.is_on:
            return
        self.setup = setup
        # What a stop had no time for.
        self.run(os.path.join(self.folder, "app.db"), *self.arguments(False), "--once")
        with open(os.path.join(self.folder, "app.db"), "rb") as file:
            if file.read() != self.bytes_at("latest"):
                raise Mismatch("the archive's last state is not the database, byte for byte")
        found = {t - 1 for t in self.ends()}
        kept = sorted(found & set(self.commits))
        if self.is_apart and len(kept) < len(self.commits):
            raise Mismatch("not archived: %s" % sorted(set(self.commits) - found)[:5])
        sample = sorted(self.rng.sample(kept, min(MOMENTS, len(kept))))
        states = {lsn: self.check_moment(lsn) for lsn in sample}
        self.check_events(kept, settings)
        for _ in range(PAIRS if len(sample) > 1 else 0):
            a, b = self.rng.sample(sample, 2)
            self.check_diff(a, b)
            self.check_diff(b, a)
        for _ in range(QUESTIONS if sample else 0):
            self.check_sql(self.rng.choice(sample), states)
        self.check_merged(sample)

    def check_merged(self, sample):
        """The same moments out of merged files."""
        self.run("archive", "compact", self.path, "-D", "archive.compaction.levels=1s,2s")
        self.run("archive", "verify", self.path)
        for lsn in sample[:MOMENTS // 2]:
            self.check_moment(lsn)

    def restored(self, at):
        path = os.path.join(self.folder, "restored.db")
        for suffix in ("", "-wal", "-shm", "-journal"):
            if os.path.exists(path + suffix):
                os.unlink(path + suffix)
        self.run("restore", self.path, path, "--at", at)
        return path

    def bytes_at(self, at):
        with open(self.restored(at), "rb") as file:
            return file.read()

    def read(self, path):
        return read_state(path, self.setup)

    def check_moment(self, lsn):
        state = self.read(self.restored("lsn:%d" % lsn))
        same_state("restored at lsn:%d" % lsn, state, self.commits[lsn].state)
        return state

    # -- diff and sql --------------------------------------------------------------

    def check_diff(self, a, b):
        old = self.commits[a].state
        script = self.run("diff", self.path, "lsn:%d" % a, "lsn:%d" % b, "--sql")
        path = self.restored("lsn:%d" % a)
        if not self.apply(path, script.decode("utf-8", "surrogateescape"), old):
            return
        same_state("lsn:%d, by diff --sql from lsn:%d" % (b, a), self.read(path),
                   self.commits[b].state)

    def apply(self, path, script, old):
        """False: it has triggers, and nothing here can switch them off."""
        if "CREATE TRIGGER" in script or any(
                r.kind == "trigger" for r in old.schema.values()):
            return False
        db = sqlite3.connect(path, isolation_level=None)
        self.setup(db)
        try:
            db.executescript(script)
        except sqlite3.Error as problem:
            raise Mismatch("diff --sql: %s in\n%s" % (problem, script[:3000]))
        finally:
            db.close()
        return True

    def check_sql(self, lsn, states):
        """A scan of a table, each value with its storage class and bytes."""
        tables = [t.schema for t in self.commits[lsn].state.tables.values()
                  if "backwards" not in t.schema.sql]
        if not tables:
            return
        schema = self.rng.choice(tables)
        shown = ", ".join("typeof({0}) AS t{1}, hex(CAST({0} AS BLOB)) AS v{1}".format(
            quote(name), i) for i, name in enumerate(schema.names))
        query = "SELECT %s FROM %s" % (shown, quote(schema.name))
        lines = self.run("sql", self.path, "--at", "lsn:%d" % lsn, "--format=json", query)
        mine = [tuple(json.loads(line).values()) for line in lines.splitlines()]
        db = sqlite3.connect(self.restored("lsn:%d" % lsn))
        self.setup(db)
        theirs = db.execute(query).fetchall()
        db.close()
        if mine != theirs:
            raise Mismatch("sql --at lsn:%d %s: %r, sqlite3: %r" % (
                lsn, query, mine[:3], theirs[:3]))

    # -- events --------------------------------------------------------------------

    def check_events(self, kept, settings):
        output = self.run("events", self.path, "-D", "database.file.path=app.db",
                          *settings.arguments())
        by_lsn = group(output.splitlines(True))
        strange = [n for n in by_lsn if n + 1 not in self.ends()]
        if strange:
            raise Mismatch("events of LSN %s, at which no file ends" % strange[:3])
        alone = 0
        for a, b in zip(kept, kept[1:]):
            lines = [x for lsn in sorted(by_lsn) if a < lsn <= b for x in by_lsn[lsn]]
            if self.is_single(a, b):
                # The first of all follows none; what is before it may be in the first
                # file, a whole database.
                self.check_same(b, lines, alone + 1 == kept.index(b) and
                                kept[0] in by_lsn)
                alone += 1
            elif self.can_apply(a, b) and not any(NO_TEXT in x for x in lines):
                self.check_step(a, b, lines)
        if self.is_apart and len(kept) > 20 and alone < len(kept) // 4:
            raise Mismatch("only %d of %d commits stand alone" % (alone, len(kept)))

    def between(self, a, b):
        first, last = self.commits[a].number, self.commits[b].number
        return range(first + 1, last + 1)

    def is_single(self, a, b):
        """Whatever was committed after `a` has a file of its own, up to `b`."""
        files = sum(a < t - 1 <= b for t in self.ends())
        return (all(not a < lsn < b for lsn in self.commits)
                and files >= len(self.news & set(self.between(a, b))))

    def check_same(self, lsn, lines, with_sequence):
        live = [told(x, with_sequence) for x in self.commits[lsn].lines]
        mine = [told(x, with_sequence) for x in lines]
        for ours, theirs in zip(mine, live):
            if ours != theirs:
                raise Mismatch("an event of the archive, LSN %d:\n%s\nlive:\n%s" % (
                    lsn, ours, theirs))
        if len(mine) != len(live):
            raise Mismatch("%d lines of LSN %d, live %d: %s" % (
                len(mine), lsn, len(live), mine[:2]))

    def can_apply(self, a, b):
        """Its rows tell it all: no table was made, dropped or altered, no row got
        another rowid without a word."""
        old, new = self.commits[a].state.tables, self.commits[b].state.tables
        return (not self.vacuums & set(self.between(a, b)) and list(old) == list(new)
                and all(old[n].schema.sql == new[n].schema.sql for n in old)
                and self.commits[a].state.cookie == self.commits[b].state.cookie)

    def check_step(self, a, b, lines):
        model = Model(self.commits[a].state, by_content=True)
        for line in lines:
            value = parse_line(line)
            value = value["value"] if "topic" in value else value
            if value is not None and "source" in value:
                model.change_id = value["source"]["change_id"] - 1
                model.apply(value)
        model.compare(self.commits[b].state)


def same_state(what, mine, theirs):
    if sorted(mine.tables) != sorted(theirs.tables):
        raise Mismatch("%s: tables %s, expected %s" % (
            what, sorted(mine.tables), sorted(theirs.tables)))
    for name, table in theirs.tables.items():
        ours = mine.tables[name]
        if ours.schema.sql != table.schema.sql:
            raise Mismatch("%s: %s, expected %s" % (
                what, ours.schema.sql, table.schema.sql))
        if ours.exact != table.exact:
            differ = [(x, y) for x, y in zip(ours.rows, table.rows)
                      if exact(x) != exact(y)]
            raise Mismatch("%s: table %s has %d rows, expected %d; %r" % (
                what, name, len(ours.rows), len(table.rows), differ[:2]))


def group(lines):
    """{LSN: lines}; a tombstone belongs to what is before it."""
    found, lsn = {}, None
    for line in lines:
        value = parse_line(line)
        value = value["value"] if "topic" in value else value
        if value is not None:
            lsn = value["source"]["lsn"] if "source" in value else int(value["id"])
        found.setdefault(lsn, []).append(line)
    return found


def told(line, with_sequence):
    """All but the number, when it was printed, and what is finer than a millisecond."""
    message = parse_line(line)
    value = message["value"] if "topic" in message else message
    if value is not None:
        for field in ("ts_ms", "ts_us", "ts_ns"):
            value.pop(field, None)
        for field in ("change_id", "ts_us", "ts_ns"):
            value.get("source", {}).pop(field, None)
        if not with_sequence and "source" in value:
            del value["source"]["sequence"]
    return repr(message)

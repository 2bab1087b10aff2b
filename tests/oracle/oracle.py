"""One seed: a random application writes, rowtail follows, each commit is compared.

After every commit the whole database is read by SQL; what changed between two such
states is what rowtail must have printed, exactly (harness/expect.py).
"""

import copy
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import deque

from harness import expect
from harness.events import LineChecker, Mismatch, Settings
from harness.state import StateReader, ascii_lower, exact
from harness.tail import Tail, TailFailed, sanitizer_report
from harness.writer import crc_text, reversed_order
from harness.writers import Writer, WriterFailed, WriterGone, has_apsw

from .archived import Archived
from .workload import Profile, Unit, Workload

# How many commits rowtail may be behind before the application waits for it, so that
# a failure is found near its cause.
BACKLOG = 200


# In some seeds most transactions say who makes them.
CONTEXT = "rowtail_context"
CONTEXT_COLUMNS = ("id", "seq", "actor")
CONTEXT_TABLE = ("CREATE TABLE %s(id INTEGER PRIMARY KEY CHECK(id=1), seq INT NOT NULL,"
                 " actor TEXT)" % CONTEXT)
CONTEXT_UPSERT = ("INSERT INTO %s VALUES (1, 1, '%%s') ON CONFLICT(id) DO UPDATE SET"
                  " seq = seq + 1, actor = excluded.actor" % CONTEXT)


def reader_setup(db):
    db.create_collation("backwards", reversed_order)
    db.create_function("crc", 1, crc_text, deterministic=True)


class Pending:
    """A commit whose events are still to come."""

    __slots__ = ("number", "unit", "answers", "state", "context")

    def __init__(self, number, unit, answers, state, context):
        self.number = number
        self.unit = unit
        self.answers = answers
        self.state = state
        self.context = context


class SeedFailed(Exception):
    """The run of this seed found a difference; the text has all details."""


class SeedRun:
    """All that one seed needs, and the loop."""

    may_have_context = True         # rowtail is told of the context table then

    def __init__(self, seed, options, folder):
        self.seed = seed
        self.options = options
        self.folder = folder
        self.rng = random.Random(seed)
        self.profile = Profile(self.rng, has_apsw() is None)
        if options.fake:
            self.profile.free_running = False
        self.archived = Archived(seed, options, folder)
        if self.archived.is_apart:
            self.profile.free_running = False
        self.workload = Workload(self.rng, self.profile)
        self.actors = random.Random("actors of %s" % seed)
        self.has_context = (self.may_have_context and not options.fake
                            and not self.archived.is_on and self.actors.random() < 0.5)
        self.context_row = None
        self.path = os.path.join(folder, "app.db")
        self.writers = {}
        self.names = []             # (library, connection) that can be used
        self.reader = StateReader(self.path, reader_setup)
        self.reader.apart = CONTEXT if self.has_context else None
        self.tail = None
        self.pending = deque()
        self.log = deque(maxlen=12)
        self.journal = None
        self.commits = 0
        self.checked = 0
        self.events = 0
        self.readers_open = set()

    # -- the application -------------------------------------------------------

    def uri(self):
        if self.profile.no_psow:
            return "file:%s?psow=0" % self.path, True
        return self.path, False

    def pragmas(self):
        p = self.profile
        result = ["PRAGMA synchronous=%s" % p.synchronous,
                  "PRAGMA cache_size=%d" % p.cache_size,
                  "PRAGMA wal_autocheckpoint=%d" % p.auto_checkpoint,
                  "PRAGMA foreign_keys=%d" % p.foreign_keys,
                  "PRAGMA recursive_triggers=%d" % p.recursive_triggers]
        if p.secure_delete is not None:
            result.append("PRAGMA secure_delete=%s" % p.secure_delete)
        if p.mmap:
            result.append("PRAGMA mmap_size=%d" % p.mmap)
        return result

    def start_writers(self):
        for library in self.profile.libraries:
            self.start_writer(library)

    def start_writer(self, library):
        self.writers[library] = Writer(library)
        for i in range(self.profile.connections):
            self.open_connection(library, "c%d" % i)

    def open_connection(self, library, name, reserved=None):
        path, uri = self.uri()
        self.writers[library].open(name, path, uri=uri, reserved=reserved,
                                   pragmas=self.pragmas())

    def create_database(self):
        p = self.profile
        library = p.libraries[0]
        writer = Writer(library)
        path, uri = self.uri()
        writer.open("main", path, uri=uri, reserved=p.reserved, pragmas=[
            "PRAGMA page_size=%d" % p.page_size, "PRAGMA encoding='%s'" % p.encoding,
            "PRAGMA auto_vacuum=%d" % p.auto_vacuum, "PRAGMA journal_mode=WAL"])
        statements = self.workload.setup()
        if self.has_context:
            statements = [CONTEXT_TABLE] + list(statements)
        for statement in statements:
            result = writer.run("main", [("x", statement)])[0]
            if isinstance(result, str):
                raise SeedFailed("setup: %s: %s" % (statement, result))
        self.reader.open()
        self.workload.state = self.reader.read()
        for _ in range(6):
            unit = self.workload.unit()
            writer.run("main", unit.steps, "strict" if unit.strict else True)
            self.workload.state = self.reader.read()
        self.reader.close()
        writer.close()

    # -- following -------------------------------------------------------------

    def start_tail(self):
        p, options = self.profile, self.options
        self.settings = Settings("app.db", record=p.record, metadata=p.metadata,
                                 context=CONTEXT if self.has_context else None)
        command = [options.rowtail, self.path] + self.settings.arguments()
        command += self.archived.arguments(p.snapshot)
        self.tail = Tail(command, options.wrapper, slow=options.slow)
        self.checker = LineChecker(self.settings)
        self.tail.wait_following(20)
        if p.snapshot:
            self.check_snapshot()

    def check_snapshot(self):
        events = expect.snapshot(self.workload.state)
        if not events:
            return
        count = self.checker.line_count(events)
        if not self.tail.wait_lines(count, 15):
            raise Mismatch("snapshot: %d lines of %d" % (self.tail.available(), count))
        self.checker.check_transaction(
            self.tail.take(count), events, ordered=all(e.ordered for e in events))

    def name_actors(self, unit):
        """Has the transaction say who makes it, at its begin and sometimes again."""
        steps = unit.steps
        if (not self.has_context or len(steps) < 3 or self.actors.random() < 0.2
                or not steps[0][1].startswith("BEGIN")):
            return
        actor = self.actors.choice(("alice", "bob", "carol \"x\""))
        places = [1] + [i for i in range(2, len(steps)) if self.actors.random() < 0.2]
        for place in reversed(places):
            steps.insert(place, ("x", CONTEXT_UPSERT % actor))

    def read_context(self):
        """The row, if the last commit has written it."""
        if not self.has_context:
            return None
        row = self.reader.db.execute("SELECT * FROM " + CONTEXT).fetchone()
        if row == self.context_row:
            return None
        self.context_row = row
        return dict(zip(CONTEXT_COLUMNS, row))

    def expect_commit(self, unit, old, new, context):
        answers = expect.step(old, new, vacuum=unit.vacuum)
        if unit.only_renames and len(answers) > 1:
            answers = answers[:1] if not expect.Renames(old, new).come else answers
        self.commits += 1
        pending = Pending(self.commits, unit, answers, new, context)
        self.self_check(old, new, answers)
        self.check_renames(old, new, unit)
        if len(answers) > 1:
            self.drain(block=True)
            self.check_ambiguous(pending)
            return
        if not answers[0] or not self.checker.wanted(answers[0]):
            return
        self.pending.append(pending)

    def self_check(self, old, new, answers):
        """The expectation itself: events applied to the old rows give the new ones."""
        for name, table in new.tables.items():
            was = old.tables.get(name)
            if was is None or was is table or was.schema is not table.schema:
                continue
            schema = table.schema
            events = [e for e in answers[0] if e.table == schema.name]
            rows = {}
            for row in was.rows:
                rows[identity(schema, row[0], row[1:])] = row[1:]
            for event in events:
                if event.op == "d":
                    del rows[identity(schema, event.rowid, event.before)]
            for event in events:
                if event.op == "d":
                    continue
                if event.op == "u":
                    old_identity = (identity(schema, event.rowid, event.before))
                    assert old_identity in rows
                rows[identity(schema, event.rowid, event.after)] = tuple(event.after)
            want = {identity(schema, r[0], r[1:]): r[1:] for r in table.rows}
            if exact(sorted(rows)) != exact(sorted(want)) or any(
                    exact(rows[k]) != exact(want[k]) for k in want):
                if not self._renumbered(schema):
                    raise SeedFailed("the oracle's own expectation is wrong: %s" % name)

    def check_renames(self, old, new, unit):
        """What sqlite_schema is said to tell is what the statements did."""
        done = real_renames(unit)
        renames = expect.Renames(old, new)
        for come in renames.come:
            for gone in renames.gone:
                if renames.evidence.says(gone, come) == "yes" and (
                        done.get(come) != gone):
                    raise SeedFailed("the oracle takes %s for %s, which was %s" % (
                        come, gone, done.get(come)))

    def _renumbered(self, schema):
        return not schema.key       # VACUUM: other rowids, no events

    def check_ambiguous(self, pending):
        """Several answers are right: take the one that the lines give."""
        problem = None
        answers = sorted(pending.answers, key=self.checker.line_count, reverse=True)
        longest = max(self.checker.line_count(a) for a in answers)
        start = time.monotonic()
        while True:
            for answer in answers:
                count = self.checker.line_count(answer)
                if not count or self.tail.available() < count:
                    continue
                trial = copy.copy(self.checker)
                try:
                    trial.check_transaction(
                        [self.tail.peek(i) for i in range(count)], answer,
                        ordered=all(e.ordered for e in answer),
                        context=pending.context)
                except Mismatch as found:
                    problem = found
                    continue
                seen = self.tail.available()
                self.tail.wait_quiet(0.03)
                if self.tail.available() == seen == count:
                    lines = self.tail.take(count)
                    self.checker = trial
                    self.archived.printed(trial.previous_lsn, pending.number,
                                          pending.state, lines)
                    self.checked += 1
                    return
            # A part of the lines promises the rest.
            patience = 10 if 0 < self.tail.available() < longest else 0.4
            if time.monotonic() > start + patience * self.options.slow:
                break
            time.sleep(0.002)
        if not self.tail.available() and not all(
                self.checker.line_count(a) for a in answers):
            self.checked += 1
            return
        self.failed_commit = pending
        raise Mismatch("commit %d: %d lines fit none of %d acceptable answers"
                       " (%s)" % (pending.number, self.tail.available(),
                                  len(answers), problem))

    def drain(self, block):
        """Compares what has come; with `block` all that is expected must come."""
        while self.pending:
            pending = self.pending[0]
            events = pending.answers[0]
            count = self.checker.line_count(events)
            if self.tail.available() < count:
                if not block:
                    return
                if not self.tail.wait_lines(count, 10):
                    self.failed_commit = pending
                    raise Mismatch("commit %d: %d lines of %d came within 10 s" % (
                        pending.number, self.tail.available(), count))
            lines = self.tail.take(count)
            try:
                self.checker.check_transaction(
                    lines, events, ordered=all(e.ordered for e in events),
                    context=pending.context)
            except Mismatch as problem:
                self.failed_commit = pending
                self.failed_lines = lines
                raise Mismatch("commit %d: %s" % (pending.number, problem))
            self.archived.printed(self.checker.previous_lsn, pending.number,
                                  pending.state, lines)
            self.pending.popleft()
            self.checked += 1
            self.events += len(events)

    # -- the loop --------------------------------------------------------------

    def note(self, text):
        self.log.append(text)
        if self.journal:
            self.journal.write(text + "\n")

    def run_unit(self, unit):
        library = self.rng.choice(self.profile.libraries)
        connection = "c%d" % self.rng.randrange(self.profile.connections)
        writer = self.writers[library]
        self.name_actors(unit)
        self.note("%d %s/%s %s:\n%s" % (
            self.commits + 1, library, connection, unit.kind,
            "\n".join("    " + describe(s) for s in unit.steps)))
        try:
            results = writer.run(connection, unit.steps,
                                 "strict" if unit.strict else True)
        except WriterGone:
            raise SeedFailed("the writer process died")
        errors = [r for r in results if isinstance(r, str)]
        if errors:
            self.note("    errors: " + "; ".join(errors[:4]))
        self.look(unit)

    def look(self, unit):
        """Reads the state after a unit and expects the difference."""
        lonely = self.profile.lonely
        if self.options.fake:
            time.sleep(0.004)       # the stand-in sees one commit at a time only
        if not self.reader.db:
            self.reader.open()
        old, new = self.workload.state, self.reader.read()
        context = self.read_context()
        self.workload.state = new
        self.archived.looked(self.commits + 1, unit, self.reader.db)
        if lonely and self.rng.random() < 0.3:
            self.close_all()
        self.expect_commit(unit, old, new, context)
        if not self.profile.free_running or len(self.pending) > BACKLOG:
            self.drain(block=True)
        else:
            self.drain(block=False)
        if self.archived.is_apart:
            self.archived.wait(self.commits)

    def close_all(self):
        """Every connection but rowtail's is closed for a moment."""
        self.note("all connections closed")
        for library, writer in self.writers.items():
            writer.call("close_all")
        self.readers_open.clear()
        self.reader.close()
        draw = self.rng.random()
        if draw < 0.05:
            time.sleep(1.3)         # rowtail truncates the WAL after a second
        elif draw < 0.3:
            time.sleep(0.03)
        for library in self.writers:
            for i in range(self.profile.connections):
                self.open_connection(library, "c%d" % i)
        self.reader.open()
        self.archived.has_news(self.reader.db)

    def maintain(self):
        """Something an application or its keeper does besides writing rows."""
        rng, p = self.rng, self.profile
        library = rng.choice(p.libraries)
        writer = self.writers[library]
        choices = ["checkpoint"] * 6 + ["vacuum", "vacuum", "reopen", "reopen",
                                        "vacuum_switch", "reindex"]
        if p.auto_vacuum == 2:
            choices += ["incremental_vacuum"] * 4
        if p.crashes:
            choices += ["kill"] * 4 + ["tear"] * 2
        else:
            choices += ["spill_rollback"] * 3
        if p.snapshots_held:
            choices += ["hold", "hold", "let_go"]
        if p.lonely:
            choices += ["close_all"]
        getattr(self, "do_" + rng.choice(choices))(library, writer)

    def quick(self, library, sql, unit_kind=None, vacuum=False):
        self.note("%s %s" % (library, sql))
        if self.options.fake and vacuum:
            open(self.path + ".vacuum", "w").close()
        result = self.writers[library].run("c0", [("x", s) for s in sql.split(";")])
        self.note("    -> %r" % (result,))
        self.look(Unit(unit_kind or sql, [], vacuum=vacuum))
        if self.options.fake and vacuum:
            os.unlink(self.path + ".vacuum")

    def do_checkpoint(self, library, writer):
        mode = self.rng.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
        timeout = self.rng.choice([0, 0, 30])
        self.quick(library, "PRAGMA busy_timeout=%d;PRAGMA wal_checkpoint(%s);"
                            "PRAGMA busy_timeout=20000" % (timeout, mode))

    def do_vacuum(self, library, writer):
        self.quick(library, "VACUUM", vacuum=True)

    def do_vacuum_switch(self, library, writer):
        mode = self.rng.choice([0, 1, 2])
        self.quick(library, "PRAGMA auto_vacuum=%d;VACUUM" % mode, vacuum=True)

    def do_reindex(self, library, writer):
        self.quick(library, "REINDEX")

    def do_incremental_vacuum(self, library, writer):
        self.quick(library, "PRAGMA incremental_vacuum(%d)" % self.rng.choice([1, 3, 0]))

    def do_reopen(self, library, writer):
        name = "c%d" % self.rng.randrange(self.profile.connections)
        self.note("%s/%s closes and opens again" % (library, name))
        writer.close_connection(name)
        self.open_connection(library, name)

    def do_close_all(self, library, writer):
        self.close_all()

    def do_hold(self, library, writer):
        name = "r%d" % self.rng.randrange(4)
        self.note("%s/%s holds a snapshot" % (library, name))
        if (library, name) not in self.readers_open:
            path, uri = self.uri()
            writer.open(name, path, uri=uri)
            self.readers_open.add((library, name))
        else:
            writer.run(name, [("x", "COMMIT")])
        writer.run(name, [("x", "BEGIN"), ("x", "SELECT count(*) FROM sqlite_schema")],
                   False)

    def do_let_go(self, library, writer):
        for lib, name in sorted(self.readers_open):
            self.writers[lib].close_connection(name)
        self.readers_open.clear()
        self.note("all held snapshots let go")

    def do_kill(self, library, writer):
        """kill -9 in the middle of a transaction, or about its commit."""
        unit = self.workload.unit()
        middle = self.rng.random() < 0.5
        steps = list(unit.steps)
        if middle and len(steps) > 2 and steps[0][1].startswith(("BEGIN", "SAVE")):
            steps = steps[:-1]
            self.note("%s killed inside:\n%s" % (
                library, "\n".join("    " + describe(s) for s in steps)))
            try:
                writer.run("c0", steps, False)
                if self.rng.random() < 0.5:
                    time.sleep(0.01)
            except WriterGone:
                pass
            writer.kill()
        else:
            self.note("%s killed about:\n%s" % (
                library, "\n".join("    " + describe(s) for s in steps)))
            writer.send("run", "c0", steps, "strict" if unit.strict else True)
            time.sleep(self.rng.random() * 0.002)
            writer.kill()
        self.readers_open = {r for r in self.readers_open if r[0] != library}
        self.start_writer(library)
        self.look(unit)

    def do_tear(self, library, writer):
        """A crash between the two copies of the wal-index header: recovery."""
        self.note("wal-index header torn")
        subprocess.run([sys.executable, "-c", TEAR, self.path + "-shm"], check=True)
        self.look(Unit("torn header", []))

    def do_spill_rollback(self, library, writer):
        """Frames reach the WAL before the commit, some are taken back."""
        steps = [("x", "PRAGMA cache_size=10"), ("x", "BEGIN")]
        steps += self.workload.bulk_insert() + self.workload.update()
        steps += [("x", "SAVEPOINT deep")]
        steps += self.workload.bulk_insert() + self.workload.update()
        steps += self.workload.update() + [("sleep", 0.003)]
        steps += [("x", "ROLLBACK TO deep"), ("x", "RELEASE deep")]
        steps += self.workload.bulk_insert() + self.workload.update()
        end = self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK"])
        steps += [("x", end)]
        self.run_unit(Unit("spill, rollback to", steps))

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        self.journal = open(os.path.join(self.folder, "statements.log"), "w")
        self.failed_commit = None
        self.failed_lines = None
        self.note("seed %d: %s" % (self.seed, self.profile.line()))
        try:
            self.create_database()
            self.start_writers()
            self.reader.open()
            self.workload.state = self.reader.read()
            self.archived.has_news(self.reader.db)
            self.start_tail()
            while self.commits < self.options.transactions:
                if self.rng.random() < self.profile.maintenance:
                    self.maintain()
                else:
                    self.run_unit(self.workload.unit())
                if self.options.deadline and time.time() > self.options.deadline:
                    break
            self.finish()
        except (Mismatch, TailFailed, WriterFailed, SeedFailed, WriterGone,
                sqlite3.Error) as problem:
            raise SeedFailed(self.report(problem))
        finally:
            self.journal.close()
            self.close()

    def finish(self):
        """Everything must have come, nothing more, and the program must end well."""
        self.drain(block=True)
        self.tail.wait_quiet(0.08)
        if self.tail.available():
            raise Mismatch("%d lines more than expected: %r" % (
                self.tail.available(), self.tail.peek()[:400]))
        self.close_application()
        start = time.monotonic()
        code = self.tail.stop()
        # What is not in the file after half a second stays in the WAL.
        was_cut = time.monotonic() - start > 0.45
        if code != 0:
            raise TailFailed("exit %s after SIGTERM; stderr:\n%s" % (
                code, self.tail.error_text()))
        complaint = sanitizer_report(self.tail.errors)
        if complaint:
            raise TailFailed("%s\n%s" % (complaint, self.tail.error_text()))
        if self.tail.rest or self.tail.available():
            raise Mismatch("output after SIGTERM: %r" % self.tail.rest)
        self.check_database(was_cut)
        self.archived.check(reader_setup, self.settings)

    def check_database(self, was_cut=False):
        """What rowtail leaves behind is the application's database, whole."""
        wal = self.path + "-wal"
        if os.path.exists(wal) and os.path.getsize(wal) > 0 and not was_cut:
            raise Mismatch("the last to close left a WAL of %d bytes"
                           % os.path.getsize(wal))
        self.reader.open()
        state = self.reader.read()
        answer = self.reader.db.execute("PRAGMA integrity_check").fetchall()
        self.reader.close()
        if answer != [("ok",)]:
            raise Mismatch("integrity_check: %r" % answer[:5])
        if expect.step(self.workload.state, state) != [[]]:
            raise Mismatch("the database lost or gained rows when rowtail closed it")

    def close_application(self):
        self.reader.close()
        for writer in self.writers.values():
            writer.close()

    def close(self):
        if self.tail:
            self.tail.close()
        for writer in self.writers.values():
            writer.close()
        self.reader.close()

    def report(self, problem):
        lines = ["seed %d failed: %s" % (self.seed, problem),
                 "profile: " + self.profile.line()]
        if self.failed_commit is not None:
            for i, answer in enumerate(self.failed_commit.answers[:2]):
                lines.append("expected of %s (answer %d of %d):" % (
                    self.failed_commit.unit.kind, i + 1,
                    len(self.failed_commit.answers)))
                lines += ["    %s" % e for e in answer[:12]]
                if len(answer) > 12:
                    lines.append("    … %d events" % len(answer))
        got = list(self.failed_lines or [])
        if not got and self.tail:
            got = [self.tail.peek(i) for i in range(min(8, self.tail.available()))]
        lines.append("got:")
        lines += ["    %s" % g[:600].decode("utf-8", "replace").rstrip() for g in got[:12]]
        lines.append("last units:")
        for entry in list(self.log)[-5:]:
            lines.append("  " + entry[:3000])
        if self.tail:
            lines.append("stderr: " + self.tail.error_text())
        return "\n".join(lines)


TEAR = """
import mmap, struct, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 136)
    change = struct.unpack_from("<I", m, 48 + 8)[0]
    struct.pack_into("<I", m, 48 + 8, change + 1)
"""


RENAME = re.compile(r"ALTER TABLE (.*) RENAME TO (.*)")
DROP = re.compile(r"DROP TABLE (.*)")
CREATE = re.compile(r'CREATE TABLE ("(?:[^"]|"")*"|[\w$]+)')


def real_renames(unit):
    """{name now: name at BEGIN} of the tables that the unit's statements left."""
    names = {}
    for step in unit.steps:
        if step[0] != "x":
            continue
        found = RENAME.fullmatch(step[1])
        if found:
            was, now = (bare_name(n) for n in found.groups())
            names[now] = names.pop(was, was)
            continue
        for pattern in (DROP, CREATE):
            found = pattern.match(step[1])
            if found:
                names[bare_name(found.group(1))] = None
    return names


def bare_name(name):
    return ascii_lower(name.strip('"').replace('""', '"'))


def identity(schema, rowid, row):
    key = schema.key_of(row)
    return exact(key) if key is not None else exact(rowid) + b"r"


def describe(step):
    kind, *rest = step
    text = " ".join(repr(r) if not isinstance(r, str) else r for r in rest)
    if len(text) > 400:
        text = text[:300] + " … " + text[-80:]
    return text if kind == "x" else kind + " " + text


class Options:
    """What the command line said."""

    def __init__(self, rowtail, transactions=200, wrapper="", slow=1.0, deadline=None,
                 keep=False, fake=False):
        self.rowtail = rowtail
        self.transactions = transactions
        self.wrapper = wrapper
        self.slow = slow
        self.deadline = deadline
        self.keep = keep
        self.fake = fake


def run_seed(seed, options, folder):
    """(commits, events, seconds) of one seed; raises SeedFailed."""
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    run = SeedRun(seed, options, folder)
    run.run()
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return run.commits, run.checker.events, time.monotonic() - start

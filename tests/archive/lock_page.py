"""Databases of more than 1 GiB: the page at byte 2^30, which SQLite uses for locks alone,
is in no file of an archive and zeros everywhere else. The database is sparse: its pages
are of 64 KiB, and all but some of them were never written."""

import os
import shutil
import sqlite3
import struct
import subprocess

from archive.archiver import ends, once, verified
from harness.archive import listed
from harness.box import expect
from harness.events import parse_line
from harness.model import Model
from harness.state import read_state

PAGE = 65536
LOCK = (1 << 30) // PAGE + 1
ROW = 60000             # bytes: one row a page


def grow(path, pages):
    """The database has so many pages more, of which nobody knows: holes."""
    with open(path, "r+b") as file:
        head = bytearray(file.read(100))
        file.truncate(pages * PAGE)
        change = struct.unpack(">I", head[24:28])[0] + 1
        head[24:32] = struct.pack(">II", change, pages)
        head[92:96] = struct.pack(">I", change)
        file.seek(0)
        file.write(head)


def copy(path, to):
    subprocess.run(["cp", "--sparse=always", path, to], check=True)


class Large:
    def __init__(self, box):
        box.need("sanitizers take minutes for it" if box.slow > 1 else "")
        self.box, self.path = box, box.path("large.db")
        self.archive = box.path("archive")
        self.kept = {}          # LSN: a copy of the database
        db = sqlite3.connect(self.path, isolation_level=None)
        for statement in ("PRAGMA page_size=%d" % PAGE, "PRAGMA journal_mode=WAL",
                          "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
                          "INSERT INTO t VALUES(1, zeroblob(%d)), (2, 'two')" % ROW):
            db.execute(statement)
        db.close()
        grow(self.path, LOCK - 4)

    def step(self, *statements):
        """Change it, archive that, and keep a copy of what it is now."""
        db = sqlite3.connect(self.path, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()
        once(self.box, self.path, self.archive, timeout=200)
        lsn = max(ends(self.box, self.archive))
        self.kept[lsn] = self.box.path("kept-%d.db" % lsn)
        copy(self.path, self.kept[lsn])
        return lsn

    def pages(self):
        return os.stat(self.path).st_size // PAGE

    def compare(self, lsn):
        out = self.box.path("restored.db")
        done = self.box.run("restore", self.archive, out, "--at", "lsn:%d" % lsn,
                            timeout=200)
        expect(done.code == 0, "restore %d: %s", lsn, done)
        expect(subprocess.run(["cmp", out, self.kept[lsn]]).returncode == 0,
               "another database at %d", lsn)
        os.remove(out)


def insert(first, last):
    return ("WITH n(i) AS (VALUES(%d) UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT "
            "INTO t SELECT i, CAST(i AS TEXT) || hex(zeroblob(%d)) FROM n"
            % (first, last, ROW // 2))


def states(box):
    """An archive whose database grows over the page, is changed on both sides of it,
    and ends below it; the LSNs of its states, in their order."""
    large = Large(box)
    lsns = [large.step()]
    expect(large.pages() == LOCK - 4, "%d pages", large.pages())
    lsns.append(large.step(insert(10, 11)))             # up to the page before it
    expect(large.pages() == LOCK - 1, "%d pages", large.pages())
    lsns.append(large.step(insert(20, 22)))             # and over it
    expect(large.pages() == LOCK + 3, "%d pages", large.pages())
    lsns.append(large.step("UPDATE t SET v = v || id WHERE id > 10",
                           "DELETE FROM t WHERE id = 1"))
    lsns.append(large.step(insert(30, 34), "UPDATE t SET v = 'short' WHERE id = 21"))
    lsns.append(large.step("VACUUM"))
    expect(large.pages() < 100, "%d pages", large.pages())
    return large, lsns


def model_of(path, name="t"):
    state = read_state(path)
    expect(name in state.tables, "no table in %s", path)
    return state


def told_between(box, large, a, b, *args):
    done = box.run("events", large.archive, "--from", "lsn:%d" % a, "--until",
                   "lsn:%d" % b, *args, timeout=200)
    expect(done.code == 0, "events: %s", done.err)
    return done.out.splitlines(True)


def check_states(box, large, lsns):
    for lsn in lsns:
        large.compare(lsn)
    for lsn in lsns:
        done = box.run("sql", large.archive, "--at", "lsn:%d" % lsn, "--format=csv",
                       "SELECT count(*), total(length(v)), max(id) FROM t", timeout=60)
        db = sqlite3.connect(large.kept[lsn])
        right = "%d,%s,%d" % db.execute("SELECT count(*), total(length(v)), max(id) "
                                        "FROM t").fetchone()
        db.close()
        expect(done.code == 0 and done.out.decode().splitlines()[1] == right,
               "at %d: %s, not %s", lsn, done, right)


def check_changes(box, large, lsns):
    """Events and comparisons lead from each state to the next one."""
    for a, b in zip(lsns, lsns[1:]):
        new = model_of(large.kept[b])
        for lines in (told_between(box, large, a, b),
                      box.run("diff", large.archive, "lsn:%d" % a, "lsn:%d" % b,
                              timeout=200).out.splitlines(True)):
            model = Model(model_of(large.kept[a]))
            for line in lines:
                model.apply(parse_line(line))
            model.compare(new)
        back = Model(new)
        done = box.run("diff", large.archive, "lsn:%d" % b, "lsn:%d" % a, timeout=200)
        expect(done.code == 0, "%s", done.err)
        for line in done.out.splitlines(True):
            back.apply(parse_line(line))
        back.compare(model_of(large.kept[a]))


def test_states_around_it_are_restored_and_told(box):
    large, lsns = states(box)
    verified(box, large.archive)
    check_states(box, large, lsns)
    check_changes(box, large, lsns)
    # In one run, into a state directory, whose copy goes over it, too.
    done = box.run("events", large.archive, "--until", "lsn:%d" % lsns[2], "--state",
                   box.path("other"), "-D", "snapshot.mode=no_data", timeout=200)
    expect(done.code == 0, "%s", done.err)
    lines = done.out.splitlines(True)
    done = box.run("events", large.archive, "--state", box.path("other"), timeout=200)
    expect(done.code == 0, "%s", done.err)
    model = Model(model_of(large.kept[lsns[0]]))
    for line in lines + done.out.splitlines(True):
        model.apply(parse_line(line))
    model.compare(model_of(large.kept[lsns[-1]]))


def test_merged_files_leave_it_out(box):
    large, lsns = states(box)
    known = {f["max_txid"] for f in listed(box, large.archive)["files"]}
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S=str(8 * 86400))
    done = box.run("archive", "compact", large.archive, env=env, timeout=200)
    expect(done.code == 0, "%s", done)
    found = listed(box, large.archive)["files"]
    expect(any(0 < f["level"] < 9 for f in found) and sum(f["level"] == 9 for f in found)
           > 1 and {f["max_txid"] for f in found} <= known, "%s", found)
    verified(box, large.archive)
    shutil.rmtree(os.path.join(large.archive, "ltx", "0"))
    left = [n for n in lsns if n in ends(box, large.archive)]
    expect(len(left) > 1, "only %s", left)
    for lsn in left:
        large.compare(lsn)
    check_states(box, large, left)
    check_changes(box, large, left)


def test_a_page_size_may_change_above_it(box):
    large = Large(box)
    first = large.step(insert(10, 16))
    expect(large.pages() > LOCK, "%d pages", large.pages())
    db = sqlite3.connect(large.path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=DELETE", "PRAGMA page_size=4096", "VACUUM",
                      "PRAGMA journal_mode=WAL"):
        db.execute(statement)
    db.close()
    last = large.step("UPDATE t SET v = 'new' WHERE id = 16")
    for args in ((), ("--state", box.path("other"), "-D", "snapshot.mode=no_data")):
        model = Model(model_of(large.kept[first]))
        lines = told_between(box, large, first, last, *args)
        expect(len(lines) == 1, "%d events", len(lines))
        model.apply(parse_line(lines[0]))
        model.compare(model_of(large.kept[last]))


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 900

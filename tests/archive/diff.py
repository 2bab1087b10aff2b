"""rowtail diff of two moments of an archive, against the two states restored, and of a
state directory, against copies of the database."""

import contextlib
import json
import os
import sqlite3

from archive.restore import FIXTURES, fixture
from archive.s3_faults import ARCHIVE as IN_BUCKET, key_of
from cli.diff import apply_sql, changes, schema_of
from cli.sql import snapshot
from harness.archive import listed
from harness.box import expect
from harness.events import parse_line
from harness.pairs import tables_of
from harness.s3_fake import FakeS3


def restored(box, archive, txid):
    out = box.path("state-%s.db" % txid)
    if not os.path.exists(out):
        done = box.run("restore", archive, out, "--at", "txid:" + txid)
        expect(done.code == 0, "%s", done)
    return out


def check(box, archive, a, b):
    """Statements from a to b, applied to a, give b; events are those of the files."""
    old, new = restored(box, archive, a), restored(box, archive, b)
    done = box.run("diff", archive, "txid:" + a, "txid:" + b, "--sql")
    expect(done.code == 0, "%s to %s: %s", a, b, done)
    patched = apply_sql(box, old, done.out)
    mine, theirs = tables_of(patched), tables_of(new)
    mine.pop("sqlite_sequence", None)
    theirs.pop("sqlite_sequence", None)
    expect(mine == theirs, "%s to %s: %s", a, b, done.out[-2000:])
    expect(schema_of(patched) == schema_of(new), "%s to %s: schemas", a, b)
    of_files = box.run("diff", old, new, "-D", "table.exclude.list=_litestream_.*")
    of_moments = box.run("diff", archive, "txid:" + a, "txid:" + b)
    expect(of_moments.code == of_files.code == 0, "%s", of_moments)
    expect(changes(of_moments) == changes(of_files), "%s to %s: %s", a, b, of_moments)
    for line in of_moments.out.splitlines(True):
        expect(parse_line(line)["source"]["lsn"] == int(b, 16) - 1, "%s", line)
    return len(changes(of_moments))


def test_moments_differ_as_the_restored_states_do(box):
    box.need_tool("sqlite3")
    found = 0
    for folder in FIXTURES:
        archive, states = fixture(box, folder)
        names = sorted(states)
        for name in os.listdir(box.folder):
            if name.startswith("state-"):
                os.remove(box.path(name))
        for a, b in zip(names, names[1:]):
            found += check(box, archive, a, b) + check(box, archive, b, a)
        found += check(box, archive, names[0], names[-1])
        found += check(box, archive, names[-1], names[0])
        check(box, archive, names[2], names[2])
    expect(found > 20, "%d changes", found)


def test_moments_that_the_archive_does_not_have(box):
    archive, states = fixture(box)
    done = box.run("diff", archive, "first", "latest", "-D", "table.include.list=nix")
    expect(done.code == 2 and "leaves nothing to capture" in done.error_lines[-1], "%s",
           done)
    for words, part in (((archive, "first", "txid:999"), "the nearest that it has"),
                        ((archive, "first", "yesterday"), "yesterday"),
                        ((box.path("nix"), "first", "latest"), "nix")):
        done = box.run("diff", *words)
        expect(done.code == 2 and part in done.error_lines[-1] and not done.out, "%s", done)
    done = box.run("diff", archive, "-9999d", "latest")
    expect(done.code == 2 and "the nearest that it has" in done.error_lines[-1], "%s", done)
    files = listed(box, archive)["files"]
    done = box.run("diff", archive, files[0]["time"], "latest", "--quiet")
    expect(done.code == 0, "%s", done)


def test_moments_in_a_bucket_differ_as_those_in_a_folder(box):
    archive, states = fixture(box)
    fake = FakeS3(box)
    for file in listed(box, archive)["files"]:
        name = "%s-%s.ltx" % (file["min_txid"], file["max_txid"])
        with open(os.path.join(archive, "ltx", str(file["level"]), name), "rb") as source:
            fake.put(key_of(file["level"], int(file["min_txid"], 16),
                            int(file["max_txid"], 16)), source.read(), file["time"])
    names, found = sorted(states), 0
    for a, b in [*zip(names, names[1:]), (names[0], names[-1]), (names[-1], names[0])]:
        words = ("txid:" + a, "txid:" + b)
        there, here = fake.run("diff", IN_BUCKET, *words), box.run("diff", archive, *words)
        expect(there.code == here.code == 0 and changes(there) == changes(here),
               "%s to %s: %s, in a folder %s", a, b, there, here)
        found += len(changes(there))
        there = fake.run("diff", IN_BUCKET, *words, "--sql")
        here = box.run("diff", archive, *words, "--sql")
        expect(there.code == 0 and there.out == here.out, "%s to %s: %s", a, b, there)
    expect(found > 20, "%d changes", found)
    done = fake.run("diff", IN_BUCKET, "txid:" + names[0], "txid:ffff")
    expect(done.code == 2 and "the nearest" in done.error_lines[-1], "%s", done)


STEPS = ("INSERT INTO t VALUES(2, zeroblob(30000))", "UPDATE t SET v = 'two' WHERE id = 2",
         "CREATE TABLE u(a, b)", "INSERT INTO u VALUES(1, 2)", "DELETE FROM t", "VACUUM")


def journalled(box, state):
    return json.loads(box.run("status", "--state", state, "--json").out)["journalled_lsn"]


def moments_of(box, path, state, db):
    """{LSN: a copy of the database as of there}, in the order of the steps."""
    found = {}
    for step in (None, *STEPS):
        before = max(found) if found else -1
        if step:
            db.execute(step)
        box.wait_until(lambda: journalled(box, state) > before)
        copy = box.path("copy-%d.db" % len(found))
        with contextlib.closing(sqlite3.connect(copy)) as out:
            db.backup(out)
        found[journalled(box, state)] = copy
    return found


def check_state(box, state, copies):
    """Between each two moments, as between copies of the database."""
    for a, old in copies.items():
        for b, new in copies.items():
            words = ("lsn:%d" % a, "lsn:%d" % b)
            done = box.run("diff", state, *words)
            of_files = box.run("diff", old, new)
            expect(done.code == of_files.code == 0, "%s: %s", words, done)
            expect(changes(done) == changes(of_files), "%s: %s", words, done)
            for line in done.out.splitlines(True):
                expect(parse_line(line)["source"]["lsn"] == b, "%s", line)
            done = box.run("diff", state, *words, "--sql")
            expect(done.code == 0, "%s: %s", words, done)
            patched = apply_sql(box, old, done.out)
            expect(tables_of(patched) == tables_of(new), "%s: %s", words, done)
        done = box.run("sql", state, "--at", "lsn:%d" % a, "SELECT id, hex(v) AS v FROM t")
        expect(done.code == 0, "%s", done)
        with contextlib.closing(sqlite3.connect(old)) as db:
            right = [{"id": row[0], "v": row[1]} for row in
                     db.execute("SELECT id, hex(v) FROM t")]
        expect([json.loads(line) for line in done.out.splitlines()] == right, "%s", done)


def test_moments_of_a_state_directory(box):
    """Those of its journal: while a run uses it, and after a kill."""
    box.need_tool("sqlite3")
    path, state = box.path(), box.path("state")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES(1, 'one')")
    tail = box.tail(path, "--state", state)
    copies = moments_of(box, path, state, db)
    check_state(box, state, copies)
    whole = box.run("diff", state, "first", "latest")
    expect(whole.code == 0 and changes(whole) == changes(
        box.run("diff", state, "txid:%x" % (min(copies) + 1), "lsn:%d" % max(copies))),
        "%s", whole)
    now = box.run("diff", state, "first", "-0s")
    expect(now.code == 0 and changes(now) == changes(whole), "%s", now)
    tail.process.kill()
    tail.process.wait()
    before = snapshot(state)
    check_state(box, state, copies)
    expect(snapshot(state) == before, "the state directory was changed")

    lsns = sorted(copies)
    for words, part in (((state, "lsn:%d" % (lsns[1] - 1), "latest"),
                         "the nearest that it has are lsn:%d (" % lsns[0]),
                        ((state, "latest", "lsn:%d" % (lsns[-1] + 1)),
                         "the nearest that it has is lsn:%d (" % lsns[-1]),
                        ((state, "-1w", "latest"), "the nearest that it has is lsn:%d (" %
                         lsns[0]), ((state, "first", "nix"), "nix")):
        done = box.run("diff", *words)
        expect(done.code == 2 and not done.out and part in done.error_lines[-1], "%s", done)
    # What is folded is there no more.
    tail = box.tail(path, "--state", state, "--to", "null:")
    db.execute("INSERT INTO u VALUES(zeroblob(20000000), 0)")

    def first():
        return json.loads(box.run("status", "--state", state, "--json").out)["base_lsn"]

    box.wait_until(lambda: first() > lsns[-1], 30)
    done = box.run("diff", state, "lsn:%d" % lsns[0], "latest")
    expect(done.code == 2 and "the nearest that it has is lsn:%d (" % first() in
           done.error_lines[-1], "%s", done)
    box.stop(tail)
    done = box.run("diff", state, "first", "latest")
    expect(done.code == 0 and not done.out, "%s", done)
    db.close()


def test_a_moment_that_a_fold_has_begun_to_overwrite(box):
    """Pages of later are no pages of then, and the latest is what it was."""
    path, state = box.path(), box.path("state")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES(1, 'one')")
    tail = box.tail(path, "--state", state)
    at = journalled(box, state)
    db.execute("UPDATE t SET v = 'two'")
    box.wait_until(lambda: journalled(box, state) > at)
    right = box.run("diff", state, "first", "latest")
    expect(right.code == 0 and len(changes(right)) == 1, "%s", right)
    tail.process.kill()
    tail.process.wait()
    # The page that has the row, at its place in the copy, but not yet its hash.
    db.execute("PRAGMA wal_checkpoint")
    with open(path, "rb") as source, open(os.path.join(state, "shadow"), "r+b") as shadow:
        source.seek(4096)
        shadow.seek(4096)
        shadow.write(source.read(4096))
    done = box.run("diff", state, "first", "latest")
    expect(done.code == 1 and not done.out and "page 2 as of LSN %d is damaged, or "
           "overwritten by what came later; give a later moment" % at in
           done.error_lines[-1], "%s", done)
    done = box.run("sql", state, "SELECT v FROM t")
    expect(done.code == 0 and done.out == b'{"v":"two"}\n', "%s", done)
    db.close()


def test_a_state_directory_is_no_file(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
                                "INSERT INTO t VALUES(1, 'one')")
    state = box.path("state")
    done = box.run(path, "--state", state, "--once", "--to", "null:")
    expect(done.code == 0, "%s", done)
    for words in ((state, path), (path, state)):
        done = box.run("diff", *words)
        expect(done.code == 2 and not done.out and "is a state directory: give two moments "
               "of it" in done.error_lines[-1], "%s", done)

"""rowtail diff of two moments of an archive: against the two states restored."""

import os

from archive.restore import FIXTURES, fixture
from archive.s3_faults import ARCHIVE as IN_BUCKET, key_of
from cli.diff import apply_sql, changes, schema_of
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


def test_a_state_directory_has_no_moments(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
                                "INSERT INTO t VALUES(1, 'one')")
    state = box.path("state")
    done = box.run(path, "--state", state, "--once", "--to", "null:")
    expect(done.code == 0, "%s", done)
    for words in ((state, "first", "latest"), (state, path), (path, state)):
        done = box.run("diff", *words)
        expect(done.code == 2 and not done.out and "is a state directory, which has one "
               "state and no moments: give an archive" in done.error_lines[-1], "%s", done)

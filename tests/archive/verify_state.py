"""archive verify --state: what an archive gives back is what was captured."""

import glob
import os

from harness import ltx
from harness.box import expect


def archived(box):
    """A database, its state directory and its archive, of three runs."""
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    state, archive = box.path("state"), box.path("archive")
    for number in range(3):
        writer.sql("c", "INSERT INTO t(v) VALUES('row %d')" % number)
        done = box.run(path, "--state", state, "--archive", archive, "--to", "none",
                       "--once")
        expect(done.code == 0, "run %d: %s", number, done)
    return writer, path, state, archive


def verify(box, archive, state):
    return box.run("archive", "verify", archive, "--state", state)


def newest(archive):
    return max(glob.glob(os.path.join(archive, "ltx", "0", "*.ltx")))


def test_an_archive_is_compared_with_what_was_captured(box):
    _, path, state, archive = archived(box)
    done = verify(box, archive, state)
    expect(done.code == 0 and b"\nthe same as " in done.out, "verify: %s", done)

    # Sound files with another page: their checksums are right.
    last = newest(archive)
    low, high = (int(t, 16) for t in os.path.basename(last)[:-4].split("-"))
    with open(path, "rb") as file:
        data = file.read()
    pages = len(data) // 4096
    ltx.write(archive, 0, low, high, 4096, pages, {pages: b"\1" * 4096})
    done = box.run("archive", "verify", archive)
    expect(done.code == 0, "the file is sound: %s", done)
    done = verify(box, archive, state)
    expect(done.code == 1 and b"are not those of" in done.err
           and b"(%d)" % pages in done.err, "another page: %s", done)

    ltx.write(archive, 0, low, high, 4096, pages - 1, {})
    done = verify(box, archive, state)
    expect(done.code == 1 and b"1 pages of 4096 bytes" in done.err, "a page less: %s", done)


def test_a_state_directory_that_is_ahead_is_told_apart_from_damage(box):
    writer, path, state, archive = archived(box)
    os.remove(newest(archive))
    done = verify(box, archive, state)
    expect(done.code == 2 and b"the archive ends at txid:" in done.err, "ahead: %s", done)


def test_it_wants_a_state_directory_for_itself(box):
    writer, path, state, archive = archived(box)
    done = verify(box, archive, box.path("other"))
    expect(done.code == 2, "no directory: %s", done)
    tail = box.tail(path, "--state", state, "--archive", archive)
    done = verify(box, archive, state)
    expect(done.code == 2 and b"in use" in done.err, "in use: %s", done)
    box.stop(tail)
    done = verify(box, archive, state)
    expect(done.code == 0, "after the stop: %s", done)
    for action in ("list", "prune", "compact"):
        done = box.run("archive", action, archive, "--state", state)
        expect(done.code == 2 and b"--state does not go with" in done.err, "%s: %s",
               action, done)

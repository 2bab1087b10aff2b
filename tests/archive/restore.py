"""rowtail restore and rowtail archive, on small archives that Litestream wrote
(fixtures, made by make_fixtures.py) and on ones that it never writes."""

import glob
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time

from harness import ltx
from harness.archive import listed
from harness.box import TESTS, expect

FIXTURES = sorted(glob.glob(os.path.join(TESTS, "archive", "fixtures", "*")))
PAGE = 512


def fixture(box, folder=FIXTURES[-1]):
    """(archive, states): a copy with the times that its files had."""
    archive = box.path("archive-of-" + os.path.basename(folder))
    shutil.copytree(os.path.join(folder, "archive"), archive)
    with open(os.path.join(folder, "states.json"), encoding="utf-8") as file:
        known = json.load(file)
    for name, ns in known["times"].items():
        os.utime(os.path.join(archive, name), ns=(ns, ns))
    return archive, known["states"]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def refused(box, code, part, *args, **more):
    """Exit `code`, one line on stderr that has `part`."""
    done = box.run(*args, **more)
    lines = done.error_lines
    expect(done.code == code and len(lines) == 1 and part in lines[0],
           "expected exit %d and %r: %s", code, part, done)
    return lines[0]


def no_out(box, out="out.db"):
    left = [n for n in os.listdir(box.folder) if n.startswith(out)]
    expect(not left, "left behind: %s", left)


def test_every_state_of_archives_that_litestream_wrote(box):
    expect(len(FIXTURES) == 2, "fixtures: %s", FIXTURES)
    for folder in FIXTURES:
        archive, states = fixture(box, folder)
        listing = listed(box, archive)
        expect(len(states) == 6, "states: %s", states)
        for txid, right in states.items():
            out = box.path("out.db")
            done = box.run("restore", "file:" + archive + "/", out, "--at",
                           "txid:" + txid)
            expect(done.code == 0 and sha256(out) == right, "%s: %s", txid, done)
            expect(not done.out and done.error_lines[0].startswith(
                "rowtail: restored %s as of txid:" % out), "%s", done)
            expect(os.stat(out).st_mode & 0o777 == 0o600, "mode of a restored file")
            os.remove(out)
        expect(listing["first"]["txid"] == min(states), "%s", listing)
        expect(listing["latest"]["txid"] == max(states), "%s", listing)
        expect(listing["gaps"] == [] and len(listing["files"]) == 8, "%s",
               listing)
        done = box.run("archive", "verify", archive)
        expect(done.code == 0 and done.out.startswith(b"verified 8 files, ")
               and b"latest: txid:6 " in done.out, "%s", done)
        no_out(box)


def test_moments_are_named_by_time_lsn_and_words(box):
    archive, states = fixture(box)
    times = {f["max_txid"]: f["time"] for f in listed(box, archive)["files"] if f["level"] == 0}
    third = "0000000000000003"
    asked = [("latest", max(states)), ("first", min(states)), ("lsn:2", third),
             (times[third], third), ("2100-01-01T00:00:00+02:00", max(states)),
             (None, max(states))]
    for at, txid in asked:
        out = box.path("out.db")
        done = box.run("restore", archive, out, *(["--at", at] if at else []))
        expect(done.code == 0 and sha256(out) == states[txid], "%s: %s", at, done)
        os.remove(out)
    refused(box, 2, "the nearest that it has is txid:1 (", "restore", archive,
            box.path("out.db"), "--at", "2001-01-01T00:00:00Z")
    refused(box, 2, "the nearest that it has is txid:6 (", "restore", archive,
            box.path("out.db"), "--at", "txid:7")
    refused(box, 2, "--at yesterday: must be latest, first", "restore", archive,
            box.path("out.db"), "--at", "yesterday")
    no_out(box)


def test_lines_of_the_list(box):
    archive = box.path("archive")
    pages = {1: b"a" * PAGE}
    ltx.write(archive, 9, 1, 1, PAGE, 1, pages)
    ltx.write(archive, 0, 2, 2, PAGE, 1, pages)
    ltx.write(archive, 0, 4, 0x1f, PAGE, 1, pages)
    for name in ("0/note", "0/0000000000000009-0000000000000009.ltx.tmp",
                 "0/000000000000000A-000000000000000A.ltx", "x", "../rowtail.json"):
        with open(os.path.join(archive, "ltx", name), "w", encoding="utf-8") as file:
            file.write("not ours")
    os.mkdir(os.path.join(archive, "ltx/1"))
    os.mkdir(os.path.join(archive, "ltx/1/0000000000000001-0000000000000001.ltx"))
    size = os.path.getsize(ltx.path_of(archive, 9, 1, 1))
    done = box.run("archive", "list", archive)
    row = "%5d %016x %016x %10d 1970-01-01T00:00:%02d.000Z"
    right = ["level first txid       last txid              bytes time",
             row % (0, 2, 2, size, 2), row % (0, 4, 31, size, 31),
             row % (9, 1, 1, size, 1), "",
             "first:  txid:1 1970-01-01T00:00:01.000Z",
             "latest: txid:2 1970-01-01T00:00:02.000Z",
             "gap:    from 0/%016x-%016x.ltx to 0/%016x-%016x.ltx" % (2, 2, 4, 31)]
    expect(done.code == 0 and done.out.decode().splitlines() == right, "%s", done)


def test_a_gap_is_an_error_for_all_that_is_behind_it(box):
    archive, _ = fixture(box)
    for level in "19":
        shutil.rmtree(os.path.join(archive, "ltx", level))
    os.remove(ltx.path_of(archive, 0, 3, 3))
    out = box.path("out.db")
    both = "between 0/%016x-%016x.ltx and 0/%016x-%016x.ltx" % (2, 2, 4, 4)
    for at in ("latest", "txid:6", "txid:4", "2100-01-01T00:00:00Z"):
        line = refused(box, 1, both, "restore", archive, out, "--at", at)
        expect("--at txid:2" in line, "%s", line)
    done = box.run("archive", "verify", archive)
    expect(done.code == 1 and both in done.error_lines[0] and
           "1 gaps" in done.error_lines[1], "%s", done)
    expect(box.run("restore", archive, out, "--at", "txid:2").code == 0, "before it")


def test_damage_is_named_and_nothing_is_restored(box):
    for level, low, high in ((9, 1, 6), (0, 1, 1)):
        archive, states = fixture(box)
        path = ltx.path_of(archive, level, low, high)
        with open(path, "r+b") as file:
            file.seek(-8, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-8, os.SEEK_END)
            file.write(bytes([byte ^ 1]))
        out = box.path("out.db")
        at = "latest" if level else "txid:2"
        name = "%d/%016x-%016x.ltx: has a checksum that is not" % (level, low, high)
        refused(box, 1, name, "restore", archive, out, "--at", at)
        no_out(box)
        done = box.run("archive", "verify", archive)
        expect(done.code == 1 and len(done.error_lines) == 2
               and name in done.error_lines[0]
               and "1 of 8 files are damaged, 0 gaps" in done.error_lines[1], "%s", done)
        # What does not need that file is restored all the same.
        at = "txid:5" if level else "latest"
        expect(box.run("restore", archive, out, "--at", at).code == 0, "another state")
        os.remove(out)
        shutil.rmtree(archive)


def test_nothing_that_is_there_is_overwritten(box):
    archive, _ = fixture(box)
    out = box.path("out.db")
    for suffix in ("", "-wal", "-journal", "-shm", ".tmp"):
        for make in ("file", "link", "folder"):
            path = out + suffix
            if make == "file":
                with open(path, "w", encoding="utf-8") as file:
                    file.write("mine")
            elif make == "link":
                os.symlink("nowhere", path)
            else:
                os.mkdir(path)
            line = refused(box, 2, path + " exists", "restore", archive, out)
            expect("another name" in line and "remove" not in line, "%s", line)
            if make == "file":
                with open(path, encoding="utf-8") as file:
                    expect(file.read() == "mine", "%s was changed", path)
                os.remove(path)
            elif make == "link":
                expect(os.readlink(path) == "nowhere", "%s was changed", path)
                os.remove(path)
            else:
                os.rmdir(path)
            no_out(box)


def test_what_comes_meanwhile_is_not_overwritten(box):
    archive, _ = fixture(box)
    out = box.path("out.db")
    for suffix, left in (("", ["out.db"]), ("-wal", ["out.db-wal"])):
        process = subprocess.Popen(box.command("restore", archive, out),
                                   stderr=subprocess.PIPE,
                                   env=box.preloading("slow_sync",
                                                      SLOW_SYNC_US="1500000"))
        box.wait_until(lambda: os.path.exists(out + ".tmp"), 20)
        with open(out + suffix, "w", encoding="utf-8") as file:
            file.write("mine")
        err = process.communicate(timeout=30 * box.slow)[1].decode()
        expect(process.returncode == 2 and out + suffix + " exists" in err,
               "exit %s: %s", process.returncode, err)
        with open(out + suffix, encoding="utf-8") as file:
            expect(file.read() == "mine", "it was overwritten")
        found = sorted(n for n in os.listdir(box.folder) if n.startswith("out.db"))
        expect(found == left, "left behind: %s", found)
        os.remove(out + suffix)


def test_places_that_are_no_archive_or_no_place_for_a_file(box):
    archive, _ = fixture(box)
    out = box.path("out.db")
    file = box.path("file")
    with open(file, "w", encoding="utf-8") as some:
        some.write("x")
    os.makedirs(box.path("old/generations"))
    os.makedirs(box.path("empty/ltx"))
    gone = box.path("gone")
    for place, part in (
            (gone, gone + " cannot be opened as an archive: No such file"),
            (file, "Not a directory; give the folder"),
            (box.folder, "has no folder ltx, so it is no archive"),
            (archive + "/ltx", "/ltx has no folder ltx: give the folder above it"),
            (box.path("old"), "written by Litestream 0.3"),
            ("gs://bucket/app", "an archive is a folder, given as its path"),
            ("file:", "no archive given")):
        for command in (("restore", place, out), ("archive", "list", place),
                        ("archive", "verify", place)):
            refused(box, 2, part, *command)
    refused(box, 2, "has no files yet", "restore", box.path("empty"), out)
    done = box.run("archive", "list", box.path("empty"))
    expect(done.code == 0 and b"latest: none" in done.out, "%s", done)
    refused(box, 2, "the folder %s cannot be opened" % gone, "restore", archive,
            gone + "/out.db")
    refused(box, 2, "is no name of a file", "restore", archive, box.folder + "/")
    no_out(box)


def test_usage(box):
    for args, part in (
            (("restore",), "too few words: rowtail restore ARCHIVE OUT [--at WHEN]"),
            (("restore", "a"), "(a database of that name is ./restore)"),
            (("restore", "a", "b", "c"), "unexpected c"),
            (("restore", "a", "b", "--state", "c"), "--state does not go with"),
            (("restore", "a", "b", "--json"), "--json goes with"),
            (("archive",), "too few words: rowtail archive list|verify|prune|compact ARCHIVE"),
            (("archive", "list"), "(a database of that name is ./archive)"),
            (("archive", "list", "a", "b"), "unexpected b"),
            (("archive", "verify", "a", "--json"), "--json does not go with archive"),
            (("archive", "list", "a", "--at", "first"), "--at goes with rowtail restore"),
            (("a.db", "--at", "first"), "--at goes with rowtail restore")):
        refused(box, 2, part, *args)


def test_pages_cut_off_are_zeros_and_missing_ones_an_error(box):
    archive = box.path("archive")
    full = {n: bytes([n]) * PAGE for n in range(1, 9)}
    ltx.write(archive, 9, 1, 1, PAGE, 8, full)
    ltx.write(archive, 0, 2, 2, PAGE, 3, {1: b"b" * PAGE})
    ltx.write(archive, 0, 3, 3, PAGE, 6, {6: b"c" * PAGE})
    out = box.path("out.db")
    done = box.run("restore", archive, out)
    right = b"b" * PAGE + full[2] + full[3] + bytes(2 * PAGE) + b"c" * PAGE
    with open(out, "rb") as file:
        expect(done.code == 0 and file.read() == right, "%s", done)
    expect("2 pages are zeros" in done.error_lines[0], "%s", done)
    os.remove(out)
    ltx.write(archive, 0, 4, 4, PAGE, 10, {10: b"d" * PAGE})
    refused(box, 1, "page 9 of 10 is in no file from", "restore", archive, out)
    refused(box, 1, "page 9 of 10 is in no file from", "archive", "verify", archive)
    no_out(box)


def test_thousands_of_files_with_few_descriptors(box):
    archive = box.path("archive")
    count = 2000
    ltx.write(archive, 9, 1, 1, PAGE, 4, {n: b"a" * PAGE for n in range(1, 5)})
    for txid in range(2, count + 1):
        page = txid % 4 + 1
        ltx.write(archive, 0, txid, txid, PAGE, 4,
                  {page: b"%16d" % txid * (PAGE // 16)})
    out = box.path("out.db")

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    done = box.run("restore", archive, out, preexec=limit, timeout=60)
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        content = file.read()
    for txid in range(count - 3, count + 1):
        at = txid % 4 * PAGE
        expect(content[at:at + PAGE] == b"%16d" % txid * (PAGE // 16), "page %d",
               txid % 4 + 1)


def test_a_file_system_that_takes_no_more(box):
    archive, _ = fixture(box)
    out = box.path("out.db")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
    refused(box, 1, "File too large", "restore", archive, out, preexec=limit)
    no_out(box)


def test_kill_at_any_moment_leaves_no_half_database(box):
    archive, states = fixture(box)
    out = box.path("out.db")
    right = states[max(states)]
    whole = killed = 0
    for n in range(120):
        process = subprocess.Popen(box.command("restore", archive, out),
                                   stderr=subprocess.DEVNULL)
        time.sleep(n % 40 * 0.0002)
        process.kill()
        process.wait()
        if os.path.exists(out):
            expect(sha256(out) == right, "a half database after %d", n)
            whole += 1
            os.remove(out)
        killed += process.returncode == -signal.SIGKILL
        if os.path.exists(out + ".tmp"):
            os.remove(out + ".tmp")
    expect(killed > 0, "none was killed")
    # While it is synced, all is written: still no OUT.
    process = subprocess.Popen(
        box.command("restore", archive, out), stderr=subprocess.DEVNULL,
        env=box.preloading("slow_sync", SLOW_SYNC_US="20000000"))
    box.wait_until(lambda: os.path.exists(out + ".tmp"), 20)
    time.sleep(0.1)
    process.kill()
    process.wait()
    expect(not os.path.exists(out), "OUT is there before it was synced")


def sleeps(process):
    with open("/proc/%d/stat" % process.pid, encoding="utf-8") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"


def test_a_stop_is_no_success(box):
    """Also where a sync takes longer than a stop may: 0 says that OUT is there."""
    archive, _ = fixture(box)
    out = box.path("out.db")
    process = subprocess.Popen(
        box.command("restore", archive, out), stderr=subprocess.PIPE,
        env=box.preloading("slow_sync", SLOW_SYNC_US="6000000"))
    box.wait_until(lambda: os.path.exists(out + ".tmp") and sleeps(process), 20)
    process.terminate()
    process.communicate(timeout=60 * box.slow)
    expect((process.returncode == 0) == os.path.exists(out),
           "exit %d, OUT is %s", process.returncode,
           "there" if os.path.exists(out) else "not there")


test_thousands_of_files_with_few_descriptors.timeout = 120

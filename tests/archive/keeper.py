"""What is due in an archive is done by the run that writes it: files are merged, made
snapshots of and removed, and every moment that is kept is restored byte for byte."""

import json
import os
import shutil
import time

from archive.archiver import Work, ends, follow, judge, listing, once, restored, same, \
    small, verified
from harness.box import expect
from harness.pages import image

SHORT = ("-D", "archive.compaction.levels=1s,2s,4s", "-D", "archive.snapshot.interval=3s")
AHEAD = "8000"  # seconds: past the time that a file must have been there
PAST = ("-D", "archive.retention=1h", "-D", "archive.l0.retention=1h")


def names(box, archive):
    """{"0/2-5"}: what is in it."""
    return {"%d/%d-%d" % (f["level"], int(f["min_txid"], 16), int(f["max_txid"], 16))
            for f in listing(box, archive)["files"]}


def levels(box, archive):
    """How many files each level has."""
    found = [0] * 10
    for name in names(box, archive):
        found[int(name[0])] += 1
    return found


def waiting(box):
    folder = os.path.join(box.path("state"), "archive", "ltx")
    return [name for _, _, files in os.walk(folder) for name in files]


def work_until(box, work, tail, archive, is_enough):
    until = time.monotonic() + 120
    while not is_enough(levels(box, archive)):
        expect(time.monotonic() < until, "there is only %s; %s", levels(box, archive),
               tail.error_text())
        for _ in range(3):
            work.commit()
            work.keep(tail)
            time.sleep(0.05)


def all_levels(counts):
    return all(counts[level] > 0 for level in range(4)) and counts[9] > 2


def check_levels(box, seed, page_size, auto_vacuum):
    work, archive = Work(box, seed, page_size, auto_vacuum), box.path("archive")
    tail = follow(box, work, archive, "-D", "archive.interval.ms=20", *SHORT)
    work_until(box, work, tail, archive, all_levels)
    box.stop(tail)
    expect(restored(box, archive) == image(work.path), "another database at the end")
    found = judge(box, archive, work.kept)
    for level in ("0", "1", "2"):       # what is left has what they had
        shutil.rmtree(os.path.join(archive, "ltx", level))
        verified(box, archive)
        for lsn in set(work.kept) & ends(box, archive):
            expect(restored(box, archive, lsn) == work.kept[lsn],
                   "another database at %d without level %s", lsn, level)
    return found, None


def test_all_levels_appear_with_pages_of_512_bytes(box):
    return check_levels(box, 11, 512, 2)


def test_all_levels_appear_with_pages_of_4096_bytes(box):
    return check_levels(box, 12, 4096, 0)


def test_a_hundred_files_are_merged_whatever_the_time(box):
    work, archive = Work(box, 13), box.path("archive")
    tail = follow(box, work, archive, "-D", "archive.interval.ms=0", "-D",
                  "archive.compaction.levels=none", "-D", "archive.snapshot.interval=none")
    until = time.monotonic() + 200 * box.slow
    while levels(box, archive)[1] == 0:
        expect(time.monotonic() < until, "%s; %s", levels(box, archive), tail.error_text())
        for n in range(20):
            work.commit()
            if n % 5 == 0:
                work.keep(tail)
    box.stop(tail)
    expect(levels(box, archive)[0] >= 100, "%s", levels(box, archive))
    return judge(box, archive, work.kept), None


def end_of(name):
    return int(name.split("-")[1])


def test_what_is_past_its_time_goes_while_others_read(box):
    work, archive = Work(box, 14), box.path("archive")
    tail = follow(box, work, archive, "-D", "archive.interval.ms=20", *SHORT)
    work_until(box, work, tail, archive, lambda counts: all_levels(counts) and
               counts[9] > 3)
    box.stop(tail)
    old, lsn = names(box, archive), max(work.kept)
    last = max((n for n in old if n[0] == "0"), key=end_of)
    snapshots = sorted((n for n in old if n[0] == "9"), key=end_of)
    reader = box.tail("events", archive, "--follow", "-D", "table.include.list=marks",
                      wait=False)
    tail = box.tail(work.path, "--state", box.path("state"), "--archive", archive, "-D",
                    "archive.interval.ms=20", "-D", "table.include.list=marks", *SHORT,
                    *PAST, env=box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD))
    until = time.monotonic() + 60 * box.slow
    while [n for n in old & names(box, archive) if n[0] == "0" and n != last]:
        # A reader that has begun finds its files, or others that lead there.
        expect(restored(box, archive, lsn) == work.kept[lsn], "another database")
        expect(time.monotonic() < until, "it stays; %s", tail.error_text())
    work.commit()
    work.keep(tail)
    box.wait_until(lambda: snapshots[0] not in names(box, archive), 30,
                   "the first snapshot is there still")
    seen = []
    while work.number not in seen:
        expect(reader.wait_lines(1, 30), "the reader has only %s; %s", seen,
               reader.error_text())
        seen += [json.loads(line)["after"]["id"] for line in reader.take_all()]
    expect(seen == list(range(1, work.number + 1)), "the reader got %s", seen)
    box.stop(reader)
    box.stop(tail)
    expect(snapshots[-1] in names(box, archive), "the last snapshot has gone")
    return judge(box, archive, work.kept), None


def test_once_does_what_is_due(box):
    writer, path = small(box)
    archive = box.path("archive")
    for n in range(3):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        once(box, path, archive, *SHORT)
        time.sleep(1.1)
    once(box, path, archive, *SHORT)
    counts = levels(box, archive)
    expect(counts[1] > 0 and counts[9] > 1, "%s", counts)
    same(box, archive, path)


def test_damage_is_said_once_and_stops_no_upload(box):
    work, archive = Work(box, 15), box.path("archive")
    tail = follow(box, work, archive, "-D", "archive.interval.ms=0", "-D",
                  "archive.compaction.levels=none", "-D", "archive.snapshot.interval=none")
    for _ in range(4):
        work.commit()
        work.keep(tail)
    box.stop(tail)
    folder = os.path.join(archive, "ltx", "0")
    path = os.path.join(folder, sorted(os.listdir(folder))[1])
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(-3, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-3, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    os.utime(path, (times.st_atime, times.st_mtime))
    tail = follow(box, work, archive, "-D", "archive.interval.ms=0", *SHORT)
    said = "files of the archive"
    box.wait_until(lambda: any(said in line for line in tail.errors), 30, "nothing is said")
    time.sleep(2.5)         # it is tried again
    work.commit()
    lsn = work.keep(tail)
    box.wait_until(lambda: lsn in ends(box, archive), 30, "no upload any more")
    box.stop(tail)
    lines = [line for line in tail.errors if said in line]
    expect(len(lines) == 1 and os.path.basename(path) in lines[0], "%s", lines)
    expect(not waiting(box), "files wait")


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 900

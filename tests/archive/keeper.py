"""What is due in an archive is done by the run that writes it: files are merged, made
snapshots of and removed, and every moment that is kept is restored byte for byte."""

import json
import os
import shutil
import time

from archive.archiver import Work, ends, follow, judge, once, restored, same, small, \
    upload_rest, verified, waits
from harness.archive import listed, names
from harness.box import expect
from harness.pages import image
from harness.s3 import BUCKET, S3Server, environment
from harness.s3_fake import FakeS3, cut

SHORT = ("-D", "archive.compaction.levels=1s,2s,4s", "-D", "archive.snapshot.interval=3s")
AHEAD = "8000"  # seconds: past the time that a file must have been there
PAST = ("-D", "archive.retention=1h", "-D", "archive.l0.retention=1h")


def levels(box, archive):
    """How many files each level has."""
    found = [0] * 10
    for name in names(box, archive):
        found[int(name[0])] += 1
    return found


def work_until(box, work, tail, archive, is_enough):
    until = time.monotonic() + 120 * box.slow
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
    upload_rest(box, work, archive)
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
    # What a merged file has had for an hour goes; the newest stays.
    merged = max(end_of(n) for n in old if n[0] in "123")
    last = max((n for n in old if n[0] == "0"), key=end_of)
    goes = {n for n in old if n[0] == "0" and n != last and end_of(n) <= merged}
    expect(len(goes) > 5, "only %s", goes)
    snapshots = sorted((n for n in old if n[0] == "9"), key=end_of)
    reader = box.tail("events", archive, "--follow", "-D", "table.include.list=marks",
                      wait=False)
    tail = box.tail(work.path, "--state", box.path("state"), "--archive", archive, "-D",
                    "archive.interval.ms=20", "-D", "table.include.list=marks", *SHORT,
                    *PAST, env=box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD))
    until = time.monotonic() + 60 * box.slow
    while goes & names(box, archive):
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


class Bucket:
    """An archive in a bucket of `server`, that a run writes."""

    def __init__(self, box, server, seed):
        self.box = box
        self.server = server
        self.place = "s3://%s/app" % BUCKET
        self.work = Work(box, seed)

    def follow(self):
        return self.box.tail(
            self.work.path, "--state", self.box.path("state"), "--archive", self.place,
            "-D", "archive.s3.endpoint=" + self.server.endpoint, "-D",
            "snapshot.mode=no_data", "-D", "table.include.list=marks", "-D",
            "archive.interval.ms=20", *SHORT, env=environment())

    def files(self):
        return listed(self.server, self.place)["files"]

    def work_until(self, tail, claim):
        until = time.monotonic() + 120 * self.box.slow
        while not claim():
            expect(time.monotonic() < until, "%s", tail.error_text())
            for _ in range(3):
                self.work.commit()
                self.work.keep(tail)
                time.sleep(0.05)

    def has_levels(self, *levels):
        return set(levels) <= {f["level"] for f in self.files()}

    def judge(self):
        """Each moment that is left."""
        kept = self.work.kept
        found = set(kept) & {int(f["max_txid"], 16) - 1 for f in self.files()}
        expect(len(found) > 3, "only %s", found)
        for lsn in found:
            done = self.server.run("restore", self.place, self.box.path("s3.db"), "--at",
                                   "lsn:%d" % lsn)
            expect(done.code == 0, "%s", done)
            with open(self.box.path("s3.db"), "rb") as file:
                expect(file.read() == kept[lsn], "another database at %d", lsn)
            os.remove(self.box.path("s3.db"))
        done = self.server.run("archive", "verify", self.place)
        expect(done.code == 0, "archive verify: %s", done)
        return len(found), None


def test_what_is_due_in_a_bucket_is_done_and_it_is_listed_once_a_run(box):
    fake = FakeS3(box)
    bucket = Bucket(box, fake, 16)

    def lists():
        with fake.lock:
            return sum(method == "GET" and "list-type=2" in path
                       for method, path, _ in fake.requests)
    asked = 0           # by us
    for levels in ((0, 1), (0, 1, 2, 3, 9)):
        before = lists()
        tail = bucket.follow()

        def is_there():
            nonlocal before
            of_ours = lists()
            found = bucket.has_levels(*levels)
            before += lists() - of_ours
            return found
        bucket.work_until(tail, is_there)
        box.stop(tail)
        asked = lists() - before
        expect(asked == 1, "%d lists in a run", asked)
        expect(not any("archive" in line for line in tail.errors), "%s",
               tail.error_text())
    return bucket.judge()


def test_a_bucket_that_is_away_is_said_once(box):
    fake = FakeS3(box)
    bucket = Bucket(box, fake, 17)
    tail = bucket.follow()
    bucket.work_until(tail, lambda: bucket.has_levels(0, 1))
    fake.faults = [cut] * 100000
    bucket.work_until(tail, lambda: any("takes no files" in line for line in tail.errors))
    for _ in range(3):
        bucket.work.commit()
        bucket.work.keep(tail)
        time.sleep(1)
    expect(waits(box), "no files wait")
    fake.faults = []
    box.wait_until(lambda: not waits(box), 120, "files wait still")
    box.stop(tail)
    lines = [line for line in tail.errors if "takes no files" in line]
    expect(len(lines) == 1, "%s", tail.error_text())
    expect(sum("takes files again" in line for line in tail.errors) == 1, "%s",
           tail.error_text())
    return bucket.judge()


def test_what_is_due_in_a_bucket_of_a_real_server(box):
    bucket = Bucket(box, S3Server(box), 18)
    tail = bucket.follow()
    bucket.work_until(tail, lambda: bucket.has_levels(0, 1, 2, 9))
    box.stop(tail)
    return bucket.judge()


def test_once_does_what_is_due(box):
    writer, path = small(box)
    archive = box.path("archive")
    counts = [0] * 10
    until = time.monotonic() + 60 * box.slow
    while not counts[1] or counts[9] < 2:   # at multiples of a second, and of three
        expect(time.monotonic() < until, "there is only %s", counts)
        writer.sql("c", "INSERT INTO t(v) VALUES(1)")
        once(box, path, archive, *SHORT)
        counts = levels(box, archive)
        time.sleep(0.7)
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
    expect(not waits(box), "files wait")


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 900

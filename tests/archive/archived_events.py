"""Events out of the files of level 0 that rowtail writes are those that it printed live."""

import json
import os
import shutil

from archive.events import events
from archive.s3_faults import ARCHIVE as IN_BUCKET, key_of
from harness.archive import listed
from harness.box import expect
from harness.events import parse_line
from harness.s3_fake import FakeS3


def told(value):
    """All but when it was printed and its number."""
    value = json.loads(json.dumps(value))
    source = value["source"]
    del source["change_id"]
    return (value["before"], value["after"], value["op"], list(source.items()))


def test_events_of_single_transactions_are_those_that_were_printed_live(box):
    writer, path = box.database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE bare(a, b)",
        "INSERT INTO t VALUES(1, 'there before')")
    archive, out = box.path("archive"), box.path("out")
    args = (path, "--state", box.path("state"), "--archive", archive, "--to",
            "file:" + out, "-D", "archive.interval.ms=0")
    tail = box.tail(*args)
    count = 0
    for n in range(2, 25):
        statements = ["INSERT INTO t VALUES(%d, hex(randomblob(%d)))" % (n, n * 200),
                      "INSERT INTO bare VALUES(%d, 'b')" % n]
        if n % 5 == 0:
            statements = ["UPDATE t SET v = v || 'x' WHERE id < %d" % n,
                          "DELETE FROM bare WHERE a < %d" % (n - 2)]
        writer.sql("c", "BEGIN", *statements, "COMMIT")
        count += 1

        def archived():
            done = box.run("archive", "list", archive, "--json")
            return done.code == 0 and len([
                f for f in json.loads(done.out)["files"] if f["level"] == 0]) >= count
        box.wait_until(archived, 30, "transaction %d is not archived" % n)
    box.stop(tail)
    with open(out, "rb") as file:
        live = [parse_line(line) for line in file]
    name = "database.file.path=" + os.path.basename(path)
    mine = events(box, archive, "--snapshot", "-D", name)
    expect(len(mine) == len(live), "%d events, live %d", len(mine), len(live))
    for ours, theirs in zip(mine, live):
        if theirs["op"] == "r":     # the time of a snapshot is that of the run
            expect(ours["after"] == theirs["after"], "%s, live %s", ours, theirs)
        else:
            expect(told(ours) == told(theirs), "%s, live %s", ours, theirs)
    # Out of a bucket they are the same, to the nanosecond.
    there = events_of(in_bucket(box, archive).run("events", IN_BUCKET, "--snapshot", "-D",
                                                  name))
    expect(len(there) == len(mine), "%d events in a bucket", len(there))
    for ours, theirs in zip(mine, there):
        expect(told(ours) == told(theirs) or ours["op"] == "r", "%s in a bucket",
               theirs["source"])


def in_bucket(box, archive):
    """A server that has the files of an archive, without any times but theirs."""
    fake = FakeS3(box)
    for file in listed(box, archive)["files"]:
        low, high = int(file["min_txid"], 16), int(file["max_txid"], 16)
        path = os.path.join(archive, "ltx", str(file["level"]), "%016x-%016x.ltx" % (
            low, high))
        with open(path, "rb") as source:
            fake.put(key_of(file["level"], low, high), source.read())
    return fake


def events_of(done):
    expect(done.code == 0, "%s", done)
    return [parse_line(line) for line in done.out.splitlines(True)]


def notes(box, archive, *args):
    """[(LSN, headers of rowtail's)] of each transaction."""
    done = box.run("events", archive, "--lines=record", *args)
    expect(done.code == 0, "%s", done)
    found = {}
    for value in map(json.loads, done.out.splitlines()):
        if value["value"]:
            found[value["value"]["source"]["lsn"]] = {
                k: v for k, v in (value["headers"] or {}).items()
                if k.startswith("rowtail.")}
    return sorted(found.items())


def test_files_say_of_how_many_transactions_they_are(box):
    """Those that gather some, those of a catch-up, and what they are merged to."""
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    archive = box.path("archive")
    args = (path, "--state", box.path("state"), "--archive", archive, "-D",
            "snapshot.mode=no_data", "-D", "archive.compaction.levels=none")
    lines = 0
    for interval, count in ((0, 1), (3600000, 5), (0, 1)):
        tail = box.tail(*args, "-D", "archive.interval.ms=%d" % interval)
        for _ in range(count):
            lines += 1
            writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % lines)
        tail.wait_lines(count, 20)
        box.stop(tail)
    # While nobody follows: a catch-up, with what is committed behind it.
    writer.sql("c", "UPDATE t SET v = 'x' WHERE id < 3", "DELETE FROM t WHERE id = 4",
               "PRAGMA wal_checkpoint(TRUNCATE)")
    tail = box.tail(*args, "-D", "archive.interval.ms=3600000")
    writer.sql("c", "INSERT INTO t(v) VALUES(8)")
    tail.wait_lines(4, 20)
    box.stop(tail)
    found = notes(box, archive)
    wanted = [{}, {"rowtail.merged": 5}, {},
              {"rowtail.merged": 2, "rowtail.catch_up": True}]
    expect([headers for _, headers in found] == wanted, "%s", found)
    # What they are merged to, as far as they are.
    second = "lsn:%d" % found[0][0]
    shutil.copytree(archive, archive + "-1")

    def compacted():
        done = box.run("archive", "compact", archive + "-1", "-D",
                       "archive.compaction.levels=1s")
        expect(done.code == 0, "%s", done)
        return [f for f in listed(box, archive + "-1")["files"] if f["level"] == 1]
    box.wait_until(compacted, 10, "nothing is merged")
    for file in compacted():
        low, high = int(file["min_txid"], 16), int(file["max_txid"], 16)
        parts = [headers for lsn, headers in found if low <= lsn + 1 <= high]
        for level in ("0", "9"):
            shutil.rmtree(os.path.join(archive + "-1", "ltx", level), ignore_errors=True)
        shutil.copytree(archive + "/ltx/9", archive + "-1/ltx/9")
        shutil.copytree(archive + "/ltx/0", archive + "-1/ltx/0")
        for name in os.listdir(archive + "-1/ltx/0"):
            if low <= int(name[:16], 16) <= high:
                os.remove(os.path.join(archive + "-1/ltx/0", name))
        merged = dict(notes(box, archive + "-1"))[high - 1]
        expect(merged["rowtail.merged"] == sum(h.get("rowtail.merged", 1) for h in parts) and
               merged.get("rowtail.catch_up") == (
                   True if any("rowtail.catch_up" in h for h in parts) else None),
               "%s of %s", merged, parts)
    # By way of a state directory.
    out = box.path("out")
    done = box.run("events", archive, "--from", second, "--state", box.path("new"), "--to",
                   "file:" + out, "--lines=record", "-D", "snapshot.mode=no_data")
    expect(done.code == 0, "%s", done)
    with open(out, encoding="utf-8") as file:
        seen = {v["value"]["source"]["lsn"]: v["headers"] for v in map(json.loads, file)
                if v["value"]}
    for lsn, headers in found[1:]:
        expect({k: v for k, v in (seen[lsn] or {}).items() if k.startswith("rowtail.")}
               == headers, "%s: %s", lsn, seen)

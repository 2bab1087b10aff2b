"""Events out of the files of level 0 that rowtail writes are those that it printed live."""

import json
import os

from archive.events import events
from harness.box import expect
from harness.events import parse_line


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

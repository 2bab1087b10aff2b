"""Transforms and how far a run got: messages that are dropped or rewritten are lost and
repeated no more than others.
"""

import json
import os
import random
import signal
import sqlite3
import time

from harness.box import expect
from state.file_sink import Load, Output
from state.starts import TABLE, many

FLAT = ["-D", "transforms=u", "-D", "transforms.u.type=ExtractNewRecordState",
        "-D", "transforms.u.add.fields=change_id,op"]


def flat(mode):
    return [*FLAT, "-D", "transforms.u.delete.tombstone.handling.mode=" + mode]


class Rows:
    """What a consumer of flat records has, and the numbers of the events it saw."""

    def __init__(self, lines):
        self.rows, self.numbers, self.tombstones = {}, [], 0
        for line in lines:
            record = json.loads(line)
            value = record["value"]
            if value is None:
                self.tombstones += 1
                self.rows.pop(record["key"]["id"], None)
                continue
            self.numbers.append(value["__change_id"])
            if value.get("__deleted") == "true":
                expect(value["__op"] == "d", "%s", line)
                self.rows.pop(value["id"], None)
            else:
                self.rows[value["id"]] = value["a"]


def rows_of(path):
    db = sqlite3.connect(path)
    try:
        return dict(db.execute("SELECT id, a FROM t"))
    finally:
        db.close()


def killed(box, *args):
    """What is in the file after kills at any moment."""
    writer, path = box.database(TABLE, many(1, 300))
    output = Output(box, path, *args)
    chance = random.Random(7)
    with Load(writer, 7):
        for _ in range(10):
            tail = output.start(wait=False)
            time.sleep(chance.random() * 0.4 * box.slow)
            tail.kill()
            box.complain(tail.errors)
    output.once()
    rows = Rows(output.lines())
    return rows, rows_of(path), 1, "%d events" % len(rows.numbers)


def test_rows_with_their_deletes_once_over_kills(box):
    rows, there, *result = killed(box, *flat("rewrite"))
    expect(rows.numbers == list(range(1, len(rows.numbers) + 1)), "numbers: %s ...",
           rows.numbers[:20])
    expect(rows.rows == there, "%d rows, %d in the database", len(rows.rows), len(there))
    return tuple(result)


test_rows_with_their_deletes_once_over_kills.timeout = 120


def test_rows_without_their_deletes_once_over_kills(box):
    rows, there, *result = killed(box, *flat("drop"))
    expect(rows.numbers == sorted(set(rows.numbers)), "a number comes again")
    expect(rows.numbers[-1] > len(rows.numbers), "no delete took a number")
    expect(all(rows.rows.get(k) == v for k, v in there.items()),
           "a row is not what the database has")
    return tuple(result)


test_rows_without_their_deletes_once_over_kills.timeout = 120


def test_rows_and_tombstones_once_over_kills(box):
    rows, there, *result = killed(box, *flat("tombstone"))
    expect(rows.rows == there, "%d rows, %d in the database", len(rows.rows), len(there))
    expect(rows.tombstones > 0 and
           len(rows.numbers) + rows.tombstones >= rows.numbers[-1],
           "%d events, %d tombstones, the last is number %d", len(rows.numbers),
           rows.tombstones, rows.numbers[-1])
    return tuple(result)


test_rows_and_tombstones_once_over_kills.timeout = 120


def once(box, path, *args):
    """Flat records of a run on one state directory, and what it said."""
    result = box.run(path, "--state", box.path("state"), "--once", "--lines=record", *args,
                     timeout=40)
    expect(result.code == 0, "%s", result)
    return [json.loads(line) for line in result.out.splitlines()], result.error_lines


def test_a_transaction_whose_messages_are_dropped_is_behind(box):
    writer, path = box.database(TABLE, many(1, 3))
    got, _ = once(box, path, *flat("drop"))
    expect([r["value"]["__change_id"] for r in got] == [1, 2, 3], "%s", got)
    writer.sql("c", "DELETE FROM t WHERE id < 3")
    got, _ = once(box, path, *flat("drop"))
    expect(got == [], "%s", got)
    got, _ = once(box, path, *flat("drop"))
    expect(got == [], "it comes again: %s", got)
    writer.sql("c", "INSERT INTO t VALUES (9, 'x')")
    got, _ = once(box, path, *flat("drop"))
    expect([r["value"] for r in got] ==
           [{"id": 9, "a": "x", "__change_id": 6, "__op": "c"}], "%s", got)


def test_other_transforms_are_told(box):
    writer, path = box.database(TABLE, many(1, 3))
    _, said = once(box, path, *flat("drop"))
    expect(not any("settings differ" in e for e in said), "%s", said)
    writer.sql("c", "DELETE FROM t WHERE id = 3")
    got, said = once(box, path, *flat("rewrite"))
    expect([r["value"]["__deleted"] for r in got] == ["true"], "%s", got)
    told = [e for e in said if "the settings differ" in e]
    expect(len(told) == 1 and "transforms.u.delete.tombstone.handling.mode" in told[0]
           and "drop" in told[0] and "rewrite" in told[0]
           and "transforms.u.type" not in told[0], "%s", said)
    _, said = once(box, path)
    expect(any("transforms" in e and "settings differ" in e for e in said), "%s", said)


def test_lines_without_tombstones_go_on_behind_the_last_one(box):
    """A reader that goes away inside a transaction: deletes, which are no lines, are not
    counted as such."""
    writer, path = box.database(TABLE, many(1, 5000))
    common = ["--state", box.path("state"), *flat("tombstone")]
    first = box.run(path, *common, "--once", timeout=40)
    expect(first.code == 0 and len(first.out.splitlines()) == 5000, "%s", first)
    writer.sql("c", "BEGIN", "DELETE FROM t WHERE id % 2 = 0",
               "UPDATE t SET a = 'x' WHERE id % 2 = 1", "COMMIT")
    tail = box.tail(path, *common, wait=False, take=False)
    data = b""
    while data.count(b"\n") < 700:
        data += os.read(tail.process.stdout.fileno(), 4096)
    tail.process.send_signal(signal.SIGTERM)
    tail.start_taking()
    box.stop(tail)
    taken = [json.loads(t) for t in data[:data.rfind(b"\n")].splitlines()]
    rest = [data[data.rfind(b"\n") + 1:] + t if i == 0 else t
            for i, t in enumerate(tail.take_all())]
    taken += [json.loads(t) for t in rest if t.endswith(b"\n")]
    second = box.run(path, *common, "--once", timeout=40)
    taken += [json.loads(t) for t in second.out.splitlines()]
    expect([r["id"] for r in taken] == list(range(1, 5001, 2)),
           "%d rows: %s ...", len(taken), [r["id"] for r in taken][:20])

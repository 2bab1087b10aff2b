"""A state directory from its first start on: stops, kills, and what comes again."""

import os
import signal
import stat
import subprocess
import time

from harness.box import expect
from state.consumer import Message, Session, each_alone, read_state, summary

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def many(first, last, text="row"):
    return ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM"
            " n WHERE i < %d) SELECT i, '%s ' || i FROM n" % (first, last, text))


def begun(box, *statements, rows=3, args=()):
    """A followed database with its snapshot taken and rowtail stopped."""
    writer, path = box.database(TABLE, many(1, rows), *statements)
    session = Session(box, path, *args)
    run = session.start()
    run.wait(rows)
    run.stop()
    return writer, session


def test_a_first_start_takes_a_snapshot_then_follows(box):
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path)
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')", "UPDATE t SET a = 'x' WHERE id = 1")
    run.wait(5)
    events = run.stop()
    expect(summary(events) == [("r", 1), ("r", 2), ("r", 3), ("c", 4), ("u", 1)],
           "%s", summary(events))
    expect([e.source["snapshot"] for e in events] ==
           ["first", "true", "last", "false", "false"], "markers")
    expect(len({e.lsn for e in events[:3]}) == 1, "the snapshot has several lsn")
    expect(not any(e.headers for e in events), "headers: %s",
           [e.headers for e in events])
    session.matches()


def test_nothing_written_gives_nothing(box):
    writer, session = begun(box)
    for _ in range(3):
        run = session.start()
        time.sleep(0.2)
        events = run.stop()
        expect(not events, "events: %s", summary(events))
    expect(not session.once(), "events of --once")
    writer.close()
    expect(not session.once(), "events after the application's end")
    expect(not session.once(), "events of --once")


def test_commits_while_it_was_stopped_come_one_by_one(box):
    """Another connection keeps the WAL, nothing is checkpointed."""
    writer, session = begun(box)
    for round_ in range(4):
        first = 100 * round_ + 100
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % first,
                   "UPDATE t SET a = 2 WHERE id = %d" % first,
                   "UPDATE t SET a = 3 WHERE id = %d" % first,
                   "DELETE FROM t WHERE id = %d" % first,
                   "INSERT INTO t VALUES (%d, 'stays')" % (first + 1))
        if round_ % 2:
            events = session.once()
        else:
            run = session.start()
            run.wait(5)
            events = run.stop()
        expect(summary(events) == [("c", first), ("u", first), ("u", first),
                                   ("d", first), ("c", first + 1)], "%s",
               summary(events))
        each_alone(events)
        session.matches()


def test_once_with_a_new_directory_gives_the_snapshot_and_ends(box):
    writer, path = box.database(TABLE, many(1, 5))
    session = Session(box, path)
    events = session.once()
    expect(summary(events) == [("r", i) for i in range(1, 6)], "%s", summary(events))
    expect(not session.once(), "a second run gives events")
    writer.sql("c", "DELETE FROM t WHERE id = 2")
    expect(summary(session.once()) == [("d", 2)], "the delete did not come")
    session.matches()


def test_kill_9_and_again(box):
    """Whatever comes again is what had come, under its number (consumer.py)."""
    writer, path = box.database(TABLE, many(1, 20))
    session = Session(box, path)
    number = 100
    for round_ in range(12):
        run = session.start()
        for _ in range(round_ * 3 % 10):
            number += 1
            writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % number,
                       "UPDATE t SET a = a || '!' WHERE id %% 5 = %d" % (number % 5))
        time.sleep(round_ % 4 * 0.01)
        run.kill()
        writer.sql("c", "UPDATE t SET a = 'away' WHERE id = %d" % (round_ + 1))
    session.once()
    session.matches()
    expect(not session.once(), "something comes after the end")
    return 1, "%d of %d messages came again after kill -9" % (
        session.stream.repeated, len(session.stream.messages))

"""Tables that changed lists newly include, and snapshot.mode=always."""

import random
import signal
import subprocess
import time

from harness.box import expect
from state.asking import chunks_of, contents, rows, told
from state.consumer import Session, summary
from state.file_sink import Load, Output
from state.starts import TABLE, begun, many

ONE = ["-D", "table.include.list=t"]
BOTH = ["-D", "table.include.list=t,u"]
U = "CREATE TABLE u(id INTEGER PRIMARY KEY, a)"
SEEN = "which the last run left out"


def widened(box, first, *statements, count=5):
    """A database with t and u, and a session whose first run had `first`."""
    writer, path = box.database(TABLE, many(1, 3), U, rows(1, count, "u"), *statements)
    session = Session(box, path)
    run = session.start(*first)
    run.wait(3)
    events = run.stop()
    expect({e.table for e in events} == {"t"}, "%s", summary(events))
    return writer, session


def newly(session, *args, count=5):
    """A run gives u's rows, and says so in one line."""
    run = session.start(*args)
    run.wait(count)
    events = run.stop()
    expect([e.table for e in events] == ["u"] * count and
           contents(events) == list(range(1, count + 1)) and
           {e.source["snapshot"] for e in events} == {"incremental"}, "%s",
           summary(events))
    said = told(run.tail.errors, SEEN)
    expect(len(said) == 1 and "table u," in said[0] and "%d rows" % count in said[0]
           and "a snapshot of it follows" in said[0], "%s", run.tail.error_text())


def nothing_new(session, *args):
    events = session.once(*args)
    expect(not events, "events: %s", summary(events))
    expect(not told(session.errors, SEEN), "%s", session.errors)


def test_a_longer_include_list(box):
    writer, session = widened(box, ONE)
    newly(session, *BOTH)
    nothing_new(session, *BOTH)
    writer.sql("c", "UPDATE u SET a = 'x' WHERE id = 1", "INSERT INTO t VALUES (9, 1)")
    events = session.once(*BOTH)
    expect(summary(events) == [("u", 1), ("c", 9)], "%s", summary(events))
    session.matches()


def test_no_include_list_any_more(box):
    writer, session = widened(box, ONE)
    newly(session)
    nothing_new(session)
    session.matches()


def test_a_shorter_exclude_list(box):
    writer, session = widened(box, ["-D", "table.exclude.list=u,v"])
    newly(session, "-D", "table.exclude.list=v")
    nothing_new(session, "-D", "table.exclude.list=v")
    nothing_new(session)        # v is no table
    session.matches()


def test_from_one_list_to_the_other(box):
    writer, session = widened(box, ONE, "CREATE TABLE w(id)", "INSERT INTO w VALUES (1)")
    newly(session, "-D", "table.exclude.list=w")


def test_a_shorter_list_gives_nothing(box):
    writer, path = box.database(TABLE, many(1, 3), U, rows(1, 5, "u"))
    session = Session(box, path)
    session.once(*BOTH)
    nothing_new(session, *ONE)
    writer.sql("c", "INSERT INTO u VALUES (6, 'nobody sees it')")
    nothing_new(session, *ONE)
    # And back: its rows come anew.
    newly(session, *BOTH, count=6)
    session.matches()


def test_a_list_in_other_words_gives_nothing(box):
    writer, path = box.database(TABLE, many(1, 3), U, rows(1, 5, "u"))
    session = Session(box, path)
    session.once(*BOTH)
    for words in ("T , u", "u|t", ".*", "t,u,v"):
        nothing_new(session, "-D", "table.include.list=" + words)
    nothing_new(session)


def test_an_empty_table_is_not_told_of(box):
    writer, session = widened(box, ONE, "DELETE FROM u")
    nothing_new(session, *BOTH)
    writer.sql("c", "INSERT INTO u VALUES (1, 'first')")
    events = session.once(*BOTH)
    expect(summary(events) == [("c", 1)], "%s", summary(events))


def test_with_once(box):
    writer, session = widened(box, ONE)
    events = session.once(*BOTH)
    expect(contents(events) == [1, 2, 3, 4, 5], "%s", summary(events))
    expect(len(told(session.errors, SEEN)) == 1, "%s", session.errors)
    nothing_new(session, *BOTH)


def test_no_data(box):
    writer, session = widened(box, ONE)
    none = [*BOTH, "-D", "snapshot.new.tables=no_data"]
    events = session.once(*none)
    expect(not events, "%s", summary(events))
    said = told(session.errors, SEEN)
    expect(len(said) == 1 and "table u," in said[0] and "5 rows that nobody has seen"
           in said[0] and "rowtail signal execute-snapshot" in said[0], "%s",
           session.errors)
    writer.sql("c", "INSERT INTO u VALUES (6, 'seen')")
    events = session.once(*none)
    expect(summary(events) == [("c", 6)], "%s", summary(events))
    expect(not told(session.errors, SEEN), "%s", session.errors)


def test_changes_while_it_was_left_out(box):
    """They are before the snapshot, or in it; none is later than its row."""
    writer, session = widened(box, ONE)
    run = session.start(*ONE)
    writer.sql("c", "DELETE FROM u WHERE id = 1", "INSERT INTO u VALUES (6, 'new')",
               "INSERT INTO t VALUES (4, 1)")
    run.wait(1)
    run.stop()
    events = session.once(*BOTH)
    expect(contents(events) == [2, 3, 4, 5, 6], "%s", summary(events))
    session.matches()


def test_kills_right_after_the_start(box):
    """They still come, and exactly once."""
    chance = random.Random(5)
    total = 3000
    writer, path = box.database(TABLE, many(1, 3), U, rows(1, total, "u"))
    output = Output(box, path, *chunks_of(5))
    output.once(*ONE)
    told_of = 0
    for number in range(12):
        tail = output.start(*BOTH, wait=False)
        if number % 2:
            tail.following.wait(20)
        else:
            time.sleep(chance.random() * 0.1 * box.slow)
        if number % 3 == 0:
            tail.process.send_signal(signal.SIGTERM)
            tail.wait_exit(6)
        tail.kill()
        box.complain(tail.errors)
        told_of += bool(told(tail.errors, SEEN))
    output.once(*BOTH)
    events = output.matches()
    expect(contents(events, "u") == list(range(1, total + 1)), "%d rows of %d",
           len(contents(events, "u")), total)
    expect(len(events) == total + 3, "%d events", len(events))
    return 1, "told in %d runs of 12" % told_of


def test_stops_right_after_the_line(box):
    """The position that a stop stores has the new settings: what they ask for is kept
    before it."""
    writer, session = widened(box, ONE)
    kept = box.path("kept")
    subprocess.run(["cp", "-a", session.directory, kept], check=True)
    for number in range(15):
        subprocess.run(["rm", "-rf", session.directory], check=True)
        subprocess.run(["cp", "-a", kept, session.directory], check=True)
        came = 0
        with subprocess.Popen(box.command(*session.arguments(*BOTH)),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while SEEN.encode() not in process.stderr.readline():
                expect(process.poll() is None, "no line")
            time.sleep(number % 5 * 0.0001)
            process.send_signal(signal.SIGTERM)
            came = process.communicate()[0].count(b'"op":"r"')
        result = box.run(*session.arguments("--once", *BOTH))
        rest = result.out.count(b'"op":"r"')
        expect(result.code == 0 and came + rest == 5, "%d rows, then %d", came, rest)


def test_kills_beside_a_writer(box):
    chance = random.Random(6)
    total = 3000
    writer, path = box.database(TABLE, many(1, 300), U, rows(1, total, "u"))
    output = Output(box, path, *chunks_of(5))
    output.once(*ONE)
    with Load(writer, 6):
        for _ in range(8):
            tail = output.start(*BOTH, wait=False)
            time.sleep(chance.random() * 0.2 * box.slow)
            tail.kill()
            box.complain(tail.errors)
    output.once(*BOTH)
    got = contents(output.matches(), "u")
    expect(got == list(range(1, total + 1)), "%d rows of %d", len(got), total)


test_kills_beside_a_writer.timeout = 120


# -- snapshot.mode=always --------------------------------------------------------------

ALWAYS = ["-D", "snapshot.mode=always"]


def marks(events):
    return [(e.table, e.after["id"], e.source["snapshot"]) for e in events]


def test_always_takes_one_at_each_start(box):
    writer, path = box.database(TABLE, many(1, 2), U, rows(7, 8, "u"))
    session = Session(box, path, *ALWAYS)
    want = [("t", 1, "first"), ("t", 2, "last_in_data_collection"),
            ("u", 7, "first_in_data_collection"), ("u", 8, "last")]
    for _ in range(2):
        events = session.once()
        expect(marks(events) == want, "%s", marks(events))
    run = session.start()
    run.wait(4)
    writer.sql("c", "DELETE FROM u WHERE id = 8", "INSERT INTO t VALUES (3, 'new')")
    run.wait(6)
    events = run.stop()
    expect(marks(events[:4]) == want and summary(events[4:]) == [("d", 8), ("c", 3)],
           "%s", summary(events))
    # What was committed meanwhile comes before the rows.
    writer.sql("c", "INSERT INTO t VALUES (4, 'newer')")
    events = session.once()
    expect(summary(events) == [("c", 4), ("r", 1), ("r", 2), ("r", 3), ("r", 4),
                               ("r", 7)] or
           summary(events) == [("r", 1), ("r", 2), ("r", 3), ("r", 7), ("c", 4)], "%s",
           summary(events))
    session.matches()


def test_always_of_the_tables_that_the_lists_include(box):
    writer, path = box.database(TABLE, many(1, 2), U, rows(7, 8, "u"))
    session = Session(box, path, *ALWAYS)
    session.once(*ONE)
    events = session.once(*BOTH)
    expect(contents(events) == [1, 2, 7, 8], "%s", summary(events))
    expect(contents(session.once(*ONE)) == [1, 2], "rows of t alone")


def test_always_of_nothing(box):
    _, path = box.database(TABLE)
    session = Session(box, path, *ALWAYS)
    for _ in range(3):
        expect(not session.once(), "events")


def test_always_beside_a_writer(box):
    writer, session = begun(box, rows=300)
    with Load(writer, 9, pause=0.002):
        for _ in range(3):
            run = session.start(*ALWAYS)
            box.wait_until(lambda: any(e.source["snapshot"] == "last"
                                       for e in run.pull()), 20, "no snapshot")
            events = run.stop()
            taken = [i for i, e in enumerate(events) if e.op == "r"]
            expect(taken == list(range(taken[0], taken[0] + len(taken))),
                   "events between its rows")
            expect(events[taken[0]].source["snapshot"] == "first" and
                   events[taken[-1]].source["snapshot"] == "last", "markers")
    session.once()
    session.matches()


def test_always_stopped_in_the_middle(box):
    """The next start ends the chunk that was begun, and takes all again."""
    writer, path = box.database(TABLE, many(1, 4000))
    session = Session(box, path, *ALWAYS)
    session.once()
    run = session.start(take=False)
    run.read(10)
    part = len([e for e in run.stop() if e.op == "r"])
    expect(10 <= part < 4000, "%d rows", part)
    got = contents(session.once())
    expect(got[-4000:] == list(range(1, 4001)) and len(got) < 8000 - part, "%d rows",
           len(got))
    expect(contents(session.once()) == list(range(1, 4001)), "the next one")

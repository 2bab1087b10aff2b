"""Snapshots that are asked for, and kill -9 or a stop in the middle of them."""

import os
import random
import re
import signal
import time

from harness.box import TESTS, expect, use_faults
from state.asking import NOTHING, chunks_of, contents, execute, rows, say, told
from state.consumer import Message, Session
from state.file_sink import Load, Output
from state.starts import TABLE, many

SEED = 41
BIG = 12000                     # rows of the table b
PART = 800000                   # bytes: less than a sixth of its lines


class Filed(Output):
    """A database that is followed into a file, with a table b that nobody writes to."""

    def __init__(self, box, *args, rows_of_b=BIG, mode=("-D", "snapshot.mode=initial")):
        self.writer, path = box.database(
            TABLE, many(1, 300), "CREATE TABLE b(id INTEGER PRIMARY KEY, a)",
            rows(1, rows_of_b, "b"))
        super().__init__(box, path, *mode, *args)
        self.directory = path + "-rowtail"
        self.chance = random.Random(SEED)

    def size(self):
        return os.path.getsize(self.out)

    def kill(self, tail):
        """Once a random part has come, or soon; did it cut the file back?"""
        enough = self.size() + self.chance.randrange(PART)
        until = time.monotonic() + 0.5 * self.box.slow
        while self.size() < enough and time.monotonic() < until:
            time.sleep(0.001)
        tail.kill()
        self.box.complain(tail.errors)
        return any("cut back" in e for e in tail.errors)

    def kill_soon(self):
        return self.kill(self.start(wait=False))

    def asks(self, *tables, more=()):
        """Asks a run for them, and kills it."""
        tail = self.start()
        execute(self, *tables, more=more)
        self.kill(tail)

    def asked_for(self, events, table="b"):
        """The ids of its rows that were asked for, as the file has them."""
        return contents([e for e in events if e.change_id > self.begun], table)

    def lines_so_far(self):
        with open(self.out, "rb") as source:
            return source.read().splitlines()

    def begin(self):
        """The rows that are there first."""
        self.once()
        self.begun = len(self.lines())


def once_each(got, count, times=1):
    want = list(range(1, count + 1)) * times
    expect(got == want, "%d rows of %d, %d of them different: %s", len(got), len(want),
           len(set(got)), got[:5])


def test_kills_in_the_middle(box):
    """In the file is every row once, and numbers without gaps."""
    output = Filed(box, *chunks_of(7), mode=NOTHING)
    output.begin()
    output.asks("b", "t")
    middles = cuts = 0
    for _ in range(12):
        cuts += output.kill_soon()
        middles += 0 < len(output.lines_so_far()) < BIG + 300
    output.once()
    events = output.matches()
    once_each(contents(events, "b"), BIG)
    once_each(contents(events, "t"), 300)
    expect(not output.once().out, "more")
    expect(len(output.lines()) == BIG + 300, "%d lines", len(output.lines()))
    return 1, "%d kills of 12 in the middle, cut back %d times" % (middles, cuts)


def test_kills_in_the_middle_beside_a_writer(box):
    output = Filed(box, *chunks_of(50))
    output.begin()
    asked = middles = 0
    with Load(output.writer, SEED) as load:
        for number in range(12):
            if number % 4 == 0:
                output.asks("b", "t")
                asked += 1
            before = len(output.lines_so_far())
            output.kill_soon()
            middles += len(output.lines_so_far()) > before
    output.once()
    events = output.matches()
    once_each(output.asked_for(events), BIG, asked)
    return 1, "%d commits, %d runs got on before their kill" % (load.commits, middles)


def test_kills_in_a_blocking_one_beside_a_writer(box):
    """Still no transaction is in it."""
    output = Filed(box, *chunks_of(50))
    output.begin()
    with Load(output.writer, SEED + 1) as load:
        output.asks("b", "t", more=["--type", "blocking"])
        for _ in range(8):
            output.kill_soon()
    output.once()
    events = [e for e in output.matches() if e.change_id > output.begun]
    taken = [i for i, e in enumerate(events) if e.op == "r"]
    expect(taken == list(range(taken[0], taken[0] + len(taken))),
           "events between its rows")
    once_each(output.asked_for(events), BIG)
    marks = [events[i].source["snapshot"] for i in taken]
    count = len(marks) - BIG
    expect(marks == ["first"] + ["true"] * (BIG - 2) + ["last_in_data_collection",
           "first_in_data_collection"] + ["true"] * (count - 2) + ["last"],
           "the markers: %s", [(i, m) for i, m in enumerate(marks) if m != "true"])
    expect(len({events[i].lsn for i in taken}) == 1, "several moments")
    return 1, "%d commits" % load.commits


def test_stops_in_the_middle(box):
    """A run that was stopped goes on where it was."""
    output = Filed(box, *chunks_of(1), mode=NOTHING)
    output.begin()
    tail = output.start()
    execute(output, "b", "t")
    parts = [0]
    while len(parts) < 6 and parts[-1] < BIG + 300:
        output.wait_for(parts[-1] + 1)
        box.stop(tail)
        expect(not told(tail.errors, "cut back"), "%s", tail.error_text())
        parts.append(len(output.lines()))
        tail = output.start()
    box.stop(tail)
    output.once()
    events = output.matches()
    once_each(contents(events, "b"), BIG)
    once_each(contents(events, "t"), 300)
    expect(parts[1] < BIG, "all came before the first stop")
    return 1, "stopped after %s rows" % parts


def test_kills_and_stops_on_stdout(box):
    """What comes again is the same, and no row is missing."""
    chance = random.Random(SEED)
    writer, path = box.database(
        TABLE, many(1, 300), "CREATE TABLE b(id INTEGER PRIMARY KEY, a)",
        rows(1, 4000, "b"))
    session = Session(box, path, *chunks_of(5))
    session.once()
    begun = session.stream.change_id
    asked = 0
    with Load(writer, SEED):
        for number in range(12):
            run = session.start()
            if number % 4 == 0:
                execute(session, "b", "t")
                asked += 1
            time.sleep(chance.random() * 0.2 * box.slow)
            run.stop() if number % 3 == 2 else run.kill()
    session.once()
    session.matches()
    got = contents([e for e in session.stream.events if e.change_id > begun], "b")
    once_each(got, 4000, asked)
    return 1, "%d messages came again" % session.stream.repeated


def test_kills_at_once_after_the_answer(box):
    """What was acknowledged is done."""
    output = Filed(box, *chunks_of(5), rows_of_b=50, mode=NOTHING)
    output.begin()
    for _ in range(10):
        tail = output.start()
        execute(output, "b")
        tail.kill()
        box.complain(tail.errors)
    output.once()
    once_each(contents([Message(t) for t in output.lines()]), 50, 10)


def test_kills_where_it_is_kept(box):
    """While a chunk's place is written, and while the file of them is written anew."""
    use_faults(box)
    with open(os.path.join(os.path.dirname(TESTS), "src/state/snapshot_file.c")) as source:
        names = sorted(set(re.findall(r'FAULT_POINT\("(.*)"\)', source.read())))
    expect(len(names) > 1, "%s", names)
    output = Filed(box, *chunks_of(1), mode=NOTHING)
    output.begin()
    # A long condition: what is kept of a chunk is long, too.
    output.asks("b", more=["--where", "1 -- " + "x" * 3000])
    for name in names:
        for count in (1, 2):
            tail = output.start(wait=False, env=dict(
                os.environ, ROWTAIL_KILL="%s:%d" % (name, count)))
            got = tail.wait_exit(60 * box.slow)
            expect(got == -signal.SIGKILL, "%s: exit %s", name, got)
            box.complain(tail.errors)
    output.once()
    once_each(contents([Message(t) for t in output.lines()], "b"), BIG)
    return 2 * len(names)


def test_a_stop_signal_is_not_forgotten(box):
    """Killed after the answer to stop-snapshot: no row comes any more."""
    output = Filed(box, *chunks_of(1), mode=NOTHING)
    output.begin()
    tail = output.start()
    execute(output, "b")
    say(output, "pause-snapshot")
    say(output, "stop-snapshot")
    tail.kill()
    box.complain(tail.errors)
    output.once()
    got = contents([Message(t) for t in output.lines()])
    expect(len(got) < BIG, "all rows came")
    once_each(got, len(got))


for function in (test_kills_in_the_middle, test_kills_in_the_middle_beside_a_writer,
                 test_kills_in_a_blocking_one_beside_a_writer, test_stops_in_the_middle,
                 test_kills_and_stops_on_stdout, test_kills_at_once_after_the_answer,
                 test_kills_where_it_is_kept):
    function.timeout = 120
del function

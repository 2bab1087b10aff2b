"""A wall clock that goes back: the log says where times begin anew."""

import datetime
import os
import threading

from audit.log import Audited, TABLE
from harness.box import expect


def clock_gaps(log):
    return [line for line in log.of("gap") if "clock went back" in line["why"]]


def seconds(line):
    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


def is_back_at(log, gap):
    """Times before it are of the clock as it was, and behind it as it is."""
    expect(gap["why"].endswith(" to " + gap["time"]) or
           gap["time"][:16] in gap["why"], "%s", gap)
    expect(log.lines[gap["n"] - 1]["time"] > gap["time"], "%s", gap)
    for line in log.lines[gap["n"]:]:
        expect(line["time"] < log.lines[gap["n"] - 1]["time"], "%s", line)


def test_a_clock_that_is_set_back_while_it_follows(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    back = box.path("back")
    tail = audited.start(env=box.preloading("clock_back", CLOCK_BACK=back))

    def written(text):
        writer.sql("c", "INSERT INTO t(a) VALUES ('%s')" % text)
        box.wait_until(lambda: text.encode() in open(audited.path, "rb").read())

    written("before")
    with open(back, "w"):
        pass
    written("behind")
    box.stop(tail)
    log = audited.matches()
    gaps = clock_gaps(log)
    expect(len(gaps) == 1 and len(log.of("gap")) == 1, "%s", log.of("gap"))
    is_back_at(log, gaps[0])
    inserts = log.of("insert")
    expect(inserts[0]["n"] < gaps[0]["n"] < inserts[1]["n"], "%s", inserts)
    expect(inserts[1]["time"] < inserts[0]["time"], "%s", inserts)
    result = audited.verify()
    expect(b"clock went back" in result.out, "%s", result)


def test_no_line_is_earlier_without_a_word_in_a_stream_of_changes(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    back = box.path("back")
    tail = audited.start(env=box.preloading("clock_back", CLOCK_BACK=back))
    for i in range(4):
        timer = threading.Timer(0.1, lambda: open(back, "w").close())
        timer.start()
        writer.sql("c", *["INSERT INTO t(a) VALUES ('%d')" % i for _ in range(1500)])
        timer.join()
        box.wait_until(lambda: open(audited.path, "rb").read().count(
            b"clock went back") == i + 1)
        os.remove(back)
    writer.sql("c", "INSERT INTO t(a) VALUES ('last')")
    box.wait_until(lambda: b'"last"' in open(audited.path, "rb").read())
    box.stop(tail)
    log = audited.matches(signatures="last")
    gaps = [gap["n"] for gap in clock_gaps(log)]
    expect(len(gaps) == 4, "%s", gaps)
    early = [line for line in log.of("insert")
             if seconds(line) < seconds(log.lines[0]) - 1800]
    expect(early, "nothing was changed after the clock was set back")
    for line in early:
        expect(gaps[int(line["new"]["a"])] < line["n"], "%s is earlier than those before",
               line)


def test_a_clock_that_is_set_back_at_the_very_end(box):
    """The head after it is no earlier than what it signs, without a word."""
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    back = box.path("back")
    tail = audited.start(env=box.preloading("clock_back", CLOCK_BACK=back))
    writer.sql("c", "INSERT INTO t(a) VALUES ('x')")
    box.wait_until(lambda: b'"insert"' in open(audited.path, "rb").read())
    with open(back, "w"):
        pass
    box.stop(tail)
    log = audited.matches()
    expect(len(clock_gaps(log)) == 1, "%s", log.of("gap"))
    expect([line["op"] for line in log.lines if line["op"] != "checkpoint"][-1] ==
           "stop", "the stop is not the last")
    audited.once()
    expect(len(audited.matches().of("gap")) == 1, "a gap that is none")


def test_a_clock_that_is_set_back_while_nobody_follows(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S="3600")
    box.run(*audited.arguments("--once"), env=env, timeout=40)
    writer.sql("c", "INSERT INTO t(a) VALUES ('x')")
    audited.once()
    log = audited.matches()
    gaps = clock_gaps(log)
    expect(len(gaps) == 1, "%s", log.of("gap"))
    is_back_at(log, gaps[0])
    start = log.of("start")[1]
    expect(gaps[0]["n"] < start["n"], "%s behind %s", gaps[0], start)
    audited.once()
    expect(len(clock_gaps(audited.matches())) == 1, "a gap that is none")


def test_a_clock_that_is_ahead_is_no_gap(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    audited.once()
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S="3600")
    box.run(*audited.arguments("--once"), env=env, timeout=40)
    expect(not audited.matches().of("gap"), "a gap")
    expect(os.path.exists(audited.path), "no log")

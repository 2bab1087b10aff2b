"""rowtail events over a change of the page size: the archive has a whole database of the
new size there, and what changed meanwhile is one transaction, found by comparing."""

import os
import random
import shutil
import signal
import subprocess
import time

from archive.archiver import once, small
from archive.events import (check_all_steps, events, images, lines_of, put, state_at,
                            states_of, told)
from harness import ltx
from harness.box import expect
from harness.events import parse_line
from harness.model import Model

KEYED = ["CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE bare(a, b)",
         "CREATE TABLE w(a TEXT, b, PRIMARY KEY(b, a)) WITHOUT ROWID"]
WORK = KEYED + [
    "WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
    "INSERT INTO t SELECT i, hex(zeroblob(i % 97)) FROM n",
    "INSERT INTO w SELECT v, id FROM t WHERE id % 7 = 0",
    "INSERT INTO bare VALUES(1, 'x'), (2, hex(zeroblob(3000)))"]


def changed(size):
    """Another page size, and beside it another schema and other rows."""
    return ["DELETE FROM t WHERE id %% 5 = %d; CREATE TABLE new%d(k PRIMARY KEY, x);"
            "INSERT INTO new%d VALUES(1, 'a'), (2, 'b')" % (size % 5, size, size), size,
            "UPDATE t SET v = 'of %d' WHERE id %% 50 = 1; INSERT INTO bare VALUES(%d, 7)"
            % (size, size)]


SIZES = [4096, 512, 65536, 1024]
ALL = WORK + [statement for size in SIZES for statement in changed(size)]


def write(archive, states, low, high, alone=()):
    """The files of those states; a whole database where the size changes. States of
    `alone` have no file of their own: the next one leads over them."""
    at = low - 1
    for n in range(low, high + 1):
        if n in alone:
            continue
        is_whole = n == 1 or len(states[n - 1][1]) != len(states[n - 2][1])
        put(archive, *((9, 1, n) if is_whole or at < n - 1 and any(
            len(states[k][1]) != len(states[n - 1][1]) for k in range(at - 1, n)) else
            (0, at + 1, n)), states)
        at = n


def test_each_step_over_a_page_size(box):
    states, archive = images(box, ALL), box.path("archive")
    write(archive, states, 1, len(states))
    steps, count = check_all_steps(box, archive)
    expect(steps == len(states) - 1 and count > 700, "%d steps, %d events", steps, count)


def test_what_changed_with_the_size_is_a_catch_up(box):
    states, archive = images(box, ALL), box.path("archive")
    # No file for what was done before each VACUUM: it is known by comparing only.
    alone = [n for n in range(2, len(states)) if len(states[n][1])
             != len(states[n - 1][1])]
    expect(len(alone) == len(SIZES), "%s", alone)
    write(archive, states, 1, len(states), alone)
    steps, count = check_all_steps(box, archive)
    expect(steps == len(states) - 1 - len(alone) and count > 700, "%d, %d", steps, count)
    right = events(box, archive)
    for words in ((), ("--state", box.path("state"), "-D", "snapshot.mode=no_data")):
        done = box.run("events", archive, "--lines=record", *words, timeout=60)
        expect(done.code == 0, "%s: %s", words, done)
        for line in done.out.splitlines(True):
            record = parse_line(line)
            if record["value"]:
                lsn, head = record["value"]["source"]["lsn"], record["headers"] or {}
                expect((lsn in alone) == head.get("rowtail.catch_up", False),
                       "%s: %s has %s", words, lsn, head)
        expect(b"has pages of" in done.err, "nothing was said: %s", done.err)
    done = box.run("events", archive, "--state", box.path("other"), "-D",
                   "snapshot.mode=no_data", timeout=60)
    expect(done.code == 0, "%s", done)
    expect([told(parse_line(v)) for v in done.out.splitlines(True)]
           == [told(v) for v in right], "with a state directory it tells others")


def test_following_goes_on_over_it(box):
    states, archive = images(box, ALL), box.path("archive")
    write(archive, states, 1, len(states))
    right = events(box, archive)
    for words in ((), ("--state", box.path("state"), "-D", "snapshot.mode=no_data")):
        shutil.rmtree(archive)
        write(archive, states, 1, 1)
        process = subprocess.Popen(box.command("events", archive, "--follow", *words),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        at, got = 1, []
        for n in (7, 9, 12, len(states)):
            write(archive, states, at + 1, n)
            at = n
            due = sum(v["source"]["lsn"] < n for v in right) - len(got)
            got += [process.stdout.readline() for _ in range(due)]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30 * box.slow)
        expect(process.returncode == 0 and not out, "exit %d: %s %s", process.returncode,
               out, err)
        expect([told(parse_line(v)) for v in got] == [told(v) for v in right],
               "%s: other events", words)


def test_kills_around_it_lose_and_repeat_nothing(box):
    states = images(box, ALL)
    archive, whole = box.path("archive"), box.path("whole/archive")
    write(whole, states, 1, len(states))
    out, state = box.path("out"), box.path("state")
    write(archive, states, 1, 6)
    rng, at, killed = random.Random(5), 6, 0
    command = box.command("events", archive, "--state", state, "--to", "file:" + out)
    while at < len(states):
        process = subprocess.Popen(command + ["--follow"], stderr=subprocess.PIPE)
        time.sleep(rng.random() * 0.05)
        write(archive, states, at + 1, at + 1)
        at += 1
        time.sleep(rng.random() * 0.8)
        process.send_signal(signal.SIGKILL)
        expect(process.wait() == -signal.SIGKILL, "it ended: %s", process.stderr.read())
        killed += 1
    expect(killed > 5, "only %d kills", killed)
    done = box.run(*command[1:], timeout=60)
    expect(done.code == 0, "%s", done)
    mine, right = lines_of(out), events(box, whole, "--snapshot")
    expect([v["source"]["change_id"] for v in mine] == list(range(1, len(mine) + 1)),
           "change_id has gaps")
    expect([told(v) for v in mine] == [told(v) for v in right], "%d events, in one run "
           "%d", len(mine), len(right))


def test_an_archive_of_rowtails_own(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    for size in (8192, 512, 4096):
        writer.sql("c", "UPDATE t SET v = v || '%d' WHERE id %% 2 = 0" % size,
                   "PRAGMA journal_mode=DELETE", "PRAGMA page_size=%d" % size, "VACUUM",
                   "PRAGMA journal_mode=WAL", "INSERT INTO t(v) VALUES('at %d')" % size)
        once(box, path, archive)
        writer.sql("c", "INSERT INTO t(v) VALUES('then %d')" % size)
        once(box, path, archive)
    steps, count = check_all_steps(box, archive)
    expect(steps >= 6 and count == 12, "%d steps, %d events", steps, count)


def test_what_does_not_lead_over_it_is_refused(box):
    states, archive = images(box, ALL), box.path("archive")
    write(archive, states, 1, len(states))
    turn = next(n for n in range(2, len(states)) if len(states[n][1])
                != len(states[n - 1][1])) + 1
    state = ("--state", box.path("state"), "-D", "snapshot.mode=no_data")
    done = box.run("events", archive, "--until", "txid:%x" % (turn - 1), *state)
    expect(done.code == 0, "%s", done)
    # A file of another size that is not whole.
    whole = ltx.path_of(archive, 9, 1, turn)
    os.rename(whole, box.path("kept"))
    pages = states[turn - 1]
    part = ltx.write(archive, 0, turn, turn, len(pages[1]), len(pages), pages)
    for words in ((), state):
        done = box.run("events", archive, *words)
        expect(done.code == 1 and "has pages of 4096 bytes, the database had 512 before, "
               "and only a whole database could lead over that" in done.error_lines[-1],
               "%s", done)
    os.remove(part)
    # One that is damaged: what is before it is told.
    with open(box.path("kept"), "rb") as file:
        right = file.read()
    for at in (9, 300, len(right) // 2, len(right) - 3):
        with open(whole, "wb") as file:
            file.write(right[:at] + bytes([right[at] ^ 0x41]) + right[at + 1:])
        for words in ((), state):
            done = box.run("events", archive, *words)
            expect(done.code == 1 and os.path.basename(whole) in done.error_lines[-1],
                   "%d %s: %s", at, words, done)
    os.rename(box.path("kept"), whole)
    model = Model(state_at(box, archive, turn - 1))
    done = box.run("events", archive, *state)
    expect(done.code == 0 and b'"op"' in done.out, "%s", done)
    expect(model and states_of(box, archive)[-1] == len(states), "the end")
    # Another archive is not taken for it because its pages have another size.
    other = box.path("other")
    write(other, images(box, [1024] + ["CREATE TABLE x%d(y)" % n for n in range(40)]), 1,
          41)
    shutil.rmtree(archive)
    os.rename(other, archive)
    done = box.run("events", archive, *state)
    expect(done.code == 2 and "is not what the state directory has" in
           done.error_lines[-1], "%s", done)

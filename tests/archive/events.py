"""rowtail events: what happened between two states of an archive, applied to a model,
gives the second state; on small archives that Litestream wrote (fixtures), and on ones
that it never writes."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time

from archive.restore import FIXTURES, fixture, refused
from harness import ltx
from harness.archive import listed
from harness.box import expect
from harness.events import parse_line
from harness.model import Model
from harness.state import read_state


def state_at(box, archive, txid):
    """The database as it was, read by SQL."""
    out = box.path("state.db")
    done = box.run("restore", archive, out, "--at", "txid:%x" % txid, timeout=60)
    expect(done.code == 0, "restore: %s", done)
    state = read_state(out)
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(out + suffix):
            os.remove(out + suffix)
    for name in ("_litestream_seq", "_litestream_lock"):
        state.tables.pop(name, None)
    return state


def states_of(box, archive):
    """TXIDs of all states that can be reached."""
    listing = listed(box, archive, timeout=60)
    first = int(listing["first"]["txid"], 16)
    return sorted(t for t in {int(f["max_txid"], 16) for f in listing["files"]}
                  if t >= first)


def events(box, archive, *args, **more):
    done = box.run("events", archive, *args, timeout=60, **more)
    expect(done.code == 0, "events: %s", done)
    return [parse_line(line) for line in done.out.splitlines(True)]


def adapt(model, state):
    """The model's tables get the columns that DDL made of them, without a row event."""
    for name in list(model.tables):
        if name not in state.tables:
            del model.tables[name]
    for name, table in state.tables.items():
        if name not in model.tables:
            model.learn(name, table.schema)
            continue
        more = len(table.schema.names) - len(model.schemas[name].names)
        expect(more >= 0, "a column went")
        model.schemas[name] = table.schema
        for values in model.tables[name].values():
            values += [None] * more


def check_step(box, archive, before, after, state, next_state, *args):
    """Events from one state to another lead from one to the other."""
    model = Model(state)
    adapt(model, next_state)
    lines = events(box, archive, "--from", "txid:%x" % before, "--until",
                   "txid:%x" % after, *args)
    for value in lines:
        expect(before <= value["source"]["lsn"] < after, "lsn of %s", value)
        expect(value["source"]["snapshot"] == "false", "%s", value)
        model.apply(value)
    model.compare(next_state)
    return lines


def told(value):
    """What two runs must tell alike."""
    source = dict(value["source"])
    del source["change_id"], source["sequence"]
    return (value["op"], value["before"], value["after"], source)


def check_all_steps(box, archive, *args):
    """Each step by itself, and all in one run."""
    txids = states_of(box, archive)
    state = state_at(box, archive, txids[0])
    steps = []
    for before, after in zip(txids, txids[1:]):
        next_state = state_at(box, archive, after)
        steps += check_step(box, archive, before, after, state, next_state, *args)
        state = next_state
    whole = events(box, archive, *args)
    expect([told(v) for v in whole] == [told(v) for v in steps],
           "one run tells other events than its steps: %d, %d", len(whole), len(steps))
    expect([v["source"]["change_id"] for v in whole] == list(range(1, len(whole) + 1)),
           "change_id")
    return len(txids) - 1, len(whole)


def test_events_between_states_lead_from_one_to_the_other(box):
    for folder in FIXTURES:
        archive, _ = fixture(box, folder)
        steps, count = check_all_steps(box, archive)
        expect(steps == 5 and count > 100, "%d steps, %d events", steps, count)


def test_the_rows_of_a_state_come_first_where_they_are_asked_for(box):
    archive, _ = fixture(box)
    for at in states_of(box, archive):
        state = state_at(box, archive, at)
        model = Model(state)
        model.forget_rows()
        lines = events(box, archive, "--snapshot", "--from", "txid:%x" % at, "--until",
                       "txid:%x" % at)
        for value in lines:
            expect(value["op"] == "r" and value["source"]["lsn"] == at - 1, "%s", value)
            model.apply(value)
        model.compare(state)
    files = {f["max_txid"]: f["time"] for f in listed(box, archive)["files"]
             if f["level"] == 0}
    taken = sqlite3.connect(":memory:").execute(
        "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ? / 1000.0, 'unixepoch')",
        (lines[-1]["source"]["ts_ms"],)).fetchone()[0]
    expect(taken == files["%016x" % at], "time of the rows: %s, file %s", taken, files)


def test_tables_of_litestream_are_left_out_unless_they_are_named(box):
    archive, _ = fixture(box)
    done = box.run("events", archive)
    expect(b"_litestream" not in done.out, "events of its tables")
    expect("table _litestream_seq is left out: a table of Litestream's own; "
           "table.include.list can name it" in done.err.decode(), "%s", done)
    for args in (("table.include.list=.*",), ("table.exclude.list=.*_seq",)):
        done = box.run("events", archive, "--snapshot", "-D", *args)
        expect(done.code == 0 and b"_litestream" not in done.out, "%s: %s", args, done)
        expect("_litestream_seq is left out: a table of L" in done.err.decode(), "%s",
               done)
    done = box.run("events", archive, "-D", "table.include.list=t,_litestream_seq")
    expect(done.code == 0 and "_litestream_seq" not in done.err.decode()
           and "_litestream_lock is left out: a table of L" in done.err.decode(), "%s",
           done)


def test_the_end_is_named_by_until_or_by_to(box):
    archive, _ = fixture(box)
    whole = events(box, archive)
    for end in ("txid:4", "lsn:3"):
        lines = [events(box, archive, option, end) for option in ("--until", "--to")]
        expect([told(v) for v in lines[0]] == [told(v) for v in lines[1]], "%s", end)
        expect([told(v) for v in lines[0]]
               == [told(v) for v in whole if v["source"]["lsn"] <= 3], "%s", end)
    out = box.path("out")
    box.run("events", archive, "--to", "txid:3", "--to", "file:" + out, "--state",
            box.path("state"), "-D", "snapshot.mode=no_data")
    with open(out, "rb") as file:
        expect(len(file.readlines()) == len([v for v in whole
                                             if v["source"]["lsn"] <= 2]), "a file")


def test_names_come_from_the_archive_or_from_a_property(box):
    archive, _ = fixture(box)
    named = os.path.join(box.folder, "shop.db")
    os.rename(archive, named)
    value = events(box, "file:" + named + "/")[0]
    expect((value["source"]["db"], value["source"]["name"]) == ("shop.db", "shop"),
           "%s", value["source"])
    value = events(box, named, "-D", "database.file.path=/srv/crm.sqlite")[0]
    expect((value["source"]["db"], value["source"]["name"]) == ("crm.sqlite", "crm"),
           "%s", value["source"])


# ---- archives made here, from what SQLite makes of statements ----

PAGE = 512
WORK = ["CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE bare(a, b)"] + [
    s % {"n": n} for n in range(12) for s in (
        "INSERT INTO t VALUES(%(n)d, 'row %(n)d'), (%(n)d + 100, hex(zeroblob(300)))",
        "INSERT INTO bare VALUES(%(n)d, 'b'), (%(n)d, NULL)",
        "UPDATE t SET v = v || '%(n)d' WHERE id %% 3 = 0; DELETE FROM bare WHERE a < "
        "%(n)d - 3", "DELETE FROM t WHERE id = %(n)d + 99")] + [
    "ALTER TABLE t ADD COLUMN w", "UPDATE t SET w = id WHERE id < 5",
    "DELETE FROM t WHERE id > 20",
    "DROP TABLE bare", "VACUUM",
    "INSERT INTO t(id, v) SELECT id + 1000, hex(zeroblob(200)) FROM t"]


def images(box, statements=None):
    """The pages of the database after each of the statements, by number. A number among
    the statements is another page size."""
    path = box.path("made.db")
    if os.path.exists(path):
        os.remove(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size=%d" % PAGE)
    db.execute("PRAGMA journal_mode=WAL")
    states = []
    for statement in statements or WORK:
        if isinstance(statement, int):
            statement = ("PRAGMA journal_mode=DELETE; PRAGMA page_size=%d; VACUUM;"
                         "PRAGMA journal_mode=WAL" % statement)
        elif statement != "VACUUM":
            statement = "BEGIN; %s; COMMIT" % statement
        db.executescript(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        with open(path, "rb") as file:
            content = file.read()
        states.append({n // size + 1: content[n:n + size]
                       for n in range(0, len(content), size)})
    db.close()
    return states


def put(archive, level, low, high, states):
    """The file that leads over the states from `low` to `high`, which count from 1."""
    pages = {}
    if low == 1:
        pages = states[high - 1]
    else:
        for n in range(low - 1, high):
            pages.update({p: b for p, b in states[n].items()
                          if states[n - 1].get(p) != b})
        pages = {p: b for p, b in pages.items() if p in states[high - 1]}
    return ltx.write(archive, level, low, high, len(states[high - 1][1]),
                     len(states[high - 1]), pages)


def made(box, name="archive", statements=None):
    states = images(box, statements)
    archive = box.path(name)
    put(archive, 9, 1, 1, states)
    for n in range(2, len(states) + 1):
        put(archive, 0, n, n, states)
    return archive, states


def test_steps_of_an_archive_made_here(box):
    archive, states = made(box)
    steps, count = check_all_steps(box, archive)
    expect(steps == len(states) - 1 and count > 80, "%d steps, %d events", steps, count)


def headers(box, archive, *args):
    done = box.run("events", archive, "--lines=record", *args)
    expect(done.code == 0, "%s", done)
    return [(v["value"]["source"]["lsn"], v["headers"]) for v in map(
        json.loads, done.out.splitlines()) if v["value"]]


def test_merged_files_and_whole_ones_say_so(box):
    states = images(box)
    archive = box.path("archive")
    put(archive, 9, 1, 1, states)
    put(archive, 0, 2, 2, states)
    put(archive, 0, 3, 3, states)
    put(archive, 1, 2, 6, states)
    put(archive, 9, 1, 12, states)
    put(archive, 0, 13, 13, states)
    check_all_steps(box, archive)
    found = headers(box, archive)
    said = {lsn: [(k, v) for h in [head or {}] for k, v in h.items()
                  if k.startswith("rowtail.")] for lsn, head in found}
    expect(said[2] == [] and said[12] == [], "single files: %s", said)
    expect(said[5] == [("rowtail.merged", 3)], "what is new of 2-6 from 3 on: %s", said)
    expect(said[11] == [("rowtail.catch_up", True)], "%s", said)
    # The same, and the same headers, by way of a state directory.
    for n in range(2):
        out = box.path("out%d" % n)
        done = box.run("events", archive, "--state", box.path("state%d" % n), "--to",
                       "file:" + out, "--lines=record", "-D", "snapshot.mode=no_data",
                       *(["--until", "txid:3"] if n else []))
        expect(done.code == 0, "%s", done)
    done = box.run("events", archive, "--state", box.path("state1"), "--to", "file:"
                   + box.path("out1"), "--lines=record", "-D", "snapshot.mode=no_data")
    expect(done.code == 0, "%s", done)
    for name in ("out0", "out1"):
        with open(box.path(name), "rb") as file:
            lines = [json.loads(line) for line in file]
        expect([(v["value"]["source"]["lsn"], v["headers"]) for v in lines if v["value"]]
               == found, "%s has other headers", name)


def test_following_tells_what_comes_and_ends_when_it_is_asked_to(box):
    states = images(box)
    archive = box.path("archive")
    for n in range(1, 7):
        put(archive, 9 if n == 1 else 0, n, n, states)
    right = events(box, archive)
    shutil.rmtree(archive)
    put(archive, 9, 1, 1, states)
    process = subprocess.Popen(box.command("events", archive, "--follow"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    put(archive, 0, 2, 2, states)
    put(archive, 0, 3, 4, states)       # as rowtail writes one commit of two frames
    got = [process.stdout.readline() for v in right if v["source"]["lsn"] <= 3]
    put(archive, 0, 5, 5, states)
    put(archive, 0, 6, 6, states)
    got += [process.stdout.readline() for v in right if v["source"]["lsn"] > 3]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30 * box.slow)
    expect(process.returncode == 0 and not out and b"rowtail: following " in err,
           "exit %d: %s %s", process.returncode, out, err)
    expect([v["source"]["lsn"] for v in map(parse_line, got)]
           == [max(3, v["source"]["lsn"]) if v["source"]["lsn"] == 2
               else v["source"]["lsn"] for v in right], "%s", got)


def test_who_follows_waits_for_a_folder_that_is_away(box):
    states = images(box)
    archive, away = box.path("archive"), box.path("away")
    put(archive, 9, 1, 1, states)
    tail = box.tail("events", archive, "--follow")
    put(archive, 0, 2, 2, states)
    put(archive, 0, 3, 4, states)
    expect(tail.wait_lines(1, 30), "no event")
    os.rename(archive, away)
    box.wait_until(lambda: any("trying again until it can be read" in e
                               for e in tail.errors), 30, "nothing is said")
    os.rename(away, archive)
    before = tail.arrived
    put(archive, 0, 5, 5, states)
    put(archive, 0, 6, 6, states)
    box.wait_until(lambda: tail.arrived > before, 30, "it does not go on")
    os.rename(archive, away)
    shutil.copytree(away, archive)
    expect(tail.wait_exit(30) == 1 and "another folder has taken the place of"
           in tail.errors[-1], "%s", tail.error_text())


def test_a_state_directory_that_fails_is_not_waited_for(box):
    """Of its own disk who follows waits for room only."""
    program = box.options.rowtail + "-faults"
    box.need("" if os.access(program, os.X_OK) else "%s is not built" % program)
    box.options = type(box.options)(program, box.options.wrapper, box.options.slow)
    states = images(box)
    archive, state = box.path("archive"), box.path("state")
    put(archive, 9, 1, 1, states)
    for number, files in ((1, "frames"), (2, "log-*")):
        order = "write %s/%s %d 0 EIO" % (state, files, number)
        tail = box.tail("events", archive, "--follow", "--state", state, "-D",
                        "snapshot.mode=no_data", env={**os.environ, "ROWTAIL_FAIL": order})
        for n in range(2, 7):
            put(archive, 0, n, n, states)
        expect(tail.wait_exit(30) == 1 and state in tail.errors[-1] and
               "trying again" not in tail.error_text(), "%s: %s", files, tail.error_text())
        shutil.rmtree(state)
        shutil.rmtree(os.path.join(archive, "ltx", "0"))


def test_a_full_disk_of_the_state_directory_is_waited_for(box):
    """Of images and of records: what was read is kept, and told once when there is room."""
    program = box.options.rowtail + "-faults"
    box.need("" if os.access(program, os.X_OK) else "%s is not built" % program)
    box.options = type(box.options)(program, box.options.wrapper, box.options.slow)
    states = images(box)
    archive, state, full = box.path("archive"), box.path("state"), box.path("full")
    put(archive, 9, 1, 1, states)
    for n in range(2, 7):
        put(archive, 0, n, n, states)
    right = [(v["source"]["lsn"], v["before"], v["after"]) for v in events(box, archive)]
    for files in ("frames", "log-*"):
        shutil.rmtree(os.path.join(archive, "ltx", "0"))
        order = "write %s/%s 2 0 ENOSPC" % (state, files)
        tail = box.tail("events", archive, "--follow", "--state", state, "-D",
                        "snapshot.mode=no_data", env={
                            **os.environ, "ROWTAIL_FAIL": order, "ROWTAIL_FAIL_WHILE": full})
        with open(full, "w", encoding="utf-8"):
            pass
        for n in range(2, 7):
            put(archive, 0, n, n, states)
        box.wait_until(lambda: "trying again" in tail.error_text(), 30, "nothing is said")
        time.sleep(2)
        expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
        os.remove(full)
        tail.wait_lines(len(right), 30)
        box.stop(tail)
        told = [(v["source"]["lsn"], v["before"], v["after"]) for v in map(
            parse_line, tail.take_all())]
        expect(told == right, "%s: %s", files, told)
        said = [e for e in tail.errors if "trying again" in e]
        expect(len(said) == 1 and state in said[0], "%s: %s", files, tail.error_text())
        shutil.rmtree(state)


MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "


def test_a_file_of_all_pages_tells_what_changed_in_it(box):
    """As Litestream writes it when it does not know what it has missed."""
    statements = WORK[:2] + [
        "CREATE TABLE many(id INTEGER PRIMARY KEY, v)",
        MANY + "INSERT INTO many SELECT i, hex(zeroblob(60)) FROM n",
        "UPDATE many SET v = 'a' WHERE id % 50 = 0",
        "CREATE INDEX many_v ON many(v); DELETE FROM many WHERE id < 30",
        "DROP INDEX many_v; ALTER TABLE many RENAME TO most",
        "INSERT INTO t(v) VALUES('one'); UPDATE most SET id = 9 WHERE id = 100",
        "VACUUM", "UPDATE most SET v = 'b' WHERE id % 50 = 1"]
    archive, states = made(box, statements=statements)
    expect(len(states[-1]) > 70, "%d pages", len(states[-1]))
    right = events(box, archive)
    whole = box.path("elsewhere") + "/archive"
    put(whole, 9, 1, 1, states)
    for n, state in enumerate(states[1:], 2):
        ltx.write(whole, 0, n, n, PAGE, len(state), state)
    expect([told(v) for v in events(box, whole)] == [told(v) for v in right],
           "files of all pages tell something else")


def test_following_goes_on_when_files_of_the_first_state_are_merged(box):
    states = images(box, [
        "CREATE TABLE t(v); CREATE TABLE u(id INTEGER PRIMARY KEY, v); "
        + MANY + "INSERT INTO u SELECT i, hex(zeroblob(60)) FROM n",
        "INSERT INTO t VALUES(2)", "UPDATE u SET v = 'three' WHERE id = 200",
        "INSERT INTO t VALUES(4)", "INSERT INTO t VALUES(5)",
        "UPDATE u SET v = 'six' WHERE id = 200"])
    archive = box.path("archive")
    for n in range(1, 5):
        put(archive, 9 if n == 1 else 0, n, n, states)
    process = subprocess.Popen(
        box.command("events", archive, "--from", "txid:4", "--follow"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    put(archive, 0, 5, 5, states)
    first = parse_line(process.stdout.readline())
    expect(first["after"] == {"v": 5}, "%s", first)
    put(archive, 1, 2, 5, states)       # the state of TXID 4 is no more
    for n in range(2, 6):
        os.remove(ltx.path_of(archive, 0, n, n))
    put(archive, 0, 6, 6, states)
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30 * box.slow)
    expect(process.returncode == 0 and line, "exit %d: %s", process.returncode, err)
    second = parse_line(line)
    expect(second["before"] == {"id": 200, "v": "three"}
           and second["after"] == {"id": 200, "v": "six"}, "%s", second)


def test_a_gap_is_an_error_after_all_that_is_before_it(box):
    archive, states = made(box)
    os.remove(ltx.path_of(archive, 0, 20, 20))
    line = refused(box, 1, "files are missing between 0/0000000000000013-", "events",
                   archive)
    expect("0/0000000000000015-0000000000000015.ltx" in line, "%s", line)
    expect(events(box, archive, "--until", "txid:13"), "what is before the gap")
    process = subprocess.Popen(box.command("events", archive, "--follow"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=60 * box.slow)
    expect(process.returncode == 1 and b"files are missing between txid:13 and 0/" in err,
           "exit %d: %s", process.returncode, err)
    expect([told(parse_line(v)) for v in out.splitlines(True)]
           == [told(v) for v in events(box, archive, "--until", "txid:13")], "before it")
    # A later whole database leads over it.
    put(archive, 9, 1, 30, states)
    check_step(box, archive, 13, 30, state_at(box, archive, 13),
               state_at(box, archive, 30))
    expect(events(box, archive)[-1]["source"]["lsn"] == len(states) - 1, "the end")


def test_damage_and_other_page_sizes_are_named(box):
    archive, states = made(box)
    path = ltx.path_of(archive, 0, 9, 9)
    with open(path, "rb") as file:
        right = file.read()
    for at in (0, 9, 20, 130, len(right) // 2, len(right) - 3):
        with open(path, "wb") as file:
            file.write(right[:at] + bytes([right[at] ^ 0x41]) + right[at + 1:])
        done = box.run("events", archive)
        expect(done.code == 1 and "0/0000000000000009-0000000000000009.ltx"
               in done.error_lines[-1], "%d: %s", at, done)
        expect([told(parse_line(v)) for v in done.out.splitlines(True)]
               == [told(v) for v in events(box, archive, "--until", "txid:8")],
               "%d: not all that is before it", at)
    with open(path, "wb") as file:
        file.write(ltx.encode(9, 9, 1024, 1, {1: bytes(1024)}))
    done = box.run("events", archive)
    expect(done.code == 1 and "has pages of 1024 bytes, the database had 512"
           in done.error_lines[-1], "%s", done)
    with open(path, "wb") as file:
        file.write(ltx.encode(9, 9, PAGE, 4000000000, {1: states[0][1]}))
    done = box.run("events", archive)
    expect(done.code == 1 and "is missing in 0/0000000000000009-" in done.error_lines[-1],
           "%s", done)


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return [parse_line(line) for line in file]


def test_kills_lose_and_repeat_nothing(box):
    """Files come, are merged, and go, and rowtail is killed and goes on."""
    states = images(box)
    whole, _ = made(box, "whole/archive")
    archive, out, state = box.path("archive"), box.path("out"), box.path("state")
    put(archive, 9, 1, 1, states)
    rng = random.Random(7)
    command = box.command("events", archive, "--state", state, "--to", "file:" + out)
    at, killed = 1, 0
    while at < len(states):
        process = subprocess.Popen(command + ["--follow"], stderr=subprocess.PIPE)
        for _ in range(rng.randrange(1, 6)):
            time.sleep(rng.random() * 0.05)
            if at < len(states):
                at += 1
                put(archive, 0, at, at, states)
        time.sleep(rng.random() * 1.2)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        expect(code == -signal.SIGKILL, "it ended (%s): %s", code, process.stderr.read())
        killed += 1
    expect(killed > 3, "only %d kills", killed)
    done = box.run(*command[1:], timeout=60)
    expect(done.code == 0, "%s", done)
    mine = lines_of(out)
    expect([v["source"]["change_id"] for v in mine] == list(range(1, len(mine) + 1)),
           "change_id has gaps")
    right = events(box, whole, "--snapshot")
    for a, b in zip(mine, right):
        expect(told(a) == told(b), "%s, in one run %s", a, b)
    expect(len(mine) == len(right), "%d events, in one run %d", len(mine), len(right))


def test_a_run_goes_on_where_single_files_are_gone(box):
    """Its copy of the database is older than any state that is left."""
    states = images(box)
    archive, out, state = box.path("archive"), box.path("out"), box.path("state")
    put(archive, 9, 1, 1, states)
    for n in range(2, 11):
        put(archive, 0, n, n, states)
    args = ("events", archive, "--state", state, "--to", "file:" + out)
    expect(box.run(*args, "--until", "txid:7").code == 0, "the first run")
    shutil.rmtree(archive)
    put(archive, 9, 1, 20, states)
    put(archive, 1, 5, 22, states)
    put(archive, 0, 23, 23, states)
    done = box.run(*args)
    expect(done.code == 0, "%s", done)
    model = Model(state_at(box, archive, 23))
    model.forget_rows()
    for value in lines_of(out):
        model.apply(value)
    model.compare(state_at(box, archive, 23))
    # Another archive is not taken for it, nor is one that has lost its end.
    other, _ = made(box, "other", ["CREATE TABLE x%d(y)" % n for n in range(25)])
    shutil.rmtree(archive)
    shutil.copytree(other, archive)
    refused(box, 2, "is not what the state directory has of that moment", *args)
    for n in range(20, 26):
        os.remove(ltx.path_of(archive, 0, n, n))
    refused(box, 2, "ends at txid:13, but the state directory is at txid:17", *args)
    refused(box, 2, "is of the database " + archive, "events", other, *args[2:])


def test_usage(box):
    archive, _ = fixture(box)
    for args, code, part in (
            (("events",), 2, "no archive given: rowtail events ARCHIVE [--from WHEN]"),
            (("events", archive, "b"), 2, "one archive at a time, unexpected b"),
            (("events", archive, "--follow", "--until", "latest"), 2,
             "--follow has no end, so --until does not go with it"),
            (("events", archive, "--follow", "--once"), 2, "so --once does not go"),
            (("events", archive, "--from", "txid:5", "--until", "txid:2"), 2,
             "--until txid:2 is before --from txid:5: exchange them"),
            (("events", archive, "--from", "yesterday"), 2,
             "--from yesterday: must be latest, first"),
            (("events", archive, "--until", "txid:7"), 2,
             "the nearest that it has is txid:6 ("),
            (("events", archive, "--from", "2001-01-01T00:00:00Z"), 2,
             "give --from one of them"),
            (("events", archive, "-D", "snapshot.mode=when_needed"), 2,
             "does not go with rowtail events"),
            (("events", box.path("gone")), 2, "cannot be opened as an archive"),
            (("restore", archive, "b", "--follow"), 2, "go with rowtail events only"),
            (("a.db", "--from", "first"), 2, "go with rowtail events only"),
            (("a.db", "--to", "latest"), 2, "go with rowtail events only")):
        refused(box, code, part, *args)

"""rowtail events: what happened between two states of an archive, applied to a model,
gives the second state; on small archives that Litestream wrote (fixtures), and on ones
that it never writes."""

import json
import os
import sqlite3

from archive.restore import FIXTURES, fixture, refused
from harness.box import expect
from harness.events import parse_line
from harness.model import Model
from harness.state import StateReader


def state_at(box, archive, txid):
    """The database as it was, read by SQL."""
    out = box.path("state.db")
    done = box.run("restore", archive, out, "--at", "txid:%x" % txid, timeout=60)
    expect(done.code == 0, "restore: %s", done)
    reader = StateReader(out)
    reader.open()
    state = reader.read()
    reader.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(out + suffix):
            os.remove(out + suffix)
    for name in ("_litestream_seq", "_litestream_lock"):
        state.tables.pop(name, None)
    return state


def states_of(box, archive):
    """TXIDs of all states that can be reached."""
    listed = json.loads(box.run("archive", "list", archive, "--json", timeout=60).out)
    first = int(listed["first"]["txid"], 16)
    return sorted(t for t in {int(f["max_txid"], 16) for f in listed["files"]}
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
    files = {f["max_txid"]: f["time"] for f in json.loads(
        box.run("archive", "list", archive, "--json").out)["files"] if f["level"] == 0}
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

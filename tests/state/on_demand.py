"""Snapshots that are asked for while rowtail runs: which rows come, when, and how."""

import json
import os
import random
import time

from harness.box import expect
from state.asking import (SIGNALS, SOURCE, Client, chunks_of, contents, ended, execute,
                          notes, prepared, rows, say, signal_line, signal_row, told)
from state.consumer import Replica, dump, summary
from state.file_sink import Load
from state.starts import begun, many

B_TABLES = ["CREATE TABLE b%d(id INTEGER PRIMARY KEY, a)" % i for i in (1, 2)]

def put(file, *lines):
    """Appends lines, at once."""
    with open(file, "ab", buffering=0) as out:
        out.write("".join(t + "\n" for t in lines).encode())


def finished(run):
    """Ends the run; all that it has asked for has come. Its events."""
    run.stop()
    left = run.session.once()
    expect(not left, "more came with --once: %s", summary(left))
    return [m for m in run.messages if m.is_event]


# -- the rows --------------------------------------------------------------------------


def test_rows_of_a_table_once_and_how_they_are_marked(box):
    writer, session = begun(box)
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')", "DELETE FROM t WHERE id = 2")
    last = run.wait(2)[-1].lsn
    id = execute(session, "t")
    expect(len(id) >= 16, "the id is %r", id)
    run.wait(5)
    ended(run, id)
    writer.sql("c", "UPDATE t SET a = 'x' WHERE id = 4")
    run.wait(6)
    events = finished(run)
    expect(summary(events) == [("c", 4), ("d", 2), ("r", 1), ("r", 3), ("r", 4),
                               ("u", 4)], "%s", summary(events))
    for event in events[2:5]:
        expect(event.source["snapshot"] == "incremental" and event.lsn == last
               and event.before is None and not event.headers
               and event.value["transaction"] is None, "%r", event)
    expect(events[5].lsn > last, "the next transaction's LSN")
    session.matches()


def test_the_id_is_the_one_that_was_given(box):
    writer, session = prepared(box, many(1, 2))
    run = session.start()
    expect(execute(session, "t", more=["--id", "nightly-1"]) == "nightly-1", "the id")
    ended(run, "nightly-1")
    # The same one a second time is a new snapshot.
    expect(execute(session, "t", more=["--id", "nightly-1"]) == "nightly-1", "the id")
    run.wait(4)
    expect(contents(finished(run)) == [1, 2, 1, 2], "rows")


def test_a_snapshot_without_any_transaction_before(box):
    """The LSN is that of the position."""
    _, session = prepared(box, many(1, 2))
    run = session.start()
    execute(session, "t")
    events = run.wait(2)
    expect(len({e.lsn for e in events}) == 1, "LSNs")
    finished(run)


def test_where(box):
    writer, session = prepared(
        box, many(1, 20), "CREATE TABLE chosen(id)", "INSERT INTO chosen VALUES (3), (7)",
        args=chunks_of(4))
    run = session.start()
    execute(session, "t", more=["--where", "id % 5 = 0 AND a LIKE 'row %'"])
    run.wait(4)
    execute(session, "t", more=["--where", "id IN (SELECT id FROM chosen)"])
    run.wait(6)
    none = execute(session, "t", more=["--where", "id > 100"])
    ended(run, none)
    # Of one table of two; the condition fits both.
    id = execute(session, "t", "chosen", more=["--where", "id = 7"])
    ended(run, id)
    events = finished(run)
    expect(contents(events) == [5, 10, 15, 20, 3, 7, 7, 7], "%s", contents(events))
    expect([e.table for e in events[-2:]] == ["t", "chosen"], "tables")


def test_what_is_no_sql_ends_its_table_only(box):
    writer, session = prepared(box, many(1, 3), *B_TABLES, rows(1, 2, "b1"),
                               args=["-D", "notification.enabled.channels=file,log",
                                     "-D", "notification.file=" + box.path("told")])
    run = session.start()
    for where in ("id is is", "no_such_column = 1", "1) OR (1", "id = 1; DROP TABLE t",
                  "load_extension('x')"):
        id = say(session, "execute-snapshot", "--table", "t", "--where", where)
        ended(run, id)
        box.wait_until(lambda: told(run.tail.errors, id, "table t", "SQL_EXCEPTION"), 20,
                       "no line of %s" % id)
        scans = [n["additional_data"] for n in notes(box.path("told"))
                 if n["id"] == id and n["type"] == "TABLE_SCAN_COMPLETED"]
        expect([(s["status"], s["total_rows_scanned"]) for s in scans] ==
               [("SQL_EXCEPTION", "0")], "%s", scans)
    # The next table has its rows.
    client = Client(session)
    client.send(signal_line("execute-snapshot", "t", "b1", **{
        "additional-conditions": [{"data-collection": "t", "filter": "nothing"}]}))
    expect("id" in client.answer(), "no id")
    run.wait(2)
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    run.wait(3)
    expect(summary(finished(run)) == [("r", 1), ("r", 2), ("c", 4)], "events")


def test_several_tables_come_in_order_each_once(box):
    writer, session = prepared(box, many(1, 2), *B_TABLES, rows(1, 3, "b1"),
                               rows(1, 1, "b2"), args=chunks_of(2))
    run = session.start()
    execute(session, "B.", "t", "b1|t")
    run.wait(6)
    events = finished(run)
    expect([(e.table, e.after["id"]) for e in events] ==
           [("b1", 1), ("b1", 2), ("b1", 3), ("b2", 1), ("t", 1), ("t", 2)], "%s",
           summary(events))


def test_several_snapshots_come_one_after_the_other(box):
    """All are asked for before the first one begins: in one transaction."""
    writer, session = prepared(box, SIGNALS, many(1, 5), *B_TABLES, rows(1, 3, "b1"),
                               args=[*chunks_of(2), *SOURCE])
    run = session.start()
    writer.sql("c", "BEGIN", signal_row("execute-snapshot", "t", id="first"),
               signal_row("pause-snapshot", id="p"),
               signal_row("execute-snapshot", "b1", id="second", type="blocking"),
               signal_row("execute-snapshot", "t", "b1", id="third"),
               "COMMIT")
    run.wait(4)
    # Those that are there are not asked for twice; the one at hand waits.
    for id in ("first", "second", "third"):
        execute(session, "b2", more=["--id", id])
    box.wait_until(lambda: len(told(run.tail.errors, "is asked for already")) == 3, 20,
                   "not three times")
    expect(not contents(run.pull()), "rows while it waits")
    say(session, "resume-snapshot")
    ended(run, "third")
    events = finished(run)[4:]
    expect([e.table for e in events] == ["t"] * 5 + ["b1"] * 3 + ["t"] * 5 + ["b1"] * 3,
           "%s", summary(events))
    expect([e.source["snapshot"] for e in events[5:8]] == ["first", "true", "last"],
           "of the blocking one")
    expect({e.source["snapshot"] for e in events[:5] + events[8:]} == {"incremental"},
           "of the others")


# -- blocking --------------------------------------------------------------------------


def test_blocking_markers_over_two_tables(box):
    """An empty one between them, and one behind, change nothing."""
    writer, session = prepared(box, many(1, 3), *B_TABLES, rows(1, 3, "b2"),
                               "CREATE TABLE z(id)", args=chunks_of(2))
    run = session.start()
    id = execute(session, "b.", "t", "z", more=["--type", "blocking"])
    ended(run, id)
    id = execute(session, "t", more=["--type", "BLOCKING", "--where", "id = 3"])
    ended(run, id)
    events = finished(run)
    expect([(e.table, e.source["snapshot"]) for e in events] == [
        ("b2", "first"), ("b2", "true"), ("b2", "last_in_data_collection"),
        ("t", "first_in_data_collection"), ("t", "true"), ("t", "last"),
        ("t", "last")], "%s", [(e.table, e.source["snapshot"]) for e in events])
    expect(len({e.lsn for e in events}) == 1, "several LSNs")


def test_no_transaction_comes_into_a_blocking_one(box):
    writer, session = begun(box, *B_TABLES, rows(1, 4000, "b1"),
                            rows=3000, args=chunks_of(100))
    session.once()
    run = session.start(wait=False).wait_following()
    with Load(writer, 3, pause=0) as load:
        box.wait_until(lambda: len(run.pull()) > 20, 20, "no events of the writer")
        id = execute(session, "t", "b1", more=["--type", "blocking"])
        ended(run, id)
        seen = load.commits
        box.wait_until(lambda: load.commits > seen + 20, 20, "the writer stands still")
    run.stop()
    session.once()
    events = [e for e in session.stream.events if e.change_id > 7000]
    session.matches()
    first = next(i for i, e in enumerate(events) if e.op == "r")
    taken = [e for e in events if e.op == "r"]
    expect(taken == events[first:first + len(taken)], "events between its rows")
    expect(len({e.lsn for e in taken}) == 1 and taken[0].lsn == events[first - 1].lsn,
           "it is of several moments")
    expect(first + len(taken) < len(events), "nothing came behind it")
    marks = [e.source["snapshot"] for e in taken]
    expect(marks[0] == "first" and marks[-1] == "last" and
           sorted(set(marks)) == ["first", "first_in_data_collection", "last",
                                  "last_in_data_collection", "true"], "%s", set(marks))
    # Exactly the rows of that moment.
    replica = Replica()
    for event in session.stream.events:
        if event.change_id >= taken[0].change_id:
            break
        replica.apply(event)
    for table in ("t", "b1"):
        mine = sorted(dump(e.after) for e in taken if e.table == table)
        want = sorted(map(dump, replica.tables[table].values()))
        expect(mine == want, "%s: %d rows, %d are there", table, len(mine), len(want))


# -- stop, pause, resume ---------------------------------------------------------------


def in_the_middle(box, line, *, tables=("t",), rows_of_t=20000, more=()):
    """A snapshot of one row a chunk is at hand, its reader slow; then `line` is sent.
    (session, run, answer): the run's output is taken from here on."""
    _, session = prepared(box, many(1, rows_of_t), *B_TABLES, rows(1, 3, "b1"),
                          args=[*chunks_of(1), *more])
    run = session.start(take=False)
    client = Client(session)
    client.send(signal_line("execute-snapshot", *tables, id="long"))
    expect(client.answer() == {"id": "long"}, "the answer")
    run.read(10)
    client = Client(session)
    client.send(line)
    run.tail.start_taking()
    return session, run, client.answer()


def test_stop(box):
    session, run, answer = in_the_middle(box, signal_line("stop-snapshot", id="s"),
                                         tables=("t", "b1"))
    expect(answer == {"id": "s"}, "%s", answer)
    ended(run, "long", "aborted")
    expect(say(session, "stop-snapshot", code=1).endswith("no snapshot is being taken"),
           "the reason")
    id = execute(session, "b1")
    ended(run, id)
    got = [(e.table, e.after["id"]) for e in finished(run)]
    expect(10 <= len(got) < 20000 and got[-3:] == [("b1", 1), ("b1", 2), ("b1", 3)] and
           got[:-3] == [("t", i + 1) for i in range(len(got) - 3)], "%d rows", len(got))


def test_stop_of_one_table(box):
    session, run, answer = in_the_middle(box, signal_line("stop-snapshot", "T", id="s"),
                                         tables=("t", "b1"))
    expect(answer == {"id": "s"}, "%s", answer)
    ended(run, "long")
    expect(not told(run.tail.errors, "long: aborted"), "it was aborted")
    got = [(e.table, e.after["id"]) for e in finished(run)]
    expect(10 <= len(got) < 20000 and got[-3:] == [("b1", 1), ("b1", 2), ("b1", 3)],
           "%d rows, %s", len(got), got[-3:])


def test_stop_of_a_table_that_is_still_to_come(box):
    session, run, answer = in_the_middle(box, signal_line("stop-snapshot", "b1"),
                                         tables=("t", "b1", "b2"), rows_of_t=4000)
    expect("id" in answer, "%s", answer)
    ended(run, "long")
    expect(contents(finished(run)) == list(range(1, 4001)), "rows")


def test_a_stop_is_of_those_that_wait_too(box):
    session, run, _ = in_the_middle(box, signal_line("pause-snapshot", id="p"))
    execute(session, "t", "b1", more=["--id", "second"])
    execute(session, "b1", more=["--id", "third"])
    execute(session, "b2", "b1", more=["--id", "fourth"])
    expect("has such a name" in say(session, "stop-snapshot", "--table", "nope", code=1),
           "the reason")
    say(session, "stop-snapshot", "--table", "b1")
    ended(run, "third", "aborted")
    say(session, "stop-snapshot", "--table", "t")
    for id in ("long", "second"):
        ended(run, id, "aborted")
    ended(run, "fourth")
    execute(session, "b1", more=["--id", "fifth"])
    ended(run, "fifth")
    got = contents(finished(run))
    expect(10 <= len(got) < 20000 and got[-3:] == [1, 2, 3], "%d rows", len(got))


def test_a_stop_without_names_is_of_all(box):
    """After a kill, too, none goes on."""
    session, run, _ = in_the_middle(box, signal_line("pause-snapshot", id="p"))
    execute(session, "t", "b1", more=["--id", "second"])
    say(session, "stop-snapshot")
    for id in ("long", "second"):
        ended(run, id, "aborted")
    run.kill()
    got = contents(session.once())
    expect(len(got) < 20000, "%d rows", len(got))
    run = session.start()
    expect("no snapshot is being taken" in say(session, "stop-snapshot", code=1),
           "there is one")
    run.stop()


def test_a_condition_of_a_hundred_tables(box):
    """It is kept once, however long it is."""
    names = ["w%d" % i for i in range(100)]
    _, session = prepared(box, *["CREATE TABLE %s(id INTEGER PRIMARY KEY)" % n
                                 for n in names], "INSERT INTO w7 VALUES (1), (2)")
    run = session.start()
    client = Client(session)
    client.send(signal_line("execute-snapshot", "w.*", id="a", **{
        "additional-conditions": [{"data-collection": ".*",
                                   "filter": "id > 1 /*%s*/" % ("x" * 900000)}]}))
    expect(client.answer() == {"id": "a"}, "the answer")
    run.kill()
    run = session.start()
    ended(run, "a")
    size = os.path.getsize(os.path.join(session.directory, "snapshots"))
    expect(size < 50 << 20, "%d bytes are kept", size)
    expect(contents(finished(run)) == [2], "rows")


def test_pause_and_resume(box):
    session, run, answer = in_the_middle(box, signal_line("pause-snapshot", id="p"))
    expect(answer == {"id": "p"}, "%s", answer)
    ended(run, "long", "paused")
    # A transaction comes, and no row of the snapshot behind it.
    writer = box.opened[0]
    for i in range(3):
        writer.sql("c", "INSERT INTO b1 VALUES (%d, 1)" % (100 + i))
        box.wait_until(lambda: contents_of(run, "b1") == i + 1, 20, "no event")
    seen = len(contents(run.pull()))
    expect(10 <= seen < 20000, "%d rows", seen)
    time.sleep(0.1)
    expect(len(contents(run.pull())) == seen, "it goes on")
    say(session, "pause-snapshot")      # it is already
    # It stays so over a stop, with --once, and kill -9.
    run.stop()
    expect(not session.once(), "it went on with --once")
    run = session.start()
    run.kill()
    run = session.start()
    expect(not run.pull(), "it went on after a kill")
    say(session, "resume-snapshot")
    ended(run, "long")
    say(session, "resume-snapshot", code=1)
    run.stop()
    got = contents(session.stream.events)
    expect(got == list(range(1, 20001)), "%d rows", len(got))


def contents_of(run, table):
    return len([e for e in run.pull() if e.table == table])


# -- what is refused -------------------------------------------------------------------


def test_refusals(box):
    _, session = prepared(box, many(1, 2))
    expect("no rowtail runs" in say(session, "stop-snapshot", code=1), "nobody")
    run = session.start()
    for words, code, reason in (
            (["execute-snapshot", "--table", "nope"], 1, "no table that is captured"),
            (["execute-snapshot", "--table", "T2", "--table", "t."], 1, "no table"),
            (["execute-snapshot", "--table", "("], 2, "does not compile"),
            (["execute-snapshot"], 2, "--table"),
            (["execute-snapshot", "--table", "t", "--type", "slow"], 2, "--type"),
            (["stop-snapshot"], 1, "no snapshot is being taken"),
            (["pause-snapshot"], 1, "no snapshot is being taken"),
            (["resume-snapshot"], 1, "no snapshot is being taken"),
            (["no-such-thing"], 2, "must be")):
        line = say(session, *words, code=code)
        expect(reason in line, "%s: %s", words, line)
    # One pattern of two names a table.
    id = execute(session, "nope", "t")
    ended(run, id)
    box.wait_until(lambda: told(run.tail.errors, id, "nope"), 20, "no warning")
    expect(contents(finished(run)) == [1, 2], "rows")
    expect("no rowtail runs" in say(session, "stop-snapshot", code=1), "nobody")


def test_log(box):
    _, session = prepared(box, many(1, 2))
    run = session.start()
    say(session, "log", "the import begins")
    box.wait_until(lambda: "rowtail: the import begins" in run.tail.errors, 20,
                   "no line")
    expect(not finished(run), "events")


# -- channels --------------------------------------------------------------------------

def test_rows_of_a_table_are_signals(box):
    """After the transaction that they are in, of which they show the rows."""
    writer, session = begun(
        box, SIGNALS, args=["-D", "signal.data.collection=main.signals",
                            "-D", "provide.transaction.metadata=true"])
    run = session.start()
    writer.sql("c", "BEGIN", "INSERT INTO t VALUES (4, 'new')",
               signal_row("execute-snapshot", "t"), "DELETE FROM t WHERE id = 1",
               "INSERT INTO t VALUES (5, 'behind')", "COMMIT")
    run.wait(8)
    ended(run, "1")
    # Neither an update, nor a delete, nor what is no signal.
    writer.sql("c", signal_row("no-such-type", "t", id="0"),
               "UPDATE signals SET type = 'execute-snapshot' WHERE id = '0'",
               "UPDATE signals SET data = data || ' ' WHERE id = '1'",
               "INSERT INTO signals VALUES ('2', 'execute-snapshot', '{')",
               "INSERT INTO signals VALUES ('3', NULL, NULL)",
               "INSERT INTO signals VALUES (NULL, 7, 1.5)",
               signal_row("execute-snapshot", "nope", id="4"),
               "DELETE FROM signals", signal_row("log", message="the end"))
    box.wait_until(lambda: told(run.tail.errors, "the end"), 20, "no log")
    run.stop()
    expect(not session.once(), "more events")
    kinds = [m.op if m.is_event else m.value["status"] for m in run.messages
             if m.value is not None]
    expect(kinds[:10] == ["BEGIN", "c", "d", "c", "c", "END", "r", "r", "r", "r"],
           "%s", kinds)
    events = [m for m in run.messages if m.is_event]
    expect(contents(events) == [2, 3, 4, 5], "%s", contents(events))
    expect(len({e.lsn for e in events[:8]}) == 1, "LSNs")
    expect(told(run.tail.errors, "main.signals", "4", "no table that is captured"),
           "no warning of 4: %s", run.tail.error_text())
    expect(len(told(run.tail.errors, "rowtail: main.signals: ")) == 4, "warnings: %s",
           run.tail.error_text())


def test_a_signal_table_that_the_list_leaves_out(box):
    writer, session = prepared(box, SIGNALS, many(1, 3), "CREATE TABLE o(id)",
                               args=[*SOURCE, "-D", "table.include.list=t"])
    run = session.start()
    writer.sql("c", signal_row("execute-snapshot", "t"))
    run.wait(3)
    # One and a change in one transaction; one behind, of a table that is left out.
    writer.sql("c", "BEGIN", signal_row("execute-snapshot", "t", id="2"),
               "DELETE FROM t WHERE id = 2", "COMMIT",
               signal_row("execute-snapshot", "o", id="3"))
    run.wait(9)
    writer.sql("c", "INSERT INTO t VALUES (9, 1)")
    run.wait(10)
    events = finished(run)
    expect(summary(events) == [
        ("c", "1"), ("r", 1), ("r", 2), ("r", 3), ("c", "2"), ("d", 2), ("r", 1),
        ("r", 3), ("c", "3"), ("c", 9)], "%s", summary(events))
    expect(told(run.tail.errors, "3", "no table that is captured"), "no warning: %s",
           run.tail.error_text())


def test_ids_that_are_numbers(box):
    writer, session = prepared(
        box, "CREATE TABLE signals(id, type, data)", many(1, 2), args=SOURCE)
    run = session.start()
    for number, id in (("7", "7"), ("9000000000", "9000000000"), ("2.5", "2.5")):
        writer.sql("c", signal_row("execute-snapshot", "t").replace("'1'", number, 1))
        ended(run, id)
    expect(contents(finished(run)) == [1, 2] * 3, "rows")


def test_more_signals_in_a_transaction_than_are_taken(box):
    """The rest is left out, with one line; the run goes on."""
    writer, session = prepared(box, SIGNALS, many(1, 2), args=SOURCE)
    run = session.start()
    writer.sql("c", "BEGIN", *[signal_row("log", id=str(i), message="heard")
                               for i in range(1005)], "COMMIT",
               signal_row("log", id="next", message="the end"))
    box.wait_until(lambda: told(run.tail.errors, "the end"), 20, "no log")
    expect(len(told(run.tail.errors, "heard")) == 1000, "%d are taken",
           len(told(run.tail.errors, "heard")))
    expect(len(told(run.tail.errors, "left out")) == 1, "%s", run.tail.error_text())
    # Large ones.
    filter = "id > 0 /*%s*/" % ("x" * 900000)
    writer.sql("c", "BEGIN", *[
        signal_row("execute-snapshot", "t", id="large-%d" % i, **{
            "additional-conditions": [{"data-collection": "t", "filter": filter}]})
        for i in range(6)], "COMMIT")
    ended(run, "large-3")
    execute(session, "t", more=["--id", "behind"])
    ended(run, "behind")
    expect(not told(run.tail.errors, "large-4:"), "more were taken")
    expect(len(told(run.tail.errors, "left out")) == 2, "%s", len(run.tail.errors))
    expect(contents([m for m in finished(run) if m.is_event]) == [1, 2] * 5, "rows")


def test_signals_of_rows_while_nobody_ran(box):
    writer, session = prepared(box, SIGNALS, many(1, 3),
                               args=SOURCE)
    run = session.start()
    run.stop()
    writer.sql("c", signal_row("execute-snapshot", "t"))
    events = session.once()
    expect([e.op for e in events] == ["c", "r", "r", "r"], "%s", events)
    expect(not session.once(), "once more")


def test_lines_of_a_file_are_signals(box):
    file = box.path("signals")
    writer, session = prepared(box, many(1, 3), args=[
        "-D", "signal.file=" + file, "-D", "signal.poll.interval.ms=20"])
    run = session.start()
    put(file, signal_line("execute-snapshot", "t", id="a"), "this is (no) signal",
        '{"id":"b","type":"log","data":"{\\"message\\":\\"heard\\"}"}')
    run.wait(3)
    box.wait_until(lambda: os.path.getsize(file) == 0, 20, "the file was not cut")
    box.wait_until(lambda: told(run.tail.errors, "this is (no) signal"), 20,
                   "no warning that quotes it")
    box.wait_until(lambda: told(run.tail.errors, "heard"), 20, "the third line")
    put(file, signal_line("execute-snapshot", "nope", id="c"),
        signal_line("execute-snapshot", "t", id="d"))
    run.wait(6)
    box.wait_until(lambda: told(run.tail.errors, "c", "no table that is captured"), 20,
                   "no reason")
    box.wait_until(lambda: os.path.getsize(file) == 0, 20, "the file was not cut")
    expect(contents(finished(run)) == [1, 2, 3] * 2, "rows")
    # What was written while nobody ran.
    put(file, signal_line("execute-snapshot", "t", id="e"))
    run = session.start()
    run.wait(3)
    expect(contents(finished(run)) == [1, 2, 3], "rows")


def test_a_file_that_a_writer_holds_open_is_taken_once(box):
    """Whatever ends a run before the file can be cut."""
    file = box.path("signals")
    writer, session = prepared(box, many(1, 3), *B_TABLES, rows(1, 2, "b1"), args=[
        *chunks_of(1), "-D", "signal.file=" + file, "-D",
        "signal.poll.interval.ms=60000"])
    put(file, signal_line("stop-snapshot", id="refused"),
        signal_line("execute-snapshot", "t", id="a"))
    with open(file, "ab", buffering=0) as holder:
        run = session.start()
        ended(run, "a")
        box.wait_until(lambda: told(run.tail.errors, "refused"), 20, "not refused")
        # What the signals of before would stop.
        execute(session, "b1", more=["--id", "b"])
        ended(run, "b")
        run.kill()
        holder.write((signal_line("stop-snapshot", id="late") + "\n").encode())
        run = session.start()
        box.wait_until(lambda: told(run.tail.errors, "late"), 20, "not refused")
        say(session, "log", "it is kept")
        run.kill()
        for end in ("stop", "kill", "stop"):
            run = session.start()
            execute(session, "t", more=["--id", "again"])
            ended(run, "again")
            getattr(run, end)()
            expect(not told(run.tail.errors, "refused") and
                   not told(run.tail.errors, "late") and
                   not told(run.tail.errors, "aborted") and
                   not told(run.tail.errors, "snapshot a:"), "%s",
                   run.tail.error_text())
        # And what is added is taken.
        holder.write((signal_line("execute-snapshot", "b1", id="c") + "\n").encode())
        run = session.start()
        ended(run, "c")
        run.kill()
        # Nor does one that stops, twice.
        run = session.start()
        execute(session, "t", more=["--id", "d"])
        ended(run, "d")
        run.kill()
    expect(os.path.getsize(file) > 0, "it was cut")
    run = session.start()
    box.wait_until(lambda: os.path.getsize(file) == 0, 20, "the file was not cut")
    # The same line once more is another signal.
    run.kill()
    put(file, signal_line("execute-snapshot", "t", id="z"))
    run = session.start()
    ended(run, "z")
    finished(run)
    expect(contents(session.stream.events) ==
           [1, 2, 3] + [1, 2] + [1, 2, 3] * 3 + [1, 2] + [1, 2, 3] * 2, "%s",
           contents(session.stream.events))


def test_a_line_that_is_the_same_once_more_is_another_signal(box):
    """Also where a kill comes soon after the file was cut."""
    file = box.path("signals")
    _, session = prepared(box, many(1, 3), args=[
        "-D", "signal.file=" + file, "-D", "signal.poll.interval.ms=60000"])
    for _ in range(3):
        put(file, signal_line("execute-snapshot", "t", id="a"))
        run = session.start()
        ended(run, "a")
        expect(os.path.getsize(file) == 0, "it is not cut")
        run.kill()
    session.once()
    expect(contents(session.stream.events) == [1, 2, 3] * 3, "%s",
           contents(session.stream.events))


def test_a_stop_by_a_file_is_done_once(box):
    file = box.path("signals")
    writer, session = prepared(box, many(1, 20000), *B_TABLES,
                               rows(1, 3, "b1"), args=[
        *chunks_of(1), "-D", "signal.file=" + file, "-D",
        "signal.poll.interval.ms=20"])
    with open(file, "ab", buffering=0) as holder:
        run = session.start()
        holder.write("".join(t + "\n" for t in (
            signal_line("execute-snapshot", "t", id="a"),
            signal_line("pause-snapshot", id="p"),
            signal_line("stop-snapshot", id="s"))).encode())
        ended(run, "a", "aborted")
        run.kill()
        run = session.start()
        execute(session, "b1", more=["--id", "b"])
        ended(run, "b")
        run.kill()
        run = session.start()
        execute(session, "b1", more=["--id", "c"])
        ended(run, "c")
        finished(run)
        expect(not told(run.tail.errors, "aborted"), "%s", run.tail.error_text())
    got = contents(session.stream.events)
    expect(len(got) < 20000 and got[-6:] == [1, 2, 3] * 2, "%d rows, %s", len(got),
           got[-6:])


def test_what_cannot_be_a_file_of_signals(box):
    """It would be cut, or read what is no signal."""
    _, session = prepared(box, many(1, 3))
    out = box.path("out")
    for file, more in (
            (box.path("told"), ["-D", "notification.enabled.channels=file", "-D",
                                "notification.file=" + box.path("told")]),
            (out, ["--to", "file:" + out]), (out, ["--to", "audit:" + out]),
            (session.directory + "/signals", []), (session.path, []),
            (session.path + "-wal", [])):
        result = box.run(session.path, "--state", session.directory, *more, "-D",
                         "signal.file=" + file, "--once")
        expect(result.code == 2 and len(result.error_lines) == 1 and
               "signal.file=" in result.error_lines[0], "%s: %s", file, result)
    expect(not os.path.exists(session.directory), "a state directory was made")


def test_a_file_works_without_a_state_directory(box):
    file = box.path("signals")
    writer, session = prepared(box, many(1, 3))
    tail = box.tail(session.path, "-D", "signal.file=" + file, "-D",
                    "signal.poll.interval.ms=2000", *chunks_of(2))
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    with open(file, "ab"):      # somebody has it open: it is cut at the end
        put(file, signal_line("execute-snapshot", "t", id="a"))
        expect(tail.wait_lines(5, 20), "%d lines", tail.available())
        box.stop(tail)
    expect(os.path.getsize(file) == 0, "the file was not cut")
    got = [json.loads(t) for t in tail.take_all()]
    expect(sorted(e["op"] for e in got) == ["c"] + ["r"] * 4 and
           [e["after"]["id"] for e in got if e["op"] == "r"] == [1, 2, 3, 4] and
           [e["source"]["change_id"] for e in got] == [1, 2, 3, 4, 5], "%s", got)


def test_no_channels(box):
    """The command works, as it needs none."""
    file = box.path("signals")
    writer, session = prepared(box, SIGNALS, many(1, 3), args=[
        "-D", "signal.file=" + file, "-D", "signal.poll.interval.ms=20",
        "-D", "signal.data.collection=signals", "-D", "signal.enabled.channels=none"])
    run = session.start()
    put(file, signal_line("execute-snapshot", "t"))
    writer.sql("c", signal_row("execute-snapshot", "t"))
    run.wait(1)
    time.sleep(0.2)
    size = os.path.getsize(file)
    id = execute(session, "t", more=["--where", "id = 2"])
    ended(run, id)
    expect([e.op for e in finished(run)] == ["c", "r"], "events")
    expect(size == os.path.getsize(file) > 0, "the file was cut")


# -- beside a writer -------------------------------------------------------------------


def test_a_writer_and_a_snapshot_both_get_on(box):
    total = 50000
    writer, session = begun(box, *B_TABLES, rows(1, total, "b1"), rows=3)
    session.once()
    run = session.start(wait=False).wait_following()
    with Load(writer, 11, pause=0) as load:
        box.wait_until(lambda: len(run.pull()) > 20, 20, "no events of the writer")
        id = execute(session, "b1")
        ended(run, id)
        count = load.commits
        box.wait_until(lambda: load.commits > count + 50, 20, "the writer stands")
    run.stop()
    session.once()
    events = [e for e in session.stream.events if e.change_id > total + 3]
    session.matches()
    places = [i for i, e in enumerate(events) if e.op == "r"]
    expect(contents(events) == list(range(1, total + 1)),
           "not all of the rows, or not in order")
    between = places[-1] - places[0] + 1 - total
    expect(between > 0, "no event of the writer came while the snapshot ran")
    return 1, "%d events between its rows" % between


test_a_writer_and_a_snapshot_both_get_on.timeout = 120


def test_a_backlog_and_a_snapshot_both_get_on(box):
    """All of the transactions wait already, and still a chunk comes between them."""
    writer, session = prepared(box, SIGNALS, *B_TABLES, rows(1, 300, "b1"),
                               args=[*SOURCE, *chunks_of(10)])
    session.once()
    writer.open("reader", session.path)     # so that nothing is checkpointed
    writer.sql("reader", "BEGIN", "SELECT count(*) FROM t")
    writer.sql("c", signal_row("execute-snapshot", "b1"))
    writer.sql("c", *["INSERT INTO t VALUES (%d, 1)" % i for i in range(250)])
    kinds = [e.op for e in session.once()]
    expect(kinds.count("c") == 251 and kinds.count("r") == 300, "%d events", len(kinds))
    expect("r" in kinds[:10], "the first row comes behind %d events", kinds.index("r"))
    first, last = kinds.index("r"), len(kinds) - kinds[::-1].index("r")
    expect("c" in kinds[first:last], "no transaction came while it ran")


# -- notifications ---------------------------------------------------------------------


def test_notifications(box):
    file = box.path("told")
    more = ["-D", "notification.enabled.channels=file,log", "-D",
            "notification.file=" + file]
    session, run, _ = in_the_middle(box, signal_line("pause-snapshot"),
                                    tables=("t", "b1", "b2"), rows_of_t=4000, more=more)
    ended(run, "long", "paused")
    say(session, "resume-snapshot")
    ended(run, "long")
    id = execute(session, "t|b1", more=["--type", "blocking", "--id", "two"])
    ended(run, id)
    execute(session, "b1", more=["--where", "id = 2", "--id", "three"])
    ended(run, "three")
    say(session, "log", "no notification")
    events = finished(run)
    all_notes = notes(file)
    scanned = [int(n["additional_data"]["total_rows_scanned"]) for n in all_notes
               if n["type"] == "TABLE_SCAN_COMPLETED"]
    expect(scanned == [4000, 3, 0, 3, 4000, 1] or scanned == [4000, 3, 0, 4000, 3, 1],
           "%s", scanned)
    expect(sum(scanned) == len(contents(events)), "%d rows scanned, %d came",
           sum(scanned), len(contents(events)))
    by_id = {i: [n for n in all_notes if n["id"] == i] for i in ("long", "two", "three")}
    expect(sum(map(len, by_id.values())) == len(all_notes), "of other ids: %s",
           {n["id"] for n in all_notes})
    steps = [n["type"] for n in by_id["long"] if n["type"] != "IN_PROGRESS"]
    expect(steps == ["STARTED", "PAUSED", "RESUMED", "TABLE_SCAN_COMPLETED",
                     "TABLE_SCAN_COMPLETED", "TABLE_SCAN_COMPLETED", "COMPLETED"], "%s",
           steps)
    expect([n["additional_data"]["status"] for n in by_id["long"]
            if n["type"] == "TABLE_SCAN_COMPLETED"] == ["SUCCEEDED", "SUCCEEDED",
                                                        "EMPTY"], "status")
    progress = [n["additional_data"] for n in by_id["long"]
                if n["type"] == "IN_PROGRESS"]
    of_t = [p for p in progress if p["current_collection_in_progress"] == "t"]
    expect([int(p["last_processed_key"]) for p in of_t] == list(range(1, 4001)) and
           {p["maximum_key"] for p in of_t} == {"4000"}, "progress of t")
    expect({n["additional_data"]["data_collections"] for n in by_id["long"]
            if n["type"] in ("STARTED", "PAUSED", "RESUMED")} == {"t,b1,b2"}, "tables")
    expect({n["aggregate_type"] for n in by_id["long"] + by_id["three"]} ==
           {"Incremental Snapshot"} and {n["aggregate_type"] for n in by_id["two"]} ==
           {"Initial Snapshot"}, "aggregate_type")


def test_notification_of_a_stop(box):
    file = box.path("told")
    session, run, _ = in_the_middle(
        box, signal_line("stop-snapshot"), more=[
            "-D", "notification.enabled.channels=file,log", "-D",
            "notification.file=" + file])
    ended(run, "long", "aborted")
    finished(run)
    got = [n["type"] for n in notes(file) if n["type"] != "IN_PROGRESS"]
    expect(got == ["STARTED", "ABORTED"] and {n["id"] for n in notes(file)} == {"long"},
           "%s", got)

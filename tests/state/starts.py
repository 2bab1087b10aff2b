"""A state directory from its first start on: stops, kills, and what comes again."""

import os
import signal
import stat
import subprocess
import time

from harness.box import expect
from state.consumer import Message, Session, each_alone, summary

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def many(first, last, text="row"):
    return ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1"
            " FROM n WHERE i < %d) SELECT i, '%s ' || i FROM n" % (first, last, text))


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
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')",
               "UPDATE t SET a = 'x' WHERE id = 1")
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


def test_kill_9_of_an_idle_program_repeats_nothing(box):
    """What write(2) took is acknowledged, and the position follows at once."""
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path)
    for i in range(4):
        run = session.start()
        writer.sql("c", "UPDATE t SET a = %d WHERE id = 1" % i)
        run.wait(4 if i == 0 else 1)
        time.sleep(0.5)
        run.kill()
        expect(session.stream.repeated == 0, "%d messages came again",
               session.stream.repeated)
    expect(not session.once(), "something comes after the end")
    session.matches()


def test_commits_after_kill_9_come_one_by_one(box):
    """The WAL is kept, so that the frames behind the last known one are proof."""
    writer, session = begun(box)
    writer.open("reader", session.path)     # so that the WAL cannot begin again
    writer.sql("reader", "BEGIN", "SELECT count(*) FROM t")
    run = session.start()
    writer.sql("c", "INSERT INTO t VALUES (10, 1)")
    run.wait(1)
    time.sleep(0.3)
    run.kill()
    writer.sql("c", "UPDATE t SET a = 2 WHERE id = 10",
               "UPDATE t SET a = 3 WHERE id = 10", "DELETE FROM t WHERE id = 10")
    events = session.once()
    expect(summary(events) == [("u", 10), ("u", 10), ("d", 10)], "%s", summary(events))
    each_alone(events)
    session.matches()


def test_the_snapshot_is_taken_once_in_a_life(box):
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path, "--snapshot")
    run = session.start()
    run.wait(3)
    run.stop()
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')")
    expect(summary(session.once()) == [("c", 4)], "a second snapshot")
    session.matches()


def test_an_empty_snapshot_is_a_snapshot_too(box):
    writer, path = box.database(TABLE)
    session = Session(box, path)
    expect(not session.once(), "events of an empty database")
    writer.sql("c", "INSERT INTO t VALUES (1, 'new')")
    events = session.once()
    expect(summary(events) == [("c", 1)], "%s", summary(events))
    session.matches()


def test_no_data_begins_without_rows(box):
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path, "-D", "snapshot.mode=no_data")
    expect(not session.once(), "rows in spite of no_data")
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')", "DELETE FROM t WHERE id = 4")
    events = session.once()
    expect(summary(events) == [("c", 4), ("d", 4)], "%s", summary(events))


def test_initial_only_ends_after_the_rows_and_a_later_run_goes_on(box):
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path)
    result = box.run(*session.arguments("-D", "snapshot.mode=initial_only"))
    expect(result.code == 0, "%s", result)
    expect(len(session.take_output(result.out, clean=True)) == 3, "%s", result)
    writer.sql("c", "INSERT INTO t VALUES (4, 'new')")
    expect(summary(session.once()) == [("c", 4)], "the commit did not come")
    session.matches()


# -- in the middle ---------------------------------------------------------------------


def in_pieces(session, total, clean, change=None):
    """Starts and ends rowtail until `total` events have come, a sixth of them each
    time; returns how many runs it took."""
    runs = 0
    while len(session.stream.events) < total:
        runs += 1
        expect(runs < 20, "only %d events in %d runs", len(session.stream.events), runs)
        run = session.start(wait=False, take=False)
        left = total - len(session.stream.events)
        repeated = session.stream.repeated
        run.read(min(left, total // 6))
        if clean:
            run.stop()
        else:
            run.kill()
        # A quarter of a megabyte of lines.
        expect(session.stream.repeated - repeated < 1000, "after kill -9 %d messages"
               " come again", session.stream.repeated - repeated)
        if change:
            change(runs)
    return runs


def markers(session, count):
    got = [e.source["snapshot"] for e in session.stream.events[:count]]
    expect(got == ["first"] + ["true"] * (count - 2) + ["last"], "markers %s … %s",
           got[:3], got[-3:])


# Messages that are no events, and long ones.
EVERYTHING = ("-D", "schemas.enable=true", "-D", "include.schema.changes=true",
              "-D", "provide.transaction.metadata=true", "-D", "heartbeat.interval.ms=1")


def check_pieces(box, clean, args=()):
    """The snapshot of 30,000 rows in pieces, while the rows change."""
    rows = 30000
    writer, path = box.database(TABLE, many(1, rows, "a longer text of the row"))
    session = Session(box, path, *args)

    def change(number):
        if number < 4:
            writer.sql("c", "UPDATE t SET a = 'changed %d' WHERE id %% 1000 = %d" % (
                number, number), "DELETE FROM t WHERE id = %d" % (number * 7000))
    runs = in_pieces(session, rows, clean, change)
    events = session.stream.events
    expect([e.after["id"] for e in events[:rows]] == list(range(1, rows + 1))
           and {e.op for e in events[:rows]} == {"r"}, "not the rows in order")
    expect(len({e.lsn for e in events[:rows]}) == 1, "more than one lsn")
    markers(session, rows)
    session.once()
    session.matches()
    expect(runs > 4, "all came in %d runs", runs)
    return 1, "%d runs, %d messages came again" % (runs, session.stream.repeated)


def test_stops_in_the_middle_of_the_snapshot_repeat_nothing(box):
    return check_pieces(box, clean=True)


def test_kills_in_the_middle_of_the_snapshot(box):
    return check_pieces(box, clean=False)


def test_stops_in_the_middle_of_the_snapshot_with_other_messages(box):
    return check_pieces(box, True, EVERYTHING)


def test_kills_in_the_middle_of_the_snapshot_with_other_messages(box):
    return check_pieces(box, False, EVERYTHING)


def check_transaction_in_pieces(box, clean, args=()):
    rows = 30000
    writer, session = begun(box, args=args)
    run = session.start(take=False)
    writer.sql("c", "BEGIN", "DELETE FROM t", many(1000, 999 + rows, "in one"),
               "CREATE TABLE u(x)", "ALTER TABLE u RENAME TO v",
               "COMMIT", "INSERT INTO t VALUES (1, 'behind it')", "DROP TABLE v")
    run.read(100)
    if clean:
        run.stop()
    else:
        run.kill()
    total = rows + 7            # snapshot, deletes, inserts, the one behind
    runs = in_pieces(session, total, clean)
    events = session.stream.events[3:]
    expect(len({e.lsn for e in events[:-1]}) == 1 and len(events) == rows + 4,
           "%d events of %d lsns", len(events), len({e.lsn for e in events}))
    session.matches()
    expect(not session.once(), "something comes after the end")
    changes = [m.value["tableChanges"][0] for m in session.stream.messages
               if m.is_schema_change]
    expect([(c["type"], c["id"]) for c in changes] == (
        [("CREATE", '"app.db"."t"'), ("CREATE", '"app.db"."v"'),
         ("DROP", '"app.db"."v"')] if args else []), "schema changes %s", changes)
    return 1, "%d runs, %d messages came again" % (runs, session.stream.repeated)


def test_stops_in_the_middle_of_a_huge_transaction_repeat_nothing(box):
    return check_transaction_in_pieces(box, clean=True)


def test_kills_in_the_middle_of_a_huge_transaction(box):
    return check_transaction_in_pieces(box, clean=False)


def test_stops_in_the_middle_of_a_transaction_with_other_messages(box):
    return check_transaction_in_pieces(box, True, EVERYTHING)


def test_kills_in_the_middle_of_a_transaction_with_other_messages(box):
    return check_transaction_in_pieces(box, False, EVERYTHING)


def test_a_stop_while_the_reader_stands_still(box):
    """What is in the pipe was acknowledged: it does not come again."""
    writer, session = begun(box)
    tail = box.tail(*session.arguments(), take=False)
    writer.sql("c", many(1000, 20000, "longer text in one transaction"))
    time.sleep(0.5)
    tail.process.send_signal(signal.SIGTERM)
    code = tail.wait_exit(6)
    expect(code == 0, "exit %s: %s", code, tail.error_text())
    tail.start_taking()
    tail.line_thread.join(10)
    expect(not tail.rest, "half a line: %r", tail.rest[-200:])
    session.take([Message(t) for t in tail.take_all()], clean=True)
    session.once()
    session.matches()


def test_a_reader_that_goes_away_gets_no_line_twice(box):
    writer, session = begun(box)
    for i in range(10, 50, 10):
        tail = subprocess.Popen(box.command(*session.arguments()),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        tail.stderr.readline()
        writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % i)
        line = tail.stdout.readline()
        tail.stdout.close()
        writer.sql("c", "INSERT INTO t VALUES (%d, 'y')" % (i + 1))
        try:
            code = tail.wait(6 * box.slow)
        except subprocess.TimeoutExpired:
            tail.kill()
            tail.wait()
            expect(False, "it goes on without a reader")
        expect(code == 0, "exit %d: %s", code, tail.stderr.read())
        tail.stderr.close()
        session.take([Message(line)], clean=True)
        events = session.once()
        expect(summary(events) == [("c", i + 1)], "%s", summary(events))
    session.matches()


def test_signals_while_it_starts_for_the_first_time(box):
    """Whatever is left of a first start that was ended is no hindrance."""
    writer, path = box.database(TABLE, many(1, 3000))
    for sig in (signal.SIGTERM, signal.SIGKILL):
        for delay in (0, 0.002, 0.004, 0.008, 0.015, 0.03):
            session = Session(box, path, directory="state-%d-%g" % (sig, delay))
            run = session.start(wait=False)
            time.sleep(delay)
            run.tail.process.send_signal(sig)
            code = run.tail.wait_exit(6)
            expect(code in (0, -sig), "exit %s after %g s: %s", code, delay,
                   run.tail.error_text())
            run.end(clean=code == 0)
            session.once()
            session.matches()


test_signals_while_it_starts_for_the_first_time.timeout = 120


# -- the directory ---------------------------------------------------------------------


def refused(result, code, *words):
    """Exit `code` (or one of several) and one line on stderr that has `words`."""
    codes = code if isinstance(code, tuple) else (code,)
    expect(result.code in codes, "exit %s, expected %s\n%s", result.code, codes, result)
    expect(len(result.error_lines) == 1, "not one error line:\n%s", result)
    for word in words:
        expect(word.lower() in result.error_lines[0].lower(),
               "the error does not name %r:\n%s", word, result)
    expect(result.out == b"", "output on stdout:\n%s", result)


def test_once_without_state_or_snapshot_has_nothing_to_do(box):
    _, path = box.database(TABLE)
    refused(box.run(path, "--once"), 2, "--once")


def test_folder_and_files_are_the_owners_alone(box):
    writer, path = box.database(TABLE, many(1, 3))
    session = Session(box, path)
    old = os.umask(0)
    try:
        run = session.start()
    finally:
        os.umask(old)
    run.wait(3)
    writer.sql("c", many(10, 500))
    run.wait(494)

    def check():
        mode = stat.S_IMODE(os.stat(session.directory).st_mode)
        expect(mode == 0o700, "the folder has mode %o", mode)
        for name in session.files():
            mode = stat.S_IMODE(os.stat(os.path.join(session.directory, name)).st_mode)
            expect(mode == 0o600, "%s has mode %o", name, mode)
        expect(len(session.files()) >= 4, "files %s", session.files())
    check()
    run.stop()
    check()


def test_a_second_process_on_the_directory_is_refused(box):
    writer, session = begun(box)
    run = session.start()
    refused(box.run(*session.arguments()), 2, "state")
    refused(box.run(*session.arguments("--once")), 2, "state")
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    run.wait(1)
    run.stop()
    writer.sql("c", "INSERT INTO t VALUES (5, 1)")
    expect(summary(session.once()) == [("c", 5)], "the lock stays")


def test_two_directories_of_one_database_do_not_disturb_each_other(box):
    writer, path = box.database(TABLE, many(1, 3))
    a, b = Session(box, path, directory="a"), Session(box, path, directory="b")
    first, second = a.start(), b.start()
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    first.wait(4)
    second.wait(4)
    first.stop()
    writer.sql("c", "INSERT INTO t VALUES (5, 1)")
    second.wait(5)
    first = a.start()
    writer.sql("c", "INSERT INTO t VALUES (6, 1)")
    first.wait(2)
    second.wait(6)
    first.stop()
    second.stop()
    a.matches()
    b.matches()


def test_the_directory_of_another_database_is_refused(box):
    _, session = begun(box)
    _, other = box.database(TABLE, many(1, 3), name="other.db")
    result = box.run(other, "--state", session.directory, "--once")
    refused(result, 2, "app.db")
    expect(not session.once(), "it was disturbed")


def test_another_name_of_the_same_database_is_accepted(box):
    writer, session = begun(box)
    os.mkdir(box.path("elsewhere"))
    os.symlink(session.path, box.path("elsewhere/link.db"))
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    result = box.run("elsewhere/../app.db", "--state", "state", "--once",
                     "--lines=record", cwd=box.folder)
    expect(result.code == 0, "%s", result)
    expect(summary(session.take_output(result.out, True)) == [("c", 4)], "%s", result)
    writer.sql("c", "INSERT INTO t VALUES (5, 1)")
    result = box.run(box.path("elsewhere/link.db"), "--state", session.directory + "/",
                     "--once", "--lines=record", "-D", "topic.prefix=app")
    expect(result.code == 0, "%s", result)
    expect(summary(session.take_output(result.out, True)) == [("c", 5)], "%s", result)


def test_a_directory_that_cannot_be_used_is_named(box):
    _, path = box.database(TABLE)
    open(box.path("a-file"), "w").close()
    for place in (box.path("a-file"), box.path("no-such-folder/state"),
                  "/proc/self/state", "/dev/null"):
        result = box.run(path, "--state", place, "--once")
        refused(result, (1, 2), os.path.basename(place))


def test_a_directory_without_permission_is_named(box):
    if os.getuid() != 0:
        writer, session = begun(box)
        os.chmod(session.directory, 0)
        refused(box.run(*session.arguments("--once")), (1, 2), "state")
        return
    writer, path = box.database(TABLE)
    writer.close()
    os.chmod(box.folder, 0o711)
    os.chown(path, 65534, 65534)
    os.mkdir(box.path("locked"), 0o700)
    os.mkdir(box.path("free"), 0o777)
    os.chown(box.path("free"), 65534, 65534)

    def drop():
        os.setgid(65534)
        os.setuid(65534)
    os.rename(path, box.path("free/app.db"))
    result = box.run(box.path("free/app.db"), "--state", box.path("locked/state"),
                     "--once", preexec=drop)
    refused(result, (1, 2), "locked")
    result = box.run(box.path("free/app.db"), "--state", box.path("locked"),
                     "--once", preexec=drop)
    refused(result, (1, 2), "locked")


def test_a_full_disk_leaves_a_directory_that_can_be_used(box):
    """The limit of a file's size stands for a full disk."""
    import resource
    writer, path = box.database(TABLE, many(1, 20000, "text that takes space"))
    session = Session(box, path)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))
    result = box.run(*session.arguments("--once"), preexec=limit)
    errors = [e for e in result.error_lines if not e.startswith("rowtail: following")]
    expect(result.code == 1 and len(errors) == 1, "%s", result)
    session.take_output(result.out, clean=False)
    session.once()
    session.matches()


# -- settings --------------------------------------------------------------------------


def test_another_prefix_in_the_middle_of_a_transaction_begins_it_again(box):
    """A position inside a transaction holds for the settings that it was made with."""
    rows = 30000
    writer, session = begun(box)
    run = session.start(take=False)
    writer.sql("c", many(1000, 999 + rows, "in one transaction"))
    run.read(100)
    got = len(run.stop())
    expect(got < rows, "all came before the stop")
    result = box.run(*session.arguments("--once", "-D", "topic.prefix=other"),
                     timeout=40)
    expect(result.code == 0, "%s", result)
    lines = [Message(t + b"\n") for t in result.out.splitlines()]
    expect(len(lines) == rows, "%d events of %d", len(lines), rows)
    expect(lines[0].change_id == 4 and lines[-1].change_id == 3 + rows,
           "change_id %d to %d", lines[0].change_id, lines[-1].change_id)
    expect({e.topic for e in lines} == {"other.t"}, "topics")
    warnings = [e for e in result.error_lines if not e.startswith("rowtail: following")]
    expect(len(warnings) == 1, "not one warning:\n%s", result.err.decode())


def test_another_prefix_between_transactions(box):
    writer, session = begun(box)
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    result = box.run(*session.arguments("--once", "-D", "topic.prefix=other"))
    expect(result.code == 0, "%s", result)
    lines = [Message(t + b"\n") for t in result.out.splitlines()]
    expect([(e.topic, e.change_id) for e in lines] == [("other.t", 4)], "%s", lines)


def test_following_is_said_before_the_first_event(box):
    """Also where there is a backlog: stderr and stdout are one file here."""
    writer, session = begun(box)
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    with open(box.path("both"), "wb") as out:
        code = subprocess.call(box.command(*session.arguments("--once")), stdout=out,
                               stderr=out)
    with open(box.path("both"), "rb") as source:
        lines = source.read().splitlines()
    expect(code == 0 and len(lines) == 2, "exit %d: %s", code, lines)
    expect(lines[0].startswith(b"rowtail: following "), "%s", lines)

"""--to file:PATH: every event once, whatever happened to the program and the file."""

import os
import random
import resource
import signal
import stat
import subprocess
import threading
import time

from harness.box import NotRun, expect
from state.consumer import Message, Session, summary
from state.starts import TABLE, many, refused


class Output:
    """A database that is followed into a file, and what the files hold."""

    def __init__(self, box, path, *args, out="out.jsonl"):
        self.box = box
        self.path = path
        self.args = list(args)
        self.out = out if "/" in out else box.path(out)

    def arguments(self, *more):
        return [self.path, "--to", "file:" + self.out, "--lines=record", *self.args,
                *more]

    def start(self, *more, wait=True, **kinds):
        return self.box.tail(*self.arguments(*more), wait=wait, **kinds)

    def once(self, *more):
        result = self.box.run(*self.arguments("--once", *more), timeout=40)
        expect(result.code == 0 and result.out == b"", "%s", result)
        return result

    def lines(self, *older, skip=0):
        """Of the files in this order, the current one last."""
        found = []
        for name in (*older, self.out):
            with open(name, "rb") as source:
                source.seek(skip)
                data = source.read()
            expect(not data or data.endswith(b"\n"), "%s ends in %r", name, data[-80:])
            found += data.splitlines(keepends=True)
        return found

    def matches(self, *older, skip=0):
        """Each event once, in order, and the rows of the database; the events."""
        session = Session(self.box, self.path)
        session.take([Message(t) for t in self.lines(*older, skip=skip)], clean=True)
        session.matches()
        return session.stream.events

    def wait_for(self, total, timeout=20):
        """Until there are so many lines in the file."""
        deadline = time.monotonic() + timeout * self.box.slow
        while True:
            with open(self.out, "rb") as source:
                got = source.read().count(b"\n")
            if got >= total:
                return
            expect(time.monotonic() < deadline, "%d lines of %d", got, total)
            time.sleep(0.01)


class Load:
    """Small transactions, and some of thousands of rows, until it is ended."""

    def __init__(self, writer, seed, pause=0.001):
        self.writer, self.random, self.pause = writer, random.Random(seed), pause
        self.commits = 0
        self.end = threading.Event()
        self.problem = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join(60)
        expect(not self.problem, "the writer: %s", self.problem)

    def _run(self):
        try:
            while not self.end.is_set():
                self.writer.sql("c", *self._statements())
                self.commits += 1
                time.sleep(self.pause)
        except Exception as problem:
            self.problem = problem

    def _statements(self):
        key = self.random.randrange(300)
        kind = self.random.randrange(40)
        if kind == 0:
            return ["DELETE FROM t WHERE id > 1000", many(1001, 4000, "one of many")]
        if kind < 8:
            return ["DELETE FROM t WHERE id = %d" % key]
        if kind < 14:
            return ["UPDATE t SET a = a || '+' WHERE id %% 11 = %d AND id < 300" % (
                key % 11)]
        return ["INSERT OR REPLACE INTO t VALUES (%d, 'new %d')" % (key, self.commits)]


def test_the_file_gets_the_rows_then_the_changes(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    tail = output.start()
    writer.sql("c", "INSERT INTO t VALUES (4, 1)", "DELETE FROM t WHERE id = 2")
    output.wait_for(6)
    box.stop(tail)
    expect(not tail.take_all(), "lines on stdout")
    expect(summary(output.matches()) ==
           [("r", 1), ("r", 2), ("r", 3), ("c", 4), ("d", 2)], "%s", output.lines())
    expect(os.path.isdir(path + "-rowtail"), "no state beside the database")
    writer.sql("c", "UPDATE t SET a = 5 WHERE id = 1")
    output.once()
    output.once()
    expect(summary(output.matches())[5:] == [("u", 1)], "%s", output.lines()[5:])


def test_lines_are_values_by_default(box):
    _, path = box.database(TABLE, many(1, 2))
    out = box.path("values")
    result = box.run(path, "--to", "file:" + out, "--once")
    expect(result.code == 0, "%s", result)
    with open(out, "rb") as source:
        lines = source.readlines()
    expect(len(lines) == 2 and all(t.startswith(b'{"before":') for t in lines), "%s",
           lines)


def test_every_event_once_after_twenty_kills(box):
    writer, path = box.database(TABLE, many(1, 300))
    output = Output(box, path)
    chance = random.Random(20)
    cuts = 0
    with Load(writer, 20) as load:
        for _ in range(20):
            tail = output.start(wait=False)
            time.sleep(chance.random() * 0.4 * box.slow)
            tail.kill()
            cuts += any("cut back" in t for t in tail.errors)
            box.complain(tail.errors)
    output.once()
    events = output.matches()
    return 1, "%d commits, %d events, cut back %d times" % (
        load.commits, len(events), cuts)


test_every_event_once_after_twenty_kills.timeout = 120


def rotate(output, number):
    older = "%s.%d" % (output.out, number)
    os.rename(output.out, older)
    return older


def test_rotation_under_load(box):
    writer, path = box.database(TABLE, many(1, 300))
    output = Output(box, path)
    tail = output.start()
    older = []
    with Load(writer, 5):
        for number in range(8):
            time.sleep(0.15)
            older.append(rotate(output, number))
            time.sleep(number % 3 * 0.02)
            tail.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10 * box.slow
            while not os.path.exists(output.out):
                expect(time.monotonic() < deadline, "no new file")
                time.sleep(0.002)
    box.stop(tail)
    output.once()
    events = output.matches(*older)
    expect(all(os.path.getsize(name) > 0 for name in older), "an empty file")
    return 1, "%d events in %d files" % (len(events), len(older) + 1)


def test_kills_around_rotations(box):
    """Between rename and SIGHUP, and just after SIGHUP."""
    writer, path = box.database(TABLE, many(1, 300))
    output = Output(box, path)
    chance = random.Random(7)
    older = []
    with Load(writer, 7):
        for number in range(12):
            tail = output.start()
            time.sleep(chance.random() * 0.2)
            older.append(rotate(output, number))
            time.sleep(chance.random() * 0.03)
            if number % 2:
                tail.process.send_signal(signal.SIGHUP)
                time.sleep(chance.random() * 0.01)
            tail.kill()
            box.complain(tail.errors)
            if not os.path.exists(output.out):
                open(output.out, "w").close()
    output.once()
    output.matches(*older)


test_kills_around_rotations.timeout = 120


def test_a_hangup_of_an_idle_program_opens_the_file_and_costs_nothing(box):
    _, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    tail = output.start()
    output.wait_for(3)
    older = rotate(output, 1)
    for _ in range(3):
        tail.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    expect(os.path.getsize(output.out) == 0, "not a new empty file")

    def used():
        with open("/proc/%d/stat" % tail.pid) as source:
            return sum(map(int, source.read().rsplit(")", 1)[1].split()[11:13]))
    before = used()
    time.sleep(0.5)
    expect(used() - before <= 5 * box.slow, "%d ticks while idle", used() - before)
    box.stop(tail)
    output.matches(older)


def test_what_follows_the_stored_length_is_cut(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    with open(output.out, "ab") as target:
        target.write(b'{"topic":"app.t","key":{"id"')
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    result = output.once()
    expect(any("cut back" in t for t in result.error_lines), "%s", result)
    expect(len(output.matches()) == 4, "events")


def test_a_shortened_file_is_appended_to_with_a_warning(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    first = output.lines()[0]
    os.truncate(output.out, len(first) + 10)
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    result = output.once("--quiet")
    expect(sum("were acknowledged" in t for t in result.error_lines) == 1, "%s", result)
    lines = output.lines()
    expect(len(lines) == 3 and lines[0] == first and len(lines[1]) == 11, "%s", lines)
    expect(summary([Message(lines[2])]) == [("c", 4)], "%s", lines[2])
    output.once()
    expect(output.lines() == lines, "it changed again")


def test_another_file_is_appended_to(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    older = rotate(output, 1)
    with open(output.out, "w") as target:
        target.write("a line\nhalf a li")
    writer.sql("c", "INSERT INTO t VALUES (4, 1)")
    output.once()
    lines = output.lines()
    expect(lines[:2] == [b"a line\n", b"half a li\n"] and len(lines) == 3, "%s", lines)
    os.unlink(output.out)
    writer.sql("c", "INSERT INTO t VALUES (5, 1)")
    output.once()
    expect(summary([Message(t) for t in output.lines()]) == [("c", 5)], "lines")
    with open(older, "rb") as source:
        expect(len(source.readlines()) == 3, "the old file")


def test_other_settings_in_the_middle_of_a_transaction(box):
    """It is sent again from its beginning, so the file is cut back to there."""
    rows = 60000
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    output.once()
    tail = output.start()
    writer.sql("c", many(1000, 999 + rows, "in one transaction"))
    output.wait_for(10)
    box.stop(tail)
    got = len(output.lines())
    expect(got < rows, "all came before the stop")
    output.once("-D", "topic.prefix=other")
    topics = [Message(t).topic for t in output.lines()]
    expect(topics == ["app.t"] * 3 + ["other.t"] * rows, "%d lines, of app.t %d",
           len(topics), topics.count("app.t"))
    output.matches()
    return 1, "stopped after %d of %d" % (got, rows)


# -- a full disk -----------------------------------------------------------------------


def wait_error(box, tail, words):
    deadline = time.monotonic() + 10 * box.slow
    while not any(words in t for t in tail.errors):
        expect(time.monotonic() < deadline, "no line %r: %s", words, tail.error_text())
        time.sleep(0.02)


def bear_full_disk(box, writer, output, make_room, skip=0):
    tail = output.start()
    for i in range(60):
        writer.sql("c", many(1000 + 100 * i, 1099 + 100 * i, "a text that takes space"))
    wait_error(box, tail, "cannot be written")
    time.sleep(2.2)
    writer.sql("c", "INSERT INTO t VALUES (99999, 'meanwhile')")
    expect(sum("cannot be written" in t for t in tail.errors) == 1, "lines: %s",
           tail.error_text())
    make_room(tail)
    wait_error(box, tail, "written again")
    box.stop(tail)
    output.once()
    expect(len(output.matches(skip=skip)) == 3 + 6000 + 1, "events")


def test_a_full_disk_is_borne(box):
    """The limit of a file's size stands for it; the file is long, and mostly a hole."""
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    skip = 40 << 20
    with open(output.out, "wb") as target:
        target.seek(skip - 1)
        target.write(b"\n")

    def limit(tail, size):
        resource.prlimit(tail.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    output.once()
    start = output.start

    def start_limited():
        tail = start()
        limit(tail, skip + 100001)
        return tail
    output.start = start_limited
    bear_full_disk(box, writer, output,
                   lambda tail: limit(tail, resource.RLIM_INFINITY), skip)


def test_a_stop_on_a_full_disk_is_made_good(box):
    writer, path = box.database(TABLE, many(1, 3))
    output = Output(box, path)
    skip = 40 << 20
    with open(output.out, "wb") as target:
        target.seek(skip - 1)
        target.write(b"\n")
    output.once()
    tail = output.start()
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE,
                     (skip + 5001, resource.RLIM_INFINITY))
    writer.sql("c", many(1000, 1099))
    wait_error(box, tail, "cannot be written")
    box.stop(tail)
    output.once()
    expect(len(output.matches(skip=skip)) == 103, "events")


def test_a_full_tmpfs_is_borne(box):
    if os.getuid() != 0:
        raise NotRun("only root can mount a tmpfs")
    writer, path = box.database(TABLE, many(1, 3))
    folder = box.path("small")
    os.mkdir(folder)
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder],
                       stderr=subprocess.DEVNULL) != 0:
        raise NotRun("a tmpfs cannot be mounted here")
    try:
        output = Output(box, path, out=os.path.join(folder, "out.jsonl"))
        bear_full_disk(box, writer, output, lambda tail: subprocess.check_call(
            ["mount", "-o", "remount,size=20m", folder]))
    finally:
        for opened in box.opened:
            if getattr(opened, "process", None) and hasattr(opened, "errors"):
                opened.kill()
        subprocess.call(["umount", folder])


# -- what it is made with --------------------------------------------------------------


def test_the_file_has_the_permissions_of_the_database(box):
    _, path = box.database(TABLE)
    for mode in (0o600, 0o640, 0o644):
        os.chmod(path, mode)
        output = Output(box, path, out="out-%o" % mode)
        output.once()
        got = stat.S_IMODE(os.stat(output.out).st_mode)
        expect(got == mode, "mode %o, the database's is %o", got, mode)


def test_paths_that_cannot_be_are_refused(box):
    _, path = box.database(TABLE)
    os.symlink(path, box.path("link"))
    for place in (path, path + "-wal", path + "-shm", box.path("link"), box.folder,
                  "/dev/null", "/no-such-folder/out"):
        refused(box.run(path, "--to", "file:" + place, "--once"), 2,
                os.path.basename(place))
        expect(not os.path.exists(path + "-rowtail"), "state was made: %s", place)
    refused(box.run(path, "--to", "file:", "--once"), 2, "file:PATH")
    refused(box.run(path, "--to", "file:x", "--state=none"), 2, "exactly.once.support")


def test_files_of_the_database_and_of_the_state_are_refused_by_any_name(box):
    _, path = box.database(TABLE)
    state = box.path("state")
    expect(box.run(path, "--state", state, "--once").code == 0, "no state directory")
    os.mkdir(box.path("sub"))
    os.symlink(box.folder, box.path("elsewhere"))
    os.symlink(state + "/meta", box.path("a-link"))
    os.symlink(path, box.path("other.db"))
    os.link(state + "/position", box.path("a-second-name"))
    os.link(path, box.path("a-second-name.db"))
    before = {name: open(os.path.join(state, name), "rb").read()
              for name in os.listdir(state)}
    for place in (state, state + "/", state + "/meta", state + "/position",
                  state + "/new", state + "/../state/new", "sub/../state/lock",
                  "./app.db", "./app.db-journal", "sub/../app.db-wal", "app.db-shm",
                  "elsewhere/app.db-journal", "elsewhere/state/frames", "a-link",
                  "a-second-name", "a-second-name.db", "other.db",
                  "elsewhere/sub/../state/new"):
        for database in (path, "other.db", "app.db"):
            refused(box.run(database, "--to", "file:" + place, "--state", state, "--once",
                            cwd=box.folder), 2, "file")
    # Of a directory that is not there yet, too.
    refused(box.run(path, "--to", "file:" + path + "-rowtail", "--once"), 2, "state")
    for name, content in before.items():
        if name != "lock":
            with open(os.path.join(state, name), "rb") as file:
                expect(file.read() == content, "%s was changed", name)
    expect(not os.path.exists(path + "-journal"), "a journal was made")


def planted(box):
    """A folder like /tmp, and what makes files in it somebody else's."""
    if os.getuid() != 0:
        raise NotRun("only root can make files of another user")
    folder = box.path("common")
    os.mkdir(folder)
    os.chmod(folder, 0o1777)
    return folder, lambda name: os.chown(name, 65534, 65534, follow_symlinks=False)


def test_what_others_made_is_not_written_to(box):
    folder, give_away = planted(box)
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'secret')")
    victim = box.path("victim")
    for name, make in (("file", lambda p: open(p, "w").close()),
                       ("link", lambda p: os.symlink(victim, p)),
                       ("nowhere", lambda p: os.symlink(box.path("made"), p)),
                       ("names", lambda p: os.link(victim, p)),
                       ("fifo", os.mkfifo)):
        with open(victim, "w") as file:
            file.write("precious\n")
        place = os.path.join(folder, name)
        make(place)
        if name != "names":
            give_away(place)
        refused(box.run(path, "--to", "file:" + place, "--once", "--state",
                        box.path("state-" + name)), 2, name)
        with open(victim) as file:
            expect(file.read() == "precious\n", "%s: the victim was changed", name)
        expect(not os.path.exists(box.path("made")), "%s: a file was made", name)
        if name == "file":
            expect(os.path.getsize(place) == 0, "rows for others")


def test_a_link_of_our_own_is_followed(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    os.mkdir(box.path("data"))
    os.mkdir(box.path("log"))
    os.symlink("../data/more", box.path("log/out"))
    os.symlink("events", box.path("data/more"))
    output = Output(box, path, out=box.path("log/out"))
    output.once()                       # it is made where the link leads
    expect(os.path.islink(box.path("log/out")), "the link was replaced")
    first = os.path.getsize(box.path("data/events"))
    writer.sql("c", "INSERT INTO t VALUES (2, 'y')")
    output.once()
    expect(os.path.getsize(box.path("data/events")) > first > 0, "nothing was appended")


def test_a_missing_database_leaves_nothing_behind(box):
    _, path = box.database(TABLE)
    before = sorted(os.listdir(box.folder))
    refused(box.run(box.path("typo.db"), "--to", "file:" + box.path("out")), 3,
            "typo.db")
    expect(sorted(os.listdir(box.folder)) == before, "%s", os.listdir(box.folder))


def test_two_programs_on_one_file_are_refused(box):
    _, path = box.database(TABLE)
    output = Output(box, path)
    tail = output.start()
    result = box.run(path, "--to", "file:" + output.out, "--state",
                     box.path("another-state"), "--once")
    expect(result.code == 2 and "another process" in result.error_lines[-1], "%s",
           result)
    box.stop(tail)

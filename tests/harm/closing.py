"""Closing and clearing: rowtail's end, start and rest cost an application nothing.

Applications cancel their own POSIX locks when they open and close a file of the database
in their own process (a backup, a hash, a copy), and do not know it. Others open, write and
close in a loop without a busy timeout. Beside both, no commit that the application was
told of is lost, nobody sees SQLITE_BUSY, and each commit is one event.
"""

import ctypes
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time

from harness.box import expect
from harness.events import parse_line
from harness.writers import has_apsw

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"

# Takes lines: "touch NAME" opens and closes a file of the database, "add N" commits N
# rows, each its own transaction, "close" ends. Answers each with a line.
APPLICATION = """
import sys
library, path = sys.argv[1:3]
if library == "apsw":
    import apsw
    db = apsw.Connection(path)
    db.set_busy_timeout(0)
    Error = apsw.Error
else:
    import sqlite3
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    Error = sqlite3.Error
run = lambda sql: db.execute(sql) if library == "std" else list(db.cursor().execute(sql))
n = list(db.cursor().execute("SELECT coalesce(max(id), 0) FROM t"))[0][0]
for line in sys.stdin:
    word, value = line.split()
    said = "ok"
    if word == "touch":
        try:
            open(path + ("" if value == "db" else "-" + value), "rb").close()
        except FileNotFoundError:
            said = "none"
    elif word == "add":
        for _ in range(int(value)):
            try:
                run("INSERT INTO t VALUES (%d, 'row')" % (n + 1))
                n += 1
            except Error as problem:
                said = "error: %s" % problem
    print(said, flush=True)
"""


class Application:
    """A process with one connection that opens and closes its own files."""

    def __init__(self, box, path, library):
        if library == "apsw":
            box.need(has_apsw())
        self.process = subprocess.Popen(
            [sys.executable, "-c", APPLICATION, library, path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        box.opened.append(self)

    def tell(self, word, value):
        self.process.stdin.write("%s %s\n" % (word, value))
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        expect(said in ("ok", "none"), "%s %s: %r", word, value, said)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def rows_of(path):
    db = sqlite3.connect(path, timeout=10)
    rows = [r[0] for r in db.execute("SELECT id FROM t ORDER BY id")]
    answer = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    expect(answer == "ok", "integrity_check: %s", answer)
    return rows


def ids_of(lines):
    return [parse_line(line)["after"]["id"] for line in lines]


def end(box, tail, how):
    if how == "killed":
        tail.kill()
    else:
        box.stop(tail)


def lines_of(path):
    with open(path, "rb") as source:
        return source.read().splitlines(keepends=True)


# -- an application whose lock was cancelled -------------------------------------------


def lock_cancelled(box, library, files, how):
    """The application touches its own files; rowtail ends, perhaps comes again; the
    application commits and dies. All rows are there, and each is an event."""
    writer, path = box.database(TABLE)
    writer.close()
    args = [path, "--state", box.path("state"), "--to", "file:" + box.path("out")]
    application = Application(box, path, library)
    application.tell("add", 2)
    tail = box.tail(*args, "--snapshot")
    application.tell("add", 3)
    for name in files:
        application.tell("touch", name)
    end(box, tail, how)
    application.tell("add", 5)
    tail = box.tail(*args)
    for name in files:
        application.tell("touch", name)
    application.tell("add", 5)
    end(box, tail, how)
    tail = box.tail(*args)
    application.tell("add", 5)
    end(box, tail, how)
    application.tell("add", 5)
    application.kill()
    rows = rows_of(path)
    expect(rows == list(range(1, 26)), "%d rows of 25: %s", len(rows), rows)
    box.run(*args, "--once")
    got = ids_of(lines_of(box.path("out")))
    expect(got == list(range(1, 26)), "%d events of 25: %s", len(got), got)


FILES = (["db"], ["db", "wal"], ["db", "wal", "shm"], ["shm"])


def cancelled_in_all_ways(box, library):
    folder, runs = box.folder, 0
    for files in FILES:
        for how in ("stopped", "killed"):
            box.folder = os.path.join(folder, "%d" % runs)
            os.mkdir(box.folder)
            try:
                lock_cancelled(box, library, files, how)
            finally:
                box.folder = folder
            runs += 1
    return runs, None


def test_an_application_that_cancelled_its_lock_loses_nothing(box):
    return cancelled_in_all_ways(box, "std")


def test_an_application_with_another_sqlite_that_cancelled_its_lock(box):
    return cancelled_in_all_ways(box, "apsw")


def test_without_a_state_directory_beside_a_cancelled_lock(box):
    writer, path = box.database(TABLE)
    writer.close()
    application = Application(box, path, "std")
    events = 0
    for _ in range(5):
        tail = box.tail(path)
        application.tell("add", 3)
        application.tell("touch", "db")
        application.tell("add", 2)
        expect(tail.wait_lines(5), "%d events of 5", tail.available())
        events += tail.available()
        box.stop(tail)
        application.tell("add", 2)
    application.kill()
    rows = rows_of(path)
    expect(rows == list(range(1, 36)), "%d rows of 35", len(rows))
    expect(events == 25, "%d events of 25", events)


test_an_application_that_cancelled_its_lock_loses_nothing.timeout = 120
test_an_application_with_another_sqlite_that_cancelled_its_lock.timeout = 120


def test_the_wal_is_cleared_beside_a_cancelled_lock(box):
    """Commits as far apart as rowtail's rest is long: the WAL is emptied just then."""
    runs, each = 20, 4
    databases = []
    for i in range(runs):
        folder = box.path("%d" % i)
        os.mkdir(folder)
        writer, path = box.database(TABLE, name="%d/app.db" % i)
        writer.close()
        databases.append((path, Application(box, path, "std")))
    tails = [box.tail(path, wait=False) for path, _ in databases]
    for tail in tails:
        tail.wait_following(30)
    rng = random.Random(4)
    for _, application in databases:
        application.tell("add", 3)
        application.tell("touch", "db")
        application.tell("touch", "shm")
    for _ in range(each):
        time.sleep(0.99 + rng.random() * 0.06)
        for _, application in databases:
            application.tell("add", 1)
    for (path, application), tail in zip(databases, tails):
        expect(tail.process.poll() is None, "ended: %s", tail.error_text())
        expect(tail.wait_lines(3 + each), "%d events of %d\n%s", tail.available(),
               3 + each, tail.error_text())
        got = ids_of(tail.take_all())
        expect(got == list(range(1, 4 + each)), "events: %s", got)
        box.stop(tail)
        application.kill()
        expect(len(rows_of(path)) == 3 + each, "%d rows", len(rows_of(path)))
    return runs, None


test_the_wal_is_cleared_beside_a_cancelled_lock.timeout = 120
# -- starts and stops beside a program that opens, writes and closes -------------------

LOOP = """
import os, sqlite3, sys, time
path, stop, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
commits, problems = 0, []
start = time.monotonic()
while not os.path.exists(stop):
    step = "opened"
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=0)
        db.execute("PRAGMA synchronous=OFF")
        step = "written"
        db.execute("INSERT INTO t VALUES (%d, 'row')" % (commits + 1))
        commits += 1
    except sqlite3.Error as problem:
        problems.append("%s %s when %s after %d commits, %.3f s" % (
            getattr(problem, "sqlite_errorname", ""), problem, step, commits,
            time.monotonic() - start))
    db.close()
    time.sleep(pause)
print(commits)
print("\\n".join(problems))
"""


def storm(box, args, count, pause, seed, env=None):
    """`count` starts and stops of rowtail; (commits, what the program complained of)."""
    rng = random.Random(seed)
    program = subprocess.Popen(
        [sys.executable, "-c", LOOP, args[0], box.path("end"), "%g" % pause],
        stdout=subprocess.PIPE, text=True)
    try:
        for i in range(count):
            tail = box.tail(*args, wait=False, env=env)
            if rng.random() < 0.8:
                tail.wait_following(30)
                time.sleep(rng.random() * 0.03)
                box.stop(tail)
            else:  # somewhere in its start, perhaps before it handles signals
                time.sleep(rng.random() * 0.03)
                expect(tail.stop() in (0, -signal.SIGTERM), "%s", tail.error_text())
            tail.close()
            box.opened.remove(tail)
            time.sleep(rng.random() * 0.03)
    finally:
        with open(box.path("end"), "w"):
            pass
        said = program.communicate()[0].split("\n")
    problems = [line for line in said[1:] if line]
    # One is SQLite's own affair: of two who open at the same moment, when nobody has the
    # database open, one is told so where a busy machine stops the other just then.
    moments = {re.search("after ([0-9]+) commits", line).group(1) for line in problems}
    expect(len(moments) <= 1, "%d of %s commits failed: %s", len(problems), said[0],
           problems[:3])
    rows = rows_of(args[0])
    expect(rows == list(range(1, int(said[0]) + 1)), "%d rows of %s", len(rows), said[0])
    return int(said[0])


def test_starts_and_stops_cost_no_busy(box):
    total = 0
    for seed, pause in ((1, 0), (2, 0.001)):
        writer, path = box.database(TABLE, name="app-%d.db" % seed)
        writer.close()
        total += storm(box, [path, "--quiet"], 80, pause, seed)
        os.unlink(box.path("end"))
    return 160, "%d commits beside 160 starts and stops" % total


def test_starts_and_stops_cost_no_busy_however_long_their_locks_last(box):
    slow = box.preloading("slow_lock", SLOW_LOCK_US="3000")
    writer, path = box.database(TABLE)
    writer.close()
    commits = storm(box, [path, "--quiet"], 60, 0, 4, slow)
    return 60, "%d commits beside 60 slow starts and stops" % commits


def test_starts_and_stops_with_a_state_directory_cost_no_busy_and_no_event(box):
    writer, path = box.database(TABLE)
    writer.close()
    args = [path, "--state", box.path("state"), "--to", "file:" + box.path("out"),
            "--quiet"]
    commits = storm(box, args, 80, 0.001, 3)
    box.run(*args, "--once")
    got = ids_of(lines_of(box.path("out")))
    expect(got == list(range(1, commits + 1)), "%d events of %d commits", len(got),
           commits)
    return 80, "%d commits beside 80 starts and stops with a state directory" % commits


test_starts_and_stops_cost_no_busy.timeout = 180
test_starts_and_stops_with_a_state_directory_cost_no_busy_and_no_event.timeout = 180
test_starts_and_stops_cost_no_busy_however_long_their_locks_last.timeout = 180


TEARER = """
import fcntl, mmap, os, sqlite3, sys, time
path, stop = sys.argv[1:]
db = sqlite3.connect(path, isolation_level=None)
db.execute("SELECT count(*) FROM t").fetchone()
fd = os.open(path + "-shm", os.O_RDWR)       # never closed: that drops SQLite's locks
header = mmap.mmap(fd, 136)
writes = refused = 0

def lock():
    global refused
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 120)
        return True
    except OSError:
        refused += 1
        return False

while not os.path.exists(stop):
    for _ in range(200):
        before = refused
        took = 0
        if lock():
            whole = header[48:96]            # the second copy; SQLite writes it first
            start = time.monotonic()
            header[48:96] = os.urandom(48)   # as a commit has it, never the same
            time.sleep(0.00005)
            header[48:96] = whole
            took = time.monotonic() - start
            fcntl.lockf(fd, fcntl.LOCK_UN, 1, 120)
            writes += 1
        for _ in range(100):                 # the next transactions
            if lock():
                fcntl.lockf(fd, fcntl.LOCK_UN, 1, 120)
        if took > 0.004:                     # as good as dead: that may be mended
            refused = before
print(writes, refused)
"""


def test_a_header_that_is_being_written_is_left_to_its_writer(box):
    """SQLite takes the write lock to make it anew, and the writer's next transaction
    is told SQLITE_BUSY. The more surely, the longer each lock lasts."""
    writer, path = box.database(TABLE)
    slow = box.preloading("slow_lock", SLOW_LOCK_US="1000")
    program = subprocess.Popen([sys.executable, "-c", TEARER, path, box.path("end")],
                               stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(80):
            result = box.run(path, "--once", "--snapshot", "--quiet", env=slow)
            expect(result.code == 0, "%s", result)
    finally:
        with open(box.path("end"), "w"):
            pass
        writes, refused = map(int, program.communicate()[0].split())
    writer.close()
    expect(writes > 0 and refused == 0, "refused %d times, got %d", refused, writes)
    return 80, "a header written %d times" % writes


test_a_header_that_is_being_written_is_left_to_its_writer.timeout = 120


def test_the_wal_is_emptied_as_soon_as_nobody_is_there(box):
    """What is put in the database's place meets what is in its WAL: so not only after
    the second that a database has to rest otherwise. The quickest of ten counts."""
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    quickest = 60.0
    for i in range(10):
        writer.sql("c", "INSERT INTO t VALUES (NULL, 'row')")
        writer.close_connection("c")
        start = time.monotonic()
        box.wait_until(lambda: os.path.getsize(path + "-wal") == 0, 10,
                       "the WAL is not emptied")
        quickest = min(quickest, time.monotonic() - start)
        time.sleep(1.1)                     # a pause: it is not closed all the time
        writer.open("c", path)
    expect(quickest < 0.9 * box.slow, "the quickest took %.3f s", quickest)
    expect(tail.wait_lines(10), "no events")
    box.stop(tail)


# -- what SQLite would do by itself ----------------------------------------------------


def test_a_rollback_journal_is_its_applications_matter(box):
    """SQLite would take an exclusive lock, write to the file and delete the journal."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'row')")
    writer.close()
    with open(path + "-journal", "wb") as out:
        out.write(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    result = box.run(path, "--once", "--snapshot")
    expect(result.code == 3 and b"-journal" in result.err, "%s", result)
    expect(os.path.getsize(path + "-journal") == 512, "the journal was touched")
    expect(rows_of(path) == [1], "the application cannot open it")


def test_what_it_leaves_can_be_used_by_all_who_could_before(box):
    """Stopped, it leaves an empty WAL and -shm with the database's owner and mode."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'row')")
    writer.close()
    os.chmod(path, 0o640)
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
    want = os.stat(path)
    for _ in range(2):
        box.stop_with_empty_wal(box.tail(path), path)
        for suffix in ("-wal", "-shm"):
            got = os.stat(path + suffix)
            expect((got.st_mode, got.st_uid, got.st_gid)
                   == (want.st_mode, want.st_uid, want.st_gid), "%s: mode %o, owner %d",
                   suffix, got.st_mode, got.st_uid)
    db = sqlite3.connect(path)
    mode = db.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    db.close()
    expect(mode == "delete", "journal_mode is %s", mode)
    expect(not os.path.exists(path + "-wal"), "the WAL is left")


def test_a_reader_without_rights_waits_beside_what_was_left(box):
    """The files that a stopped run left are no application."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'row')")
    writer.close()
    box.need(None if os.getuid() == 0 else "only root can run it as another user")
    os.chmod(box.folder, 0o755)
    box.stop(box.tail(path))

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    tail = box.tail(path, wait=False, preexec=nobody)
    box.wait_until(lambda: any("waiting until" in e for e in tail.errors), 10,
                   "it does not say that it waits")
    expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (2, 'row')")
    tail.wait_following(10)
    writer.sql("c", "INSERT INTO t VALUES (3, 'row')")
    expect(tail.wait_lines(1), "no event")


PR_CAPBSET_DROP, CAP_CHOWN = 24, 0


def insert_as(user, path, answers, go_on):
    """An application that commits, waits, commits, and stays; never returns."""
    try:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("INSERT INTO t VALUES (2, 'row')")
        os.write(answers, b"y")
        os.read(go_on, 1)
        db.execute("INSERT INTO t VALUES (3, 'row')")
        os.write(answers, b"y")
        os.read(go_on, 1)
    finally:
        os._exit(1)


def test_a_root_that_may_not_give_files_away_is_not_the_first(box):
    """As in a container without CAP_CHOWN: -wal and -shm would stay root's."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'row')")
    writer.close()
    box.need(None if os.getuid() == 0 else "only root can be root without a capability")
    owner = 64321
    for name in (box.folder, path):
        os.chown(name, owner, owner)

    def without_chown():
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0)
    result = box.run(path, "--once", "--snapshot", preexec=without_chown)
    expect(result.code == 3 and "CAP_CHOWN" in result.error_lines[-1], "%s", result)
    expect(os.listdir(box.folder) == ["app.db"], "files: %s", os.listdir(box.folder))
    tail = box.tail(path, wait=False, preexec=without_chown)
    box.wait_until(lambda: any("waiting until" in e for e in tail.errors), 10,
                   "it does not say that it waits")
    answers, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        insert_as(owner, path, answers[1], go_on[0])
    os.close(answers[1])
    expect(os.read(answers[0], 1) == b"y", "the application cannot write")
    tail.wait_following(10)
    os.write(go_on[1], b"y")
    expect(os.read(answers[0], 1) == b"y", "the application cannot write on")
    expect(tail.wait_lines(1), "no event")
    for suffix in ("-wal", "-shm"):
        expect(os.stat(path + suffix).st_uid == owner, "%s is not its", suffix)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    box.stop(tail)

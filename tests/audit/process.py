"""Which process wrote: rows carry the pid of who wrote them, and the log never says
another one."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time

from audit.log import Audited, TABLE
from harness.box import NotRun, expect, use_faults

ON = ("-D", "audit.process=true")
FLAGS = 0x80 | 0x2 | 0x1                # FAN_REPORT_PIDFD, FAN_NONBLOCK, FAN_CLOEXEC

WRITER = r"""
import os, random, sqlite3, sys, time
path, sync, seed, pause = sys.argv[1:5]
chance = random.Random(seed)
connection = sqlite3.connect(path, timeout=60, isolation_level=None)
sql = connection.execute
sql("PRAGMA synchronous=" + sync)
sql("PRAGMA cache_size=8")
for _ in range(int(sys.argv[5])):
    kind = chance.random()
    many = 400 if kind < 0.02 else 1     # more than fits into the cache
    sql("BEGIN IMMEDIATE")
    for _ in range(many):
        sql("INSERT INTO t(a) VALUES (? || substr(?, 1, ?))",
            (os.getpid(), " " * 2000, 2000 if many > 1 else 0))
    sql("ROLLBACK" if 0.02 < kind < 0.06 or 0 < kind < 0.004 else "COMMIT")
    time.sleep(chance.random() * 2 * float(pause))
print("done")
sys.stdin.read()
"""


def need_fanotify():
    """Nothing of rowtail is asked: can the kernel tell us who writes?"""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fanotify_init"):
        raise NotRun("no fanotify in this libc")
    fd = libc.fanotify_init(FLAGS, os.O_RDONLY)
    if fd < 0:
        raise NotRun("fanotify with pidfds is not to be had here (CAP_SYS_ADMIN, Linux "
                     "5.15): " + os.strerror(ctypes.get_errno()))
    os.close(fd)


def await_all(audited):
    """All is in the log that is in the database."""
    last = b'"table":"t","key":{"id":%d},' % max(row[0] for row in audited.rows())

    def has_last():
        with open(audited.path, "rb") as file:
            return last in file.read()

    audited.box.wait_until(has_last, timeout=60)


def stop(audited, tail):
    await_all(audited)
    audited.box.stop(tail)


class Writers:
    def __init__(self, box, path):
        self.box, self.path, self.all = box, path, []

    def start(self, sync="NORMAL", seed=0, pause=0.002, count=150, **more):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, self.path, sync, str(seed), str(pause),
             str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        self.box.opened.append(self.Ended(process))
        self.all.append(process)
        return process

    class Ended:
        def __init__(self, process):
            self.process = process

        def close(self):
            if self.process.poll() is None:
                self.process.kill()
            self.process.communicate()

    def done(self):
        """All have written; they are still there."""
        for process in self.all:
            expect(process.stdout.readline() == b"done\n", "a writer failed")


def pids_of(line):
    if "process" in line:
        return [line["process"]["pid"]]
    return [who["pid"] for who in line.get("process_candidates", [])]


def check(log, absent=0):
    """0 wrong, the true one is always among them; returns (alone, several, nobody)."""
    found = [0, 0, 0]
    for line in log.of("insert"):
        true, pids = int(line["new"]["a"]), pids_of(line)
        expect("process" not in line or "process_candidates" not in line, "%s", line)
        if not pids or "catch_up" in line or "merged" in line:
            expect("merged" in line or "catch_up" in line or absent, "nobody: %s", line)
            expect(not pids, "somebody: %s", line)
            found[2] += 1
            continue
        expect(true in pids, "%d is not among %s: %s", true, pids, line["n"])
        expect(len(pids) > 1 or "process" in line, "one candidate: %s", line)
        expect(pids == [true] or "process" not in line, "wrong: %s", line)
        found[0 if len(pids) == 1 else 1] += 1
    return found


def followed(box, name="app"):
    need_fanotify()
    _, path = box.database(TABLE, name=name + ".db")
    audited = Audited(box, path, *ON)
    audited.path, audited.state = box.path(name + ".audit"), box.path(name + "-state")
    return audited, audited.start(), Writers(box, path)


def test_the_process_that_wrote_is_named(box):
    box.need("valgrind has no pidfds" if box.options.wrapper else "")
    audited, tail, writers = followed(box)
    writer = writers.start(count=20)
    writers.done()
    stop(audited, tail)
    log = audited.matches()
    check(log)
    for line in log.of("insert"):
        who = line["process"]
        expect(who["exe"] == os.path.realpath("/proc/%d/exe" % writer.pid), "%s", who)
        expect(who["uid"] == os.getuid(), "%s", who)
        expect(list(who) == [name for name in ("pid", "exe", "uid", "loginuid", "unit")
                             if name in who], "another order: %s", who)
    order = list(log.of("insert")[0])
    expect(order[-1] == "process", "%s", order)
    audited.verify()


def storm(box, count, pause):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    for sync in ("NORMAL", "FULL"):
        audited, tail, writers = followed(box, sync)
        for i in range(count):
            writers.start(sync, seed + i, pause)
        writers.done()
        stop(audited, tail)
        alone, several, nobody = check(audited.matches(signatures="last"))
        print("%d writers, %s: %d alone, %d one of several, %d merged" % (
            count, sync, alone, several, nobody))


def test_one_writer_is_always_named(box):
    storm(box, 1, 0)


def test_of_two_writers_none_is_named_wrong(box):
    storm(box, 2, 0.003)


def test_of_three_writers_without_a_pause_none_is_named_wrong(box):
    storm(box, 3, 0)


def test_a_commit_that_is_seen_long_after_its_frames_is_not_somebody_elses(box):
    """Where syncs are slow, the process has been told of long before its header."""
    audited, tail, writers = followed(box)
    env = box.preloading("slow_sync", SLOW_SYNC_US="40000")
    for i in range(2):
        writers.start("FULL", i, 0.01, 15, env=env)
    writers.done()
    stop(audited, tail)
    check(audited.matches(signatures="last"))


def test_writers_that_are_killed_leave_no_wrong_name(box):
    audited, tail, writers = followed(box)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    for i in range(12):
        victims = [writers.start("NORMAL", seed + i, 0, 100000) for _ in range(2)]
        time.sleep(0.1 + chance.random() * 0.3)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
    writers.all = []
    writers.start(count=3)
    writers.done()
    stop(audited, tail)
    check(audited.matches(signatures="last"))


def test_shells_that_are_gone_at_once_have_their_number_at_least(box):
    box.need_tool("sqlite3")
    audited, tail, _ = followed(box)
    for _ in range(60):
        subprocess.run(["sh", "-c", "exec sqlite3 \"$1\" \"INSERT INTO t(a) VALUES "
                        "($$)\"", "sh", audited.database], check=True)
        time.sleep(0.03)                # rowtail empties the WAL now and then
    stop(audited, tail)
    log = audited.matches(signatures="last")
    check(log)
    for line in log.of("insert"):
        expect(tail.process.pid not in pids_of(line), "rowtail itself: %s", line)
    exes = [line.get("process", {}).get("exe", "") for line in log.of("insert")]
    print("%d of %d shells have their program" % (
        len([exe for exe in exes if exe]), len(exes)))
    expect(all(exe in ("", os.path.realpath(box.need_tool("sqlite3"))) for exe in exes),
           "%s", set(exes))


def test_what_came_while_nobody_followed_names_nobody(box):
    audited, tail, writers = followed(box)
    writers.start(count=5)
    writers.done()
    stop(audited, tail)
    writers.all[0].communicate()
    writers.all = []
    writers.start(count=5)              # the WAL goes on: they are taken as they were
    writers.done()
    tail = audited.start()
    writers.all = []
    writers.start(count=5)
    writers.done()
    stop(audited, tail)
    for process in writers.all:
        process.communicate()
    alone, _, nobody = check(audited.matches(), absent=True)
    expect(alone > 0 and nobody > 0, "%d alone, %d of nobody", alone, nobody)


def test_what_was_captured_before_a_kill_is_named_after_it(box):
    need_fanotify()
    use_faults(box)
    writer, path = box.database(TABLE)
    audited = Audited(box, path, *ON)
    audited.once()
    tail = audited.start(env=dict(os.environ, ROWTAIL_KILL="capture-synced:5"))
    for number in range(1, 50):
        writer.sql("c", "INSERT INTO t VALUES (%d, %d)" % (number, writer.process.pid))
        text = b'"key":{"id":%d}' % number
        box.wait_until(lambda: tail.process.poll() is not None or
                       text in open(audited.path, "rb").read())
        if tail.process.poll() is not None:
            break
    expect(tail.wait_exit(20) == -signal.SIGKILL and number > 1, "it was not killed")
    expect(text not in open(audited.path, "rb").read(), "it was told before the kill")
    stop(audited, audited.start())
    alone, _, _ = check(audited.matches())
    expect(alone == number, "%d of %d are named", alone, number)


def test_of_another_pid_namespace_nobody_is_known(box):
    need_fanotify()
    unshare = [box.need_tool("unshare"), "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise NotRun("no PID namespace can be made here")
    _, path = box.database(TABLE)
    audited = Audited(box, path, *ON)
    box.need("valgrind is a wrapper of its own" if box.options.wrapper else "")
    box.options.wrapper = " ".join(unshare)
    tail = audited.start()
    writers = Writers(box, path)
    writers.start(count=5)
    writers.done()
    await_all(audited)
    with open("/proc/%d/task/%d/children" % (tail.process.pid, tail.process.pid)) as file:
        os.kill(int(file.read().split()[0]), signal.SIGTERM)
    tail.wait_exit(20)
    box.options.wrapper = ""
    inserts = audited.log().of("insert")
    expect(inserts, "no lines")
    for line in inserts:
        expect(not pids_of(line), "somebody is named: %s", line)


def test_without_the_capability_it_is_refused(box):
    need_fanotify()
    _, path = box.database(TABLE)
    audited = Audited(box, path, *ON)
    command = [box.need_tool("setpriv"), "--bounding-set", "-sys_admin", "--inh-caps",
               "-sys_admin", *box.command(*audited.arguments("--once"))]
    result = box.run(command=command)
    expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)
    expect("CAP_SYS_ADMIN" in result.error_lines[0] and
           "setcap" in result.error_lines[0], "%s", result)
    expect(not os.path.exists(audited.path), "a log was begun")


def test_it_goes_with_an_audit_log_alone(box):
    _, path = box.database(TABLE)
    result = box.run(path, "--once", "--snapshot", *ON)
    expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)

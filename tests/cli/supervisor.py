"""What a service manager is told, and the units that are shipped for one."""

import glob
import os
import re
import signal
import socket
import subprocess
import threading
import time

from harness.box import NotRun, TESTS, expect, use_faults

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
PACKAGING = os.path.join(os.path.dirname(TESTS), "packaging")


class Manager:
    """systemd's end of its notify protocol: (monotonic time, text)."""

    def __init__(self, box, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = "\0" + box.path("notify") if abstract else box.path("notify")
        self.socket.bind(self.name)
        self.told = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            text = self.socket.recv(4096).decode()
            if text == "end":
                return
            self.told.append((time.monotonic(), text))

    def env(self, **more):
        return dict(os.environ, NOTIFY_SOCKET=self.name.replace("\0", "@"), **more)

    def has(self, text):
        return any(t == text for _, t in list(self.told))

    def kicks(self):
        return [at for at, text in list(self.told) if text == "WATCHDOG=1"]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(b"end", self.name)
        self.thread.join()
        self.socket.close()


def begin(box, *args, **env):
    writer, path = box.database(TABLE)
    manager = Manager(box)
    tail = box.tail(path, *args, env=manager.env(**env))
    return writer, path, manager, tail


def test_ready_is_told_when_it_follows_and_stopping_at_a_stop(box):
    for abstract in (False, True):
        writer, path = box.database(TABLE, name="app%d.db" % abstract)
        manager = Manager(box, abstract)
        tail = box.tail(path, env=manager.env())
        box.wait_until(lambda: manager.has("READY=1\nSTATUS=following " + path))
        writer.sql("c", "INSERT INTO t VALUES (1, 1)")
        expect(tail.wait_lines(1), "no event")
        with open("/proc/%d/environ" % tail.pid, "rb") as file:
            expect(b"NOTIFY_SOCKET" in file.read(), "it was not given")
        expect(not manager.has("STOPPING=1\nSTATUS=stopping"), "too early")
        box.stop(tail)
        expect(manager.has("STOPPING=1\nSTATUS=stopping"), "%s", manager.told)
        expect([t for _, t in manager.told if t.startswith("READY")] ==
               ["READY=1\nSTATUS=following " + path], "%s", manager.told)
        expect(not manager.kicks(), "a watchdog that nobody asked for")
        manager.close()


def test_a_start_that_fails_is_never_ready(box):
    manager = Manager(box)
    result = box.run(box.path("nothing.db"), env=manager.env())
    expect(result.code == 3 and not manager.told, "%s, %s", result, manager.told)
    manager.close()


def test_an_address_that_is_none_is_not_minded(box):
    writer, path = box.database(TABLE)
    for name in ("", "@", "relative", "/" + "x" * 200, box.path("nobody")):
        tail = box.tail(path, env=dict(os.environ, NOTIFY_SOCKET=name, WATCHDOG_USEC="1"))
        box.stop(tail)


def test_the_watchdog_is_fed_while_a_reader_stands_still(box):
    writer, path = box.database(TABLE)
    manager = Manager(box)
    tail = box.tail(path, take=False, env=manager.env(WATCHDOG_USEC="2000000"))
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                    "FROM n WHERE i < 3000) SELECT i, 'text' FROM n")
    count = len(manager.kicks())
    box.wait_until(lambda: len(manager.kicks()) >= count + 4, timeout=60)
    tail.start_taking()
    expect(tail.wait_lines(3000), "not all events")
    box.stop(tail)
    manager.close()


def test_the_watchdog_is_not_fed_while_nothing_is_captured(box):
    """One commit takes the capture thread some seconds."""
    use_faults(box)
    writer, path, manager, tail = begin(box, WATCHDOG_USEC="1000000",
                                        ROWTAIL_SLEEP="capture-made:4000000")
    box.wait_until(lambda: len(manager.kicks()) >= 3)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1, 30), "no event")
    count = len(manager.kicks())
    box.wait_until(lambda: len(manager.kicks()) > count + 2, timeout=60)
    kicks = manager.kicks()
    longest = max(b - a for a, b in zip(kicks, kicks[1:]))
    expect(longest > 2, "fed all the time, %.1f s at most between two", longest)
    box.stop(tail)
    manager.close()


def test_another_process_s_watchdog_is_not_fed(box):
    writer, path, manager, tail = begin(box, WATCHDOG_USEC="200000", WATCHDOG_PID="1")
    box.wait_until(lambda: any(t.startswith("READY") for _, t in manager.told))
    time.sleep(0.5)
    expect(not manager.kicks(), "it was fed")
    box.stop(tail)
    manager.close()


def test_a_database_that_is_to_come_is_waited_for(box):
    """Not there, empty, not in WAL mode, then it is; nothing that follows is missed."""
    path = box.path("later.db")
    manager = Manager(box)
    tail = box.tail(path, "--wait", "--state", box.path("state"), wait=False,
                    env=manager.env())

    def waits_as_it(lacks):
        box.wait_until(lambda: any(re.search(r"%s %s yet: waiting$" % (
            re.escape(path), lacks), t) for t in tail.errors))
    waits_as_it("is not there")
    expect(manager.has("STATUS=waiting for the database"), "%s", manager.told)
    open(path, "w").close()
    waits_as_it("is empty")
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", TABLE, "INSERT INTO t VALUES (1, 'before')")
    waits_as_it("is not in WAL mode")
    expect(not any(t.startswith("READY") for _, t in manager.told), "%s", manager.told)
    writer.sql("c", "PRAGMA journal_mode=WAL")
    tail.wait_following(20)
    writer.sql("c", "INSERT INTO t VALUES (2, 'after')")
    expect(tail.wait_lines(2), "no events: %s", tail.error_text())
    box.stop(tail)
    manager.close()


def test_a_service_is_not_ended_by_a_wish_to_reopen(box):
    """Seen: of a sink that has nothing to reopen it was the end, which is a clean one."""
    for number, more in enumerate(([], ["--to", "none", "--state", box.path("s"),
                                        "--archive", box.path("a")])):
        writer, path = box.database(TABLE, name="app%d.db" % number)
        manager = Manager(box, abstract=bool(number))
        tail = box.tail(path, *more, env=manager.env())
        tail.process.send_signal(signal.SIGHUP)
        writer.sql("c", "INSERT INTO t VALUES (1, 1)")
        if not more:
            expect(tail.wait_lines(1), "no event: %s", tail.error_text())
        box.stop(tail)
        manager.close()


def test_what_is_a_link_once_it_is_there_is_followed_by_the_next_start(box):
    """Seen: the state directory was beside the link, and the next time beside the file."""
    os.mkdir(box.path("data"))
    os.mkdir(box.path("releases"))
    os.symlink("releases", box.path("current"))
    args = ["--wait", "--to", "file:" + box.path("out")]
    tail = box.tail(box.path("app.db"), *args, wait=False)
    box.wait_until(lambda: any("waiting" in t for t in tail.errors))
    os.symlink("data/app.db", box.path("app.db"))
    writer, _ = box.database(TABLE, "INSERT INTO t VALUES (1, 1)", name="data/app.db")
    expect(tail.wait_exit(20) == 3, "%s", tail.error_text())
    expect("start rowtail again" in tail.error_text(), "%s", tail.error_text())
    for _ in range(2):
        tail = box.tail(box.path("app.db"), *args)
        box.wait_until(lambda: os.path.getsize(box.path("out")) > 0)
        box.stop(tail)
    with open(box.path("out")) as file:
        expect(len(file.readlines()) == 1, "more than once")
    expect(not os.path.exists(box.path("app.db-rowtail")), "a directory beside the link")
    # A folder that is a link is not.
    tail = box.tail(box.path("current/b.db"), "--wait", "--to", "file:" + box.path("b"),
                    wait=False)
    box.wait_until(lambda: any("waiting" in t for t in tail.errors))
    writer, _ = box.database(TABLE, name="releases/b.db")
    tail.wait_following(20)
    box.stop(tail)
    expect(os.path.isdir(box.path("releases/b.db-rowtail")), "%s",
           os.listdir(box.path("releases")))


def test_who_waits_may_be_stopped(box):
    tail = box.tail(box.path("never.db"), "--wait", wait=False)
    box.wait_until(lambda: any("waiting" in t for t in tail.errors))
    box.stop(tail)
    expect(not os.path.exists(box.path("never.db")), "it was made")


def test_what_is_no_database_is_not_waited_for(box):
    with open(box.path("text.db"), "w") as file:
        file.write("no database" * 100)
    os.mkdir(box.path("folder.db"))
    for name in ("text.db", "folder.db"):
        result = box.run(box.path(name), "--wait", timeout=20)
        expect(result.code == 3, "%s", result)


# -- what is shipped -------------------------------------------------------------------


def units():
    return sorted(glob.glob(os.path.join(PACKAGING, "*.service")))


def test_units_are_closed(box):
    """As systemd judges it, 10 is open to all."""
    if not os.access("/usr/bin/systemd-analyze", os.X_OK):
        raise NotRun("systemd is not installed")
    expect(len(units()) >= 6, "%s", units())
    for path in units():
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        found = re.search(r"exposure level for \S+: (\d+\.\d+)", done.stdout.decode())
        if not found:
            raise NotRun("this systemd does not judge files")
        expect(float(found[1]) <= 3, "%s: %s", path, found[1])
    return len(units())


def test_units_begin_rowtail_with_options_that_it_knows(box):
    """Each ExecStart is asked for --help, behind its own options."""
    count = 0
    for path in units():
        with open(path) as file:
            for line in re.findall(r"^ExecStart=(/usr/local/bin/rowtail .*)$", file.read(),
                                   re.M):
                words = [w for w in line.split()[1:] if not w.startswith("$")]
                result = box.run(*words, "--help")
                expect(result.code == 0, "%s: %s", path, result)
                count += 1
    expect(count >= 5, "%d units start rowtail", count)
    return count


def test_units_of_runs_that_follow_tell_when_they_are_ready(box):
    for path in units():
        with open(path) as file:
            text = file.read()
        if "/usr/local/bin/rowtail " in text:
            for line in ("Type=notify", "WatchdogSec=60", "TimeoutStartSec=infinity"):
                expect("\n%s\n" % line in text, "%s lacks %s", path, line)


def test_logrotate_takes_what_is_shipped_for_it(box):
    program = "/usr/sbin/logrotate"
    if not os.access(program, os.X_OK):
        raise NotRun("logrotate is not installed")
    os.mkdir(box.path("log"), 0o755)
    with open(os.path.join(PACKAGING, "rowtail.logrotate")) as file:
        text = file.read()
    expect("/var/log/rowtail/" in text, "it is of other files")
    text = text.replace("/var/log/rowtail", box.path("log"))
    text = re.sub(r"\tsu app app\n", "", text)
    writer, path = box.database(TABLE)
    out = box.path("log/app.jsonl")
    tail = box.tail(path, "--to", "file:" + out)
    text = re.sub(r"\t\tsystemctl .*\n", "\t\tkill -HUP %d\n" % tail.pid, text)
    with open(box.path("conf"), "w") as file:
        file.write(text)
    os.chmod(box.path("conf"), 0o644)
    for number in range(3):
        writer.sql("c", *["INSERT INTO t(a) VALUES ('%d')" % number] * 5)
        box.wait_until(lambda: os.path.getsize(out) > 0)
        subprocess.run([program, "-f", "-s", box.path("status"), box.path("conf")],
                       check=True)
        box.wait_until(lambda: os.path.exists(out))
    writer.sql("c", "INSERT INTO t(a) VALUES ('last')")

    def count():
        return sum(subprocess.run(["zcat" if name.endswith(".gz") else "cat", name],
                                  stdout=subprocess.PIPE, check=True).stdout.count(b"\n")
                   for name in glob.glob(out + "*"))
    box.wait_until(lambda: count() >= 16)
    box.stop(tail)
    expect(count() == 16, "%d lines of 16", count())

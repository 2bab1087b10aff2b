"""PocketBase, whose built-in backup reads all files of its database in its own process, and
so loses its locks on them. It is built once, where Go and its module can be had."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from harness.box import TESTS, Failed, NotRun, expect
from harness.events import parse_line

SOURCE = os.path.join(TESTS, "programs", "pocketbase")
BUILT = os.path.join(os.path.dirname(TESTS), "build", "pocketbase")
USER, PASSWORD = "a@example.com", "1234567890"


def build():
    """The path of the program."""
    program = os.path.join(BUILT, "pocketbase")
    if os.path.exists(program):
        return program
    if not shutil.which("go"):
        raise NotRun("Go is not installed")
    os.makedirs(BUILT, exist_ok=True)
    # Another run may be at it: each builds its own, the last one stays.
    mine = "%s.%d" % (program, os.getpid())
    try:
        done = subprocess.run(["go", "build", "-o", mine, "."], cwd=SOURCE, timeout=800,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        raise NotRun("PocketBase was not built within 800 s")
    if done.returncode != 0:
        raise NotRun("PocketBase cannot be built: %s"
                     % done.stdout.decode("utf-8", "replace").strip()[-300:])
    os.rename(mine, program)
    return program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PocketBase:
    def __init__(self, box, program, folder):
        subprocess.run([program, "superuser", "create", USER, PASSWORD, "--dir", folder],
                       check=True, stdout=subprocess.DEVNULL)
        self.port = free_port()
        self.token = None
        self.process = subprocess.Popen(
            [program, "serve", "--http", "127.0.0.1:%d" % self.port, "--dir", folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        box.opened.append(self)
        box.wait_until(self.log_in, 60, "PocketBase does not answer")

    def log_in(self):
        try:
            self.token = self.post("collections/_superusers/auth-with-password",
                                   identity=USER, password=PASSWORD)["token"]
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def post(self, what, **body):
        request = urllib.request.Request(
            "http://127.0.0.1:%d/api/%s" % (self.port, what),
            data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        if self.token:
            request.add_header("Authorization", self.token)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as problem:
            if self.token:
                raise Failed("%s: %s %s" % (what, problem, problem.read()[:300]))
            raise
        return json.loads(text) if text else None

    def add(self, first, last):
        for n in range(first, last + 1):
            self.post("collections/things/records", n=n)

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def numbers(folder):
    import sqlite3
    db = sqlite3.connect(os.path.join(folder, "data.db"), timeout=10)
    rows = sorted(int(r[0]) for r in db.execute("SELECT n FROM things"))
    answer = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    expect(answer == "ok", "integrity_check: %s", answer)
    return rows


def backup_then_restart(box, how):
    program, folder = build(), box.path("data-" + how)
    base = PocketBase(box, program, folder)
    base.post("collections", name="things", type="base",
              fields=[{"name": "n", "type": "number"}])
    out = box.path("out-" + how)
    args = [os.path.join(folder, "data.db"), "--state", box.path("state-" + how), "--to",
            "file:" + out, "-D", "table.include.list=things", "-D",
            "snapshot.mode=no_data"]
    tail = box.tail(*args)
    base.add(1, 5)
    base.post("backups", name="b.zip")
    if how == "killed":
        tail.kill()
    else:
        box.stop(tail)
    tail = box.tail(*args)
    base.add(6, 15)
    base.post("backups", name="c.zip")
    base.add(16, 25)
    time.sleep(0.2)
    if how == "killed":
        tail.kill()
        base.close()
    else:
        base.close()
        box.stop(tail)
    rows = numbers(folder)
    expect(rows == list(range(1, 26)), "%d records of 25: %s", len(rows), rows)
    box.run(*args, "--once")
    with open(out, "rb") as source:
        got = [int(parse_line(line)["after"]["n"]) for line in source]
    expect(got == list(range(1, 26)), "%d events of 25: %s", len(got), got)


def test_pocketbase_beside_rowtail_that_is_stopped(box):
    backup_then_restart(box, "stopped")


def test_pocketbase_beside_rowtail_that_is_killed(box):
    backup_then_restart(box, "killed")


test_pocketbase_beside_rowtail_that_is_stopped.timeout = 1000
test_pocketbase_beside_rowtail_that_is_killed.timeout = 1000

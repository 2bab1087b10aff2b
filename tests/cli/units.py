"""systemd's units: what is shipped, and what the documentation says of a pipe."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness.box import NotRun, expect

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROWS = 200

# Notes each event that it is done with; stands still after five until it may go on.
CONSUMER = """import json, os, sys, time
done = open(sys.argv[1], "a", buffering=1)
for number, line in enumerate(sys.stdin):
    while number >= 5 and not os.path.exists(sys.argv[1] + ".go"):
        time.sleep(0.01)
    done.write("%d\\n" % json.loads(line)["after"]["id"])
"""


def shipped():
    return sorted(glob.glob(os.path.join(ROOT, "packaging", "*.service")))


def of_rowtail():
    """Those that start it."""
    for path in shipped():
        with open(path) as file:
            if "ExecStart=/usr/local/bin/rowtail " in file.read():
                yield path


def settings(text):
    return dict(re.findall(r"^ *(\w+)=(.*)$", text, re.M))


def documented():
    """The unit for a pipe in docs/systemd.md."""
    with open(os.path.join(ROOT, "docs", "systemd.md")) as file:
        block = re.search(r"^    \[Service\]\n(    .*\n)+", file.read(), re.M)
    return block.group(0)


def verify(text, box, name):
    """What systemd says of a unit, with programs that are there."""
    for program in ("rowtail", "consume-events"):
        text = text.replace("/usr/local/bin/" + program, "/bin/true")
    path = box.path(name)
    with open(path, "w") as file:
        file.write(re.sub("(User|Group)=(app|rowtail)\n", r"\1=root\n", text))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = [line for line in done.stdout.decode().splitlines() if name in line]
    expect(not said, "%s: %s", name, said)
    return done.returncode


def test_systemd_takes_the_units(box):
    if not shutil.which("systemd-analyze"):
        raise NotRun("systemd-analyze is not installed")
    for path in shipped() + glob.glob(os.path.join(ROOT, "packaging", "*.path")):
        with open(path) as file:
            verify(file.read(), box, os.path.basename(path))
    verify(re.sub("(?m)^    ", "", documented()), box, "documented.service")


def test_the_units_that_are_shipped_cannot_lose(box):
    found = list(of_rowtail())
    expect(len(found) >= 3, "units: %s", found)
    for path in found:
        with open(path) as file:
            start = settings(file.read())["ExecStart"]
        if start.endswith(" $OPTIONS"):         # are elsewhere
            continue
        expect(re.search(r" --to (file:/|audit:/|kafka://|none .* --archive )", start)
               and "|" not in start
               and "--state=none" not in start and "disabled" not in start, "%s: %s",
               path, start)


def test_a_head_is_sent_and_kept_once_it_has_arrived(box):
    """The line of rowtail-audit-head.service, with another ssh."""
    with open(os.path.join(ROOT, "packaging", "rowtail-audit-head.service")) as file:
        line = re.fullmatch("/bin/sh -ec '(.*)'", settings(file.read())["ExecStart"]).group(1)
    head = box.path("app.audit.checkpoint")
    line = line.replace("/var/log/rowtail/app.audit.checkpoint", head)
    tools, state, arrived = box.path("tools"), box.path("sent"), box.path("arrived")
    for folder in (tools, state):
        os.mkdir(folder)
    with open(os.path.join(tools, "ssh"), "w") as file:
        file.write("#!/bin/sh\n[ ! -e %s ] && cat >>%s\n" % (box.path("cut"), arrived))
    os.chmod(os.path.join(tools, "ssh"), 0o755)
    environment = dict(os.environ, PATH=tools + ":" + os.environ["PATH"],
                       STATE_DIRECTORY=state, CREDENTIALS_DIRECTORY=box.folder)

    def send(text):
        with open(head, "w") as file:
            file.write(text)
        return subprocess.run(["/bin/sh", "-ec", line], env=environment).returncode
    kept = os.path.join(state, "sent.checkpoint")
    expect(send("first\n") == 0 and open(kept).read() == "first\n", "the first")
    open(box.path("cut"), "w").close()
    expect(send("second\n") != 0 and open(kept).read() == "first\n", "it did not arrive")
    os.remove(box.path("cut"))
    expect(send("third\n") == 0 and open(kept).read() == "third\n", "the third")
    expect(open(arrived).read() == "first\nthird\n", "%s", open(arrived).read())


class Pipe:
    """The pipe of the documentation, with a slow consumer, in a group of its own."""

    def __init__(self, box, path, done, unit):
        consumer = box.path("consume.py")
        with open(consumer, "w") as file:
            file.write(CONSUMER)
        # It has to be called rowtail, as it is where it is installed.
        program = box.path("rowtail")
        if not os.path.exists(program):
            os.symlink(os.path.abspath(box.options.rowtail), program)
        line = unit["ExecStart"].replace("/usr/local/bin/rowtail", program)
        line = line.replace("/srv/app/app.db", path)
        line = line.replace("/srv/app/events.state", box.path("state"))
        line = line.replace("/usr/local/bin/consume-events",
                            "exec %s %s %s" % (sys.executable, consumer, done))
        arguments = re.fullmatch(r"(\S+) -o pipefail -c '(.*)'", line)
        self.stop_line = re.fullmatch(r"/bin/sh -c '(.*)'", unit["ExecStop"]).group(1)
        self.done = done
        self.box = box
        self.taken = len(self.ids())    # by consumers before
        self.process = subprocess.Popen(
            [arguments.group(1), "-o", "pipefail", "-c", arguments.group(2)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True)
        for text in self.process.stderr:
            if text.startswith(b"rowtail: following"):
                break

    def stop_as_documented(self):
        stop = subprocess.Popen(["/bin/sh", "-c", self.stop_line],
                                env={**os.environ, "MAINPID": str(self.process.pid)})
        open(self.done + ".go", "w").close()            # after the stop has begun
        code = self.process.wait(60 * self.box.slow)    # as systemd does meanwhile
        expect(stop.wait(10 * self.box.slow) == 0, "ExecStop: exit %d", stop.returncode)
        expect(code == 0, "exit %s", code)

    def stop_by_default(self):
        """SIGTERM to all processes of the unit."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30 * self.box.slow)
        deadline = time.monotonic() + 30 * self.box.slow
        while time.monotonic() < deadline:              # rowtail, too, ends
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.01)

    def wait_some(self):
        """Until the consumer is at work."""
        deadline = time.monotonic() + 30 * self.box.slow
        before = self.taken
        while len(self.ids()) < before + 5:
            expect(time.monotonic() < deadline, "it takes nothing")
            time.sleep(0.005)

    def ids(self):
        if not os.path.exists(self.done):
            return []
        with open(self.done) as file:
            return [int(t) for t in file.read().split()]


def run_twice(box, stop):
    """Half of the rows, a stop in the middle of them, the other half: their ids."""
    if box.options.wrapper or not shutil.which("pkill"):
        raise NotRun("needs pkill, and rowtail by its name")
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    done = box.path("done")
    unit = settings(documented())
    for half in range(2):
        pipe = Pipe(box, path, done, unit)
        # One write(2) for all of them: they are in the pipe when some have come out.
        writer.sql("c", "BEGIN", *["INSERT INTO t VALUES (%d, 'x')" % (number + 1) for number
                                   in range(half * ROWS // 2, (half + 1) * ROWS // 2)],
                   "COMMIT")
        pipe.wait_some()
        if half == 0:
            stop(pipe)
        else:
            pipe.stop_as_documented()
    return pipe.ids()


def test_a_pipe_that_is_stopped_as_documented_loses_nothing(box):
    ids = run_twice(box, Pipe.stop_as_documented)
    expect(ids == list(range(1, ROWS + 1)), "%d events: %s", len(ids),
           sorted(set(range(1, ROWS + 1)) - set(ids))[:10])


def test_a_pipe_that_is_stopped_by_default_does_lose(box):
    """The documentation says so; if it were not true the other test would show nothing."""
    ids = run_twice(box, Pipe.stop_by_default)
    expect(0 < len(set(ids)) < ROWS, "%d events of %d", len(set(ids)), ROWS)

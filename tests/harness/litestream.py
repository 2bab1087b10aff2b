"""The real Litestream, which judges what is read from an archive: `make litestream` builds
it, LITESTREAM names another one."""

import os
import signal
import subprocess

from .box import TESTS, Failed, NotRun, expect

BUILT = os.path.join(os.path.dirname(TESTS), "build", "litestream", "litestream")
LTX = os.path.join(os.path.dirname(TESTS), "build", "litestream", "ltx")

CONFIG = """
socket:
  enabled: true
  path: {socket}
levels:
  - interval: {first}
  - interval: {second}
snapshot:
  interval: {snapshot}
  retention: 24h
dbs:
  - path: {database}
    monitor-interval: 100ms
    replica:
{replica}
      sync-interval: 100ms
"""

FOLDER = """      type: file
      path: {archive}"""


def find():
    """The path of the program."""
    program = os.environ.get("LITESTREAM") or BUILT
    if not os.path.exists(program):
        raise NotRun("no Litestream: make litestream builds it (with Go), "
                     "LITESTREAM=PATH names one")
    return program


def verify(paths):
    """Each of these files is one that `ltx verify` accepts."""
    if not os.path.exists(LTX):
        raise NotRun("no ltx: make litestream builds it (with Go)")
    for path in paths:
        done = subprocess.run([LTX, "verify", path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        expect(done.returncode == 0, "ltx verify %s: %s", path, done.stdout.decode())


class Program:
    """Litestream, to restore what lies at a URL."""

    def __init__(self, box, program, url):
        self.box = box
        self.program = program
        self.url = url

    def run(self, *args):
        return subprocess.run([self.program, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment(),
                              timeout=120 * self.box.slow)

    def restore(self, out, *args):
        """True: it restored; False: it would not."""
        return self.run("restore", *args, "-o", out, self.url).returncode == 0


class Litestream(Program):
    """Replicates one database into a folder, or to where `replica` says in its
    configuration, which `url` names on its command line."""

    def __init__(self, box, database, archive, first="30s", second="5m", snapshot="24h",
                 replica=None, url=None):
        super().__init__(box, find(), url or "file://" + archive)
        self.database = database
        self.socket = box.path("litestream.sock")
        self.process = None
        with open(box.path("litestream.yml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(
                socket=self.socket, database=database, first=first, second=second,
                snapshot=snapshot, replica=replica or FOLDER.format(archive=archive)))
        box.opened.append(self)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "replicate", "-config", self.box.path("litestream.yml")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.box.path("litestream.log"), "ab"), env=environment())
        self.box.wait_until(lambda: os.path.exists(self.socket), 60,
                            "Litestream has no socket")

    def sync(self):
        """All that is committed is in the archive."""
        def done():
            expect(self.process.poll() is None, "Litestream ended: %s", self.log())
            return self.run("sync", "-wait", "-socket", self.socket,
                            self.database).returncode == 0
        self.box.wait_until(done, 60, "Litestream does not sync")

    def log(self):
        with open(self.box.path("litestream.log"), encoding="utf-8") as file:
            return file.read()[-2000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60 * self.box.slow)
        except subprocess.TimeoutExpired:
            raise Failed("Litestream does not stop: %s" % self.log())

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def environment():
    """It does not start with AWS_CA_BUNDLE."""
    return {k: v for k, v in os.environ.items() if k != "AWS_CA_BUNDLE"}

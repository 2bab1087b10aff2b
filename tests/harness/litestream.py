"""The real Litestream, which judges what is read from an archive. It is built once, where
Go and its module can be had; LITESTREAM names another one."""

import fcntl
import os
import shutil
import signal
import subprocess

from .box import TESTS, Failed, NotRun, expect

VERSION = "v0.5.18"
MODULE = "github.com/benbjohnson/litestream/cmd/litestream@" + VERSION
BUILT = os.path.join(os.path.dirname(TESTS), "build", "litestream-" + VERSION)

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
      type: file
      path: {archive}
      sync-interval: 100ms
"""


def build():
    """The path of the program."""
    given = os.environ.get("LITESTREAM")
    if given:
        return given
    program = os.path.join(BUILT, "litestream")
    if os.path.exists(program):
        return program
    if not shutil.which("go"):
        raise NotRun("Go is not installed")
    os.makedirs(BUILT, exist_ok=True)
    # The checks run side by side: the first builds it, the others wait.
    lock = open(os.path.join(BUILT, "lock"), "w", encoding="utf-8")
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.path.exists(program):
        return program
    mine = "%s.%d" % (BUILT, os.getpid())
    try:
        done = subprocess.run(["go", "install", MODULE], timeout=1200,
                              env=dict(os.environ, GOBIN=mine, GOFLAGS=""),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0:
            os.rename(os.path.join(mine, "litestream"), program)
            return program
    except subprocess.TimeoutExpired:
        raise NotRun("Litestream was not built within 1200 s")
    finally:
        shutil.rmtree(mine, ignore_errors=True)
    raise NotRun("Litestream cannot be built: %s"
                 % done.stdout.decode("utf-8", "replace").strip()[-300:])


class Litestream:
    """Replicates one database into a folder."""

    def __init__(self, box, database, archive, first="30s", second="5m", snapshot="24h"):
        self.box = box
        self.program = build()
        self.database = database
        self.archive = archive
        self.socket = box.path("litestream.sock")
        self.process = None
        with open(box.path("litestream.yml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(
                socket=self.socket, database=database, archive=archive, first=first,
                second=second, snapshot=snapshot))
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

    def run(self, *args):
        return subprocess.run([self.program, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment(),
                              timeout=120 * self.box.slow)

    def restore(self, out, *args):
        """True: it restored; False: it would not."""
        return self.run("restore", *args, "-o", out,
                        "file://" + self.archive).returncode == 0

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

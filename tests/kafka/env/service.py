"""A server that a test starts, kills and starts again."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time

from .jars import EnvError, classpath

PR_SET_PDEATHSIG = 1
LOG4J = """status=error
appender.f.type=File
appender.f.name=f
appender.f.fileName=%s
appender.f.append=true
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=[%%d] %%p %%m (%%c)%%n
rootLogger.level=info
rootLogger.appenderRef.f.ref=f
"""


def free_port():
    """A port that nobody listens on and that no outgoing connection will get.

    One of the ephemeral range could be taken by a client, or even by the connection
    that tries to reach it, while the server is down.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first, last = map(int, file.read().split())
    while True:
        port = random.randrange(10000, 65000)
        if first <= port <= last:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Java:
    """One Java program with a log; `is_ready` of a subclass tells when it serves."""

    NAME = "java"
    START_S = 90
    HEAP = "-Xmx512m"

    def __init__(self, folder, tuned=False):
        """`tuned`: with the optimising compiler, for measurements."""
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.log = os.path.join(self.folder, self.NAME + ".log")
        self.process = None
        self.tuned = tuned

    def command(self, *arguments):
        log4j = os.path.join(self.folder, self.NAME + ".log4j2.properties")
        with open(log4j, "w") as file:
            file.write(LOG4J % self.log)
        speed = [] if self.tuned else ["-XX:TieredStopAtLevel=1"]
        return ["java", "-Xms64m", self.HEAP, "-XX:+UseSerialGC", "-XX:-UsePerfData",
                "-Xshare:auto", *speed, "-Djava.awt.headless=true",
                "-Dlog4j2.configurationFile=" + log4j, "-cp", classpath(),
                *[str(a) for a in arguments]]

    def launch(self, *arguments):
        command = self.command(*arguments)
        with open(os.path.join(self.folder, self.NAME + ".out"), "ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=die_with_parent)

    def wait_ready(self, mark):
        """`mark`: size of the log before this start."""
        deadline = time.monotonic() + self.START_S
        while not self.is_ready(self.logged(mark)):
            if self.process.poll() is not None:
                raise EnvError("%s ended at its start, exit %d; %s says:\n%s" % (
                    self.NAME, self.process.returncode, self.log, self.complaints()))
            if time.monotonic() > deadline:
                self.kill()
                raise EnvError("%s is not ready after %d s; %s says:\n%s" % (
                    self.NAME, self.START_S, self.log, self.complaints()))
            time.sleep(0.05)

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def logged(self, mark=0):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as file:
            file.seek(mark)
            return file.read()

    def complaints(self):
        lines = [t for t in self.logged().splitlines()
                 if " ERROR " in t or " FATAL " in t or "Exception" in t]
        with open(os.path.join(self.folder, self.NAME + ".out"),
                  errors="replace") as file:
            lines += file.read().splitlines()[-10:]
        return "\n".join(lines[-25:])

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """In order; killed if that takes too long."""
        self._end(signal.SIGTERM, 20)

    def kill(self):
        """kill -9."""
        self._end(signal.SIGKILL, 10)

    def _end(self, sig, seconds):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    close = stop

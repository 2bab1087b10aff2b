# SPDX-License-Identifier: Apache-2.0
"""The programs of a measurement: rowtail, the writers, and what they use of the machine."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

LAG_LIMIT_S = 1.0
EVENTS_BYTES = 512  # less than that are positions, not events
QUIET_S = 0.8  # nothing written for so long: everything is out
START_LIMIT_S = 120


class BenchError(Exception):
    """A measurement that could not be made; the text says why."""


def pinned(core, command):
    """The command, on one core where the machine has more than one."""
    cores = sorted(os.sched_getaffinity(0))
    if core is None or len(cores) < 2:
        return command
    return ["taskset", "-c", str(cores[core])] + command


def tmpfs_devices():
    devices = set()
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "tmpfs":
            try:
                devices.add(os.stat(fields[1]).st_dev)
            except OSError:
                pass
    return devices


class Usage:
    """What a process has used so far, read from outside."""

    def __init__(self, pid):
        self.pid = pid
        self.folder = pathlib.Path("/proc") / str(pid)
        self.tmpfs = tmpfs_devices()

    def cpu_s(self):
        """User and system time of all threads, and of children that ended."""
        clock = (~self.pid << 3) | 2  # the kernel's number of a process's CPU clock
        fields = (self.folder / "stat").read_text().rsplit(") ", 1)[1].split()
        children = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(clock) + children

    def memory_bytes(self):
        """RssAnon + RssShmem, and files in tmpfs that the process keeps open."""
        total = 0
        for line in (self.folder / "status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
        for entry in (self.folder / "fd").iterdir():
            try:
                info = entry.stat()
            except OSError:
                continue
            if info.st_dev in self.tmpfs and info.st_nlink == 0:
                total += info.st_blocks * 512
        return total

    def disk_bytes(self):
        """Bytes of pages of files on a disk that were made dirty."""
        for line in (self.folder / "io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise BenchError("/proc does not say how much was written")

    def written_bytes(self):
        """Bytes written by the main thread, which prints the events.

        (A checkpoint writes too, but in the thread that holds the WAL.)
        """
        for line in (self.folder / "task" / str(self.pid) / "io").read_text().splitlines():
            if line.startswith("wchar:"):
                return int(line.split()[1])
        raise BenchError("/proc does not say how much a thread has written")


class Follower:
    """A running rowtail whose stdout is /dev/null, or a pipe that the caller reads."""

    def __init__(self, rowtail, database, core=None, to_pipe=False, arguments=()):
        command = [str(rowtail), str(database), *arguments]
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if to_pipe else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.stderr = []
        self.stderr_s = []  # when each of these lines came
        self.following_s = None
        self.seen = threading.Event()
        self.reader = threading.Thread(target=self._read_stderr, daemon=True)
        self.reader.start()
        self.usage = Usage(self.process.pid)
        self.memory_peak = 0

    def _read_stderr(self):
        for line in self.process.stderr:
            if line.startswith(b"rowtail: following ") and self.following_s is None:
                self.following_s = time.monotonic()
                self.seen.set()
            self.stderr.append(line.decode("utf-8", "replace"))
            self.stderr_s.append(time.monotonic())
        self.seen.set()

    def wait_until_following(self):
        self.seen.wait(START_LIMIT_S)
        if self.following_s is None:
            self.stop()
            raise BenchError("rowtail did not follow: " + "".join(self.stderr).strip())
        return self

    def said_s(self, words):
        """When the first line with these words came."""
        for line, came_s in zip(self.stderr, self.stderr_s):
            if words in line:
                return came_s
        raise BenchError(f"rowtail did not say '{words}': " + "".join(self.stderr))

    def look_at_memory(self):
        self.memory_peak = max(self.memory_peak, self.usage.memory_bytes())

    def wait_until_quiet(self, at_least, limit_s=600, since=None):
        """Monotonic time of the last output, once there is none for a while.

        `at_least`: fewer bytes than this since now (or since there were so many) are
        not the end.
        """
        deadline = time.monotonic() + limit_s
        last = self.usage.written_bytes()
        start = last if since is None else since
        changed_s = time.monotonic()
        while True:
            time.sleep(0.004)
            now = time.monotonic()
            if self.process.poll() is not None:
                said = "".join(self.stderr).strip()
                raise BenchError(f"rowtail ended, {self.process.returncode}: {said}")
            written = self.usage.written_bytes()
            if written - last >= EVENTS_BYTES:
                last, changed_s = written, now
            elif now - changed_s > QUIET_S and last - start >= at_least:
                return changed_s
            if now > deadline:
                raise BenchError(
                    f"rowtail wrote {last - start} bytes, expected {at_least} or more"
                )

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Tools:
    """The C programs of tests/bench, built."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def start(self, name, *arguments, core=None, stdin=None):
        command = [str(self.folder / name)] + [str(a) for a in arguments]
        return subprocess.Popen(
            pinned(core, command), stdin=stdin, stdout=subprocess.PIPE
        )

    @staticmethod
    def result(process):
        out, _ = process.communicate()
        if not out:
            raise BenchError(f"{process.args} gave nothing, exit {process.returncode}")
        return json.loads(out)

    def run(self, name, *arguments, core=None):
        return self.result(self.start(name, *arguments, core=core))

    def fill(self, database, rows, big=0):
        process = self.start("writer", database, "--fill", rows, "--big", big)
        if process.wait() != 0:
            raise BenchError(f"{database} could not be filled")

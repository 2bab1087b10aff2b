# SPDX-License-Identifier: Apache-2.0
"""The measurements with a state directory, on the same disk as the database."""

import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

from processes import BenchError, Follower

FRAME_BYTES = 4096 + 24
MEMORY = pathlib.Path("/dev/shm")
FSYNCS = 400
CHANGED_PART = 100  # one page in so many


class StateFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.tools = base.tools
        self.directory = base.folder / "state"

    def _fresh(self, path=None):
        """(database, arguments) of a run with an empty state directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        return path or self.base.fresh(), self._arguments()

    def _arguments(self):
        return ["--state", str(self.directory), "-D", "snapshot.mode=no_data"]

    def remove(self, path=None):
        shutil.rmtree(self.directory, ignore_errors=True)
        if path:
            self.base.remove(path)

    def _once(self, path):
        """A state directory that has all of the database."""
        done = subprocess.run(
            [str(self.base.rowtail), str(path), *self._arguments(), "--once"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())

    # -- figures -------------------------------------------------------------------

    def live(self, kind, alone_first):
        """A writer alone and followed with a state directory."""
        self.remove()
        run = self.base.live(kind, alone_first, arguments=self._arguments())
        self.remove()
        return run

    def slow_disk(self, sync_ms, alone_first):
        self.remove()
        run = self.base.slow_disk(sync_ms, alone_first, arguments=self._arguments())
        self.remove()
        return run

    def drain(self):
        """The drain of a million rows, with a state directory and without."""
        without = self.base.drain()
        self.remove()
        with_state = self.base.drain(arguments=self._arguments())
        self.remove()
        return {
            "ratio": with_state["events_s"] / without["events_s"],
            "events_s": with_state["events_s"],
            "without_s": without["events_s"],
        }

    def latency(self):
        """From commit to line, and what one fsync of that disk takes meanwhile."""
        self.remove()
        fsync = self._fsyncs()
        run = self.base.latency(arguments=self._arguments())
        self.remove()
        return {
            "p50_ms": run["p50_ms"] - fsync[len(fsync) // 2],
            "p99_ms": run["p99_ms"] - fsync[len(fsync) * 99 // 100],
            "with_fsync_p50_ms": run["p50_ms"],
            "with_fsync_p99_ms": run["p99_ms"],
            "fsync_p50_ms": fsync[len(fsync) // 2],
            "fsync_p99_ms": fsync[len(fsync) * 99 // 100],
        }

    def _fsyncs(self):
        """Milliseconds, sorted, at 200 a second."""
        path = self.base.folder / "fsync"
        times = []
        with open(path, "wb", 0) as file:
            for _ in range(FSYNCS):
                file.write(bytes(4096))
                start = time.monotonic()
                os.fdatasync(file.fileno())
                times.append((time.monotonic() - start) * 1000)
                time.sleep(0.005)
        path.unlink()
        return sorted(times)

    def resume(self, how):
        """After a clean stop with nothing written since, to the first new event."""
        path, arguments = self._fresh(self.base.large)
        self._once(path)
        keeper = None
        if how == "kept":  # the WAL stays, as another connection is open
            with self.base.follow(path, arguments=arguments):
                keeper = self.tools.start(
                    "writer", path, "--mode", "update", "--txns", 2,
                    "--think-us", 100_000_000)
                time.sleep(0.5)
            time.sleep(0.2)
        try:
            return self._resumed(path, arguments)
        finally:
            if keeper:
                keeper.kill()
                keeper.wait()
            self.remove()

    def _resumed(self, path, arguments):
        with Follower(self.base.rowtail, path, to_pipe=True,
                      arguments=arguments) as follower:
            follower.wait_until_following()
            if any("comparing" in line for line in follower.stderr):
                raise BenchError("it was compared, not resumed")
            reader = self.tools.start(
                "count_lines", "--lines", 1, stdin=follower.process.stdout)
            self.tools.run("writer", path, "--mode", "update", "--txns", 1)
            reader.wait(60)
            first = self.tools.result(reader)
        return {
            "following_s": follower.following_s - follower.started_s,
            "event_s": first["last_ns"] / 1e9 - follower.started_s,
        }

    def catch_up(self):
        """1 % of the pages changed while nobody followed; the application is idle."""
        path, arguments = self._fresh(self.base.large)
        self._once(path)
        pages = path.stat().st_size // 4096
        self.tools.run("writer", path, "--mode", "update", "--per-txn", 100,
                       "--txns", max(1, pages // CHANGED_PART // 100))
        subprocess.run(["sqlite3", str(path), "PRAGMA wal_checkpoint(TRUNCATE)"],
                       stdout=subprocess.DEVNULL, check=True)
        cat_s = self._cat_s(path)
        with Follower(self.base.rowtail, path, arguments=arguments) as follower:
            watch = Watch(follower)
            follower.wait_until_following()
            follower.wait_until_quiet(0)
            watch.stop()
        seconds = follower.said_s("pages differ") - follower.said_s("comparing")
        self.remove()
        return {
            "ratio": cat_s / seconds,
            "seconds": seconds,
            "cat_s": cat_s,
            "memory": follower.memory_peak,
            "pages": pages,
        }

    @staticmethod
    def _cat_s(path):
        times = []
        for _ in range(2):  # the first one warms the cache
            start = time.monotonic()
            with open(os.devnull, "wb") as null:
                subprocess.run(["cat", str(path)], stdout=null, check=True)
            times.append(time.monotonic() - start)
        return times[-1]

    def copy(self):
        """Memory during the first copy of the large database."""
        path, arguments = self._fresh(self.base.large)
        self.base.prepare_large()
        with Follower(self.base.rowtail, path, arguments=arguments) as follower:
            watch = Watch(follower)
            follower.wait_until_following()
            watch.stop()
            run = {
                "memory": follower.memory_peak,
                "pages": path.stat().st_size // 4096,
                "seconds": follower.following_s - follower.started_s,
            }
        self.remove()
        return run

    def huge(self):
        """Memory during one transaction of ten million rows."""
        path, arguments = self._fresh()
        rows = 10 * self.base.plan.rows
        with self.base.follow(path, arguments=arguments) as follower:
            watch = Watch(follower)
            self.base.write(path, "--per-txn", rows, "--txns", 1)
            follower.wait_until_quiet(rows * 200)
            watch.stop()
            run = {"memory": follower.memory_peak,
                   "pages": path.stat().st_size // 4096}
        self.remove(path)
        return run

    def written(self, kind):
        """Bytes written to the state directory, for each byte of WAL.

        The database lies in memory: all that is written to a disk is ours.
        """
        self.remove()
        arguments = self._arguments()
        path = MEMORY / f"rowtail-bench-{os.getpid()}.db"
        shutil.copyfile(self.base.template, path)
        writer = {"update": ["--mode", "update", "--per-txn", 100, "--txns",
                             max(10, self.base.plan.rows // 1000)],
                  "one-row": ["--txns", max(10, self.base.plan.rows // 10)],
                  "bulk": ["--per-txn", 1000, "--txns",
                           max(10, self.base.plan.rows // 1000)]}[kind]
        with self.base.follow(path, arguments=arguments) as follower:
            before = self._lsn(), follower.usage.disk_bytes()
            self.base.write(path, *writer)
            follower.wait_until_quiet(0)
            time.sleep(0.5)
            after = self._lsn(), follower.usage.disk_bytes()
        self.remove()
        for leftover in MEMORY.glob(path.name + "*"):
            leftover.unlink()
        wal = (after[0] - before[0]) * FRAME_BYTES
        return {"ratio": (after[1] - before[1]) / wal, "wal_mb": wal / 1e6}

    def _lsn(self):
        out = subprocess.run(
            [str(self.base.rowtail), "status", "--json", "--state",
             str(self.directory)], stdout=subprocess.PIPE, check=True).stdout
        return json.loads(out)["journalled_lsn"]


class Watch:
    """Looks at a follower's memory until it is stopped."""

    def __init__(self, follower):
        self.follower = follower
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.wait(0.01):
            try:
                self.follower.look_at_memory()
            except OSError:
                return

    def stop(self):
        self.ended.set()
        self.thread.join()

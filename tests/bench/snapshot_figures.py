# SPDX-License-Identifier: Apache-2.0
"""The measurements of snapshots on demand, with a state directory on the same disk."""

import shutil
import subprocess
import time

from figures import ROWTAIL_CORE, WRITERS
from processes import BenchError, Follower

ASKED = 20  # snapshots one after the other: more than a live run has time for


class SnapshotFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.tools = base.tools
        self.directory = base.folder / "state"

    def _arguments(self):
        return ["--state", str(self.directory), "-D", "snapshot.mode=no_data"]

    def _follow(self, path, **options):
        shutil.rmtree(self.directory, ignore_errors=True)
        follower = Follower(self.base.rowtail, path, arguments=self._arguments(),
                            **options)
        return follower.wait_until_following()

    def _ask(self):
        done = subprocess.run(
            [str(self.base.rowtail), "signal", "--state", str(self.directory),
             "execute-snapshot", "--table", "t"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())

    def _database(self):
        """Of as many rows as --snapshot is measured with."""
        path = self.base.folder / "snapshot.db"
        if not path.exists():
            self.base.make(path, self.base.plan.rows)
        return path

    def _read(self, path, lines):
        """Seconds from the signal to so many lines; memory above following."""
        with self._follow(path, to_pipe=True) as follower:
            follower.look_at_memory()
            before = follower.memory_peak
            reader = self.tools.start("count_lines", "--lines", lines,
                                      stdin=follower.process.stdout)
            asked_s = time.monotonic()
            self._ask()
            while reader.poll() is None:
                follower.look_at_memory()
                time.sleep(0.02)
            counted = self.tools.result(reader)
        shutil.rmtree(self.directory, ignore_errors=True)
        return counted["last_ns"] / 1e9 - asked_s, follower.memory_peak - before

    # -- figures -------------------------------------------------------------------

    def rate(self):
        """All rows of a table on demand, against --snapshot of a run without a state."""
        rows = self.base.plan.rows
        path = self._database()
        at_start = self.base.pipe_run(
            [str(self.base.rowtail), str(path), "--snapshot", "--once", "-D",
             "table.include.list=t"], rows)["seconds"]
        asked, memory = self._read(path, rows)
        return {"ratio": at_start / asked, "rows_s": rows / asked, "memory": memory}

    def first(self):
        """From the start of the command that asks to the first row."""
        path = self._database()
        seconds, _ = self._read(path, 1)
        return {"ms": seconds * 1e3}

    def latency(self):
        """What a snapshot adds to the time from commit to line, at 1,000 commits/s."""
        quiet, beside = self._latency(False), self._latency(True)
        return {"p50_ms": beside["p50_ms"] - quiet["p50_ms"],
                "p99_ms": beside["p99_ms"] - quiet["p99_ms"],
                "quiet_p99_ms": quiet["p99_ms"], "beside_p99_ms": beside["p99_ms"]}

    def _latency(self, is_beside):
        path = self._database()
        with self._follow(path, to_pipe=True) as follower:
            reader = self.tools.start(
                "latency", path, "--rate", 1000, "--count",
                int(1000 * self.base.plan.latency_s), stdin=follower.process.stdout)
            for _ in range(ASKED if is_beside else 0):
                self._ask()
            result = self.tools.result(reader)
        shutil.rmtree(self.directory, ignore_errors=True)
        if reader.returncode != 0:
            raise BenchError(f"{result['lines']} of {result['commits']} lines came")
        return result

    def live(self, kind, alone_first):
        """A writer that is followed, with a snapshot beside it and without."""
        speeds = {}
        for asks in [False, True] if alone_first else [True, False]:
            path = self.base.fresh()
            shutil.rmtree(self.directory, ignore_errors=True)
            with self._follow(path, core=ROWTAIL_CORE) as follower:
                for _ in range(ASKED if asks else 0):
                    self._ask()
                wrote = self.base.write(path, *WRITERS[kind], "--seconds",
                                        self.base.plan.live_s)
                follower.stop()
            speeds[asks] = wrote["commits_s"]
            self.base.remove(path)
        shutil.rmtree(self.directory, ignore_errors=True)
        return {"speed": speeds[True] / speeds[False], "commits_s": speeds[True],
                "without_s": speeds[False]}
